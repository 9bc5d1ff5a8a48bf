//! Vectors of floats for attention and adapters.

use super::{Neon, eight};
use crate::simd::isa::instructions;
use crate::simd::lanes::{F16s, F32s, I8s, Lanes, Vector};
use core::arch::aarch64::*;
use zerocopy::transmute;

impl Lanes for Neon<false> {
    type Floats = [float32x4_t; 4];
    const ACCUMULATORS: usize = 4;

    instructions! { "neon"
        fn splat(x: f32) -> [float32x4_t; 4] {
            [vdupq_n_f32(x); 4]
        }

        fn load(x: &F32s) -> [float32x4_t; 4] {
            transmute!(*x)
        }

        fn store(x: [float32x4_t; 4], to: &mut F32s) {
            *to = transmute!(x);
        }

        fn halves(x: &F16s) -> [float32x4_t; 4] {
            let x: [uint16x8_t; 2] = transmute!(*x);
            let ([a, b], [c, d]) = (eight(x[0]), eight(x[1]));
            [a, b, c, d]
        }

        fn brains(x: &F16s) -> [float32x4_t; 4] {
            let [low, high]: [uint16x8_t; 2] = transmute!(*x);
            [
                vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(low))),
                vreinterpretq_f32_u32(vshll_high_n_u16::<16>(low)),
                vreinterpretq_f32_u32(vshll_n_u16::<16>(vget_low_u16(high))),
                vreinterpretq_f32_u32(vshll_high_n_u16::<16>(high)),
            ]
        }

        fn add(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
            [
                vaddq_f32(a[0], b[0]),
                vaddq_f32(a[1], b[1]),
                vaddq_f32(a[2], b[2]),
                vaddq_f32(a[3], b[3]),
            ]
        }

        fn mul(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
            [
                vmulq_f32(a[0], b[0]),
                vmulq_f32(a[1], b[1]),
                vmulq_f32(a[2], b[2]),
                vmulq_f32(a[3], b[3]),
            ]
        }

        fn div(a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
            [
                vdivq_f32(a[0], b[0]),
                vdivq_f32(a[1], b[1]),
                vdivq_f32(a[2], b[2]),
                vdivq_f32(a[3], b[3]),
            ]
        }

        fn fold(x: [float32x4_t; 4]) -> f32 {
            let four = vaddq_f32(vaddq_f32(x[0], x[2]), vaddq_f32(x[1], x[3]));
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }

        fn max(x: [float32x4_t; 4]) -> f32 {
            vmaxvq_f32(vmaxq_f32(vmaxq_f32(x[0], x[1]), vmaxq_f32(x[2], x[3])))
        }

        fn round(x: [float32x4_t; 4]) -> [u8; 16] {
            let low = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(x[0])), vmovn_s32(vcvtnq_s32_f32(x[1])));
            let high = vcombine_s16(vmovn_s32(vcvtnq_s32_f32(x[2])), vmovn_s32(vcvtnq_s32_f32(x[3])));
            transmute!(vcombine_s8(vmovn_s16(low), vmovn_s16(high)))
        }

        fn dots<const H: usize>(chunks: &[[I8s; 4]], vectors: &[Vector<'_>; H]) -> [[float32x4_t; 4]; H] {
            // The registers hold the sums of one vector.
            let mut all = [[vdupq_n_f32(0.0); 4]; H];
            for (all, vector) in all.iter_mut().zip(vectors) {
                *all = dots(chunks, vector.q);
            }
            all
        }

        fn weigh<const H: usize>(chunks: &[[I8s; 4]; 4], weights: &[[u8; 16]; H]) -> [[float32x4_t; 4]; H] {
            let mut all = [[vdupq_n_f32(0.0); 4]; H];
            for (all, weights) in all.iter_mut().zip(weights) {
                let q: [[i8; 4]; 4] = transmute!(*weights);
                *all = dots(chunks, &q);
            }
            all
        }
    }
}

#[target_feature(enable = "neon")]
#[inline]
fn dots(chunks: &[[I8s; 4]], q: &[[i8; 4]]) -> [float32x4_t; 4] {
    let mut low = [vdupq_n_s32(0); 4];
    let mut high = [vdupq_n_s32(0); 4];
    let pairs = chunks.as_chunks::<2>().0.iter();
    for (keys, q) in pairs.zip(q.as_chunks::<2>().0) {
        let q = [
            vreinterpretq_s8_s32(vdupq_n_s32(transmute!(q[0]))),
            vreinterpretq_s8_s32(vdupq_n_s32(transmute!(q[1]))),
        ];
        for quarter in 0..4 {
            let k: [int8x16_t; 2] = transmute!([keys[0][quarter], keys[1][quarter]]);
            // Two products fit 16 bits.
            let products = vmull_s8(vget_low_s8(k[0]), vget_low_s8(q[0]));
            let products = vmlal_s8(products, vget_low_s8(k[1]), vget_low_s8(q[1]));
            low[quarter] = vpadalq_s16(low[quarter], products);
            let products = vmlal_high_s8(vmull_high_s8(k[0], q[0]), k[1], q[1]);
            high[quarter] = vpadalq_s16(high[quarter], products);
        }
    }
    let mut dots = [vdupq_n_f32(0.0); 4];
    for (dot, (low, high)) in dots.iter_mut().zip(low.into_iter().zip(high)) {
        *dot = vcvtq_f32_s32(vpaddq_s32(low, high));
    }
    dots
}
