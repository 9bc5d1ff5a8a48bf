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
    quantize_row_by(ty, x, None, out)
}

/// As [`quantize_row`]; with the importance of each column, an error counts by that of its column, as in ggml's
/// quantisers with an importance matrix (`quantize_row_*_impl`). Q8_0, Q8_1, the ternary types and floats have nothing to
/// choose.
///
/// # Errors
/// See [`QuantizeError`].
pub fn quantize_row_by(
    ty: TensorType,
    x: &[f32],
    importance: Option<&[f32]>,
    out: &mut [u8],
) -> Result<(), QuantizeError> {
    check_row(ty, x.len(), out.len())?;
    let non_finite = QuantizeError::NonFinite(ty.name());
    max_magnitude(x).map_err(|_| non_finite)?;
    let columns = x.len();
    let importance = match importance {
        Some(of) if of.len() != columns => {
            let got = of.len();
            return Err(QuantizeError::Importance { got, columns });
        }
        Some(of) => Some(Importance {
            of,
            row: mean_square(x),
        }),
        None => None,
    };
    let done = on_type!(ty,
        float F => {
            let mut pairs = x.iter().zip(out.chunks_exact_mut(F::BYTES));
            pairs.try_for_each(|(x, out)| F::encode(*x, out))
        },
        small B => each(x, importance, out, <B as SmallBlock>::encode),
        large B => each(x, importance, out, <B as SuperBlock>::encode),
    );
    done.ok_or(non_finite)
}

/// Turns every `N` values into a block; `None` if a scale is not finite.
fn each<const N: usize, B: IntoBytes + zerocopy::Immutable>(
    x: &[f32],
    importance: Option<Importance<'_>>,
    out: &mut [u8],
    block: impl Fn(&[f32; N], Option<Importance<'_>>) -> Option<B>,
) -> Option<()> {
    let blocks = x.as_chunks::<N>().0.iter().enumerate();
    for ((n, x), out) in blocks.zip(out.chunks_exact_mut(size_of::<B>())) {
        let importance = importance.map(|importance| importance.part(n * N, N));
        out.copy_from_slice(block(x, importance)?.as_bytes());
    }
    Some(())
}

/// How much the columns of some values matter.
#[derive(Clone, Copy, Debug)]
pub struct Importance<'i> {
    /// Of each column, the mean square of what it is multiplied with.
    of: &'i [f32],
    /// Mean square of the whole row's values.
    pub(super) row: f32,
}

impl<'i> Importance<'i> {
    /// Of some of the columns.
    pub(super) fn part(self, first: usize, count: usize) -> Self {
        let of = self.of.get(first..first + count).unwrap_or(&[]);
        Self { of, ..self }
    }

    /// The columns' importance itself.
    pub(super) fn plain(self) -> &'i [f32] {
        self.of
    }

    /// How much errors of `x` count: a large value's more, in the measure of `square`, the mean square of its
    /// surroundings.
    pub(super) fn of<const N: usize>(self, x: &[f32; N], square: f32) -> [f32; N] {
        core::array::from_fn(|i| {
            let of = self.of.get(i).copied().unwrap_or(0.0);
            of * libm::sqrtf(square + x[i] * x[i])
        })
    }
}

/// Mean of the squares.
pub(super) fn mean_square(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |sum, x| sum + x * x) / x.len().max(1) as f32
}

/// Sum.
pub(super) fn sum(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |sum, x| sum + x)
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
    /// … and so many times more …
    pub(super) steps: u32,
    /// … this.
    pub(super) step: f32,
    /// Whether errors count by magnitude, and not squared.
    pub(super) absolute: bool,
}

impl Search {
    /// The finer one that ggml has with an importance matrix.
    pub(super) const fn fine(max: i32) -> Self {
        Self {
            max,
            first: -0.9,
            steps: 36,
            step: 0.05,
            absolute: false,
        }
    }
}

/// What [`fit_affine`] finds: x is about scale · q − minimum.
#[derive(Clone, Copy)]
pub(super) struct Affine {
    pub(super) scale: f32,
    /// At least 0.
    pub(super) minimum: f32,
    /// The integers were (x − from) · inverse, rounded: those of the best trial, not those nearest to its scale.
    inverse: f32,
    from: f32,
}

impl Affine {
    /// The integers.
    pub(super) fn levels<const N: usize>(&self, x: &[f32; N], max: i32) -> [u8; N] {
        x.map(|x| nearest(self.inverse * (x - self.from), 0, max) as u8)
    }
}

/// The scale and the minimum (as a number to subtract, at least 0) for which s · q − m with q in
/// 0…max comes nearest to `x`, errors weighted. ggml's `make_qkx2_quants` and `make_qkx3_quants`.
pub(super) fn fit_affine(x: &[f32], weights: &[f32], search: Search) -> Affine {
    let (min, max) = range(x);
    let mut min = if min > 0.0 { 0.0 } else { min };
    let mut best_trial = (0.0, min);
    if max <= min {
        return Affine {
            scale: 0.0,
            minimum: -min,
            inverse: 0.0,
            from: min,
        };
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
    best_trial.0 = plain;
    let mut scale = 1.0 / plain;
    let mut best = error(scale, min, &quantised(plain, min));
    for step in 0..=search.steps {
        // From the best minimum so far.
        let trial = (search.first + search.step * step as f32 + search.max as f32) / (max - min);
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
                best_trial = (trial, min);
                (best, scale, min) = (this, this_scale, this_min);
            }
        }
    }
    Affine {
        scale,
        minimum: -min,
        inverse: best_trial.0,
        from: best_trial.1,
    }
}

/// What [`fit_symmetric`] finds.
#[derive(Clone, Copy)]
pub(super) struct Symmetric {
    pub(super) scale: f32,
    /// The integers were x · inverse, rounded: those of the best trial, not those nearest to its scale.
    inverse: f32,
}

impl Symmetric {
    /// The integers, `max` added.
    pub(super) fn levels<const N: usize>(&self, x: &[f32; N], max: i32) -> [u8; N] {
        x.map(|x| (nearest(self.inverse * x, -max, max - 1) + max) as u8)
    }
}

/// The scale for which s · q with q in −max…max − 1 comes nearest to `x`, errors weighted.
/// ggml's `make_qx_quants`, which weighs by x² if nobody says.
pub(super) fn fit_symmetric(x: &[f32], weights: &[f32], max: i32) -> Symmetric {
    let extreme = extreme(x);
    if extreme.abs() < ZERO_GROUP {
        return Symmetric {
            scale: 0.0,
            inverse: 0.0,
        };
    }
    let sums = |inverse: f32| {
        let pairs = x.iter().zip(weights);
        pairs.fold((0.0f32, 0.0f32), |(sum_lx, sum_l2), (&x, &w)| {
            let l = nearest(inverse * x, -max, max - 1) as f32;
            (sum_lx + w * x * l, sum_l2 + w * l * l)
        })
    };
    let mut inverse = -(max as f32) / extreme;
    let (sum_lx, sum_l2) = sums(inverse);
    let mut scale = if sum_l2 == 0.0 { 0.0 } else { sum_lx / sum_l2 };
    let mut best = scale * sum_lx;
    for step in (-9..=9).filter(|&step| step != 0) {
        let trial = -(max as f32 + 0.1 * step as f32) / extreme;
        let (sum_lx, sum_l2) = sums(trial);
        if sum_l2 > 0.0 && sum_lx * sum_lx > best * sum_l2 {
            inverse = trial;
            scale = sum_lx / sum_l2;
            best = scale * sum_lx;
        }
    }
    Symmetric { scale, inverse }
}

/// The scale and the integers in 0…max for which s · q comes nearest to values that are not negative, errors weighted:
/// scales of groups as multiples of one. ggml's `make_qp_quants`.
pub(super) fn fit_positive<const N: usize>(
    x: &[f32; N],
    weights: &[f32; N],
    max: i32,
) -> (f32, [u8; N]) {
    let largest = largest(x);
    if largest < ZERO_GROUP {
        return (0.0, [0; N]);
    }
    let pairs = || x.iter().zip(weights);
    let error = |inverse: f32| {
        let scale = 1.0 / inverse;
        pairs().fold(0.0f32, |sum, (&x, &w)| {
            let difference = x - scale * nearest(inverse * x, 0, max) as f32;
            sum + w * difference * difference
        })
    };
    let mut inverse = max as f32 / largest;
    let mut best = error(inverse);
    for step in (-4..=4).filter(|&step| step != 0) {
        let trial = (0.1 * step as f32 + max as f32) / largest;
        let this = error(trial);
        if this < best {
            (best, inverse) = (this, trial);
        }
    }
    let mut levels = x.map(|x| nearest(inverse * x, 0, max) as f32);
    let (mut sum_lx, mut sum_l2) = (0.0f32, 0.0f32);
    for ((&x, &w), l) in pairs().zip(levels) {
        sum_lx += w * x * l;
        sum_l2 += w * l * l;
    }
    for _ in 0..5 {
        let mut changed = false;
        for ((&x, &w), level) in pairs().zip(&mut levels) {
            let mut without_lx = sum_lx - w * x * *level;
            let mut without_l2 = sum_l2 - w * *level * *level;
            if without_lx > 0.0 && without_l2 > 0.0 {
                let new = nearest(x * without_l2 / without_lx, 0, max) as f32;
                if new != *level {
                    without_lx += w * x * new;
                    without_l2 += w * new * new;
                    if without_lx * without_lx * sum_l2 > sum_lx * sum_lx * without_l2 {
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
    let scale = if sum_l2 > 0.0 { sum_lx / sum_l2 } else { 0.0 };
    (scale, levels.map(|level| level as u8))
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

/// The scale for which s · t with t of a table comes nearest to `x`, errors weighted. Scales are tried that take
/// the extreme to the table's first value, or up to seven beside it. ggml's `quantize_row_iq4_nl_impl`.
pub(super) fn fit_table(x: &[f32; BLOCK], weights: &[f32; BLOCK], table: &[i8; 16]) -> f32 {
    let extreme = extreme(x);
    if extreme.abs() < ZERO_GROUP {
        return 0.0;
    }
    let first = f32::from(table[0]);
    let sums = |inverse: f32| {
        let pairs = x.iter().zip(weights);
        pairs.fold((0.0f32, 0.0f32), |(sum_qx, sum_q2), (&x, &w)| {
            let q = f32::from(table[usize::from(nearest_in(table, inverse * x))]);
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

/// What Q4_K and Q5_K have in common: eight groups of 32. `search` is for weights without an importance.
pub(super) fn wide(
    x: &[f32; SUPER_BLOCK],
    importance: Option<Importance<'_>>,
    search: Search,
) -> Option<Wide> {
    let groups = x.as_chunks::<BLOCK>().0;
    let (mut scales, mut minima) = ([0.0; WIDE_GROUPS], [0.0; WIDE_GROUPS]);
    let mut sums = [0.0; WIDE_GROUPS];
    for (g, group) in groups.iter().enumerate() {
        let (weights, search) = match importance {
            Some(importance) => {
                let part = importance.part(g * BLOCK, BLOCK);
                let weights = part.of(group, 2.0 * mean_square(x));
                (weights, Search::fine(search.max))
            }
            None => {
                let average = libm::sqrtf(mean_square(group));
                (group.map(|x| average + x.abs()), search)
            }
        };
        let fitted = fit_affine(group, &weights, search);
        (scales[g], minima[g], sums[g]) = (fitted.scale, fitted.minimum, sum(&weights));
    }
    let code = |values: &[f32; WIDE_GROUPS]| {
        if importance.is_some() {
            return fit_positive(values, &sums, 63);
        }
        let max = largest(values);
        let inverse = if max > 0.0 { 63.0 / max } else { 0.0 };
        (
            max / 63.0,
            values.map(|value| nearest(inverse * value, 0, 63) as u8),
        )
    };
    let ((d, scales), (d_min, minima)) = (code(&scales), code(&minima));
    let mut packed = [0u8; 12];
    for g in 0..WIDE_GROUPS {
        let (scale, minimum) = (scales[g], minima[g]);
        if g < 4 {
            packed[g] = scale;
            packed[g + 4] = minimum;
        } else {
            packed[g + 4] = (scale & 15) | ((minimum & 15) << 4);
            packed[g - 4] |= (scale >> 4) << 6;
            packed[g] |= (minimum >> 4) << 6;
        }
    }
    let (d, d_min) = (half(d)?, half(d_min)?);
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
