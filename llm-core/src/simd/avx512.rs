//! AVX-512 with VNNI: one register holds four elements of the sixteen rows of a tile.
//!
//! It multiplies unsigned bytes by signed ones and adds four products in 32 bits. Signed weights are made unsigned; the
//! surplus is subtracted using the sum of the activations, which is exact.

use super::adapter::Half;
use super::attention::Attention;
use super::backward::Spread;
use super::isa::{Registers, instructions};
use super::lanes::{F16s, F32s, Four, I8s, Lanes, Vector};
use super::matrix::{Tiles, for_tokens};
use crate::outputs::Outputs;
use crate::quantize::blocks::{FloatType, SmallBlock, SuperBlock};
use crate::quantize::{ActivationQ8, ActivationQ8K, Quad};
use core::arch::x86_64::*;
use zerocopy::transmute;

/// Loops without hand-written code, compiled for this instruction set.
pub(super) mod loops {
    use crate::arithmetic;
    use crate::kv_cache::{self, KvShape};
    use crate::quantize::{self, ActivationQ8, ActivationQ8K, NonFinite, TensorType};
    use crate::simd::attention::Attention;
    use crate::simd::backward::{self, AdamW, AttentionBack, LossBack, Peak};
    use crate::simd::tiles;

    for_each_loop! { compile "avx512f,avx512bw,avx512vnni,f16c" }
}

/// Created only in functions compiled for the instruction set, which are called only if the CPU has it.
#[derive(Clone, Copy)]
struct Avx512(());

/// Attention for heads that are whole groups of lanes.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn attend(attention: Attention<'_>) {
    attention.run(Avx512(()));
}

/// Like [`Spread::run_scalar`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn spread(spread: Spread<'_>) {
    spread.run::<_, 4>(Avx512(()));
}

/// Like [`Half::down_scalar`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn adapter_half_down(half: Half<'_>, x: &[f32], scale: f32, t: &mut [f32]) {
    half.down(Avx512(()), x, scale, t);
}

/// Like [`Half::up_scalar`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn adapter_half_up(half: Half<'_>, t: &[f32], y: &mut [f32]) {
    half.up(Avx512(()), t, y);
}

/// Like [`crate::arithmetic::matmul_float`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn floats<F: FloatType>(w: Tiles<'_>, x: &[f32], out: &mut Outputs<'_>) {
    for_tokens!(floats::<F>(Avx512(()), w, x, out) 8: 2 2, 1 1; 4: 2 2, 1 1; 2: 2 2, 1 1; 1: 1 1);
}

/// Like [`crate::arithmetic::matmul_small`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn small<F: SmallBlock>(w: Tiles<'_>, x: &[ActivationQ8], out: &mut Outputs<'_>) {
    for_tokens!(small::<F>(Avx512(()), w, x, out) 8: 1 1; 4: 1 1; 2: 1 1; 1: 1 1);
}

/// Like [`crate::arithmetic::matmul_super`].
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn large<F: SuperBlock>(w: Tiles<'_>, x: &[ActivationQ8K], out: &mut Outputs<'_>) {
    for_tokens!(large::<F>(Avx512(()), w, x, out) 4: 1 1; 2: 1 1; 1: 1 1);
}

impl Registers for Avx512 {
    type Bytes = __m512i;
    type Splat = __m512i;
    type Partial = __m512i;
    type Wide = __m512i;
    type Ints = __m512i;
    type Floats = __m512;
    type Scale = __m512i;
    /// In 16 bits.
    type Pair = __m512i;

    const PARTS: usize = 1;
    const SURPLUS: i32 = 128;

    fn room(_: i32) -> usize {
        // Partial sums have 32 bits.
        usize::MAX
    }

    instructions! { "avx512f,avx512bw,avx512vnni,f16c"
        fn no_partial() -> __m512i {
            _mm512_setzero_si512()
        }

        fn no_wide() -> __m512i {
            _mm512_setzero_si512()
        }

        fn no_ints() -> __m512i {
            _mm512_setzero_si512()
        }

        fn prefetch(quads: &[Quad], ahead: usize) {
            super::avx2::prefetch(quads, ahead);
        }

        fn load(chunk: &[Quad; 4], _part: usize) -> __m512i {
            transmute!(*chunk)
        }

        fn field(x: __m512i, from: usize, bits: usize, to: usize) -> __m512i {
            let distance = _mm_cvtsi32_si128(from.abs_diff(to) as i32);
            let moved = match from > to {
                true => _mm512_srl_epi16(x, distance),
                false => _mm512_sll_epi16(x, distance),
            };
            match bits {
                8 => x,
                _ => _mm512_and_si512(moved, _mm512_set1_epi8((((1 << bits) - 1) << to) as i8)),
            }
        }

        fn or(a: __m512i, b: __m512i) -> __m512i {
            _mm512_or_si512(a, b)
        }

        fn digit(x: __m512i) -> __m512i {
            // The average with zero is half, rounded up, so the difference below gives 3/4, rounded down.
            let half = _mm512_avg_epu8(x, _mm512_setzero_si512());
            let quarter = _mm512_avg_epu8(half, _mm512_setzero_si512());
            let most = _mm512_srli_epi16::<6>(_mm512_sub_epi8(x, quarter));
            _mm512_and_si512(most, _mm512_set1_epi8(3))
        }

        fn thrice(x: __m512i) -> __m512i {
            _mm512_add_epi8(x, _mm512_add_epi8(x, x))
        }

        fn lookup(table: &[i8; 16], x: __m512i) -> __m512i {
            _mm512_shuffle_epi8(_mm512_broadcast_i32x4(transmute!(*table)), x)
        }

        fn magnitude(x: __m512i) -> __m512i {
            _mm512_xor_si512(x, _mm512_set1_epi8(-128))
        }

        fn splat(x: &Quad, i: usize) -> __m512i {
            _mm512_set1_epi32(i32::from_le_bytes(x.0.as_chunks().0[i]))
        }

        fn first(w: __m512i, magnitude: __m512i, x: __m512i, signed: bool) -> __m512i {
            let w = if signed { magnitude } else { w };
            _mm512_dpbusd_epi32(_mm512_setzero_si512(), w, x)
        }

        fn more(sum: __m512i, w: __m512i, magnitude: __m512i, x: __m512i, signed: bool) -> __m512i {
            let w = if signed { magnitude } else { w };
            _mm512_dpbusd_epi32(sum, w, x)
        }

        fn widen(sum: __m512i, partial: __m512i) -> __m512i {
            _mm512_add_epi32(sum, partial)
        }

        fn finish(wide: __m512i) -> __m512i {
            wide
        }

        fn scale(scales: &Quad, _part: usize) -> __m512i {
            _mm512_cvtepi8_epi32(transmute!(*scales))
        }

        fn scaled(sum: __m512i, partial: __m512i, scale: __m512i) -> __m512i {
            _mm512_add_epi32(sum, _mm512_mullo_epi32(partial, scale))
        }

        fn pair(a: &Quad, b: &Quad, _part: usize) -> __m512i {
            let [a, b]: [__m128i; 2] = transmute!([*a, *b]);
            let both = [_mm_unpacklo_epi8(a, b), _mm_unpackhi_epi8(a, b)];
            _mm512_cvtepi8_epi16(transmute!(both))
        }

        fn weigh(sum: __m512i, pair: __m512i, x: [i16; 2]) -> __m512i {
            _mm512_dpwssd_epi32(sum, pair, _mm512_set1_epi32(transmute!(x)))
        }

        fn less(sum: __m512i, x: __m512i, factor: i32) -> __m512i {
            _mm512_sub_epi32(sum, _mm512_mullo_epi32(x, _mm512_set1_epi32(factor)))
        }

        fn splat_int(x: i32) -> __m512i {
            _mm512_set1_epi32(x)
        }

        fn to_floats(x: __m512i) -> __m512 {
            _mm512_cvtepi32_ps(x)
        }

        fn f16s(x: &[Quad; 2], _part: usize) -> __m512 {
            _mm512_cvtph_ps(transmute!(*x))
        }

        fn bf16s(x: &[Quad; 2], _part: usize) -> __m512 {
            let bits = _mm512_cvtepu16_epi32(transmute!(*x));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
        }

        fn f32s(x: &[Quad; 4], _part: usize) -> __m512 {
            transmute!(*x)
        }

        fn put(x: __m512, to: &mut [Quad; 4], _part: usize) {
            *to = transmute!(x);
        }

        fn splat_float(x: f32) -> __m512 {
            _mm512_set1_ps(x)
        }

        fn times(x: __m512, by: &Four, i: usize) -> __m512 {
            _mm512_mul_ps(x, _mm512_set1_ps(by.0[i]))
        }

        fn add(a: __m512, b: __m512) -> __m512 {
            _mm512_add_ps(a, b)
        }

        fn sub(a: __m512, b: __m512) -> __m512 {
            _mm512_sub_ps(a, b)
        }

        fn mul(a: __m512, b: __m512) -> __m512 {
            _mm512_mul_ps(a, b)
        }
    }
}

impl Lanes for Avx512 {
    type Floats = __m512;
    const ACCUMULATORS: usize = 16;

    #[inline(always)]
    fn prefetch<T>(self, what: &[T], ahead: usize) {
        super::avx2::prefetch(what, ahead);
    }

    instructions! { "avx512f,avx512bw,avx512vnni,f16c"
        fn splat(x: f32) -> __m512 {
            _mm512_set1_ps(x)
        }

        fn load(x: &F32s) -> __m512 {
            transmute!(*x)
        }

        fn store(x: __m512, to: &mut F32s) {
            *to = transmute!(x);
        }

        fn halves(x: &F16s) -> __m512 {
            _mm512_cvtph_ps(transmute!(*x))
        }

        fn brains(x: &F16s) -> __m512 {
            let bits = _mm512_cvtepu16_epi32(transmute!(*x));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(bits))
        }

        fn add(a: __m512, b: __m512) -> __m512 {
            _mm512_add_ps(a, b)
        }

        fn mul(a: __m512, b: __m512) -> __m512 {
            _mm512_mul_ps(a, b)
        }

        fn div(a: __m512, b: __m512) -> __m512 {
            _mm512_div_ps(a, b)
        }

        fn fold(x: __m512) -> f32 {
            let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x)));
            let x = _mm256_add_ps(_mm512_castps512_ps256(x), high);
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
        }

        fn max(x: __m512) -> f32 {
            _mm512_reduce_max_ps(x)
        }

        fn round(x: __m512) -> [u8; 16] {
            transmute!(_mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)))
        }

        fn dots<const H: usize>(chunks: &[[I8s; 4]], vectors: &[Vector<'_>; H]) -> [__m512; H] {
            // The chunks are made unsigned, and the surplus is subtracted using the vector's sum. There are two sums,
            // so that they do not depend on each other.
            let mut dots = [[_mm512_setzero_si512(); 2]; H];
            for (dots, vector) in dots.iter_mut().zip(vectors) {
                dots[0] = _mm512_set1_epi32(-128 * vector.sum);
            }
            for (pair, keys) in chunks.as_chunks::<2>().0.iter().enumerate() {
                for (which, key) in keys.iter().enumerate() {
                    let key = _mm512_xor_si512(transmute!(*key), _mm512_set1_epi8(-128));
                    for (dots, vector) in dots.iter_mut().zip(vectors) {
                        let q = _mm512_set1_epi32(transmute!(vector.q[2 * pair + which]));
                        dots[which] = _mm512_dpbusd_epi32(dots[which], key, q);
                    }
                }
            }
            let mut floats = [_mm512_setzero_ps(); H];
            for (floats, [a, b]) in floats.iter_mut().zip(dots) {
                *floats = _mm512_cvtepi32_ps(_mm512_add_epi32(a, b));
            }
            floats
        }

        fn weigh<const H: usize>(chunks: &[[I8s; 4]; 4], weights: &[[u8; 16]; H]) -> [__m512; H] {
            let mut dots = [_mm512_setzero_si512(); H];
            for (c, chunk) in chunks.iter().enumerate() {
                for (dot, weights) in dots.iter_mut().zip(weights) {
                    let weights = _mm512_set1_epi32(i32::from_le_bytes(weights.as_chunks().0[c]));
                    *dot = _mm512_dpbusd_epi32(*dot, weights, transmute!(*chunk));
                }
            }
            let mut floats = [_mm512_setzero_ps(); H];
            for (floats, dot) in floats.iter_mut().zip(dots) {
                *floats = _mm512_cvtepi32_ps(dot);
            }
            floats
        }
    }
}
