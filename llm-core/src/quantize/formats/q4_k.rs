//! Q4_K: x = d · s · code − d_min · m, with a scale s and a minimum m of six bits for each group of 32.

use core::mem::offset_of;
use crate::quantize::blocks::{
    BLOCK, Block, Code, F16Bytes, SUPER_BLOCK, Scales, SuperBlock, block, nibble, six_bits,
};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{Search, Wide, pack_nibbles, wide};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 256 values of 4 bits in 8 groups of 32.
    BlockQ4K {
        /// Scale of the scales.
        d: F16Bytes,
        /// Scale of the minima.
        d_min: F16Bytes,
        /// 8 scales and 8 minima of 6 bits.
        scales: [u8; 12],
        /// Of each 64 elements, the first 32 in low nibbles, the others in the high nibbles.
        qs: [u8; SUPER_BLOCK / 2],
    }
}

impl Block for BlockQ4K {
    const NUMBER: u32 = 12;
    const NAME: &'static str = "Q4_K";
    const LOW: usize = 4;
    const HIGH: usize = 0;
    const CODE: Code = Code::Minus(0);
    const FLOATS: &[usize] = &[offset_of!(Self, d), offset_of!(Self, d_min)];
}

impl SuperBlock for BlockQ4K {
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
        core::array::from_fn(|i| nibble(&self.qs, i))
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
                max: 15,
                first: -1.0,
                steps: 20,
                step: 0.1,
            absolute: false,
            },
        )?;
        Some(Self {
            d,
            d_min,
            scales,
            qs: pack_nibbles(&q),
        })
    }
}
