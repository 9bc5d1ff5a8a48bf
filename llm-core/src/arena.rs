//! One block of memory, allocated from the bottom and never freed piece by piece.
//!
//! An [`Arena`] hands out *spans* instead of references: plain handles of offset and length. So its owner can drop one
//! model and load another without fighting lifetimes, and nothing here is `unsafe`. The forward pass splits the arena
//! at a [`Mark`]: the part below (weights, vocabulary) is shared for reading, the part above (KV cache, activations) is
//! borrowed mutably, piece by piece.

use core::marker::PhantomData;
use core::ops::Range;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Alignment of every span in bytes: one cache line, and the widest vector register.
pub const ALIGNMENT: usize = 64;

/// Purpose of a span, for status reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Matrices and norms.
    Weights,
    /// Keys and values of the sessions.
    KvCache,
    /// Buffers of the forward pass, logits, scratch of tokenizer and sampler.
    Activations,
    /// Tokens, scores and their index.
    Vocabulary,
    /// Low-rank adapters of the model.
    Adapters,
    /// Working memory of a fine-tuning job.
    Training,
    /// Everything else.
    Other,
}

impl Purpose {
    /// Number of purposes.
    pub const COUNT: usize = 7;
}

/// Types that the arena can hold: plain data, valid for any bytes.
pub trait Plain: FromBytes + IntoBytes + Immutable + KnownLayout + Copy {}
impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Copy> Plain for T {}

/// A handle to `len` values of type `T` in an arena.
#[derive(Debug)]
pub struct Span<T> {
    offset: usize,
    len: usize,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Span<T> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<T> Copy for Span<T> {}
impl<T> Default for Span<T> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<T> Span<T> {
    /// An empty span.
    pub const EMPTY: Self = Self {
        offset: 0,
        len: 0,
        of: PhantomData,
    };

    /// A span with this range of bytes; `None` if it would end beyond what can be addressed.
    pub(crate) fn at(offset: usize, len: usize) -> Option<Self> {
        offset.checked_add(len.checked_mul(size_of::<T>())?)?;
        Some(Self {
            offset,
            len,
            of: PhantomData,
        })
    }

    /// Its bytes.
    pub(crate) const fn bytes(&self) -> Span<u8> {
        Span {
            offset: self.offset,
            len: self.len * size_of::<T>(),
            of: PhantomData,
        }
    }

    /// Number of values.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The byte range it occupies in the arena.
    #[must_use]
    pub const fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.len * size_of::<T>()
    }

    /// The sub-span of `len` values from `start`.
    ///
    /// # Panics
    /// The sub-span is not inside the span.
    #[must_use]
    pub const fn part(&self, start: usize, len: usize) -> Self {
        assert!(
            start <= self.len && len <= self.len - start,
            "part of a span outside it"
        );
        Self {
            offset: self.offset + start * size_of::<T>(),
            len,
            of: PhantomData,
        }
    }

    /// The same span after [`Arena::remove`] has removed `bytes` bytes below it.
    ///
    /// # Panics
    /// There are fewer bytes below it.
    #[must_use]
    pub(crate) const fn moved_down(&self, bytes: usize) -> Self {
        assert!(bytes <= self.offset, "a span moved below the arena");
        Self {
            offset: self.offset - bytes,
            len: self.len,
            of: PhantomData,
        }
    }
}

/// Why an allocation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArenaError {
    /// The memory does not begin on a boundary of [`ALIGNMENT`] bytes.
    #[error("the arena's memory is not {ALIGNMENT}-byte aligned")]
    Misaligned,
    /// More was requested than is left.
    #[error("{needed} bytes asked for {purpose:?}, {left} left in the arena")]
    Exhausted {
        /// The purpose of the request.
        purpose: Purpose,
        /// Bytes requested, rounded up to the alignment; `usize::MAX` if that overflows.
        needed: usize,
        /// Bytes left.
        left: usize,
    },
}

/// How much of the arena is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    by_purpose: [usize; Purpose::COUNT],
    /// Bytes in use.
    pub current: usize,
    /// Peak bytes in use since the arena was created.
    pub peak: usize,
    /// Size of the arena in bytes.
    pub capacity: usize,
}

impl Usage {
    /// Bytes in use for `purpose`, including alignment.
    #[must_use]
    pub const fn of(&self, purpose: Purpose) -> usize {
        self.by_purpose[purpose as usize]
    }
}

/// An allocation level to roll back to, or to split at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    used: usize,
    by_purpose: [usize; Purpose::COUNT],
}

/// A bump allocator; see the module.
#[derive(Debug)]
pub struct Arena<'m> {
    memory: &'m mut [u8],
    level: Mark,
    peak: usize,
}

/// Bytes that `len` values of `T` take in an arena, or `None` if that overflows.
#[must_use]
pub const fn bytes_of<T>(len: usize) -> Option<usize> {
    match len.checked_mul(size_of::<T>()) {
        Some(bytes) => bytes.checked_next_multiple_of(ALIGNMENT),
        None => None,
    }
}

impl<'m> Arena<'m> {
    /// An arena over `memory`.
    ///
    /// # Errors
    /// `memory` is misaligned.
    pub fn new(memory: &'m mut [u8]) -> Result<Self, ArenaError> {
        if !memory.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(ArenaError::Misaligned);
        }
        Ok(Self {
            memory,
            level: Mark::default(),
            peak: 0,
        })
    }

    /// Allocates `len` zeros.
    ///
    /// # Errors
    /// There is no room; nothing has changed.
    pub fn alloc<T: Plain>(&mut self, len: usize, purpose: Purpose) -> Result<Span<T>, ArenaError> {
        const { assert!(align_of::<T>() <= ALIGNMENT && size_of::<T>() > 0) };
        let left = self.memory.len() - self.level.used;
        let needed = bytes_of::<T>(len).unwrap_or(usize::MAX);
        if needed > left {
            return Err(ArenaError::Exhausted {
                purpose,
                needed,
                left,
            });
        }
        let offset = self.level.used;
        self.memory[offset..offset + needed].fill(0);
        self.level.used += needed;
        self.level.by_purpose[purpose as usize] += needed;
        self.peak = self.peak.max(self.level.used);
        Ok(Span {
            offset,
            len,
            of: PhantomData,
        })
    }

    /// The current level.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.level
    }

    /// Frees everything allocated after `mark`. Spans above it must not be used any more, because they would refer to
    /// whatever is allocated there next.
    ///
    /// # Panics
    /// `mark` is above the current level: it belongs to another arena or another time.
    pub fn rollback(&mut self, mark: Mark) {
        assert!(
            mark.used <= self.level.used,
            "rolling back to a level that is not below"
        );
        self.level = mark;
    }

    /// Removes bytes allocated for `purpose` from the middle. Everything above moves down; its spans and marks are
    /// wrong until their owner has moved them too ([`Span::moved_down`]).
    ///
    /// # Panics
    /// The bytes were not all allocated for `purpose`, or are not whole multiples of [`ALIGNMENT`].
    pub(crate) fn remove(&mut self, range: Range<usize>, purpose: Purpose) {
        let used = self.level.used;
        assert!(range.start <= range.end && range.end <= used);
        assert!(range.start.is_multiple_of(ALIGNMENT) && range.len().is_multiple_of(ALIGNMENT));
        self.memory.copy_within(range.end..used, range.start);
        self.level.used -= range.len();
        self.level.by_purpose[purpose as usize] -= range.len();
    }

    /// Frees everything. The peak stays.
    pub fn reset(&mut self) {
        self.rollback(Mark::default());
    }

    /// Current use.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        Usage {
            by_purpose: self.level.by_purpose,
            current: self.level.used,
            peak: self.peak,
            capacity: self.memory.len(),
        }
    }

    /// Size of the arena in bytes.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.memory.len()
    }

    /// All of its memory, as others have it who can write it, too.
    #[cfg(any(test, feature = "testing"))]
    pub const fn memory_mut(&mut self) -> &mut [u8] {
        self.memory
    }

    /// The bytes below `mark`.
    ///
    /// # Panics
    /// `mark` belongs to another arena.
    pub(crate) fn below(&self, mark: Mark) -> &[u8] {
        &self.memory[..mark.used]
    }

    /// The values of `span`.
    ///
    /// # Panics
    /// `span` does not belong to this arena.
    #[must_use]
    pub fn get<T: Plain>(&self, span: Span<T>) -> &[T] {
        cast(&self.memory[span.range()])
    }

    /// The values of `span`, mutable.
    ///
    /// # Panics
    /// `span` does not belong to this arena.
    #[must_use]
    pub fn get_mut<T: Plain>(&mut self, span: Span<T>) -> &mut [T] {
        cast_mut(&mut self.memory[span.range()])
    }

    /// Splits the arena: the part below `mark` for reading, the part above for writing.
    ///
    /// # Panics
    /// `mark` is above the current level.
    #[must_use]
    pub fn split(&mut self, mark: Mark) -> (Frozen<'_>, Working<'_>) {
        self.divide(mark).into_parts()
    }

    /// Like [`Self::split`], for a user that needs it again and again.
    ///
    /// # Panics
    /// `mark` is above the current level.
    pub(crate) fn divide(&mut self, mark: Mark) -> Divided<'_> {
        assert!(
            mark.used <= self.level.used,
            "splitting at a level that is not below"
        );
        Divided {
            memory: self.memory,
            mark: mark.used,
        }
    }
}

/// An arena split at a mark, for a forward pass.
#[derive(Debug)]
pub(crate) struct Divided<'a> {
    memory: &'a mut [u8],
    mark: usize,
}

impl<'a> Divided<'a> {
    fn into_parts(self) -> (Frozen<'a>, Working<'a>) {
        let (below, above) = self.memory.split_at_mut(self.mark);
        (
            Frozen { memory: below },
            Working {
                memory: above,
                base: self.mark,
            },
        )
    }

    /// Both parts.
    pub(crate) fn split(&mut self) -> (Frozen<'_>, Working<'_>) {
        Divided {
            memory: self.memory,
            mark: self.mark,
        }
        .into_parts()
    }

    /// The part above the mark.
    pub(crate) fn working(&mut self) -> Working<'_> {
        self.split().1
    }

    /// All its bytes, and the mark below which they are only read.
    pub(crate) fn parts(&mut self) -> (&mut [u8], usize) {
        (self.memory, self.mark)
    }
}

/// The lower part of an arena, shared.
#[derive(Clone, Copy, Debug)]
pub struct Frozen<'a> {
    memory: &'a [u8],
}

impl<'a> Frozen<'a> {
    /// The values of `span`.
    ///
    /// # Panics
    /// `span` is not below the mark.
    #[must_use]
    pub fn get<T: Plain>(&self, span: Span<T>) -> &'a [T] {
        cast(&self.memory[span.range()])
    }
}

/// The upper part of an arena, exclusive.
#[derive(Debug)]
pub struct Working<'a> {
    memory: &'a mut [u8],
    base: usize,
}

impl<'a> Working<'a> {
    /// Like [`Self::disjoint`], with the lifetime of the arena's borrow.
    ///
    /// # Panics
    /// A span is not above the mark, or two overlap.
    #[must_use]
    pub fn into_disjoint<const N: usize>(self, spans: [Range<usize>; N]) -> [&'a mut [u8]; N] {
        let base = self.base;
        self.memory
            .get_disjoint_mut(spans.map(|span| span.start - base..span.end - base))
            .expect("spans of one arena, above the mark, that do not overlap")
    }

    /// The values of `span`, mutable.
    ///
    /// # Panics
    /// `span` is not above the mark.
    #[must_use]
    pub fn get_mut<T: Plain>(&mut self, span: Span<T>) -> &mut [T] {
        let range = span.range();
        cast_mut(&mut self.memory[range.start - self.base..range.end - self.base])
    }

    /// The bytes of several spans at once; [`as_mut`] restores their type.
    ///
    /// # Panics
    /// A span is not above the mark, or two overlap.
    #[must_use]
    pub fn disjoint<const N: usize>(&mut self, spans: [Range<usize>; N]) -> [&mut [u8]; N] {
        Working {
            memory: self.memory,
            base: self.base,
        }
        .into_disjoint(spans)
    }
}

/// The values in the bytes of a span of `T`.
///
/// # Panics
/// The bytes are not those of a span of `T`.
#[must_use]
pub fn as_mut<T: Plain>(bytes: &mut [u8]) -> &mut [T] {
    cast_mut(bytes)
}

fn cast<T: Plain>(bytes: &[u8]) -> &[T] {
    <[T]>::ref_from_bytes(bytes).expect("a span has the size and the alignment of its type")
}

fn cast_mut<T: Plain>(bytes: &mut [u8]) -> &mut [T] {
    <[T]>::mut_from_bytes(bytes).expect("a span has the size and the alignment of its type")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Memory;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn spans_are_aligned_zeroed_and_disjoint() {
        let mut memory = Memory::new(4096);
        memory.bytes().fill(0xAA);
        let mut arena = Arena::new(memory.bytes()).unwrap();
        let a = arena.alloc::<f32>(3, Purpose::Weights).unwrap();
        let b = arena.alloc::<u8>(65, Purpose::KvCache).unwrap();
        assert_eq!(arena.get(a), [0.0; 3]);
        arena.get_mut(b).fill(1);
        assert_eq!(arena.get(a), [0.0; 3]);
        for start in [a.range().start, b.range().start] {
            assert_eq!(start % ALIGNMENT, 0);
        }
        let usage = arena.usage();
        assert_eq!(
            (usage.of(Purpose::Weights), usage.of(Purpose::KvCache)),
            (64, 128)
        );
        assert_eq!(
            (usage.current, usage.peak, usage.capacity),
            (192, 192, 4096)
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_and_changes_nothing() {
        let mut memory = Memory::new(128);
        let mut arena = Arena::new(memory.bytes()).unwrap();
        arena.alloc::<u8>(1, Purpose::Other).unwrap();
        let before = arena.usage();
        assert_eq!(
            arena.alloc::<u8>(65, Purpose::Weights).unwrap_err(),
            ArenaError::Exhausted {
                purpose: Purpose::Weights,
                needed: 128,
                left: 64
            }
        );
        assert!(
            arena
                .alloc::<u64>(usize::MAX / 2, Purpose::Weights)
                .is_err()
        );
        assert_eq!(arena.usage(), before);
        arena.alloc::<u8>(64, Purpose::Weights).unwrap();
    }

    #[test]
    fn rolling_back_gives_the_room_again_and_keeps_the_peak() {
        let mut memory = Memory::new(1024);
        let mut arena = Arena::new(memory.bytes()).unwrap();
        arena.alloc::<u8>(64, Purpose::Weights).unwrap();
        let mark = arena.mark();
        let first = arena.alloc::<u32>(16, Purpose::Activations).unwrap();
        arena.get_mut(first).fill(7);
        arena.rollback(mark);
        let usage = arena.usage();
        assert_eq!(
            (usage.current, usage.peak, usage.of(Purpose::Activations)),
            (64, 128, 0)
        );
        let again = arena.alloc::<u32>(16, Purpose::Activations).unwrap();
        assert_eq!(arena.get(again), [0; 16], "zeroed again");
    }

    #[test]
    fn the_two_halves_of_a_split_are_used_at_once() {
        let mut memory = Memory::new(1024);
        let mut arena = Arena::new(memory.bytes()).unwrap();
        let weights = arena.alloc::<f32>(4, Purpose::Weights).unwrap();
        arena.get_mut(weights).fill(2.0);
        let mark = arena.mark();
        let x = arena.alloc::<f32>(4, Purpose::Activations).unwrap();
        let y = arena.alloc::<u16>(4, Purpose::Activations).unwrap();
        let (frozen, mut working) = arena.split(mark);
        let [xs, ys] = working.disjoint([x.range(), y.range()]);
        as_mut::<f32>(xs).copy_from_slice(frozen.get(weights));
        as_mut::<u16>(ys).fill(9);
        assert_eq!(arena.get(x), [2.0; 4]);
        assert_eq!(arena.get(y), [9; 4]);
    }

    #[test]
    fn what_lies_above_a_removed_part_moves_down_with_its_values() {
        let mut memory = Memory::new(1024);
        let mut arena = Arena::new(memory.bytes()).unwrap();
        let below = arena.alloc::<u8>(64, Purpose::Weights).unwrap();
        let gone = arena.alloc::<u8>(100, Purpose::Adapters).unwrap();
        let above = arena.alloc::<u32>(5, Purpose::Adapters).unwrap();
        arena.get_mut(below).fill(1);
        arena.get_mut(gone).fill(2);
        arena.get_mut(above).copy_from_slice(&[3, 4, 5, 6, 7]);
        let start = gone.range().start;
        arena.remove(start..start + 128, Purpose::Adapters);
        let above = above.moved_down(128);
        assert_eq!(arena.get(below), [1; 64]);
        assert_eq!(arena.get(above), [3, 4, 5, 6, 7]);
        let usage = arena.usage();
        assert_eq!((usage.current, usage.of(Purpose::Adapters)), (128, 64));
    }

    #[test]
    fn misaligned_memory_is_refused() {
        let mut memory = Memory::new(128);
        assert_eq!(
            Arena::new(&mut memory.bytes()[1..]).unwrap_err(),
            ArenaError::Misaligned
        );
    }

    proptest! {
        #[test]
        fn any_sequence_of_allocations_stays_inside_and_apart(
            sizes in prop::collection::vec(0usize..2000, 0..40)
        ) {
            let mut memory = Memory::new(1 << 14);
            let mut arena = Arena::new(memory.bytes()).unwrap();
            let mut spans = Vec::new();
            for size in sizes {
                if let Ok(span) = arena.alloc::<u8>(size, Purpose::Other) {
                    spans.push(span.range());
                }
            }
            for (i, a) in spans.iter().enumerate() {
                prop_assert!(a.end <= 1 << 14 && a.start % ALIGNMENT == 0);
                for b in &spans[..i] {
                    prop_assert!(b.end <= a.start || a.is_empty() || b.is_empty());
                }
            }
        }
    }
}
