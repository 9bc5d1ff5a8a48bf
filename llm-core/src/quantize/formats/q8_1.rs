//! Q8_1: x = d · code.

use core::mem::offset_of;
use crate::quantize::blocks::{BLOCK, Block, Code, F16Bytes, SmallBlock, block};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{extreme, half};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 32 values of 8 bits, and d times their sum, which is not used here.
    BlockQ8_1 {
        /// Scale.
        d: F16Bytes,
        /// d · Σ q.
        s: F16Bytes,
        /// Values.
        qs: [i8; BLOCK],
    }
}

impl Block for BlockQ8_1 {
    const NUMBER: u32 = 9;
    const NAME: &'static str = "Q8_1";
    const LOW: usize = 8;
    const HIGH: usize = 0;
    const CODE: Code = Code::Signed;
    const FLOATS: &[usize] = &[offset_of!(Self, d), offset_of!(Self, s)];
}

impl SmallBlock for BlockQ8_1 {
    const OFFSET: bool = false;

    fn codes(&self) -> [u8; BLOCK] {
        self.qs.map(|q| q as u8)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; BLOCK], _: Option<Importance<'_>>) -> Option<Self> {
        let d = extreme(x).abs() / 127.0;
        let super::BlockQ8_0 { d: scale, qs } = SmallBlock::encode(x, None)?;
        let sum: i32 = qs.iter().map(|&q| i32::from(q)).sum();
        Some(Self {
            d: scale,
            s: half(sum as f32 * d)?,
            qs,
        })
    }
}
