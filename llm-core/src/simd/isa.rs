//! What the kernels ask of an instruction set, and how a set answers.
//!
//! [`Registers`] is for products of matrices in [`super::tiles`]: what is written with it in [`super::matrix`] serves
//! every format on every CPU. [`super::attention::Isa`] is the same for attention.

use super::attention::Four;
use crate::quantize::Quad;

/// Registers whose lanes are rows of a tile: a chunk is [`Self::PARTS`] registers, each with four bytes of its rows. A
/// value says that the CPU has the instructions.
///
/// A product of bytes goes three steps: [`Self::Partial`] sums have few bits, so that many fit a register and few
/// products ([`Self::room`]) fit them; [`Self::Wide`] sums have 32 bits, perhaps several for a row; [`Self::Ints`] have
/// one for a row.
pub(super) trait Registers: Copy {
    /// Four bytes of each row.
    type Bytes: Copy;
    /// Sums of products before they are widened.
    type Partial: Copy;
    /// Sums of 32 bits.
    type Wide: Copy;
    /// A sum of 32 bits for each row.
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

    /// How many products of each byte's lane fit a partial sum, if one operand is at most `largest` in magnitude and the
    /// other 127.
    fn room(largest: i32) -> usize;

    /// No products.
    fn no_partial(self) -> Self::Partial;
    /// No products.
    fn no_wide(self) -> Self::Wide;
    /// Zeros.
    fn no_ints(self) -> Self::Ints;

    /// Asks for the memory that lies `ahead` bytes behind some, where the CPU does not do so early enough by itself.
    fn prefetch(self, quads: &[Quad], ahead: usize) {
        let _ = (quads, ahead);
    }
    /// A register of a chunk.
    fn load(self, chunk: &[Quad; 4], part: usize) -> Self::Bytes;
    /// In each byte, the `bits` bits from bit `from` up, moved to bit `to`.
    fn field(self, x: Self::Bytes, from: usize, bits: usize, to: usize) -> Self::Bytes;
    /// The bits of both.
    fn or(self, a: Self::Bytes, b: Self::Bytes) -> Self::Bytes;
    /// The bytes times three, shifted down by eight bits.
    fn digit(self, x: Self::Bytes) -> Self::Bytes;
    /// The lower eight bits of the bytes times three.
    fn thrice(self, x: Self::Bytes) -> Self::Bytes;
    /// What the table has at each byte, which is below sixteen.
    fn lookup(self, table: &[i8; 16], x: Self::Bytes) -> Self::Bytes;
    /// The same as `x`; but where registers are few, the compiler does not see that it need not wait for `sum`. It would
    /// finish one token after the other, and run out of registers for the weights.
    fn after(self, x: Self::Bytes, sum: Self::Partial) -> Self::Bytes {
        let _ = sum;
        x
    }
    /// What [`Self::first`] wants besides signed bytes; they may be −128.
    fn magnitude(self, x: Self::Bytes) -> Self::Bytes;

    /// Bytes 4i … 4i + 3 for every row.
    fn splat(self, x: &Quad, i: usize) -> Self::Bytes;
    /// Products of weights with activations from −127 to 127. With `signed`, the weights are signed, `magnitude` is what
    /// [`Self::magnitude`] made of them, and each product is [`Self::SURPLUS`] activations too large; otherwise they are
    /// from 0 to 63, and `magnitude` is not looked at.
    fn first(
        self,
        w: Self::Bytes,
        magnitude: Self::Bytes,
        x: Self::Bytes,
        signed: bool,
    ) -> Self::Partial;
    /// The sum of `sum` and such products.
    fn more(
        self,
        sum: Self::Partial,
        w: Self::Bytes,
        magnitude: Self::Bytes,
        x: Self::Bytes,
        signed: bool,
    ) -> Self::Partial;
    /// `sum` and the partial sums.
    fn widen(self, sum: Self::Wide, partial: Self::Partial) -> Self::Wide;
    /// One sum for each row.
    fn finish(self, wide: Self::Wide) -> Self::Ints;

    /// Factors of the rows.
    fn scale(self, scales: &Quad, part: usize) -> Self::Scale;
    /// `sum` and each row's partial sums times its factor.
    fn scaled(self, sum: Self::Ints, partial: Self::Partial, scale: Self::Scale) -> Self::Ints;
    /// Two factors of the rows.
    fn pair(self, a: &Quad, b: &Quad, part: usize) -> Self::Pair;
    /// `sum` + a · x\[0\] + b · x\[1\] for each row.
    fn weigh(self, sum: Self::Ints, pair: Self::Pair, x: [i16; 2]) -> Self::Ints;
    /// `sum` − x · factor.
    fn less(self, sum: Self::Ints, x: Self::Ints, factor: i32) -> Self::Ints;
    /// The same for every row.
    fn splat_int(self, x: i32) -> Self::Ints;

    /// As floats.
    fn to_floats(self, x: Self::Ints) -> Self::Floats;
    /// Sixteen f16, which are finite.
    fn f16s(self, x: &[Quad; 2], part: usize) -> Self::Floats;
    /// Sixteen bf16.
    fn bf16s(self, x: &[Quad; 2], part: usize) -> Self::Floats;
    /// Sixteen f32.
    fn f32s(self, x: &[Quad; 4], part: usize) -> Self::Floats;
    /// Of sixteen f32.
    fn put(self, x: Self::Floats, to: &mut [Quad; 4], part: usize);
    /// The same for every row.
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

/// Methods of a trait that need instructions: each is a safe function, compiled for them, that the method calls. `self`
/// is a value that says that the CPU has them.
macro_rules! instructions {
    ($features:literal $($(#[$attribute:meta])* fn $name:ident $(<const $n:ident: $of:ty>)? ($($argument:ident: $ty:ty),* $(,)?) $(-> $result:ty)? $body:block)*) => {$(
        #[inline(always)]
        fn $name $(<const $n: $of>)? (self, $($argument: $ty),*) $(-> $result)? {
            #[target_feature(enable = $features)]
            #[inline]
            $(#[$attribute])*
            fn instructions $(<const $n: $of>)? ($($argument: $ty),*) $(-> $result)? $body
            // SAFETY: a value of the type is made only where the CPU has these instructions.
            unsafe { instructions $(::<$n>)? ($($argument),*) }
        }
    )*};
}
pub(super) use instructions;
