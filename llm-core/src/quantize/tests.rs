use super::*;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

fn round_trip(ty: TensorType, x: &[f32]) -> Vec<f32> {
    let mut bytes = vec![0; ty.row_bytes(x.len()).unwrap()];
    quantize_row(ty, x, &mut bytes).unwrap();
    let mut back = vec![0.0; x.len()];
    dequantize_row(ty, &bytes, &mut back).unwrap();
    back
}

#[test]
fn types_have_the_numbers_of_ggml() {
    for ty in TensorType::ALL {
        assert_eq!(TensorType::from_ggml(ty.to_ggml()), Some(ty));
        assert_eq!(
            ty.row_bytes(256),
            Some(256 / ty.block_len() * ty.block_bytes())
        );
    }
    assert_eq!(TensorType::from_ggml(4), None);
    let sizes = TensorType::ALL.map(TensorType::block_bytes);
    let expected = [
        4, 2, 2, 18, 20, 22, 24, 34, 36, 84, 110, 144, 176, 210, 18, 136, 54, 66,
    ];
    assert_eq!(sizes, expected);
    assert_eq!(TensorType::Q8_0.row_bytes(33), None);
}

#[test]
fn ties_round_to_even_in_activations() {
    let mut x = [0.0; BLOCK];
    x[0] = 127.0;
    (x[1], x[2], x[3], x[4]) = (0.5, 1.5, 2.5, -0.5);
    let mut out = [ActivationQ8::ZERO];
    quantize_activations(&x, &mut out).unwrap();
    assert_eq!((out[0].d, out[0].s), (1.0, 131.0));
    assert_eq!(out[0].q[..5], [127, 0, 2, 2, 0]);
}

#[test]
fn a_tiny_block_is_zero_and_a_non_finite_one_an_error() {
    let mut out = [ActivationQ8 {
        d: 1.0,
        s: 1.0,
        sum: 1,
        q: [1; BLOCK],
        ..ActivationQ8::ZERO
    }];
    quantize_activations(&[9e-31; BLOCK], &mut out).unwrap();
    assert_eq!(out[0], ActivationQ8::ZERO);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -f32::NAN, 1e30] {
        let mut x = [1.0; BLOCK];
        x[31] = bad;
        assert_eq!(quantize_activations(&x, &mut out), Err(NonFinite), "{bad}");
    }
}

#[test]
fn wrong_lengths_are_refused() {
    assert!(matches!(
        quantize_row(TensorType::Q8_0, &[0.0; 33], &mut [0; 34]),
        Err(QuantizeError::RowLength {
            columns: 33,
            block: 32
        })
    ));
    assert!(matches!(
        dequantize_row(TensorType::Q4_0, &[0; 17], &mut [0.0; 32]),
        Err(QuantizeError::OutputLength {
            got: 17,
            needed: 18
        })
    ));
}

proptest! {
    #[test]
    fn errors_stay_within_half_a_step(
        x in prop::collection::vec(-100.0f32..100.0, BLOCK),
    ) {
        let max = max_magnitude(&x).unwrap();
        for (ty, step) in [(TensorType::Q8_0, max / 127.0), (TensorType::Q4_0, max / 8.0)] {
            for (back, v) in round_trip(ty, &x).iter().zip(&x) {
                // Q4_0 has no +8, so values at the other end are clipped by one step. The f16 scale adds 2⁻¹¹ of
                // the magnitude.
                let slack = if ty == TensorType::Q4_0 { 1.01 } else { 0.51 };
                prop_assert!((back - v).abs() <= slack * step + max / 1024.0);
            }
        }
        prop_assert_eq!(round_trip(TensorType::F32, &x), x.clone());
        for (back, v) in round_trip(TensorType::F16, &x).iter().zip(&x) {
            prop_assert!((back - v).abs() <= v.abs() / 1024.0 + 1e-7);
        }
    }

    #[test]
    fn activations_are_rounded_to_the_nearest_step(
        x in prop::collection::vec(-1e4f32..1e4, BLOCK),
    ) {
        let mut out = [ActivationQ8::ZERO];
        quantize_activations(&x, &mut out).unwrap();
        let max = max_magnitude(&x).unwrap();
        for (&q, &v) in out[0].q.iter().zip(&x) {
            prop_assert!((f64::from(q) - f64::from(v) * 127.0 / f64::from(max)).abs() <= 0.5001);
            prop_assert!(q != -128);
        }
    }

    #[test]
    fn activations_of_k_quants_are_rounded_to_the_nearest_step(
        x in prop::collection::vec(-1e4f32..1e4, SUPER_BLOCK),
    ) {
        let mut out = [ActivationQ8K::ZERO];
        quantize_activations_k(&x, &mut out).unwrap();
        let max = f64::from(max_magnitude(&x).unwrap());
        for (&q, &v) in out[0].q.iter().zip(&x) {
            prop_assert!((f64::from(q) - f64::from(v) * 127.0 / max).abs() <= 0.5001);
        }
        for (sum, group) in out[0].sums.iter().zip(out[0].q.chunks(GROUP)) {
            prop_assert_eq!(*sum, group.iter().map(|&q| i16::from(q)).sum::<i16>());
        }
        prop_assert!((f64::from(out[0].d) * 127.0 / max - 1.0).abs() < 1e-6);
    }

    #[test]
    fn any_floats_are_quantised_or_refused(bits in prop::collection::vec(any::<u32>(), BLOCK)) {
        let x: Vec<f32> = bits.iter().map(|b| f32::from_bits(*b)).collect();
        let mut out = [ActivationQ8::ZERO];
        let finite = x.iter().all(|v| v.is_finite());
        if quantize_activations(&x, &mut out).is_ok() {
            prop_assert!(finite && out[0].d.is_finite());
        }
        let x = x.repeat(SUPER_BLOCK / BLOCK);
        for ty in TensorType::ALL {
            let mut bytes = vec![0; ty.row_bytes(x.len()).unwrap()];
            if quantize_row(ty, &x, &mut bytes).is_ok() {
                prop_assert!(finite && is_finite(ty, &bytes));
            }
        }
    }
}
