//! Q8_0: x = d · code.

use core::mem::offset_of;
use crate::quantize::blocks::{BLOCK, Block, Code, F16Bytes, SmallBlock, block};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{extreme, half, inverse};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 32 values of 8 bits.
    BlockQ8_0 {
        /// Scale.
        d: F16Bytes,
        /// Values.
        qs: [i8; BLOCK],
    }
}

impl Block for BlockQ8_0 {
    const NUMBER: u32 = 8;
    const NAME: &'static str = "Q8_0";
    const LOW: usize = 8;
    const HIGH: usize = 0;
    const CODE: Code = Code::Signed;
    const FLOATS: &[usize] = &[offset_of!(Self, d)];
}

impl SmallBlock for BlockQ8_0 {
    const OFFSET: bool = false;

    fn codes(&self) -> [u8; BLOCK] {
        self.qs.map(|q| q as u8)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; BLOCK], _: Option<Importance<'_>>) -> Option<Self> {
        let d = extreme(x).abs() / 127.0;
        let id = inverse(d);
        Some(Self {
            d: half(d)?,
            qs: x.map(|x| libm::roundf(x * id) as i8),
        })
    }
}
