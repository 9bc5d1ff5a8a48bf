//! Reference kernels: the canonical order of every sum (`docs/numerics.md`).
//!
//! - *Matrices*: a row adds its blocks (float weights: its columns) in ascending order. Rows are independent, so SIMD
//!   lanes can hold different rows.
//! - *Reductions over one vector*: element i goes to virtual lane i mod 16, ascending; then the lanes are folded by 8,
//!   4, 2, 1.
//! - Multiply and add stay separate; `sqrt` and division are IEEE; [`exp`] is one polynomial.
//!
//! Everything but matrix products is compiled for the CPU's vectors from this same code ([`super::Cpu`]), so it is
//! inlined wherever it is called.

use super::outputs::Outputs;
use crate::quantize::blocks::{FloatType, Small, SmallBlock, Super, SuperBlock};
use crate::quantize::{ActivationQ8, ActivationQ8K, GROUP};
use half::f16;

/// Virtual lanes of a reduction.
pub const LANES: usize = 16;

/// Maximum number of tokens that go through a matrix together.
pub const MAX_BATCH: usize = 64;

/// Rows computed together, so that their sums do not depend on each other.
const ROWS: usize = 8;

/// Σ f(a\[i\], b\[i\]), in the canonical order. Whole groups of lanes come first, so that a compiler can keep them in
/// vectors.
#[inline(always)]
pub(super) fn sum_of<A: Copy, B: Copy>(a: &[A], b: &[B], f: impl Fn(A, B) -> f32) -> f32 {
    debug_assert_eq!(a.len(), b.len());
    let mut lanes = [0.0f32; LANES];
    let (a, a_tail) = a.as_chunks::<LANES>();
    let (b, b_tail) = b.as_chunks::<LANES>();
    for (a, b) in a.iter().zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += f(*a, *b);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a_tail.iter().zip(b_tail)) {
        *lane += f(*a, *b);
    }
    fold(lanes)
}

/// The sum of the lanes, folded by 8, 4, 2, 1.
#[inline(always)]
pub(super) fn fold(mut lanes: [f32; LANES]) -> f32 {
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

/// Σ x\[i\], in the canonical order.
#[must_use]
#[inline(always)]
pub fn sum(x: &[f32]) -> f32 {
    sum_of(x, x, |x, _| x)
}

/// Σ a\[i\] · b\[i\], in the canonical order.
#[must_use]
#[inline(always)]
pub fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    sum_of(a, b, |a, b| a * b)
}

/// Converts a finite f16 to f32 without branches: exponent and mantissa are moved into place and multiplied by 2¹¹²,
/// which is exact, even for subnormals.
#[must_use]
#[inline(always)]
pub fn finite(x: f16) -> f32 {
    const POWER: f32 = f32::from_bits((127 + 112) << 23);
    let bits = u32::from(x.to_bits());
    let magnitude = f32::from_bits((bits & 0x7FFF) << 13) * POWER;
    f32::from_bits(magnitude.to_bits() | (bits & 0x8000) << 16)
}

/// out\[t\]\[r\] = Σ_c w\[r\]\[c\] · x\[t\]\[c\] for float weights, `w` row by row, with `columns` elements per row.
/// `w` may omit the first `first` rows of `out`.
pub fn matmul_float<F: FloatType>(
    w: &[u8],
    first: usize,
    columns: usize,
    x: &[f32],
    out: &mut Outputs<'_>,
) {
    let row = columns * F::BYTES;
    let end = first + w.len() / row;
    for (t, x) in x.chunks_exact(columns).enumerate() {
        let out = out.token(t)[first..end].chunks_mut(ROWS);
        for (w, out) in w.chunks(row * ROWS).zip(out) {
            let mut sums = [0.0f32; ROWS];
            for (c, &x) in x.iter().enumerate() {
                for (r, sum) in sums.iter_mut().enumerate().take(out.len()) {
                    *sum += F::value(&w[r * row + c * F::BYTES..]) * x;
                }
            }
            out.copy_from_slice(&sums[..out.len()]);
        }
    }
}

/// out\[t\]\[r\] = Σ_b ((Σ_i q_w · q_x) · (d_w · d_x) + m_w · s_x) for weights in blocks of 32, `w` row by row, with
/// `blocks` blocks per row. `w` may omit the first `first` rows of `out`. Formats without an offset omit its term.
pub fn matmul_small<B: SmallBlock>(
    w: &[B],
    first: usize,
    blocks: usize,
    x: &[ActivationQ8],
    out: &mut Outputs<'_>,
) {
    matmul_blocks(w, first, blocks, x, out, |w: &B| {
        let w = w.unpack();
        move |x: &ActivationQ8| product_small(&w, x, B::OFFSET)
    });
}

/// Contribution of a block of 32 to a sum.
#[must_use]
#[inline(always)]
pub fn product_small(w: &Small, x: &ActivationQ8, offset: bool) -> f32 {
    let product = dot_i8(&w.q, &x.q) as f32 * (w.d * x.d);
    if offset { product + w.m * x.s } else { product }
}

/// out\[t\]\[r\] = Σ_b ((d_w · d_x) · Σ_g s_g Σ_i q_w · q_x − (d_min · d_x) · Σ_g m_g Σ_i q_x) for super-blocks;
/// otherwise like [`matmul_small`].
pub fn matmul_super<B: SuperBlock>(
    w: &[B],
    first: usize,
    blocks: usize,
    x: &[ActivationQ8K],
    out: &mut Outputs<'_>,
) {
    matmul_blocks(w, first, blocks, x, out, |w: &B| {
        let w = w.unpack();
        move |x: &ActivationQ8K| product_super(&w, x, B::MINIMA)
    });
}

/// Contribution of a block of 256 to a sum.
#[must_use]
#[inline(always)]
pub fn product_super(w: &Super, x: &ActivationQ8K, minima: bool) -> f32 {
    let (mut sum, mut minimum) = (0i32, 0i32);
    let groups = w.q.as_chunks::<GROUP>().0.iter();
    let groups = groups.zip(x.q.as_chunks::<GROUP>().0);
    for (g, (w_q, x_q)) in groups.enumerate() {
        let scale = i32::from(w.scales[g]);
        sum = sum.wrapping_add(scale.wrapping_mul(dot_i8(w_q, x_q)));
        let product = i32::from(w.minima[g]).wrapping_mul(i32::from(x.sums[g]));
        minimum = minimum.wrapping_add(product);
    }
    let product = sum as f32 * (w.d * x.d);
    if minima {
        product - minimum as f32 * (w.d_min * x.d)
    } else {
        product
    }
}

/// Each row adds its blocks in ascending order. A block is unpacked once for all tokens of a batch, which are at most
/// [`MAX_BATCH`]. `w` has the rows from `first`.
fn matmul_blocks<W, X, P: Fn(&X) -> f32>(
    w: &[W],
    first: usize,
    blocks: usize,
    x: &[X],
    out: &mut Outputs<'_>,
    unpack: impl Fn(&W) -> P,
) {
    let tokens = x.len() / blocks;
    debug_assert!(tokens <= MAX_BATCH);
    for (r, row) in w.chunks_exact(blocks).enumerate() {
        let mut sums = [0.0f32; MAX_BATCH];
        let sums = &mut sums[..tokens];
        for (b, w) in row.iter().enumerate() {
            let product = unpack(w);
            for (sum, x) in sums.iter_mut().zip(x.chunks_exact(blocks)) {
                *sum += product(&x[b]);
            }
        }
        for (t, sum) in sums.iter().enumerate() {
            out.token(t)[first + r] = *sum;
        }
    }
}

/// Exact Σ a\[i\] · b\[i\] over at most 256 elements: at most 256 · 128 · 128, well within an i32.
#[must_use]
pub fn dot_i8<const N: usize>(a: &[i8; N], b: &[i8; N]) -> i32 {
    a.iter().zip(b).fold(0, |sum: i32, (&a, &b)| {
        sum.wrapping_add(i32::from(i16::from(a).wrapping_mul(i16::from(b))))
    })
}

/// LayerNorm: x\[i\] becomes ((x\[i\] − mean x) / √(variance(x) + ε)) · w\[i\], without its bias.
#[inline(always)]
pub fn layer_norm(x: &mut [f32], weight: &[f32], epsilon: f32) {
    let n = x.len() as f32;
    let mean = sum(x) / n;
    let variance = sum_of(x, x, |v, _| (v - mean) * (v - mean)) / n;
    let scale = 1.0 / libm::sqrtf(variance + epsilon);
    for (v, w) in x.iter_mut().zip(weight) {
        *v = ((*v - mean) * scale) * w;
    }
}

/// RMSNorm: x\[i\] becomes (x\[i\] / √(mean(x²) + ε)) · w\[i\].
#[inline(always)]
pub fn rms_norm(x: &mut [f32], weight: &[f32], epsilon: f32) {
    let mean = dot_f32(x, x) / x.len() as f32;
    let scale = 1.0 / libm::sqrtf(mean + epsilon);
    for (v, w) in x.iter_mut().zip(weight) {
        *v = (*v * scale) * w;
    }
}

/// The largest value, in any order: by lanes, so that a compiler can keep them in vectors.
#[inline(always)]
pub(super) fn max(x: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (x, tail) = x.as_chunks::<LANES>();
    for x in x {
        for (lane, x) in lanes.iter_mut().zip(x) {
            *lane = larger(*lane, *x);
        }
    }
    let lanes = lanes.iter().chain(tail);
    lanes.fold(f32::NEG_INFINITY, |max, x| larger(max, *x))
}

/// Softmax without its division: x becomes exp(x − max x), and their sum is returned. The first `hidden` are excluded
/// and become 0.
#[inline(always)]
pub fn softmax_numerators(x: &mut [f32], hidden: usize) -> f32 {
    let (before, seen) = x.split_at_mut(hidden);
    let max = max(seen);
    before.fill(0.0);
    for v in seen {
        *v = exp(*v - max);
    }
    sum(x)
}

/// Soft-capping: x becomes c · tanh(x / c), tanh(u) = 1 − 2 / (exp(2u) + 1).
#[inline(always)]
pub fn soft_cap(x: &mut [f32], cap: f32) {
    let inverse = 1.0 / cap;
    for x in x {
        let u = *x * inverse;
        *x = cap * (1.0 - 2.0 / (exp(2.0 * u) + 1.0));
    }
}

/// x\[i\] becomes x\[i\] · s.
#[inline(always)]
pub fn scale(x: &mut [f32], s: f32) {
    for x in x {
        *x *= s;
    }
}

/// SwiGLU: gate\[i\] becomes silu(gate\[i\]) · up\[i\], silu(x) = x / (1 + exp(−x)).
#[inline(always)]
pub fn swiglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = (*gate / (1.0 + exp(-*gate))) * up;
    }
}

/// SiLU: x becomes x / (1 + exp(−x)).
#[inline(always)]
pub fn silu(x: &mut [f32]) {
    for x in x {
        *x /= 1.0 + exp(-*x);
    }
}

/// GELU in the tanh form: x/2 · (1 + tanh(√(2/π) · x · (1 + 0.044715 x²))), which is x / (1 + exp(−2u)) with
/// u the argument of tanh.
#[inline(always)]
fn gelu_of(x: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    let u = SQRT_2_OVER_PI * x * (1.0 + 0.044_715 * x * x);
    x / (1.0 + exp(-2.0 * u))
}

/// GELU of each element.
#[inline(always)]
pub fn gelu(x: &mut [f32]) {
    for x in x {
        *x = gelu_of(*x);
    }
}

/// GeGLU: gate\[i\] becomes gelu(gate\[i\]) · up\[i\].
#[inline(always)]
pub fn geglu(gate: &mut [f32], up: &[f32]) {
    for (gate, up) in gate.iter_mut().zip(up) {
        *gate = gelu_of(*gate) * up;
    }
}

/// RoPE: rotates the pairs of each head, which has `size` elements, by their angles, given as cosine and sine. Elements
/// beyond the pairs are unchanged. Pair i is elements 2i and 2i + 1, or with `halves` i and i + n for n angles.
#[inline(always)]
pub fn rotate(heads: &mut [f32], size: usize, angles: &[[f32; 2]], halves: bool) {
    let turned = |a: f32, b: f32, [cos, sin]: [f32; 2]| [a * cos - b * sin, a * sin + b * cos];
    for head in heads.chunks_exact_mut(size) {
        if halves {
            let (low, high) = head.split_at_mut(angles.len());
            for ((a, b), angle) in low.iter_mut().zip(high).zip(angles) {
                [*a, *b] = turned(*a, *b, *angle);
            }
        } else {
            for (pair, angle) in head.as_chunks_mut::<2>().0.iter_mut().zip(angles) {
                *pair = turned(pair[0], pair[1], *angle);
            }
        }
    }
}

/// First half of an adapter's product: t\[j\] = (Σ_c a\[j\]\[c\] · x\[c\]) · scale, each sum in the canonical order.
/// `a` is \[rank, columns\].
#[inline(always)]
pub fn adapter_down(a: &[f32], x: &[f32], scale: f32, t: &mut [f32]) {
    for (a, t) in a.chunks_exact(x.len()).zip(t) {
        *t = dot_f32(a, x) * scale;
    }
}

/// Second half: y\[i\] += Σ_j b\[j\]\[i\] · t\[j\], with the sum formed in ascending order before it is added. `b` is
/// \[rank, rows\], the transpose of the file's matrix.
#[inline(always)]
pub fn adapter_up(b: &[f32], t: &[f32], y: &mut [f32]) {
    let rows = y.len();
    let (wide, tail) = y.as_chunks_mut::<LANES>();
    for (chunk, y) in wide.iter_mut().enumerate() {
        let mut sums = [0.0f32; LANES];
        for (b, t) in b.chunks_exact(rows).zip(t) {
            for (sum, b) in sums.iter_mut().zip(&b[chunk * LANES..][..LANES]) {
                *sum += b * t;
            }
        }
        add(y, &sums);
    }
    let done = rows - tail.len();
    for (i, y) in tail.iter_mut().enumerate() {
        let terms = b.chunks_exact(rows).zip(t).map(|(b, t)| b[done + i] * t);
        *y += terms.fold(0.0, |sum, term| sum + term);
    }
}

/// x\[i\] += y\[i\].
#[inline(always)]
pub fn add(x: &mut [f32], y: &[f32]) {
    for (x, y) in x.iter_mut().zip(y) {
        *x += y;
    }
}

/// exp(x) to about 1 ulp, without branches that SIMD could not follow. Arguments are clamped to −87.3…88.3, where the
/// result is normal. Cephes' `expf` (Moshier): x = n ln 2 + r, a polynomial of degree 5 in r, times 2ⁿ.
#[must_use]
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    const LOG2_E: f32 = core::f32::consts::LOG2_E;
    // ln 2 in two parts; the first has so few bits that n times it is exact.
    const LN2_HIGH: f32 = 355.0 / 512.0;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    // 1.5 · 2²³: adding it rounds to the nearest integer.
    const ROUND: f32 = 12_582_912.0;
    let x = if x > 88.3 { 88.3 } else { x };
    let x = if x < -87.3 { -87.3 } else { x };
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
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
    // The low bits of `shifted` are n; a conversion would be slower.
    y * f32::from_bits(shifted.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::formats::{BlockQ6K, BlockQ8_0, F32};
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
}
