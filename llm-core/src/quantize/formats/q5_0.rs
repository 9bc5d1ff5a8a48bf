//! Q5_0: x = d · (code − 16).

use core::mem::offset_of;
use crate::quantize::blocks::{BLOCK, Block, Code, F16Bytes, SmallBlock, block, five_bits};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{extreme, fifth_bits, fit_symmetric, half, inverse, pack_halves};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 32 values of 5 bits, 16 subtracted.
    BlockQ5_0 {
        /// Scale.
        d: F16Bytes,
        /// Bit i is the fifth bit of element i.
        qh: [u8; 4],
        /// The lower four: element i in the low nibble of byte i, element i + 16 in its high nibble.
        qs: [u8; BLOCK / 2],
    }
}

impl Block for BlockQ5_0 {
    const NUMBER: u32 = 6;
    const NAME: &'static str = "Q5_0";
    const LOW: usize = 4;
    const HIGH: usize = 1;
    const CODE: Code = Code::Minus(16);
    const FLOATS: &[usize] = &[offset_of!(Self, d)];
}

impl SmallBlock for BlockQ5_0 {
    const OFFSET: bool = false;

    fn codes(&self) -> [u8; BLOCK] {
        five_bits(&self.qs, self.qh)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        let (d, q) = match importance {
            Some(importance) => {
                let fitted = fit_symmetric(x, &importance.of(x, importance.row), 16);
                (fitted.scale, fitted.levels(x, 16))
            }
            None => {
                let d = extreme(x) / -16.0;
                let id = inverse(d);
                (d, x.map(|x| ((x * id + 16.5) as u8).min(31)))
            }
        };
        Some(Self {
            d: half(d)?,
            qh: fifth_bits(&q),
            qs: pack_halves(&q),
        })
    }
}
