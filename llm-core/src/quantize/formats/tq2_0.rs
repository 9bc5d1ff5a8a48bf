//! TQ2_0: x = d · (code − 1), for weights of −1, 0 and 1.

use crate::quantize::blocks::{
    Block, Code, F16Bytes, SUPER_BLOCK, Scales, SuperBlock, block, pairs,
};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{half, pack_pairs, ternary};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;
use core::mem::offset_of;

block! {
    /// 256 values of 2 bits, 1 subtracted.
    BlockTQ2_0 {
        /// Elements i, i + 32, i + 64 and i + 96 of each half are in one byte, from its low bits up.
        qs: [u8; SUPER_BLOCK / 4],
        /// Scale.
        d: F16Bytes,
    }
}

impl Block for BlockTQ2_0 {
    const NUMBER: u32 = 35;
    const NAME: &'static str = "TQ2_0";
    const LOW: usize = 2;
    const HIGH: usize = 0;
    const CODE: Code = Code::Minus(1);
    const FLOATS: &[usize] = &[offset_of!(Self, d)];
}

impl SuperBlock for BlockTQ2_0 {
    const GROUP: usize = SUPER_BLOCK;
    const MINIMA: bool = false;
    const SCALE_BYTES: usize = 0;

    fn scale_bytes(&self) -> &[u8] {
        &[]
    }

    #[inline(always)]
    fn scales<const R: usize>(_: &[[u8; R]]) -> Scales<R> {
        Scales::ZERO
    }

    fn codes(&self) -> [u8; SUPER_BLOCK] {
        core::array::from_fn(|i| pairs(&self.qs, i))
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; SUPER_BLOCK], _: Option<Importance<'_>>) -> Option<Self> {
        let (d, q) = ternary(x);
        Some(Self {
            qs: pack_pairs(&q),
            d: half(d)?,
        })
    }
}
