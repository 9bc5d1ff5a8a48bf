//! Q4_0: x = d · (code − 8).

use core::mem::offset_of;
use crate::quantize::blocks::{BLOCK, Block, Code, F16Bytes, SmallBlock, block, nibbles};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{extreme, fit_symmetric, half, inverse, pack_halves};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 32 values of 4 bits, 8 subtracted.
    BlockQ4_0 {
        /// Scale.
        d: F16Bytes,
        /// Element i in the low nibble of byte i, element i + 16 in its high nibble.
        qs: [u8; BLOCK / 2],
    }
}

impl Block for BlockQ4_0 {
    const NUMBER: u32 = 2;
    const NAME: &'static str = "Q4_0";
    const LOW: usize = 4;
    const HIGH: usize = 0;
    const CODE: Code = Code::Minus(8);
    const FLOATS: &[usize] = &[offset_of!(Self, d)];
}

impl SmallBlock for BlockQ4_0 {
    const OFFSET: bool = false;

    fn codes(&self) -> [u8; BLOCK] {
        nibbles(&self.qs)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        let (d, q) = match importance {
            Some(importance) => {
                let fitted = fit_symmetric(x, &importance.of(x, importance.row), 8);
                (fitted.scale, fitted.levels(x, 8))
            }
            None => {
                let d = extreme(x) / -8.0;
                let id = inverse(d);
                (d, x.map(|x| ((x * id + 8.5) as u8).min(15)))
            }
        };
        Some(Self {
            d: half(d)?,
            qs: pack_halves(&q),
        })
    }
}
