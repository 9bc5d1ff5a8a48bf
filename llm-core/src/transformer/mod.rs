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
//! model together: [`Model::begin`], then [`Model::advance`] twice a block, so that whoever calls can look
//! around in between.

mod config;
mod keys;
mod pass;
mod plan;
#[cfg(test)]
mod tests;
mod weights;

pub use config::{Architecture, Config, Rope};
pub use plan::{LoadOptions, Plan, Positions};

use crate::arena::{Arena, ArenaError, Frozen, Mark, as_mut};
use crate::gguf::{Gguf, GgufError, KeyError, Name};
use crate::kv_cache::{self, CacheFull, KvCache, KvType};
use crate::quantize::NonFinite;
use crate::simd::Cpu;
use crate::tokenizer::{Cell, Requirements, Vocabulary, VocabularyError};
use pass::Pass;
use plan::{Buffers, kv_shape};
use weights::{Checker, Loader, Weights};

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
    /// A key of the architecture is not known, or has a value that the engine cannot honour.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An architecture that the engine does not have.
    #[error("the architecture {0} is not supported (llama, qwen2 and gpt2 are)")]
    Architecture(Name),
    /// A key has a value that the engine cannot work with.
    #[error("{key} = {value} is not supported")]
    Value {
        /// The key.
        key: Name,
        /// Its value.
        value: u64,
    },
    /// A key has no finite number above 0, but must.
    #[error("{0} is not a finite number above 0")]
    NotPositive(Name),
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
        let tied = self.gguf.tensor("output.weight").is_none();
        for tensor in self.gguf.tensors() {
            let (elements, bytes) = (tensor.elements(), tensor.data.len() as u64);
            let is_output = tensor.name == "output.weight";
            let is_table = matches!(tensor.name, "token_embd.weight" | "position_embd.weight");
            if is_table {
                // One row.
                work.weight_bytes += bytes / tensor.rows().max(1);
            }
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

/// Tokens on their way through the model, between two stages.
#[derive(Clone, Debug)]
pub struct Batch {
    tokens: heapless::Vec<Token, MAX_BATCH>,
    /// Stages that they have been through: attention and feed-forward of each block, in turn.
    stage: usize,
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
        let (context, positions) = (plan.context as usize, plan.positions as usize);
        let kv = kv_shape(&config, context, positions, options);
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

    /// Takes back the room that `session` has beyond its first `positions` positions.
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
        arena.get(self.buffers.logits.part(0, self.config.vocabulary))
    }

    /// As [`Self::logits`], after the `output`-th of these tokens.
    ///
    /// # Panics
    /// There are not so many sessions.
    #[must_use]
    pub fn logits_of<'a>(&self, arena: &'a Arena<'_>, output: usize) -> &'a [f32] {
        let vocabulary = self.config.vocabulary;
        arena.get(self.buffers.logits.part(output * vocabulary, vocabulary))
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
            stage: 0,
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

    /// Runs a batch through its next stage: a block's attention, which stores the keys and values of its tokens;
    /// a block's feed-forward layer; or, after the last block, the logits that are wanted. True when there is no
    /// other.
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
        let pass = self.pass(arena, batch);
        let ended = self.run_stage(pass, batch.stage)?;
        batch.stage += 1;
        Ok(ended)
    }

    /// As [`Self::advance`]; `observer` is told the number in the file of each matrix and what it is multiplied with, token
    /// after token. The rows of a fused tensor are one.
    ///
    /// # Errors
    /// As [`Self::advance`].
    #[cfg(feature = "observe")]
    pub fn advance_observed(
        &self,
        arena: &mut Arena<'_>,
        batch: &mut Batch,
        observer: &mut Observer<'_>,
    ) -> Result<bool, NonFinite> {
        if batch.tokens.is_empty() {
            return Ok(true);
        }
        let mut observe = |tensor: usize, x: &[f32]| observer(tensor, x);
        let mut pass = self.pass(arena, batch);
        pass.observer = Some(&mut observe);
        let ended = self.run_stage(pass, batch.stage)?;
        batch.stage += 1;
        Ok(ended)
    }

    /// Runs a stage; true if it is the last one.
    fn run_stage(&self, mut pass: Pass<'_>, stage: usize) -> Result<bool, NonFinite> {
        let Some(layer) = self.weights.layers.get(stage / 2) else {
            pass.logits()?;
            return Ok(true);
        };
        if stage.is_multiple_of(2) {
            pass.attention(stage / 2, layer)?;
        } else {
            pass.feed_forward(layer)?;
        }
        Ok(false)
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
            #[cfg(feature = "observe")]
            observer: None,
        }
    }
}

/// What is told the number of a matrix's tensor in the file, and what the matrix is multiplied with: for every token
/// as many values as it has columns.
#[cfg(feature = "observe")]
pub type Observer<'o> = dyn FnMut(usize, &[f32]) + 'o;

/// What [`Model::workspace`] lends.
pub(crate) struct Workspace<'a> {
    pub(crate) frozen: Frozen<'a>,
    pub(crate) tokens: &'a mut [u32],
    pub(crate) cells: &'a mut [Cell],
    pub(crate) logits: &'a mut [f32],
    pub(crate) candidates: &'a mut [crate::sampling::Candidate],
}
