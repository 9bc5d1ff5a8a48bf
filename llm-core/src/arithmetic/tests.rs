//! Tests of the arithmetic.

use super::*;
use crate::outputs::Outputs;
use crate::quantize::formats::{BlockQ6K, BlockQ8_0, F32};
use crate::quantize::{ActivationQ8, ActivationQ8K};
use crate::quantize::{BLOCK, TensorType, dequantize_row};
use crate::simd::{Cpu, Matrix};
use crate::testing::kernels::multiply;
use half::f16;
use proptest::prelude::*;
use std::vec;
use std::vec::Vec;

#[test]
fn a_sum_goes_over_sixteen_lanes_and_folds_8_4_2_1() {
    // Values whose sum depends on the order of addition.
    let x: Vec<f32> = (0..37)
        .map(|i| (i as f32 * 0.7).sin() * 10f32.powi(i % 9))
        .collect();
    let lane = |l: usize| (l..37).step_by(16).fold(0.0f32, |sum, i| sum + x[i]);
    let l: Vec<f32> = (0..16).map(lane).collect();
    let eight: Vec<f32> = (0..8).map(|i| l[i] + l[i + 8]).collect();
    let four: Vec<f32> = (0..4).map(|i| eight[i] + eight[i + 4]).collect();
    let expected = (four[0] + four[2]) + (four[1] + four[3]);
    assert_eq!(sum(&x).to_bits(), expected.to_bits());
    assert_ne!(sum(&x), x.iter().sum::<f32>(), "the order matters here");
}

#[test]
fn finite_f16_are_converted_exactly() {
    for bits in 0..=u16::MAX {
        let x = f16::from_bits(bits);
        if x.is_finite() {
            assert_eq!(finite(x).to_bits(), x.to_f32().to_bits(), "{bits:#x}");
        }
    }
}

#[test]
fn extreme_operands_do_not_overflow() {
    let w = [BlockQ8_0 {
        d: f16::ONE.to_le_bytes(),
        qs: [-128; BLOCK],
    }];
    let mut out = [0.0];
    for (activation, expected) in [(127, -32.0 * 128.0 * 127.0), (-127, 32.0 * 128.0 * 127.0)] {
        let x = [ActivationQ8 {
            d: 1.0,
            s: 0.0,
            sum: 32 * i32::from(activation),
            q: [activation; BLOCK],
            ..ActivationQ8::ZERO
        }];
        matmul_small(&w, 0, 1, &x, &mut Outputs::new(&mut out, 1, 1));
        assert_eq!(out, [expected]);
    }
    assert_eq!(dot_i8(&[-128; 256], &[-128; 256]), 256 * 128 * 128);

    // The largest sums possible in a k-quant: Q6_K's scales start at −128, its values at −32.
    let w = [BlockQ6K {
        ql: [0; 128],
        qh: [0; 64],
        scales: [-128; 16],
        d: f16::ONE.to_le_bytes(),
    }];
    let x = [ActivationQ8K {
        d: 1.0,
        sums: [127 * 16; 16],
        q: [127; 256],
        ..ActivationQ8K::ZERO
    }];
    matmul_super(&w, 0, 1, &x, &mut Outputs::new(&mut out, 1, 1));
    assert_eq!(out, [256.0 * 128.0 * 32.0 * 127.0]);
}

#[test]
fn exp_is_within_two_ulp_and_never_leaves_the_normal_numbers() {
    let mut x = -87.3f32;
    while x < 88.0 {
        let (got, exact) = (exp(x), f64::from(x).exp());
        assert!(
            (f64::from(got) / exact - 1.0).abs() < 2.4e-7,
            "exp({x}) = {got}, not {exact}"
        );
        x += 0.000_97;
    }
    for x in [f32::MIN, -1000.0, -88.0, 89.0, 1000.0, f32::MAX] {
        assert!(exp(x).is_normal() && exp(x) > 0.0, "exp({x})");
    }
    assert_eq!(exp(0.0), 1.0);
}

#[test]
fn softmax_of_equals_is_uniform_and_of_extremes_finite() {
    let mut x = [3.0; 5];
    assert_eq!(softmax_numerators(&mut x, 0), 5.0);
    let mut x = [-3e38, 0.0, 3e38];
    assert!(softmax_numerators(&mut x, 0).is_finite());
    assert_eq!(x[2], 1.0);
}

/// Bytes of `rows` rows of random weights in `ty`, and the weights themselves.
fn weights(ty: TensorType, rows: usize, columns: usize, bits: &[u8]) -> (Vec<u8>, Vec<f32>) {
    let stride = ty.row_bytes(columns).unwrap();
    let block = ty.block_bytes();
    let mut bytes: Vec<u8> = bits.iter().copied().cycle().take(stride * rows).collect();
    // Scales near one, wherever the format has them.
    let half = f16::from_f32(0.011).to_le_bytes();
    for block in bytes.chunks_mut(block) {
        for &place in ty.f16_places() {
            block[place..place + 2].copy_from_slice(&half);
        }
    }
    let mut values = vec![0.0; rows * columns];
    for (bytes, values) in bytes.chunks(stride).zip(values.chunks_mut(columns)) {
        dequantize_row(ty, bytes, values).unwrap();
    }
    (bytes, values)
}

fn product(ty: TensorType, w: &[u8], columns: usize, x: &[f32], rows: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / columns * rows];
    let w = Matrix {
        ty,
        rows,
        columns,
        tiled: false,
        bytes: w,
    };
    multiply(Cpu::SCALAR, &w, x, &mut out).unwrap();
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For every format and any bits, the product is that of the dequantised weights, up to rounding of the
    /// activations. A token's result does not depend on what else is in its batch.
    #[test]
    fn quantised_products_are_near_the_float_ones_and_independent_of_the_batch(
        bits in prop::collection::vec(any::<u8>(), 700..800),
        x in prop::collection::vec(-4.0f32..4.0, 3 * 512),
    ) {
        let (rows, columns) = (3, 512);
        for ty in TensorType::ALL.into_iter().filter(|ty| ty.block_len() > 1) {
            let (bytes, values) = weights(ty, rows, columns, &bits);
            let out = product(ty, &bytes, columns, &x, rows);
            for (t, x) in x.chunks(columns).enumerate() {
                for (r, w) in values.chunks(columns).enumerate() {
                    let terms = || w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x));
                    let exact: f64 = terms().sum();
                    // Half a step of an activation, 4/127, per weight; plus the f16 rounding of a scale.
                    let slack: f64 = w.iter().map(|w| f64::from(w.abs()) * 2.1 / 127.0).sum();
                    let got = f64::from(out[t * rows + r]);
                    let rounding = terms().map(f64::abs).sum::<f64>() / 1000.0 + 1e-3;
                    prop_assert!((got - exact).abs() < slack + rounding, "{ty:?} {got} {exact}");
                }
                let alone = product(ty, &bytes, columns, x, rows);
                let batched = &out[t * rows..(t + 1) * rows];
                prop_assert!(alone.iter().zip(batched).all(|(a, b)| a.to_bits() == b.to_bits()));
            }
        }
    }

    #[test]
    fn float_rows_add_their_columns_in_ascending_order(
        w in prop::collection::vec(-1e3f32..1e3, 11 * 7),
        x in prop::collection::vec(-1e3f32..1e3, 2 * 7),
    ) {
        let bytes: Vec<u8> = w.iter().flat_map(|w| w.to_le_bytes()).collect();
        let mut out = [0.0f32; 22];
        matmul_float::<F32>(&bytes, 0, 7, &x, &mut Outputs::new(&mut out, 11, 11));
        for (x, out) in x.chunks(7).zip(out.chunks(11)) {
            for (w, out) in w.chunks(7).zip(out) {
                let naive = w.iter().zip(x).fold(0.0f32, |sum, (w, x)| sum + w * x);
                prop_assert_eq!(naive.to_bits(), out.to_bits());
            }
        }
    }

    #[test]
    fn gelu_and_layer_norm_are_what_they_say(x in prop::collection::vec(-9.0f32..9.0, 40)) {
        let mut got = x.clone();
        gelu(&mut got);
        for (got, x) in got.iter().zip(&x) {
            let x = f64::from(*x);
            let u = (2.0 / core::f64::consts::PI).sqrt() * x * (1.0 + 0.044715 * x * x);
            prop_assert!((f64::from(*got) - 0.5 * x * (1.0 + u.tanh())).abs() < 2e-6);
        }
        let mean = x.iter().sum::<f32>() / 40.0;
        let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / 40.0;
        let mut out = x.clone();
        layer_norm(&mut out, &[2.0; 40], 1e-5);
        for (out, x) in out.iter().zip(&x) {
            prop_assert!((out - 2.0 * (x - mean) / (variance + 1e-5).sqrt()).abs() < 1e-3);
        }
    }

    #[test]
    fn gates_caps_and_hidden_positions_are_what_they_say(
        x in prop::collection::vec(-90.0f32..90.0, 40),
        cap in 0.1f32..90.0,
        hidden in 0usize..16,
    ) {
        let mut capped = x.clone();
        soft_cap(&mut capped, cap);
        for (got, x) in capped.iter().zip(&x) {
            let (x, c) = (f64::from(*x), f64::from(cap));
            prop_assert!((f64::from(*got) - c * (x / c).tanh()).abs() < 4e-7 * c);
        }
        let (mut gate, mut alone) = (x.clone(), x.clone());
        geglu(&mut gate, &capped);
        gelu(&mut alone);
        let (mut swi, mut silent) = (x.clone(), x.clone());
        swiglu(&mut swi, &capped);
        silu(&mut silent);
        for i in 0..x.len() {
            prop_assert_eq!(gate[i].to_bits(), (alone[i] * capped[i]).to_bits());
            prop_assert_eq!(swi[i].to_bits(), (silent[i] * capped[i]).to_bits());
        }
        let (mut seen, mut all) = (x[hidden..].to_vec(), x.clone());
        let (few, sum) = (softmax_numerators(&mut seen, 0), softmax_numerators(&mut all, hidden));
        prop_assert!(all[..hidden].iter().all(|p| p.to_bits() == 0));
        prop_assert_eq!(&all[hidden..], &seen[..]);
        prop_assert!((few - sum).abs() <= 1e-5 * sum);
    }
}
