//! Vectors of sixteen lanes, one per virtual lane of a reduction, for attention, adapters and the backward pass. Matrix
//! products have their own interface, [`super::isa`].

use half::f16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Four floats aligned to a register. Targets without an operating system are built for strict alignment, where a
/// possibly misaligned load is split into byte loads.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub(crate) struct Four(pub(crate) [f32; 4]);

/// Eight f16, aligned likewise.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub(crate) struct Eight(pub(crate) [f16; 8]);

/// Sixteen bytes, aligned likewise.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(16))]
pub(crate) struct I8s(pub(crate) [i8; 16]);

/// Sixteen floats.
pub(crate) type F32s = [Four; 4];
/// Sixteen f16.
pub(crate) type F16s = [Eight; 2];

/// Vectors of sixteen lanes. A value guarantees that the CPU has the instructions.
pub(crate) trait Lanes: Copy {
    /// Sixteen floats.
    type Floats: Copy;
    /// Number of vectors that fit the registers, besides what else is needed.
    const ACCUMULATORS: usize;

    fn splat(self, x: f32) -> Self::Floats;
    fn load(self, x: &F32s) -> Self::Floats;
    fn store(self, x: Self::Floats, to: &mut F32s);
    /// Converts f16, which must be finite.
    fn halves(self, x: &F16s) -> Self::Floats;
    /// Converts bf16, given as the bits of f16.
    fn brains(self, x: &F16s) -> Self::Floats;
    /// See [`super::isa::Registers::prefetch`].
    fn prefetch<T>(self, what: &[T], ahead: usize) {
        let _ = (what, ahead);
    }
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn div(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// The sum of the lanes, folded by 8, 4, 2, 1.
    fn fold(self, x: Self::Floats) -> f32;
    /// The largest lane.
    fn max(self, x: Self::Floats) -> f32;
    /// Rounds lanes from 0 to 127 to integers, ties to even.
    fn round(self, x: Self::Floats) -> [u8; 16];
    /// The exact products of `H` vectors with sixteen others, all values −127…127, in whole groups of sixteen elements.
    /// A chunk has four elements of each of the others.
    fn dots<const H: usize>(
        self,
        chunks: &[[I8s; 4]],
        vectors: &[Vector<'_>; H],
    ) -> [Self::Floats; H];
    /// Like `dots`, for vectors of sixteen elements from 0 to 127.
    fn weigh<const H: usize>(
        self,
        chunks: &[[I8s; 4]; 4],
        weights: &[[u8; 16]; H],
    ) -> [Self::Floats; H];
}

/// A vector of 8-bit values.
#[derive(Clone, Copy)]
pub(crate) struct Vector<'a> {
    pub(crate) q: &'a [[i8; 4]],
    /// Σ q
    pub(crate) sum: i32,
}

pub(super) const ALIGNED: &str = "spans and blocks are whole cache lines";
