//! IQ4_NL: x = d · t\[code\], with a table t of sixteen values that are denser near zero.

use crate::quantize::blocks::{BLOCK, Block, Code, F16Bytes, SmallBlock, block, nibbles};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{fit_table, half, inverse, mean_square, nearest_in, pack_halves};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;
use core::mem::offset_of;

/// Values of the codes: ggml's `kvalues_iq4nl`.
pub(super) const VALUES: [i8; 16] = [
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
];

block! {
    /// 32 values of 4 bits, looked up in a table.
    BlockIQ4NL {
        /// Scale.
        d: F16Bytes,
        /// Element i in the low nibble of byte i, element i + 16 in its high nibble.
        qs: [u8; BLOCK / 2],
    }
}

impl Block for BlockIQ4NL {
    const NUMBER: u32 = 20;
    const NAME: &'static str = "IQ4_NL";
    const LOW: usize = 4;
    const HIGH: usize = 0;
    const CODE: Code = Code::Table(&VALUES);
    const FLOATS: &[usize] = &[offset_of!(Self, d)];
}

impl SmallBlock for BlockIQ4NL {
    const OFFSET: bool = false;

    fn codes(&self) -> [u8; BLOCK] {
        nibbles(&self.qs)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        let weights = match importance {
            Some(importance) => importance.of(x, 2.0 * mean_square(x)),
            None => x.map(|x| x * x),
        };
        let d = fit_table(x, &weights, &VALUES);
        let inverse = inverse(d);
        Some(Self {
            d: half(d)?,
            qs: pack_halves(&x.map(|x| nearest_in(&VALUES, inverse * x))),
        })
    }
}
