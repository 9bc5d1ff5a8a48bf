//! Q6_K: x = d · s · (code − 32), with a scale s of eight bits for each group of 16.

use core::mem::offset_of;
use crate::quantize::blocks::{
    Block, Code, F16Bytes, GROUP, GROUPS, SUPER_BLOCK, Scales, SuperBlock, block, pairs,
};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::encode::{ZERO_GROUP, extreme, fit_symmetric, half, levels, nearest, pack_pairs};
#[cfg(any(test, feature = "encode", feature = "testing"))]
use crate::quantize::importance::Importance;
use zerocopy::IntoBytes;

block! {
    /// 256 values of 6 bits in 16 groups, 32 subtracted.
    BlockQ6K {
        /// Lower four bits; of each 128 elements, the first 64 in low nibbles.
        ql: [u8; SUPER_BLOCK / 2],
        /// Upper two; of each 128 elements, i, i + 32, i + 64 and i + 96 in one byte.
        qh: [u8; SUPER_BLOCK / 4],
        /// Scales of the groups.
        scales: [i8; GROUPS],
        /// Scale of the scales.
        d: F16Bytes,
    }
}

impl Block for BlockQ6K {
    const NUMBER: u32 = 14;
    const NAME: &'static str = "Q6_K";
    const LOW: usize = 4;
    const HIGH: usize = 2;
    const CODE: Code = Code::Minus(32);
    const FLOATS: &[usize] = &[offset_of!(Self, d)];
}

impl SuperBlock for BlockQ6K {
    const GROUP: usize = GROUP;
    const MINIMA: bool = false;
    const SCALE_BYTES: usize = GROUPS;

    fn scale_bytes(&self) -> &[u8] {
        self.scales.as_bytes()
    }

    #[inline(always)]
    fn scales<const R: usize>(bytes: &[[u8; R]]) -> Scales<R> {
        let mut out = Scales::ZERO;
        for (scales, bytes) in out.scales.iter_mut().zip(bytes) {
            *scales = bytes.map(|byte| byte as i8);
        }
        out
    }

    fn codes(&self) -> [u8; SUPER_BLOCK] {
        core::array::from_fn(|i| {
            let low = (self.ql[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4)) & 15;
            low | pairs(&self.qh, i) << 4
        })
    }

    #[cfg(any(test, feature = "encode", feature = "testing"))]
    fn encode(x: &[f32; SUPER_BLOCK], importance: Option<Importance<'_>>) -> Option<Self> {
        let groups = x.as_chunks::<GROUP>().0;
        let mut fitted = [0.0; GROUPS];
        for (g, (group, scale)) in groups.iter().zip(&mut fitted).enumerate() {
            let squares = group.map(|x| x * x);
            let part = importance.map(|importance| importance.part(g * GROUP, GROUP).plain());
            *scale = fit_symmetric(group, part.unwrap_or(&squares), 32).scale;
        }
        let max_scale = extreme(&fitted);
        if max_scale.abs() < ZERO_GROUP {
            return Some(Self {
                ql: [0; SUPER_BLOCK / 2],
                qh: [0; SUPER_BLOCK / 4],
                scales: [0; GROUPS],
                d: [0; 2],
            });
        }
        let inverse = -128.0 / max_scale;
        let d = half(1.0 / inverse)?;
        let scales = fitted.map(|scale| nearest(inverse * scale, -128, 127) as i8);
        let mut q = [0u8; SUPER_BLOCK];
        for ((x, q), scale) in groups.iter().zip(q.chunks_exact_mut(GROUP)).zip(scales) {
            let d = crate::quantize::blocks::float(d) * f32::from(scale);
            for (q, level) in q.iter_mut().zip(levels(x, d, 0.0, -32, 31)) {
                *q = (level + 32) as u8;
            }
        }
        Some(Self {
            ql: core::array::from_fn(|byte| {
                let first = byte / 64 * 128 + byte % 64;
                (q[first] & 15) | ((q[first + 64] & 15) << 4)
            }),
            qh: pack_pairs(&q.map(|q| q >> 4)),
            scales,
            d,
        })
    }
}
