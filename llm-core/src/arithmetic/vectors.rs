//! What is done to one vector: norms, activations, rotations, softmax, adapters.

use super::sums::{LANES, dot_f32, max, sum, sum_of};
use half::f16;

/// Converts a finite f16 to f32 without branches: sign, exponent and mantissa are moved into place, and 2¹¹² times that
/// is exact, even for subnormals.
#[must_use]
#[inline(always)]
pub fn finite(x: f16) -> f32 {
    const POWER: f32 = f32::from_bits((127 + 112) << 23);
    // The shift copies the sign into the upper bits of the exponent, too.
    let bits = (i32::from(x.to_bits() as i16) << 13) as u32;
    f32::from_bits(bits & 0x8FFF_E000) * POWER
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
