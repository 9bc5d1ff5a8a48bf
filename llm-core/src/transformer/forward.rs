//! Runs batches of tokens through a model, in steps of bounded work.

use super::pass::Pass;
use super::steps::{Cursor, Meter, Stop};
use super::{Batch, MAX_BATCH, Model};
use crate::arena::Arena;
use crate::quantize::NonFinite;
use crate::team::{Alone, Team};

/// A token to be processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Its session.
    pub session: u16,
    /// Its position in the session. Earlier positions are in the cache, or before it in the batch.
    pub position: u32,
    /// Whether the logits after it are needed.
    pub logits: bool,
    /// The adapter to apply, below `MAX_ADAPTERS`.
    pub adapter: Option<u8>,
}

impl Model {
    /// Starts running `tokens` through the model.
    ///
    /// # Panics
    /// There are no tokens or more than [`Self::batch`]; one is not in the vocabulary; its session has no room for its
    /// position, or shares that block with another; there is no such adapter; or more tokens need logits than there are
    /// sessions. The caller has checked all of this.
    pub fn begin(&self, arena: &mut Arena<'_>, tokens: &[Token]) -> Batch {
        assert!(!tokens.is_empty() && tokens.len() <= self.batch());
        assert!(tokens.iter().filter(|token| token.logits).count() <= self.sessions());
        for token in tokens {
            assert!((token.id as usize) < self.config.vocabulary);
            let (session, position) = (usize::from(token.session), token.position as usize);
            assert!(position < self.cache.reserved(arena, session).min(self.context()));
            assert!(self.cache.may_write(arena, session, position));
            assert!(token.adapter.is_none_or(|n| self.adapters.get(n).is_some()));
        }
        let batch = Batch::of(tokens);
        let mut alone = Alone;
        let mut pass = self.pass(arena, &mut alone, &batch, u64::MAX);
        pass.embed();
        pass.compute_rotations();
        batch
    }

    /// Closes the gaps that removed tokens leave in data passed between stages.
    fn close_gaps(&self, arena: &mut Arena<'_>, batch: &mut Batch) {
        let (_, mut working) = arena.split(self.fixed);
        let pairs = self
            .config
            .rope
            .map_or(0, |rope| rope.tables() * rope.size / 2);
        let width = self.config.width;
        let mut kept = 0;
        for t in 0..batch.tokens.len() {
            if batch.removed >> t & 1 == 1 {
                continue;
            }
            batch.tokens[kept] = batch.tokens[t];
            let residual = working.get_mut(self.buffers.residual);
            residual.copy_within(t * width..(t + 1) * width, kept * width);
            let ahead = working.get_mut(self.buffers.ahead);
            if !ahead.is_empty() {
                ahead.copy_within(t * width..(t + 1) * width, kept * width);
            }
            let rotation = working.get_mut(self.buffers.rotation);
            rotation.copy_within(t * pairs..(t + 1) * pairs, kept * pairs);
            kept += 1;
        }
        batch.tokens.truncate(kept);
        batch.removed = 0;
    }

    /// Advances a batch by this many multiply-accumulates, but at least by one part of an operation. The team computes
    /// them together, so with more workers the same work takes less time. A batch goes
    /// through stages: for each block its attention, which stores the keys and values of its tokens, and its
    /// feed-forward layer; then the logits that are needed. Returns true after the last stage.
    ///
    /// The total work of all steps is a function of (model, positions). What is stored and computed for a token depends
    /// neither on how tokens were divided into batches and steps nor on other sessions.
    ///
    /// # Errors
    /// A value was not finite. The sessions in the batch are lost, the model is not.
    pub fn advance(
        &self,
        arena: &mut Arena<'_>,
        team: &mut impl Team,
        batch: &mut Batch,
        work: u64,
    ) -> Result<bool, NonFinite> {
        let mut work = work.max(1);
        loop {
            if batch.cursor.is_at_start() && batch.removed != 0 {
                self.close_gaps(arena, batch);
            }
            if batch.is_empty() {
                return Ok(true);
            }
            let mut pass = self.pass(arena, team, batch, work);
            let result = self.run_stage(&mut pass, batch.stage);
            let meter = pass.meter;
            match result {
                Ok(true) => return Ok(true),
                Ok(false) => {
                    batch.stage += 1;
                    batch.cursor = Cursor::default();
                }
                Err(Stop::Pause) => batch.cursor = meter.cursor,
                Err(Stop::NonFinite) => return Err(NonFinite),
            }
            work = meter.work;
            if work == 0 {
                return Ok(false);
            }
        }
    }

    /// Runs a batch to its end; [`Self::advance`] does so in steps.
    ///
    /// # Errors
    /// Like [`Self::advance`].
    pub fn finish(
        &self,
        arena: &mut Arena<'_>,
        team: &mut impl Team,
        batch: &mut Batch,
    ) -> Result<(), NonFinite> {
        while !self.advance(arena, team, batch, u64::MAX)? {}
        Ok(())
    }

    /// Like [`Self::finish`]; `observer` gets the number in the file of each matrix and the vectors it is multiplied
    /// by, token by token. The rows of a fused tensor are one matrix.
    ///
    /// # Errors
    /// Like [`Self::advance`].
    ///
    /// # Panics
    /// The batch has begun.
    #[cfg(feature = "observe")]
    pub fn finish_observed(
        &self,
        arena: &mut Arena<'_>,
        team: &mut impl Team,
        batch: &mut Batch,
        observer: &mut Observer<'_>,
    ) -> Result<(), NonFinite> {
        // Anything split or removed earlier has not been observed.
        assert!(batch.cursor.is_at_start() && batch.removed == 0);
        while !batch.is_empty() {
            let mut observe = |tensor: usize, x: &[f32]| observer(tensor, x);
            let mut pass = self.pass(arena, team, batch, u64::MAX);
            pass.observer = Some(&mut observe);
            match self.run_stage(&mut pass, batch.stage) {
                Ok(true) => break,
                Ok(false) => batch.stage += 1,
                Err(_) => return Err(NonFinite),
            }
        }
        Ok(())
    }

    /// Runs a stage; true if it was the last.
    fn run_stage(&self, pass: &mut Pass<'_, impl Team>, stage: usize) -> Result<bool, Stop> {
        let Some(layer) = self.weights.layers.get(stage / 2) else {
            return pass.logits().map(|()| true);
        };
        match stage.is_multiple_of(2) {
            true => pass.attention(stage / 2, layer)?,
            false => pass.feed_forward(stage / 2, layer)?,
        }
        Ok(false)
    }

    /// Runs `ids`, which follow `start` earlier tokens, through the whole model for session 0, optionally with logits
    /// for the last: [`Self::begin`], then [`Self::finish`].
    ///
    /// # Errors
    /// Like [`Self::advance`].
    ///
    /// # Panics
    /// Like [`Self::begin`].
    pub fn forward(
        &self,
        arena: &mut Arena<'_>,
        team: &mut impl Team,
        ids: &[u32],
        start: usize,
        want_logits: bool,
    ) -> Result<(), NonFinite> {
        let tokens: heapless::Vec<Token, MAX_BATCH> = ids
            .iter()
            .enumerate()
            .map(|(n, &id)| Token {
                id,
                session: 0,
                position: (start + n) as u32,
                logits: want_logits && n + 1 == ids.len(),
                adapter: None,
            })
            .collect();
        let mut batch = self.begin(arena, &tokens);
        self.finish(arena, team, &mut batch)
    }

    pub(super) fn pass<'p, T: Team>(
        &'p self,
        arena: &'p mut Arena<'_>,
        team: &'p mut T,
        batch: &'p Batch,
        work: u64,
    ) -> Pass<'p, T> {
        Pass {
            model: self,
            arena: arena.divide(self.fixed),
            team,
            tokens: &batch.tokens,
            adapters: batch.tokens.iter().map(|token| token.adapter).collect(),
            removed: batch.removed,
            meter: Meter {
                cursor: batch.cursor,
                seen: 0,
                work,
            },
            #[cfg(feature = "observe")]
            observer: None,
        }
    }
}

/// Receives the number of a matrix's tensor in the file, and the vectors that the matrix is multiplied by: as many
/// values per token as it has columns.
#[cfg(feature = "observe")]
pub type Observer<'o> = dyn FnMut(usize, &[f32]) + 'o;
