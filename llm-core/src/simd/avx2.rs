//! AVX2: two registers have four elements of the sixteen rows of a tile.

use super::attention::{Attention, F16s, F32s, I8s, Isa, Query};
use super::tiles::{Format, TILE, four};
use crate::quantize::ActivationQ8;
use core::arch::x86_64::*;

/// Rows in a register.
const LANES: usize = 8;

/// Tokens that share a pass over the weights.
const TOKENS: usize = 4;

/// What is not written for it, compiled for it.
pub(super) mod loops {
    use crate::kv_cache::{self, KvShape};
    use crate::quantize::{self, ActivationQ8, ActivationQ8K, NonFinite};
    use crate::simd::attention::Attention;
    use crate::simd::scalar;

    for_each_loop! { compile "avx2,f16c" }
}

/// Attention for heads that are whole groups of lanes.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn attend(attention: Attention<'_>) {
    attention.run(Avx2(()));
}

/// Made in functions alone that are compiled for the instruction set, and so are only called where the CPU
/// has it.
#[derive(Clone, Copy)]
struct Avx2(());

impl Isa for Avx2 {
    type Floats = [__m256; 2];
    const ACCUMULATORS: usize = 4;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { splat(x) }
    }

    #[inline(always)]
    fn load(self, x: &F32s) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { load(x) }
    }

    #[inline(always)]
    fn store(self, x: Self::Floats, to: &mut F32s) {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { store(x, to) }
    }

    #[inline(always)]
    fn halves(self, x: &F16s) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { halves(x) }
    }

    #[inline(always)]
    fn bytes(self, x: &I8s) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { bytes(x) }
    }

    #[inline(always)]
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { add(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { mul(a, b) }
    }

    #[inline(always)]
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { div(a, b) }
    }

    #[inline(always)]
    fn fold(self, x: Self::Floats) -> f32 {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { fold(x) }
    }

    #[inline(always)]
    fn dots(self, keys: &[[I8s; 4]], query: &Query<'_>) -> Self::Floats {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { dots(keys, query) }
    }
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn splat(x: f32) -> [__m256; 2] {
    [_mm256_set1_ps(x); 2]
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn load(x: &F32s) -> [__m256; 2] {
    let x: *const f32 = core::ptr::from_ref(x).cast();
    // SAFETY: the first eight of sixteen floats, borrowed; the load asks for no alignment.
    let low = unsafe { _mm256_loadu_ps(x) };
    // SAFETY: the other eight.
    let high = unsafe { _mm256_loadu_ps(x.wrapping_add(8)) };
    [low, high]
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn store([low, high]: [__m256; 2], to: &mut F32s) {
    let to: *mut f32 = core::ptr::from_mut(to).cast();
    // SAFETY: the first eight of sixteen floats, borrowed; the store asks for no alignment.
    unsafe { _mm256_storeu_ps(to, low) };
    // SAFETY: the other eight.
    unsafe { _mm256_storeu_ps(to.wrapping_add(8), high) }
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn halves([low, high]: &F16s) -> [__m256; 2] {
    // SAFETY: eight f16 are sixteen bytes, borrowed; the load asks for no alignment.
    let low = unsafe { _mm_loadu_si128(core::ptr::from_ref(low).cast()) };
    // SAFETY: likewise.
    let high = unsafe { _mm_loadu_si128(core::ptr::from_ref(high).cast()) };
    [_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)]
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn bytes(x: &I8s) -> [__m256; 2] {
    // SAFETY: sixteen bytes, borrowed; the load asks for no alignment.
    let low = unsafe { _mm_loadu_si128(core::ptr::from_ref(x).cast()) };
    let high = _mm_srli_si128::<8>(low);
    [
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(low)),
        _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(high)),
    ]
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn add(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
    [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])]
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn mul(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
    [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])]
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn div(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
    [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])]
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn fold([low, high]: [__m256; 2]) -> f32 {
    let x = _mm256_add_ps(low, high);
    let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn dots(keys: &[[I8s; 4]], query: &Query<'_>) -> [__m256; 2] {
    let ones = _mm256_set1_epi16(1);
    let mut dots = [_mm256_setzero_si256(); 2];
    for (keys, q) in keys.iter().zip(query.q) {
        let q = _mm256_set1_epi32(i32::from_le_bytes(q.map(|q| q as u8)));
        for (dot, keys) in dots.iter_mut().zip(keys.as_chunks::<2>().0) {
            // SAFETY: 32 bytes, borrowed; the load asks for no alignment.
            let key = unsafe { _mm256_loadu_si256(core::ptr::from_ref(keys).cast()) };
            // |key| and ±q are at most 127: two products fit 16 bits.
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(key), _mm256_sign_epi8(q, key));
            *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(pairs, ones));
        }
    }
    [_mm256_cvtepi32_ps(dots[0]), _mm256_cvtepi32_ps(dots[1])]
}

/// As [`super::scalar::matmul_small`] for tiles.
#[target_feature(enable = "avx2")]
pub(super) fn matmul(format: Format, w: &[u8], blocks: usize, x: &[ActivationQ8], out: &mut [f32]) {
    let rows = w.len() / (format.block_bytes() * blocks);
    let x = x.chunks(blocks * TOKENS);
    for (x, out) in x.zip(out.chunks_mut(rows * TOKENS)) {
        match (format, x.len() / blocks) {
            (Format::Q8_0, 4) => pass::<4, true>(w, blocks, x, out, rows),
            (Format::Q8_0, 3) => pass::<3, true>(w, blocks, x, out, rows),
            (Format::Q8_0, 2) => pass::<2, true>(w, blocks, x, out, rows),
            (Format::Q8_0, _) => pass::<1, true>(w, blocks, x, out, rows),
            (Format::Q4_0, 4) => pass::<4, false>(w, blocks, x, out, rows),
            (Format::Q4_0, 3) => pass::<3, false>(w, blocks, x, out, rows),
            (Format::Q4_0, 2) => pass::<2, false>(w, blocks, x, out, rows),
            (Format::Q4_0, _) => pass::<1, false>(w, blocks, x, out, rows),
        }
    }
}

/// `T` tokens. `BYTES`: Q8_0, else Q4_0.
#[target_feature(enable = "avx2")]
fn pass<const T: usize, const BYTES: bool>(
    w: &[u8],
    blocks: usize,
    x: &[ActivationQ8],
    out: &mut [f32],
    rows: usize,
) {
    let format = if BYTES { Format::Q8_0 } else { Format::Q4_0 };
    let ones = _mm256_set1_epi16(1);
    let tiles = w.chunks_exact(format.tile_bytes() * blocks);
    for (index, tile) in tiles.enumerate() {
        for half in 0..TILE / LANES {
            let mut sums = [_mm256_setzero_ps(); T];
            for (b, block) in tile.chunks_exact(format.tile_bytes()).enumerate() {
                let (scales, chunks) = block.split_at(2 * TILE);
                let scales = floats(scales, half);
                let mut dots = [_mm256_setzero_si256(); T];
                for (c, chunk) in chunks.as_chunks::<64>().0.iter().enumerate() {
                    let w = load_256(&chunk.as_chunks::<32>().0[half]);
                    if BYTES {
                        // |w| is at most 128 and ±x at most 127: two products fit 16 bits.
                        let magnitude = _mm256_abs_epi8(w);
                        for (t, dot) in dots.iter_mut().enumerate() {
                            let x = _mm256_set1_epi32(four(&x[t * blocks + b].q, c));
                            let signed = _mm256_sign_epi8(x, w);
                            let pairs = _mm256_maddubs_epi16(magnitude, signed);
                            *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(pairs, ones));
                        }
                    } else {
                        let nibble = _mm256_set1_epi8(15);
                        let low = _mm256_and_si256(w, nibble);
                        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(w), nibble);
                        for (t, dot) in dots.iter_mut().enumerate() {
                            let q = &x[t * blocks + b].q;
                            let low_x = _mm256_set1_epi32(four(q, c));
                            let high_x = _mm256_set1_epi32(four(q, c + 4));
                            // At most 4 · 15 · 127, and 4 such sums in a block: 16 bits hold that.
                            let pairs = _mm256_add_epi16(
                                _mm256_maddubs_epi16(low, low_x),
                                _mm256_maddubs_epi16(high, high_x),
                            );
                            *dot = _mm256_add_epi16(*dot, pairs);
                        }
                    }
                }
                for (t, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                    let x = &x[t * blocks + b];
                    let dot = if BYTES {
                        dot
                    } else {
                        // The nibbles are 8 too large.
                        let surplus = _mm256_set1_epi32(8 * x.sum);
                        _mm256_sub_epi32(_mm256_madd_epi16(dot, ones), surplus)
                    };
                    let scale = _mm256_mul_ps(scales, _mm256_set1_ps(x.d));
                    *sum = _mm256_add_ps(*sum, _mm256_mul_ps(_mm256_cvtepi32_ps(dot), scale));
                }
            }
            for (t, sum) in sums.into_iter().enumerate() {
                let at = t * rows + index * TILE + half * LANES;
                if let Some(out) = out
                    .get_mut(at..)
                    .and_then(|out| out.first_chunk_mut::<LANES>())
                {
                    // SAFETY: eight floats, borrowed; the store asks for no alignment.
                    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), sum) }
                }
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn load_256(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes, borrowed; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Eight finite f16 as f32: exponent and mantissa are moved into place and multiplied by 2¹¹², which
/// is exact, also for subnormals.
#[target_feature(enable = "avx2")]
fn floats(scales: &[u8], half: usize) -> __m256 {
    let scales: &[u8; 16] = scales[half * 16..].first_chunk().expect("eight scales");
    // SAFETY: 16 bytes, borrowed; the load asks for no alignment.
    let scales = unsafe { _mm_loadu_si128(scales.as_ptr().cast()) };
    let bits = _mm256_cvtepu16_epi32(scales);
    let magnitude = _mm256_slli_epi32::<13>(_mm256_and_si256(bits, _mm256_set1_epi32(0x7FFF)));
    let sign = _mm256_slli_epi32::<16>(_mm256_and_si256(bits, _mm256_set1_epi32(0x8000)));
    // 2¹¹²
    let power = _mm256_castsi256_ps(_mm256_set1_epi32((127 + 112) << 23));
    let magnitude = _mm256_mul_ps(_mm256_castsi256_ps(magnitude), power);
    _mm256_or_ps(magnitude, _mm256_castsi256_ps(sign))
}
