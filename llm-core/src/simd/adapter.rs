//! Adapters as stored in the arena: y += Bᵀ (A · x · scale).
//!
//! With one token, an adapter costs the time to fetch its bytes from memory. So 16-bit floats are kept as they are, and
//! both matrices are stored in the order in which they are read:
//!
//! - A in groups of [`GROUP`] rows, `[columns / 16][GROUP][16]`, then the remainder of each row; after the groups, the
//!   remaining rows, one by one. The sums of a group do not depend on one another.
//! - B in tiles of [`LANES`] rows of the base's matrix, `[rows / 16][rank][16]`; the last tile has the remaining rows.
//!
//! Each sum has the order of [`arithmetic::adapter_down`] and [`arithmetic::adapter_up`], which training uses.
//! [`Half::down_scalar`] and [`Half::up_scalar`] are the reference and accept every shape; [`Half::down`] and
//! [`Half::up`] are for CPUs with vectors, where x and y are whole vectors.

use super::lanes::{Eight, F16s, F32s, Lanes};
use crate::arithmetic::{self, LANES};
use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Rows of A whose elements are stored together.
pub(crate) const GROUP: usize = 4;

/// Type of a matrix's elements.
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

/// Index in A of the element at a row and column.
pub(crate) const fn place_in_a(row: usize, column: usize, rank: usize, columns: usize) -> usize {
    let grouped = rank / GROUP * GROUP;
    if row >= grouped {
        return row * columns + column;
    }
    let (group, row) = (row / GROUP * GROUP * columns, row % GROUP);
    let whole = columns / LANES * LANES;
    let within = if column < whole {
        column / LANES * GROUP * LANES + row * LANES + column % LANES
    } else {
        whole * GROUP + row * (columns - whole) + (column - whole)
    };
    group + within
}

/// Index in B of the element at a row and column.
pub(crate) const fn place_in_b(row: usize, column: usize, rows: usize, rank: usize) -> usize {
    let (tile, lane) = (row / LANES, row % LANES);
    let left = rows - tile * LANES;
    let lanes = if left < LANES { left } else { LANES };
    tile * LANES * rank + column * lanes + lane
}

/// A matrix of an adapter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Half<'a> {
    pub(crate) stored: Stored,
    pub(crate) bytes: &'a [u8],
}

impl Half<'_> {
    /// t\[j\] = (Σ_c a\[j\]\[c\] · x\[c\]) · scale, each sum in the canonical order, for an A with as many rows as `t`
    /// has elements.
    pub(crate) fn down_scalar(self, x: &[f32], scale: f32, t: &mut [f32]) {
        match self.stored {
            Stored::F32 => down_scalar(typed(self.bytes), from_f32, x, scale, t),
            Stored::F16 => down_scalar(typed(self.bytes), from_f16, x, scale, t),
            Stored::BF16 => down_scalar(typed(self.bytes), from_bf16, x, scale, t),
        }
    }

    /// For a B: y\[i\] += Σ_j b\[j\]\[i\] · t\[j\], with the sum formed in ascending order before it is added.
    pub(crate) fn up_scalar(self, t: &[f32], y: &mut [f32]) {
        match self.stored {
            Stored::F32 => up_scalar(typed(self.bytes), from_f32, t, y),
            Stored::F16 => up_scalar(typed(self.bytes), from_f16, t, y),
            Stored::BF16 => up_scalar(typed(self.bytes), from_bf16, t, y),
        }
    }

    /// Like [`Self::down_scalar`].
    #[inline(always)]
    pub(crate) fn down<I: Lanes>(self, isa: I, x: &[f32], scale: f32, t: &mut [f32]) {
        match self.stored {
            Stored::F32 => self.down_of::<I, Floats>(isa, x, scale, t),
            Stored::F16 => self.down_of::<I, Halves>(isa, x, scale, t),
            Stored::BF16 => self.down_of::<I, Brains>(isa, x, scale, t),
        }
    }

    /// Like [`Self::up_scalar`].
    #[inline(always)]
    pub(crate) fn up<I: Lanes>(self, isa: I, t: &[f32], y: &mut [f32]) {
        match self.stored {
            Stored::F32 => self.up_of::<I, Floats>(isa, t, y),
            Stored::F16 => self.up_of::<I, Halves>(isa, t, y),
            Stored::BF16 => self.up_of::<I, Brains>(isa, t, y),
        }
    }

    #[inline(always)]
    fn down_of<I: Lanes, E: Element>(self, isa: I, x: &[f32], scale: f32, t: &mut [f32]) {
        let a = <[E::Sixteen]>::ref_from_bytes(self.bytes);
        let vectors = <[F32s]>::ref_from_bytes(x.as_bytes());
        let (Ok(a), Ok(x)) = (a, vectors) else {
            return self.down_scalar(x, scale, t);
        };
        let (groups, left) = t.as_chunks_mut::<GROUP>();
        let (of_groups, of_left) = a.split_at(groups.len() * GROUP * x.len());
        for (a, t) in of_groups.chunks_exact(GROUP * x.len()).zip(groups) {
            *t = rows::<I, E, GROUP>(isa, a, x, scale);
        }
        for (a, t) in of_left.chunks_exact(x.len()).zip(left) {
            [*t] = rows::<I, E, 1>(isa, a, x, scale);
        }
    }

    #[inline(always)]
    fn up_of<I: Lanes, E: Element>(self, isa: I, t: &[f32], y: &mut [f32]) {
        let whole = y.len() / LANES * LANES;
        let in_tiles = whole * t.len() * self.stored.bytes();
        let (tiles, left) = self.bytes.split_at(in_tiles.min(self.bytes.len()));
        let b = <[E::Sixteen]>::ref_from_bytes(tiles);
        let (wide, tail) = y.split_at_mut(whole);
        let (Ok(b), Ok(wide)) = (b, <[F32s]>::mut_from_bytes(wide.as_mut_bytes())) else {
            return self.up_scalar(t, y);
        };
        for (b, y) in b.chunks_exact(t.len()).zip(wide) {
            isa.prefetch(b, AHEAD);
            let mut sums = isa.splat(0.0);
            for (b, &t) in b.iter().zip(t) {
                sums = isa.add(sums, isa.mul(E::load(isa, b), isa.splat(t)));
            }
            isa.store(isa.add(isa.load(y), sums), y);
        }
        let left = Self {
            bytes: left,
            ..self
        };
        left.up_scalar(t, tail);
    }
}

/// Bytes to prefetch ahead, as [`super::matrix::AHEAD`].
const AHEAD: usize = super::matrix::AHEAD;

/// `R` rows of A that are stored together, times x.
#[inline(always)]
fn rows<I: Lanes, E: Element, const R: usize>(
    isa: I,
    a: &[E::Sixteen],
    x: &[F32s],
    scale: f32,
) -> [f32; R] {
    let mut sums = [isa.splat(0.0); R];
    for (a, x) in a.as_chunks::<R>().0.iter().zip(x) {
        isa.prefetch(a, AHEAD);
        let x = isa.load(x);
        for (sum, a) in sums.iter_mut().zip(a) {
            *sum = isa.add(*sum, isa.mul(E::load(isa, a), x));
        }
    }
    let mut results = [0.0; R];
    for (result, sum) in results.iter_mut().zip(sums) {
        *result = isa.fold(sum) * scale;
    }
    results
}

/// How a CPU with vectors reads elements.
trait Element {
    /// Sixteen of them.
    type Sixteen: FromBytes + Immutable + KnownLayout;
    fn load<I: Lanes>(isa: I, x: &Self::Sixteen) -> I::Floats;
}

struct Floats;
struct Halves;
struct Brains;

impl Element for Floats {
    type Sixteen = F32s;
    #[inline(always)]
    fn load<I: Lanes>(isa: I, x: &F32s) -> I::Floats {
        isa.load(x)
    }
}

impl Element for Halves {
    type Sixteen = F16s;
    #[inline(always)]
    fn load<I: Lanes>(isa: I, x: &F16s) -> I::Floats {
        isa.halves(x)
    }
}

impl Element for Brains {
    type Sixteen = F16s;
    #[inline(always)]
    fn load<I: Lanes>(isa: I, x: &[Eight; 2]) -> I::Floats {
        isa.brains(x)
    }
}

/// Matrices are aligned to [`crate::arena::ALIGNMENT`] bytes and complete, so nothing is lost.
fn typed<T: FromBytes + Immutable + KnownLayout>(bytes: &[u8]) -> &[T] {
    <[T]>::ref_from_bytes(bytes).unwrap_or(&[])
}

fn from_f32(x: f32) -> f32 {
    x
}

fn from_f16(bits: u16) -> f32 {
    arithmetic::finite(f16::from_bits(bits))
}

fn from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

fn down_scalar<T: Copy>(a: &[T], value: impl Fn(T) -> f32, x: &[f32], scale: f32, t: &mut [f32]) {
    let (rank, columns) = (t.len(), x.len());
    for (j, t) in t.iter_mut().enumerate() {
        let mut lanes = [0.0f32; LANES];
        for (c, x) in x.iter().enumerate() {
            lanes[c % LANES] += value(a[place_in_a(j, c, rank, columns)]) * x;
        }
        *t = arithmetic::fold(lanes) * scale;
    }
}

fn up_scalar<T: Copy>(b: &[T], value: impl Fn(T) -> f32, t: &[f32], y: &mut [f32]) {
    let mut tiles = b;
    for y in y.chunks_mut(LANES) {
        let rows = y.len();
        let (tile, others) = tiles.split_at(rows * t.len());
        for (i, y) in y.iter_mut().enumerate() {
            let column = tile.iter().skip(i).step_by(rows);
            let terms = column.zip(t).map(|(b, t)| value(*b) * t);
            *y += terms.fold(0.0, |sum, term| sum + term);
        }
        tiles = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::Cpu;
    use crate::testing::Memory;
    use half::bf16;
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
                    let mut grouped = vec![0.0; plain.len()];
                    for (index, &value) in plain.iter().enumerate() {
                        grouped[place_in_a(index / side, index % side, rank, side)] = value;
                    }
                    let len = encode(stored, &grouped, &mut memory);
                    let mut expected = vec![0.0; rank];
                    arithmetic::adapter_down(&plain, &x, 0.3, &mut expected);
                    for cpu in Cpu::all() {
                        let mut t = vec![9.0; rank];
                        let bytes = &memory.bytes()[..len];
                        cpu.adapter_half_down(Half { stored, bytes }, &x, 0.3, &mut t);
                        assert_eq!(bits(&t), bits(&expected), "{stored:?} {rank} {side}");
                    }

                    let mut tiles = vec![0.0; plain.len()];
                    for (index, &value) in plain.iter().enumerate() {
                        tiles[place_in_b(index % side, index / side, side, rank)] = value;
                    }
                    encode(stored, &tiles, &mut memory);
                    let mut sums = x.clone();
                    arithmetic::adapter_up(&plain, &expected, &mut sums);
                    for cpu in Cpu::all() {
                        let mut y = x.clone();
                        let bytes = &memory.bytes()[..len];
                        cpu.adapter_half_up(Half { stored, bytes }, &expected, &mut y);
                        assert_eq!(bits(&y), bits(&sums), "{stored:?} {rank} {side}");
                    }
                }
            }
        }
    }
}
