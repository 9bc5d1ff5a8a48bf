//! Views of an arena that is split at a mark: below it for reading, above it for writing.

use super::{Plain, Span, cast, cast_mut};
use core::ops::Range;

/// An arena split at a mark, for a forward pass.
#[derive(Debug)]
pub(crate) struct Divided<'a> {
    pub(super) memory: &'a mut [u8],
    pub(super) mark: usize,
}

impl<'a> Divided<'a> {
    pub(super) fn into_parts(self) -> (Frozen<'a>, Working<'a>) {
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
    pub(super) memory: &'a [u8],
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
    pub(super) memory: &'a mut [u8],
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

    /// The bytes of several spans at once; `as_mut` restores their type.
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
