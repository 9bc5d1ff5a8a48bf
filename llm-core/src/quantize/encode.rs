//! Weights to blocks, for tools and tests: the engine itself only reads them.
//!
//! The same searches as ggml's reference quantisers (`quantize_row_*_ref` of `ggml-quants.c`), with the
//! same roundings. Small blocks take their scale from the extremes. The k-quants search: for each group
//! a scale (and a minimum) is fitted to the values by weighted least squares, for several trial
//! roundings; the scales are then rounded to their few bits, and the values once more to what those
//! stand for.

use super::blocks::{
    BLOCK, F16Bytes, FloatType, GROUP, SUPER_BLOCK, SmallBlock, SuperBlock, float, six_bits,
};
use super::types::on_type;
use super::{QuantizeError, TensorType, check_row, max_magnitude, round_even};
use half::f16;
use zerocopy::IntoBytes;

/// Groups whose largest magnitude is below this are zero, as in ggml.
pub(super) const ZERO_GROUP: f32 = 1e-15;

/// Groups of 32 in a block of 256.
const WIDE_GROUPS: usize = SUPER_BLOCK / BLOCK;

/// Quantises weights to `ty` as ggml's reference quantisers do.
///
/// # Errors
/// See [`QuantizeError`].
pub fn quantize_row(ty: TensorType, x: &[f32], out: &mut [u8]) -> Result<(), QuantizeError> {
    check_row(ty, x.len(), out.len())?;
    let non_finite = QuantizeError::NonFinite(ty.name());
    max_magnitude(x).map_err(|_| non_finite)?;
    let done = on_type!(ty,
        float F => {
            let mut pairs = x.iter().zip(out.chunks_exact_mut(F::BYTES));
            pairs.try_for_each(|(x, out)| F::encode(*x, out))
        },
        small B => each(x, out, <B as SmallBlock>::encode),
        large B => each(x, out, <B as SuperBlock>::encode),
    );
    done.ok_or(non_finite)
}

/// Turns every `N` values into a block; `None` if a scale is not finite.
fn each<const N: usize, B: IntoBytes + zerocopy::Immutable>(
    x: &[f32],
    out: &mut [u8],
    block: impl Fn(&[f32; N]) -> Option<B>,
) -> Option<()> {
    for (x, out) in x
        .as_chunks::<N>()
        .0
        .iter()
        .zip(out.chunks_exact_mut(size_of::<B>()))
    {
        out.copy_from_slice(block(x)?.as_bytes());
    }
    Some(())
}

/// An f16, if it is finite.
pub(super) fn half(value: f32) -> Option<F16Bytes> {
    let rounded = f16::from_f32(value);
    rounded.is_finite().then(|| rounded.to_le_bytes())
}

/// 1/x, and 0 for 0.
pub(super) fn inverse(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { 1.0 / x }
}

/// The nearest integer from `low` to `high`, ties to even.
pub(super) fn nearest(x: f32, low: i32, high: i32) -> i32 {
    // Clamped before the rounding, which is exact for small numbers only; NaN becomes 0.
    (round_even(x.clamp(-4e6, 4e6)) as i32).clamp(low, high)
}

/// The value of largest magnitude, the first of equals.
pub(super) fn extreme(x: &[f32]) -> f32 {
    x.iter().fold(
        0.0,
        |max: f32, &x| if x.abs() > max.abs() { x } else { max },
    )
}

pub(super) fn range(x: &[f32]) -> (f32, f32) {
    x.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| {
        (
            if x < low { x } else { low },
            if x > high { x } else { high },
        )
    })
}

/// The low nibbles of 32 values: the first 16 low, the others high.
pub(super) fn pack_halves(q: &[u8; BLOCK]) -> [u8; BLOCK / 2] {
    core::array::from_fn(|i| (q[i] & 15) | ((q[i + BLOCK / 2] & 15) << 4))
}

/// The fifth bits of 32 values.
pub(super) fn fifth_bits(q: &[u8; BLOCK]) -> [u8; 4] {
    let bits = (0..)
        .zip(q)
        .fold(0u32, |bits, (i, &q)| bits | (u32::from((q >> 4) & 1) << i));
    bits.to_le_bytes()
}

/// How [`fit_affine`] searches.
#[derive(Clone, Copy)]
pub(super) struct Search {
    /// Largest integer.
    pub(super) max: i32,
    /// The trial roundings use `max` plus this …
    pub(super) first: f32,
    /// … and this many tenths more.
    pub(super) steps: u32,
    /// Whether errors count by magnitude, and not squared.
    pub(super) absolute: bool,
}

/// The scale and the minimum (as a number to subtract, at least 0) for which s · q − m with q in
/// 0…max comes nearest to `x`, errors weighted. ggml's `make_qkx2_quants`.
pub(super) fn fit_affine(x: &[f32], weights: &[f32], search: Search) -> (f32, f32) {
    let (min, max) = range(x);
    let mut min = if min > 0.0 { 0.0 } else { min };
    if max == min {
        return (0.0, -min);
    }
    let pairs = || x.iter().zip(weights).map(|(&x, &w)| (x, w));
    let (sum_w, sum_x) = pairs().fold((0.0, 0.0), |(sum_w, sum_x), (x, w)| {
        (sum_w + w, sum_x + w * x)
    });
    let quantised =
        |scale: f32, min: f32| move |x: f32| nearest(scale * (x - min), 0, search.max) as f32;
    let error = |scale: f32, min: f32, to: &dyn Fn(f32) -> f32| {
        pairs().fold(0.0, |sum, (x, w)| {
            let difference = scale * to(x) + min - x;
            sum + w * if search.absolute {
                difference.abs()
            } else {
                difference * difference
            }
        })
    };
    let plain = search.max as f32 / (max - min);
    let mut scale = 1.0 / plain;
    let mut best = error(scale, min, &quantised(plain, min));
    for step in 0..=search.steps {
        // From the best minimum so far.
        let trial = (search.first + 0.1 * step as f32 + search.max as f32) / (max - min);
        let to = quantised(trial, min);
        let (mut sum_l, mut sum_l2, mut sum_xl) = (0.0f32, 0.0f32, 0.0f32);
        for (x, w) in pairs() {
            let l = to(x);
            sum_l += w * l;
            sum_l2 += w * l * l;
            sum_xl += w * l * x;
        }
        let determinant = sum_w * sum_l2 - sum_l * sum_l;
        // Also false for NaN.
        if determinant > 0.0 {
            let mut this_scale = (sum_w * sum_xl - sum_x * sum_l) / determinant;
            let mut this_min = (sum_l2 * sum_x - sum_l * sum_xl) / determinant;
            if this_min > 0.0 {
                this_min = 0.0;
                this_scale = sum_xl / sum_l2;
            }
            let this = error(this_scale, this_min, &to);
            if this < best {
                (best, scale, min) = (this, this_scale, this_min);
            }
        }
    }
    (scale, -min)
}

/// The scale for which s · q with q in −max…max − 1 comes nearest to `x`, errors weighted by x².
/// ggml's `make_qx_quants`.
pub(super) fn fit_symmetric(x: &[f32], max: i32) -> f32 {
    let extreme = extreme(x);
    if extreme.abs() < ZERO_GROUP {
        return 0.0;
    }
    let sums = |inverse: f32| {
        x.iter().fold((0.0f32, 0.0f32), |(sum_lx, sum_l2), &x| {
            let l = nearest(inverse * x, -max, max - 1) as f32;
            let w = x * x;
            (sum_lx + w * x * l, sum_l2 + w * l * l)
        })
    };
    let (sum_lx, sum_l2) = sums(-(max as f32) / extreme);
    let mut scale = if sum_l2 == 0.0 { 0.0 } else { sum_lx / sum_l2 };
    let mut best = scale * sum_lx;
    for step in (-9..=9).filter(|&step| step != 0) {
        let (sum_lx, sum_l2) = sums(-(max as f32 + 0.1 * step as f32) / extreme);
        if sum_l2 > 0.0 && sum_lx * sum_lx > best * sum_l2 {
            scale = sum_lx / sum_l2;
            best = scale * sum_lx;
        }
    }
    scale
}

/// As [`fit_symmetric`], for so few values that each is tried where it fits best, in turns. ggml's
/// `make_q3_quants`.
pub(super) fn fit_few(x: &[f32; GROUP], max: i32) -> f32 {
    let extreme = extreme(x);
    if extreme.abs() < ZERO_GROUP {
        return 0.0;
    }
    let inverse = -(max as f32) / extreme;
    let mut levels = x.map(|x| nearest(inverse * x, -max, max - 1) as f32);
    let (mut sum_lx, mut sum_l2) = (0.0f32, 0.0f32);
    for (&x, l) in x.iter().zip(levels) {
        let w = x * x;
        sum_lx += w * x * l;
        sum_l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut changed = false;
        for (&x, level) in x.iter().zip(&mut levels) {
            let w = x * x;
            let mut without_lx = sum_lx - w * x * *level;
            if without_lx > 0.0 {
                let mut without_l2 = sum_l2 - w * *level * *level;
                let new = nearest(x * without_l2 / without_lx, -max, max - 1) as f32;
                if new != *level {
                    without_lx += w * x * new;
                    without_l2 += w * new * new;
                    if without_l2 > 0.0
                        && without_lx * without_lx * sum_l2 > sum_lx * sum_lx * without_l2
                    {
                        (*level, sum_lx, sum_l2) = (new, without_lx, without_l2);
                        changed = true;
                    }
                }
            }
        }
        if !changed {
            break;
        }
    }
    if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 }
}

/// Where the table has the value nearest to `x`, the lower of two that are as near.
pub(super) fn nearest_in(table: &[i8; 16], x: f32) -> u8 {
    let above = table.iter().position(|&value| x < f32::from(value));
    match above {
        Some(0) => 0,
        None => 15,
        Some(above) => {
            let [low, high] = [table[above - 1], table[above]].map(f32::from);
            if x - low < high - x {
                above as u8 - 1
            } else {
                above as u8
            }
        }
    }
}

/// The scale for which s · t with t of a table comes nearest to `x`, errors weighted by x². Scales are tried that take
/// the extreme to the table's first value, or up to seven beside it. ggml's `quantize_row_iq4_nl_impl`.
pub(super) fn fit_table(x: &[f32; BLOCK], table: &[i8; 16]) -> f32 {
    let extreme = extreme(x);
    if extreme.abs() < ZERO_GROUP {
        return 0.0;
    }
    let first = f32::from(table[0]);
    let sums = |inverse: f32| {
        x.iter().fold((0.0f32, 0.0f32), |(sum_qx, sum_q2), &x| {
            let q = f32::from(table[usize::from(nearest_in(table, inverse * x))]);
            let w = x * x;
            (sum_qx + w * q * x, sum_q2 + w * q * q)
        })
    };
    let (sum_qx, sum_q2) = sums(1.0 / (-extreme / first));
    let mut scale = if sum_q2 > 0.0 { sum_qx / sum_q2 } else { 0.0 };
    let mut best = scale * sum_qx;
    for step in -7..=7 {
        let (sum_qx, sum_q2) = sums((step as f32 + first) / extreme);
        if sum_q2 > 0.0 && sum_qx * sum_qx > best * sum_q2 {
            scale = sum_qx / sum_q2;
            best = scale * sum_qx;
        }
    }
    scale
}

/// Weights as −1, 0 and 1 times the largest magnitude, which comes first; 1 is added to them.
pub(super) fn ternary(x: &[f32; SUPER_BLOCK]) -> (f32, [u8; SUPER_BLOCK]) {
    let d = extreme(x).abs();
    let inverse = inverse(d);
    (d, x.map(|x| (libm::roundf(x * inverse) + 1.0) as u8))
}

/// Largest of some values that are not negative.
pub(super) fn largest(values: &[f32]) -> f32 {
    values
        .iter()
        .fold(0.0, |max, &x| if x > max { x } else { max })
}

/// The integers of a group whose scale is `d` and whose minimum is `m`.
pub(super) fn levels(
    x: &[f32],
    d: f32,
    m: f32,
    low: i32,
    high: i32,
) -> impl Iterator<Item = i32> + '_ {
    x.iter().map(move |&x| {
        if d == 0.0 {
            0
        } else {
            nearest((x + m) / d, low, high)
        }
    })
}

/// Of each half of a block, elements i, i + 32, i + 64 and i + 96 in one byte, two bits each.
pub(super) fn pack_pairs(q: &[u8; SUPER_BLOCK]) -> [u8; SUPER_BLOCK / 4] {
    core::array::from_fn(|byte| {
        let first = byte / 32 * 128 + byte % 32;
        (0..4).fold(0, |packed, part| {
            packed | ((q[first + part * 32] & 3) << (2 * part))
        })
    })
}

/// Of each 64 elements, the first 32 in low nibbles and the others in high ones.
pub(super) fn pack_nibbles(q: &[u8; SUPER_BLOCK]) -> [u8; SUPER_BLOCK / 2] {
    core::array::from_fn(|byte| {
        let first = byte / 32 * 64 + byte % 32;
        (q[first] & 15) | ((q[first + 32] & 15) << 4)
    })
}

/// Bit `bit` of every element: of element i + 32 g as bit g of byte i.
pub(super) fn pack_bit(q: &[u8; SUPER_BLOCK], bit: u32) -> [u8; SUPER_BLOCK / 8] {
    core::array::from_fn(|byte| {
        (0..8).fold(0, |packed, group| {
            packed | (((q[byte + 32 * group] >> bit) & 1) << group)
        })
    })
}

/// Scales of a Q4_K or Q5_K block, packed, and its integers.
pub(super) struct Wide {
    pub(super) d: F16Bytes,
    pub(super) d_min: F16Bytes,
    pub(super) scales: [u8; 12],
    pub(super) q: [u8; SUPER_BLOCK],
}

/// What Q4_K and Q5_K have in common: eight groups of 32.
pub(super) fn wide(x: &[f32; SUPER_BLOCK], search: Search) -> Option<Wide> {
    let groups = x.as_chunks::<BLOCK>().0;
    let (mut scales, mut minima) = ([0.0; WIDE_GROUPS], [0.0; WIDE_GROUPS]);
    for ((group, scale), minimum) in groups.iter().zip(&mut scales).zip(&mut minima) {
        let squares = group.iter().fold(0.0, |sum, x| sum + x * x);
        let average = libm::sqrtf(squares / BLOCK as f32);
        (*scale, *minimum) = fit_affine(group, &group.map(|x| average + x.abs()), search);
    }
    let (max_scale, max_minimum) = (largest(&scales), largest(&minima));
    let code = |value: f32, max: f32| {
        let inverse = if max > 0.0 { 63.0 / max } else { 0.0 };
        nearest(inverse * value, 0, 63) as u8
    };
    let mut packed = [0u8; 12];
    for g in 0..WIDE_GROUPS {
        let (scale, minimum) = (code(scales[g], max_scale), code(minima[g], max_minimum));
        if g < 4 {
            packed[g] = scale;
            packed[g + 4] = minimum;
        } else {
            packed[g + 4] = (scale & 15) | ((minimum & 15) << 4);
            packed[g - 4] |= (scale >> 4) << 6;
            packed[g] |= (minimum >> 4) << 6;
        }
    }
    let (d, d_min) = (half(max_scale / 63.0)?, half(max_minimum / 63.0)?);
    let codes = six_bits(packed.as_chunks::<1>().0);
    let mut q = [0; SUPER_BLOCK];
    let parts = groups.iter().zip(q.chunks_exact_mut(BLOCK));
    for ((x, q), (scale, minimum)) in parts.zip(codes.scales.iter().zip(codes.minima)) {
        let (d, m) = (
            float(d) * f32::from(scale[0]),
            float(d_min) * f32::from(minimum[0]),
        );
        for (q, level) in q.iter_mut().zip(levels(x, d, m, 0, search.max)) {
            *q = level as u8;
        }
    }
    Some(Wide {
        d,
        d_min,
        scales: packed,
        q,
    })
}
