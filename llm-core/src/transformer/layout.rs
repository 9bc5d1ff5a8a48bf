//! Where everything lies in the arena, from the bottom up, and how it comes there:
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
//! When adapters or a training come or go, what lies above them is laid out anew ([`Model::rearrange`]), with batch and
//! pool as large as then fits. Keys and values are lost and computed again from the tokens. That changes no bit of any
//! text, because they are a function of the tokens, and neither batch nor pool shows in a result.

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

/// Why the arena is not laid out anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RearrangeError {
    /// It does not fit, not even with the smallest batch and pool. Nothing has changed.
    #[error("{} bytes are needed, the arena has {}", .0.total(), .0.capacity)]
    TooLarge(Plan),
    /// The plan was wrong, which is a bug in the engine. There is no training.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}

impl Model {
    /// Copies a checked model into `arena`, which is emptied first, and makes room for its sessions. It has no adapters.
    ///
    /// # Errors
    /// It does not fit, found out before the arena is touched.
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
        let buffers = Buffers::lay_out(&config, plan.batch as usize, &kv, arena)?;
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

    /// The plan with so many bytes of adapters and of a training; unless it `serves`, without buffers and pool.
    ///
    /// # Errors
    /// It does not fit: the plan for the smallest batch and pool.
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

    /// Lays out anew what lies above the adapters: a training of exactly so many bytes, which `take` hands out for
    /// [`crate::arena::Purpose::Training`], and if the model then still `serves` requests, buffers, pool and tables. With
    /// 0 bytes, a training that was there is gone.
    ///
    /// Unless it serves, no session has a position and nothing may be asked of the model but
    /// [`Self::tokenizing`] and what needs no buffers; a batch has no tokens then.
    ///
    /// All keys and values are gone, and so are logits and a batch under way: whoever holds sessions has to begin each at
    /// position 0 again ([`crate::generate::Scheduler::displace_all`]).
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
                // It was there before.
                if let Ok(plan) = self.plan_with(adapters, 0, true) {
                    self.lay_out_volatile(plan, true, arena)?;
                }
                return Err(error.into());
            }
        };
        self.lay_out_volatile(plan, serves, arena)?;
        Ok(taken)
    }

    /// Buffers and cache as `plan` says, above what the arena has.
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
                (kv, Buffers::lay_out(&self.config, batch, &kv, arena)?)
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
