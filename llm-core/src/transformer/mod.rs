//! The forward pass.
//!
//! With x ∈ ℝ^d the residual stream, per block of a llama model
//!
//! ```text
//!   h = RMSNorm(x);  q = RoPE(W_q h), k = RoPE(W_k h), v = W_v h
//!   x += W_o · concat_h( softmax(q_h K_g(h)ᵀ / √s) V_g(h) )        grouped-query attention
//!   h = RMSNorm(x);  x += W_down ( silu(W_gate h) ⊙ W_up h )       SwiGLU
//! ```
//!
//! and logits = W_out RMSNorm(x). s is the head size, g(h) = h · kv_heads / heads. Other families differ in the places
//! and kinds of norms, in the feed-forward layer, in position encoding, in the positions a block attends to, and in
//! factors and caps. [`Config`] describes a model, [`Family`] what its files leave open, and the forward pass follows
//! the description. Every matrix may have a bias. Sources: Touvron et al., *LLaMA* (2023); Su et al., *RoFormer*
//! (2021); Ainslie et al., *GQA* (2023); Radford et al., *Language Models are Unsupervised Multitask Learners* (2019);
//! for the others, llama.cpp. Tensor and key names are GGUF's.
//!
//! [`Checked::new`] reads a whole file without changing anything, so a bad one never costs the loaded model;
//! [`Model::load`] then copies it into the arena. Tokens of any sessions go through the model together:
//! [`Model::begin`], then [`Model::advance`] until it returns that it was the last time. Each call does a bounded
//! amount of work, so the caller can do other things in between.

mod adapter;
mod buffers;
mod checked;
mod config;
mod error;
mod families;
#[cfg(test)]
mod family_tests;
mod forward;
mod key_bias;
mod keys;
mod layout;
mod pass;
mod plan;
mod reading;
mod rope;
mod steps;
mod template;
#[cfg(test)]
mod tests;
pub mod training;
mod weights;
mod workspace;

pub use checked::{Checked, Work};
#[cfg(feature = "observe")]
pub use forward::Observer;
pub use forward::Token;

pub use adapter::{
    AdapterError, AdapterFile, AdapterInfo, AdapterSize, BASE_SHA256_KEY, Base, MAX_ADAPTERS,
    MAX_RANK,
};
pub use config::{Caps, Config, Scales, Window};
pub use error::LoadError;
pub use families::{
    Activation, Block, FAMILIES, Factors, Family, Gate, HeadNorm, NormKind, NormPlaces,
    PositionKind, Residual, ScoreScale, Varies, WindowRule,
};
pub use plan::{LoadOptions, Plan, Positions};
pub use reading::Blocks;
pub use rope::{Angles, Divisors, Rope};
pub use steps::{Batch, STEP_WORK};

use crate::arena::{Arena, Mark};
use crate::chat::TemplateInfo;
use crate::kv_cache::{self, CacheFull, KvCache, Origin};
use crate::simd::Cpu;
use crate::tokenizer::Vocabulary;
use adapter::{Adapters, Tensors};
use buffers::{Buffers, Persistent};
use key_bias::KeyBias;
use template::{LoadedTemplate, Rendering};
use weights::Weights;

pub use crate::arithmetic::MAX_BATCH;

/// Maximum number of blocks in a model; the handles of their tensors are kept outside the arena.
pub const MAX_LAYERS: usize = 64;

/// Smallest batch: a model that fits with this one is loaded.
pub const MIN_BATCH: usize = 8;

/// Longest context: a table of the cache cannot name more blocks.
const MAX_CONTEXT: usize = u16::MAX as usize * kv_cache::BLOCK_POSITIONS;

/// Maximum number of sessions.
pub const MAX_SESSIONS: usize = 32;

/// A model in an arena.
#[derive(Debug)]
pub struct Model {
    config: Config,
    vocabulary: Vocabulary,
    template: Option<LoadedTemplate>,
    rendering: Rendering,
    tensors: Tensors,
    weights: Weights,
    key_bias: Option<KeyBias>,
    cpu: Cpu,
    cache: KvCache,
    persistent: Persistent,
    buffers: Buffers,
    adapters: Adapters,
    /// Everything below is read-only once the model is loaded.
    frozen: Mark,
    /// Everything below is read-only for the forward pass, including persistent data and adapters. Everything above is
    /// laid out anew when adapters or training come or go.
    fixed: Mark,
    options: LoadOptions,
    plan: Plan,
    /// Whether there are buffers and a pool.
    serves: bool,
    parameters: u64,
}

impl Model {
    /// The hyperparameters.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Number of weights; a tied embedding counts once.
    #[must_use]
    pub const fn parameters(&self) -> u64 {
        self.parameters
    }

    /// Maximum number of positions of a session.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.cache.shape().context
    }

    /// Maximum number of sessions.
    #[must_use]
    pub const fn sessions(&self) -> usize {
        self.cache.shape().sessions
    }

    /// Whether requests can be served now. They cannot while training uses all the memory.
    #[must_use]
    pub const fn serves(&self) -> bool {
        self.serves
    }

    /// What it occupies in the arena in the current layout.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Keys and values.
    #[must_use]
    pub const fn cache(&self) -> &KvCache {
        &self.cache
    }

    /// Gives `session` room for `positions` positions in all, at most the context; what it has is kept.
    ///
    /// # Errors
    /// The cache has too few blocks; nothing has changed.
    ///
    /// # Panics
    /// There is no such session.
    pub fn reserve(
        &self,
        arena: &mut Arena<'_>,
        session: usize,
        positions: usize,
    ) -> Result<(), CacheFull> {
        self.cache.reserve(arena, session, positions)
    }

    /// Gives a session without cache the keys and values of its first tokens, if they exist ([`KvCache::share`]).
    /// Returns its number of positions, which is less than that of `tokens`.
    ///
    /// # Panics
    /// There is no such session, it already has cache, or there are more tokens than a context.
    pub(crate) fn share(
        &self,
        arena: &mut Arena<'_>,
        session: usize,
        origin: Origin,
        tokens: usize,
    ) -> usize {
        let tokens = self.tokens_of(session).part(0, tokens);
        self.cache.share(arena, session, origin, tokens)
    }

    /// Call when the first `tokens` tokens of a session have been through the model. Sessions of the same origin may
    /// then share their cache ([`KvCache::publish`]).
    ///
    /// # Panics
    /// There is no such session, or it has fewer positions.
    pub(crate) fn publish(
        &self,
        arena: &mut Arena<'_>,
        session: usize,
        origin: Origin,
        tokens: usize,
    ) {
        let tokens = self.tokens_of(session).part(0, tokens);
        self.cache.publish(arena, session, origin, tokens);
    }

    /// Frees the room of `session` beyond its first `positions` positions.
    ///
    /// # Panics
    /// There is no such session.
    pub fn truncate(&self, arena: &mut Arena<'_>, session: usize, positions: usize) {
        self.cache.truncate(arena, session, positions);
    }

    /// Forgets a session's keys and values.
    ///
    /// # Panics
    /// There is no such session.
    pub fn release(&self, arena: &mut Arena<'_>, session: usize) {
        self.cache.release(arena, session);
    }

    /// Maximum number of tokens in a batch.
    #[must_use]
    pub const fn batch(&self) -> usize {
        self.plan.batch as usize
    }

    /// The vocabulary.
    #[must_use]
    pub const fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The chat template that conversations are rendered with. `None` if the file has none, it is unknown, or it adds
    /// more than admission allows ([`crate::chat::Bound::is_served`]).
    #[must_use]
    pub fn template(&self) -> Option<&TemplateInfo> {
        self.template.as_ref().map(LoadedTemplate::info)
    }

    pub(crate) const fn loaded_template(&self) -> Option<&LoadedTemplate> {
        self.template.as_ref()
    }

    /// What only a load writes: weights and vocabulary.
    pub(crate) fn constants<'a>(&self, arena: &'a Arena<'_>) -> &'a [u8] {
        arena.below(self.frozen)
    }
}
