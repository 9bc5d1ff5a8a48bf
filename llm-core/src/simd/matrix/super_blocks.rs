//! Products with super-blocks, whose groups have their own scales.

use super::planes::surplus;
use super::{AHEAD, NO_SUMS, Plain, STRETCHES, Scaled, Sums, multiply, rows, tokens};
use crate::quantize::blocks::{GROUP, IN_WORDS, Scales, SuperBlock};
use crate::quantize::{ActivationQ8K, BLOCK, Quad, SUPER_BLOCK};
use crate::simd::isa::Registers;
use crate::simd::tiles::{CHUNK, DIGITS, TILE};
use zerocopy::IntoBytes;

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
pub(crate) fn large<I: Registers, F: SuperBlock, const T: usize, const P: usize, const N: usize>(
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
