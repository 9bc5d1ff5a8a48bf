//! Q3_K: x = d · s · (code − 4), with a scale s of six bits, 32 subtracted, for each group of 16.

use core::mem::offset_of;
use crate::quantize::blocks::{
    Block, Code, F16Bytes, GROUP, SUPER_BLOCK, Scales, SuperBlock, bit, block, pairs,
};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{ZERO_GROUP, extreme, fit_few, fit_symmetric, half, levels, mean_square, nearest, pack_bit, pack_pairs, sum};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 256 values of 3 bits in 16 groups, 4 subtracted.
    BlockQ3K {
        /// Bit b of byte i is the third bit of element i + 32 b.
        hmask: [u8; SUPER_BLOCK / 8],
        /// The lower two: elements i, i + 32, i + 64 and i + 96 of each half are in one byte, from its low bits up.
        qs: [u8; SUPER_BLOCK / 4],
        /// 16 scales of 6 bits, 32 subtracted: low nibbles in the first 8 bytes, high pairs in the last
        /// 4.
        scales: [u8; 12],
        /// Scale of the scales.
        d: F16Bytes,
    }
}

impl Block for BlockQ3K {
    const NUMBER: u32 = 11;
    const NAME: &'static str = "Q3_K";
    const LOW: usize = 2;
    const HIGH: usize = 1;
    const CODE: Code = Code::Minus(4);
    const FLOATS: &[usize] = &[offset_of!(Self, d)];
}

impl SuperBlock for BlockQ3K {
    const GROUP: usize = GROUP;
    const MINIMA: bool = false;
    const SCALE_BYTES: usize = 12;

    fn scale_bytes(&self) -> &[u8] {
        &self.scales
    }

    #[inline(always)]
    fn scales<const R: usize>(bytes: &[[u8; R]]) -> Scales<R> {
        let mut out = Scales::ZERO;
        let Some(bytes) = bytes.first_chunk::<12>() else {
            return out;
        };
        // For four groups at a time, a byte has a nibble of two groups and the pairs of all.
        let scale = |low: u8, high: u8| (low & 15 | (high & 3) << 4).wrapping_sub(32) as i8;
        for g in 0..4 {
            let [low, other, high] = [&bytes[g], &bytes[g + 4], &bytes[g + 8]];
            for r in 0..R {
                out.scales[g][r] = scale(low[r], high[r]);
                out.scales[g + 4][r] = scale(other[r], high[r] >> 2);
                out.scales[g + 8][r] = scale(low[r] >> 4, high[r] >> 4);
                out.scales[g + 12][r] = scale(other[r] >> 4, high[r] >> 6);
            }
        }
        out
    }

    fn codes(&self) -> [u8; SUPER_BLOCK] {
        core::array::from_fn(|i| pairs(&self.qs, i) | bit(&self.hmask, i) << 2)
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; SUPER_BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        use crate::quantize::blocks::{GROUPS, float};
        let groups = x.as_chunks::<GROUP>().0;
        let mut scales = [0.0; GROUPS];
        let mut sums = [0.0; GROUPS];
        for (g, group) in groups.iter().enumerate() {
            scales[g] = match importance {
                Some(importance) => {
                    let part = importance.part(g * GROUP, GROUP);
                    let weights = part.of(group, 2.0 * mean_square(x));
                    sums[g] = sum(&weights);
                    fit_symmetric(group, &weights, 4).scale
                }
                None => fit_few(group, 4),
            };
        }
        let max_scale = extreme(&scales);
        let (d, codes) = match importance {
            Some(_) if max_scale.abs() >= ZERO_GROUP => {
                let fitted = fit_symmetric(&scales, &sums, 32);
                (fitted.scale, fitted.levels(&scales, 32))
            }
            None if max_scale != 0.0 => {
                let inverse = -32.0 / max_scale;
                let code = |scale: f32| (nearest(inverse * scale, -32, 31) + 32) as u8;
                (1.0 / inverse, scales.map(code))
            }
            // ggml leaves the bits at 0, which represent −32; the scale is 0 anyway.
            _ => (0.0, [0; GROUPS]),
        };
        let d = half(d)?;
        let mut packed = [0; 12];
        for (g, code) in codes.iter().enumerate() {
            packed[g % 8] |= (code & 15) << (g / 8 * 4);
            packed[8 + g % 4] |= (code >> 4) << (g / 4 * 2);
        }
        let mut q = [0; SUPER_BLOCK];
        for ((x, q), code) in groups.iter().zip(q.chunks_exact_mut(GROUP)).zip(codes) {
            let d = float(d) * (f32::from(code) - 32.0);
            for (q, level) in q.iter_mut().zip(levels(x, d, 0.0, -4, 3)) {
                *q = (level + 4) as u8;
            }
        }
        Some(Self {
            hmask: pack_bit(&q, 2),
            qs: pack_pairs(&q),
            scales: packed,
            d,
        })
    }
}
