//! Products of tiles, row by row: the reference for the kernels.

use super::{
    CHUNK, STRETCH, TILE, block_at, field, floats_at, mask, place, small_at, stretch_bytes,
    super_at,
};
use crate::arithmetic;
use crate::outputs::Outputs;
use crate::quantize::blocks::{
    Block, FloatType, GROUPS, Scales, SmallBlock, SuperBlock, by_sixteens,
};
use crate::quantize::{ActivationQ8, ActivationQ8K, BLOCK, SUPER_BLOCK};

/// Elements 4i … 4i + 3 of row `row` of a stretch, as codes.
#[inline(always)]
fn four<B: Block>(stretch: &[u8], row: usize, i: usize) -> [u8; CHUNK] {
    let word = |chunk| {
        let bytes = stretch[place(chunk, row, 0)..].first_chunk::<CHUNK>();
        u32::from_le_bytes(*bytes.expect("a stretch has whole chunks"))
    };
    let (chunk, bit) = field(B::LOW, i / 4, i % 4);
    let low = word(chunk) >> bit & mask(B::LOW);
    if B::HIGH == 0 {
        return low.to_le_bytes();
    }
    let (chunk, bit) = field(B::HIGH, i / 4, i % 4);
    let high = word(B::LOW + chunk) >> bit & mask(B::HIGH);
    (low | high << B::LOW).to_le_bytes()
}

#[inline(always)]
pub(super) fn small_tile<B: SmallBlock>(tile: &[u8], columns: usize, out: &mut [f32]) {
    for (b, block) in tile.chunks_exact(TILE * size_of::<B>()).enumerate() {
        let stretch = &block[2 * TILE * B::FLOATS.len()..];
        let floats: [[f32; 2]; TILE] = core::array::from_fn(|r| floats_at::<B>(block, r));
        for i in 0..STRETCH / CHUNK {
            for (r, [d, m]) in floats.iter().enumerate() {
                let m = if B::OFFSET { *m } else { 0.0 };
                let out = &mut out[r * columns + b * BLOCK + i * CHUNK..][..CHUNK];
                for (out, code) in out.iter_mut().zip(four::<B>(stretch, r, i)) {
                    *out = d * f32::from(B::CODE.value(code)) + m;
                }
            }
        }
    }
}

#[inline(always)]
pub(super) fn super_tile<B: SuperBlock>(tile: &[u8], columns: usize, out: &mut [f32]) {
    for (b, block) in tile.chunks_exact(TILE * size_of::<B>()).enumerate() {
        if B::LOW == 0 {
            for r in 0..TILE {
                let out = &mut out[r * columns + b * SUPER_BLOCK..][..SUPER_BLOCK];
                super_at::<B>(block, r).values(out);
            }
            continue;
        }
        let (scales, stretches) =
            block[2 * TILE * B::FLOATS.len()..].split_at(TILE * B::SCALE_BYTES);
        for r in 0..TILE {
            let [d, d_min] = floats_at::<B>(block, r);
            let d_min = if B::MINIMA { d_min } else { 0.0 };
            let mut bytes = [[0]; GROUPS];
            let bytes = &mut bytes[..B::SCALE_BYTES];
            for (byte, rows) in bytes.iter_mut().zip(scales.chunks_exact(TILE)) {
                *byte = [rows[r]];
            }
            let scales: Scales<1> = B::scales(bytes);
            let (scales, minima) = by_sixteens::<B>(&scales);
            let stretches = stretches.chunks_exact(TILE * stretch_bytes::<B>());
            for (s, stretch) in stretches.enumerate() {
                let out = &mut out[r * columns + b * SUPER_BLOCK + s * STRETCH..][..STRETCH];
                for i in 0..STRETCH / CHUNK {
                    let group = 2 * s + i / 4;
                    let d = d * f32::from(scales[group]);
                    let m = d_min * f32::from(minima[group]);
                    let out = &mut out[i * CHUNK..][..CHUNK];
                    for (out, code) in out.iter_mut().zip(four::<B>(stretch, r, i)) {
                        *out = d * f32::from(B::CODE.value(code)) - m;
                    }
                }
            }
        }
    }
}

/// Like [`arithmetic::matmul_float`] from tiles, for machines without a kernel and for tests.
pub(crate) fn matmul_float<F: FloatType>(
    w: &[u8],
    columns: usize,
    x: &[f32],
    out: &mut Outputs<'_>,
) {
    let tiled = w.len() / (columns * F::BYTES);
    for (t, x) in x.chunks_exact(columns).enumerate() {
        for (r, out) in out.token(t).iter_mut().take(tiled).enumerate() {
            let tile = w[r / TILE * TILE * columns * F::BYTES..].chunks_exact(TILE * F::BYTES);
            let values = tile.map(|column| F::value(&column[r % TILE * F::BYTES..]));
            *out = values.zip(x).fold(0.0, |sum, (w, x)| sum + w * x);
        }
    }
}

/// Like [`arithmetic::matmul_small`] from tiles.
pub(crate) fn matmul_small<B: SmallBlock>(
    w: &[u8],
    blocks: usize,
    x: &[ActivationQ8],
    out: &mut Outputs<'_>,
) {
    let tiled = w.len() / (blocks * size_of::<B>());
    for (t, x) in x.chunks_exact(blocks).enumerate() {
        for (r, out) in out.token(t).iter_mut().take(tiled).enumerate() {
            *out = x.iter().enumerate().fold(0.0, |sum, (b, x)| {
                let (block, r) = block_at::<B>(w, blocks, r, b);
                sum + arithmetic::product_small(&small_at::<B>(block, r), x, B::OFFSET)
            });
        }
    }
}

/// Like [`arithmetic::matmul_super`] from tiles.
pub(crate) fn matmul_super<B: SuperBlock>(
    w: &[u8],
    blocks: usize,
    x: &[ActivationQ8K],
    out: &mut Outputs<'_>,
) {
    let tiled = w.len() / (blocks * size_of::<B>());
    for (t, x) in x.chunks_exact(blocks).enumerate() {
        for (r, out) in out.token(t).iter_mut().take(tiled).enumerate() {
            *out = x.iter().enumerate().fold(0.0, |sum, (b, x)| {
                let (block, r) = block_at::<B>(w, blocks, r, b);
                sum + arithmetic::product_super(&super_at::<B>(block, r), x, B::MINIMA)
            });
        }
    }
}

/// How many of the remaining tokens go through a matrix together, at most `most`: a power of two.
#[inline(always)]
pub(crate) fn tokens_of(left: usize, most: usize) -> usize {
    most.min(1 << left.max(1).ilog2())
}
