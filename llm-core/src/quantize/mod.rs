//! Block formats of GGUF: quantises weights and activations, and dequantises them.
//!
//! | format | values | bytes | value of element i |
//! |---|---|---|---|
//! | F32, F16, BF16 | 1 | 4, 2, 2 | itself |
//! | Q4_0, Q5_0, Q8_0 | 32 | 18, 22, 34 | d · q\[i\] |
//! | Q4_1, Q5_1 | 32 | 20, 24 | d · q\[i\] + m |
//! | Q8_1 | 32 | 36 | d · q\[i\] |
//! | Q2_K, Q4_K, Q5_K | 256 | 84, 144, 176 | d · s\[g\] · q\[i\] − d_min · m\[g\], g the group of i |
//! | Q3_K, Q6_K | 256 | 110, 210 | d · s\[g\] · q\[i\] |
//! | IQ4_NL | 32 | 18 | d · t\[code\[i\]\], t a table |
//! | IQ4_XS | 256 | 136 | d · s\[g\] · t\[code\[i\]\] |
//! | TQ1_0, TQ2_0 | 256 | 54, 66 | d · q\[i\], q of −1, 0, 1 |
//!
//! d, d_min and the m of small blocks are f16. [`blocks`] has the layouts. Source: ggml's
//! `ggml-common.h` and `ggml-quants.c`. *Activations* are quantised by [`quantize_activations`] and
//! [`quantize_activations_k`]: like ggml's Q8_1 and Q8_K, but rounded to nearest even, and a block
//! below 1e-30 is zero (`docs/numerics.md`).

pub mod blocks;
#[cfg(any(test, feature = "encode", feature = "testing"))]
pub mod encode;
pub mod formats;
#[cfg(any(test, feature = "encode", feature = "testing"))]
mod importance;
pub(crate) mod types;

pub use blocks::{BLOCK, GROUP, GROUPS, SUPER_BLOCK};
#[cfg(any(test, feature = "encode", feature = "testing"))]
pub use encode::{quantize_row, quantize_row_by};
#[cfg(any(test, feature = "encode", feature = "testing"))]
pub use importance::Importance;
pub(crate) use types::on_type;
pub use types::{ActivationType, TensorType};

use blocks::{Block, FloatType, Small, SmallBlock, Super, SuperBlock};
use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A block whose largest magnitude is below this is zero.
pub(crate) const ZERO_BLOCK: f32 = 1e-30;

/// 32 quantised activations.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub struct ActivationQ8 {
    /// Values, −127…127.
    pub q: [i8; BLOCK],
    /// Scale, rounded to f16.
    pub d: f32,
    /// The unrounded scale times Σ q, rounded to f16; an offset of the weights is multiplied by it.
    pub s: f32,
    /// Σ q.
    pub sum: i32,
    /// Aligns the values to a vector register, for targets that forbid other loads.
    pub(crate) reserved: [u8; 4],
}

impl ActivationQ8 {
    /// Zeros.
    pub const ZERO: Self = Self {
        q: [0; BLOCK],
        d: 0.0,
        s: 0.0,
        sum: 0,
        reserved: [0; 4],
    };

    /// The values, in units of registers.
    #[inline(always)]
    pub(crate) fn quads(&self) -> &[Quad; 2] {
        let quads: &[Quad; 3] = zerocopy::transmute_ref!(self);
        let (values, _) = quads.split_first_chunk().unwrap_or((&[Quad::ZERO; 2], &[]));
        values
    }
}

/// 256 quantised activations.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub struct ActivationQ8K {
    /// Values, −127…127.
    pub q: [i8; SUPER_BLOCK],
    /// Sum of each group's values.
    pub sums: [i16; GROUPS],
    /// Scale.
    pub d: f32,
    /// As in [`ActivationQ8`].
    pub(crate) reserved: [u8; 12],
}

impl ActivationQ8K {
    /// Zeros.
    pub const ZERO: Self = Self {
        q: [0; SUPER_BLOCK],
        sums: [0; GROUPS],
        d: 0.0,
        reserved: [0; 12],
    };

    /// The values, in units of registers.
    #[inline(always)]
    pub(crate) fn quads(&self) -> &[Quad; GROUPS] {
        let quads: &[Quad; 19] = zerocopy::transmute_ref!(self);
        let (values, _) = quads
            .split_first_chunk()
            .unwrap_or((&[Quad::ZERO; GROUPS], &[]));
        values
    }
}

/// Sixteen bytes aligned to a register. Targets without an operating system are built for strict alignment, where a
/// possibly misaligned load is split into byte loads.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub(crate) struct Quad(pub(crate) [u8; 16]);

impl Quad {
    /// Zeros.
    pub(crate) const ZERO: Self = Self([0; 16]);
}

/// A value is infinite or NaN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value is not finite")]
pub struct NonFinite;

/// Largest magnitude of `x`, found by comparing the bits as integers: that is the order of the numbers, with infinity
/// and NaN at the top.
///
/// # Errors
/// A value is not finite.
#[inline(always)]
pub fn max_magnitude(x: &[f32]) -> Result<f32, NonFinite> {
    let bits = x
        .iter()
        .fold(0, |max, v| (v.to_bits() & 0x7FFF_FFFF).max(max));
    let max = f32::from_bits(bits);
    if max.is_finite() {
        Ok(max)
    } else {
        Err(NonFinite)
    }
}

/// 1.5 · 2²³: added to a value below 2²² in magnitude, it leaves no bits for a fraction; IEEE addition rounds to
/// nearest even, and the low bits are the integer.
const ROUND: f32 = 12_582_912.0;

/// Nearest integer, ties to even, of a value below 2²² in magnitude.
#[cfg(any(test, feature = "encode", feature = "testing"))]
fn round_even(x: f32) -> f32 {
    (x + ROUND) - ROUND
}

/// Converts a value from −127 to 127 to i8.
#[inline(always)]
pub(crate) fn round_to_i8(x: f32) -> i8 {
    (x + ROUND).to_bits() as i8
}

/// Quantises activations for weights in blocks of 32; `x.len()` = 32 · `out.len()`.
///
/// # Errors
/// A value or a scale is not finite.
#[inline(always)]
pub fn quantize_activations(x: &[f32], out: &mut [ActivationQ8]) -> Result<(), NonFinite> {
    debug_assert_eq!(x.len(), out.len() * BLOCK);
    for (x, block) in x.chunks_exact(BLOCK).zip(out) {
        let max = max_magnitude(x)?;
        if max < ZERO_BLOCK {
            *block = ActivationQ8::ZERO;
            continue;
        }
        let d = max / 127.0;
        let inverse = 127.0 / max;
        let mut sum = 0i32;
        for (q, &v) in block.q.iter_mut().zip(x) {
            *q = round_to_i8(v * inverse);
            sum = sum.wrapping_add(i32::from(*q));
        }
        block.sum = sum;
        block.d = f16::from_f32(d).to_f32();
        // This may overflow. Formats without an offset ignore it; with others, the result is detected as infinite.
        block.s = f16::from_f32(sum as f32 * d).to_f32();
        if !block.d.is_finite() {
            return Err(NonFinite);
        }
    }
    Ok(())
}

/// Quantises activations for k-quants; `x.len()` = 256 · `out.len()`.
///
/// # Errors
/// A value is not finite.
#[inline(always)]
pub fn quantize_activations_k(x: &[f32], out: &mut [ActivationQ8K]) -> Result<(), NonFinite> {
    debug_assert_eq!(x.len(), out.len() * SUPER_BLOCK);
    for (x, block) in x.chunks_exact(SUPER_BLOCK).zip(out) {
        let max = max_magnitude(x)?;
        if max < ZERO_BLOCK {
            *block = ActivationQ8K::ZERO;
            continue;
        }
        let inverse = 127.0 / max;
        block.d = 1.0 / inverse;
        for (q, &v) in block.q.iter_mut().zip(x) {
            *q = round_to_i8(v * inverse);
        }
        for (sum, group) in block.sums.iter_mut().zip(block.q.chunks_exact(GROUP)) {
            *sum = group
                .iter()
                .fold(0, |sum: i16, &q| sum.wrapping_add(i16::from(q)));
        }
    }
    Ok(())
}

/// Why a row was not converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantizeError {
    /// The row is not whole blocks.
    #[error("a row of {columns} values is not a whole number of blocks of {block}")]
    RowLength {
        /// Values in the row.
        columns: usize,
        /// Values in a block.
        block: usize,
    },
    /// The output has the wrong size.
    #[error("{got} bytes of room for {needed}")]
    OutputLength {
        /// Bytes given.
        got: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// The number of importances differs from the number of columns.
    #[error("the importance of {got} columns for {columns}")]
    Importance {
        /// Number of importances.
        got: usize,
        /// Values in the row.
        columns: usize,
    },
    /// A value is not finite, or too large for the format.
    #[error("a value is not finite in {0}")]
    NonFinite(&'static str),
}

fn check_row(ty: TensorType, columns: usize, bytes: usize) -> Result<(), QuantizeError> {
    let block = ty.block_len();
    let needed = ty
        .row_bytes(columns)
        .ok_or(QuantizeError::RowLength { columns, block })?;
    if bytes == needed {
        Ok(())
    } else {
        Err(QuantizeError::OutputLength { got: bytes, needed })
    }
}

/// Dequantises a row; `row` holds `out.len()` elements of type `ty`. The operations and their order match ggml's, and
/// so do the bits.
///
/// # Errors
/// The lengths do not match.
pub fn dequantize_row(ty: TensorType, row: &[u8], out: &mut [f32]) -> Result<(), QuantizeError> {
    check_row(ty, out.len(), row.len())?;
    on_type!(ty,
        float F => {
            for (out, bytes) in out.iter_mut().zip(row.chunks_exact(F::BYTES)) {
                *out = F::value(bytes);
            }
        },
        small B => {
            for (out, block) in out.chunks_exact_mut(BLOCK).zip(blocks_of::<B>(row)) {
                block.unpack().values(out);
            }
        },
        large B => {
            for (out, block) in out.chunks_exact_mut(SUPER_BLOCK).zip(blocks_of::<B>(row)) {
                block.unpack().values(out);
            }
        },
    );
    Ok(())
}

impl Small {
    /// The dequantised elements.
    pub(crate) fn values(&self, out: &mut [f32]) {
        for (out, q) in out.iter_mut().zip(self.q) {
            *out = self.d * f32::from(q) + self.m;
        }
    }
}

impl Super {
    /// The dequantised elements.
    pub(crate) fn values(&self, out: &mut [f32]) {
        let groups = out.chunks_exact_mut(GROUP).zip(self.q.chunks_exact(GROUP));
        for ((out, q), (scale, minimum)) in groups.zip(self.scales.iter().zip(self.minima)) {
            let d = self.d * f32::from(*scale);
            let m = self.d_min * f32::from(minimum);
            for (out, &q) in out.iter_mut().zip(q) {
                *out = d * f32::from(q) - m;
            }
        }
    }
}

/// The blocks of a stored row; bytes after the last whole block are ignored.
#[must_use]
pub fn blocks_of<B: FromBytes + Immutable + KnownLayout + Unaligned>(row: &[u8]) -> &[B] {
    let whole = row.len() - row.len() % size_of::<B>();
    // Whole blocks of an unaligned type: the cast cannot fail.
    <[B]>::ref_from_bytes(&row[..whole]).unwrap_or(&[])
}

/// Whether every value (for blocks, every scale) of a stored tensor is finite.
#[must_use]
pub fn is_finite(ty: TensorType, bytes: &[u8]) -> bool {
    on_type!(ty,
        float F => bytes.chunks_exact(F::BYTES).all(|bytes| F::value(bytes).is_finite()),
        small B => blocks_of::<B>(bytes).iter().all(|block| {
            block.floats().iter().take(1 + usize::from(B::OFFSET)).all(|x| x.is_finite())
        }),
        large B => blocks_of::<B>(bytes).iter().all(|block| {
            block.floats().iter().take(1 + usize::from(B::MINIMA)).all(|x| x.is_finite())
        }),
    )
}

#[cfg(test)]
mod tests;
