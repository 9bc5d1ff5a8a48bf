//! Q5_K: x = d · s · code − d_min · m, with a scale s and a minimum m of six bits for each group of 32.

use core::mem::offset_of;
use crate::quantize::blocks::{
    BLOCK, Block, Code, F16Bytes, SUPER_BLOCK, Scales, SuperBlock, bit, block, nibble, six_bits,
};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{Search, Wide, pack_bit, pack_nibbles, wide};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 256 values of 5 bits in 8 groups of 32.
    BlockQ5K {
        /// Scale of the scales.
        d: F16Bytes,
        /// Scale of the minima.
        d_min: F16Bytes,
        /// 8 scales and 8 minima of 6 bits.
        scales: [u8; 12],
        /// Bit g of byte i is the fifth bit of element i + 32 g.
        qh: [u8; SUPER_BLOCK / 8],
        /// The lower four: of each 64 elements, the first 32 in low nibbles, the others in the high nibbles.
        qs: [u8; SUPER_BLOCK / 2],
    }
}

impl Block for BlockQ5K {
    const NUMBER: u32 = 13;
    const NAME: &'static str = "Q5_K";
    const LOW: usize = 4;
    const HIGH: usize = 1;
    const CODE: Code = Code::Minus(0);
    const FLOATS: &[usize] = &[offset_of!(Self, d), offset_of!(Self, d_min)];
}

impl SuperBlock for BlockQ5K {
    const GROUP: usize = BLOCK;
    const MINIMA: bool = true;
    const SCALE_BYTES: usize = 12;

    fn scale_bytes(&self) -> &[u8] {
        &self.scales
    }

    #[inline(always)]
    fn scales<const R: usize>(bytes: &[[u8; R]]) -> Scales<R> {
        six_bits(bytes)
    }

    fn codes(&self) -> [u8; SUPER_BLOCK] {
        core::array::from_fn(|i| nibble(&self.qs, i) | bit(&self.qh, i) << 4)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; SUPER_BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        let Wide {
            d,
            d_min,
            scales,
            q,
        } = wide(
            x,
            importance,
            Search {
                max: 31,
                first: -0.5,
                steps: 15,
                step: 0.1,
            absolute: false,
            },
        )?;
        Some(Self {
            d,
            d_min,
            scales,
            qh: pack_bit(&q, 4),
            qs: pack_nibbles(&q),
        })
    }
}
