//! AVX-512 with VNNI: a register has four elements of all sixteen rows of a tile.

use super::attention::{Attention, F16s, F32s, I8s, Isa, Query};
use super::tiles::{Format, TILE, four};
use crate::quantize::ActivationQ8;
use core::arch::x86_64::*;

/// Tokens that share a pass over the weights.
const TOKENS: usize = 4;

/// What is not written for it, compiled for it.
pub(super) mod loops {
    use crate::kv_cache::{self, KvShape};
    use crate::quantize::{self, ActivationQ8, ActivationQ8K, NonFinite};
    use crate::simd::attention::Attention;
    use crate::simd::scalar;

    for_each_loop! { compile "avx512f,avx512bw,avx512vnni,f16c" }
}

/// Attention for heads that are whole groups of lanes.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn attend(attention: Attention<'_>) {
    attention.run(Avx512(()));
}

/// Made in functions alone that are compiled for the instruction set, and so are only called where the CPU
/// has it.
#[derive(Clone, Copy)]
struct Avx512(());

impl Isa for Avx512 {
    type Floats = __m512;
    const ACCUMULATORS: usize = 16;

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

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn splat(x: f32) -> __m512 {
    _mm512_set1_ps(x)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn load(x: &F32s) -> __m512 {
    // SAFETY: sixteen floats, borrowed; the load asks for no alignment.
    unsafe { _mm512_loadu_ps(core::ptr::from_ref(x).cast()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn store(x: __m512, to: &mut F32s) {
    // SAFETY: sixteen floats, borrowed; the store asks for no alignment.
    unsafe { _mm512_storeu_ps(core::ptr::from_mut(to).cast(), x) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn halves(x: &F16s) -> __m512 {
    // SAFETY: sixteen f16 are 32 bytes, borrowed; the load asks for no alignment.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(core::ptr::from_ref(x).cast()) })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn bytes(x: &I8s) -> __m512 {
    // SAFETY: sixteen bytes, borrowed; the load asks for no alignment.
    let x = unsafe { _mm_loadu_si128(core::ptr::from_ref(x).cast()) };
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn add(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn mul(a: __m512, b: __m512) -> __m512 {
    _mm512_mul_ps(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn div(a: __m512, b: __m512) -> __m512 {
    _mm512_div_ps(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn fold(x: __m512) -> f32 {
    let high = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(x)));
    let x = _mm256_add_ps(_mm512_castps512_ps256(x), high);
    let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn dots(keys: &[[I8s; 4]], query: &Query<'_>) -> __m512 {
    // Keys are made unsigned; the surplus is taken off by the query's sum. Two sums, so that they do not wait
    // for one another.
    let mut dots = [_mm512_set1_epi32(-128 * query.sum), _mm512_setzero_si512()];
    let pairs = keys.as_chunks::<2>().0.iter();
    for (keys, q) in pairs.zip(query.q.as_chunks::<2>().0) {
        for ((dot, key), q) in dots.iter_mut().zip(keys).zip(q) {
            // SAFETY: 64 bytes, borrowed; the load asks for no alignment.
            let key = unsafe { _mm512_loadu_si512(core::ptr::from_ref(key).cast()) };
            let key = _mm512_xor_si512(key, _mm512_set1_epi8(-128));
            let q = _mm512_set1_epi32(i32::from_le_bytes(q.map(|q| q as u8)));
            *dot = _mm512_dpbusd_epi32(*dot, key, q);
        }
    }
    _mm512_cvtepi32_ps(_mm512_add_epi32(dots[0], dots[1]))
}

/// As [`super::scalar::matmul_small`] for tiles.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
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
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
fn pass<const T: usize, const BYTES: bool>(
    w: &[u8],
    blocks: usize,
    x: &[ActivationQ8],
    out: &mut [f32],
    rows: usize,
) {
    let format = if BYTES { Format::Q8_0 } else { Format::Q4_0 };
    // The weights are made unsigned for VNNI; the surplus is taken off by the activations' sum, which
    // is exact.
    let offset = if BYTES { 128 } else { 8 };
    let tiles = w.chunks_exact(format.tile_bytes() * blocks);
    for (index, tile) in tiles.enumerate() {
        let mut sums = [_mm512_setzero_ps(); T];
        for (b, block) in tile.chunks_exact(format.tile_bytes()).enumerate() {
            let (scales, chunks) = block.split_at(2 * TILE);
            let scales = _mm512_cvtph_ps(load_256(scales));
            let mut dots = [_mm512_setzero_si512(); T];
            for (c, chunk) in chunks.as_chunks::<64>().0.iter().enumerate() {
                let w = load_512(chunk);
                if BYTES {
                    let w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
                    for (t, dot) in dots.iter_mut().enumerate() {
                        let x = _mm512_set1_epi32(four(&x[t * blocks + b].q, c));
                        *dot = _mm512_dpbusd_epi32(*dot, w, x);
                    }
                } else {
                    let nibble = _mm512_set1_epi8(15);
                    let low = _mm512_and_si512(w, nibble);
                    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(w), nibble);
                    for (t, dot) in dots.iter_mut().enumerate() {
                        let q = &x[t * blocks + b].q;
                        *dot = _mm512_dpbusd_epi32(*dot, low, _mm512_set1_epi32(four(q, c)));
                        *dot = _mm512_dpbusd_epi32(*dot, high, _mm512_set1_epi32(four(q, c + 4)));
                    }
                }
            }
            for (t, (sum, dot)) in sums.iter_mut().zip(dots).enumerate() {
                let x = &x[t * blocks + b];
                let dot = _mm512_sub_epi32(dot, _mm512_set1_epi32(offset * x.sum));
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(x.d));
                *sum = _mm512_add_ps(*sum, _mm512_mul_ps(_mm512_cvtepi32_ps(dot), scale));
            }
        }
        for (t, sum) in sums.into_iter().enumerate() {
            let at = t * rows + index * TILE;
            if let Some(out) = out
                .get_mut(at..)
                .and_then(|out| out.first_chunk_mut::<TILE>())
            {
                // SAFETY: sixteen floats, borrowed; the store asks for no alignment.
                unsafe { _mm512_storeu_ps(out.as_mut_ptr(), sum) }
            }
        }
    }
}

#[target_feature(enable = "avx512f")]
fn load_512(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes, borrowed; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx512f")]
fn load_256(bytes: &[u8]) -> __m256i {
    let bytes: &[u8; 32] = bytes.first_chunk().expect("sixteen scales");
    // SAFETY: 32 bytes, borrowed; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}
