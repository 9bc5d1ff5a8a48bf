//! AVX2: two registers have four elements of the sixteen rows of a tile.

use super::attention::{Attention, F16s, F32s, I8s, Isa, Vector};
use super::tiles::{Format, PACKED_SCALES, TILE, four, tokens_of, unpack_scales};
use crate::quantize::{ActivationQ8, ActivationQ8K};
use core::arch::x86_64::*;

/// Rows in a register.
const LANES: usize = 8;

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
    fn max(self, x: Self::Floats) -> f32 {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { max(x) }
    }

    #[inline(always)]
    fn round(self, x: Self::Floats) -> [u8; 16] {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { round(x) }
    }

    #[inline(always)]
    fn dots<const H: usize>(
        self,
        chunks: &[[I8s; 4]],
        vectors: &[Vector<'_>; H],
    ) -> [Self::Floats; H] {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { dots(chunks, vectors) }
    }

    #[inline(always)]
    fn weigh<const H: usize>(
        self,
        chunks: &[[I8s; 4]; 4],
        weights: &[[u8; 16]; H],
    ) -> [Self::Floats; H] {
        // SAFETY: the value says that the CPU has the instructions.
        unsafe { weigh(chunks, weights) }
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
fn dots<const H: usize>(chunks: &[[I8s; 4]], vectors: &[Vector<'_>; H]) -> [[__m256; 2]; H] {
    let ones = _mm256_set1_epi16(1);
    let mut dots = [[_mm256_setzero_si256(); 2]; H];
    for (c, keys) in chunks.iter().enumerate() {
        for (half, keys) in keys.as_chunks::<2>().0.iter().enumerate() {
            // SAFETY: 32 bytes, borrowed; the load asks for no alignment.
            let key = unsafe { _mm256_loadu_si256(core::ptr::from_ref(keys).cast()) };
            let magnitude = _mm256_abs_epi8(key);
            for (dots, vector) in dots.iter_mut().zip(vectors) {
                let q = _mm256_set1_epi32(i32::from_le_bytes(vector.q[c].map(|q| q as u8)));
                // |key| and ±q are at most 127: two products fit 16 bits.
                let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(q, key));
                dots[half] = _mm256_add_epi32(dots[half], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    to_floats(dots)
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

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn max([low, high]: [__m256; 2]) -> f32 {
    let x = _mm256_max_ps(low, high);
    let x = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps::<1>(x, x)))
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn round([low, high]: [__m256; 2]) -> [u8; 16] {
    let halves = |x| (_mm256_castsi256_si128(x), _mm256_extracti128_si256::<1>(x));
    let ((a, b), (c, d)) = (
        halves(_mm256_cvtps_epi32(low)),
        halves(_mm256_cvtps_epi32(high)),
    );
    let packed = _mm_packs_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
    let mut bytes = [0; 16];
    // SAFETY: sixteen bytes, borrowed; the store asks for no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), packed) }
    bytes
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn weigh<const H: usize>(chunks: &[[I8s; 4]; 4], weights: &[[u8; 16]; H]) -> [[__m256; 2]; H] {
    let ones = _mm256_set1_epi16(1);
    let mut dots = [[_mm256_setzero_si256(); 2]; H];
    for (c, chunk) in chunks.iter().enumerate() {
        for (half, values) in chunk.as_chunks::<2>().0.iter().enumerate() {
            // SAFETY: 32 bytes, borrowed; the load asks for no alignment.
            let values = unsafe { _mm256_loadu_si256(core::ptr::from_ref(values).cast()) };
            for (dots, weights) in dots.iter_mut().zip(weights) {
                let weights = _mm256_set1_epi32(i32::from_le_bytes(weights.as_chunks().0[c]));
                // All are at most 127: two products fit 16 bits.
                let pairs = _mm256_maddubs_epi16(weights, values);
                dots[half] = _mm256_add_epi32(dots[half], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
    to_floats(dots)
}

/// As [`super::scalar::matmul_small`] for tiles of Q8_0, or of Q4_0.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn matmul_small<const BYTES: bool>(
    w: &[u8],
    blocks: usize,
    mut x: &[ActivationQ8],
    mut out: &mut [f32],
) {
    let rows = out.len() * blocks / x.len();
    while !x.is_empty() {
        let tokens = tokens_of(x.len() / blocks, 4);
        let (here, later) = out.split_at_mut(tokens * rows);
        match tokens {
            4 => small::<4, BYTES, 1>(w, blocks, x, here),
            2 => small::<2, BYTES, 1>(w, blocks, x, here),
            _ => small::<1, BYTES, 2>(w, blocks, x, here),
        }
        x = &x[tokens * blocks..];
        out = later;
    }
}

/// `T` tokens, `HALVES` of a tile's rows at a time: for several tokens both together do not fit the registers.
#[target_feature(enable = "avx2,f16c")]
fn small<const T: usize, const BYTES: bool, const HALVES: usize>(
    w: &[u8],
    blocks: usize,
    x: &[ActivationQ8],
    out: &mut [f32],
) {
    let format = if BYTES { Format::Q8_0 } else { Format::Q4_0 };
    let ones = _mm256_set1_epi16(1);
    let nibble = _mm256_set1_epi8(15);
    let rows = out.len() / T;
    let tiles = w.chunks_exact(format.tile_bytes() * blocks);
    for (index, tile) in tiles.enumerate() {
        for first in (0..2).step_by(HALVES) {
            let mut sums = [[_mm256_setzero_ps(); T]; HALVES];
            for (b, block) in tile.chunks_exact(format.tile_bytes()).enumerate() {
                let x: [&ActivationQ8; T] = core::array::from_fn(|t| &x[t * blocks + b]);
                let (scales, chunks) = block.split_at(2 * TILE);
                for (half, sums) in sums.iter_mut().enumerate() {
                    let half = first + half;
                    let mut dots = [_mm256_setzero_si256(); T];
                    for (c, chunk) in chunks.as_chunks::<64>().0.iter().enumerate() {
                        let w = load_256(&chunk.as_chunks::<32>().0[half]);
                        if BYTES {
                            // |w| is at most 128 and ±x at most 127: two products fit 16 bits.
                            let magnitude = _mm256_abs_epi8(w);
                            for (x, dot) in x.iter().zip(&mut dots) {
                                let x = _mm256_set1_epi32(four(&x.q, c));
                                let x = _mm256_sign_epi8(x, w);
                                let pairs = _mm256_maddubs_epi16(magnitude, x);
                                *dot = _mm256_add_epi32(*dot, _mm256_madd_epi16(pairs, ones));
                            }
                        } else {
                            let low = _mm256_and_si256(w, nibble);
                            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(w), nibble);
                            for (x, dot) in x.iter().zip(&mut dots) {
                                let low_x = _mm256_set1_epi32(four(&x.q, c));
                                let high_x = _mm256_set1_epi32(four(&x.q, c + 4));
                                // At most 4 · 15 · 127, and 4 such sums in a block: 16 bits hold that.
                                let low = _mm256_maddubs_epi16(low, low_x);
                                let high = _mm256_maddubs_epi16(high, high_x);
                                *dot = _mm256_add_epi16(*dot, _mm256_add_epi16(low, high));
                            }
                        }
                    }
                    let scales = floats(scales, half);
                    for ((x, dot), sum) in x.iter().zip(dots).zip(sums) {
                        let dot = match BYTES {
                            true => dot,
                            false => {
                                // The nibbles are 8 too large.
                                let surplus = _mm256_slli_epi32::<3>(_mm256_set1_epi32(x.sum));
                                _mm256_sub_epi32(_mm256_madd_epi16(dot, ones), surplus)
                            }
                        };
                        let scale = _mm256_mul_ps(scales, _mm256_set1_ps(x.d));
                        let product = _mm256_mul_ps(_mm256_cvtepi32_ps(dot), scale);
                        *sum = _mm256_add_ps(*sum, product);
                    }
                }
            }
            for (half, sums) in sums.iter().enumerate() {
                write(sums, out, rows, 2 * index + first + half);
            }
        }
    }
}

/// As [`super::scalar::matmul_super`] for tiles of Q4_K.
#[target_feature(enable = "avx2,f16c")]
pub(super) fn matmul_super(w: &[u8], blocks: usize, mut x: &[ActivationQ8K], mut out: &mut [f32]) {
    let rows = out.len() * blocks / x.len();
    while !x.is_empty() {
        let tokens = tokens_of(x.len() / blocks, 2);
        let (here, later) = out.split_at_mut(tokens * rows);
        match tokens {
            2 => q4_k::<2>(w, blocks, x, here),
            _ => q4_k::<1>(w, blocks, x, here),
        }
        x = &x[tokens * blocks..];
        out = later;
    }
}

/// `T` tokens.
#[target_feature(enable = "avx2,f16c")]
#[expect(clippy::needless_range_loop, reason = "several arrays have the index")]
fn q4_k<const T: usize>(w: &[u8], blocks: usize, x: &[ActivationQ8K], out: &mut [f32]) {
    let nibble = _mm256_set1_epi8(15);
    let rows = out.len() / T;
    let tiles = w.chunks_exact(Format::Q4K.tile_bytes() * blocks);
    for (index, tile) in tiles.enumerate() {
        let mut sums = [[_mm256_setzero_ps(); T]; 2];
        for (b, block) in tile.chunks_exact(Format::Q4K.tile_bytes()).enumerate() {
            let x: [&ActivationQ8K; T] = core::array::from_fn(|t| &x[t * blocks + b]);
            let (floats_of, rest) = block.split_at(4 * TILE);
            let (d, d_min) = floats_of.split_at(2 * TILE);
            let (packed, chunks) = rest.split_at(PACKED_SCALES * TILE);
            let packed = packed.as_chunks::<TILE>().0.first_chunk();
            let [scales, minima] = unpack_scales(packed.expect("twelve bytes of sixteen rows"));
            // A byte has an element of a group of 32 and one of the next.
            let pairs = chunks.as_chunks::<64>().0.as_chunks::<8>().0;
            for half in 0..2 {
                let mut totals = [_mm256_setzero_si256(); T];
                let mut minimum = [_mm256_setzero_si256(); T];
                for (pair, chunks) in pairs.iter().enumerate() {
                    let mut dots = [[_mm256_setzero_si256(); 2]; T];
                    for (c, chunk) in chunks.iter().enumerate() {
                        let w = load_256(&chunk.as_chunks::<32>().0[half]);
                        let low = _mm256_and_si256(w, nibble);
                        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(w), nibble);
                        for (x, dots) in x.iter().zip(&mut dots) {
                            // At most 2 · 15 · 127, and 8 such sums: 16 bits hold that.
                            let low_x = _mm256_set1_epi32(four(&x.q, 16 * pair + c));
                            let low = _mm256_maddubs_epi16(low, low_x);
                            dots[0] = _mm256_add_epi16(dots[0], low);
                            let high_x = _mm256_set1_epi32(four(&x.q, 16 * pair + 8 + c));
                            let high = _mm256_maddubs_epi16(high, high_x);
                            dots[1] = _mm256_add_epi16(dots[1], high);
                        }
                    }
                    for part in 0..2 {
                        let group = 2 * pair + part;
                        let scale = widen(&scales[group], half);
                        // Twice, for the two sums of a row.
                        let scale = _mm256_or_si256(scale, _mm256_slli_epi32::<16>(scale));
                        let minima = widen(&minima[group], half);
                        for (t, x) in x.iter().enumerate() {
                            let product = _mm256_madd_epi16(dots[t][part], scale);
                            totals[t] = _mm256_add_epi32(totals[t], product);
                            // Small enough for 16 bits; the upper half of a minimum is zero.
                            let [a, b] = [x.sums[2 * group], x.sums[2 * group + 1]].map(i32::from);
                            let product = _mm256_madd_epi16(minima, _mm256_set1_epi32(a + b));
                            minimum[t] = _mm256_add_epi32(minimum[t], product);
                        }
                    }
                }
                let (d, d_min) = (floats(d, half), floats(d_min, half));
                for (t, x) in x.iter().enumerate() {
                    let x_d = _mm256_set1_ps(x.d);
                    let product = _mm256_cvtepi32_ps(totals[t]);
                    let product = _mm256_mul_ps(product, _mm256_mul_ps(d, x_d));
                    let least = _mm256_cvtepi32_ps(minimum[t]);
                    let least = _mm256_mul_ps(least, _mm256_mul_ps(d_min, x_d));
                    let difference = _mm256_sub_ps(product, least);
                    sums[half][t] = _mm256_add_ps(sums[half][t], difference);
                }
            }
        }
        for (half, sums) in sums.iter().enumerate() {
            write(sums, out, rows, 2 * index + half);
        }
    }
}

/// Puts the sums of half a tile's rows where they belong.
#[target_feature(enable = "avx2")]
fn write<const T: usize>(sums: &[__m256; T], out: &mut [f32], rows: usize, index: usize) {
    for (sum, out) in sums.iter().zip(out.chunks_exact_mut(rows)) {
        if let Some(out) = out.as_chunks_mut::<LANES>().0.get_mut(index) {
            // SAFETY: eight floats, borrowed; the store asks for no alignment.
            unsafe { _mm256_storeu_ps(out.as_mut_ptr(), *sum) }
        }
    }
}

#[target_feature(enable = "avx2")]
fn load_256(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes, borrowed; the load asks for no alignment.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Half of sixteen bytes, as integers.
#[target_feature(enable = "avx2")]
fn widen(bytes: &[u8; TILE], half: usize) -> __m256i {
    let bytes = &bytes.as_chunks::<LANES>().0[half];
    // SAFETY: eight bytes, borrowed; the load asks for no alignment.
    _mm256_cvtepu8_epi32(unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) })
}

/// Half of sixteen f16.
#[target_feature(enable = "avx2,f16c")]
fn floats(scales: &[u8], half: usize) -> __m256 {
    let scales: &[u8; 16] = scales[half * 16..].first_chunk().expect("eight scales");
    // SAFETY: 16 bytes, borrowed; the load asks for no alignment.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(scales.as_ptr().cast()) })
}
