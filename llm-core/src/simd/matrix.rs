//! Matrix products in tiles, for every block format and every instruction set; [`super::floats`] has those for floats.
//!
//! Formats differ in what [`half`] finds in their planes, in their scales, and in whether they have offsets;
//! instruction sets differ in their [`Registers`]. Both are known at compile time, so branches on them cost nothing at
//! run time. Everything is inlined into functions compiled for the instruction set. There are no closures, because they
//! would not be.
//!
//! `T` tokens go through a tile together, and `P` registers of a chunk: what is loaded and extracted from a register of
//! weights serves all tokens, and what is derived from the activations serves all registers. Exact sums of a block or
//! of its groups are formed in any order; then each row adds its blocks in ascending order, like the reference
//! ([`crate::arithmetic`]).

#![expect(clippy::needless_range_loop, reason = "several arrays have the index")]

use super::isa::Registers;
use super::tiles::{STRETCH, TILE};
use crate::outputs::Outputs;
use crate::quantize::blocks::{Block, SmallBlock};
use crate::quantize::{ActivationQ8, Quad, SUPER_BLOCK};

mod floats;
mod planes;
mod super_blocks;

pub(super) use super_blocks::large;

pub(super) use floats::floats;

/// The tiles of a matrix.
#[derive(Clone, Copy)]
pub(super) struct Tiles<'a> {
    pub(super) quads: &'a [Quad],
    /// Quads of a tile, which equals the bytes of a row.
    pub(super) tile: usize,
    /// Blocks of a row; for floats, columns.
    pub(super) blocks: usize,
}

/// Calls a kernel for all tiles and tokens. Each list applies to a number of tokens processed together: powers of two,
/// falling to 1. It gives how many tiles are processed with them, and how many registers of their rows, down to a
/// single tile.
///
/// [`PANEL`] limits the tiles that are processed with all tokens before the next tiles, so the weights come from memory
/// only once. Within a panel, all tiles are processed with the same few tokens before the next tokens, so the
/// activations stay in the first-level cache.
macro_rules! for_tokens {
    ($kernel:ident::<$format:ty>($isa:expr, $w:expr, $x:expr, $out:expr)
     $($tokens:literal: $($tiles:literal $parts:literal),+);+) => {{
        let (w, x, out) = ($w, $x, $out);
        let panel = ($crate::simd::matrix::PANEL / w.tile.max(1)).max(1);
        let mut first = 0;
        for tiles in w.quads.chunks((panel * w.tile).max(1)) {
            let (mut x, mut token) = (x, 0);
            // A single token prefetches memory itself.
            let mut fresh = x.len() > w.blocks;
            while !x.is_empty() {
                let tokens = $crate::simd::tiles::tokens_of(x.len() / w.blocks, [$($tokens),+][0]);
                match tokens {
                    $($tokens => {
                        let (mut left, mut index) = (tiles, first);
                        $(while let Some((tiles, others)) = left.split_at_checked($tiles * w.tile) {
                            if fresh {
                                $crate::simd::isa::Registers::prefetch($isa, tiles, $crate::simd::matrix::AHEAD);
                            }
                            let sums: [[_; $tiles]; $tokens] =
                                $crate::simd::matrix::$kernel::<_, $format, $tokens, $parts, $tiles>($isa, tiles, w.blocks, x);
                            $crate::simd::matrix::write(&sums, out, token, index);
                            left = others;
                            index += $tiles;
                        })+
                    })+
                    _ => return,
                }
                fresh = false;
                x = &x[tokens * w.blocks..];
                token += tokens;
            }
            first += panel;
        }
    }};
}
pub(super) use for_tokens;
use planes::{half, signed, surplus};

/// Quads that stay in the second-level cache while all tokens are processed: 128 KiB.
pub(super) const PANEL: usize = (128 << 10) / size_of::<Quad>();

/// Prefetch distance in bytes: three pages. A CPU's own prefetching stops at the end of a page, and a single token
/// needs the next page before it can have arrived. A much smaller value leaves the memory idle at each page; a much
/// larger one would evict recently prefetched lines from the first-level cache.
pub(super) const AHEAD: usize = 12 << 10;

/// Stretches of a super-block.
const STRETCHES: usize = SUPER_BLOCK / STRETCH;

/// Sums of a tile's rows.
pub(super) type Sums = [Quad; 4];

pub(super) const NO_SUMS: Sums = [Quad([0; 16]); 4];

/// Accumulates sums of `T` tokens and `P` registers of rows when partial sums are full.
trait Sink<I: Registers, const T: usize, const P: usize> {
    /// Adds the partial sums of token `t` and register `p`.
    fn take(&mut self, isa: I, t: usize, p: usize, partial: I::Partial);
}

/// Adds them unchanged.
struct Plain<'a, I: Registers, const T: usize, const P: usize>(&'a mut [[I::Wide; P]; T]);

impl<I: Registers, const T: usize, const P: usize> Sink<I, T, P> for Plain<'_, I, T, P> {
    #[inline(always)]
    fn take(&mut self, isa: I, t: usize, p: usize, partial: I::Partial) {
        self.0[t][p] = isa.widen(self.0[t][p], partial);
    }
}

/// Adds them multiplied by the factors of their rows.
struct Scaled<'a, I: Registers, const T: usize, const P: usize> {
    totals: &'a mut [[I::Ints; P]; T],
    scales: [I::Scale; P],
}

impl<I: Registers, const T: usize, const P: usize> Sink<I, T, P> for Scaled<'_, I, T, P> {
    #[inline(always)]
    fn take(&mut self, isa: I, t: usize, p: usize, partial: I::Partial) {
        self.totals[t][p] = isa.scaled(self.totals[t][p], partial, self.scales[p]);
    }
}

/// Adds the products of half `H` of a stretch to `partials`. Passes those to `sink` whenever they are full, and after
/// each `register`s of four elements that share it.
#[inline(always)]
fn multiply<I: Registers, F: Block, const H: usize, const T: usize, const P: usize>(
    isa: I,
    stretch: &[Quad],
    first: usize,
    x: [&Quad; T],
    partials: &mut [[I::Partial; P]; T],
    sink: &mut impl Sink<I, T, P>,
    registers: usize,
) {
    let room = I::room(F::CODE.largest(F::LOW + F::HIGH)).min(registers);
    let mut splats = [[isa.splat(x[0], 0); 4]; T];
    if P > 1 {
        for t in 0..T {
            for i in 0..4 {
                splats[t][i] = isa.splat(x[t], i);
            }
        }
    }
    for p in 0..P {
        let w = half::<I, F, H>(isa, stretch, first + p);
        for i in 0..4 {
            let mut w = w[i];
            let mut magnitude = w;
            if signed::<F>() {
                if T > 1 && i > 0 {
                    w = isa.after(w, partials[T - 1][p]);
                }
                magnitude = isa.magnitude(w);
            }
            for t in 0..T {
                let x = if P > 1 {
                    splats[t][i]
                } else {
                    isa.splat(x[t], i)
                };
                let at = (4 * H + i) % registers;
                let partial = match at.is_multiple_of(room) {
                    true => isa.first(w, magnitude, x, signed::<F>()),
                    false => isa.more(partials[t][p], w, magnitude, x, signed::<F>()),
                };
                partials[t][p] = partial;
                if (at + 1).is_multiple_of(room) || at + 1 == registers {
                    sink.take(isa, t, p, partial);
                }
            }
        }
    }
}

/// The slices of `T` tokens, of `len` items each.
#[inline(always)]
pub(super) fn tokens<X, const T: usize>(x: &[X], len: usize) -> [&[X]; T] {
    let mut tokens = [&x[..0]; T];
    for (token, x) in tokens.iter_mut().zip(x.chunks_exact(len)) {
        *token = x;
    }
    tokens
}

/// Stores the sums of the rows of `N` tiles, of the tokens from `token`.
#[inline(always)]
pub(super) fn write<const N: usize>(
    sums: &[[Sums; N]],
    out: &mut Outputs<'_>,
    token: usize,
    tile: usize,
) {
    for (sums, t) in sums.iter().zip(token..) {
        let tiles = out.token(t).as_chunks_mut::<TILE>().0.iter_mut();
        let tiles = tiles.skip(tile);
        for (sums, out) in sums.iter().zip(tiles) {
            let sums: &[f32; TILE] = zerocopy::transmute_ref!(sums);
            *out = *sums;
        }
    }
}

/// Like [`crate::arithmetic::matmul_small`], for one tile.
#[inline(always)]
pub(super) fn small<I: Registers, F: SmallBlock, const T: usize, const P: usize, const N: usize>(
    isa: I,
    tile: &[Quad],
    blocks: usize,
    x: &[ActivationQ8],
) -> [[Sums; N]; T] {
    const { assert!(N == 1, "one tile") };
    let x: [&[ActivationQ8]; T] = tokens(x, blocks);
    let quads = size_of::<F>();
    let mut results = [[NO_SUMS; N]; T];
    for first in (0..I::PARTS).step_by(P) {
        let mut sums = [[isa.splat_float(0.0); P]; T];
        for (b, block) in tile.chunks_exact(quads).enumerate() {
            let mut x_b = [&x[0][b]; T];
            let (mut low, mut high) = ([&x[0][b].quads()[0]; T], [&x[0][b].quads()[1]; T]);
            for t in 0..T {
                x_b[t] = &x[t][b];
                (low[t], high[t]) = (&x_b[t].quads()[0], &x_b[t].quads()[1]);
            }
            if T == 1 && first == 0 {
                isa.prefetch(block, AHEAD);
            }
            let (halves, stretch) = block.split_at(2 * F::FLOATS.len());
            let mut dots = [[isa.no_wide(); P]; T];
            let mut partials = [[isa.no_partial(); P]; T];
            let mut sink = Plain::<I, T, P>(&mut dots);
            multiply::<I, F, 0, T, P>(isa, stretch, first, low, &mut partials, &mut sink, 8);
            multiply::<I, F, 1, T, P>(isa, stretch, first, high, &mut partials, &mut sink, 8);
            let halves = halves.as_chunks::<2>().0;
            for p in 0..P {
                let d = isa.f16s(&halves[0], first + p);
                for t in 0..T {
                    let dot = isa.finish(dots[t][p]);
                    let dot = match surplus::<I, F>() {
                        0 => dot,
                        surplus => isa.less(dot, isa.splat_int(x_b[t].sum), surplus),
                    };
                    let scale = isa.mul(d, isa.splat_float(x_b[t].d));
                    let mut product = isa.mul(isa.to_floats(dot), scale);
                    if F::OFFSET {
                        let m = isa.f16s(&halves[1], first + p);
                        product = isa.add(product, isa.mul(m, isa.splat_float(x_b[t].s)));
                    }
                    sums[t][p] = isa.add(sums[t][p], product);
                }
            }
        }
        for t in 0..T {
            for p in 0..P {
                isa.put(sums[t][p], &mut results[t][0], first + p);
            }
        }
    }
    results
}

/// The factors of the rows in `P` registers.
#[inline(always)]
fn rows<I: Registers, const P: usize>(isa: I, scales: &Quad, first: usize) -> [I::Scale; P] {
    let mut rows = [isa.scale(scales, first); P];
    for (p, row) in rows.iter_mut().enumerate() {
        *row = isa.scale(scales, first + p);
    }
    rows
}
