//! Q5_1: x = d · code + m.

use core::mem::offset_of;
use crate::quantize::blocks::{BLOCK, Block, Code, F16Bytes, SmallBlock, block, five_bits};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{Search, fifth_bits, fit_affine, half, inverse, pack_halves, range};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 32 values of 5 bits.
    BlockQ5_1 {
        /// Scale.
        d: F16Bytes,
        /// Offset.
        m: F16Bytes,
        /// Bit i is the fifth bit of element i.
        qh: [u8; 4],
        /// The lower four: element i in the low nibble of byte i, element i + 16 in its high nibble.
        qs: [u8; BLOCK / 2],
    }
}

impl Block for BlockQ5_1 {
    const NUMBER: u32 = 7;
    const NAME: &'static str = "Q5_1";
    const LOW: usize = 4;
    const HIGH: usize = 1;
    const CODE: Code = Code::Minus(0);
    const FLOATS: &[usize] = &[offset_of!(Self, d), offset_of!(Self, m)];
}

impl SmallBlock for BlockQ5_1 {
    const OFFSET: bool = true;

    fn codes(&self) -> [u8; BLOCK] {
        five_bits(&self.qs, self.qh)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        let (d, min, q) = match importance {
            Some(importance) => {
                let weights = importance.of(x, importance.row);
                let fitted = fit_affine(x, &weights, Search::fine(31));
                (fitted.scale, -fitted.minimum, fitted.levels(x, 31))
            }
            None => {
                let (min, max) = range(x);
                let d = (max - min) / 31.0;
                let id = inverse(d);
                (d, min, x.map(|x| (((x - min) * id + 0.5) as u8).min(31)))
            }
        };
        Some(Self {
            d: half(d)?,
            m: half(min)?,
            qh: fifth_bits(&q),
            qs: pack_halves(&q),
        })
    }
}
