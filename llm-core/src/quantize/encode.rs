//! Converts weights to blocks, for tools and tests; the engine only reads them.
//!
//! The searches and roundings are those of ggml's reference quantisers (`quantize_row_*_ref` of `ggml-quants.c`). Small
//! blocks take their scale from the extremes. K-quants search: for each group, a scale (and a minimum) is fitted to the
//! values by weighted least squares, for several trial roundings. Then the scales are rounded to their few bits, and
//! the values are rounded again with the rounded scales.

use super::blocks::{
    BLOCK, F16Bytes, FloatType, SUPER_BLOCK, SmallBlock, SuperBlock, float, six_bits,
};
mod fit;

pub(super) use fit::{
    Search, fit_affine, fit_few, fit_positive, fit_symmetric, fit_table, nearest_in,
};

use super::importance::Importance;
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

/// Like [`quantize_row`], with errors weighted by the importance of their columns, as in ggml's quantisers with an
/// importance matrix (`quantize_row_*_impl`). Q8_0, Q8_1, the ternary types and floats have nothing to choose.
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
        Some(of) => Some(Importance::new(of, mean_square(x))),
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

/// Mean of the squares.
pub(super) fn mean_square(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |sum, x| sum + x * x) / x.len().max(1) as f32
}

/// Sum.
pub(super) fn sum(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |sum, x| sum + x)
}

/// Converts to f16; `None` if that is not finite.
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
    // Clamped before rounding, which is exact only for small numbers; NaN becomes 0.
    (round_even(x.clamp(-4e6, 4e6)) as i32).clamp(low, high)
}

/// The value of largest magnitude, or the first of several.
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

/// Packs 32 nibbles: the first 16 low, the others high.
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

/// Weights as −1, 0 and 1 times the largest magnitude, which is returned first; 1 is added to the codes.
pub(super) fn ternary(x: &[f32; SUPER_BLOCK]) -> (f32, [u8; SUPER_BLOCK]) {
    let d = extreme(x).abs();
    let inverse = inverse(d);
    (d, x.map(|x| (libm::roundf(x * inverse) + 1.0) as u8))
}

/// The largest of non-negative values.
pub(super) fn largest(values: &[f32]) -> f32 {
    values
        .iter()
        .fold(0.0, |max, &x| if x > max { x } else { max })
}

/// The integers of a group with scale `d` and minimum `m`.
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

/// In each half of a block, puts elements i, i + 32, i + 64 and i + 96 in one byte, two bits each.
pub(super) fn pack_pairs(q: &[u8; SUPER_BLOCK]) -> [u8; SUPER_BLOCK / 4] {
    core::array::from_fn(|byte| {
        let first = byte / 32 * 128 + byte % 32;
        (0..4).fold(0, |packed, part| {
            packed | ((q[first + part * 32] & 3) << (2 * part))
        })
    })
}

/// In each 64 elements, puts the first 32 in low nibbles and the others in high ones.
pub(super) fn pack_nibbles(q: &[u8; SUPER_BLOCK]) -> [u8; SUPER_BLOCK / 2] {
    core::array::from_fn(|byte| {
        let first = byte / 32 * 64 + byte % 32;
        (q[first] & 15) | ((q[first + 32] & 15) << 4)
    })
}

/// Bit `bit` of every element: element i + 32 g goes to bit g of byte i.
pub(super) fn pack_bit(q: &[u8; SUPER_BLOCK], bit: u32) -> [u8; SUPER_BLOCK / 8] {
    core::array::from_fn(|byte| {
        (0..8).fold(0, |packed, group| {
            packed | (((q[byte + 32 * group] >> bit) & 1) << group)
        })
    })
}

/// Packed scales of a Q4_K or Q5_K block, and its integers.
pub(super) struct Wide {
    pub(super) d: F16Bytes,
    pub(super) d_min: F16Bytes,
    pub(super) scales: [u8; 12],
    pub(super) q: [u8; SUPER_BLOCK],
}

/// What Q4_K and Q5_K have in common: eight groups of 32. `search` is used for weights without importance.
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
