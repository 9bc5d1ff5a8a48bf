//! Q4_1: x = d · code + m.

use core::mem::offset_of;
use crate::quantize::blocks::{BLOCK, Block, Code, F16Bytes, SmallBlock, block, nibbles};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{Search, fit_affine, half, inverse, pack_halves, range};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 32 values of 4 bits.
    BlockQ4_1 {
        /// Scale.
        d: F16Bytes,
        /// Offset.
        m: F16Bytes,
        /// Element i in the low nibble of byte i, element i + 16 in its high nibble.
        qs: [u8; BLOCK / 2],
    }
}

impl Block for BlockQ4_1 {
    const NUMBER: u32 = 3;
    const NAME: &'static str = "Q4_1";
    const LOW: usize = 4;
    const HIGH: usize = 0;
    const CODE: Code = Code::Minus(0);
    const FLOATS: &[usize] = &[offset_of!(Self, d), offset_of!(Self, m)];
}

impl SmallBlock for BlockQ4_1 {
    const OFFSET: bool = true;

    fn codes(&self) -> [u8; BLOCK] {
        nibbles(&self.qs)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        let (d, min, q) = match importance {
            Some(importance) => {
                let weights = importance.of(x, importance.row);
                let fitted = fit_affine(x, &weights, Search::fine(15));
                (fitted.scale, -fitted.minimum, fitted.levels(x, 15))
            }
            None => {
                let (min, max) = range(x);
                let d = (max - min) / 15.0;
                let id = inverse(d);
                (d, min, x.map(|x| (((x - min) * id + 0.5) as u8).min(15)))
            }
        };
        Some(Self {
            d: half(d)?,
            m: half(min)?,
            qs: pack_halves(&q),
        })
    }
}
