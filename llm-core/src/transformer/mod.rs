//! The forward pass, of the llama family and of gpt2.
//!
//! With x ∈ ℝ^d the residual stream, per block of a llama model
//!
//! ```text
//!   h = RMSNorm(x);  q = RoPE(W_q h), k = RoPE(W_k h), v = W_v h
//!   x += W_o · concat_h( softmax(q_h K_g(h)ᵀ / √s) V_g(h) )        grouped-query attention
//!   h = RMSNorm(x);  x += W_down ( silu(W_gate h) ⊙ W_up h )       SwiGLU
//! ```
//!
//! and logits = W_out RMSNorm(x). s is the head size, g(h) = h · kv_heads / heads. In gpt2 the norms
//! are LayerNorm, x begins as the token's vector plus the position's, there is no RoPE, and the
//! feed-forward layer is W_down gelu(W_up h). Every matrix may have a bias. Sources: Touvron et al.,
//! *LLaMA* (2023); Su et al., *RoFormer* (2021); Ainslie et al., *GQA* (2023); Radford et al.,
//! *Language Models are Unsupervised Multitask Learners* (2019). Tensor and key names are GGUF's.
//!
//! [`Checked::new`] reads a whole file without changing anything, so that a bad one never costs the
//! model that is loaded; [`Model::load`] then copies it into the arena. Tokens of any sessions go through the
//! model together: [`Model::begin`], then [`Model::advance`] once a block, so that whoever calls can look
//! around in between.

mod config;
mod weights;

pub use config::{Architecture, Config, Rope};

use crate::arena::{Arena, ArenaError, Frozen, Mark, Span, Working, as_mut, bytes_of};
use crate::gguf::{Gguf, GgufError, Name};
use crate::kv_cache::{self, CacheFull, CachedLayer, KvCache, KvShape, KvType};
use crate::quantize::blocks::{
    BlockQ2K, BlockQ3K, BlockQ4_0, BlockQ4_1, BlockQ4K, BlockQ5_0, BlockQ5_1, BlockQ5K, BlockQ6K,
    BlockQ8_0, BlockQ8_1,
};
use crate::quantize::{
    self, ActivationQ8, ActivationQ8K, ActivationType, BLOCK, NonFinite, SUPER_BLOCK, TensorType,
    blocks_of, max_magnitude,
};
use crate::simd::attention::{Attention, GROUP, QueryScale};
use crate::simd::tiles::Format;
use crate::simd::{Cpu, scalar, tiles};
use crate::tokenizer::{Cell, Requirements, Vocabulary, VocabularyError, scratch_cells};
use half::{bf16, f16};
use weights::{Checker, Layer, Linear, Loader, Matrix, Norm, Weights};

pub use crate::simd::scalar::MAX_BATCH;

/// Most blocks that a model may have; the handles of their tensors are kept outside the arena.
pub const MAX_LAYERS: usize = 64;

/// Smallest batch: a model that fits with this one is loaded.
pub const MIN_BATCH: usize = 8;

/// Longest context: more blocks than it has a table of the cache cannot name.
const MAX_CONTEXT: usize = u16::MAX as usize * kv_cache::BLOCK_POSITIONS;

/// Most sessions at once.
pub const MAX_SESSIONS: usize = 32;

/// Why a model is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is no GGUF file, or lacks a key.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// Its vocabulary is wrong.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// An architecture that the engine does not have.
    #[error("the architecture {0} is not supported (llama, qwen2 and gpt2 are)")]
    Architecture(Name),
    /// A key has a value that the engine cannot work with.
    #[error("{key} = {value} is not supported")]
    Value {
        /// The key.
        key: Name,
        /// Its value, fractions cut off.
        value: u64,
    },
    /// A key names a method that the engine does not have.
    #[error("{key} = {value} is not supported")]
    Method {
        /// The key.
        key: Name,
        /// What it names.
        value: Name,
    },
    /// A tensor that the architecture does not have, and that would change its result.
    #[error("the tensor {0} is not supported")]
    UnknownTensor(Name),
    /// A tensor has the wrong shape.
    #[error("the tensor {tensor} is {columns} x {rows}, not {expected_columns} x {expected_rows}")]
    Shape {
        /// The tensor.
        tensor: Name,
        /// Columns that it has.
        columns: u64,
        /// Rows that it has.
        rows: u64,
        /// Columns that it should have.
        expected_columns: u64,
        /// Rows that it should have.
        expected_rows: u64,
    },
    /// A tensor has a type that it cannot have in its place.
    #[error("the tensor {tensor} has type {ty}, which is not supported there")]
    Type {
        /// The tensor.
        tensor: Name,
        /// Its type.
        ty: &'static str,
    },
    /// A weight or a scale is infinite or no number.
    #[error("the tensor {0} holds a value that is not finite")]
    NonFinite(Name),
    /// It does not fit the arena.
    #[error("the model needs {} bytes, the arena has {}", .0.total(), .0.capacity)]
    TooLarge(Plan),
    /// The arena's own error: the plan was wrong, which is a bug in the engine.
    #[error(transparent)]
    Arena(#[from] ArenaError),
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
    /// Positions that all sessions share, at least one context.
    pub positions: usize,
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
    /// Keys and values at `context`.
    pub kv_cache: u64,
    /// Buffers of the forward pass, logits, scratch.
    pub activations: u64,
    /// The vocabulary's table.
    pub vocabulary: u64,
    /// Context that was planned for.
    pub context: u64,
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
}

/// A file that has been checked from beginning to end and can be loaded.
#[derive(Debug)]
pub struct Checked<'a> {
    gguf: Gguf<'a>,
    config: Config,
    vocabulary: Requirements,
    weight_bytes: u64,
    parameters: u64,
}

/// A model in an arena.
#[derive(Debug)]
pub struct Model {
    config: Config,
    vocabulary: Vocabulary,
    weights: Weights,
    cpu: Cpu,
    cache: KvCache,
    batch: usize,
    sessions: usize,
    buffers: Buffers,
    /// Everything below is read-only once the model is loaded.
    frozen: Mark,
    parameters: u64,
}

/// Working memory of the forward pass and of what surrounds it. What belongs to a token is there once
/// for each token of a batch, one after the other.
#[derive(Clone, Copy, Debug)]
struct Buffers {
    residual: Span<f32>,
    /// A norm's result, and later what a block adds to the residual.
    normed: Span<f32>,
    /// Activations as a matrix wants them; as [`ActivationQ8K`] they need less room.
    quantised: Span<ActivationQ8>,
    query: Span<f32>,
    attended: Span<f32>,
    key: Span<f32>,
    value: Span<f32>,
    /// Of a group of heads.
    scores: Span<f32>,
    /// Of one token, where keys are in 8 bits.
    query_bytes: Span<i8>,
    query_scales: Span<QueryScale>,
    rotation: Span<[f32; 2]>,
    gate: Span<f32>,
    up: Span<f32>,
    /// Of one token of each session.
    logits: Span<f32>,
    candidates: Span<crate::sampling::Candidate>,
    /// The tokens of each session.
    tokens: Span<u32>,
    cells: Span<Cell>,
}

impl Buffers {
    /// Runs `take` over the sizes of all buffers: once to count them, once to allocate them.
    fn lay_out(
        config: &Config,
        batch: usize,
        kv: &KvShape,
        max_prompt_bytes: usize,
        arena: &mut impl Allocate,
    ) -> Result<Self, ArenaError> {
        let padded = kv.context.next_multiple_of(kv_cache::BLOCK_POSITIONS);
        let pairs = config.rope.map_or(0, |rope| rope.size / 2);
        let gate = usize::from(config.gated()) * config.feed_forward;
        Ok(Self {
            residual: arena.take(batch * config.width)?,
            normed: arena.take(batch * config.width)?,
            quantised: arena.take(batch * config.widest().div_ceil(BLOCK))?,
            query: arena.take(batch * config.query_width())?,
            attended: arena.take(batch * config.query_width())?,
            key: arena.take(batch * config.kv_width())?,
            value: arena.take(batch * config.kv_width())?,
            scores: arena.take(GROUP * padded)?,
            query_bytes: arena.take(config.heads * config.head_size.next_multiple_of(4))?,
            query_scales: arena.take(config.heads)?,
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
trait Allocate {
    fn take<T: crate::arena::Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError>;
}

impl Allocate for Arena<'_> {
    fn take<T: crate::arena::Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError> {
        self.alloc(len, crate::arena::Purpose::Activations)
    }
}

/// Counts what an arena would hand out.
struct Counter(u64);

impl Allocate for Counter {
    fn take<T: crate::arena::Plain>(&mut self, len: usize) -> Result<Span<T>, ArenaError> {
        let needed = bytes_of::<T>(len).unwrap_or(usize::MAX);
        self.0 = self.0.saturating_add(needed as u64);
        Ok(Span::EMPTY)
    }
}

impl<'a> Checked<'a> {
    /// Parses `file` and checks every key and tensor that the model needs, with their values.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn new(file: &'a [u8]) -> Result<Self, LoadError> {
        let gguf = Gguf::parse(file)?;
        // The architecture first: whoever brings another one should read that, not a missing key.
        Architecture::from_gguf(&gguf)?;
        let vocabulary = Vocabulary::check(&gguf)?;
        let config = Config::from_gguf(&gguf, vocabulary.tokens)?;
        let mut checker = Checker::default();
        Weights::lay_out(&gguf, &config, &mut checker)?;
        checker.refuse_unknown(&gguf)?;
        Ok(Self {
            gguf,
            config,
            vocabulary,
            weight_bytes: checker.bytes,
            parameters: checker.parameters,
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

    /// Number of weights; a tied embedding counts once.
    #[must_use]
    pub const fn parameters(&self) -> u64 {
        self.parameters
    }

    /// What one token at `position` costs: the same for every token there.
    #[must_use]
    pub fn work(&self, position: usize, kv: KvType, want_logits: bool) -> Work {
        let config = &self.config;
        let mut work = Work::default();
        for tensor in self.gguf.tensors() {
            let (elements, bytes) = (tensor.elements(), tensor.data.len() as u64);
            let is_output = tensor.name == "output.weight";
            let is_table = matches!(tensor.name, "token_embd.weight" | "position_embd.weight");
            if is_table {
                // One row.
                work.weight_bytes += bytes / tensor.rows().max(1);
            }
            let tied = self.gguf.tensor("output.weight").is_none();
            let gives_logits = is_output || (tied && tensor.name == "token_embd.weight");
            if gives_logits && !want_logits || is_table && !gives_logits {
                continue;
            }
            work.weight_bytes += bytes;
            if tensor.rank > 1 {
                work.multiply_accumulates += elements;
            }
        }
        let positions = position as u64 + 1;
        let layers = config.layers as u64;
        work.multiply_accumulates += layers * 2 * positions * config.query_width() as u64;
        let row = (config.kv_heads * kv.bytes(config.head_size)) as u64;
        // Read for all positions, written for this one.
        work.cache_bytes = layers * 2 * (positions + 1) * row;
        work
    }

    /// Bytes that the model takes, exactly, in an arena of `capacity` bytes. Batches are as large as
    /// fits, from [`MAX_BATCH`] tokens down to [`MIN_BATCH`].
    ///
    /// # Errors
    /// It does not fit: [`LoadError::TooLarge`] with the plan.
    pub fn plan(&self, options: &LoadOptions, capacity: usize) -> Result<Plan, LoadError> {
        let context = options.context.min(self.config.context_length);
        let context = context.min(MAX_CONTEXT);
        let mut batch = MAX_BATCH;
        let mut plan = self.plan_for(batch, context, options, capacity);
        while plan.total() > plan.capacity && batch > MIN_BATCH {
            batch /= 2;
            plan = self.plan_for(batch, context, options, capacity);
        }
        if plan.total() <= plan.capacity {
            return Ok(plan);
        }
        // Bytes grow with the context, so the largest that fits is found by halving.
        let (mut fits, mut too_long) = (0, context);
        while too_long - fits > 1 {
            let middle = fits + (too_long - fits) / 2;
            let there = self.plan_for(batch, middle, options, capacity);
            if there.total() <= there.capacity {
                fits = middle
            } else {
                too_long = middle
            }
        }
        plan.largest_context = fits as u64;
        Err(LoadError::TooLarge(plan))
    }

    fn plan_for(
        &self,
        batch: usize,
        context: usize,
        options: &LoadOptions,
        capacity: usize,
    ) -> Plan {
        let config = &self.config;
        let kv = kv_shape(config, context, options);
        let batch = batch.min(kv.positions.max(1));
        let mut counter = Counter(0);
        // The counter never fails.
        let _ = Buffers::lay_out(config, batch, &kv, options.max_prompt_bytes, &mut counter);
        let kv = kv.bytes();
        Plan {
            weights: self.weight_bytes,
            // A third of the range, so that totals cannot overflow.
            kv_cache: kv.map_or(u64::MAX / 3, |bytes| bytes as u64),
            activations: counter.0.min(u64::MAX / 3),
            vocabulary: self.vocabulary.bytes().next_multiple_of(64) as u64,
            context: context as u64,
            batch: batch as u64,
            capacity: capacity as u64,
            largest_context: context as u64,
        }
    }
}

/// The cache of a model whose sessions have `context` positions.
fn kv_shape(config: &Config, context: usize, options: &LoadOptions) -> KvShape {
    KvShape {
        ty: options.kv,
        layers: config.layers,
        kv_heads: config.kv_heads,
        head_size: config.head_size,
        context,
        sessions: options.sessions.clamp(1, MAX_SESSIONS),
        // Sessions of the context that they can have need no more than that.
        positions: options
            .positions
            .min(options.sessions.saturating_mul(context))
            .max(context),
    }
}

/// What a token costs: a function of model and position alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiplications with a weight or a cached element, each added to a sum.
    pub multiply_accumulates: u64,
    /// Bytes of weights that are read, as the file has them.
    pub weight_bytes: u64,
    /// Bytes of keys and values that are read and written.
    pub cache_bytes: u64,
}

/// A token that is to go through the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its number in the vocabulary.
    pub id: u32,
    /// Whose it is.
    pub session: u16,
    /// Its position there; those before are in the cache, or before it in the batch.
    pub position: u32,
    /// Whether the logits after it are wanted.
    pub logits: bool,
}

/// Tokens on their way through the model, between two blocks.
#[derive(Clone, Debug)]
pub struct Batch {
    tokens: heapless::Vec<Token, MAX_BATCH>,
    /// Blocks that they have been through.
    layer: usize,
}

impl Batch {
    /// The tokens, in the order in which they were given.
    #[must_use]
    pub fn tokens(&self) -> &[Token] {
        &self.tokens
    }
}

impl Model {
    /// Copies a checked model into `arena`, which is emptied first, and makes room for its sessions.
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
        let frozen = arena.mark();
        let batch = plan.batch as usize;
        let kv = kv_shape(&config, plan.context as usize, options);
        let cache = KvCache::new(arena, kv)?;
        let buffers = Buffers::lay_out(&config, batch, &kv, options.max_prompt_bytes, arena)?;
        debug_assert_eq!(
            arena.usage().current as u64,
            plan.total(),
            "the plan is exact"
        );
        Ok(Self {
            config,
            vocabulary,
            weights,
            cpu: options.cpu,
            cache,
            batch,
            sessions: kv.sessions,
            buffers,
            frozen,
            parameters: checked.parameters,
        })
    }

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

    /// Positions that a session has.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.cache.shape().context
    }

    /// Sessions that there can be at once.
    #[must_use]
    pub const fn sessions(&self) -> usize {
        self.sessions
    }

    /// Keys and values.
    #[must_use]
    pub const fn cache(&self) -> &KvCache {
        &self.cache
    }

    /// Gives `session` room for `positions` positions in all, at most the context; what it has is kept.
    ///
    /// # Errors
    /// The cache has too few blocks left; nothing has changed.
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

    /// Forgets a session's keys and values.
    ///
    /// # Panics
    /// There is no such session.
    pub fn release(&self, arena: &mut Arena<'_>, session: usize) {
        self.cache.release(arena, session);
    }

    /// Most tokens that go through the model together.
    #[must_use]
    pub const fn batch(&self) -> usize {
        self.batch
    }

    /// The vocabulary.
    #[must_use]
    pub const fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The logits after the first token that they were wanted for, of the batch that [`Self::advance`] took
    /// to its end last.
    #[must_use]
    pub fn logits<'a>(&self, arena: &'a Arena<'_>) -> &'a [f32] {
        self.logits_of(arena, 0)
    }

    /// As [`Self::logits`], after the `n`-th such token.
    ///
    /// # Panics
    /// There are fewer sessions.
    #[must_use]
    pub fn logits_of<'a>(&self, arena: &'a Arena<'_>, n: usize) -> &'a [f32] {
        let vocabulary = self.config.vocabulary;
        arena.get(self.buffers.logits.part(n * vocabulary, vocabulary))
    }

    /// The frozen part of the arena and the buffers that surround the forward pass: tokens of
    /// `session`, tokenizer scratch, the `output`-th logits, and sampling candidates.
    pub(crate) fn workspace<'a>(
        &self,
        arena: &'a mut Arena<'_>,
        session: usize,
        output: usize,
    ) -> Workspace<'a> {
        let (frozen, working) = arena.split(self.frozen);
        let buffers = &self.buffers;
        let (context, vocabulary) = (self.context(), self.config.vocabulary);
        let [tokens, cells, logits, candidates] = working.into_disjoint([
            buffers.tokens.part(session * context, context).range(),
            buffers.cells.range(),
            buffers.logits.part(output * vocabulary, vocabulary).range(),
            buffers.candidates.range(),
        ]);
        Workspace {
            frozen,
            tokens: as_mut(tokens),
            cells: as_mut(cells),
            logits: as_mut(logits),
            candidates: as_mut(candidates),
        }
    }

    /// Begins to run `tokens` through the model.
    ///
    /// # Panics
    /// There are none or more than [`Self::batch`], one is not in the vocabulary, its session has no room for
    /// its position, or logits are wanted for more tokens than there are sessions: the caller has checked
    /// that.
    pub fn begin(&self, arena: &mut Arena<'_>, tokens: &[Token]) -> Batch {
        assert!(!tokens.is_empty() && tokens.len() <= self.batch);
        assert!(tokens.iter().filter(|token| token.logits).count() <= self.sessions);
        for token in tokens {
            assert!((token.id as usize) < self.config.vocabulary);
            let reserved = self.cache.reserved(arena, usize::from(token.session));
            assert!((token.position as usize) < reserved.min(self.context()));
        }
        let mut batch = Batch {
            tokens: heapless::Vec::new(),
            layer: 0,
        };
        // No more than `MAX_BATCH`.
        let _ = batch.tokens.extend_from_slice(tokens);
        let mut pass = self.pass(arena, &batch);
        pass.embed();
        pass.compute_rotations();
        batch
    }

    /// Takes the tokens of a session out of a batch, if there are any. The others go on.
    pub fn remove(&self, arena: &mut Arena<'_>, batch: &mut Batch, session: usize) {
        let (_, mut working) = arena.split(self.frozen);
        let pairs = self.config.rope.map_or(0, |rope| rope.size / 2);
        let width = self.config.width;
        let mut kept = 0;
        for t in 0..batch.tokens.len() {
            let token = batch.tokens[t];
            if usize::from(token.session) == session {
                continue;
            }
            batch.tokens[kept] = token;
            let residual = working.get_mut(self.buffers.residual);
            residual.copy_within(t * width..(t + 1) * width, kept * width);
            let rotation = working.get_mut(self.buffers.rotation);
            rotation.copy_within(t * pairs..(t + 1) * pairs, kept * pairs);
            kept += 1;
        }
        batch.tokens.truncate(kept);
    }

    /// Runs a batch through its next block, which stores the keys and values of its tokens. True when
    /// there is none left; then the logits are there that were wanted.
    ///
    /// Work is a function of (model, positions) alone. What is stored and computed for a token depends neither on
    /// how tokens were divided into batches nor on other sessions.
    ///
    /// # Errors
    /// A value was not finite. The sessions in the batch are lost, the model is not.
    pub fn advance(&self, arena: &mut Arena<'_>, batch: &mut Batch) -> Result<bool, NonFinite> {
        if batch.tokens.is_empty() {
            return Ok(true);
        }
        let mut pass = self.pass(arena, batch);
        if let Some(layer) = self.weights.layers.get(batch.layer) {
            pass.attention(batch.layer, layer)?;
            pass.feed_forward(layer)?;
            batch.layer += 1;
        }
        if batch.layer < self.weights.layers.len() {
            return Ok(false);
        }
        self.pass(arena, batch).logits()?;
        Ok(true)
    }

    /// Runs `ids`, which follow `start` others, through the whole model, for session 0, with logits for the
    /// last if they are wanted: [`Self::begin`], then [`Self::advance`] to the end.
    ///
    /// # Errors
    /// As [`Self::advance`].
    ///
    /// # Panics
    /// As [`Self::begin`].
    pub fn forward(
        &self,
        arena: &mut Arena<'_>,
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
            })
            .collect();
        let mut batch = self.begin(arena, &tokens);
        while !self.advance(arena, &mut batch)? {}
        Ok(())
    }

    fn pass<'p>(&'p self, arena: &'p mut Arena<'_>, batch: &'p Batch) -> Pass<'p> {
        let (frozen, working) = arena.split(self.frozen);
        Pass {
            model: self,
            frozen,
            working,
            tokens: &batch.tokens,
        }
    }
}

/// What [`Model::workspace`] lends.
pub(crate) struct Workspace<'a> {
    pub(crate) frozen: Frozen<'a>,
    pub(crate) tokens: &'a mut [u32],
    pub(crate) cells: &'a mut [Cell],
    pub(crate) logits: &'a mut [f32],
    pub(crate) candidates: &'a mut [crate::sampling::Candidate],
}

/// A batch on its way through a block.
struct Pass<'p> {
    model: &'p Model,
    frozen: Frozen<'p>,
    working: Working<'p>,
    tokens: &'p [Token],
}

impl Pass<'_> {
    /// x = E\[token\], in gpt2 plus P\[position\].
    fn embed(&mut self) {
        let weights = &self.model.weights;
        let width = self.model.config.width;
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        for (t, token) in self.tokens.iter().enumerate() {
            let x = residual.part(t * width, width);
            self.row(&weights.embedding, token.id as usize, x);
            if let Some(positions) = &weights.positions {
                let position = normed.part(0, width);
                self.row(positions, token.position as usize, position);
                let [x, position] = self.working.disjoint([x.range(), position.range()]);
                scalar::add(as_mut(x), as_mut(position));
            }
        }
    }

    /// to = row of a matrix.
    fn row(&mut self, matrix: &Matrix, row: usize, to: Span<f32>) {
        let to = self.working.get_mut(to);
        let Some(format) = matrix.tiles else {
            let bytes = matrix.data.len() / matrix.rows;
            let from = self.frozen.get(matrix.data.part(row * bytes, bytes));
            // The row's length was checked when the model was loaded.
            let _ = quantize::dequantize_row(matrix.ty, from, to);
            return;
        };
        let w = self.frozen.get(matrix.data);
        let columns = matrix.ty.block_len();
        let blocks = matrix.columns / columns;
        let mut block = [0; tiles::MAX_BLOCK_BYTES];
        let block = &mut block[..format.block_bytes()];
        for (b, to) in to.chunks_exact_mut(columns).enumerate() {
            tiles::gather(format, w, blocks, row, b, block);
            let _ = quantize::dequantize_row(matrix.ty, block, to);
        }
    }

    /// (cos, sin) of p · scale · base^(−2i/n) / f_i, the angle of pair i at position p; f_i is 1 unless
    /// the file has factors. The powers are multiplied up as ggml's `ggml_rope_cache_init` does, so
    /// that angles agree with its.
    fn compute_rotations(&mut self) {
        let Some(rope) = self.model.config.rope else {
            return;
        };
        let factors = self.model.weights.rope_factors;
        let factors = factors.map_or(&[][..], |span| self.frozen.get(span));
        let step = libm::powf(rope.base, -2.0 / rope.size as f32);
        let rotations = self.working.get_mut(self.model.buffers.rotation);
        let rotations = rotations.chunks_exact_mut(rope.size / 2);
        for (rotation, token) in rotations.zip(self.tokens) {
            let mut theta = token.position as f32;
            for (i, pair) in rotation.iter_mut().enumerate() {
                let divided = factors.get(i).map_or(theta, |factor| theta / factor);
                let angle = rope.scale * divided;
                *pair = [libm::cosf(angle), libm::sinf(angle)];
                theta *= step;
            }
        }
    }

    /// x += W_o · attention(norm(x)).
    fn attention(&mut self, index: usize, layer: &Layer) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        self.norm(&layer.attention_norm)?;
        self.multiply(&layer.query, buffers.normed, buffers.query)?;
        self.multiply(&layer.key, buffers.normed, buffers.key)?;
        self.multiply(&layer.value, buffers.normed, buffers.value)?;
        self.rotate(buffers.query, self.model.config.query_width());
        self.rotate(buffers.key, self.model.config.kv_width());
        self.store(index)?;
        self.attend(index)?;
        self.multiply(&layer.output, buffers.attended, buffers.normed)?;
        self.add_to_residual();
        Ok(())
    }

    /// x += W_down (silu(W_gate h) ⊙ W_up h) or W_down gelu(W_up h), h = norm(x).
    fn feed_forward(&mut self, layer: &Layer) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let len = self.tokens.len() * self.model.config.feed_forward;
        self.norm(&layer.feed_forward_norm)?;
        self.multiply(&layer.up, buffers.normed, buffers.up)?;
        let up = buffers.up.part(0, len);
        let inner = match &layer.gate {
            Some(gate) => {
                self.multiply(gate, buffers.normed, buffers.gate)?;
                let gate = buffers.gate.part(0, len);
                let [gate_values, up] = self.working.disjoint([gate.range(), up.range()]);
                let (gate_values, up) = (as_mut(gate_values), as_mut(up));
                self.model.cpu.swiglu(gate_values, up);
                gate
            }
            None => {
                let values = self.working.get_mut(up);
                self.model.cpu.gelu(values);
                up
            }
        };
        self.multiply(&layer.down, inner, buffers.normed)?;
        self.add_to_residual();
        Ok(())
    }

    /// logits = W_out · norm(x) of the tokens that they are wanted for.
    fn logits(&mut self) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let weights = &self.model.weights;
        let output = Linear {
            matrix: weights.output.unwrap_or(weights.embedding),
            bias: weights.output_bias,
        };
        let width = self.model.config.width;
        let residual = self.working.get_mut(buffers.residual);
        let mut wanted = 0;
        for (t, _) in self.tokens.iter().enumerate().filter(|(_, t)| t.logits) {
            residual.copy_within(t * width..(t + 1) * width, wanted * width);
            wanted += 1;
        }
        if wanted == 0 {
            return Ok(());
        }
        self.tokens = &self.tokens[..wanted];
        self.norm(&weights.output_norm)?;
        self.multiply(&output, buffers.normed, buffers.logits)?;
        let logits = buffers
            .logits
            .part(0, wanted * self.model.config.vocabulary);
        let logits = self.working.get_mut(logits);
        self.model.cpu.max_magnitude(logits).map(|_| ())
    }

    /// normed = norm(residual), for each token.
    fn norm(&mut self, norm: &Norm) -> Result<(), NonFinite> {
        let config = &self.model.config;
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        let len = self.tokens.len() * config.width;
        let [x, out] = [residual.part(0, len), normed.part(0, len)].map(|span| span.range());
        let [x, out] = self.working.disjoint([x, out]);
        let (x, out) = (as_mut::<f32>(x), as_mut::<f32>(out));
        let cpu = self.model.cpu;
        cpu.max_magnitude(x)?;
        let weight = self.frozen.get(norm.weight);
        let tokens = x.chunks_exact(config.width);
        for (x, out) in tokens.zip(out.chunks_exact_mut(config.width)) {
            match norm.bias {
                Some(bias) => {
                    cpu.layer_norm(x, weight, config.epsilon, out);
                    cpu.add(out, self.frozen.get(bias));
                }
                None => cpu.rms_norm(x, weight, config.epsilon, out),
            }
        }
        Ok(())
    }

    /// to = W · from + b for each token of the batch; `from` and `to` may be longer.
    fn multiply(
        &mut self,
        linear: &Linear,
        from: Span<f32>,
        to: Span<f32>,
    ) -> Result<(), NonFinite> {
        let tokens = self.tokens.len();
        let Matrix {
            ty, rows, columns, ..
        } = linear.matrix;
        let from = from.part(0, tokens * columns);
        let to = to.part(0, tokens * rows);
        let quantised = self.model.buffers.quantised.range();
        let [from, quantised, to] = self.working.disjoint([from.range(), quantised, to.range()]);
        let (from, to) = (as_mut::<f32>(from), as_mut::<f32>(to));
        let w = self.frozen.get(linear.matrix.data);
        match ty.activations() {
            ActivationType::Float => {
                max_magnitude(from)?;
                multiply_floats(ty, w, columns, from, to);
            }
            ActivationType::Q8 => {
                let blocks = columns / BLOCK;
                let x = &mut as_mut::<ActivationQ8>(quantised)[..tokens * blocks];
                self.model.cpu.quantize_activations(from, x)?;
                match linear.matrix.tiles {
                    Some(Format::Q8_0) => self.model.cpu.matmul_q8_0(w, blocks, x, to),
                    Some(Format::Q4_0) => self.model.cpu.matmul_q4_0(w, blocks, x, to),
                    _ => multiply_small(ty, w, blocks, x, to),
                }
            }
            ActivationType::Q8K => {
                let blocks = columns / SUPER_BLOCK;
                let bytes = tokens * blocks * size_of::<ActivationQ8K>();
                let x = as_mut::<ActivationQ8K>(&mut quantised[..bytes]);
                self.model.cpu.quantize_activations_k(from, x)?;
                match linear.matrix.tiles {
                    Some(_) => self.model.cpu.matmul_q4_k(w, blocks, x, to),
                    None => multiply_super(ty, w, blocks, x, to),
                }
            }
        }
        if let Some(bias) = linear.bias {
            let bias = self.frozen.get(bias);
            for to in to.chunks_exact_mut(rows) {
                self.model.cpu.add(to, bias);
            }
        }
        Ok(())
    }

    /// Rotates the pairs of every head by the angles of its token's position.
    fn rotate(&mut self, heads: Span<f32>, width: usize) {
        let config = &self.model.config;
        let Some(rope) = config.rope else {
            return;
        };
        let heads = heads.part(0, self.tokens.len() * width);
        let rotation = self.model.buffers.rotation.range();
        let [rotation, heads] = self.working.disjoint([rotation, heads.range()]);
        let rotations = as_mut::<[f32; 2]>(rotation).chunks_exact(rope.size / 2);
        for (token, rotation) in as_mut::<f32>(heads).chunks_exact_mut(width).zip(rotations) {
            self.model
                .cpu
                .rotate(token, config.head_size, rotation, rope.halves);
        }
    }

    /// Puts the keys and values of the batch into the cache.
    fn store(&mut self, layer: usize) -> Result<(), NonFinite> {
        let Buffers { key, value, .. } = self.model.buffers;
        let width = self.model.config.kv_width();
        let cache = &self.model.cache;
        for (t, token) in self.tokens.iter().enumerate() {
            let (pool, table) = cache.spans(usize::from(token.session));
            let [pool, table, key, value] = self.working.disjoint([
                pool.range(),
                table.range(),
                key.part(t * width, width).range(),
                value.part(t * width, width).range(),
            ]);
            let (table, position) = (as_mut(table), token.position as usize);
            let rows = [&*as_mut(key), &*as_mut(value)];
            let cpu = self.model.cpu;
            cpu.store(cache.shape(), pool, table, layer, position, rows)?;
        }
        Ok(())
    }

    /// attended = softmax(q Kᵀ / √s) V for each token and head, over the cache as stored, up to the
    /// token itself.
    fn attend(&mut self, layer: usize) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let config = &self.model.config;
        let width = config.query_width();
        for (t, token) in self.tokens.iter().enumerate() {
            let (pool, table) = self.model.cache.spans(usize::from(token.session));
            let [
                query,
                attended,
                scores,
                quantized,
                query_scales,
                pool,
                table,
            ] = self.working.disjoint([
                buffers.query.part(t * width, width).range(),
                buffers.attended.part(t * width, width).range(),
                buffers.scores.range(),
                buffers.query_bytes.range(),
                buffers.query_scales.range(),
                pool.range(),
                table.range(),
            ]);
            self.model.cpu.attend(Attention {
                heads: config.heads,
                positions: token.position as usize + 1,
                query: as_mut(query),
                attended: as_mut(attended),
                scores: as_mut(scores),
                quantized: as_mut(quantized),
                query_scales: as_mut(query_scales),
                cache: CachedLayer {
                    shape: self.model.cache.shape(),
                    pool,
                    table: as_mut(table),
                    layer,
                },
            })?;
        }
        Ok(())
    }

    /// residual += normed, which holds a block's result.
    fn add_to_residual(&mut self) {
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        let len = self.tokens.len() * self.model.config.width;
        let [x, y] = [residual.part(0, len), normed.part(0, len)].map(|span| span.range());
        let [x, y] = self.working.disjoint([x, y]);
        self.model.cpu.add(as_mut(x), as_mut(y));
    }
}

fn multiply_floats(ty: TensorType, w: &[u8], columns: usize, x: &[f32], to: &mut [f32]) {
    match ty {
        TensorType::F16 => {
            let value = |w| f16::from_le_bytes(w).to_f32();
            scalar::matmul_float::<2>(w.as_chunks().0, columns, x, to, value);
        }
        TensorType::BF16 => {
            let value = |w| bf16::from_le_bytes(w).to_f32();
            scalar::matmul_float::<2>(w.as_chunks().0, columns, x, to, value);
        }
        _ => scalar::matmul_float::<4>(w.as_chunks().0, columns, x, to, f32::from_le_bytes),
    }
}

pub(crate) fn multiply_small(
    ty: TensorType,
    w: &[u8],
    blocks: usize,
    x: &[ActivationQ8],
    to: &mut [f32],
) {
    use scalar::matmul_small as matmul;
    match ty {
        TensorType::Q4_0 => matmul::<BlockQ4_0>(blocks_of(w), blocks, x, to, false),
        TensorType::Q4_1 => matmul::<BlockQ4_1>(blocks_of(w), blocks, x, to, true),
        TensorType::Q5_0 => matmul::<BlockQ5_0>(blocks_of(w), blocks, x, to, false),
        TensorType::Q5_1 => matmul::<BlockQ5_1>(blocks_of(w), blocks, x, to, true),
        TensorType::Q8_1 => matmul::<BlockQ8_1>(blocks_of(w), blocks, x, to, false),
        _ => matmul::<BlockQ8_0>(blocks_of(w), blocks, x, to, false),
    }
}

pub(crate) fn multiply_super(
    ty: TensorType,
    w: &[u8],
    blocks: usize,
    x: &[ActivationQ8K],
    to: &mut [f32],
) {
    use scalar::matmul_super as matmul;
    match ty {
        TensorType::Q2K => matmul::<BlockQ2K>(blocks_of(w), blocks, x, to, true),
        TensorType::Q3K => matmul::<BlockQ3K>(blocks_of(w), blocks, x, to, false),
        TensorType::Q4K => matmul::<BlockQ4K>(blocks_of(w), blocks, x, to, true),
        TensorType::Q5K => matmul::<BlockQ5K>(blocks_of(w), blocks, x, to, true),
        _ => matmul::<BlockQ6K>(blocks_of(w), blocks, x, to, false),
    }
}
