//! AVX-512 with VNNI: a register has four elements of all sixteen rows of a tile.

use super::attention::{Attention, F16s, F32s, I8s, Isa, Vector};
use super::tiles::{Format, PACKED_SCALES, TILE, four, tokens_of, unpack_scales};
use crate::quantize::{ActivationQ8, ActivationQ8K};
use core::arch::x86_64::*;

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
fn dots<const H: usize>(chunks: &[[I8s; 4]], vectors: &[Vector<'_>; H]) -> [__m512; H] {
    // The chunks are made unsigned; the surplus is taken off by the vector's sum. Two sums, so that they do not wait
    // for one another.
    let mut dots = [[_mm512_setzero_si512(); 2]; H];
    for (dots, vector) in dots.iter_mut().zip(vectors) {
        dots[0] = _mm512_set1_epi32(-128 * vector.sum);
    }
    for (pair, keys) in chunks.as_chunks::<2>().0.iter().enumerate() {
        for (which, key) in keys.iter().enumerate() {
            // SAFETY: 64 bytes, borrowed; the load asks for no alignment.
            let key = unsafe { _mm512_loadu_si512(core::ptr::from_ref(key).cast()) };
            let key = _mm512_xor_si512(key, _mm512_set1_epi8(-128));
            for (dots, vector) in dots.iter_mut().zip(vectors) {
                let q = vector.q[2 * pair + which].map(|q| q as u8);
                let q = _mm512_set1_epi32(i32::from_le_bytes(q));
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

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn max(x: __m512) -> f32 {
    _mm512_reduce_max_ps(x)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn round(x: __m512) -> [u8; 16] {
    let narrow = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x));
    let mut bytes = [0; 16];
    // SAFETY: sixteen bytes, borrowed; the store asks for no alignment.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), narrow) }
    bytes
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn weigh<const H: usize>(chunks: &[[I8s; 4]; 4], weights: &[[u8; 16]; H]) -> [__m512; H] {
    let mut dots = [_mm512_setzero_si512(); H];
    for (c, chunk) in chunks.iter().enumerate() {
        // SAFETY: 64 bytes, borrowed; the load asks for no alignment.
        let chunk = unsafe { _mm512_loadu_si512(core::ptr::from_ref(chunk).cast()) };
        for (dot, weights) in dots.iter_mut().zip(weights) {
            let weights = _mm512_set1_epi32(i32::from_le_bytes(weights.as_chunks().0[c]));
            *dot = _mm512_dpbusd_epi32(*dot, weights, chunk);
        }
    }
    let mut floats = [_mm512_setzero_ps(); H];
    for (floats, dot) in floats.iter_mut().zip(dots) {
        *floats = _mm512_cvtepi32_ps(dot);
    }
    floats
}

/// As [`super::scalar::matmul_small`] for tiles of Q8_0, or of Q4_0.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn matmul_small<const BYTES: bool>(
    w: &[u8],
    blocks: usize,
    mut x: &[ActivationQ8],
    mut out: &mut [f32],
) {
    let rows = out.len() * blocks / x.len();
    while !x.is_empty() {
        let tokens = tokens_of(x.len() / blocks, 8);
        let (here, later) = out.split_at_mut(tokens * rows);
        match tokens {
            8 => small::<8, BYTES>(w, blocks, x, here),
            4 => small::<4, BYTES>(w, blocks, x, here),
            2 => small::<2, BYTES>(w, blocks, x, here),
            _ => small::<1, BYTES>(w, blocks, x, here),
        }
        x = &x[tokens * blocks..];
        out = later;
    }
}

/// `T` tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
fn small<const T: usize, const BYTES: bool>(
    w: &[u8],
    blocks: usize,
    x: &[ActivationQ8],
    out: &mut [f32],
) {
    let format = if BYTES { Format::Q8_0 } else { Format::Q4_0 };
    let nibble = _mm512_set1_epi8(15);
    let rows = out.len() / T;
    let tiles = w.chunks_exact(format.tile_bytes() * blocks);
    for (index, tile) in tiles.enumerate() {
        let mut sums = [_mm512_setzero_ps(); T];
        for (b, block) in tile.chunks_exact(format.tile_bytes()).enumerate() {
            let x: [&ActivationQ8; T] = core::array::from_fn(|t| &x[t * blocks + b]);
            let (scales, chunks) = block.split_at(2 * TILE);
            let scales = floats(scales);
            let mut dots = [_mm512_setzero_si512(); T];
            for (c, chunk) in chunks.as_chunks::<64>().0.iter().enumerate() {
                let w = load_512(chunk);
                // The weights are made unsigned for VNNI; the surplus is taken off by the activations' sum, which is
                // exact.
                if BYTES {
                    let w = _mm512_xor_si512(w, _mm512_set1_epi8(-128));
                    for (x, dot) in x.iter().zip(&mut dots) {
                        *dot = _mm512_dpbusd_epi32(*dot, w, _mm512_set1_epi32(four(&x.q, c)));
                    }
                } else {
                    let low = _mm512_and_si512(w, nibble);
                    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(w), nibble);
                    for (x, dot) in x.iter().zip(&mut dots) {
                        *dot = _mm512_dpbusd_epi32(*dot, low, _mm512_set1_epi32(four(&x.q, c)));
                        let x = _mm512_set1_epi32(four(&x.q, c + 4));
                        *dot = _mm512_dpbusd_epi32(*dot, high, x);
                    }
                }
            }
            for ((x, dot), sum) in x.iter().zip(dots).zip(&mut sums) {
                let surplus = _mm512_set1_epi32(x.sum);
                let surplus = match BYTES {
                    true => _mm512_slli_epi32::<7>(surplus),
                    false => _mm512_slli_epi32::<3>(surplus),
                };
                let dot = _mm512_cvtepi32_ps(_mm512_sub_epi32(dot, surplus));
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(x.d));
                *sum = _mm512_add_ps(*sum, _mm512_mul_ps(dot, scale));
            }
        }
        write(&sums, out, rows, index);
    }
}

/// As [`super::scalar::matmul_super`] for tiles of Q4_K.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn matmul_super(w: &[u8], blocks: usize, mut x: &[ActivationQ8K], mut out: &mut [f32]) {
    let rows = out.len() * blocks / x.len();
    while !x.is_empty() {
        let tokens = tokens_of(x.len() / blocks, 4);
        let (here, later) = out.split_at_mut(tokens * rows);
        match tokens {
            4 => q4_k::<4>(w, blocks, x, here),
            2 => q4_k::<2>(w, blocks, x, here),
            _ => q4_k::<1>(w, blocks, x, here),
        }
        x = &x[tokens * blocks..];
        out = later;
    }
}

/// `T` tokens.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[expect(clippy::needless_range_loop, reason = "several arrays have the index")]
fn q4_k<const T: usize>(w: &[u8], blocks: usize, x: &[ActivationQ8K], out: &mut [f32]) {
    let nibble = _mm512_set1_epi8(15);
    let rows = out.len() / T;
    let tiles = w.chunks_exact(Format::Q4K.tile_bytes() * blocks);
    for (index, tile) in tiles.enumerate() {
        let mut sums = [_mm512_setzero_ps(); T];
        for (b, block) in tile.chunks_exact(Format::Q4K.tile_bytes()).enumerate() {
            let x: [&ActivationQ8K; T] = core::array::from_fn(|t| &x[t * blocks + b]);
            let (floats_of, rest) = block.split_at(4 * TILE);
            let (d, d_min) = floats_of.split_at(2 * TILE);
            let (packed, chunks) = rest.split_at(PACKED_SCALES * TILE);
            let packed = packed.as_chunks::<TILE>().0.first_chunk();
            let [scales, minima] = unpack_scales(packed.expect("twelve bytes of sixteen rows"));
            let mut totals = [_mm512_setzero_si512(); T];
            let mut minimum = [_mm512_setzero_si512(); T];
            // A byte has an element of a group of 32 and one of the next.
            let pairs = chunks.as_chunks::<64>().0.as_chunks::<8>().0;
            for (pair, chunks) in pairs.iter().enumerate() {
                let mut dots = [[_mm512_setzero_si512(); 2]; T];
                for (c, chunk) in chunks.iter().enumerate() {
                    let w = load_512(chunk);
                    let low = _mm512_and_si512(w, nibble);
                    let high = _mm512_and_si512(_mm512_srli_epi16::<4>(w), nibble);
                    for (x, dots) in x.iter().zip(&mut dots) {
                        let low_x = _mm512_set1_epi32(four(&x.q, 16 * pair + c));
                        let high_x = _mm512_set1_epi32(four(&x.q, 16 * pair + 8 + c));
                        dots[0] = _mm512_dpbusd_epi32(dots[0], low, low_x);
                        dots[1] = _mm512_dpbusd_epi32(dots[1], high, high_x);
                    }
                }
                for half in 0..2 {
                    let group = 2 * pair + half;
                    let (scale, minima) = (widen(&scales[group]), widen(&minima[group]));
                    for (t, x) in x.iter().enumerate() {
                        let product = _mm512_mullo_epi32(scale, dots[t][half]);
                        totals[t] = _mm512_add_epi32(totals[t], product);
                        // Small enough for 16 bits; the upper half of a minimum is zero.
                        let [a, b] = [x.sums[2 * group], x.sums[2 * group + 1]].map(i32::from);
                        let product = _mm512_madd_epi16(minima, _mm512_set1_epi32(a + b));
                        minimum[t] = _mm512_add_epi32(minimum[t], product);
                    }
                }
            }
            let (d, d_min) = (floats(d), floats(d_min));
            for (t, x) in x.iter().enumerate() {
                let x_d = _mm512_set1_ps(x.d);
                let product = _mm512_cvtepi32_ps(totals[t]);
                let product = _mm512_mul_ps(product, _mm512_mul_ps(d, x_d));
                let least = _mm512_cvtepi32_ps(minimum[t]);
                let least = _mm512_mul_ps(least, _mm512_mul_ps(d_min, x_d));
                sums[t] = _mm512_add_ps(sums[t], _mm512_sub_ps(product, least));
            }
        }
        write(&sums, out, rows, index);
    }
}

/// Puts the sums of a tile's rows where they belong.
#[target_feature(enable = "avx512f")]
fn write<const T: usize>(sums: &[__m512; T], out: &mut [f32], rows: usize, index: usize) {
    for (sum, out) in sums.iter().zip(out.chunks_exact_mut(rows)) {
        if let Some(out) = out.as_chunks_mut::<TILE>().0.get_mut(index) {
            // SAFETY: sixteen floats, borrowed; the store asks for no alignment.
            unsafe { _mm512_storeu_ps(out.as_mut_ptr(), *sum) }
        }
    }
}

#[target_feature(enable = "avx512f")]
fn load_512(bytes: &[u8; 64]) -> __m512i {
    // SAFETY: 64 bytes, borrowed; the load asks for no alignment.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Sixteen bytes as integers.
#[target_feature(enable = "avx512f")]
fn widen(bytes: &[u8; TILE]) -> __m512i {
    // SAFETY: sixteen bytes, borrowed; the load asks for no alignment.
    _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// Sixteen f16.
#[target_feature(enable = "avx512f")]
fn floats(bytes: &[u8]) -> __m512 {
    let bytes: &[u8; 32] = bytes.first_chunk().expect("sixteen scales");
    // SAFETY: 32 bytes, borrowed; the load asks for no alignment.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) })
}
