//! Block formats of GGUF: how they are laid out, how weights and activations are turned into them,
//! and back.
//!
//! | format | values | bytes | value of element i |
//! |---|---|---|---|
//! | F32, F16 | 1 | 4, 2 | itself |
//! | Q8_0 | 32 | 34 | d · q\[i\], q in −128…127 |
//! | Q4_0 | 32 | 18 | d · (q\[i\] − 8), q in 0…15; low nibbles are elements 0…15, high nibbles 16…31 |
//!
//! d is an f16. Source: ggml's `ggml-common.h` and the reference quantisers of `ggml-quants.c`.
//! *Activations* are quantised by [`quantize_activations`]: like ggml's Q8_0, but rounded to
//! nearest even, and a block below 1e-30 is zero (`docs/numerics.md`).

use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Elements of one Q8_0 or Q4_0 block.
pub const BLOCK: usize = 32;

/// A block whose largest magnitude is below this is zero.
const ZERO_BLOCK: f32 = 1e-30;

/// How a tensor's elements are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TensorType {
    /// IEEE binary32.
    F32,
    /// IEEE binary16.
    F16,
    /// 4 bits in blocks of 32 with one scale.
    Q4_0,
    /// 8 bits in blocks of 32 with one scale.
    Q8_0,
}

impl TensorType {
    /// Every type that the engine knows.
    pub const ALL: [Self; 4] = [Self::F32, Self::F16, Self::Q4_0, Self::Q8_0];

    /// The type with this number in a GGUF file.
    #[must_use]
    pub const fn from_ggml(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::F32),
            1 => Some(Self::F16),
            2 => Some(Self::Q4_0),
            8 => Some(Self::Q8_0),
            _ => None,
        }
    }

    /// Its number in a GGUF file.
    #[must_use]
    pub const fn to_ggml(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 8,
        }
    }

    /// Its name in ggml.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::Q4_0 => "Q4_0",
            Self::Q8_0 => "Q8_0",
        }
    }

    /// Elements of one block; a row is a whole number of blocks.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::F32 | Self::F16 => 1,
            Self::Q4_0 | Self::Q8_0 => BLOCK,
        }
    }

    /// Bytes of one block.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::Q4_0 => size_of::<BlockQ4_0>(),
            Self::Q8_0 => size_of::<BlockQ8_0>(),
        }
    }

    /// Bytes of a row of `columns` elements; `None` if it is no whole number of blocks.
    #[must_use]
    pub const fn row_bytes(self, columns: usize) -> Option<usize> {
        if columns.is_multiple_of(self.block_len()) {
            (columns / self.block_len()).checked_mul(self.block_bytes())
        } else {
            None
        }
    }
}

/// 32 values of 8 bits and their scale.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct BlockQ8_0 {
    /// f16 scale, little endian.
    pub d: [u8; 2],
    /// Values.
    pub qs: [i8; BLOCK],
}

/// 32 values of 4 bits and their scale.
#[derive(
    Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct BlockQ4_0 {
    /// f16 scale, little endian.
    pub d: [u8; 2],
    /// Element i in the low nibble of byte i, element i + 16 in its high nibble.
    pub qs: [u8; BLOCK / 2],
}

impl BlockQ8_0 {
    /// The scale.
    #[must_use]
    pub fn scale(&self) -> f32 {
        f16::from_le_bytes(self.d).to_f32()
    }
}

impl BlockQ4_0 {
    /// The scale.
    #[must_use]
    pub fn scale(&self) -> f32 {
        f16::from_le_bytes(self.d).to_f32()
    }

    /// The values, −8…7.
    #[must_use]
    pub fn values(&self) -> [i8; BLOCK] {
        let mut values = [0; BLOCK];
        let (low, high) = values.split_at_mut(BLOCK / 2);
        for ((low, high), q) in low.iter_mut().zip(high).zip(self.qs) {
            *low = (q & 15) as i8 - 8;
            *high = (q >> 4) as i8 - 8;
        }
        values
    }
}

/// One block of quantised activations: what Q8_0 holds, with the scale as the f32 that its f16
/// stands for.
#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct ActivationQ8 {
    /// Scale, already rounded to f16.
    pub d: f32,
    /// Values, −127…127.
    pub qs: [i8; BLOCK],
}

/// A value is infinite or no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a value is not finite")]
pub struct NonFinite;

/// Largest magnitude of `x`, found in the integer order of the bits, which is that of the numbers
/// and puts infinity and NaN on top.
///
/// # Errors
/// A value is not finite.
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

/// Nearest integer, ties to even, of a value below 2²² in magnitude: adding 1.5 · 2²³ leaves no
/// bits for a fraction, and IEEE addition rounds to nearest even.
fn round_even(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0;
    (x + MAGIC) - MAGIC
}

/// Quantises activations as they meet Q8_0 and Q4_0 weights; `x.len()` = 32 · `out.len()`.
///
/// # Errors
/// A value or a scale is not finite.
pub fn quantize_activations(x: &[f32], out: &mut [ActivationQ8]) -> Result<(), NonFinite> {
    debug_assert_eq!(x.len(), out.len() * BLOCK);
    for (x, block) in x.chunks_exact(BLOCK).zip(out) {
        let max = max_magnitude(x)?;
        if max < ZERO_BLOCK {
            *block = ActivationQ8 {
                d: 0.0,
                qs: [0; BLOCK],
            };
            continue;
        }
        block.d = f16::from_f32(max / 127.0).to_f32();
        if !block.d.is_finite() {
            return Err(NonFinite);
        }
        let inverse = 127.0 / max;
        for (q, &v) in block.qs.iter_mut().zip(x) {
            *q = round_even(v * inverse) as i8;
        }
    }
    Ok(())
}

/// Why a row was not quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantizeError {
    /// The row is no whole number of blocks.
    #[error("a row of {columns} values is no whole number of blocks of {block}")]
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

/// Quantises weights to `ty` as ggml's reference quantisers do (Q8_0: d = max/127, rounded half
/// away from zero; Q4_0: d = the value of largest magnitude / −8).
///
/// # Errors
/// See [`QuantizeError`].
pub fn quantize_row(ty: TensorType, x: &[f32], out: &mut [u8]) -> Result<(), QuantizeError> {
    check_row(ty, x.len(), out.len())?;
    let non_finite = QuantizeError::NonFinite(ty.name());
    max_magnitude(x).map_err(|_| non_finite)?;
    match ty {
        TensorType::F32 => {
            for (out, v) in out.chunks_exact_mut(4).zip(x) {
                out.copy_from_slice(&v.to_le_bytes());
            }
        }
        TensorType::F16 => {
            for (out, &v) in out.chunks_exact_mut(2).zip(x) {
                let v = f16::from_f32(v);
                if !v.is_finite() {
                    return Err(non_finite);
                }
                out.copy_from_slice(&v.to_le_bytes());
            }
        }
        TensorType::Q8_0 => {
            for (out, x) in out
                .chunks_exact_mut(size_of::<BlockQ8_0>())
                .zip(x.chunks_exact(BLOCK))
            {
                let d = max_magnitude(x).map_err(|_| non_finite)? / 127.0;
                let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
                let (scale, qs) = out.split_at_mut(2);
                scale.copy_from_slice(&finite_f16(d).ok_or(non_finite)?);
                for (q, &v) in qs.iter_mut().zip(x) {
                    *q = libm::roundf(v * inverse) as i8 as u8;
                }
            }
        }
        TensorType::Q4_0 => {
            for (out, x) in out
                .chunks_exact_mut(size_of::<BlockQ4_0>())
                .zip(x.chunks_exact(BLOCK))
            {
                let mut extreme = 0.0f32;
                for &v in x {
                    if v.abs() > extreme.abs() {
                        extreme = v;
                    }
                }
                let d = extreme / -8.0;
                let inverse = if d == 0.0 { 0.0 } else { 1.0 / d };
                let (scale, qs) = out.split_at_mut(2);
                scale.copy_from_slice(&finite_f16(d).ok_or(non_finite)?);
                let nibble = |v: f32| ((v * inverse + 8.5) as u8).min(15);
                let (low, high) = x.split_at(BLOCK / 2);
                for ((q, &low), &high) in qs.iter_mut().zip(low).zip(high) {
                    *q = nibble(low) | nibble(high) << 4;
                }
            }
        }
    }
    Ok(())
}

fn finite_f16(value: f32) -> Option<[u8; 2]> {
    let rounded = f16::from_f32(value);
    rounded.is_finite().then(|| rounded.to_le_bytes())
}

/// Writes the values of a stored row; `row` holds `out.len()` elements of type `ty`.
///
/// # Errors
/// The lengths do not go together.
pub fn dequantize_row(ty: TensorType, row: &[u8], out: &mut [f32]) -> Result<(), QuantizeError> {
    check_row(ty, out.len(), row.len())?;
    match ty {
        TensorType::F32 => {
            for (out, bytes) in out.iter_mut().zip(row.as_chunks::<4>().0) {
                *out = f32::from_le_bytes(*bytes);
            }
        }
        TensorType::F16 => {
            for (out, bytes) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                *out = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        TensorType::Q8_0 => {
            for (out, block) in out.chunks_exact_mut(BLOCK).zip(blocks::<BlockQ8_0>(row)) {
                let d = block.scale();
                for (out, &q) in out.iter_mut().zip(&block.qs) {
                    *out = d * f32::from(q);
                }
            }
        }
        TensorType::Q4_0 => {
            for (out, block) in out.chunks_exact_mut(BLOCK).zip(blocks::<BlockQ4_0>(row)) {
                let d = block.scale();
                for (out, q) in out.iter_mut().zip(block.values()) {
                    *out = d * f32::from(q);
                }
            }
        }
    }
    Ok(())
}

/// The blocks of a stored row; bytes after the last whole block are left out.
#[must_use]
pub fn blocks<B: FromBytes + Immutable + KnownLayout + Unaligned>(row: &[u8]) -> &[B] {
    let whole = row.len() - row.len() % size_of::<B>();
    // Whole blocks of an unaligned type: the cast cannot fail.
    <[B]>::ref_from_bytes(&row[..whole]).unwrap_or(&[])
}

/// Whether every value (for blocks: every scale) of a stored tensor is finite.
#[must_use]
pub fn is_finite(ty: TensorType, bytes: &[u8]) -> bool {
    match ty {
        TensorType::F32 => bytes
            .as_chunks::<4>()
            .0
            .iter()
            .all(|bytes| f32::from_le_bytes(*bytes).is_finite()),
        TensorType::F16 => bytes
            .as_chunks::<2>()
            .0
            .iter()
            .all(|bytes| f16::from_le_bytes(*bytes).is_finite()),
        TensorType::Q8_0 => blocks::<BlockQ8_0>(bytes)
            .iter()
            .all(|b| b.scale().is_finite()),
        TensorType::Q4_0 => blocks::<BlockQ4_0>(bytes)
            .iter()
            .all(|b| b.scale().is_finite()),
    }
}

#[cfg(test)]
mod tests {
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
    fn block_sizes_are_those_of_ggml() {
        let sizes = TensorType::ALL.map(|ty| (ty.block_len(), ty.block_bytes()));
        assert_eq!(sizes, [(1, 4), (1, 2), (32, 18), (32, 34)]);
        for ty in TensorType::ALL {
            assert_eq!(TensorType::from_ggml(ty.to_ggml()), Some(ty));
        }
        assert_eq!(TensorType::Q8_0.row_bytes(33), None);
    }

    #[test]
    fn nibbles_are_where_ggml_has_them() {
        let block = BlockQ4_0 {
            d: f16::from_f32(0.5).to_le_bytes(),
            qs: core::array::from_fn(|i| i as u8 | 0xF0),
        };
        let values = block.values();
        assert_eq!(
            (values[0], values[15], values[16], values[31]),
            (-8, 7, 7, 7)
        );
    }

    #[test]
    fn ties_round_to_even_in_activations() {
        let mut x = [0.0; BLOCK];
        x[0] = 127.0;
        (x[1], x[2], x[3], x[4]) = (0.5, 1.5, 2.5, -0.5);
        let mut out = [ActivationQ8 {
            d: 0.0,
            qs: [0; BLOCK],
        }];
        quantize_activations(&x, &mut out).unwrap();
        assert_eq!(out[0].d, 1.0);
        assert_eq!(out[0].qs[..5], [127, 0, 2, 2, 0]);
    }

    #[test]
    fn a_tiny_block_is_zero_and_a_non_finite_one_an_error() {
        let mut out = [ActivationQ8 {
            d: 1.0,
            qs: [1; BLOCK],
        }];
        quantize_activations(&[9e-31; BLOCK], &mut out).unwrap();
        assert_eq!(
            out[0],
            ActivationQ8 {
                d: 0.0,
                qs: [0; BLOCK]
            }
        );
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
                    // Q4_0 has no +8: values at the other end are clipped by one step. The f16
                    // scale adds 2⁻¹¹ of the magnitude.
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
            let mut out = [ActivationQ8 { d: 0.0, qs: [0; BLOCK] }];
            quantize_activations(&x, &mut out).unwrap();
            let max = max_magnitude(&x).unwrap();
            for (&q, &v) in out[0].qs.iter().zip(&x) {
                prop_assert!((f64::from(q) - f64::from(v) * 127.0 / f64::from(max)).abs() <= 0.5001);
                prop_assert!(q != -128);
            }
        }

        #[test]
        fn any_floats_are_quantised_or_refused(bits in prop::collection::vec(any::<u32>(), BLOCK)) {
            let x: Vec<f32> = bits.iter().map(|b| f32::from_bits(*b)).collect();
            let mut out = [ActivationQ8 { d: 0.0, qs: [0; BLOCK] }];
            let finite = x.iter().all(|v| v.is_finite());
            if quantize_activations(&x, &mut out).is_ok() {
                prop_assert!(finite && out[0].d.is_finite());
            }
            for ty in TensorType::ALL {
                let mut bytes = vec![0; ty.row_bytes(BLOCK).unwrap()];
                if quantize_row(ty, &x, &mut bytes).is_ok() {
                    prop_assert!(finite && is_finite(ty, &bytes));
                }
            }
        }
    }
}
