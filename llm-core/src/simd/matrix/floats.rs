//! Products of float matrices in tiles, for every instruction set: the third kernel besides those of [`super::matrix`].

#![expect(clippy::needless_range_loop, reason = "several arrays have the index")]

use super::{AHEAD, NO_SUMS, Sums, tokens};
use crate::quantize::Quad;
use crate::quantize::blocks::FloatType;
use crate::simd::isa::Registers;
use crate::simd::lanes::Four;
use zerocopy::{FromBytes, IntoBytes};

/// Like [`crate::arithmetic::matmul_float`], for `N` tiles. A row is one chain of additions, so with one tile and few
/// tokens the CPU would wait for each sum. Also, what is derived from the activations serves the rows of all tiles.
#[inline(always)]
pub(in crate::simd) fn floats<
    I: Registers,
    F: FloatType,
    const T: usize,
    const P: usize,
    const N: usize,
>(
    isa: I,
    tiles: &[Quad],
    blocks: usize,
    x: &[f32],
) -> [[Sums; N]; T] {
    let x: [&[f32]; T] = tokens(x, blocks);
    let mut eight: [&[[Four; 2]]; T] = [&[]; T];
    let mut columns_in_eights = blocks / 8;
    for t in 0..T {
        let whole = x[t].as_chunks::<8>().0;
        eight[t] = <[[Four; 2]]>::ref_from_bytes(whole.as_bytes()).unwrap_or(&[]);
        columns_in_eights = columns_in_eights.min(eight[t].len());
    }
    // Eight columns at a time, for activations aligned to a register; then the remaining ones.
    let mut eights = [tiles; N];
    let mut left = [tiles; N];
    for (n, tile) in tiles.chunks_exact(F::BYTES * blocks).enumerate().take(N) {
        (eights[n], left[n]) = tile.split_at(8 * F::BYTES * columns_in_eights);
    }
    let mut results = [[NO_SUMS; N]; T];
    for first in (0..I::PARTS * N).step_by(P) {
        let mut sums = [[isa.splat_float(0.0); P]; T];
        let mut others = eights;
        for e in 0..columns_in_eights {
            let mut columns = [tiles; N];
            for n in 0..N {
                (columns[n], others[n]) = others[n].split_at(8 * F::BYTES);
                if T == 1 && first == 0 {
                    isa.prefetch(columns[n], AHEAD);
                }
            }
            let mut x = [&eight[0][e]; T];
            for t in 0..T {
                x[t] = &eight[t][e];
            }
            // Unrolled by hand: a compiler that did not unroll it would test the index at each column.
            column::<I, F, 0, T, P, N>(isa, &columns, first, &x, &mut sums);
            column::<I, F, 1, T, P, N>(isa, &columns, first, &x, &mut sums);
            column::<I, F, 2, T, P, N>(isa, &columns, first, &x, &mut sums);
            column::<I, F, 3, T, P, N>(isa, &columns, first, &x, &mut sums);
            column::<I, F, 4, T, P, N>(isa, &columns, first, &x, &mut sums);
            column::<I, F, 5, T, P, N>(isa, &columns, first, &x, &mut sums);
            column::<I, F, 6, T, P, N>(isa, &columns, first, &x, &mut sums);
            column::<I, F, 7, T, P, N>(isa, &columns, first, &x, &mut sums);
        }
        for p in 0..P {
            let (n, part) = ((first + p) / I::PARTS, (first + p) % I::PARTS);
            for (c, column) in left[n].chunks_exact(F::BYTES).enumerate() {
                let w = column_of::<I, F>(isa, column, part);
                for t in 0..T {
                    let x = isa.splat_float(x[t][8 * columns_in_eights + c]);
                    sums[t][p] = isa.add(sums[t][p], isa.mul(w, x));
                }
            }
            for t in 0..T {
                isa.put(sums[t][p], &mut results[t][n], part);
            }
        }
    }
    results
}

/// Adds the products of column `C` of eight.
#[inline(always)]
fn column<
    I: Registers,
    F: FloatType,
    const C: usize,
    const T: usize,
    const P: usize,
    const N: usize,
>(
    isa: I,
    columns: &[&[Quad]; N],
    first: usize,
    x: &[&[Four; 2]; T],
    sums: &mut [[I::Floats; P]; T],
) {
    for p in 0..P {
        let (n, part) = ((first + p) / I::PARTS, (first + p) % I::PARTS);
        let w = column_of::<I, F>(isa, &columns[n][C * F::BYTES..][..F::BYTES], part);
        for t in 0..T {
            sums[t][p] = isa.add(sums[t][p], isa.times(w, &x[t][C / 4], C % 4));
        }
    }
}

/// A column of a tile.
#[inline(always)]
fn column_of<I: Registers, F: FloatType>(isa: I, column: &[Quad], part: usize) -> I::Floats {
    match (F::BYTES, F::BRAIN) {
        (4, _) => isa.f32s(&column.as_chunks().0[0], part),
        (_, true) => isa.bf16s(&column.as_chunks().0[0], part),
        (_, false) => isa.f16s(&column.as_chunks().0[0], part),
    }
}
