//! Plain Rust for 64-bit CPUs without vectors: a word has several numbers, and one multiplication gives several products.
//!
//! Part p of a chunk is a word with four bytes of row 2p and four of row 2p + 1. Weights of more than four bits are
//! taken out of it one by one, for both rows together: as the halves of a word, a and b. Times x they are a x and b x.
//!
//! Weights below sixteen are taken out in pairs, as quarters of a word: a and b of one row, c and d of the other. Times
//! x + y · 2¹⁶ they are, from the lowest quarter up,
//!
//! ```text
//!   a x,   b x + a y,   c x + b y,   d x + c y
//! ```
//!
//! of which the second and the fourth are what a row needs. The others are of no use, but do no harm: like the sums of
//! rows, they stay below 2¹⁵ in magnitude ([`Registers::room`]), and what a negative one borrows from the next is known.

mod lanes;

use super::attention::Attention;
use super::isa::Registers;
use super::lanes::Four;
use super::matrix::{Tiles, for_tokens};
use crate::arithmetic::finite;
use crate::outputs::Outputs;
use crate::quantize::blocks::{Block, FloatType, SmallBlock, SuperBlock};
use crate::quantize::{ActivationQ8, ActivationQ8K, Quad};
use half::{bf16, f16};
use zerocopy::{transmute_mut, transmute_ref};

/// Weights are from 0 to 15 with `NARROW`, and otherwise bytes without a sign.
#[derive(Clone, Copy)]
struct Words<const NARROW: bool>;

/// Attention for heads that are whole groups of lanes.
pub(super) fn attend(attention: Attention<'_>) {
    attention.run(Words::<false>);
}

/// Like [`crate::arithmetic::matmul_float`].
#[inline(never)]
pub(super) fn floats<F: FloatType>(w: Tiles<'_>, x: &[f32], out: &mut Outputs<'_>) {
    for_tokens!(floats::<F>(Words::<false>, w, x, out) 1: 1 2);
}

/// Like [`crate::arithmetic::matmul_small`].
#[inline(never)]
pub(super) fn small<F: SmallBlock>(w: Tiles<'_>, x: &[ActivationQ8], out: &mut Outputs<'_>) {
    match is_narrow::<F>() {
        true => for_tokens!(small::<F>(Words::<true>, w, x, out) 1: 1 8),
        false => for_tokens!(small::<F>(Words::<false>, w, x, out) 1: 1 8),
    }
}

/// Like [`crate::arithmetic::matmul_super`].
#[inline(never)]
pub(super) fn large<F: SuperBlock>(w: Tiles<'_>, x: &[ActivationQ8K], out: &mut Outputs<'_>) {
    match is_narrow::<F>() {
        true => for_tokens!(large::<F>(Words::<true>, w, x, out) 1: 1 8),
        false => for_tokens!(large::<F>(Words::<false>, w, x, out) 1: 1 8),
    }
}

/// Whether what is multiplied is below sixteen.
const fn is_narrow<F: Block>() -> bool {
    F::CODE.largest(F::LOW + F::HIGH) < 16
}

/// A word with this byte in every place.
const fn bytes(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// A word with this number in every quarter.
const fn quarters(number: u16) -> u64 {
    number as u64 * 0x0001_0001_0001_0001
}

/// A word with this number in both halves.
const fn halves(number: u32) -> u64 {
    number as u64 * 0x0000_0001_0000_0001
}

impl<const NARROW: bool> Registers for Words<NARROW> {
    /// Four bytes of each of two rows.
    type Bytes = u64;
    /// What the bytes are multiplied by; if they are narrow, one factor for the even ones and one for the odd ones.
    type Splat = [i64; 4];
    /// A sum in each half, or in the second and in the fourth quarter.
    type Partial = u64;
    type Wide = (i64, i64);
    type Ints = (i64, i64);
    type Floats = (f32, f32);
    type Scale = (i8, i8);
    type Pair = [(i8, i8); 2];

    const PARTS: usize = 8;
    const SURPLUS: i32 = 128;

    fn room(largest: i32) -> usize {
        // Four products of bytes of each row at a time.
        match NARROW {
            true => i16::MAX as usize / (4 * 127 * largest as usize),
            false => i32::MAX as usize / (4 * 127 * 255),
        }
    }

    #[inline(always)]
    fn no_partial(self) -> u64 {
        0
    }

    #[inline(always)]
    fn no_wide(self) -> (i64, i64) {
        (0, 0)
    }

    #[inline(always)]
    fn no_ints(self) -> (i64, i64) {
        (0, 0)
    }

    #[inline(always)]
    fn load(self, chunk: &[Quad; 4], part: usize) -> u64 {
        let words: &[u64; 8] = transmute_ref!(chunk);
        u64::from_le(words[part])
    }

    #[inline(always)]
    fn field(self, x: u64, from: usize, bits: usize, to: usize) -> u64 {
        let mask = bytes(((1u16 << bits) - 1) as u8);
        (x >> from & mask) << to
    }

    #[inline(always)]
    fn or(self, a: u64, b: u64) -> u64 {
        a | b
    }

    #[inline(always)]
    fn digit(self, x: u64) -> u64 {
        let [even, odd] = thrice(x);
        even >> 8 & quarters(3) | odd & quarters(3 << 8)
    }

    #[inline(always)]
    fn thrice(self, x: u64) -> u64 {
        let [even, odd] = thrice(x);
        even & quarters(0xFF) | odd << 8 & quarters(0xFF00)
    }

    #[inline(always)]
    fn lookup(self, table: &[i8; 16], x: u64) -> u64 {
        let entries = x
            .to_le_bytes()
            .map(|code| table[usize::from(code & 15)] as u8);
        u64::from_le_bytes(entries)
    }

    #[inline(always)]
    fn magnitude(self, x: u64) -> u64 {
        x ^ bytes(0x80)
    }

    #[inline(always)]
    fn splat(self, x: &Quad, i: usize) -> [i64; 4] {
        let x: &[[i8; 4]; 4] = transmute_ref!(x);
        self.factors(&x[i])
    }

    #[inline(always)]
    fn first(self, w: u64, magnitude: u64, x: [i64; 4], signed: bool) -> u64 {
        self.products(if signed { magnitude } else { w }, x)
    }

    #[inline(always)]
    fn more(self, sum: u64, w: u64, magnitude: u64, x: [i64; 4], signed: bool) -> u64 {
        sum.wrapping_add(self.first(w, magnitude, x, signed))
    }

    #[inline(always)]
    fn widen(self, sum: (i64, i64), partial: u64) -> (i64, i64) {
        both(sum, self.in_rows(partial), i64::wrapping_add)
    }

    #[inline(always)]
    fn finish(self, wide: (i64, i64)) -> (i64, i64) {
        wide
    }

    #[inline(always)]
    fn scale(self, scales: &Quad, part: usize) -> (i8, i8) {
        let scales: &[[i8; 2]; 8] = transmute_ref!(scales);
        (scales[part][0], scales[part][1])
    }

    #[inline(always)]
    fn scaled(self, sum: (i64, i64), partial: u64, scale: (i8, i8)) -> (i64, i64) {
        let more = both(self.in_rows(partial), wide(scale), i64::wrapping_mul);
        both(sum, more, i64::wrapping_add)
    }

    #[inline(always)]
    fn pair(self, a: &Quad, b: &Quad, part: usize) -> [(i8, i8); 2] {
        [self.scale(a, part), self.scale(b, part)]
    }

    #[inline(always)]
    fn weigh(self, sum: (i64, i64), pair: [(i8, i8); 2], x: [i16; 2]) -> (i64, i64) {
        let [a, b] = pair.map(wide);
        let [x, y] = x.map(i64::from);
        both(sum, both(a, b, |a, b| a * x + b * y), i64::wrapping_add)
    }

    #[inline(always)]
    fn less(self, sum: (i64, i64), x: (i64, i64), factor: i32) -> (i64, i64) {
        both(sum, x, |sum, x| {
            sum.wrapping_sub(x.wrapping_mul(i64::from(factor)))
        })
    }

    #[inline(always)]
    fn splat_int(self, x: i32) -> (i64, i64) {
        (i64::from(x), i64::from(x))
    }

    #[inline(always)]
    fn to_floats(self, x: (i64, i64)) -> (f32, f32) {
        (x.0 as f32, x.1 as f32)
    }

    #[inline(always)]
    fn f16s(self, x: &[Quad; 2], part: usize) -> (f32, f32) {
        let halves: &[[u16; 2]; 8] = transmute_ref!(x);
        let float = |half| finite(f16::from_bits(u16::from_le(half)));
        (float(halves[part][0]), float(halves[part][1]))
    }

    #[inline(always)]
    fn bf16s(self, x: &[Quad; 2], part: usize) -> (f32, f32) {
        let halves: &[[u16; 2]; 8] = transmute_ref!(x);
        let float = |half| bf16::from_bits(u16::from_le(half)).to_f32();
        (float(halves[part][0]), float(halves[part][1]))
    }

    #[inline(always)]
    fn f32s(self, x: &[Quad; 4], part: usize) -> (f32, f32) {
        let floats: &[[f32; 2]; 8] = transmute_ref!(x);
        (floats[part][0], floats[part][1])
    }

    #[inline(always)]
    fn put(self, x: (f32, f32), to: &mut [Quad; 4], part: usize) {
        let floats: &mut [[f32; 2]; 8] = transmute_mut!(to);
        floats[part] = [x.0, x.1];
    }

    #[inline(always)]
    fn splat_float(self, x: f32) -> (f32, f32) {
        (x, x)
    }

    #[inline(always)]
    fn times(self, x: (f32, f32), by: &Four, i: usize) -> (f32, f32) {
        (x.0 * by.0[i], x.1 * by.0[i])
    }

    #[inline(always)]
    fn add(self, a: (f32, f32), b: (f32, f32)) -> (f32, f32) {
        both(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: (f32, f32), b: (f32, f32)) -> (f32, f32) {
        both(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: (f32, f32), b: (f32, f32)) -> (f32, f32) {
        both(a, b, |a, b| a * b)
    }
}

impl<const NARROW: bool> Words<NARROW> {
    /// What four bytes of a row are multiplied by.
    #[inline(always)]
    fn factors(self, x: &[i8; 4]) -> [i64; 4] {
        let at = |i: usize| i64::from(x[i]);
        match NARROW {
            true => [at(2) + (at(0) << 16), at(3) + (at(1) << 16), 0, 0],
            false => [at(0), at(1), at(2), at(3)],
        }
    }

    /// The products of four bytes of two rows.
    #[inline(always)]
    fn products(self, w: u64, x: [i64; 4]) -> u64 {
        let product = |w: u64, x: i64| w.wrapping_mul(x as u64);
        match NARROW {
            true => {
                product(w & quarters(15), x[0]).wrapping_add(product(w >> 8 & quarters(15), x[1]))
            }
            false => product(w & halves(255), x[0])
                .wrapping_add(product(w >> 8 & halves(255), x[1]))
                .wrapping_add(product(w >> 16 & halves(255), x[2]))
                .wrapping_add(product(w >> 24 & halves(255), x[3])),
        }
    }

    /// The sums of two rows.
    #[inline(always)]
    fn in_rows(self, sums: u64) -> (i64, i64) {
        if NARROW {
            // What lies below a sum becomes positive, so that it borrows nothing from the sum.
            let sums = sums.wrapping_add(1 << 15 | 1 << 47);
            return (i64::from(sums as i32 >> 16), sums as i64 >> 48);
        }
        (
            i64::from(sums as i32),
            sums.wrapping_add(1 << 31) as i64 >> 32,
        )
    }
}

/// What `f` makes of two pairs. Pairs of rows are no arrays, since a compiler moves a small array as one integer.
#[inline(always)]
fn both<T>(a: (T, T), b: (T, T), f: impl Fn(T, T) -> T) -> (T, T) {
    (f(a.0, b.0), f(a.1, b.1))
}

#[inline(always)]
fn wide(pair: (i8, i8)) -> (i64, i64) {
    (i64::from(pair.0), i64::from(pair.1))
}

/// Three times each byte: those with even numbers, and those with odd ones.
#[inline(always)]
fn thrice(x: u64) -> [u64; 2] {
    [x & quarters(0xFF), x >> 8 & quarters(0xFF)].map(|field| field + (field << 1))
}
