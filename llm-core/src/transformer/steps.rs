//! Runs a batch through the model in steps of bounded work.
//!
//! The functions of the forward pass ([`super::pass`]), and of anything else that is [`Stepwise`], read as if they ran
//! to their end. They consist of operations, each of which first checks here. An operation done in an earlier step is
//! skipped. When a step has done its work, the next operation leaves the function with [`Stop::Pause`]. The next step
//! calls the same function again; it asks for the same operations in the same order, so it gets back to where the last
//! step stopped. So there is one description of the forward pass, and a matrix of any size can be split between two
//! rows.
//!
//! Between two steps only the residual stream, the buffers of the stage and the cursor matter, and nothing else writes
//! them. A session whose request ends in the middle of a stage leaves rows in these buffers. They are computed up to
//! the end of the stage, without its cache, which may have a new owner, and removed there.

use super::{MAX_BATCH, Token};
use crate::quantize::NonFinite;
use core::ops::Range;

/// Multiply-accumulates per step. A Cortex-A53 does about one per cycle, so a step takes it about 10 ms; an emulator
/// that runs a hundred million instructions per second, about 50 ms. A cancel, another session's request or audit's
/// alarm waits at most this long. Shorter steps would cost time, because the rings are polled after each one.
///
/// A step ends with the first part that reaches this. The smallest part of a matrix is sixteen rows for the whole
/// batch; of attention, one head of a token over all positions. With 64 tokens and rows of 8,192 elements, or with
/// heads of 128 and 32,768 positions, such a part is itself a whole step's work, so a step can take twice as long.
pub const STEP_WORK: u64 = 8 << 20;

/// The cost of one `exp`, in multiply-accumulates.
pub(super) const EXP_WORK: u64 = 16;

/// Why a stage was left before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The step's work is used up.
    Pause,
    /// A value was not finite.
    NonFinite,
}

impl From<NonFinite> for Stop {
    fn from(NonFinite: NonFinite) -> Self {
        Self::NonFinite
    }
}

/// Position of a batch within its stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Operations of the stage that are done.
    done: u16,
    /// Parts of the next operation that are done.
    parts: usize,
}

impl Cursor {
    /// Whether the stage has not begun.
    pub(super) fn is_at_start(&self) -> bool {
        *self == Self::default()
    }
}

/// Tokens going through the model, between two steps.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(super) tokens: heapless::Vec<Token, MAX_BATCH>,
    /// Tokens that were removed but still have rows in the buffers, one bit each.
    pub(super) removed: u64,
    /// Stages done: attention and feed-forward of each block, in turn.
    pub(super) stage: usize,
    pub(super) cursor: Cursor,
}

const _: () = assert!(MAX_BATCH <= u64::BITS as usize);

impl Batch {
    /// A batch that has not started.
    pub(super) fn of(tokens: &[Token]) -> Self {
        Self {
            // At most `MAX_BATCH`, as checked by the caller.
            tokens: tokens.iter().copied().take(MAX_BATCH).collect(),
            removed: 0,
            stage: 0,
            cursor: Cursor::default(),
        }
    }

    /// The tokens in their given order, each with the index of its logits, if needed.
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

    /// Whether no tokens are left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.removed.count_ones() as usize == self.tokens.len()
    }

    /// Whether tokens were removed during the current stage. If so, a non-finite value may be theirs.
    #[must_use]
    pub const fn has_removed(&self) -> bool {
        self.removed != 0
    }

    /// Removes the tokens of a session, if there are any. The others continue.
    pub fn remove(&mut self, session: usize) {
        for (n, token) in self.tokens.iter().enumerate() {
            self.removed |= u64::from(usize::from(token.session) == session) << n;
        }
    }
}

/// Tracks the work of one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter {
    pub(super) cursor: Cursor,
    /// Operations of the stage reached in this step.
    pub(super) seen: u16,
    /// Multiply-accumulates left.
    pub(super) work: u64,
}

impl Meter {
    /// Whether the next operation still has to be done. If it has and no work is left, the step ends.
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

/// A computation that is done in steps.
pub(super) trait Stepwise: Sized {
    /// The work of this step.
    fn meter(&mut self) -> &mut Meter;

    /// An operation that is short compared with a step.
    fn once(&mut self, run: impl FnOnce(&mut Self) -> Result<(), NonFinite>) -> Result<(), Stop> {
        if self.meter().enter()? {
            run(self)?;
            self.meter().finish();
        }
        Ok(())
    }

    /// An operation of `parts` parts, each with this much work.
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

    /// Like [`Self::in_parts`], where parts differ in their work. `run` also gets that of its parts.
    fn in_unequal_parts(
        &mut self,
        parts: usize,
        work: impl Fn(usize) -> u64,
        mut run: impl FnMut(&mut Self, Range<usize>, u64) -> Result<(), NonFinite>,
    ) -> Result<(), Stop> {
        if !self.meter().enter()? {
            return Ok(());
        }
        while self.meter().cursor.parts < parts {
            let left = self.meter().work;
            if left == 0 {
                return Err(Stop::Pause);
            }
            let first = self.meter().cursor.parts;
            let (mut end, mut sum) = (first, 0);
            while end < parts && sum < left {
                sum += work(end);
                end += 1;
            }
            run(self, first..end, sum)?;
            self.meter().cursor.parts = end;
            self.meter().work = left.saturating_sub(sum);
        }
        self.meter().finish();
        Ok(())
    }
}
