//! Reference kernels: the canonical order of every sum (`docs/numerics.md`).
//!
//! - *Matrices*: a row adds its blocks (float weights: its columns) in ascending order; rows are
//!   independent, so that SIMD lanes can hold different rows.
//! - *Reductions over one vector*: element i goes to virtual lane i mod 16, ascending; then the
//!   lanes fold 8, 4, 2, 1.
//! - Multiply and add stay separate; `sqrt` and division are IEEE; [`exp`] is one polynomial.

use crate::quantize::{ActivationQ8, BLOCK, BlockQ4_0, BlockQ8_0, blocks};
use half::f16;

/// Virtual lanes of a reduction.
pub const LANES: usize = 16;

/// Rows that are computed together, so that their sums do not wait for one another.
const ROWS: usize = 8;

/// Σ values, in the canonical order.
pub fn sum(values: impl Iterator<Item = f32>) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (i, value) in values.enumerate() {
        lanes[i % LANES] += value;
    }
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

/// Σ a\[i\] · b\[i\], in the canonical order.
#[must_use]
pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    sum(a.iter().zip(b).map(|(a, b)| a * b))
}

/// Σ a\[i\] · b\[i\] with b in f16, in the canonical order.
#[must_use]
pub fn dot_f16(a: &[f32], b: &[f16]) -> f32 {
    sum(a.iter().zip(b).map(|(a, b)| a * b.to_f32()))
}

/// out\[r\] = Σ_c w\[r\]\[c\] · x\[c\] for F32 weights, `w` row by row, little endian.
pub fn matvec_f32(w: &[[u8; 4]], x: &[f32], out: &mut [f32]) {
    matvec_float(w, x, out, f32::from_le_bytes);
}

/// out\[r\] = Σ_c w\[r\]\[c\] · x\[c\] for F16 weights, `w` row by row, little endian.
pub fn matvec_f16(w: &[[u8; 2]], x: &[f32], out: &mut [f32]) {
    matvec_float(w, x, out, |w| f16::from_le_bytes(w).to_f32());
}

fn matvec_float<W: Copy>(w: &[W], x: &[f32], out: &mut [f32], value: impl Fn(W) -> f32) {
    let columns = x.len();
    for (w, out) in w.chunks(columns * ROWS).zip(out.chunks_mut(ROWS)) {
        let mut sums = [0.0f32; ROWS];
        for (c, &x) in x.iter().enumerate() {
            for (r, sum) in sums.iter_mut().enumerate().take(out.len()) {
                *sum += value(w[r * columns + c]) * x;
            }
        }
        out.copy_from_slice(&sums[..out.len()]);
    }
}

/// out\[r\] = Σ_b (Σ_i q_w · q_x) · (d_w · d_x) for Q8_0 weights, `w` row by row.
pub fn matvec_q8_0(w: &[u8], x: &[ActivationQ8], out: &mut [f32]) {
    for (row, out) in blocks::<BlockQ8_0>(w).chunks_exact(x.len()).zip(out) {
        *out = row.iter().zip(x).fold(0.0, |sum, (w, x)| {
            sum + dot_i8(&w.qs, &x.qs) as f32 * (w.scale() * x.d)
        });
    }
}

/// out\[r\] = Σ_b (Σ_i q_w · q_x) · (d_w · d_x) for Q4_0 weights, `w` row by row.
pub fn matvec_q4_0(w: &[u8], x: &[ActivationQ8], out: &mut [f32]) {
    for (row, out) in blocks::<BlockQ4_0>(w).chunks_exact(x.len()).zip(out) {
        *out = row.iter().zip(x).fold(0.0, |sum, (w, x)| {
            sum + dot_i8(&w.values(), &x.qs) as f32 * (w.scale() * x.d)
        });
    }
}

/// Exact Σ a\[i\] · b\[i\]: at most 32 · 128 · 128, far inside an i32 and inside f32's integers.
#[must_use]
pub fn dot_i8(a: &[i8; BLOCK], b: &[i8; BLOCK]) -> i32 {
    a.iter().zip(b).fold(0, |sum: i32, (&a, &b)| {
        sum.wrapping_add(i32::from(i16::from(a).wrapping_mul(i16::from(b))))
    })
}

/// RMSNorm: out\[i\] = (x\[i\] / √(mean(x²) + ε)) · w\[i\].
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, out: &mut [f32]) {
    let mean = sum(x.iter().map(|v| v * v)) / x.len() as f32;
    let scale = 1.0 / libm::sqrtf(mean + epsilon);
    for ((out, v), w) in out.iter_mut().zip(x).zip(weight) {
        *out = (v * scale) * w;
    }
}

/// Softmax without its division: x becomes exp(x − max x), and their sum is returned.
pub fn softmax_numerators(x: &mut [f32]) -> f32 {
    let max = x
        .iter()
        .fold(f32::NEG_INFINITY, |max, &v| if v > max { v } else { max });
    for v in x.iter_mut() {
        *v = exp(*v - max);
    }
    sum(x.iter().copied())
}

/// SwiGLU: gate\[i\] becomes silu(gate\[i\]) · up\[i\], silu(x) = x / (1 + exp(−x)).
pub fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = (*gate / (1.0 + exp(-*gate))) * up;
    }
}

/// x\[i\] += y\[i\].
pub fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// exp(x) to about 1 ulp, without branches that SIMD could not take; arguments are clamped to
/// −87.3…88.3, where the result is normal. Cephes' `expf` (Moshier): x = n ln 2 + r, a polynomial of
/// degree 5 in r, times 2ⁿ.
#[must_use]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = core::f32::consts::LOG2_E;
    // ln 2 in two parts, the first with so few bits that n times it is exact.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // 1.5 · 2²³: adding it rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let x = if x > 88.3 { 88.3 } else { x };
    let x = if x < -87.3 { -87.3 } else { x };
    let n = (x * LOG2_E + ROUND) - ROUND;
    let r = (x - n * LN2_HIGH) - n * LN2_LOW;
    let mut p = 1.987_569_1e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        5.0e-1,
    ] {
        p = p * r + coefficient;
    }
    let y = (p * (r * r) + r) + 1.0;
    y * f32::from_bits(((n as i32 + 127) as u32) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::{TensorType, quantize_activations, quantize_row};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    #[test]
    fn a_sum_goes_over_sixteen_lanes_and_folds_8_4_2_1() {
        // Values whose sum depends on the order of the additions.
        let x: Vec<f32> = (0..37)
            .map(|i| (i as f32 * 0.7).sin() * 10f32.powi(i % 9))
            .collect();
        let lane = |l: usize| (l..37).step_by(16).fold(0.0f32, |sum, i| sum + x[i]);
        let l: Vec<f32> = (0..16).map(lane).collect();
        let eight: Vec<f32> = (0..8).map(|i| l[i] + l[i + 8]).collect();
        let four: Vec<f32> = (0..4).map(|i| eight[i] + eight[i + 4]).collect();
        let expected = (four[0] + four[2]) + (four[1] + four[3]);
        assert_eq!(sum(x.iter().copied()).to_bits(), expected.to_bits());
        assert_ne!(
            sum(x.iter().copied()),
            x.iter().sum::<f32>(),
            "the order matters here"
        );
    }

    #[test]
    fn extreme_operands_do_not_overflow() {
        let q = BlockQ8_0 {
            d: f16::ONE.to_le_bytes(),
            qs: [-128; BLOCK],
        };
        let mut out = [0.0];
        for (activation, expected) in [(127, -32.0 * 128.0 * 127.0), (-127, 32.0 * 128.0 * 127.0)] {
            let x = [ActivationQ8 {
                d: 1.0,
                qs: [activation; BLOCK],
            }];
            matvec_q8_0(zerocopy::IntoBytes::as_bytes(&q), &x, &mut out);
            assert_eq!(out, [expected]);
        }
        assert_eq!(dot_i8(&[-128; BLOCK], &[-128; BLOCK]), 32 * 128 * 128);
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
        assert_eq!(softmax_numerators(&mut x), 5.0);
        let mut x = [-3e38, 0.0, 3e38];
        assert!(softmax_numerators(&mut x).is_finite());
        assert_eq!(x[2], 1.0);
    }

    proptest! {
        #[test]
        fn quantised_products_are_near_the_float_ones_and_row_by_row(
            w in prop::collection::vec(-1.0f32..1.0, 3 * 64),
            x in prop::collection::vec(-4.0f32..4.0, 64),
        ) {
            let mut q = [ActivationQ8 { d: 0.0, qs: [0; BLOCK] }; 2];
            quantize_activations(&x, &mut q).unwrap();
            for (ty, tolerance) in [(TensorType::Q8_0, 2.0), (TensorType::Q4_0, 20.0)] {
                let stride = ty.row_bytes(64).unwrap();
                let mut bytes = vec![0; stride * 3];
                for (w, bytes) in w.chunks(64).zip(bytes.chunks_mut(stride)) {
                    quantize_row(ty, w, bytes).unwrap();
                }
                let mut out = [0.0; 3];
                let product = if ty == TensorType::Q8_0 { matvec_q8_0 } else { matvec_q4_0 };
                product(&bytes, &q, &mut out);
                for (r, w) in w.chunks(64).enumerate() {
                    let exact: f32 = w.iter().zip(&x).map(|(w, x)| w * x).sum();
                    prop_assert!((out[r] - exact).abs() < tolerance, "{} {}", out[r], exact);
                    let mut alone = [0.0];
                    product(&bytes[r * stride..(r + 1) * stride], &q, &mut alone);
                    prop_assert_eq!(alone[0].to_bits(), out[r].to_bits());
                }
            }
        }

        #[test]
        fn float_rows_add_their_columns_in_ascending_order(
            w in prop::collection::vec(-1e3f32..1e3, 11 * 7),
            x in prop::collection::vec(-1e3f32..1e3, 7),
        ) {
            let bytes: Vec<[u8; 4]> = w.iter().map(|w| w.to_le_bytes()).collect();
            let mut out = [0.0; 11];
            matvec_f32(&bytes, &x, &mut out);
            for (w, out) in w.chunks(7).zip(out) {
                let naive = w.iter().zip(&x).fold(0.0f32, |sum, (w, x)| sum + w * x);
                prop_assert_eq!(naive.to_bits(), out.to_bits());
            }
        }
    }
}
