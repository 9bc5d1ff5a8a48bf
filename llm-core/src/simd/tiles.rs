//! Sixteen rows of a matrix, interleaved.
//!
//! A tile holds, block by block, the blocks of sixteen rows: first their sixteen scales, then the quantised bytes
//! in chunks of four, chunk c of row 0, of row 1, … of row 15, then chunk c + 1. One vector register of 64
//! bytes thus has four elements (of nibbles: four pairs of elements) of every row. A tile has the size of its rows,
//! so loading is a permutation and needs no second buffer.
//!
//! ```text
//!   Q8_0  [d; 16], [8 chunks][16 rows][4 bytes]
//!   Q4_0  [d; 16], [4 chunks][16 rows][4 bytes]         elements i and i + 16 of the block in a byte
//!   Q4_K  [d; 16], [d_min; 16], [12 bytes of scales][16 rows], [32 chunks][16 rows][4 bytes]
//! ```

use super::scalar;
use crate::quantize::blocks::{BlockQ4_0, BlockQ4K, BlockQ8_0};
use crate::quantize::{ActivationQ8, ActivationQ8K, TensorType, blocks_of};

/// Rows of a tile.
pub const TILE: usize = 16;

/// Bytes of a row that lie together.
pub const CHUNK: usize = 4;

/// Bytes of the scales of a Q4_K block, six bits each.
pub(super) const PACKED_SCALES: usize = 12;

/// Longest block of a row.
pub const MAX_BLOCK_BYTES: usize = size_of::<BlockQ4K>();

/// Formats that have tiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As [`BlockQ8_0`].
    Q8_0,
    /// As [`BlockQ4_0`].
    Q4_0,
    /// As [`BlockQ4K`].
    Q4K,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Q8_0, Self::Q4_0, Self::Q4K];

    /// The format of a matrix, if it has one and its rows are whole tiles.
    #[must_use]
    pub fn of(ty: TensorType, rows: usize) -> Option<Self> {
        let mut formats = Self::ALL.into_iter();
        formats.find(|format| format.tensor_type() == ty && rows.is_multiple_of(TILE))
    }

    /// The type of the rows.
    #[must_use]
    pub const fn tensor_type(self) -> TensorType {
        match self {
            Self::Q8_0 => TensorType::Q8_0,
            Self::Q4_0 => TensorType::Q4_0,
            Self::Q4K => TensorType::Q4K,
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

    /// Bytes of a row's block before its chunks.
    const fn head(self) -> usize {
        match self {
            Self::Q8_0 | Self::Q4_0 => 2,
            Self::Q4K => 4 + PACKED_SCALES,
        }
    }

    /// Where the byte `at` of a row's block lies in the block of the tile.
    const fn place(self, row: usize, at: usize) -> usize {
        let head = self.head();
        if at >= head {
            let (chunk, byte) = ((at - head) / CHUNK, (at - head) % CHUNK);
            return TILE * head + (chunk * TILE + row) * CHUNK + byte;
        }
        // f16 lie together, scales of six bits by their bytes.
        if at < 4 {
            at / 2 * 2 * TILE + row * 2 + at % 2
        } else {
            at * TILE + row
        }
    }
}

/// Writes the rows in `from`, `blocks` blocks each and a multiple of sixteen, as tiles to `to`.
pub fn repack(format: Format, blocks: usize, from: &[u8], to: &mut [u8]) {
    let (size, head) = (format.block_bytes(), format.head());
    let tiles = to.chunks_exact_mut(format.tile_bytes() * blocks);
    for (rows, tile) in from.chunks_exact(size * blocks * TILE).zip(tiles) {
        for (r, row) in rows.chunks_exact(size * blocks).enumerate() {
            let to = tile.chunks_exact_mut(format.tile_bytes());
            for (block, to) in row.chunks_exact(size).zip(to) {
                let (scales, chunks) = block.split_at(head);
                for (at, byte) in scales.iter().enumerate() {
                    to[format.place(r, at)] = *byte;
                }
                for (c, chunk) in chunks.chunks_exact(CHUNK).enumerate() {
                    let at = format.place(r, head + c * CHUNK);
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
        *byte = w[tile + format.place(r % TILE, at)];
    }
}

/// As [`scalar::matmul_small`] from tiles of Q8_0 or Q4_0: for machines without a kernel, and tests.
pub fn matmul_small(format: Format, w: &[u8], blocks: usize, x: &[ActivationQ8], out: &mut [f32]) {
    matmul(format, w, blocks, x, out, |block, x| {
        let (x, mut product) = (core::slice::from_ref(x), [0.0]);
        match format {
            Format::Q4_0 => {
                scalar::matmul_small::<BlockQ4_0>(blocks_of(block), 1, x, &mut product, false);
            }
            _ => scalar::matmul_small::<BlockQ8_0>(blocks_of(block), 1, x, &mut product, false),
        }
        product[0]
    });
}

/// As [`scalar::matmul_super`] from tiles of Q4_K.
pub fn matmul_super(w: &[u8], blocks: usize, x: &[ActivationQ8K], out: &mut [f32]) {
    matmul(Format::Q4K, w, blocks, x, out, |block, x| {
        let (x, mut product) = (core::slice::from_ref(x), [0.0]);
        scalar::matmul_super::<BlockQ4K>(blocks_of(block), 1, x, &mut product, true);
        product[0]
    });
}

fn matmul<X>(
    format: Format,
    w: &[u8],
    blocks: usize,
    x: &[X],
    out: &mut [f32],
    product: impl Fn(&[u8], &X) -> f32,
) {
    let rows = w.len() / (format.block_bytes() * blocks);
    let mut block = [0; MAX_BLOCK_BYTES];
    let block = &mut block[..format.block_bytes()];
    for (x, out) in x.chunks_exact(blocks).zip(out.chunks_exact_mut(rows)) {
        for (r, out) in out.iter_mut().enumerate() {
            *out = 0.0;
            for (b, x) in x.iter().enumerate() {
                gather(format, w, blocks, r, b, block);
                *out += product(block, x);
            }
        }
    }
}

/// The four activations that meet a chunk.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn four(x: &[i8], chunk: usize) -> i32 {
    let four: [i8; CHUNK] = core::array::from_fn(|i| x[chunk * CHUNK + i]);
    i32::from_le_bytes(four.map(|q| q as u8))
}

/// How many tokens of those that are left go through a matrix together, of at most `most`: a power of two.
#[inline(always)]
pub(super) fn tokens_of(left: usize, most: usize) -> usize {
    most.min(1 << left.ilog2())
}

/// Scales and minima of the eight groups of a Q4_K block, of sixteen rows: six bits each, as in ggml's
/// `get_scale_min_k4`.
#[inline(always)]
pub(super) fn unpack_scales(packed: &[[u8; TILE]; PACKED_SCALES]) -> [[[u8; TILE]; 8]; 2] {
    let mut scales = [[0; TILE]; 8];
    let mut minima = [[0; TILE]; 8];
    for g in 0..4 {
        let [low_scales, low_minima, high] = [g, g + 4, g + 8].map(|byte| &packed[byte]);
        for r in 0..TILE {
            scales[g][r] = low_scales[r] & 63;
            minima[g][r] = low_minima[r] & 63;
            scales[g + 4][r] = high[r] & 15 | low_scales[r] >> 6 << 4;
            minima[g + 4][r] = high[r] >> 4 | low_minima[r] >> 6 << 4;
        }
    }
    [scales, minima]
}
