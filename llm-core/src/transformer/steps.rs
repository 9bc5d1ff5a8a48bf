//! A batch goes through the model in steps of bounded work.
//!
//! The functions of [`Pass`], and of whatever else is [`Stepwise`], read as if they ran to their end. What they do is made of operations, and each asks here
//! first. An operation that was done in an earlier step is passed over. When a step has done its work, the next operation
//! leaves the function with [`Stop::Pause`]. The next step calls the same function again: it asks for the same operations in
//! the same order, so it gets back to where the last step stopped. So there is one description of
//! the forward pass, and a matrix of any size can be cut between two rows.
//!
//! Between two steps only the residual stream, the buffers of the stage and the cursor matter, and no one else writes
//! them. A session whose request ends in the middle of a stage leaves rows in these buffers. They are computed to the end
//! of the stage, without its cache, which may have a new owner, and taken out there.

use super::pass::Pass;
use super::{MAX_BATCH, Token};
use crate::quantize::NonFinite;
use core::ops::Range;

/// Multiply-accumulates of a step. A Cortex-A53 does about one a cycle, so this takes it about 10 ms; an emulator that
/// runs a hundred million instructions a second, about 50 ms. A cancel, another session's request or audit's
/// alarm waits at most this long. Shorter steps would cost time, because the rings are polled after each one.
///
/// A step ends at the first part that reaches it. The smallest part of a matrix is sixteen rows for the whole batch, that
/// of attention one head of a token over all positions. With 64 tokens and rows of 8,192 elements, or with heads of 128 and
/// 32,768 positions, such a part is itself a whole step's work, so a step can take twice as long.
pub const STEP_WORK: u64 = 8 << 20;

/// The cost of one `exp`, in multiply-accumulates.
pub(super) const EXP_WORK: u64 = 16;

/// Why a stage is left before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The step has done its work.
    Pause,
    /// A value was not finite.
    NonFinite,
}

impl From<NonFinite> for Stop {
    fn from(NonFinite: NonFinite) -> Self {
        Self::NonFinite
    }
}

/// Where a batch stands in its stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Operations of the stage that are done.
    done: u16,
    /// Parts of the next one that are done.
    parts: usize,
}

impl Cursor {
    /// Whether the stage has not begun.
    pub(super) fn is_at_start(&self) -> bool {
        *self == Self::default()
    }
}

/// Tokens on their way through the model, between two steps.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) tokens: heapless::Vec<Token, MAX_BATCH>,
    /// Tokens that have been removed and still have rows in the buffers, one bit each.
    pub(super) removed: u64,
    /// Stages that they have been through: attention and feed-forward of each block, in turn.
    pub(super) stage: usize,
    pub(super) cursor: Cursor,
}

const _: () = assert!(MAX_BATCH <= u64::BITS as usize);

impl Batch {
    /// A batch that has not begun.
    pub(super) fn of(tokens: &[Token]) -> Self {
        Self {
            // No more than `MAX_BATCH`, as the caller has seen.
            tokens: tokens.iter().copied().take(MAX_BATCH).collect(),
            removed: 0,
            stage: 0,
            cursor: Cursor::default(),
        }
    }

    /// The tokens, in the order in which they were given, each with the number of its logits, if they are wanted.
    pub fn tokens(&self) -> impl Iterator<Item = (Token, Option<usize>)> {
        let mut logits = 0;
        let numbered = self.tokens.iter().enumerate().map(move |(n, token)| {
            let number = token.logits.then_some(logits);
            logits += usize::from(token.logits);
            (n, *token, number)
        });
        let still_there = numbered.filter(|(n, ..)| self.removed >> n & 1 == 0);
        still_there.map(|(_, token, number)| (token, number))
    }

    /// Whether no token is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.count_ones() as usize == self.tokens.len()
    }

    /// Whether tokens have been taken out of the stage that is under way. If a value is not finite, it may be theirs.
    #[must_use]
    pub const fn has_removed(&self) -> bool {
        self.removed != 0
    }

    /// Takes the tokens of a session out, if there are any. The others go on.
    pub fn remove(&mut self, session: usize) {
        for (n, token) in self.tokens.iter().enumerate() {
            self.removed |= u64::from(usize::from(token.session) == session) << n;
        }
    }
}

/// The work of one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    pub(super) cursor: Cursor,
    /// Operations that the stage has come to in this step.
    pub(super) seen: u16,
    /// Multiply-accumulates that are left.
    pub(super) work: u64,
}

impl Meter {
    /// Whether the next operation is still to be done. If so, and no work is left, the step ends.
    fn enter(&mut self) -> Result<bool, Stop> {
        let is_done = self.seen < self.cursor.done;
        self.seen += 1;
        match self.work {
            _ if is_done => Ok(false),
            0 => Err(Stop::Pause),
            _ => Ok(true),
        }
    }

    fn finish(&mut self) {
        self.cursor.done += 1;
        self.cursor.parts = 0;
    }
}

/// Something that is done in steps.
pub(super) trait Stepwise: Sized {
    /// The work of this step.
    fn meter(&mut self) -> &mut Meter;

    /// An operation that is short beside a step.
    fn once(&mut self, run: impl FnOnce(&mut Self) -> Result<(), NonFinite>) -> Result<(), Stop> {
        if self.meter().enter()? {
            run(self)?;
            self.meter().finish();
        }
        Ok(())
    }

    /// An operation of so many parts, which each take so much work.
    fn in_parts(
        &mut self,
        parts: usize,
        work: u64,
        mut run: impl FnMut(&mut Self, Range<usize>) -> Result<(), NonFinite>,
    ) -> Result<(), Stop> {
        if !self.meter().enter()? {
            return Ok(());
        }
        while self.meter().cursor.parts < parts {
            if self.meter().work == 0 {
                return Err(Stop::Pause);
            }
            let first = self.meter().cursor.parts;
            let fit = usize::try_from(self.meter().work.div_ceil(work.max(1)));
            let count = fit.unwrap_or(usize::MAX).min(parts - first);
            run(self, first..first + count)?;
            self.meter().cursor.parts += count;
            self.meter().work = self.meter().work.saturating_sub(work * count as u64);
        }
        self.meter().finish();
        Ok(())
    }
}

impl Stepwise for Pass<'_> {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}
