//! TQ1_0: x = d · (code − 1), for weights of −1, 0 and 1, five of them in a byte.
//!
//! A byte is ⌈256/243 · n⌉ for a number n of five base-3 digits. So multiplying by 3 moves the next digit above the
//! byte, as multiplying by 10 does with 0.7315.

use crate::quantize::blocks::{
    Block, Code, F16Bytes, SUPER_BLOCK, Scales, SuperBlock, block, digit,
};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{half, ternary};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;
use core::mem::offset_of;

block! {
    /// 256 values of 0 to 2, 1 subtracted.
    BlockTQ1_0 {
        /// Elements i, i + 32, … i + 128 in byte i, the first in the highest digit; then elements 160 + i, 176 + i, …
        /// 224 + i in byte 32 + i.
        qs: [u8; 48],
        /// Elements 240 + i, 244 + i, 248 + i, 252 + i in byte i.
        qh: [u8; 4],
        /// Scale.
        d: F16Bytes,
    }
}

/// The byte that contains element `i`, and its digit, counted from the highest.
const fn place(i: usize) -> (usize, usize) {
    match i {
        0..160 => (i % 32, i / 32),
        160..240 => (32 + i % 16, (i - 160) / 16),
        _ => (48 + i % 4, (i - 240) / 4),
    }
}

impl Block for BlockTQ1_0 {
    const NUMBER: u32 = 34;
    const NAME: &'static str = "TQ1_0";
    const LOW: usize = 0;
    const HIGH: usize = 0;
    const CODE: Code = Code::Minus(1);
    const FLOATS: &[usize] = &[offset_of!(Self, d)];
}

impl SuperBlock for BlockTQ1_0 {
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
        core::array::from_fn(|i| {
            let (byte, at) = place(i);
            let bytes = if byte < 48 { self.qs[byte] } else { self.qh[byte - 48] };
            digit(bytes, at)
        })
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; SUPER_BLOCK], _: Option<Importance<'_>>) -> Option<Self> {
        use crate::quantize::blocks::digits;
        let (d, q) = ternary(x);
        let mut numbers = [[0; 5]; 52];
        for (i, q) in q.into_iter().enumerate() {
            let (byte, at) = place(i);
            numbers[byte][at] = q;
        }
        let bytes = numbers.map(|number| digits(&number));
        Some(Self {
            qs: *bytes.first_chunk()?,
            qh: *bytes.last_chunk()?,
            d: half(d)?,
        })
    }
}
