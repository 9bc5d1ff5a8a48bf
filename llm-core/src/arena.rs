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
mod tests;
mod views;

pub(crate) use views::Divided;
pub use views::{Frozen, Working};
