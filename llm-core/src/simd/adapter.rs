//! Adapters as they lie in the arena: y += Bᵀ (A · x · scale).
//!
//! With one token, what an adapter costs is the time that its bytes take from memory. So floats of sixteen bits stay
//! so, and both matrices lie in the order in which they are read: A row by row, B in tiles of [`LANES`] rows of the
//! base's matrix, `[rows / 16][rank][16]`; the last tile has the rows that are left.
//!
//! The order of sums is that of [`scalar::adapter_down`] and [`scalar::adapter_up`], which a training uses.

use super::scalar::{self, LANES};
use zerocopy::{FromBytes, Immutable, KnownLayout};

/// How the elements of a matrix are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stored {
    F32,
    F16,
    BF16,
}

impl Stored {
    /// Bytes of an element.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
        }
    }
}

/// t\[j\] = (Σ_c a\[j\]\[c\] · x\[c\]) · scale, each sum in the canonical order. `a` is \[rank, columns\].
#[inline(always)]
pub(crate) fn down(stored: Stored, a: &[u8], x: &[f32], scale: f32, t: &mut [f32]) {
    match stored {
        Stored::F32 => down_of(typed(a), from_f32, x, scale, t),
        Stored::F16 => down_of(typed(a), from_f16, x, scale, t),
        Stored::BF16 => down_of(typed(a), from_bf16, x, scale, t),
    }
}

/// y\[i\] += Σ_j b\[j\]\[i\] · t\[j\], the sum in ascending order before it is added. `b` lies in tiles.
#[inline(always)]
pub(crate) fn up(stored: Stored, b: &[u8], t: &[f32], y: &mut [f32]) {
    match stored {
        Stored::F32 => up_of(typed(b), from_f32, t, y),
        Stored::F16 => up_of(typed(b), from_f16, t, y),
        Stored::BF16 => up_of(typed(b), from_bf16, t, y),
    }
}

/// Matrices begin on a boundary of [`crate::arena::ALIGNMENT`] bytes and are whole, so nothing is left out.
#[inline(always)]
fn typed<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8]) -> &[T] {
    <[T]>::ref_from_bytes(bytes).unwrap_or(&[])
}

#[inline(always)]
fn from_f32(x: f32) -> f32 {
    x
}

/// A finite f16, as [`scalar::finite`] gives it, in fewer steps: the shift to the right leaves copies of the sign, which
/// the mask takes away.
#[inline(always)]
fn from_f16(bits: u16) -> f32 {
    const POWER: f32 = f32::from_bits((127 + 112) << 23);
    let moved = (u32::from(bits) << 16).cast_signed() >> 3;
    f32::from_bits(moved.cast_unsigned() & 0x8FFF_E000) * POWER
}

#[inline(always)]
fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// lanes\[i\] += a\[i\] · x\[i\].
#[inline(always)]
fn add_products<T: Copy>(lanes: &mut [f32], a: &[T], x: &[f32], value: impl Fn(T) -> f32 + Copy) {
    for (lane, (a, x)) in lanes.iter_mut().zip(a.iter().zip(x)) {
        *lane += value(*a) * x;
    }
}

/// Four rows at a time, so that their sums do not wait for one another. By index: a compiler does not inline so many
/// iterators in one.
#[inline(always)]
fn down_of<T: Copy>(
    a: &[T],
    value: impl Fn(T) -> f32 + Copy,
    x: &[f32],
    scale: f32,
    t: &mut [f32],
) {
    let (fours, rest) = t.as_chunks_mut::<4>();
    let (a, of_rest) = a.split_at(fours.len() * 4 * x.len());
    for (a, t) in a.chunks_exact(4 * x.len()).zip(fours) {
        let (ab, cd) = a.split_at(2 * x.len());
        let ((a, b), (c, d)) = (ab.split_at(x.len()), cd.split_at(x.len()));
        let (mut la, mut lb) = ([0.0f32; LANES], [0.0f32; LANES]);
        let (mut lc, mut ld) = ([0.0f32; LANES], [0.0f32; LANES]);
        let (xs, tail) = x.as_chunks::<LANES>();
        let n = xs.len();
        let (a, a_tail) = whole(a, n);
        let (b, b_tail) = whole(b, n);
        let (c, c_tail) = whole(c, n);
        let (d, d_tail) = whole(d, n);
        for i in 0..n {
            add_products(&mut la, &a[i], &xs[i], value);
            add_products(&mut lb, &b[i], &xs[i], value);
            add_products(&mut lc, &c[i], &xs[i], value);
            add_products(&mut ld, &d[i], &xs[i], value);
        }
        add_products(&mut la, a_tail, tail, value);
        add_products(&mut lb, b_tail, tail, value);
        add_products(&mut lc, c_tail, tail, value);
        add_products(&mut ld, d_tail, tail, value);
        *t = [
            scalar::fold(la) * scale,
            scalar::fold(lb) * scale,
            scalar::fold(lc) * scale,
            scalar::fold(ld) * scale,
        ];
    }
    for (a, t) in of_rest.chunks_exact(x.len()).zip(rest) {
        let (xs, tail) = x.as_chunks::<LANES>();
        let (a, a_tail) = whole(a, xs.len());
        let mut lanes = [0.0f32; LANES];
        for (a, x) in a.iter().zip(xs) {
            add_products(&mut lanes, a, x, value);
        }
        add_products(&mut lanes, a_tail, tail, value);
        *t = scalar::fold(lanes) * scale;
    }
}

/// The first `n` whole chunks of a row, and its tail.
#[inline(always)]
fn whole<T>(row: &[T], n: usize) -> (&[[T; LANES]], &[T]) {
    let (chunks, tail) = row.as_chunks::<LANES>();
    (&chunks[..n], tail)
}

#[inline(always)]
fn up_of<T: Copy>(b: &[T], value: impl Fn(T) -> f32 + Copy, t: &[f32], y: &mut [f32]) {
    let (tiles, tail) = y.as_chunks_mut::<LANES>();
    let (b, b_tail) = b.split_at(tiles.len() * LANES * t.len());
    let (columns, _) = b.as_chunks::<LANES>();
    for (tile, y) in tiles.iter_mut().enumerate() {
        let columns = &columns[tile * t.len()..][..t.len()];
        let mut sums = [0.0f32; LANES];
        for j in 0..t.len() {
            for i in 0..LANES {
                sums[i] += value(columns[j][i]) * t[j];
            }
        }
        for i in 0..LANES {
            y[i] += sums[i];
        }
    }
    let rows = tail.len();
    for (i, y) in tail.iter_mut().enumerate() {
        let mut sum = 0.0f32;
        for j in 0..t.len() {
            sum += value(b_tail[j * rows + i]) * t[j];
        }
        *y += sum;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Cpu;
    use crate::testing::Memory;
    use half::{bf16, f16};
    use std::vec;
    use std::vec::Vec;

    /// Values that F16 and BF16 hold exactly.
    fn values(n: usize) -> Vec<f32> {
        let value = |n: usize| ((n * 37 + 11) % 255) as f32 / 128.0 - 0.996_093_75;
        (0..n).map(value).collect()
    }

    fn encode(stored: Stored, values: &[f32], memory: &mut Memory) -> usize {
        let size = stored.bytes();
        let cells = memory.bytes().chunks_exact_mut(size);
        for (&value, cell) in values.iter().zip(cells) {
            match stored {
                Stored::F32 => cell.copy_from_slice(&value.to_le_bytes()),
                Stored::F16 => cell.copy_from_slice(&f16::from_f32(value).to_le_bytes()),
                Stored::BF16 => cell.copy_from_slice(&bf16::from_f32(value).to_le_bytes()),
            }
        }
        values.len() * size
    }

    fn bits(values: &[f32]) -> Vec<u32> {
        values.iter().map(|value| value.to_bits()).collect()
    }

    #[test]
    fn what_is_stored_gives_the_bits_of_the_plain_loops_on_every_path() {
        for stored in [Stored::F32, Stored::F16, Stored::BF16] {
            for rank in [1, 3, 4, 8, 13, 64] {
                for side in [1, 15, 16, 48, 77] {
                    let (plain, x) = (values(rank * side), values(side));
                    let mut memory = Memory::new(4 * plain.len());
                    let len = encode(stored, &plain, &mut memory);
                    let mut expected = vec![0.0; rank];
                    scalar::adapter_down(&plain, &x, 0.3, &mut expected);
                    for cpu in Cpu::all() {
                        let mut t = vec![9.0; rank];
                        cpu.stored_adapter_down(stored, &memory.bytes()[..len], &x, 0.3, &mut t);
                        assert_eq!(bits(&t), bits(&expected), "{stored:?} {rank} {side}");
                    }

                    let mut tiles = Vec::new();
                    for first in (0..side).step_by(LANES) {
                        let rows = first..side.min(first + LANES);
                        let column = |j: usize| &plain[j * side..][rows.clone()];
                        (0..rank).for_each(|j| tiles.extend(column(j)));
                    }
                    encode(stored, &tiles, &mut memory);
                    let mut sums = x.clone();
                    scalar::adapter_up(&plain, &expected, &mut sums);
                    for cpu in Cpu::all() {
                        let mut y = x.clone();
                        cpu.stored_adapter_up(stored, &memory.bytes()[..len], &expected, &mut y);
                        assert_eq!(bits(&y), bits(&sums), "{stored:?} {rank} {side}");
                    }
                }
            }
        }
    }

    #[test]
    fn every_finite_f16_is_what_it_is() {
        for number in (0..=u16::MAX).map(f16::from_bits).filter(|f| f.is_finite()) {
            assert_eq!(
                from_f16(number.to_bits()).to_bits(),
                number.to_f32().to_bits()
            );
        }
    }
}
