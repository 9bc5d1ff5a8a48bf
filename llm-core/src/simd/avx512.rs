//! AVX-512 with VNNI: a register has four elements of all sixteen rows of a tile.

use super::scalar::{Attention, finite};
use super::tiles::{Format, TILE, four};
use crate::quantize::ActivationQ8;
use core::arch::x86_64::*;
use half::f16;

/// Tokens that share a pass over the weights.
const TOKENS: usize = 4;

/// Runs `f` as if it were compiled for this instruction set.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn run<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// Attention over keys and values in f16.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
pub(super) fn attend(attention: Attention<'_>, keys: &[f16], values: &[f16]) {
    attention.run(keys, values, |x| widen(x), finite);
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni,f16c")]
#[inline]
fn widen(x: &[f16; TILE]) -> [f32; TILE] {
    // SAFETY: sixteen f16 are 32 bytes, borrowed; the load asks for no alignment.
    let x = unsafe { _mm256_loadu_si256(x.as_ptr().cast()) };
    let x = _mm512_cvtph_ps(x);
    let mut wide = [0.0; TILE];
    // SAFETY: sixteen floats, borrowed; the store asks for no alignment.
    unsafe { _mm512_storeu_ps(wide.as_mut_ptr(), x) }
    wide
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
