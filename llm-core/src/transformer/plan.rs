//! What a model takes in an arena, byte for byte, before anything is loaded.

use super::config::Config;
use super::families::{Gate, Residual};
use super::{Checked, LoadError, MAX_BATCH, MAX_CONTEXT, MAX_SESSIONS, MIN_BATCH, key_bias};
use crate::arena::{Arena, ArenaError, Plain, Purpose, Span, bytes_of};
use crate::kv_cache::{BLOCK_POSITIONS, KvShape, KvType, SCALED};
use crate::quantize::{ActivationQ8, BLOCK};
use crate::sampling::Candidate;
use crate::simd::Cpu;
use crate::simd::attention::{GROUP, QueryScale};
use crate::tokenizer::{Cell, scratch_cells};

/// How many positions the pool of keys and values has, which all sessions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// So many; no fewer than one context, no more than one for each session.
    Exactly(usize),
    /// As many as the arena has room for once everything else is in it, within the same bounds.
    Fill,
}

/// What a caller chooses when it loads a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Context of a session in tokens; the model's own applies where it is smaller.
    pub context: usize,
    /// How keys and values are stored.
    pub kv: KvType,
    /// Sessions at once, from 1 to [`MAX_SESSIONS`].
    pub sessions: usize,
    /// Positions that all sessions share.
    pub positions: Positions,
    /// Longest prompt in bytes: the tokenizer's scratch is made for it.
    pub max_prompt_bytes: usize,
    /// Which kernels run; the bits are the same.
    pub cpu: Cpu,
}

/// Exact bytes that a model takes in the arena, by purpose, before anything is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Matrices and norms; a tied embedding once.
    pub weights: u64,
    /// Keys and values of `positions` positions; large biases of keys and the angles that turn them.
    pub kv_cache: u64,
    /// Buffers of the forward pass, logits, scratch.
    pub activations: u64,
    /// The vocabulary's table.
    pub vocabulary: u64,
    /// Context that was planned for.
    pub context: u64,
    /// Positions that all sessions share.
    pub positions: u64,
    /// Tokens that go through the model together.
    pub batch: u64,
    /// Bytes that the arena has.
    pub capacity: u64,
    /// Longest context that would fit, 0 if none does.
    pub largest_context: u64,
}

impl Plan {
    /// Bytes in all.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.weights + self.kv_cache + self.activations + self.vocabulary
    }

    const fn fits(&self) -> bool {
        self.total() <= self.capacity
    }
}

/// Working memory of the forward pass and of what surrounds it. What belongs to a token is there once
/// for each token of a batch, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffers {
    pub(super) residual: Span<f32>,
    /// A norm's result, and later what a block adds to the residual.
    pub(super) normed: Span<f32>,
    /// What a parallel feed-forward layer reads.
    pub(super) ahead: Span<f32>,
    /// Activations as a matrix wants them; as [`crate::quantize::ActivationQ8K`] they need less room.
    pub(super) quantised: Span<ActivationQ8>,
    pub(super) query: Span<f32>,
    pub(super) attended: Span<f32>,
    pub(super) key: Span<f32>,
    pub(super) value: Span<f32>,
    /// Of a group of heads.
    pub(super) scores: Span<f32>,
    /// Of one token, where keys are in 8 bits.
    pub(super) query_bytes: Span<i8>,
    pub(super) query_scales: Span<QueryScale>,
    /// Of a group of heads, where biases of keys are not in the cache.
    pub(super) turned: Span<[f32; 2]>,
    pub(super) rotation: Span<[f32; 2]>,
    pub(super) gate: Span<f32>,
    pub(super) up: Span<f32>,
    /// Of one token of each session.
    pub(super) logits: Span<f32>,
    pub(super) candidates: Span<Candidate>,
    /// The tokens of each session.
    pub(super) tokens: Span<u32>,
    pub(super) cells: Span<Cell>,
}

impl Buffers {
    /// Runs `take` over the sizes of all buffers: once to count them, once to allocate them.
    pub(super) fn lay_out(
        config: &Config,
        batch: usize,
        kv: &KvShape,
        max_prompt_bytes: usize,
        arena: &mut impl Allocate,
    ) -> Result<Self, ArenaError> {
        let padded = kv.context.next_multiple_of(BLOCK_POSITIONS);
        let pairs = config.rope.map_or(0, |rope| rope.tables() * rope.size / 2);
        let gated = config.block.gate != Gate::None;
        let gate = usize::from(gated) * config.feed_forward;
        let parallel = config.block.residual != Residual::Sequential;
        let ahead = usize::from(parallel) * config.width;
        Ok(Self {
            residual: arena.take(batch * config.width)?,
            normed: arena.take(batch * config.width)?,
            ahead: arena.take(batch * ahead)?,
            quantised: arena.take(batch * config.widest().div_ceil(BLOCK))?,
            query: arena.take(batch * config.query_width())?,
            attended: arena.take(batch * config.query_width())?,
            key: arena.take(batch * config.kv_width())?,
            value: arena.take(batch * config.kv_width())?,
            scores: arena.take(GROUP * padded)?,
            query_bytes: arena.take(config.heads * config.head_size.next_multiple_of(4))?,
            query_scales: arena.take(config.heads * config.head_size.div_ceil(SCALED))?,
            turned: arena.take(usize::from(kv.ty == KvType::Q8) * GROUP * pairs)?,
            rotation: arena.take(batch * pairs)?,
            gate: arena.take(batch * gate)?,
            up: arena.take(batch * config.feed_forward)?,
            logits: arena.take(kv.sessions * config.vocabulary)?,
            candidates: arena.take(config.vocabulary)?,
            tokens: arena.take(kv.sessions * kv.context)?,
            cells: arena.take(scratch_cells(max_prompt_bytes))?,
        })
    }
}

/// Something that hands out spans of working memory.
pub(super) trait Allocate {
    fn take<T: Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError>;
}

impl Allocate for Arena<'_> {
    fn take<T: Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError> {
        self.alloc(len, Purpose::Activations)
    }
}

/// Counts what an arena would hand out.
pub(super) struct Counter(pub(super) u64);

impl Allocate for Counter {
    fn take<T: Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError> {
        let needed = bytes_of::<T>(len).unwrap_or(usize::MAX);
        self.0 = self.0.saturating_add(needed as u64);
        Ok(Span::EMPTY)
    }
}

impl Checked<'_> {
    /// Bytes that the model takes, exactly, in an arena of `capacity` bytes. Batches are as large as
    /// fits beside one context, from [`MAX_BATCH`] tokens down to [`MIN_BATCH`]; then comes the pool.
    ///
    /// # Errors
    /// It does not fit: [`LoadError::TooLarge`] with the plan for the smallest batch and pool.
    pub fn plan(&self, options: &LoadOptions, capacity: usize) -> Result<Plan, LoadError> {
        let context = options.context.min(self.config.context_length);
        let context = context.min(MAX_CONTEXT);
        let positions = match options.positions {
            Positions::Exactly(positions) => positions,
            // The least that there may be.
            Positions::Fill => 0,
        };
        let mut batch = MAX_BATCH;
        let plan_for = |batch, context: usize, positions| {
            self.plan_for(batch, context, positions, options, capacity)
        };
        let mut plan = plan_for(batch, context, positions);
        while !plan.fits() && batch > MIN_BATCH {
            batch /= 2;
            plan = plan_for(batch, context, positions);
        }
        if plan.fits() && options.positions == Positions::Fill {
            let most = most_positions(context, options) / BLOCK_POSITIONS;
            let blocks = largest(context.div_ceil(BLOCK_POSITIONS), most, |blocks| {
                plan_for(batch, context, blocks * BLOCK_POSITIONS).fits()
            });
            return Ok(plan_for(batch, context, blocks * BLOCK_POSITIONS));
        }
        if plan.fits() {
            return Ok(plan);
        }
        let fits = |context| plan_for(batch, context, positions).fits();
        plan.largest_context = largest(0, context.saturating_sub(1), fits) as u64;
        Err(LoadError::TooLarge(plan))
    }

    fn plan_for(
        &self,
        batch: usize,
        context: usize,
        positions: usize,
        options: &LoadOptions,
        capacity: usize,
    ) -> Plan {
        let config = &self.config;
        let kv = kv_shape(config, context, positions, options);
        let batch = batch.min(kv.positions.max(1));
        let mut counter = Counter(0);
        // The counter never fails.
        let _ = Buffers::lay_out(config, batch, &kv, options.max_prompt_bytes, &mut counter);
        Plan {
            weights: self.weight_bytes,
            // A third of the range, so that totals cannot overflow.
            kv_cache: kv
                .bytes()
                .map_or(u64::MAX / 3, |bytes| bytes as u64)
                .saturating_add(key_bias::bytes(config, self.key_biases, &kv))
                .min(u64::MAX / 3),
            activations: counter.0.min(u64::MAX / 3),
            vocabulary: self.vocabulary.bytes().next_multiple_of(64) as u64,
            context: context as u64,
            positions: kv.positions as u64,
            batch: batch as u64,
            capacity: capacity as u64,
            largest_context: context as u64,
        }
    }
}

/// The largest number from `fits` to `most` that fits, by halving: what fits, fits smaller too.
fn largest(mut fits: usize, most: usize, does_fit: impl Fn(usize) -> bool) -> usize {
    let mut beyond = most + 1;
    while beyond - fits > 1 {
        let middle = fits + (beyond - fits) / 2;
        if does_fit(middle) {
            fits = middle;
        } else {
            beyond = middle;
        }
    }
    fits
}

/// Positions of sessions that all have their context; they need no more.
fn most_positions(context: usize, options: &LoadOptions) -> usize {
    let sessions = options.sessions.clamp(1, MAX_SESSIONS);
    sessions.saturating_mul(context.next_multiple_of(BLOCK_POSITIONS))
}

/// The cache of a model whose sessions have `context` positions and share `positions`.
pub(super) fn kv_shape(
    config: &Config,
    context: usize,
    positions: usize,
    options: &LoadOptions,
) -> KvShape {
    KvShape {
        ty: options.kv,
        layers: config.layers,
        kv_heads: config.kv_heads,
        head_size: config.head_size,
        context,
        sessions: options.sessions.clamp(1, MAX_SESSIONS),
        positions: positions.min(most_positions(context, options)).max(context),
    }
}
