//! The block formats of GGUF, bit by bit.
//!
//! Every block unpacks to the same picture: integers q of at most 8 bits in the order of the row,
//! for each group of them an integer scale s (and, in some formats, an integer minimum m), and one or
//! two floats that scale those. What an element stands for is d · s · q − d_min · m. The kernels
//! and [`super::dequantize_row`] know only that picture.
//!
//! Source of the layouts: ggml's `ggml-common.h` and the functions `dequantize_row_*` of
//! `ggml-quants.c`.

use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Elements of a small block.
pub const BLOCK: usize = 32;

/// Elements of a block of the k-quants.
pub const SUPER_BLOCK: usize = 256;

/// Elements of the smallest group that a k-quant scales on its own.
pub const GROUP: usize = 16;

/// Groups in a block of the k-quants.
pub const GROUPS: usize = SUPER_BLOCK / GROUP;

/// A little-endian f16.
pub type F16Bytes = [u8; 2];

fn float(bytes: F16Bytes) -> f32 {
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
    pub minima: [u8; GROUPS],
    /// Integers.
    pub q: [i8; SUPER_BLOCK],
}

/// A block of 32.
pub trait SmallBlock: FromBytes + Immutable + KnownLayout + Unaligned {
    /// Its floats: scale and offset.
    fn floats(&self) -> [f32; 2];

    /// Its content.
    fn unpack(&self) -> Small;
}

/// A block of 256.
pub trait SuperBlock: FromBytes + Immutable + KnownLayout + Unaligned {
    /// Its floats: scale of the scales and of the minima.
    fn floats(&self) -> [f32; 2];

    /// Its content.
    fn unpack(&self) -> Super;
}

macro_rules! block {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $ty:ty,)* }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
        )]
        #[repr(C)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $ty,)*
        }
    };
}

block! {
    /// 32 values of 4 bits, 8 subtracted.
    BlockQ4_0 {
        /// Scale.
        d: F16Bytes,
        /// Element i in the low nibble of byte i, element i + 16 in its high nibble.
        qs: [u8; BLOCK / 2],
    }
}

block! {
    /// 32 values of 4 bits.
    BlockQ4_1 {
        /// Scale.
        d: F16Bytes,
        /// Offset.
        m: F16Bytes,
        /// As in [`BlockQ4_0`].
        qs: [u8; BLOCK / 2],
    }
}

block! {
    /// 32 values of 5 bits, 16 subtracted.
    BlockQ5_0 {
        /// Scale.
        d: F16Bytes,
        /// Bit i is the fifth bit of element i.
        qh: [u8; 4],
        /// The lower four, as in [`BlockQ4_0`].
        qs: [u8; BLOCK / 2],
    }
}

block! {
    /// 32 values of 5 bits.
    BlockQ5_1 {
        /// Scale.
        d: F16Bytes,
        /// Offset.
        m: F16Bytes,
        /// As in [`BlockQ5_0`].
        qh: [u8; 4],
        /// As in [`BlockQ5_0`].
        qs: [u8; BLOCK / 2],
    }
}

block! {
    /// 32 values of 8 bits.
    BlockQ8_0 {
        /// Scale.
        d: F16Bytes,
        /// Values.
        qs: [i8; BLOCK],
    }
}

block! {
    /// 32 values of 8 bits, and d times their sum, which nothing needs here.
    BlockQ8_1 {
        /// Scale.
        d: F16Bytes,
        /// d · Σ q.
        s: F16Bytes,
        /// Values.
        qs: [i8; BLOCK],
    }
}

block! {
    /// 256 values of 2 bits in 16 groups.
    BlockQ2K {
        /// Scales in the low nibbles, minima in the high ones.
        scales: [u8; GROUPS],
        /// Elements i, i + 32, i + 64 and i + 96 of each half are in one byte, from its low bits up.
        qs: [u8; SUPER_BLOCK / 4],
        /// Scale of the scales.
        d: F16Bytes,
        /// Scale of the minima.
        d_min: F16Bytes,
    }
}

block! {
    /// 256 values of 3 bits in 16 groups, 4 subtracted.
    BlockQ3K {
        /// Bit b of byte i is the third bit of element i + 32 b.
        hmask: [u8; SUPER_BLOCK / 8],
        /// The lower two, as in [`BlockQ2K`].
        qs: [u8; SUPER_BLOCK / 4],
        /// 16 scales of 6 bits, 32 subtracted: low nibbles in the first 8 bytes, high pairs in the last
        /// 4.
        scales: [u8; 12],
        /// Scale of the scales.
        d: F16Bytes,
    }
}

block! {
    /// 256 values of 4 bits in 8 groups of 32.
    BlockQ4K {
        /// Scale of the scales.
        d: F16Bytes,
        /// Scale of the minima.
        d_min: F16Bytes,
        /// 8 scales and 8 minima of 6 bits: see [`six_bits`].
        scales: [u8; 12],
        /// Of each 64 elements, the first 32 in low nibbles, the others in the high nibbles.
        qs: [u8; SUPER_BLOCK / 2],
    }
}

block! {
    /// 256 values of 5 bits in 8 groups of 32.
    BlockQ5K {
        /// Scale of the scales.
        d: F16Bytes,
        /// Scale of the minima.
        d_min: F16Bytes,
        /// As in [`BlockQ4K`].
        scales: [u8; 12],
        /// Bit g of byte i is the fifth bit of element i + 32 g.
        qh: [u8; SUPER_BLOCK / 8],
        /// The lower four, as in [`BlockQ4K`].
        qs: [u8; SUPER_BLOCK / 2],
    }
}

block! {
    /// 256 values of 6 bits in 16 groups, 32 subtracted.
    BlockQ6K {
        /// Lower four bits; of each 128 elements, the first 64 in low nibbles.
        ql: [u8; SUPER_BLOCK / 2],
        /// Upper two; of each 128 elements, i, i + 32, i + 64 and i + 96 in one byte.
        qh: [u8; SUPER_BLOCK / 4],
        /// Scales of the groups.
        scales: [i8; GROUPS],
        /// Scale of the scales.
        d: F16Bytes,
    }
}

/// The low nibbles of 16 bytes, then the high ones.
fn nibbles(qs: &[u8; BLOCK / 2]) -> [i8; BLOCK] {
    core::array::from_fn(|i| {
        let byte = qs[i % (BLOCK / 2)];
        (if i < BLOCK / 2 { byte & 15 } else { byte >> 4 }) as i8
    })
}

/// [`nibbles`], each with its fifth bit.
fn five_bits(qs: &[u8; BLOCK / 2], qh: [u8; 4]) -> [i8; BLOCK] {
    let (low, high) = (nibbles(qs), u32::from_le_bytes(qh));
    core::array::from_fn(|i| low[i] | (((high >> i) & 1) << 4) as i8)
}

fn minus(q: [i8; BLOCK], offset: i8) -> [i8; BLOCK] {
    q.map(|q| q - offset)
}

impl SmallBlock for BlockQ4_0 {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), 0.0]
    }

    fn unpack(&self) -> Small {
        let [d, m] = self.floats();
        let q = minus(nibbles(&self.qs), 8);
        Small { d, m, q }
    }
}

impl SmallBlock for BlockQ4_1 {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), float(self.m)]
    }

    fn unpack(&self) -> Small {
        let [d, m] = self.floats();
        let q = nibbles(&self.qs);
        Small { d, m, q }
    }
}

impl SmallBlock for BlockQ5_0 {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), 0.0]
    }

    fn unpack(&self) -> Small {
        let [d, m] = self.floats();
        let q = minus(five_bits(&self.qs, self.qh), 16);
        Small { d, m, q }
    }
}

impl SmallBlock for BlockQ5_1 {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), float(self.m)]
    }

    fn unpack(&self) -> Small {
        let [d, m] = self.floats();
        let q = five_bits(&self.qs, self.qh);
        Small { d, m, q }
    }
}

impl SmallBlock for BlockQ8_0 {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), 0.0]
    }

    fn unpack(&self) -> Small {
        let [d, m] = self.floats();
        let q = self.qs;
        Small { d, m, q }
    }
}

impl SmallBlock for BlockQ8_1 {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), 0.0]
    }

    fn unpack(&self) -> Small {
        let [d, m] = self.floats();
        let q = self.qs;
        Small { d, m, q }
    }
}

/// Two bits of each element: of each half of the block, 32 bytes hold four times 32 elements.
fn pairs(qs: &[u8; SUPER_BLOCK / 4], i: usize) -> u8 {
    (qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3
}

/// Nibbles of each element: of each 64, 32 bytes hold the first 32 low and the others high.
fn nibble(qs: &[u8; SUPER_BLOCK / 2], i: usize) -> u8 {
    (qs[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4)) & 15
}

/// The eight scales and eight minima of 6 bits that 12 bytes hold: the first four of each are in the
/// low bits of bytes 0…3 and 4…7; of the others, the lower nibbles are in bytes 8…11 (scales low,
/// minima high) and the upper pairs in the two high bits of bytes 0…7.
#[must_use]
pub fn six_bits(packed: &[u8; 12]) -> ([u8; 8], [u8; 8]) {
    let half = |first: usize, shift: u32| {
        core::array::from_fn(|i| {
            if i < 4 {
                packed[first + i] & 63
            } else {
                ((packed[4 + i] >> shift) & 15) | ((packed[first + i - 4] >> 6) << 4)
            }
        })
    };
    (half(0, 0), half(4, 4))
}

/// Scales and minima of eight groups of 32 as those of sixteen groups of 16.
fn doubled(packed: &[u8; 12]) -> ([i8; GROUPS], [u8; GROUPS]) {
    let (scales, minima) = six_bits(packed);
    (
        core::array::from_fn(|g| scales[g / 2] as i8),
        core::array::from_fn(|g| minima[g / 2]),
    )
}

impl SuperBlock for BlockQ2K {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), float(self.d_min)]
    }

    fn unpack(&self) -> Super {
        let [d, d_min] = self.floats();
        Super {
            d,
            d_min,
            scales: self.scales.map(|s| (s & 15) as i8),
            minima: self.scales.map(|s| s >> 4),
            q: core::array::from_fn(|i| pairs(&self.qs, i) as i8),
        }
    }
}

impl SuperBlock for BlockQ3K {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), 0.0]
    }

    fn unpack(&self) -> Super {
        let [d, d_min] = self.floats();
        let scale = |g: usize| {
            let low = (self.scales[g % 8] >> (g / 8 * 4)) & 15;
            let high = (self.scales[8 + g % 4] >> (g / 4 * 2)) & 3;
            (low | (high << 4)) as i8 - 32
        };
        let value = |i: usize| {
            let high = (self.hmask[i % 32] >> (i / 32)) & 1;
            (pairs(&self.qs, i) | (high << 2)) as i8 - 4
        };
        Super {
            d,
            d_min,
            scales: core::array::from_fn(scale),
            minima: [0; GROUPS],
            q: core::array::from_fn(value),
        }
    }
}

impl SuperBlock for BlockQ4K {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), float(self.d_min)]
    }

    fn unpack(&self) -> Super {
        let [d, d_min] = self.floats();
        let (scales, minima) = doubled(&self.scales);
        let q = core::array::from_fn(|i| nibble(&self.qs, i) as i8);
        Super {
            d,
            d_min,
            scales,
            minima,
            q,
        }
    }
}

impl SuperBlock for BlockQ5K {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), float(self.d_min)]
    }

    fn unpack(&self) -> Super {
        let [d, d_min] = self.floats();
        let (scales, minima) = doubled(&self.scales);
        let value = |i: usize| {
            let high = (self.qh[i % 32] >> (i / 32)) & 1;
            (nibble(&self.qs, i) | (high << 4)) as i8
        };
        Super {
            d,
            d_min,
            scales,
            minima,
            q: core::array::from_fn(value),
        }
    }
}

impl SuperBlock for BlockQ6K {
    fn floats(&self) -> [f32; 2] {
        [float(self.d), 0.0]
    }

    fn unpack(&self) -> Super {
        let [d, d_min] = self.floats();
        let value = |i: usize| {
            let low = (self.ql[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4)) & 15;
            (low | (pairs(&self.qh, i) << 4)) as i8 - 32
        };
        Super {
            d,
            d_min,
            scales: self.scales,
            minima: [0; GROUPS],
            q: core::array::from_fn(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_those_of_ggml() {
        assert_eq!(
            [
                size_of::<BlockQ4_0>(),
                size_of::<BlockQ4_1>(),
                size_of::<BlockQ5_0>(),
                size_of::<BlockQ5_1>(),
                size_of::<BlockQ8_0>(),
                size_of::<BlockQ8_1>(),
                size_of::<BlockQ2K>(),
                size_of::<BlockQ3K>(),
                size_of::<BlockQ4K>(),
                size_of::<BlockQ5K>(),
                size_of::<BlockQ6K>(),
            ],
            [18, 20, 22, 24, 34, 36, 84, 110, 144, 176, 210]
        );
    }

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
    fn six_bits_are_found_in_both_halves() {
        // Scale and minimum g are 2g + 33 and 2g + 34, packed as ggml's quantisers do.
        let (scale, minimum) = (|g: u8| 2 * g + 33, |g: u8| 2 * g + 34);
        let mut packed = [0u8; 12];
        for g in 0..8 {
            let (s, m, at) = (scale(g), minimum(g), g as usize);
            if g < 4 {
                packed[at] = s;
                packed[at + 4] = m;
            } else {
                packed[at + 4] = (s & 15) | ((m & 15) << 4);
                packed[at - 4] |= (s >> 4) << 6;
                packed[at] |= (m >> 4) << 6;
            }
        }
        let (scales, minima) = six_bits(&packed);
        assert_eq!(scales, core::array::from_fn(|g| scale(g as u8)));
        assert_eq!(minima, core::array::from_fn(|g| minimum(g as u8)));
    }
}
