//! The arena while a job runs: the one place where several workers share memory that some of them write.
//!
//! The rule: **every worker of a job lends the same spans, and of a span that is written it gets only its share.**
//! Three checks and one contract make that safe, whatever spans a job names:
//!
//! 1. A span lies inside the arena, and one that is written above the mark below which everything is read-only.
//! 2. A span that is written overlaps no other span of the job ([`Access::lend`], which compares whole spans, not
//!    shares). A job names its spans before it looks at its share, so all workers compare the same ones.
//! 3. Shares of the same units are disjoint for different numbers below `workers` ([`share`]).
//! 4. No two workers of a job have the same number, and while it runs nothing else touches the arena
//!    ([`Access::new`]). A team of one has this by its exclusive borrow of the arena.
//!
//! So a worker's writes lie in its own shares (3), which no other worker reads or writes (2, 4), and what it reads is
//! written by nobody (1, 2).

#![allow(unsafe_code)]

use crate::arena::{ALIGNMENT, Divided, Plain, Span};
use crate::outputs::Outputs;
use core::marker::PhantomData;
use core::ops::Range;
use core::ptr::NonNull;

/// Maximum number of spans of a job that are not read-only for the whole forward pass.
const MAX_LENT: usize = 16;

/// An arena, borrowed for a job.
#[derive(Debug)]
pub(crate) struct Memory<'a> {
    base: NonNull<u8>,
    len: usize,
    fixed: usize,
    of: PhantomData<&'a mut [u8]>,
}

impl<'a> Memory<'a> {
    /// An arena, of which what lies below its mark is only read.
    pub(crate) fn of(arena: &'a mut Divided<'_>) -> Self {
        let (memory, fixed) = arena.parts();
        Self {
            len: memory.len(),
            base: NonNull::from(memory).cast(),
            fixed,
            of: PhantomData,
        }
    }

    /// Where it begins, and its length.
    pub(super) const fn bounds(&self) -> (NonNull<u8>, usize) {
        (self.base, self.len)
    }

    /// The first byte that may be written.
    pub(super) const fn fixed(&self) -> usize {
        self.fixed
    }

    /// The access of a team of one.
    #[inline]
    pub(super) fn alone(self) -> Access<'a> {
        // SAFETY: the arena is borrowed exclusively for 'a, this value is used up, and there is one worker.
        unsafe { Access::new(self.base, self.len, self.fixed, 0, 1) }
    }
}

/// The part of `units` that belongs to `worker`: contiguous, in ascending order of the workers, and all parts together
/// are `units`. They differ by at most one unit.
pub(super) fn share(units: Range<usize>, worker: usize, workers: usize) -> Range<usize> {
    let at = |worker: usize| units.start + units.len() * worker / workers;
    at(worker)..at(worker + 1)
}

/// A span that was lent.
#[derive(Debug)]
struct Lent {
    start: usize,
    end: usize,
    written: bool,
}

/// What one worker of a job may touch.
#[derive(Debug)]
pub(super) struct Access<'a> {
    base: NonNull<u8>,
    len: usize,
    fixed: usize,
    worker: usize,
    workers: usize,
    lent: heapless::Vec<Lent, MAX_LENT>,
    of: PhantomData<&'a mut [u8]>,
}

impl<'a> Access<'a> {
    /// The access of `worker` of `workers`.
    ///
    /// # Safety
    /// The `len` bytes from `base` are one allocation, aligned like an arena, valid for reading and from `fixed` on for
    /// writing. During `'a` they are touched only through values that this function made for the same job, each with
    /// another `worker` below the same `workers`.
    pub(super) const unsafe fn new(
        base: NonNull<u8>,
        len: usize,
        fixed: usize,
        worker: usize,
        workers: usize,
    ) -> Self {
        Self {
            base,
            len,
            fixed,
            worker,
            workers,
            lent: heapless::Vec::new(),
            of: PhantomData,
        }
    }

    /// This worker's share of `units`.
    #[inline]
    pub(super) fn share(&self, units: Range<usize>) -> Range<usize> {
        match self.workers {
            1 => units,
            workers => share(units, self.worker, workers),
        }
    }

    /// Checks that a span may be lent, and returns where it begins.
    ///
    /// # Panics
    /// It may not: the job is wrong.
    #[inline]
    fn lend<T: Plain>(&mut self, span: Span<T>, written: bool) -> NonNull<T> {
        let Range { start, end } = span.range();
        assert!(start <= end && end <= self.len, "a span of another arena");
        assert!(start.is_multiple_of(align_of::<T>()), "a misaligned span");
        const { assert!(align_of::<T>() <= ALIGNMENT) };
        // Nothing below the mark is written, so it needs no comparison.
        if start < end && (written || end > self.fixed) {
            assert!(!written || start >= self.fixed, "a span that is only read");
            for other in &self.lent {
                let apart = end <= other.start || other.end <= start;
                assert!(apart || !(written || other.written), "spans that overlap");
            }
            let lent = Lent {
                start,
                end,
                written,
            };
            assert!(self.lent.push(lent).is_ok(), "a job of too many spans");
        }
        // SAFETY: `start` is at most `len`, the length of the allocation that `base` points to.
        unsafe { self.base.add(start) }.cast()
    }

    /// The values of a span that no worker writes.
    #[inline]
    pub(super) fn read<T: Plain>(&mut self, span: Span<T>) -> &'a [T] {
        let first = self.lend(span, false);
        // SAFETY: `lend` checked bounds and alignment, and any bytes are a T. Nobody writes them (the module's rule).
        unsafe { core::slice::from_raw_parts(first.as_ptr(), span.len()) }
    }

    /// This worker's share of a span that consists of `units` pieces of `piece` values, the last maybe shorter, and
    /// which pieces these are.
    #[inline]
    pub(super) fn write<T: Plain>(
        &mut self,
        span: Span<T>,
        piece: usize,
        units: usize,
    ) -> (Range<usize>, &'a mut [T]) {
        let first = self.lend(span, true);
        let share = self.share(0..units);
        let start = span.len().min(share.start * piece);
        let end = span.len().min(share.end * piece);
        // SAFETY: `start` is at most the span's length, and `lend` checked that the span is inside the allocation.
        let first = unsafe { first.add(start) };
        // SAFETY: as in `read`; `end` is at most the span's length. The pieces of a share are this worker's alone, and a
        // span is lent for writing only once (`lend`).
        let own = unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), end - start) };
        (share, own)
    }

    /// This worker's scratch: one of `pieces` equal pieces of a span, which no other worker uses.
    ///
    /// # Panics
    /// There are fewer pieces than workers.
    #[inline]
    pub(super) fn own<T: Plain>(&mut self, span: Span<T>, pieces: usize) -> &'a mut [T] {
        assert!(self.workers <= pieces, "scratch for fewer workers");
        let first = self.lend(span, true);
        let len = span.len() / pieces;
        // SAFETY: `worker` is below `workers`, so the piece ends inside the span.
        let first = unsafe { first.add(self.worker * len) };
        // SAFETY: as in `read`. The piece is this worker's alone, and the span is lent for writing only once.
        unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), len) }
    }

    /// This worker's rows of a matrix's outputs, for all tokens, and which rows these are. `span` has `rows` outputs for
    /// each token. `units` counts pieces of `piece` rows; the matrix's begin with number `first`.
    #[inline]
    pub(super) fn rows(
        &mut self,
        span: Span<f32>,
        rows: usize,
        piece: usize,
        first: usize,
        units: &Range<usize>,
    ) -> (Range<usize>, Outputs<'a>) {
        let start = self.lend(span, true);
        let share = self.share(units.clone());
        let pieces = rows.div_ceil(piece);
        let from = share.start.clamp(first, first + pieces) - first;
        let to = share.end.clamp(first, first + pieces) - first;
        let own = rows.min(from * piece)..rows.min(to * piece);
        let tokens = span.len() / rows.max(1);
        // SAFETY: `own.start` is at most `rows`, and there is a token, or nothing is added.
        let start = unsafe { start.add(if tokens > 0 { own.start } else { 0 }) };
        // SAFETY: token t has the elements t · rows + own, which end inside the span. The pieces of a share are this
        // worker's alone, and the span is lent for writing only once.
        let outputs = unsafe { Outputs::from_raw(start, tokens, rows, own.len()) };
        (own, outputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{Arena, Purpose};
    use crate::testing::Memory as Bytes;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn shares_are_apart_in_order_and_all_together_everything() {
        for workers in 1..=9 {
            for (start, len) in [(0, 0), (3, 1), (0, 9), (5, 64), (1, 1000)] {
                let mut next = start;
                for worker in 0..workers {
                    let share = share(start..start + len, worker, workers);
                    assert_eq!(share.start, next);
                    assert!((len / workers..=len.div_ceil(workers)).contains(&share.len()));
                    next = share.end;
                }
                assert_eq!(next, start + len);
            }
        }
    }

    /// The accesses of all workers of one job.
    fn all(memory: &mut [u8], fixed: usize, workers: usize) -> Vec<Access<'_>> {
        let (base, len) = (NonNull::from(&mut *memory).cast(), memory.len());
        // SAFETY: `memory` is borrowed for as long as the values live, and each has its own number.
        let access = |worker| unsafe { Access::new(base, len, fixed, worker, workers) };
        (0..workers).map(access).collect()
    }

    proptest! {
        /// Under Miri this also shows that no two of them alias.
        #[test]
        fn workers_write_every_element_of_a_span_once(
            workers in 1usize..6, rows in 1usize..70, tokens in 1usize..4, piece in 1usize..17,
        ) {
            let mut bytes = Bytes::new(1 << 14);
            let mut arena = Arena::new(bytes.bytes()).unwrap();
            let flat = arena.alloc::<f32>(rows * tokens, Purpose::Other).unwrap();
            let matrix = arena.alloc::<f32>(rows * tokens, Purpose::Other).unwrap();
            let mut accesses = all(bytes.bytes(), 0, workers);
            let mut parts: Vec<_> = accesses
                .iter_mut()
                .map(|access| {
                    let units = (rows * tokens).div_ceil(piece);
                    let flat = access.write(flat, piece, units).1;
                    let units = 0..rows.div_ceil(piece);
                    (flat, access.rows(matrix, rows, piece, 0, &units))
                })
                .collect();
            for (flat, (own, outputs)) in &mut parts {
                flat.iter_mut().for_each(|x| *x += 1.0);
                prop_assert_eq!(own.len(), outputs.rows());
                for t in 0..outputs.tokens() {
                    outputs.token(t).iter_mut().for_each(|x| *x += 1.0);
                }
            }
            drop(parts);
            let mut access = all(bytes.bytes(), 0, 1).pop().unwrap();
            prop_assert!(access.read(flat).iter().all(|x| *x == 1.0));
            prop_assert!(access.read(matrix).iter().all(|x| *x == 1.0));
        }
    }

    /// Tries to lend spans of floats (offset, length, written) of 256 bytes of which the first 64 are only read.
    fn lends(spans: &[(usize, usize, bool)]) {
        let mut bytes = Bytes::new(256);
        let mut access = all(bytes.bytes(), 64, 2).remove(1);
        for (offset, len, written) in spans {
            let span = Span::<f32>::at(*offset, *len).unwrap();
            match written {
                true => assert!(access.write(span, 1, *len).1.len() <= *len),
                false => assert_eq!(access.read(span).len(), *len),
            }
        }
    }

    #[test]
    fn spans_that_are_read_may_overlap() {
        lends(&[(0, 20, false), (60, 10, false), (128, 4, true)]);
    }

    #[test]
    #[should_panic(expected = "spans that overlap")]
    fn what_is_written_may_not_be_read() {
        lends(&[(128, 4, true), (140, 4, false)]);
    }

    #[test]
    #[should_panic(expected = "spans that overlap")]
    fn what_is_read_may_not_be_written() {
        lends(&[(128, 4, false), (124, 4, true)]);
    }

    #[test]
    #[should_panic(expected = "a span that is only read")]
    fn weights_may_not_be_written() {
        lends(&[(60, 4, true)]);
    }

    #[test]
    #[should_panic(expected = "a span of another arena")]
    fn what_lies_outside_may_not_be_touched() {
        lends(&[(252, 2, false)]);
    }

    #[test]
    #[should_panic(expected = "a misaligned span")]
    fn a_misaligned_span_is_refused() {
        lends(&[(130, 2, false)]);
    }
}
