//! The interface between kernels and instruction sets.
//!
//! [`Registers`] is for matrix products in [`super::tiles`]: code written with it in [`super::matrix`] serves every
//! format on every CPU. [`super::lanes::Lanes`] does the same for attention.

use super::lanes::Four;
use crate::quantize::Quad;

/// Registers whose lanes are rows of a tile: a chunk is [`Self::PARTS`] registers, each with four bytes of its rows. A
/// value guarantees that the CPU has the instructions.
///
/// Products of bytes are accumulated in three stages. [`Self::Partial`] sums have few bits, so that many fit a
/// register, but each holds only a few products ([`Self::room`]). [`Self::Wide`] sums have 32 bits, possibly several
/// per row. [`Self::Ints`] have one sum per row.
pub(super) trait Registers: Copy {
    /// Four bytes of each row.
    type Bytes: Copy;
    /// Four activations, for every row.
    type Splat: Copy;
    /// Sums of products before widening.
    type Partial: Copy;
    /// 32-bit sums.
    type Wide: Copy;
    /// A 32-bit sum for each row.
    type Ints: Copy;
    /// A float for each row.
    type Floats: Copy;
    /// A factor for each row's partial sums.
    type Scale: Copy;
    /// Two factors for each row.
    type Pair: Copy;

    /// Registers of a chunk.
    const PARTS: usize;
    /// What [`Self::magnitude`] adds to a signed byte.
    const SURPLUS: i32;

    /// How many products of each byte lane fit a partial sum, if one operand is at most `largest` in magnitude and the
    /// other 127.
    fn room(largest: i32) -> usize;

    /// An empty sum.
    fn no_partial(self) -> Self::Partial;
    /// An empty sum.
    fn no_wide(self) -> Self::Wide;
    /// Zeros.
    fn no_ints(self) -> Self::Ints;

    /// Prefetches the memory `ahead` bytes after `quads`, on CPUs that do not do so early enough by themselves.
    fn prefetch(self, quads: &[Quad], ahead: usize) {
        let _ = (quads, ahead);
    }
    /// Loads a register of a chunk.
    fn load(self, chunk: &[Quad; 4], part: usize) -> Self::Bytes;
    /// In each byte, bits `from` up to `from + bits`, moved to bit `to`.
    fn field(self, x: Self::Bytes, from: usize, bits: usize, to: usize) -> Self::Bytes;
    /// Bitwise or.
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// The upper eight bits of each byte times three.
    fn digit(self, x: Self::Bytes) -> Self::Bytes;
    /// The lower eight bits of each byte times three.
    fn thrice(self, x: Self::Bytes) -> Self::Bytes;
    /// The table's entry for each byte, which must be below sixteen.
    fn lookup(self, table: &[i8; 16], x: Self::Bytes) -> Self::Bytes;
    /// Returns `x`, but on CPUs with few registers makes the compiler assume that it depends on `sum`. Otherwise it
    /// would finish one token after the other, and run out of registers for the weights.
    fn after(self, x: Self::Bytes, sum: Self::Partial) -> Self::Bytes {
        let _ = sum;
        x
    }
    /// What [`Self::first`] needs besides signed bytes, which may be −128.
    fn magnitude(self, x: Self::Bytes) -> Self::Bytes;

    /// Bytes 4i … 4i + 3, broadcast to every row.
    fn splat(self, x: &Quad, i: usize) -> Self::Splat;
    /// Products of weights with activations from −127 to 127. With `signed`, the weights are signed, `magnitude` is the
    /// result of [`Self::magnitude`], and each product is too large by [`Self::SURPLUS`] activations. Otherwise the
    /// weights are from 0 to 63, and `magnitude` is ignored.
    fn first(
        self,
        w: Self::Bytes,
        magnitude: Self::Bytes,
        x: Self::Splat,
        signed: bool,
    ) -> Self::Partial;
    /// Adds such products to `sum`.
    fn more(
        self,
        sum: Self::Partial,
        w: Self::Bytes,
        magnitude: Self::Bytes,
        x: Self::Splat,
        signed: bool,
    ) -> Self::Partial;
    /// Adds partial sums to `sum`.
    fn widen(self, sum: Self::Wide, partial: Self::Partial) -> Self::Wide;
    /// Reduces to one sum per row.
    fn finish(self, wide: Self::Wide) -> Self::Ints;

    /// Loads a factor for each row.
    fn scale(self, scales: &Quad, part: usize) -> Self::Scale;
    /// Adds each row's partial sums times its factor to `sum`.
    fn scaled(self, sum: Self::Ints, partial: Self::Partial, scale: Self::Scale) -> Self::Ints;
    /// Loads two factors for each row.
    fn pair(self, a: &Quad, b: &Quad, part: usize) -> Self::Pair;
    /// `sum` + a · x\[0\] + b · x\[1\] for each row.
    fn weigh(self, sum: Self::Ints, pair: Self::Pair, x: [i16; 2]) -> Self::Ints;
    /// `sum` − x · factor.
    fn less(self, sum: Self::Ints, x: Self::Ints, factor: i32) -> Self::Ints;
    /// Broadcasts to every row.
    fn splat_int(self, x: i32) -> Self::Ints;

    /// Converts to floats.
    fn to_floats(self, x: Self::Ints) -> Self::Floats;
    /// Loads sixteen f16, which must be finite.
    fn f16s(self, x: &[Quad; 2], part: usize) -> Self::Floats;
    /// Loads sixteen bf16.
    fn bf16s(self, x: &[Quad; 2], part: usize) -> Self::Floats;
    /// Loads sixteen f32.
    fn f32s(self, x: &[Quad; 4], part: usize) -> Self::Floats;
    /// Stores sixteen f32.
    fn put(self, x: Self::Floats, to: &mut [Quad; 4], part: usize);
    /// Broadcasts to every row.
    fn splat_float(self, x: f32) -> Self::Floats;
    /// `x` times `by.0[i]`.
    fn times(self, x: Self::Floats, by: &Four, i: usize) -> Self::Floats;
    /// Sums.
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// Differences.
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// Products.
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
}

/// Generates trait methods that need instructions: each calls a safe function compiled for them. `self` guarantees that
/// the CPU has them.
macro_rules! instructions {
    ($features:literal $($(#[$attribute:meta])* fn $name:ident $(<const $n:ident: $of:ty>)? ($($argument:ident: $ty:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        #[inline(always)]
        fn $name $(<const $n: $of>)? (self, $($argument: $ty),*) $(-> $result)? {
            #[target_feature(enable = $features)]
            #[inline]
            $(#[$attribute])*
            fn instructions $(<const $n: $of>)? ($($argument: $ty),*) $(-> $result)? $body
            // SAFETY: a value of the type is created only if the CPU has these instructions.
            unsafe { instructions $(::<$n>)? ($($argument),*) }
        }
    )*};
}
pub(super) use instructions;
