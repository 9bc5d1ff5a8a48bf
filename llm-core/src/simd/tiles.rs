//! Sixteen interleaved rows of a matrix: the memory layout of every format for the kernels.
//!
//! A tile holds the blocks of sixteen rows, block by block, in as many bytes as the rows have. One block:
//!
//! ```text
//!   small block   [d; 16] ([m; 16]), [stretch]
//!   super-block   [d; 16] ([d_min; 16]), [bytes of scales][16 rows], [8 stretches]
//!   floats        [column][16 rows]
//! ```
//!
//! A *stretch* is 32 elements of sixteen rows, as *chunks* of 64 bytes: four bytes of row 0, of row 1, … of row 15.
//! Codes are split into a lower plane of 2, 4 or 8 bits and an upper plane of 0, 1 or 2 ([`Block::LOW`],
//! [`Block::HIGH`]). A plane of b bits is b chunks, lower plane first. Each half of a stretch is four *registers* of
//! four elements per row, elements 4i … 4i + 3 in register i. Half h of a plane is b/2 chunks from h · b/2 on, and
//! their fields of b bits, from the low bits up, are its registers: a chunk of bit pairs has four registers, one of
//! nibbles two. A plane of one bit is a single chunk: bits 0 … 3 have the first half's registers, bits 4 … 7 the
//! second's.
//!
//! Codes from 0 to 2 ([`Block::LOW`] is 0) are packed five per byte, in place of stretches: thirteen chunks, of which
//! chunk c has registers 5c … 5c + 4 of the block's 64, the first in the highest digit.
//!
//! A block of a tile is a whole number of sixteen-byte registers, and the arena aligns a matrix to a cache line, so no
//! load is misaligned. The remaining rows, fewer than sixteen, follow the tiles as they are in the file.

use crate::quantize::blocks::FloatType;
use crate::quantize::blocks::{
    Block, GROUPS, Scales, Small, SmallBlock, Super, SuperBlock, by_sixteens, digit, digits,
};
use crate::quantize::{BLOCK, SUPER_BLOCK, TensorType, blocks_of, on_type};
use half::f16;
use products::{small_tile, super_tile};

/// Rows of a tile.
pub const TILE: usize = 16;

/// Adjacent bytes of a row.
pub(super) const CHUNK: usize = 4;

/// Codes from 0 to 2 per byte.
pub(super) const DIGITS: usize = 5;

/// Elements of a stretch.
pub(super) const STRETCH: usize = BLOCK;

/// How many of `rows` rows are in tiles.
#[must_use]
pub const fn tiled_rows(rows: usize) -> usize {
    rows - rows % TILE
}

/// Offset of byte `byte` of chunk `chunk` of row `row`.
const fn place(chunk: usize, row: usize, byte: usize) -> usize {
    (chunk * TILE + row) * CHUNK + byte
}

/// Bytes of a stretch of one row.
const fn stretch_bytes<B: Block>() -> usize {
    (B::LOW + B::HIGH) * CHUNK
}

/// Chunk and lowest bit of register `i` of half `h` in a plane of `bits` bits that begins at chunk 0.
const fn field(bits: usize, h: usize, i: usize) -> (usize, usize) {
    match bits {
        8 => (4 * h + i, 0),
        4 => (2 * h + i / 2, i % 2 * 4),
        2 => (h, 2 * i),
        _ => (0, 4 * h + i),
    }
}

/// In each byte of a word, the lowest `bits` bits.
const fn mask(bits: usize) -> u32 {
    0x0101_0101 * ((1u32 << bits) - 1)
}

/// Writes 32 codes of row `row`, four at a time.
fn put<B: Block>(codes: &[u8; STRETCH], row: usize, stretch: &mut [u8]) {
    let mut chunks = [0u32; 8];
    for (register, codes) in codes.as_chunks::<CHUNK>().0.iter().enumerate() {
        let word = u32::from_le_bytes(*codes);
        let (h, i) = (register / 4, register % 4);
        let (chunk, bit) = field(B::LOW, h, i);
        chunks[chunk] |= (word & mask(B::LOW)) << bit;
        if B::HIGH > 0 {
            let (chunk, bit) = field(B::HIGH, h, i);
            chunks[B::LOW + chunk] |= (word >> B::LOW & mask(B::HIGH)) << bit;
        }
    }
    for (chunk, word) in chunks.iter().enumerate().take(B::LOW + B::HIGH) {
        stretch[place(chunk, row, 0)..][..CHUNK].copy_from_slice(&word.to_le_bytes());
    }
}

/// The 32 codes of row `row` of a stretch.
fn take<B: Block>(stretch: &[u8], row: usize) -> [u8; STRETCH] {
    core::array::from_fn(|element| {
        let (register, byte) = (element / CHUNK, element % CHUNK);
        let (h, i) = (register / 4, register % 4);
        let (chunk, bit) = field(B::LOW, h, i);
        let code = stretch[place(chunk, row, byte)] >> bit & mask(B::LOW) as u8;
        if B::HIGH == 0 {
            return code;
        }
        let (chunk, bit) = field(B::HIGH, h, i);
        let high = stretch[place(B::LOW + chunk, row, byte)] >> bit & mask(B::HIGH) as u8;
        code | high << B::LOW
    })
}

/// Writes 256 codes from 0 to 2 of row `row`.
fn put_digits(codes: &[u8; SUPER_BLOCK], row: usize, to: &mut [u8]) {
    let registers = codes.as_chunks::<CHUNK>().0;
    for (chunk, registers) in registers.chunks(DIGITS).enumerate() {
        for byte in 0..CHUNK {
            let mut five = [0; DIGITS];
            for (code, register) in five.iter_mut().zip(registers) {
                *code = register[byte];
            }
            to[place(chunk, row, byte)] = digits(&five);
        }
    }
}

/// The 256 codes of row `row`.
fn take_digits(from: &[u8], row: usize) -> [u8; SUPER_BLOCK] {
    core::array::from_fn(|element| {
        let (register, byte) = (element / CHUNK, element % CHUNK);
        digit(from[place(register / DIGITS, row, byte)], register % DIGITS)
    })
}

/// Converts a matrix of type `ty` with `columns` columns, row by row in `from`, to tiles in `to`, which has the same
/// length. Remaining rows are copied unchanged.
///
/// # Panics
/// The lengths are not whole rows.
pub fn repack(ty: TensorType, columns: usize, from: &[u8], to: &mut [u8]) {
    let row = ty.row_bytes(columns).expect("whole blocks");
    let tiles = tiled_rows(from.len() / row) * row;
    let (to, to_left) = to.split_at_mut(tiles);
    let (from, left) = from.split_at(tiles);
    to_left.copy_from_slice(left);
    let tiles = from
        .chunks_exact(row * TILE)
        .zip(to.chunks_exact_mut(row * TILE));
    for (rows, tile) in tiles {
        for (r, row) in rows.chunks_exact(row).enumerate() {
            on_type!(ty,
                float F => put_floats::<F>(row, r, tile),
                small B => put_small::<B>(blocks_of(row), r, tile),
                large B => put_super::<B>(blocks_of(row), r, tile),
            );
        }
    }
}

fn put_floats<F: FloatType>(row: &[u8], r: usize, tile: &mut [u8]) {
    let columns = tile.chunks_exact_mut(TILE * F::BYTES);
    for (value, column) in row.chunks_exact(F::BYTES).zip(columns) {
        column[r * F::BYTES..][..F::BYTES].copy_from_slice(value);
    }
}

/// Writes the f16 of a block of row `r`.
fn put_halves<B: Block>(block: &B, r: usize, to: &mut [u8]) {
    for (half, to) in block.halves().iter().zip(to.chunks_exact_mut(2 * TILE)) {
        to[2 * r..][..2].copy_from_slice(half);
    }
}

fn put_small<B: SmallBlock>(row: &[B], r: usize, tile: &mut [u8]) {
    for (block, to) in row.iter().zip(tile.chunks_exact_mut(TILE * size_of::<B>())) {
        let (halves, stretch) = to.split_at_mut(2 * TILE * B::FLOATS.len());
        put_halves(block, r, halves);
        put::<B>(&block.codes(), r, stretch);
    }
}

fn put_super<B: SuperBlock>(row: &[B], r: usize, tile: &mut [u8]) {
    for (block, to) in row.iter().zip(tile.chunks_exact_mut(TILE * size_of::<B>())) {
        let (halves, to) = to.split_at_mut(2 * TILE * B::FLOATS.len());
        put_halves(block, r, halves);
        let (scales, stretches) = to.split_at_mut(TILE * B::SCALE_BYTES);
        for (scale, to) in block
            .scale_bytes()
            .iter()
            .zip(scales.chunks_exact_mut(TILE))
        {
            to[r] = *scale;
        }
        let codes = block.codes();
        if B::LOW == 0 {
            put_digits(&codes, r, stretches);
            continue;
        }
        let stretches = stretches.chunks_exact_mut(TILE * stretch_bytes::<B>());
        for (codes, stretch) in codes.as_chunks::<STRETCH>().0.iter().zip(stretches) {
            put::<B>(codes, r, stretch);
        }
    }
}

/// The floats of row `r` of a block of a tile.
fn floats_at<B: Block>(block: &[u8], r: usize) -> [f32; 2] {
    let mut floats = [0.0; 2];
    for (half, float) in block
        .chunks_exact(2 * TILE)
        .zip(&mut floats)
        .take(B::FLOATS.len())
    {
        *float = f16::from_le_bytes([half[2 * r], half[2 * r + 1]]).to_f32();
    }
    floats
}

/// Row `r` of a block of a tile.
fn small_at<B: SmallBlock>(block: &[u8], r: usize) -> Small {
    let [d, m] = floats_at::<B>(block, r);
    let codes = take::<B>(&block[2 * TILE * B::FLOATS.len()..], r);
    Small {
        d,
        m: if B::OFFSET { m } else { 0.0 },
        q: codes.map(|code| B::CODE.value(code)),
    }
}

/// Row `r` of a block of a tile.
fn super_at<B: SuperBlock>(block: &[u8], r: usize) -> Super {
    let [d, d_min] = floats_at::<B>(block, r);
    let (scales, stretches) = block[2 * TILE * B::FLOATS.len()..].split_at(TILE * B::SCALE_BYTES);
    let mut bytes = [[0]; GROUPS];
    let bytes = &mut bytes[..B::SCALE_BYTES];
    for (byte, rows) in bytes.iter_mut().zip(scales.chunks_exact(TILE)) {
        *byte = [rows[r]];
    }
    let scales: Scales<1> = B::scales(bytes);
    let (scales, minima) = by_sixteens::<B>(&scales);
    let mut codes = [0; SUPER_BLOCK];
    if B::LOW == 0 {
        codes = take_digits(stretches, r);
    }
    if B::LOW > 0 {
        let stretches = stretches.chunks_exact(TILE * stretch_bytes::<B>());
        for (codes, stretch) in codes.as_chunks_mut::<STRETCH>().0.iter_mut().zip(stretches) {
            *codes = take::<B>(stretch, r);
        }
    }
    Super {
        d,
        d_min: if B::MINIMA { d_min } else { 0.0 },
        scales,
        minima,
        q: codes.map(|code| B::CODE.value(code)),
    }
}

/// Block `b` of row `r` of tiles whose rows have `blocks` blocks: the tile's block, and the row in it.
fn block_at<B>(w: &[u8], blocks: usize, r: usize, b: usize) -> (&[u8], usize) {
    let bytes = TILE * size_of::<B>();
    (&w[(r / TILE * blocks + b) * bytes..][..bytes], r % TILE)
}

/// Dequantises row `r` of a matrix in tiles, with the same bits as [`crate::quantize::dequantize_row`] of the row.
///
/// # Panics
/// The matrix has no such row.
pub fn dequantize(ty: TensorType, w: &[u8], r: usize, out: &mut [f32]) {
    let columns = out.len();
    let row = ty.row_bytes(columns).expect("whole blocks");
    if r >= tiled_rows(w.len() / row) {
        // The lengths match.
        let _ = crate::quantize::dequantize_row(ty, &w[r * row..][..row], out);
        return;
    }
    on_type!(ty,
        float F => {
            let tile = &w[r / TILE * TILE * row..];
            for (out, column) in out.iter_mut().zip(tile.chunks_exact(TILE * F::BYTES)) {
                *out = F::value(&column[r % TILE * F::BYTES..]);
            }
        },
        small B => {
            for (b, out) in out.chunks_exact_mut(BLOCK).enumerate() {
                let (block, r) = block_at::<B>(w, columns / BLOCK, r, b);
                small_at::<B>(block, r).values(out);
            }
        },
        large B => {
            for (b, out) in out.chunks_exact_mut(SUPER_BLOCK).enumerate() {
                let (block, r) = block_at::<B>(w, columns / SUPER_BLOCK, r, b);
                super_at::<B>(block, r).values(out);
            }
        },
    );
}

/// Like [`dequantize`], for consecutive rows; optimised for rows of whole tiles, four elements of a row at a time.
///
/// # Panics
/// The matrix has fewer rows.
#[inline(always)]
pub fn dequantize_rows(ty: TensorType, w: &[u8], first: usize, columns: usize, out: &mut [f32]) {
    let row = ty.row_bytes(columns).expect("whole blocks");
    let tiled = tiled_rows(w.len() / row);
    for (n, out) in out.chunks_mut(TILE * columns).enumerate() {
        let first = first + n * TILE;
        let whole = first.is_multiple_of(TILE) && first < tiled && out.len() == TILE * columns;
        if !whole || ty.block_len() == 1 {
            for (r, out) in out.chunks_exact_mut(columns).enumerate() {
                dequantize(ty, w, first + r, out);
            }
            continue;
        }
        let tile = &w[first * row..][..TILE * row];
        on_type!(ty,
            float _F => {},
            small B => small_tile::<B>(tile, columns, out),
            large B => super_tile::<B>(tile, columns, out),
        );
    }
}

mod products;
#[cfg(test)]
mod tests;

pub(super) use products::{matmul_float, matmul_small, matmul_super, tokens_of};
