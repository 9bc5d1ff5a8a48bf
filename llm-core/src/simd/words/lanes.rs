//! Vectors of floats for attention and adapters.

use super::Words;
use crate::arithmetic::{self, LANES, finite};
use crate::quantize::round_to_i8;
use crate::simd::isa::Registers;
use crate::simd::lanes::{F16s, F32s, I8s, Lanes, Vector};
use half::{bf16, f16};
use zerocopy::{transmute, transmute_ref};

impl Lanes for Words<false> {
    type Floats = [f32; LANES];
    const ACCUMULATORS: usize = 1;

    #[inline(always)]
    fn splat(self, x: f32) -> [f32; LANES] {
        [x; LANES]
    }

    #[inline(always)]
    fn load(self, x: &F32s) -> [f32; LANES] {
        transmute!(*x)
    }

    #[inline(always)]
    fn store(self, x: [f32; LANES], to: &mut F32s) {
        *to = transmute!(x);
    }

    #[inline(always)]
    fn halves(self, x: &F16s) -> [f32; LANES] {
        let halves: [f16; LANES] = transmute!(*x);
        halves.map(finite)
    }

    #[inline(always)]
    fn brains(self, x: &F16s) -> [f32; LANES] {
        let halves: [bf16; LANES] = transmute!(*x);
        halves.map(bf16::to_f32)
    }

    #[inline(always)]
    fn add(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        core::array::from_fn(|i| a[i] + b[i])
    }

    #[inline(always)]
    fn mul(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        core::array::from_fn(|i| a[i] * b[i])
    }

    #[inline(always)]
    fn div(self, a: [f32; LANES], b: [f32; LANES]) -> [f32; LANES] {
        core::array::from_fn(|i| a[i] / b[i])
    }

    #[inline(always)]
    fn fold(self, x: [f32; LANES]) -> f32 {
        arithmetic::fold(x)
    }

    #[inline(always)]
    fn max(self, x: [f32; LANES]) -> f32 {
        x.into_iter()
            .fold(x[0], |max, x| if x > max { x } else { max })
    }

    #[inline(always)]
    fn round(self, x: [f32; LANES]) -> [u8; LANES] {
        let mut rounded = [0; LANES];
        for (rounded, x) in rounded.iter_mut().zip(x) {
            *rounded = round_to_i8(x) as u8;
        }
        rounded
    }

    #[inline(always)]
    fn dots<const H: usize>(
        self,
        chunks: &[[I8s; 4]],
        vectors: &[Vector<'_>; H],
    ) -> [[f32; LANES]; H] {
        vectors.map(|vector| dots(chunks, vector.q, vector.sum))
    }

    #[inline(always)]
    fn weigh<const H: usize>(
        self,
        chunks: &[[I8s; 4]; 4],
        weights: &[[u8; LANES]; H],
    ) -> [[f32; LANES]; H] {
        weights.map(|weights| {
            let sum = weights.iter().fold(0, |sum, &w| sum + i32::from(w));
            let weights: [[i8; 4]; 4] = transmute!(weights);
            dots(chunks, &weights, sum)
        })
    }
}

/// The products of sixteen vectors with `q`, whose sum is given.
#[inline(always)]
fn dots(chunks: &[[I8s; 4]], q: &[[i8; 4]], sum: i32) -> [f32; LANES] {
    let isa = Words::<false>;
    let mut sums = [0; LANES / 2];
    // The factors of four chunks fit the registers.
    for (chunks, q) in chunks.chunks(4).zip(q.chunks(4)) {
        let mut factors = [[0; 4]; 4];
        for (factors, q) in factors.iter_mut().zip(q) {
            *factors = isa.factors(q);
        }
        for (part, sum) in sums.iter_mut().enumerate() {
            for (chunk, factors) in chunks.iter().zip(factors) {
                let words: &[u64; 8] = transmute_ref!(chunk);
                let word = isa.magnitude(u64::from_le(words[part]));
                *sum = isa.more(*sum, word, word, factors, false);
            }
        }
    }
    let surplus = i64::from(sum) * i64::from(<Words<false> as Registers>::SURPLUS);
    let mut dots = [0.0; LANES];
    for (dots, sums) in dots.as_chunks_mut::<2>().0.iter_mut().zip(sums) {
        let (a, b) = isa.in_rows(sums);
        *dots = [(a - surplus) as f32, (b - surplus) as f32];
    }
    dots
}
