//! IQ4_XS: x = d · (s − 32) · t\[code\], with a scale s of six bits for each group of 32 and the table of IQ4_NL.

use super::iq4_nl::VALUES;
use crate::quantize::blocks::{
    BLOCK, Block, Code, F16Bytes, SUPER_BLOCK, Scales, SuperBlock, block,
};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{extreme, fit_table, half, inverse, mean_square, nearest, nearest_in};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;
use core::mem::offset_of;

block! {
    /// 256 values of 4 bits, looked up in a table, in 8 groups.
    BlockIQ4XS {
        /// Scale of the scales.
        d: F16Bytes,
        /// 8 scales of 6 bits, biased by 32: the upper pairs, from the low bits of the first byte up, then the lower
        /// nibbles.
        scales: [u8; 6],
        /// In each 32 elements, the first 16 in the low nibbles, the others in the high nibbles.
        qs: [u8; SUPER_BLOCK / 2],
    }
}

impl Block for BlockIQ4XS {
    const NUMBER: u32 = 23;
    const NAME: &'static str = "IQ4_XS";
    const LOW: usize = 4;
    const HIGH: usize = 0;
    const CODE: Code = Code::Table(&VALUES);
    const FLOATS: &[usize] = &[offset_of!(Self, d)];
}

impl SuperBlock for BlockIQ4XS {
    const GROUP: usize = BLOCK;
    const MINIMA: bool = false;
    const SCALE_BYTES: usize = 6;

    fn scale_bytes(&self) -> &[u8] {
        &self.scales
    }

    #[inline(always)]
    fn scales<const R: usize>(bytes: &[[u8; R]]) -> Scales<R> {
        let mut out = Scales::ZERO;
        let Some(bytes) = bytes.first_chunk::<6>() else {
            return out;
        };
        let scale = |low: u8, high: u8| (low & 15 | (high & 3) << 4).wrapping_sub(32) as i8;
        for half in 0..2 {
            let [high, low, other] = [&bytes[half], &bytes[2 + 2 * half], &bytes[3 + 2 * half]];
            for r in 0..R {
                out.scales[4 * half][r] = scale(low[r], high[r]);
                out.scales[4 * half + 1][r] = scale(low[r] >> 4, high[r] >> 2);
                out.scales[4 * half + 2][r] = scale(other[r], high[r] >> 4);
                out.scales[4 * half + 3][r] = scale(other[r] >> 4, high[r] >> 6);
            }
        }
        out
    }

    fn codes(&self) -> [u8; SUPER_BLOCK] {
        core::array::from_fn(|i| self.qs[i / 32 * 16 + i % 16] >> (i % 32 / 16 * 4) & 15)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; SUPER_BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        let groups = x.as_chunks::<BLOCK>().0;
        let mut fitted = [0.0; SUPER_BLOCK / BLOCK];
        for (g, (scale, group)) in fitted.iter_mut().zip(groups).enumerate() {
            let weights = match importance {
                Some(importance) => {
                    let part = importance.part(g * BLOCK, BLOCK);
                    part.of(group, 2.0 * mean_square(x))
                }
                None => group.map(|x| x * x),
            };
            *scale = fit_table(group, &weights, &VALUES);
        }
        let d = -extreme(&fitted) / 32.0;
        let (mut scales, mut qs) = ([0; 6], [0; SUPER_BLOCK / 2]);
        for (g, (group, qs)) in groups.iter().zip(qs.chunks_exact_mut(16)).enumerate() {
            let scale = nearest(inverse(d) * fitted[g], -32, 31);
            let inverse = inverse(d * scale as f32);
            for (i, q) in qs.iter_mut().enumerate() {
                let [low, high] = [group[i], group[i + 16]].map(|x| nearest_in(&VALUES, inverse * x));
                *q = low | high << 4;
            }
            let code = (scale + 32) as u8;
            scales[g / 4] |= code >> 4 << (g % 4 * 2);
            scales[2 + g / 2] |= (code & 15) << (g % 2 * 4);
        }
        Some(Self {
            d: half(d)?,
            scales,
            qs,
        })
    }
}
