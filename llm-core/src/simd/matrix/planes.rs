//! Extracts the codes of a stretch from its planes.

use crate::quantize::Quad;
use crate::quantize::blocks::{Block, Code};
use crate::simd::isa::Registers;

/// Whether the integers of a format are signed bytes.
pub(super) const fn signed<F: Block>() -> bool {
    !matches!(F::CODE, Code::Minus(_))
}

/// Surplus of the operands that are multiplied by the activations.
#[inline(always)]
pub(super) fn surplus<I: Registers, F: Block>() -> i32 {
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
pub(super) fn half<I: Registers, F: Block, const H: usize>(
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
