//! What the block formats have in common.
//!
//! Every block holds scales and *codes* of at most 8 bits in row order. A format implements [`SmallBlock`] or
//! [`SuperBlock`]: where the file has the codes and the scales, and what a code represents. Everything else is derived
//! from that, once for all formats: [`super::dequantize_row`], the reference kernels, the tiles
//! ([`crate::simd::tiles`]) and the kernels of every instruction set.
//!
//! Source of the layouts: ggml's `ggml-common.h` and the functions `dequantize_row_*` of `ggml-quants.c`.

#[cfg(any(test, feature = "encode", feature = "testing"))]
use super::importance::Importance;
use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Elements of a small block.
pub const BLOCK: usize = 32;

/// Elements of a super-block.
pub const SUPER_BLOCK: usize = 256;

/// Elements of the smallest group with its own scale in a super-block.
pub const GROUP: usize = 16;

/// Groups in a super-block.
pub const GROUPS: usize = SUPER_BLOCK / GROUP;

/// A little-endian f16.
pub type F16Bytes = [u8; 2];

pub(super) fn float(bytes: F16Bytes) -> f32 {
    f16::from_le_bytes(bytes).to_f32()
}

/// A block of 32 elements, unpacked: element i is d · q\[i\] + m.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Small {
    /// Scale.
    pub d: f32,
    /// Offset; 0 in formats that have none.
    pub m: f32,
    /// Integers.
    pub q: [i8; BLOCK],
}

/// A block of 256 elements, unpacked: element i is (d · s\[g\]) · q\[i\] − d_min · m\[g\] with g = i / 16.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Super {
    /// Scale of the scales.
    pub d: f32,
    /// Scale of the minima; 0 in formats that have none.
    pub d_min: f32,
    /// Scales of the groups.
    pub scales: [i8; GROUPS],
    /// Minima of the groups.
    pub minima: [i8; GROUPS],
    /// Integers.
    pub q: [i8; SUPER_BLOCK],
}

/// How a code is mapped to the integer q.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The code minus this value: a power of two, or 0.
    Minus(u8),
    /// The code as a signed byte.
    Signed,
    /// The table's entry at the code, which is a nibble.
    Table(&'static [i8; 16]),
}

impl Code {
    /// The integer for a code.
    #[must_use]
    pub const fn value(self, code: u8) -> i8 {
        match self {
            Self::Minus(zero) => code.wrapping_sub(zero) as i8,
            Self::Signed => code as i8,
            Self::Table(table) => table[(code & 15) as usize],
        }
    }

    /// The largest magnitude that a kernel multiplies by: the code before subtraction, or the integer.
    #[must_use]
    pub const fn largest(self, bits: usize) -> i32 {
        match self {
            Self::Minus(_) => (1 << bits) - 1,
            Self::Signed => 128,
            Self::Table(table) => {
                let (mut largest, mut at) = (0, 0);
                while at < table.len() {
                    let value = (table[at] as i32).abs();
                    largest = if value > largest { value } else { largest };
                    at += 1;
                }
                largest
            }
        }
    }
}

/// A type whose elements are floats.
pub trait FloatType {
    /// Number in a GGUF file.
    const NUMBER: u32;
    /// Name in ggml.
    const NAME: &'static str;
    /// Bytes of an element.
    const BYTES: usize;
    /// Whether the two bytes are the upper half of an f32.
    const BRAIN: bool;

    /// The element that [`Self::BYTES`] bytes hold.
    fn value(bytes: &[u8]) -> f32;

    /// The bytes of the nearest element; `None` if it is not finite.
    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(value: f32, out: &mut [u8]) -> Option<()>;
}

/// A type whose elements lie in blocks.
pub trait Block: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned + Copy {
    /// Number in a GGUF file.
    const NUMBER: u32;
    /// Name in ggml.
    const NAME: &'static str;
    /// Bits of a code in a tile's lower plane: 2, 4 or 8. 0 means codes from 0 to 2, five per byte ([`digits`]).
    const LOW: usize;
    /// Bits of a code in a tile's upper plane: 0, 1 or 2.
    const HIGH: usize;
    /// How codes are mapped to integers.
    const CODE: Code;
    /// Offsets of a block's f16 values: its scale, and its offset or the scale of its minima, if any.
    const FLOATS: &'static [usize];

    /// The f16 values of the block; 0 for missing ones.
    fn halves(&self) -> [F16Bytes; 2] {
        let mut halves = [[0; 2]; 2];
        for (half, at) in halves.iter_mut().zip(Self::FLOATS) {
            half.copy_from_slice(&self.as_bytes()[*at..][..2]);
        }
        halves
    }

    /// The f16 values, as floats.
    fn floats(&self) -> [f32; 2] {
        self.halves().map(float)
    }
}

/// A block of 32.
pub trait SmallBlock: Block {
    /// Whether the second float is an offset.
    const OFFSET: bool;

    /// The codes in row order.
    fn codes(&self) -> [u8; BLOCK];

    /// The unpacked block.
    fn unpack(&self) -> Small {
        let [d, m] = self.floats();
        let m = if Self::OFFSET { m } else { 0.0 };
        let q = self.codes().map(|code| Self::CODE.value(code));
        Small { d, m, q }
    }

    /// The nearest block to 32 weights, with errors weighted by the importance of their columns, if given. `None` if a
    /// scale is not finite.
    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; BLOCK], importance: Option<Importance<'_>>) -> Option<Self>;
}

/// The scales and minima of the groups of a super-block, for `R` rows.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Scales<const R: usize> {
    /// Scales, by group and row.
    pub scales: [[i8; R]; GROUPS],
    /// Minima, by group and row.
    pub minima: [[i8; R]; GROUPS],
}

impl<const R: usize> Scales<R> {
    /// Zeros.
    pub const ZERO: Self = Self {
        scales: [[0; R]; GROUPS],
        minima: [[0; R]; GROUPS],
    };
}

/// A block of 256.
pub trait SuperBlock: Block {
    /// Elements that share a scale: 16, 32, or 256 in formats whose only scale is a float.
    const GROUP: usize;
    /// Whether groups have minima, scaled by the second float.
    const MINIMA: bool;
    /// Bytes that hold the scales of the groups.
    const SCALE_BYTES: usize;

    /// The bytes that hold the scales of the groups.
    fn scale_bytes(&self) -> &[u8];

    /// Decodes the scales of 256 / [`Self::GROUP`] groups for `R` rows at once: byte i of row r is `bytes[i][r]`. The
    /// kernels compile it for their vectors.
    fn scales<const R: usize>(bytes: &[[u8; R]]) -> Scales<R>;

    /// The codes in row order.
    fn codes(&self) -> [u8; SUPER_BLOCK];

    /// The unpacked block.
    fn unpack(&self) -> Super {
        let [d, d_min] = self.floats();
        let codes = self.codes();
        let scales = Self::scales::<1>(self.scale_bytes().as_chunks().0);
        let q = codes.map(|code| Self::CODE.value(code));
        let (scales, minima) = by_sixteens::<Self>(&scales);
        Super {
            d,
            d_min: if Self::MINIMA { d_min } else { 0.0 },
            scales,
            minima,
            q,
        }
    }

    /// The nearest block to 256 weights; see [`SmallBlock::encode`].
    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; SUPER_BLOCK], importance: Option<Importance<'_>>) -> Option<Self>;
}

/// Expands scales and minima of groups of any size to groups of 16.
pub(crate) fn by_sixteens<B: SuperBlock>(scales: &Scales<1>) -> ([i8; GROUPS], [i8; GROUPS]) {
    if B::GROUP == SUPER_BLOCK {
        return ([1; GROUPS], [0; GROUPS]);
    }
    let group = |g: usize| g * GROUP / B::GROUP;
    (
        core::array::from_fn(|g| scales.scales[group(g)][0]),
        core::array::from_fn(|g| scales.minima[group(g)][0]),
    )
}

/// Defines a block with the layout that the file has.
macro_rules! block {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, zerocopy::FromBytes, zerocopy::IntoBytes, zerocopy::Immutable,
            zerocopy::KnownLayout, zerocopy::Unaligned,
        )]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
        }
    };
}
pub(super) use block;

/// The low nibbles of 16 bytes, then the high ones.
pub(super) fn nibbles(qs: &[u8; BLOCK / 2]) -> [u8; BLOCK] {
    core::array::from_fn(|i| {
        let byte = qs[i % (BLOCK / 2)];
        if i < BLOCK / 2 { byte & 15 } else { byte >> 4 }
    })
}

/// [`nibbles`], each with its fifth bit.
pub(super) fn five_bits(qs: &[u8; BLOCK / 2], qh: [u8; 4]) -> [u8; BLOCK] {
    let (low, high) = (nibbles(qs), u32::from_le_bytes(qh));
    core::array::from_fn(|i| low[i] | (((high >> i) & 1) << 4) as u8)
}

/// Two bits of each element. In each half of the block, 32 bytes hold four times 32 elements.
pub(super) fn pairs(qs: &[u8; SUPER_BLOCK / 4], i: usize) -> u8 {
    (qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3
}

/// A nibble of each element. In each 64 elements, the first 32 have the low nibbles of 32 bytes, the others the high
/// ones.
pub(super) fn nibble(qs: &[u8; SUPER_BLOCK / 2], i: usize) -> u8 {
    (qs[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4)) & 15
}

/// One bit of each element: bit g of byte i belongs to element i + 32 g.
pub(super) fn bit(qh: &[u8; SUPER_BLOCK / 8], i: usize) -> u8 {
    (qh[i % 32] >> (i / 32)) & 1
}

/// Packs five codes from 0 to 2 into a byte: ⌈256/243 · n⌉, where n is the number with these base-3 digits.
#[must_use]
pub const fn digits(codes: &[u8; 5]) -> u8 {
    let [a, b, c, d, e] = *codes;
    let number = a as u16 * 81 + b as u16 * 27 + c as u16 * 9 + d as u16 * 3 + e as u16;
    (number * 256).div_ceil(243) as u8
}

/// Code `at` of the five in a byte.
#[must_use]
pub const fn digit(byte: u8, at: usize) -> u8 {
    const POWERS: [u8; 5] = [1, 3, 9, 27, 81];
    ((byte.wrapping_mul(POWERS[at]) as u16 * 3) >> 8) as u8
}

/// Where no vectors hold the rows, words do.
pub(crate) const IN_WORDS: bool = cfg!(not(any(target_arch = "x86_64", target_feature = "neon")));

/// The eight 6-bit scales and eight 6-bit minima in 12 bytes, for `R` rows. The first four of each are in the low bits
/// of bytes 0…3 and 4…7. For the others, the lower nibbles are in bytes 8…11 (scales low, minima high) and the upper
/// pairs in the two high bits of bytes 0…7.
#[inline(always)]
pub(super) fn six_bits<const R: usize>(bytes: &[[u8; R]]) -> Scales<R> {
    let mut out = Scales::ZERO;
    let Some(bytes) = bytes.first_chunk::<12>() else {
        return out;
    };
    if IN_WORDS && R.is_multiple_of(8) {
        six_bits_in_words(bytes, &mut out);
        return out;
    }
    for g in 0..4 {
        let [low_scales, low_minima, high] = [&bytes[g], &bytes[g + 4], &bytes[g + 8]];
        for r in 0..R {
            out.scales[g][r] = (low_scales[r] & 63) as i8;
            out.minima[g][r] = (low_minima[r] & 63) as i8;
            out.scales[g + 4][r] = (high[r] & 15 | low_scales[r] >> 6 << 4) as i8;
            out.minima[g + 4][r] = (high[r] >> 4 | low_minima[r] >> 6 << 4) as i8;
        }
    }
    out
}

/// [`six_bits`] of eight rows at a time.
#[inline(always)]
fn six_bits_in_words<const R: usize>(bytes: &[[u8; R]; 12], out: &mut Scales<R>) {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let put = |to: &mut [i8; R], at: usize, word: u64| {
        to.as_chunks_mut::<8>().0[at] = zerocopy::transmute!(word.to_le_bytes());
    };
    for g in 0..4 {
        for at in 0..R / 8 {
            let word = |i: usize| u64::from_le_bytes(bytes[i].as_chunks::<8>().0[at]);
            let [low_scales, low_minima, high] = [word(g), word(g + 4), word(g + 8)];
            let upper = |low: u64| low >> 2 & (48 * EACH);
            put(&mut out.scales[g], at, low_scales & (63 * EACH));
            put(&mut out.minima[g], at, low_minima & (63 * EACH));
            let (scales, minima) = (high & (15 * EACH), high >> 4 & (15 * EACH));
            put(&mut out.scales[g + 4], at, scales | upper(low_scales));
            put(&mut out.minima[g + 4], at, minima | upper(low_minima));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantize::formats::BlockQ4_0;

    #[test]
    fn nibbles_are_where_ggml_has_them() {
        let block = BlockQ4_0 {
            d: f16::from_f32(0.5).to_le_bytes(),
            qs: core::array::from_fn(|i| i as u8 | 0xF0),
        };
        let Small { d, q, .. } = block.unpack();
        assert_eq!((d, q[0], q[15], q[16], q[31]), (0.5, -8, 7, 7, 7));
    }

    #[test]
    fn five_digits_fit_a_byte() {
        for number in 0..243u32 {
            let codes = [81, 27, 9, 3, 1].map(|power| (number / power % 3) as u8);
            let byte = digits(&codes);
            assert_eq!(core::array::from_fn(|at| digit(byte, at)), codes);
        }
    }

    #[test]
    fn six_bits_are_found_in_both_halves() {
        // Scale and minimum g are 2g + 33 and 2g + 34, packed as by ggml's quantisers.
        let (scale, minimum) = (|g: u8| 2 * g + 33, |g: u8| 2 * g + 34);
        let mut packed = [[0u8]; 12];
        for g in 0..8 {
            let (s, m, at) = (scale(g), minimum(g), g as usize);
            if g < 4 {
                packed[at][0] = s;
                packed[at + 4][0] = m;
            } else {
                packed[at + 4][0] = (s & 15) | ((m & 15) << 4);
                packed[at - 4][0] |= (s >> 4) << 6;
                packed[at][0] |= (m >> 4) << 6;
            }
        }
        let unpacked = six_bits(&packed);
        for g in 0..8 {
            let both = (unpacked.scales[g][0], unpacked.minima[g][0]);
            assert_eq!(both, (scale(g as u8) as i8, minimum(g as u8) as i8));
        }
        let rows = packed
            .map(|[byte]| core::array::from_fn::<u8, 8, _>(|r| byte ^ (r as u8).wrapping_mul(37)));
        let mut in_words = Scales::ZERO;
        six_bits_in_words(&rows, &mut in_words);
        for r in 0..8 {
            let row = six_bits(&rows.map(|bytes| [bytes[r]]));
            assert_eq!(in_words.scales.map(|rows| [rows[r]]), row.scales);
            assert_eq!(in_words.minima.map(|rows| [rows[r]]), row.minima);
        }
    }
}
