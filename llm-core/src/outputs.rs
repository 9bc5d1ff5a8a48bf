//! Where a matrix product goes.
//!
//! The outputs of several tokens lie one token after the other, so some rows of all tokens are no slice: between two of
//! them lie the rows that another worker writes at the same time. [`Outputs`] is the exclusive right to some rows of
//! each token, and to nothing between them.

#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::ptr::NonNull;

/// Some consecutive rows of each of several tokens, to be written.
#[derive(Debug)]
pub struct Outputs<'a> {
    /// Row 0 of token 0. All rows are valid floats that nothing else accesses during `'a`.
    first: NonNull<f32>,
    tokens: usize,
    /// Distance between the same row of two tokens; at least `rows`.
    stride: usize,
    rows: usize,
    of: PhantomData<&'a mut [f32]>,
}

// SAFETY: it is exclusive access to floats, like `&mut [f32]`.
unsafe impl Send for Outputs<'_> {}

impl<'a> Outputs<'a> {
    /// The first `rows` of every `stride` elements; the last token may lack the elements after its rows.
    ///
    /// # Panics
    /// There are more rows than elements of a token.
    #[must_use]
    pub fn new(out: &'a mut [f32], stride: usize, rows: usize) -> Self {
        assert!(rows <= stride, "{rows} rows of {stride} elements");
        let tokens = match out.len().checked_sub(rows) {
            Some(rest) if rows > 0 => 1 + rest / stride,
            _ => 0,
        };
        // SAFETY: the last row ends at (tokens − 1) · stride + rows ≤ rest + rows = out.len(), or there is no token; the
        // borrow of `out` is exclusive and lasts for 'a.
        unsafe { Self::from_raw(NonNull::from(out).cast(), tokens, stride, rows) }
    }

    /// The same rows of `tokens` tokens.
    ///
    /// # Safety
    /// Elements t · stride … t · stride + rows − 1 after `first`, for each t below `tokens`, are valid floats of one
    /// allocation, and nothing else accesses them during `'a`. `rows` is at most `stride`.
    pub(crate) const unsafe fn from_raw(
        first: NonNull<f32>,
        tokens: usize,
        stride: usize,
        rows: usize,
    ) -> Self {
        Self {
            first,
            tokens,
            stride,
            rows,
            of: PhantomData,
        }
    }

    /// The rows of a token.
    ///
    /// # Panics
    /// There is no such token.
    #[inline(always)]
    pub fn token(&mut self, t: usize) -> &mut [f32] {
        assert!(t < self.tokens, "no such token");
        // SAFETY: below `tokens`, so within the allocation that `first` points into.
        let first = unsafe { self.first.add(t * self.stride) };
        // SAFETY: the rows of a token are valid and this value's alone (see `first`); the borrow of `self` keeps them
        // from being handed out twice.
        unsafe { core::slice::from_raw_parts_mut(first.as_ptr(), self.rows) }
    }

    /// Number of tokens.
    #[must_use]
    pub const fn tokens(&self) -> usize {
        self.tokens
    }

    /// Number of rows of a token.
    #[must_use]
    pub const fn rows(&self) -> usize {
        self.rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn each_token_has_its_rows_and_what_lies_between_is_left_alone() {
        let mut memory = [0.0; 11];
        // The last token lacks what follows its rows.
        let mut outputs = Outputs::new(&mut memory[1..], 4, 2);
        assert_eq!((outputs.tokens(), outputs.rows()), (3, 2));
        for t in 0..3 {
            outputs.token(t).fill(1.0 + t as f32);
        }
        assert_eq!(
            memory,
            [0.0, 1.0, 1.0, 0.0, 0.0, 2.0, 2.0, 0.0, 0.0, 3.0, 3.0]
        );
    }

    #[test]
    fn without_room_for_a_token_there_is_none() {
        for (len, stride, rows) in [(0, 4, 2), (1, 4, 2), (8, 4, 0), (0, 0, 0)] {
            let mut memory = Vec::from_iter((0..len).map(|_| 0.0));
            assert_eq!(Outputs::new(&mut memory, stride, rows).tokens(), 0);
        }
    }

    #[test]
    #[should_panic(expected = "no such token")]
    fn a_token_that_is_not_there_is_refused() {
        let mut memory = [0.0; 8];
        Outputs::new(&mut memory, 4, 2).token(2);
    }
}
