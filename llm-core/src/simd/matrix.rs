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
use super::tiles::{CHUNK, DIGITS, STRETCH, TILE};
use crate::outputs::Outputs;
use crate::quantize::blocks::{Block, Code, GROUP, IN_WORDS, Scales, SmallBlock, SuperBlock};
use crate::quantize::{ActivationQ8, ActivationQ8K, BLOCK, Quad, SUPER_BLOCK};
use zerocopy::IntoBytes;

mod floats;

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

/// Whether the integers of a format are signed bytes.
const fn signed<F: Block>() -> bool {
    !matches!(F::CODE, Code::Minus(_))
}

/// Surplus of the operands that are multiplied by the activations.
#[inline(always)]
fn surplus<I: Registers, F: Block>() -> i32 {
    match F::CODE {
        Code::Minus(zero) => i32::from(zero),
        _ => I::SURPLUS,
    }
}

/// Chunk `at` of a stretch.
#[inline(always)]
fn chunk<I: Registers>(isa: I, stretch: &[Quad], at: usize, part: usize) -> I::Bytes {
    let chunk = stretch.as_chunks::<4>().0;
    isa.load(&chunk[at], part)
}

/// The four registers of half `H` of a plane of `bits` bits, whose chunks begin at `first`, shifted up by `to` bits.
#[inline(always)]
fn plane<I: Registers, const H: usize>(
    isa: I,
    stretch: &[Quad],
    first: usize,
    bits: usize,
    to: usize,
    part: usize,
) -> [I::Bytes; 4] {
    match bits {
        8 => [
            chunk(isa, stretch, first + 4 * H, part),
            chunk(isa, stretch, first + 4 * H + 1, part),
            chunk(isa, stretch, first + 4 * H + 2, part),
            chunk(isa, stretch, first + 4 * H + 3, part),
        ],
        4 => {
            let a = chunk(isa, stretch, first + 2 * H, part);
            let b = chunk(isa, stretch, first + 2 * H + 1, part);
            [
                isa.field(a, 0, 4, to),
                isa.field(a, 4, 4, to),
                isa.field(b, 0, 4, to),
                isa.field(b, 4, 4, to),
            ]
        }
        2 => {
            let x = chunk(isa, stretch, first + H, part);
            [
                isa.field(x, 0, 2, to),
                isa.field(x, 2, 2, to),
                isa.field(x, 4, 2, to),
                isa.field(x, 6, 2, to),
            ]
        }
        _ => {
            let x = chunk(isa, stretch, first, part);
            [
                isa.field(x, 4 * H, 1, to),
                isa.field(x, 4 * H + 1, 1, to),
                isa.field(x, 4 * H + 2, 1, to),
                isa.field(x, 4 * H + 3, 1, to),
            ]
        }
    }
}

/// The four registers of half `H` of a stretch: codes, or their integers from a table.
#[inline(always)]
fn half<I: Registers, F: Block, const H: usize>(
    isa: I,
    stretch: &[Quad],
    part: usize,
) -> [I::Bytes; 4] {
    let mut w = plane::<I, H>(isa, stretch, 0, F::LOW, 0, part);
    if F::HIGH > 0 {
        let high = plane::<I, H>(isa, stretch, F::LOW, F::HIGH, F::LOW, part);
        for (w, high) in w.iter_mut().zip(high) {
            *w = isa.or(*w, high);
        }
    }
    if let Code::Table(table) = F::CODE {
        for w in &mut w {
            *w = isa.lookup(table, *w);
        }
    }
    w
}

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

/// The scales of a block's groups, for the sixteen rows of a tile.
struct Groups {
    scales: [Quad; SUPER_BLOCK / GROUP],
    minima: [Quad; SUPER_BLOCK / GROUP],
}

impl Groups {
    #[inline(always)]
    fn of<F: SuperBlock>(bytes: &[Quad]) -> Self {
        // As bytes of a slice they would be loaded one by one where loads must be aligned.
        let mut aligned = [Quad::ZERO; SUPER_BLOCK / GROUP];
        let bytes = match IN_WORDS {
            true => {
                let aligned = &mut aligned[..F::SCALE_BYTES];
                aligned.copy_from_slice(bytes);
                aligned
            }
            false => bytes,
        };
        let bytes: &[[u8; TILE]] = bytes.as_bytes().as_chunks().0;
        let Scales { scales, minima } = F::scales::<TILE>(bytes);
        Self {
            scales: zerocopy::transmute!(scales),
            minima: zerocopy::transmute!(minima),
        }
    }
}

/// Like [`crate::arithmetic::matmul_super`], for one tile.
#[inline(always)]
pub(super) fn large<I: Registers, F: SuperBlock, const T: usize, const P: usize, const N: usize>(
    isa: I,
    tile: &[Quad],
    blocks: usize,
    x: &[ActivationQ8K],
) -> [[Sums; N]; T] {
    const { assert!(N == 1, "one tile") };
    let x: [&[ActivationQ8K]; T] = tokens(x, blocks);
    let quads = size_of::<F>();
    let mut sums = [[NO_SUMS; N]; T];
    for (b, block) in tile.chunks_exact(quads).enumerate() {
        let mut x_b = [&x[0][b]; T];
        for t in 0..T {
            x_b[t] = &x[t][b];
        }
        let (halves, rest) = block.split_at(2 * F::FLOATS.len());
        let (scales, stretches) = rest.split_at(F::SCALE_BYTES);
        let halves = halves.as_chunks::<2>().0;
        if T == 1 {
            isa.prefetch(&block[..block.len() - stretches.len()], AHEAD);
        }
        let groups = Groups::of::<F>(scales);
        for first in (0..I::PARTS).step_by(P) {
            let [totals, least] = super_block::<I, F, T, P>(isa, stretches, &groups, first, x_b);
            for p in 0..P {
                let d = isa.f16s(&halves[0], first + p);
                for t in 0..T {
                    let x_d = isa.splat_float(x_b[t].d);
                    let mut total = totals[t][p];
                    if !F::MINIMA && surplus::<I, F>() != 0 {
                        total = isa.less(total, least[t][p], surplus::<I, F>());
                    }
                    let mut product = isa.mul(isa.to_floats(total), isa.mul(d, x_d));
                    if F::MINIMA {
                        let d_min = isa.f16s(&halves[1], first + p);
                        let least = isa.to_floats(least[t][p]);
                        product = isa.sub(product, isa.mul(least, isa.mul(d_min, x_d)));
                    }
                    let sum = isa.f32s(&sums[t][0], first + p);
                    isa.put(isa.add(sum, product), &mut sums[t][0], first + p);
                }
            }
        }
    }
    sums
}

/// The sums of a block: of its products, each group's times its scale; and of the activations, each group's times its
/// minimum, or its scale if codes have a surplus.
#[inline(always)]
fn super_block<I: Registers, F: SuperBlock, const T: usize, const P: usize>(
    isa: I,
    stretches: &[Quad],
    groups: &Groups,
    first: usize,
    x: [&ActivationQ8K; T],
) -> [[[I::Ints; P]; T]; 2] {
    let quads = 4 * (F::LOW + F::HIGH);
    let mut totals = [[isa.no_ints(); P]; T];
    let mut least = [[isa.no_ints(); P]; T];
    let mut dots = [[isa.no_wide(); P]; T];
    let mut partials = [[isa.no_partial(); P]; T];
    if F::LOW == 0 {
        ternary::<I, T, P>(isa, stretches, first, x, &mut dots);
    }
    let stretches_of_planes = if F::LOW == 0 { 0 } else { STRETCHES };
    for s in 0..stretches_of_planes {
        let stretch = &stretches[s * quads..][..quads];
        if T == 1 && first == 0 {
            isa.prefetch(stretch, AHEAD);
        }
        let (mut low, mut high) = ([&x[0].quads()[2 * s]; T], [&x[0].quads()[2 * s + 1]; T]);
        for t in 0..T {
            (low[t], high[t]) = (&x[t].quads()[2 * s], &x[t].quads()[2 * s + 1]);
        }
        match F::GROUP {
            GROUP => {
                let scales = rows::<I, P>(isa, &groups.scales[2 * s], first);
                let mut sink = Scaled {
                    totals: &mut totals,
                    scales,
                };
                multiply::<I, F, 0, T, P>(isa, stretch, first, low, &mut partials, &mut sink, 4);
                sink.scales = rows::<I, P>(isa, &groups.scales[2 * s + 1], first);
                multiply::<I, F, 1, T, P>(isa, stretch, first, high, &mut partials, &mut sink, 4);
            }
            BLOCK => {
                let scales = rows::<I, P>(isa, &groups.scales[s], first);
                let mut sink = Scaled {
                    totals: &mut totals,
                    scales,
                };
                multiply::<I, F, 0, T, P>(isa, stretch, first, low, &mut partials, &mut sink, 8);
                multiply::<I, F, 1, T, P>(isa, stretch, first, high, &mut partials, &mut sink, 8);
            }
            _ => {
                let mut sink = Plain::<I, T, P>(&mut dots);
                multiply::<I, F, 0, T, P>(isa, stretch, first, low, &mut partials, &mut sink, 8);
                multiply::<I, F, 1, T, P>(isa, stretch, first, high, &mut partials, &mut sink, 8);
            }
        }
    }
    // Separate from the products, because both kinds of sums together would not fit the registers.
    if F::GROUP < SUPER_BLOCK && (F::MINIMA || surplus::<I, F>() != 0) {
        let factors = if F::MINIMA {
            &groups.minima
        } else {
            &groups.scales
        };
        for s in 0..STRETCHES {
            let (a, b) = match F::GROUP {
                GROUP => (&factors[2 * s], &factors[2 * s + 1]),
                _ => (&factors[s], &factors[s]),
            };
            for p in 0..P {
                let pair = isa.pair(a, b, first + p);
                for t in 0..T {
                    let sums = [x[t].sums[2 * s], x[t].sums[2 * s + 1]];
                    least[t][p] = isa.weigh(least[t][p], pair, sums);
                }
            }
        }
    }
    if F::GROUP == SUPER_BLOCK {
        for t in 0..T {
            let sum = x[t]
                .sums
                .iter()
                .fold(0, |sum: i32, x| sum.wrapping_add(i32::from(*x)));
            for p in 0..P {
                totals[t][p] = isa.finish(dots[t][p]);
                least[t][p] = isa.splat_int(sum);
            }
        }
    }
    [totals, least]
}

/// Adds the products of a block with five codes per byte.
#[inline(always)]
fn ternary<I: Registers, const T: usize, const P: usize>(
    isa: I,
    chunks: &[Quad],
    first: usize,
    x: [&ActivationQ8K; T],
    dots: &mut [[I::Wide; P]; T],
) {
    // Partial sums can hold four chunks, and on most CPUs a whole block.
    debug_assert!(I::room(2) >= 4 * DIGITS);
    let holds_block = I::room(2) >= SUPER_BLOCK / CHUNK;
    let mut partials = [[isa.no_partial(); P]; T];
    let mut quads = [&x[0].quads()[..]; T];
    for t in 0..T {
        quads[t] = x[t].quads();
    }
    // Four chunks are multiplied by twenty registers of activations: five times sixteen bytes.
    for chunks in chunks.chunks(4 * 4) {
        if T == 1 && first == 0 {
            isa.prefetch(chunks, AHEAD);
        }
        let chunks = chunks.as_chunks::<4>().0;
        let mut x = quads;
        for t in 0..T {
            let (here, later) = quads[t].split_at(quads[t].len().min(DIGITS));
            (x[t], quads[t]) = (here, later);
        }
        if let Some(chunk) = chunks.first() {
            five::<I, 0, T, P>(isa, chunk, first, x, &mut partials);
        }
        if let [_, a, b, c] = chunks {
            five::<I, 1, T, P>(isa, a, first, x, &mut partials);
            five::<I, 2, T, P>(isa, b, first, x, &mut partials);
            five::<I, 3, T, P>(isa, c, first, x, &mut partials);
        }
        if !holds_block {
            for t in 0..T {
                for p in 0..P {
                    dots[t][p] = isa.widen(dots[t][p], partials[t][p]);
                    partials[t][p] = isa.no_partial();
                }
            }
        }
    }
    for t in 0..T {
        for p in 0..P {
            dots[t][p] = isa.widen(dots[t][p], partials[t][p]);
        }
    }
}

/// Adds the products of chunk `J` of four, which has five registers; the very last chunk has four.
#[inline(always)]
fn five<I: Registers, const J: usize, const T: usize, const P: usize>(
    isa: I,
    chunk: &[Quad; 4],
    first: usize,
    x: [&[Quad]; T],
    partials: &mut [[I::Partial; P]; T],
) {
    for p in 0..P {
        let mut rest = isa.load(chunk, first + p);
        for n in 0..DIGITS {
            let w = isa.digit(rest);
            rest = isa.thrice(rest);
            let at = DIGITS * J + n;
            for t in 0..T {
                if let Some(x) = x[t].get(at / 4) {
                    let x = isa.splat(x, at % 4);
                    partials[t][p] = isa.more(partials[t][p], w, w, x, false);
                }
            }
        }
    }
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
