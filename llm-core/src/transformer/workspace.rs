//! The parts of the arena that the tokenizer and the sampler use.

use super::Model;
use crate::arena::{Arena, Frozen, Span, as_mut};
use crate::tokenizer::{Cell, scratch_cells};

impl Model {
    /// The logits after the first token that needed them, in the last batch that [`Self::advance`] completed.
    #[must_use]
    pub fn logits<'a>(&self, arena: &'a Arena<'_>) -> &'a [f32] {
        arena.get(self.buffers.logits.part(0, self.config.vocabulary))
    }

    /// Like [`Self::logits`], after the `output`-th of these tokens.
    ///
    /// # Panics
    /// `output` is not below the number of sessions.
    #[must_use]
    pub fn logits_of<'a>(&self, arena: &'a Arena<'_>, output: usize) -> &'a [f32] {
        let vocabulary = self.config.vocabulary;
        arena.get(self.buffers.logits.part(output * vocabulary, vocabulary))
    }

    /// The frozen part of the arena, and what the tokenizer uses: the tokens of `session`, and scratch.
    ///
    /// # Panics
    /// There is no such session.
    pub(crate) fn tokenizing<'a>(
        &self,
        arena: &'a mut Arena<'_>,
        session: usize,
    ) -> Tokenizing<'a> {
        let (frozen, working) = arena.split(self.frozen);
        let [tokens, cells, text] = working.into_disjoint([
            self.tokens_of(session).range(),
            self.persistent.cells.range(),
            self.persistent.text.range(),
        ]);
        Tokenizing {
            frozen,
            tokens: as_mut(tokens),
            cells: as_mut(cells),
            text,
        }
    }

    /// Longest prompt in bytes.
    pub(crate) const fn max_prompt_bytes(&self) -> usize {
        self.options.max_prompt_bytes
    }

    /// Scratch of the tokenizer for a text as long as a prompt; training has the same.
    pub(super) fn prompt_cells(&self) -> Span<Cell> {
        let cells = scratch_cells(self.options.max_prompt_bytes);
        self.persistent.cells.part(0, cells)
    }

    /// The frozen part of the arena, and what sampling uses: the tokens of `session`, the `output`-th logits, and
    /// candidates.
    ///
    /// # Panics
    /// `output` is not below the number of sessions, or no requests are served.
    pub(crate) fn choosing<'a>(
        &self,
        arena: &'a mut Arena<'_>,
        session: usize,
        output: usize,
    ) -> Choosing<'a> {
        let (frozen, working) = arena.split(self.frozen);
        let buffers = &self.buffers;
        let vocabulary = self.config.vocabulary;
        let [tokens, logits, candidates] = working.into_disjoint([
            self.tokens_of(session).range(),
            buffers.logits.part(output * vocabulary, vocabulary).range(),
            buffers.candidates.range(),
        ]);
        Choosing {
            frozen,
            tokens: as_mut(tokens),
            logits: as_mut(logits),
            candidates: as_mut(candidates),
        }
    }

    /// The tokens of a session.
    pub(super) const fn tokens_of(&self, session: usize) -> Span<u32> {
        let context = self.context();
        self.persistent.tokens.part(session * context, context)
    }
}

/// The result of [`Model::tokenizing`].
pub(crate) struct Tokenizing<'a> {
    pub(crate) frozen: Frozen<'a>,
    pub(crate) tokens: &'a mut [u32],
    pub(crate) cells: &'a mut [Cell],
    pub(crate) text: &'a mut [u8],
}

/// The result of [`Model::choosing`].
pub(crate) struct Choosing<'a> {
    pub(crate) frozen: Frozen<'a>,
    pub(crate) tokens: &'a mut [u32],
    pub(crate) logits: &'a mut [f32],
    pub(crate) candidates: &'a mut [crate::sampling::Candidate],
}
