//! Sixteen rows of a matrix, interleaved.
//!
//! A tile holds, block by block, the blocks of sixteen rows: first their sixteen scales (f16), then
//! the quantised bytes in chunks of four, chunk c of row 0, of row 1, … of row 15, then chunk c + 1.
//! One vector register of 64 bytes thus has four elements (Q4_0: four pairs of elements that lie 16
//! apart) of every row. A tile has the size of its rows, so loading is a permutation and needs no second
//! buffer.

use super::scalar;
use crate::quantize::blocks::{BlockQ4_0, BlockQ8_0};
use crate::quantize::{ActivationQ8, BLOCK, TensorType, blocks_of};

/// Rows of a tile.
pub const TILE: usize = 16;

/// Bytes of a row that lie together.
pub const CHUNK: usize = 4;

/// Formats that have tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As [`BlockQ8_0`].
    Q8_0,
    /// As [`BlockQ4_0`].
    Q4_0,
}

impl Format {
    /// The format of a matrix, if it has one and its rows are whole tiles.
    #[must_use]
    pub const fn of(ty: TensorType, rows: usize) -> Option<Self> {
        match ty {
            TensorType::Q8_0 if rows.is_multiple_of(TILE) => Some(Self::Q8_0),
            TensorType::Q4_0 if rows.is_multiple_of(TILE) => Some(Self::Q4_0),
            _ => None,
        }
    }

    /// The type of the rows.
    #[must_use]
    pub const fn tensor_type(self) -> TensorType {
        match self {
            Self::Q8_0 => TensorType::Q8_0,
            Self::Q4_0 => TensorType::Q4_0,
        }
    }

    /// Bytes of a block of one row.
    #[must_use]
    pub const fn block_bytes(self) -> usize {
        self.tensor_type().block_bytes()
    }

    /// Bytes of a block of sixteen rows.
    #[must_use]
    pub const fn tile_bytes(self) -> usize {
        TILE * self.block_bytes()
    }

    /// Where the byte `at` of a row's block lies in the block of the tile.
    const fn place(row: usize, at: usize) -> usize {
        if at < 2 {
            return row * 2 + at;
        }
        let (chunk, byte) = ((at - 2) / CHUNK, (at - 2) % CHUNK);
        TILE * 2 + (chunk * TILE + row) * CHUNK + byte
    }
}

/// Writes the rows in `from`, `blocks` blocks each and a multiple of sixteen, as tiles to `to`.
pub fn repack(format: Format, blocks: usize, from: &[u8], to: &mut [u8]) {
    let size = format.block_bytes();
    let tiles = to.chunks_exact_mut(format.tile_bytes() * blocks);
    for (rows, tile) in from.chunks_exact(size * blocks * TILE).zip(tiles) {
        for (r, row) in rows.chunks_exact(size * blocks).enumerate() {
            let to = tile.chunks_exact_mut(format.tile_bytes());
            for (block, to) in row.chunks_exact(size).zip(to) {
                let (scale, chunks) = block.split_at(2);
                let at = Format::place(r, 0);
                to[at..at + 2].copy_from_slice(scale);
                for (c, chunk) in chunks.chunks_exact(CHUNK).enumerate() {
                    let at = Format::place(r, 2 + c * CHUNK);
                    to[at..at + CHUNK].copy_from_slice(chunk);
                }
            }
        }
    }
}

/// Block `b` of row `r` of a matrix in tiles, as it was before; `block` has its size.
pub fn gather(format: Format, w: &[u8], blocks: usize, r: usize, b: usize, block: &mut [u8]) {
    let tile = (r / TILE * blocks + b) * format.tile_bytes();
    for (at, byte) in block.iter_mut().enumerate() {
        *byte = w[tile + Format::place(r % TILE, at)];
    }
}

/// As [`scalar::matmul_small`], from tiles: for machines without a kernel, and tests.
pub fn matmul(format: Format, w: &[u8], blocks: usize, x: &[ActivationQ8], out: &mut [f32]) {
    let rows = w.len() / (format.block_bytes() * blocks);
    let tokens = x.len() / blocks;
    let mut block = [0; size_of::<BlockQ8_0>()];
    let block = &mut block[..format.block_bytes()];
    for r in 0..rows {
        for (t, x) in x.chunks_exact(blocks).enumerate() {
            let mut sum = 0.0;
            for (b, x) in x.iter().enumerate() {
                gather(format, w, blocks, r, b, block);
                let mut product = [0.0];
                match format {
                    Format::Q8_0 => {
                        let w = blocks_of::<BlockQ8_0>(block);
                        scalar::matmul_small(w, 1, core::slice::from_ref(x), &mut product, false);
                    }
                    Format::Q4_0 => {
                        let w = blocks_of::<BlockQ4_0>(block);
                        scalar::matmul_small(w, 1, core::slice::from_ref(x), &mut product, false);
                    }
                }
                sum += product[0];
            }
            out[t * rows + r] = sum;
        }
    }
    debug_assert_eq!(out.len(), rows * tokens);
}

/// The four activations that meet chunk `c`.
pub(super) fn four(x: &[i8; BLOCK], c: usize) -> i32 {
    let four: [i8; CHUNK] = core::array::from_fn(|i| x[c * CHUNK + i]);
    i32::from_le_bytes(four.map(|q| q as u8))
}
