//! A session as the scheduler sees it, and its request.

use crate::arena::Arena;
use crate::constrain::{Choosing, Constraint, FormatTable};
use crate::generate::output::Output;
use crate::generate::{FinishReason, GenerateError, Text};
use crate::kv_cache::Origin;
use crate::sampling::Sampler;
use crate::transformer::Model;

/// A turn in progress.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) sampler: Sampler,
    /// The format of its text, and how far the text is.
    pub(super) constraint: Option<Constraint>,
    pub(super) max_tokens: usize,
    /// Total number of tokens that may be generated.
    pub(super) credit: usize,
    /// Tokens of this turn's prompt.
    pub(super) prompt_tokens: usize,
    /// Tokens of the session before generation.
    pub(super) start: usize,
    pub(super) keep: bool,
    /// Whether it has room in the cache for its whole turn. Otherwise it is in the queue if it has credit, and rests if
    /// not.
    pub(super) admitted: bool,
    /// Set if it was at work beyond its client's part of the cache and lost its room: that part.
    pub(super) displaced: Option<usize>,
    pub(super) output: Output,
    pub(super) finished: Option<FinishReason>,
}

/// A conversation. Its tokens and its table of cached blocks are in the arena.
#[derive(Debug)]
pub(super) struct Session {
    /// Tokens of all turns, both prompts and generated; 0 if the session is empty.
    pub(super) tokens: usize,
    /// Tokens that have been through the model, whose keys and values are in the cache.
    pub(super) position: usize,
    /// The request; `None` if idle.
    pub(super) generation: Option<Generation>,
    /// Client of its last turn, below [`MAX_CLIENTS`].
    pub(super) client: usize,
    /// Its owner.
    pub(super) owner: u32,
    /// The adapter of all its tokens.
    pub(super) adapter: Option<u8>,
    /// When it became idle or began to rest, in [`Scheduler::changes`].
    pub(super) since: u64,
    /// When its request began, in the same unit.
    pub(super) began: u64,
}

impl Session {
    pub(super) const EMPTY: Self = Self {
        tokens: 0,
        position: 0,
        generation: None,
        client: 0,
        owner: 0,
        adapter: None,
        since: 0,
        began: 0,
    };

    /// Identifies the sessions with which it may share cache.
    pub(super) const fn origin(&self) -> Origin {
        Origin {
            owner: self.owner,
            adapter: self.adapter,
        }
    }

    pub(super) fn is_running(&self) -> bool {
        self.generation.as_ref().is_some_and(|g| g.admitted)
    }

    /// Whether its request has used up its credit.
    pub(super) fn rests(&self) -> bool {
        let generation = self.generation.as_ref();
        generation.is_some_and(|g| self.tokens - g.start >= g.credit)
    }

    /// Tokens that may go through the model now; 0 if the request waits or rests.
    pub(super) fn pending(&self) -> usize {
        match self.is_running() && !self.rests() {
            true => self.tokens - self.position,
            false => 0,
        }
    }

    /// Chooses the next token from the `output`-th logits.
    pub(super) fn sample(
        &mut self,
        index: usize,
        output: usize,
        model: &Model,
        arena: &mut Arena<'_>,
        formats: &FormatTable<'_>,
        text: &mut Text,
    ) -> Option<Result<u32, GenerateError>> {
        let generation = self.generation.as_mut()?;
        let workspace = model.choosing(arena, index, output);
        let history = &workspace.tokens[..self.tokens];
        let vocabulary = model.vocabulary();
        let view = vocabulary.view(workspace.frozen.get(vocabulary.table()));
        let sampler = &mut generation.sampler;
        let id = match &mut generation.constraint {
            None => sampler.sample_except(
                workspace.logits,
                history,
                view.suppressed(),
                workspace.candidates,
            ),
            Some(constraint) => {
                let most = generation
                    .max_tokens
                    .min(workspace.tokens.len() - generation.start);
                // After the one chosen now.
                let left = most.saturating_sub(self.tokens - generation.start + 1);
                let with = Choosing {
                    logits: workspace.logits,
                    history,
                    candidates: workspace.candidates,
                };
                match constraint.choose(sampler, formats, &view, left, with) {
                    Some(id) => id,
                    None => return Some(Err(GenerateError::FormatStuck)),
                }
            }
        };
        workspace.tokens[self.tokens] = id;
        self.tokens += 1;

        let stopped = generation.output.push(view.decode(id, false), text);
        let constraint = generation.constraint.as_ref();
        generation.finished = if stopped {
            Some(FinishReason::Stop)
        } else if view.is_eog(id)
            || constraint.is_some_and(|constraint| constraint.is_over(formats))
        {
            Some(FinishReason::EndOfText)
        } else if self.tokens - generation.start >= generation.max_tokens {
            Some(FinishReason::MaxTokens)
        } else if self.tokens >= workspace.tokens.len() {
            Some(FinishReason::ContextFull)
        } else {
            None
        };
        if generation.finished.is_some() && !stopped && generation.output.finish(text) {
            generation.finished = Some(FinishReason::Stop);
        }
        Some(Ok(id))
    }
}
