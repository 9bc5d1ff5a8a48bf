//! The working memory of a model, except for its cache.

use super::config::Config;
use super::families::{Gate, Residual};
use super::template::Rendering;
use crate::arena::{ALIGNMENT, Arena, ArenaError, Plain, Purpose, Span, bytes_of};
use crate::kv_cache::{BLOCK_POSITIONS, KvShape, KvType, SCALED};
use crate::quantize::{ActivationQ8, BLOCK};
use crate::sampling::Candidate;
use crate::simd::attention::{GROUP, QueryScale};
use crate::tokenizer::{Cell, scratch_cells};

/// Working memory of the forward pass and of sampling. Per-token buffers are repeated for each token of a batch.
/// Nothing in it needs to survive a new layout of the arena.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buffers {
    pub(super) residual: Span<f32>,
    /// The result of a norm, and later what a block adds to the residual stream.
    pub(super) normed: Span<f32>,
    /// Input of a parallel feed-forward layer.
    pub(super) ahead: Span<f32>,
    /// Activations in the form that a matrix requires; [`crate::quantize::ActivationQ8K`] needs less room.
    pub(super) quantised: Span<ActivationQ8>,
    pub(super) query: Span<f32>,
    pub(super) attended: Span<f32>,
    pub(super) key: Span<f32>,
    pub(super) value: Span<f32>,
    /// For a group of heads; this and the next three are for each worker.
    pub(super) scores: Span<f32>,
    /// For one token, if keys are in 8 bits.
    pub(super) query_bytes: Span<i8>,
    pub(super) query_scales: Span<QueryScale>,
    /// For a group of heads, if key biases are left out of the cache.
    pub(super) turned: Span<[f32; 2]>,
    pub(super) rotation: Span<[f32; 2]>,
    pub(super) gate: Span<f32>,
    pub(super) up: Span<f32>,
    /// For one token of each session.
    pub(super) logits: Span<f32>,
    pub(super) candidates: Span<Candidate>,
}

impl Buffers {
    /// Calls `take` with the sizes of all buffers: once to count them, once to allocate them.
    pub(super) fn lay_out(
        config: &Config,
        batch: usize,
        kv: &KvShape,
        workers: usize,
        arena: &mut impl Allocate,
    ) -> Result<Self, ArenaError> {
        let padded = kv.context.next_multiple_of(BLOCK_POSITIONS);
        let pairs = config.rope.map_or(0, |rope| rope.tables() * rope.size / 2);
        let gated = config.block.gate != Gate::None;
        let gate = usize::from(gated) * config.feed_forward;
        let parallel = config.block.residual != Residual::Sequential;
        let ahead = usize::from(parallel) * config.width;
        let query = config.heads * config.head_size.next_multiple_of(4);
        let query_scales = config.heads * config.head_size.div_ceil(SCALED);
        let turned = usize::from(kv.ty == KvType::Q8) * GROUP * pairs;
        Ok(Self {
            residual: arena.take(batch * config.width)?,
            normed: arena.take(batch * config.width)?,
            ahead: arena.take(batch * ahead)?,
            quantised: arena.take(batch * config.widest().div_ceil(BLOCK))?,
            query: arena.take(batch * config.query_width())?,
            attended: arena.take(batch * config.query_width())?,
            key: arena.take(batch * config.kv_width())?,
            value: arena.take(batch * config.kv_width())?,
            scores: arena.take(workers * lines::<f32>(GROUP * padded))?,
            query_bytes: arena.take(workers * lines::<i8>(query))?,
            query_scales: arena.take(workers * lines::<QueryScale>(query_scales))?,
            turned: arena.take(workers * lines::<[f32; 2]>(turned))?,
            rotation: arena.take(batch * pairs)?,
            gate: arena.take(batch * gate)?,
            up: arena.take(batch * config.feed_forward)?,
            logits: arena.take(kv.sessions * config.vocabulary)?,
            candidates: arena.take(config.vocabulary)?,
        })
    }
}

/// As many values, rounded up to whole cache lines, so that the scratch of two workers has none in common.
const fn lines<T>(len: usize) -> usize {
    len.next_multiple_of(ALIGNMENT / size_of::<T>())
}

/// What must survive a new layout of the arena.
#[derive(Clone, Copy, Debug)]
pub(super) struct Persistent {
    /// The tokens of each session; keys and values are a function of them.
    pub(super) tokens: Span<u32>,
    /// Scratch of the tokenizer, shared with training.
    pub(super) cells: Span<Cell>,
    /// A conversation as rendered by its template; empty without a template.
    pub(super) text: Span<u8>,
}

impl Persistent {
    /// See [`Buffers::lay_out`].
    pub(super) fn lay_out(
        kv: &KvShape,
        max_prompt_bytes: usize,
        rendering: Rendering,
        arena: &mut impl Allocate,
    ) -> Result<Self, ArenaError> {
        let rendered = rendering.bytes(max_prompt_bytes);
        Ok(Self {
            tokens: arena.take(kv.sessions * kv.context)?,
            cells: arena.take(scratch_cells(max_prompt_bytes.max(rendered)))?,
            text: arena.take(rendered)?,
        })
    }
}

/// Allocates spans of working memory.
pub(super) trait Allocate {
    fn take<T: Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError>;
}

impl Allocate for Arena<'_> {
    fn take<T: Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError> {
        self.alloc(len, Purpose::Activations)
    }
}

/// Counts the bytes that an arena would allocate.
#[derive(Debug, Default)]
pub(super) struct Counter(pub(super) u64);

impl Allocate for Counter {
    fn take<T: Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError> {
        let needed = bytes_of::<T>(len).unwrap_or(usize::MAX);
        self.0 = self.0.saturating_add(needed as u64);
        Ok(Span::EMPTY)
    }
}
