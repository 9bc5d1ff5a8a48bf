//! AVX2: two registers hold four elements of the sixteen rows of a tile.
//!
//! It multiplies unsigned bytes by signed ones and adds two products in 16 bits, which must not overflow. Weights of up
//! to six bits are unsigned anyway; for signed ones, |w| is multiplied by ±x.

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

    for_each_loop! { compile "avx2,f16c" }
}

/// Created only in functions compiled for the instruction set, which are called only if the CPU has it.
#[derive(Clone, Copy)]
struct Avx2(());

/// Attention for heads that are whole groups of lanes.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn attend(attention: Attention<'_>) {
    attention.run(Avx2(()));
}

/// Like [`Spread::run_scalar`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn spread(spread: Spread<'_>) {
    spread.run::<_, 1>(Avx2(()));
}

/// Like [`Half::down_scalar`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn adapter_half_down(half: Half<'_>, x: &[f32], scale: f32, t: &mut [f32]) {
    half.down(Avx2(()), x, scale, t);
}

/// Like [`Half::up_scalar`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn adapter_half_up(half: Half<'_>, t: &[f32], y: &mut [f32]) {
    half.up(Avx2(()), t, y);
}

/// Like [`crate::arithmetic::matmul_float`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn floats<F: FloatType>(w: Tiles<'_>, x: &[f32], out: &mut Outputs<'_>) {
    for_tokens!(floats::<F>(Avx2(()), w, x, out) 4: 1 2; 2: 1 2; 1: 1 2);
}

/// Like [`crate::arithmetic::matmul_small`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn small<F: SmallBlock>(w: Tiles<'_>, x: &[ActivationQ8], out: &mut Outputs<'_>) {
    for_tokens!(small::<F>(Avx2(()), w, x, out) 4: 1 1; 2: 1 1; 1: 1 2);
}

/// Like [`crate::arithmetic::matmul_super`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn large<F: SuperBlock>(w: Tiles<'_>, x: &[ActivationQ8K], out: &mut Outputs<'_>) {
    for_tokens!(large::<F>(Avx2(()), w, x, out) 4: 1 1; 2: 1 1; 1: 1 2);
}

/// Cache line size in bytes.
const LINE: usize = 64;

/// Like [`Registers::prefetch`].
#[inline(always)]
pub(super) fn prefetch<T>(what: &[T], ahead: usize) {
    for line in (0..size_of_val(what)).step_by(LINE) {
        let address = what.as_ptr().cast::<i8>().wrapping_add(line + ahead);
        // SAFETY: any address may be prefetched: nothing is read, and an unmapped one is ignored.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address) };
    }
}

impl Registers for Avx2 {
    type Bytes = __m256i;
    type Splat = __m256i;
    /// Two sums of 16 bits for each row.
    type Partial = __m256i;
    type Wide = __m256i;
    type Ints = __m256i;
    type Floats = __m256;
    /// Each factor twice, in 16 bits.
    type Scale = __m256i;
    /// In 16 bits.
    type Pair = __m256i;

    const PARTS: usize = 2;
    const SURPLUS: i32 = 0;

    fn room(largest: i32) -> usize {
        // Two products at a time.
        (i16::MAX as usize) / (2 * 127 * largest as usize)
    }

    instructions! { "avx2,f16c"
        fn no_partial() -> __m256i {
            _mm256_setzero_si256()
        }

        fn no_wide() -> __m256i {
            _mm256_setzero_si256()
        }

        fn no_ints() -> __m256i {
            _mm256_setzero_si256()
        }

        fn prefetch(quads: &[Quad], ahead: usize) {
            prefetch(quads, ahead);
        }

        fn load(chunk: &[Quad; 4], part: usize) -> __m256i {
            transmute!(chunk.as_chunks::<2>().0[part])
        }

        fn field(x: __m256i, from: usize, bits: usize, to: usize) -> __m256i {
            let distance = _mm_cvtsi32_si128(from.abs_diff(to) as i32);
            let moved = match from > to {
                true => _mm256_srl_epi16(x, distance),
                false => _mm256_sll_epi16(x, distance),
            };
            match bits {
                8 => x,
                _ => _mm256_and_si256(moved, _mm256_set1_epi8((((1 << bits) - 1) << to) as i8)),
            }
        }

        fn or(a: __m256i, b: __m256i) -> __m256i {
            _mm256_or_si256(a, b)
        }

        fn digit(x: __m256i) -> __m256i {
            // The average with zero is half, rounded up, so the difference below gives 3/4, rounded down.
            let half = _mm256_avg_epu8(x, _mm256_setzero_si256());
            let quarter = _mm256_avg_epu8(half, _mm256_setzero_si256());
            let most = _mm256_srli_epi16::<6>(_mm256_sub_epi8(x, quarter));
            _mm256_and_si256(most, _mm256_set1_epi8(3))
        }

        fn thrice(x: __m256i) -> __m256i {
            _mm256_add_epi8(x, _mm256_add_epi8(x, x))
        }

        fn lookup(table: &[i8; 16], x: __m256i) -> __m256i {
            _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(transmute!(*table)), x)
        }

        fn after(x: __m256i, sum: __m256i) -> __m256i {
            let mut x = x;
            // SAFETY: the assembly contains no instruction.
            unsafe {
                core::arch::asm!("/* {0} {1} */", inout(ymm_reg) x, in(ymm_reg) sum, options(pure, nomem, nostack, preserves_flags));
            }
            x
        }

        fn magnitude(x: __m256i) -> __m256i {
            _mm256_abs_epi8(x)
        }

        fn splat(x: &Quad, i: usize) -> __m256i {
            _mm256_set1_epi32(i32::from_le_bytes(x.0.as_chunks().0[i]))
        }

        fn first(w: __m256i, magnitude: __m256i, x: __m256i, signed: bool) -> __m256i {
            match signed {
                true => _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, w)),
                false => _mm256_maddubs_epi16(w, x),
            }
        }

        fn more(sum: __m256i, w: __m256i, magnitude: __m256i, x: __m256i, signed: bool) -> __m256i {
            let products = match signed {
                true => _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, w)),
                false => _mm256_maddubs_epi16(w, x),
            };
            _mm256_add_epi16(sum, products)
        }

        fn widen(sum: __m256i, partial: __m256i) -> __m256i {
            _mm256_add_epi32(sum, _mm256_madd_epi16(partial, _mm256_set1_epi16(1)))
        }

        fn finish(wide: __m256i) -> __m256i {
            wide
        }

        fn scale(scales: &Quad, part: usize) -> __m256i {
            let scales: [__m128i; 1] = transmute!([*scales]);
            let twice = match part {
                0 => _mm_unpacklo_epi8(scales[0], scales[0]),
                _ => _mm_unpackhi_epi8(scales[0], scales[0]),
            };
            _mm256_cvtepi8_epi16(twice)
        }

        fn scaled(sum: __m256i, partial: __m256i, scale: __m256i) -> __m256i {
            _mm256_add_epi32(sum, _mm256_madd_epi16(partial, scale))
        }

        fn pair(a: &Quad, b: &Quad, part: usize) -> __m256i {
            let [a, b]: [__m128i; 2] = transmute!([*a, *b]);
            let both = match part {
                0 => _mm_unpacklo_epi8(a, b),
                _ => _mm_unpackhi_epi8(a, b),
            };
            _mm256_cvtepi8_epi16(both)
        }

        fn weigh(sum: __m256i, pair: __m256i, x: [i16; 2]) -> __m256i {
            _mm256_add_epi32(sum, _mm256_madd_epi16(pair, _mm256_set1_epi32(transmute!(x))))
        }

        fn less(sum: __m256i, x: __m256i, factor: i32) -> __m256i {
            _mm256_sub_epi32(sum, _mm256_mullo_epi32(x, _mm256_set1_epi32(factor)))
        }

        fn splat_int(x: i32) -> __m256i {
            _mm256_set1_epi32(x)
        }

        fn to_floats(x: __m256i) -> __m256 {
            _mm256_cvtepi32_ps(x)
        }

        fn f16s(x: &[Quad; 2], part: usize) -> __m256 {
            _mm256_cvtph_ps(transmute!(x[part]))
        }

        fn bf16s(x: &[Quad; 2], part: usize) -> __m256 {
            let bits = _mm256_cvtepu16_epi32(transmute!(x[part]));
            _mm256_castsi256_ps(_mm256_slli_epi32::<16>(bits))
        }

        fn f32s(x: &[Quad; 4], part: usize) -> __m256 {
            transmute!(x.as_chunks::<2>().0[part])
        }

        fn put(x: __m256, to: &mut [Quad; 4], part: usize) {
            to.as_chunks_mut::<2>().0[part] = transmute!(x);
        }

        fn splat_float(x: f32) -> __m256 {
            _mm256_set1_ps(x)
        }

        fn times(x: __m256, by: &Four, i: usize) -> __m256 {
            _mm256_mul_ps(x, _mm256_set1_ps(by.0[i]))
        }

        fn add(a: __m256, b: __m256) -> __m256 {
            _mm256_add_ps(a, b)
        }

        fn sub(a: __m256, b: __m256) -> __m256 {
            _mm256_sub_ps(a, b)
        }

        fn mul(a: __m256, b: __m256) -> __m256 {
            _mm256_mul_ps(a, b)
        }
    }
}

impl Lanes for Avx2 {
    type Floats = [__m256; 2];
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    fn prefetch<T>(self, what: &[T], ahead: usize) {
        prefetch(what, ahead);
    }

    instructions! { "avx2,f16c"
        fn splat(x: f32) -> [__m256; 2] {
            [_mm256_set1_ps(x); 2]
        }

        fn load(x: &F32s) -> [__m256; 2] {
            transmute!(*x)
        }

        fn store(x: [__m256; 2], to: &mut F32s) {
            *to = transmute!(x);
        }

        fn halves(x: &F16s) -> [__m256; 2] {
            let [low, high]: [__m128i; 2] = transmute!(*x);
            [_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)]
        }

        fn brains(x: &F16s) -> [__m256; 2] {
            let [low, high]: [__m128i; 2] = transmute!(*x);
            let (low, high) = (_mm256_cvtepu16_epi32(low), _mm256_cvtepu16_epi32(high));
            [
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)),
            ]
        }

        fn add(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
        }

        fn mul(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
        }

        fn div(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
            [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])]
        }

        fn fold(x: [__m256; 2]) -> f32 {
            let x = _mm256_add_ps(x[0], x[1]);
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
        }

        fn max(x: [__m256; 2]) -> f32 {
            let x = _mm256_max_ps(x[0], x[1]);
            let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps::<1>(x, x)))
        }

        fn round(x: [__m256; 2]) -> [u8; 16] {
            let (low, high) = (_mm256_cvtps_epi32(x[0]), _mm256_cvtps_epi32(x[1]));
            let low = _mm_packs_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256::<1>(low));
            let high = _mm_packs_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256::<1>(high));
            transmute!(_mm_packs_epi16(low, high))
        }

        fn dots<const H: usize>(chunks: &[[I8s; 4]], vectors: &[Vector<'_>; H]) -> [[__m256; 2]; H] {
            let ones = _mm256_set1_epi16(1);
            let mut dots = [[_mm256_setzero_si256(); 2]; H];
            for (c, keys) in chunks.iter().enumerate() {
                let keys: [__m256i; 2] = transmute!(*keys);
                for (half, key) in keys.into_iter().enumerate() {
                    let magnitude = _mm256_abs_epi8(key);
                    for (dots, vector) in dots.iter_mut().zip(vectors) {
                        let q = _mm256_set1_epi32(transmute!(vector.q[c]));
                        // |key| and ±q are at most 127, so two products fit 16 bits.
                        let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(q, key));
                        dots[half] = _mm256_add_epi32(dots[half], _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
            to_floats(dots)
        }

        fn weigh<const H: usize>(chunks: &[[I8s; 4]; 4], weights: &[[u8; 16]; H]) -> [[__m256; 2]; H] {
            let ones = _mm256_set1_epi16(1);
            let mut dots = [[_mm256_setzero_si256(); 2]; H];
            for (c, chunk) in chunks.iter().enumerate() {
                let values: [__m256i; 2] = transmute!(*chunk);
                for (half, values) in values.into_iter().enumerate() {
                    for (dots, weights) in dots.iter_mut().zip(weights) {
                        let weights = _mm256_set1_epi32(i32::from_le_bytes(weights.as_chunks().0[c]));
                        // All are at most 127, so two products fit 16 bits.
                        let pairs = _mm256_maddubs_epi16(weights, values);
                        dots[half] = _mm256_add_epi32(dots[half], _mm256_madd_epi16(pairs, ones));
                    }
                }
            }
            to_floats(dots)
        }
    }
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn to_floats<const H: usize>(dots: [[__m256i; 2]; H]) -> [[__m256; 2]; H] {
    let mut floats = [[_mm256_setzero_ps(); 2]; H];
    for (floats, dots) in floats.iter_mut().zip(dots) {
        *floats = [_mm256_cvtepi32_ps(dots[0]), _mm256_cvtepi32_ps(dots[1])];
    }
    floats
}
