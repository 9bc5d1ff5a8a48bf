//! What a model needs in an arena, byte for byte, before anything is loaded.

use super::buffers::{Buffers, Counter, Persistent};
use super::config::Config;
use super::template::Rendering;
use super::{Checked, LoadError, MAX_BATCH, MAX_CONTEXT, MAX_SESSIONS, MIN_BATCH, key_bias};
use crate::kv_cache::{BLOCK_POSITIONS, KvShape, KvType};
use crate::simd::Cpu;
use crate::team::MAX_WORKERS;

/// Number of positions in the pool of keys and values, which all sessions share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Positions {
    /// This many; at least one context, at most one for each session.
    Exactly(usize),
    /// As many as fit the arena after everything else, within the same bounds.
    Fill,
}

/// Options for loading a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Context of a session in tokens; the model's own applies if it is smaller.
    pub context: usize,
    /// Storage type of keys and values.
    pub kv: KvType,
    /// Number of sessions, from 1 to [`MAX_SESSIONS`].
    pub sessions: usize,
    /// Positions that all sessions share.
    pub positions: Positions,
    /// Longest prompt in bytes, which determines the tokenizer's scratch.
    pub max_prompt_bytes: usize,
    /// Which kernels to use; the bits are the same.
    pub cpu: Cpu,
    /// Workers of the largest team, from 1 to [`MAX_WORKERS`]; each needs scratch. The bits are the same.
    pub workers: usize,
}

impl LoadOptions {
    /// Workers that there is scratch for.
    pub(super) fn scratch_pieces(&self) -> usize {
        self.workers.clamp(1, MAX_WORKERS)
    }
}

/// Exact bytes that a model needs in the arena, by purpose, before anything is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Matrices and norms; a tied embedding once.
    pub weights: u64,
    /// Keys and values of `positions` positions, and the state of their blocks; large key biases and their angles.
    pub kv_cache: u64,
    /// Buffers of the forward pass, logits, scratch.
    pub activations: u64,
    /// The vocabulary's table, and the scaffold of the chat template.
    pub vocabulary: u64,
    /// The matrices of all adapters.
    pub adapters: u64,
    /// Memory for training while it is running.
    pub training: u64,
    /// Planned context.
    pub context: u64,
    /// Positions that all sessions share.
    pub positions: u64,
    /// Tokens in a batch.
    pub batch: u64,
    /// Size of the arena in bytes.
    pub capacity: u64,
    /// Longest context that would fit; 0 if none does.
    pub largest_context: u64,
}

impl Plan {
    /// Total bytes.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.weights
            .saturating_add(self.kv_cache)
            .saturating_add(self.activations)
            .saturating_add(self.vocabulary)
            .saturating_add(self.adapters)
            .saturating_add(self.training)
    }

    const fn fits(&self) -> bool {
        self.total() <= self.capacity
    }
}

/// Inputs of a plan, besides the sizes of batch and pool.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand<'d> {
    pub(super) config: &'d Config,
    pub(super) options: &'d LoadOptions,
    pub(super) weights: u64,
    pub(super) vocabulary: u64,
    pub(super) rendering: Rendering,
    /// Whether keys have biases.
    pub(super) key_biases: bool,
    pub(super) adapters: u64,
    pub(super) training: u64,
    /// Whether requests are served. Without buffers and pool, there is room for more training.
    pub(super) serves: bool,
    pub(super) capacity: usize,
}

impl Demand<'_> {
    /// The batch is as large as fits beside one context, from [`MAX_BATCH`] tokens down to [`MIN_BATCH`]; then comes
    /// the pool.
    ///
    /// # Errors
    /// It does not fit; contains the plan for the smallest batch and pool.
    pub(super) fn plan(&self) -> Result<Plan, Plan> {
        let options = self.options;
        let context = options.context.min(self.config.context_length);
        let context = context.min(MAX_CONTEXT);
        let positions = match options.positions {
            Positions::Exactly(positions) => positions,
            // The minimum.
            Positions::Fill => 0,
        };
        let mut batch = MAX_BATCH;
        let mut plan = self.plan_for(batch, context, positions);
        while !plan.fits() && batch > MIN_BATCH {
            batch /= 2;
            plan = self.plan_for(batch, context, positions);
        }
        if plan.fits() && self.serves && options.positions == Positions::Fill {
            let most = most_positions(context, options) / BLOCK_POSITIONS;
            let blocks = largest(context.div_ceil(BLOCK_POSITIONS), most, |blocks| {
                let positions = blocks * BLOCK_POSITIONS;
                self.plan_for(batch, context, positions).fits()
            });
            return Ok(self.plan_for(batch, context, blocks * BLOCK_POSITIONS));
        }
        if plan.fits() {
            return Ok(plan);
        }
        let fits = |context| self.plan_for(batch, context, positions).fits();
        plan.largest_context = largest(0, context.saturating_sub(1), fits) as u64;
        Err(plan)
    }

    fn plan_for(&self, batch: usize, context: usize, positions: usize) -> Plan {
        let (config, options) = (self.config, self.options);
        let kv = kv_shape(config, context, positions, options);
        let (kv, batch) = match self.serves {
            true => (kv, batch.min(kv.positions.max(1))),
            false => (without_pool(kv), 0),
        };
        let mut counter = Counter::default();
        // The counter never fails.
        let _ = Persistent::lay_out(&kv, options.max_prompt_bytes, self.rendering, &mut counter);
        if self.serves {
            let workers = options.scratch_pieces();
            let _ = Buffers::lay_out(config, batch, &kv, workers, &mut counter);
        }
        Plan {
            weights: self.weights,
            kv_cache: kv
                .bytes()
                .map_or(u64::MAX, |bytes| bytes as u64)
                .saturating_add(key_bias::bytes(config, self.key_biases, &kv)),
            activations: counter.0,
            vocabulary: self.vocabulary,
            adapters: self.adapters,
            training: self.training,
            context: context as u64,
            positions: kv.positions as u64,
            batch: batch as u64,
            capacity: self.capacity as u64,
            largest_context: context as u64,
        }
    }
}

impl Checked<'_> {
    /// The exact bytes that the model needs in an arena of `capacity` bytes. The batch is as large as fits beside one
    /// context, from [`MAX_BATCH`] tokens down to [`MIN_BATCH`]; then comes the pool.
    ///
    /// # Errors
    /// It does not fit: [`LoadError::TooLarge`] with the plan for the smallest batch and pool.
    pub fn plan(&self, options: &LoadOptions, capacity: usize) -> Result<Plan, LoadError> {
        self.plan_with(options, capacity, 0)
    }

    /// Like [`Self::plan`], with adapters of this total size ([`super::AdapterInfo::bytes`]).
    ///
    /// # Errors
    /// See [`Self::plan`].
    pub fn plan_with(
        &self,
        options: &LoadOptions,
        capacity: usize,
        adapters: u64,
    ) -> Result<Plan, LoadError> {
        let demand = Demand {
            config: &self.config,
            options,
            weights: self.weight_bytes,
            vocabulary: (self.vocabulary.bytes().next_multiple_of(64)
                + self.packed_bytes().next_multiple_of(64)) as u64,
            rendering: self.rendering,
            key_biases: self.key_biases,
            adapters,
            training: 0,
            serves: true,
            capacity,
        };
        demand.plan().map_err(LoadError::TooLarge)
    }
}

/// The largest number from `fits` to `most` that fits, by bisection: if a number fits, so do smaller ones.
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

/// Positions if every session has a full context; no more are needed.
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

/// The same cache while no requests are served: no session can have a position.
pub(super) const fn without_pool(kv: KvShape) -> KvShape {
    KvShape { positions: 0, ..kv }
}
