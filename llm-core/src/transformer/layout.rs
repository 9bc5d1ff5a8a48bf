//! The layout of the arena, from the bottom up, and how it is built:
//!
//! ```text
//!   weights, vocabulary, biases of keys        read-only for as long as the model is loaded
//!   tokens of all sessions, tokenizer          what must survive
//!   adapters                                   one after the other, in the order in which they came
//!   ── the forward pass writes nothing below ──
//!   a training                                 while one is under way
//!   buffers, logits, keys and values           with Positions::Fill, these take the rest
//! ```
//!
//! When adapters or training come or go, everything above them is laid out anew ([`Model::rearrange`]), with the
//! largest batch and pool that then fit. Keys and values are lost and recomputed from the tokens. That changes no bit
//! of any text, because they are a function of the tokens, and neither batch nor pool affects a result.

use super::adapter::Adapters;
use super::buffers::{Buffers, Persistent};
use super::key_bias::KeyBias;
use super::plan::{Demand, kv_shape, without_pool};
use super::template::{self, LoadedTemplate};
use super::weights::{Loader, Weights};
use super::{Checked, LoadError, LoadOptions, Model, Plan};
use crate::arena::{Arena, ArenaError};
use crate::kv_cache::KvCache;
use crate::tokenizer::Vocabulary;

/// Why a new layout failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RearrangeError {
    /// It does not fit, not even with the smallest batch and pool. Nothing has changed.
    #[error("{} bytes are needed, the arena has {}", .0.total(), .0.capacity)]
    TooLarge(Plan),
    /// The plan was wrong, which is a bug in the engine. Training is gone.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

impl Model {
    /// Copies a checked model into `arena`, which is emptied first, and makes room for its sessions. There are no
    /// adapters yet.
    ///
    /// # Errors
    /// The model does not fit, which is detected before the arena is touched.
    pub fn load(
        checked: &Checked<'_>,
        options: &LoadOptions,
        arena: &mut Arena<'_>,
    ) -> Result<Self, LoadError> {
        let plan = checked.plan(options, arena.capacity())?;
        let config = checked.config;
        let gguf = &checked.gguf;
        arena.reset();
        let weights = Weights::lay_out(
            gguf,
            &config,
            &mut Loader {
                arena,
                cpu: options.cpu,
            },
        )?;
        let vocabulary = Vocabulary::load(gguf, arena)?;
        let scaffold = match &checked.scaffold {
            Some(scaffold) => Some(template::pack(scaffold, arena)?),
            None => None,
        };
        let kv = kv_shape(
            &config,
            plan.context as usize,
            plan.positions as usize,
            options,
        );
        let key_bias = KeyBias::take(&config, &weights, &kv, arena)?;
        let frozen = arena.mark();
        let persistent =
            Persistent::lay_out(&kv, options.max_prompt_bytes, checked.rendering, arena)?;
        let fixed = arena.mark();
        let workers = options.scratch_pieces();
        let buffers = Buffers::lay_out(&config, plan.batch as usize, &kv, workers, arena)?;
        let mut model = Self {
            config,
            vocabulary,
            template: None,
            rendering: checked.rendering,
            tensors: checked.tensors,
            weights,
            key_bias,
            cpu: options.cpu,
            cache: KvCache::new(arena, kv)?,
            persistent,
            buffers,
            adapters: Adapters::NONE,
            frozen,
            fixed,
            options: *options,
            plan,
            serves: true,
            parameters: checked.parameters,
        };
        model.check_plan(arena);
        model.template = scaffold.and_then(|packed| LoadedTemplate::new(&model, packed, arena));
        Ok(model)
    }

    /// The plan with these sizes of adapters and training; without buffers and pool unless it `serves`.
    ///
    /// # Errors
    /// It does not fit; contains the plan for the smallest batch and pool.
    pub(crate) fn plan_with(
        &self,
        adapters: u64,
        training: u64,
        serves: bool,
    ) -> Result<Plan, Plan> {
        let demand = Demand {
            config: &self.config,
            options: &self.options,
            weights: self.plan.weights,
            vocabulary: self.plan.vocabulary,
            rendering: self.rendering,
            key_biases: self.weights.has_key_biases(),
            adapters,
            training,
            serves,
            capacity: self.plan.capacity as usize,
        };
        demand.plan()
    }

    /// Lays out anew everything above the adapters: training memory of exactly `training` bytes, which `take` allocates
    /// for [`crate::arena::Purpose::Training`]; and, if the model then still `serves` requests, buffers, pool and
    /// tables. With 0 bytes, any training is gone.
    ///
    /// Unless it serves, no session has a position, a batch has no tokens, and only [`Self::tokenizing`] and methods
    /// that need no buffers may be called.
    ///
    /// All keys and values are gone, as are logits and any batch in progress: the owner of the sessions must start each
    /// at position 0 again ([`crate::generate::Scheduler::displace_all`]).
    ///
    /// # Errors
    /// It does not fit; nothing has changed.
    pub(crate) fn rearrange<T>(
        &mut self,
        arena: &mut Arena<'_>,
        training: u64,
        serves: bool,
        take: impl FnOnce(&mut Arena<'_>) -> Result<T, ArenaError>,
    ) -> Result<T, RearrangeError> {
        let adapters = self.plan.adapters;
        let plan = self
            .plan_with(adapters, training, serves)
            .map_err(RearrangeError::TooLarge)?;
        arena.rollback(self.fixed);
        let taken = match take(arena) {
            Ok(taken) => taken,
            Err(error) => {
                arena.rollback(self.fixed);
                // It fitted before.
                if let Ok(plan) = self.plan_with(adapters, 0, true) {
                    self.lay_out_volatile(plan, true, arena)?;
                }
                return Err(error.into());
            }
        };
        self.lay_out_volatile(plan, serves, arena)?;
        Ok(taken)
    }

    /// Allocates buffers and cache according to `plan`, above everything else.
    pub(super) fn lay_out_volatile(
        &mut self,
        plan: Plan,
        serves: bool,
        arena: &mut Arena<'_>,
    ) -> Result<(), ArenaError> {
        let (context, positions) = (plan.context as usize, plan.positions as usize);
        let kv = kv_shape(&self.config, context, positions, &self.options);
        let (kv, buffers) = match serves {
            true => {
                let batch = plan.batch as usize;
                let workers = self.options.scratch_pieces();
                let buffers = Buffers::lay_out(&self.config, batch, &kv, workers, arena)?;
                (kv, buffers)
            }
            false => (without_pool(kv), Buffers::default()),
        };
        self.buffers = buffers;
        self.cache = KvCache::new(arena, kv)?;
        (self.plan, self.serves) = (plan, serves);
        self.check_plan(arena);
        Ok(())
    }

    fn check_plan(&self, arena: &Arena<'_>) {
        debug_assert_eq!(
            arena.usage().current as u64,
            self.plan.total(),
            "the plan is exact"
        );
    }
}
