//! Q2_K: x = d · s · code − d_min · m, with a scale s and a minimum m of four bits for each group of 16.

use core::mem::offset_of;
use crate::quantize::blocks::{
    Block, Code, F16Bytes, GROUP, GROUPS, SUPER_BLOCK, Scales, SuperBlock, block, pairs,
};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{Search, fit_affine, fit_positive, half, largest, levels, mean_square, nearest, pack_pairs, sum};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;

block! {
    /// 256 values of 2 bits in 16 groups.
    BlockQ2K {
        /// Scales in the low nibbles, minima in the high ones.
        scales: [u8; GROUPS],
        /// Elements i, i + 32, i + 64 and i + 96 of each half are in one byte, from its low bits up.
        qs: [u8; SUPER_BLOCK / 4],
        /// Scale of the scales.
        d: F16Bytes,
        /// Scale of the minima.
        d_min: F16Bytes,
    }
}

impl Block for BlockQ2K {
    const NUMBER: u32 = 10;
    const NAME: &'static str = "Q2_K";
    const LOW: usize = 2;
    const HIGH: usize = 0;
    const CODE: Code = Code::Minus(0);
    const FLOATS: &[usize] = &[offset_of!(Self, d), offset_of!(Self, d_min)];
}

impl SuperBlock for BlockQ2K {
    const GROUP: usize = GROUP;
    const MINIMA: bool = true;
    const SCALE_BYTES: usize = GROUPS;

    fn scale_bytes(&self) -> &[u8] {
        &self.scales
    }

    #[inline(always)]
    fn scales<const R: usize>(bytes: &[[u8; R]]) -> Scales<R> {
        let mut out = Scales::ZERO;
        let outputs = out.scales.iter_mut().zip(&mut out.minima);
        for (bytes, (scales, minima)) in bytes.iter().zip(outputs) {
            for r in 0..R {
                scales[r] = (bytes[r] & 15) as i8;
                minima[r] = (bytes[r] >> 4) as i8;
            }
        }
        out
    }

    fn codes(&self) -> [u8; SUPER_BLOCK] {
        core::array::from_fn(|i| pairs(&self.qs, i))
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; SUPER_BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        const SEARCH: Search = Search {
            max: 3,
            first: -0.5,
            steps: 15,
            step: 0.1,
            absolute: true,
        };
        use crate::quantize::blocks::float;
        let groups = x.as_chunks::<GROUP>().0;
        let (mut scales, mut minima) = ([0.0; GROUPS], [0.0; GROUPS]);
        let mut sums = [0.0; GROUPS];
        for (g, group) in groups.iter().enumerate() {
            let (weights, search) = match importance {
                Some(importance) => {
                    let part = importance.part(g * GROUP, GROUP);
                    (part.of(group, mean_square(x)), Search::fine(3))
                }
                None => (group.map(f32::abs), SEARCH),
            };
            let fitted = fit_affine(group, &weights, search);
            (scales[g], minima[g], sums[g]) = (fitted.scale, fitted.minimum, sum(&weights));
        }
        let code = |values: &[f32; GROUPS]| {
            if importance.is_some() {
                return fit_positive(values, &sums, 15);
            }
            let max = largest(values);
            let inverse = if max > 0.0 { 15.0 / max } else { 0.0 };
            (
                max / 15.0,
                values.map(|value| nearest(inverse * value, 0, 15) as u8),
            )
        };
        let ((d, scales), (d_min, minima)) = (code(&scales), code(&minima));
        let packed: [u8; GROUPS] = core::array::from_fn(|g| scales[g] | (minima[g] << 4));
        let (d, d_min) = (half(d)?, half(d_min)?);
        let mut q = [0; SUPER_BLOCK];
        for ((x, q), s) in groups.iter().zip(q.chunks_exact_mut(GROUP)).zip(packed) {
            let (d, m) = (
                float(d) * f32::from(s & 15),
                float(d_min) * f32::from(s >> 4),
            );
            for (q, level) in q.iter_mut().zip(levels(x, d, m, 0, 3)) {
                *q = level as u8;
            }
        }
        Some(Self {
            scales: packed,
            qs: pack_pairs(&q),
            d,
            d_min,
        })
    }
}
