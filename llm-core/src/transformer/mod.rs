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
mod config;
mod error;
mod families;
#[cfg(test)]
mod family_tests;
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

use crate::arena::{Arena, Frozen, Mark, Span, as_mut};
use crate::chat::{Scaffold, Template, TemplateInfo};
use crate::gguf::Gguf;
use crate::kv_cache::{self, CacheFull, KvCache, KvType, Origin};
use crate::quantize::NonFinite;
use crate::simd::Cpu;
use crate::team::{Alone, Team};
use crate::tokenizer::{Cell, Requirements, Vocabulary, scratch_cells};
use adapter::{Adapters, Tensors};
use buffers::{Buffers, Persistent};
use key_bias::KeyBias;
use pass::Pass;
use steps::{Cursor, Meter, Stop};
use template::{LoadedTemplate, Rendering};
use weights::{Checker, Weights};

pub use crate::arithmetic::MAX_BATCH;

/// Maximum number of blocks in a model; the handles of their tensors are kept outside the arena.
pub const MAX_LAYERS: usize = 64;

/// Smallest batch: a model that fits with this one is loaded.
pub const MIN_BATCH: usize = 8;

/// Longest context: a table of the cache cannot name more blocks.
const MAX_CONTEXT: usize = u16::MAX as usize * kv_cache::BLOCK_POSITIONS;

/// Maximum number of sessions.
pub const MAX_SESSIONS: usize = 32;

/// A file that was checked completely and can be loaded.
#[derive(Debug)]
pub struct Checked<'a> {
    gguf: Gguf<'a>,
    config: Config,
    vocabulary: Requirements,
    weight_bytes: u64,
    /// The scaffold for conversations, if it is known.
    scaffold: Option<Scaffold<'a>>,
    rendering: Rendering,
    /// Whether keys have biases.
    key_biases: bool,
    tensors: Tensors,
    parameters: u64,
}

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

impl<'a> Checked<'a> {
    /// Parses `file` and checks every key and tensor that the model needs, including their values.
    ///
    /// # Errors
    /// The first error, and where it is.
    pub fn new(file: &'a [u8]) -> Result<Self, LoadError> {
        let gguf = Gguf::parse(file)?;
        // Check the architecture first: an unsupported one should be reported as such, not as a missing key.
        Config::family_of(&gguf)?;
        let vocabulary = Vocabulary::check(&gguf)?;
        let scaffold = Template::of(&gguf)?.scaffold();
        let rendering = Rendering::of(scaffold.as_ref(), &gguf)?;
        let config = Config::from_gguf(&gguf, vocabulary.tokens)?;
        let mut checker = Checker::default();
        let weights = Weights::lay_out(&gguf, &config, &mut checker)?;
        checker.refuse_unknown(&gguf)?;
        Ok(Self {
            config,
            vocabulary,
            scaffold,
            rendering,
            weight_bytes: checker.bytes,
            key_biases: weights.has_key_biases(),
            tensors: Tensors::of(&gguf, &config),
            parameters: checker.parameters,
            gguf,
        })
    }

    /// The hyperparameters.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The file.
    #[must_use]
    pub const fn gguf(&self) -> &Gguf<'a> {
        &self.gguf
    }

    /// What an adapter's file is checked against.
    #[must_use]
    pub const fn base(&self) -> Base<'_> {
        Base {
            config: &self.config,
            tensors: self.tensors,
        }
    }

    /// Size of the scaffold in the arena, in bytes.
    fn packed_bytes(&self) -> usize {
        self.scaffold.map_or(0, |scaffold| scaffold.packed_bytes())
    }

    /// Number of weights; a tied embedding counts once.
    #[must_use]
    pub const fn parameters(&self) -> u64 {
        self.parameters
    }

    /// Cost of a token at `position`, which is the same for every token there.
    #[must_use]
    pub fn work(&self, position: usize, kv: KvType, want_logits: bool) -> Work {
        let config = &self.config;
        let mut work = Work::default();
        let tied = self.gguf.tensor("output.weight").is_none();
        for tensor in self.gguf.tensors() {
            let (elements, bytes) = (tensor.elements(), tensor.data.len() as u64);
            let is_output = tensor.name == "output.weight";
            if tensor.name == "rope_factors_long.weight" {
                // The same number applies to short contexts, so those tensors represent both.
                continue;
            }
            let is_table = matches!(tensor.name, "token_embd.weight" | "position_embd.weight");
            if is_table {
                // Only one row is read.
                work.weight_bytes += bytes / tensor.rows().max(1);
            }
            let gives_logits = is_output || (tied && tensor.name == "token_embd.weight");
            if gives_logits && !want_logits || is_table && !gives_logits {
                continue;
            }
            work.weight_bytes += bytes;
            // A norm with a weight per head has two dimensions, too.
            if tensor.rank > 1 && !tensor.name.contains("norm") {
                work.multiply_accumulates += elements;
            }
        }
        let (layers, attended) = (config.layers as u64, config.attended(position) as u64);
        work.multiply_accumulates += 2 * attended * config.query_width() as u64;
        let row = (config.kv_heads * kv.bytes(config.head_size)) as u64;
        // Reads for the positions attended to, and writes for this one.
        work.cache_bytes = 2 * (attended + layers) * row;
        work
    }
}

/// Cost of a token: a function only of model and position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiplications by a weight or a cached element, each added to a sum.
    pub multiply_accumulates: u64,
    /// Bytes of weights read, in the file's format.
    pub weight_bytes: u64,
    /// Bytes of keys and values read and written.
    pub cache_bytes: u64,
}

impl core::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.multiply_accumulates += other.multiply_accumulates;
        self.weight_bytes += other.weight_bytes;
        self.cache_bytes += other.cache_bytes;
    }
}

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
    /// The adapter to apply, below [`MAX_ADAPTERS`].
    pub adapter: Option<u8>,
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

    /// What only a load writes: weights and vocabulary.
    pub(crate) fn constants<'a>(&self, arena: &'a Arena<'_>) -> &'a [u8] {
        arena.below(self.frozen)
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
    fn prompt_cells(&self) -> Span<Cell> {
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
    const fn tokens_of(&self, session: usize) -> Span<u32> {
        let context = self.context();
        self.persistent.tokens.part(session * context, context)
    }

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

    fn pass<'p, T: Team>(
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
