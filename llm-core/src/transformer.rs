//! The llama architecture, and its forward pass.
//!
//! With x ∈ ℝ^d the residual stream, per block
//!
//! ```text
//!   h = RMSNorm(x);  q = RoPE(W_q h), k = RoPE(W_k h), v = W_v h
//!   x += W_o · concat_h( softmax(q_h K_g(h)ᵀ / √s) V_g(h) )        grouped-query attention
//!   h = RMSNorm(x);  x += W_down ( silu(W_gate h) ⊙ W_up h )       SwiGLU
//! ```
//!
//! and logits = W_out RMSNorm(x). s is the head size, g(h) = h · kv_heads / heads. Sources: Touvron
//! et al., *LLaMA* (2023); Su et al., *RoFormer* (2021), with the interleaved pairs that GGUF's
//! `llama` files use; Ainslie et al., *GQA* (2023). Tensor and key names are GGUF's.
//!
//! [`Checked::new`] reads a whole file without changing anything, so that a bad one never costs the
//! model that is loaded; [`Model::load`] then copies it into the arena.

use crate::arena::{Arena, ArenaError, Frozen, Mark, Purpose, Span, Working, as_mut, bytes_of};
use crate::gguf::{self, Gguf, GgufError, Name, TensorInfo};
use crate::kv_cache::{KvCache, KvType, RowSpan};
use crate::quantize::{
    self, ActivationQ8, BLOCK, NonFinite, TensorType, max_magnitude, quantize_activations,
};
use crate::simd::scalar;
use crate::tokenizer::{Cell, Requirements, Vocabulary, VocabularyError, scratch_cells};
use core::fmt::Write as _;
use half::f16;

/// Most blocks that a model may have; the handles of their tensors are kept outside the arena.
pub const MAX_LAYERS: usize = 64;

/// Widest vector of a model, in elements. With it no size computation overflows 64 bits.
const MAX_WIDTH: u32 = 1 << 17;

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
    #[error("the architecture {0} is not supported (llama is)")]
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
    /// Longest prompt in bytes: the tokenizer's scratch is made for it.
    pub max_prompt_bytes: usize,
}

/// Hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Longest context that the model was made for.
    pub context_length: usize,
    /// Width of the residual stream, d.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a head, s.
    pub head_size: usize,
    /// Elements of a head that are rotated.
    pub rope_size: usize,
    /// Base of the rotation's wavelengths.
    pub rope_base: f32,
    /// Positions are multiplied by this (linear scaling; 1 for none).
    pub rope_scale: f32,
    /// ε of RMSNorm.
    pub epsilon: f32,
    /// Tokens.
    pub vocabulary: usize,
}

impl Config {
    /// Reads and checks the hyperparameters.
    ///
    /// # Errors
    /// A key is missing, of the wrong type, or out of what the engine can do.
    pub fn from_gguf(gguf: &Gguf<'_>, vocabulary: usize) -> Result<Self, LoadError> {
        let architecture = gguf.str_of("general.architecture")?;
        if architecture != "llama" {
            return Err(LoadError::Architecture(gguf::name(architecture.as_bytes())));
        }
        let positive = |key: &str, default: Option<u32>, max: u32| {
            let value = match (gguf.u32_opt(key)?, default) {
                (Some(value), _) => value,
                (None, Some(default)) => default,
                (None, None) => gguf.u32_of(key)?,
            };
            if value == 0 || value > max {
                Err(bad_value(key, u64::from(value)))
            } else {
                Ok(value)
            }
        };
        let fraction = |key: &str, default: Option<f32>| {
            let value = match (gguf.f32_opt(key)?, default) {
                (Some(value), _) => value,
                (None, Some(default)) => default,
                (None, None) => gguf.f32_of(key)?,
            };
            // Also false for NaN.
            if value > 0.0 && value.is_finite() {
                Ok(value)
            } else {
                Err(bad_value(key, value as u64))
            }
        };
        let width = positive("llama.embedding_length", None, MAX_WIDTH)?;
        let heads = positive("llama.attention.head_count", None, width)?;
        let kv_heads = positive("llama.attention.head_count_kv", Some(heads), heads)?;
        if heads % kv_heads != 0 {
            return Err(bad_value(
                "llama.attention.head_count_kv",
                u64::from(kv_heads),
            ));
        }
        let key_length = "llama.attention.key_length";
        if gguf.u32_opt(key_length)?.is_none() && width % heads != 0 {
            return Err(bad_value("llama.attention.head_count", u64::from(heads)));
        }
        let head_size = positive(key_length, Some(width / heads), MAX_WIDTH / heads)?;
        let value_length = positive(
            "llama.attention.value_length",
            Some(head_size),
            MAX_WIDTH / heads,
        )?;
        if value_length != head_size {
            return Err(bad_value(
                "llama.attention.value_length",
                u64::from(value_length),
            ));
        }
        let rope_size = positive("llama.rope.dimension_count", Some(head_size), head_size)?;
        if rope_size % 2 != 0 {
            return Err(bad_value(
                "llama.rope.dimension_count",
                u64::from(rope_size),
            ));
        }
        let rope_scale = match gguf.str_opt("llama.rope.scaling.type")? {
            None | Some("none") => 1.0,
            Some("linear") => 1.0 / fraction("llama.rope.scaling.factor", None)?,
            Some(method) => {
                return Err(LoadError::Method {
                    key: gguf::name(b"llama.rope.scaling.type"),
                    value: gguf::name(method.as_bytes()),
                });
            }
        };
        Ok(Self {
            context_length: positive("llama.context_length", None, u32::MAX)? as usize,
            width: width as usize,
            layers: positive("llama.block_count", None, MAX_LAYERS as u32)? as usize,
            feed_forward: positive("llama.feed_forward_length", None, MAX_WIDTH)? as usize,
            heads: heads as usize,
            kv_heads: kv_heads as usize,
            head_size: head_size as usize,
            rope_size: rope_size as usize,
            rope_base: fraction("llama.rope.freq_base", Some(10_000.0))?,
            rope_scale,
            epsilon: fraction("llama.attention.layer_norm_rms_epsilon", None)?,
            vocabulary,
        })
    }

    /// Width of all query heads together.
    #[must_use]
    pub const fn query_width(&self) -> usize {
        self.heads * self.head_size
    }

    /// Width of all key heads together.
    #[must_use]
    pub const fn kv_width(&self) -> usize {
        self.kv_heads * self.head_size
    }

    /// Widest vector that a matrix is multiplied with.
    const fn widest(&self) -> usize {
        let mut widest = self.width;
        if self.query_width() > widest {
            widest = self.query_width();
        }
        if self.feed_forward > widest {
            widest = self.feed_forward;
        }
        widest
    }
}

fn bad_value(key: &str, value: u64) -> LoadError {
    LoadError::Value {
        key: gguf::name(key.as_bytes()),
        value,
    }
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

/// The seven matrices of a block, as [`Checked::new`] finds them in a file.
const LAYER_TENSORS: [&str; 9] = [
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate",
    "ffn_up",
    "ffn_down",
];

/// A matrix in the arena, [rows, columns], row by row as in the file. How it lies there is this
/// module's own business.
#[derive(Clone, Copy, Debug)]
struct Matrix {
    ty: TensorType,
    rows: usize,
    columns: usize,
    data: Span<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Layer {
    attention_norm: Span<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    feed_forward_norm: Span<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

/// A file that has been checked from beginning to end and can be loaded.
#[derive(Debug)]
pub struct Checked<'a> {
    gguf: Gguf<'a>,
    config: Config,
    vocabulary: Requirements,
    tied: bool,
    weight_bytes: u64,
    parameters: u64,
}

/// A model in an arena.
#[derive(Debug)]
pub struct Model {
    config: Config,
    vocabulary: Vocabulary,
    embedding: Matrix,
    layers: heapless::Vec<Layer, MAX_LAYERS>,
    output_norm: Span<f32>,
    /// `None`: tied, the embedding is used.
    output: Option<Matrix>,
    cache: KvCache,
    buffers: Buffers,
    /// Everything below is read-only once the model is loaded.
    frozen: Mark,
    parameters: u64,
}

/// Working memory of the forward pass and of what surrounds it.
#[derive(Clone, Copy, Debug)]
struct Buffers {
    residual: Span<f32>,
    normed: Span<f32>,
    quantised: Span<ActivationQ8>,
    query: Span<f32>,
    attended: Span<f32>,
    key: Span<f32>,
    value: Span<f32>,
    scores: Span<f32>,
    rotation: Span<[f32; 2]>,
    gate: Span<f32>,
    up: Span<f32>,
    logits: Span<f32>,
    candidates: Span<crate::sampling::Candidate>,
    tokens: Span<u32>,
    cells: Span<Cell>,
}

impl Buffers {
    /// Runs `take` over the sizes of all buffers: once to count them, once to allocate them.
    fn lay_out(
        config: &Config,
        context: usize,
        max_prompt_bytes: usize,
        arena: &mut impl Allocate,
    ) -> Result<Self, ArenaError> {
        Ok(Self {
            residual: arena.take(config.width)?,
            normed: arena.take(config.widest())?,
            quantised: arena.take(config.widest().div_ceil(BLOCK))?,
            query: arena.take(config.query_width())?,
            attended: arena.take(config.query_width())?,
            key: arena.take(config.kv_width())?,
            value: arena.take(config.kv_width())?,
            scores: arena.take(context)?,
            rotation: arena.take(config.rope_size / 2)?,
            gate: arena.take(config.feed_forward)?,
            up: arena.take(config.feed_forward)?,
            logits: arena.take(config.vocabulary)?,
            candidates: arena.take(config.vocabulary)?,
            tokens: arena.take(context)?,
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
        self.alloc(len, Purpose::Activations)
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
        let architecture = gguf.str_of("general.architecture")?;
        if architecture != "llama" {
            return Err(LoadError::Architecture(gguf::name(architecture.as_bytes())));
        }
        let vocabulary = Vocabulary::check(&gguf)?;
        let config = Config::from_gguf(&gguf, vocabulary.tokens)?;
        let tied = gguf.tensor("output.weight").is_none();
        let mut checked = Self {
            gguf,
            config,
            vocabulary,
            tied,
            weight_bytes: 0,
            parameters: 0,
        };
        let mut known = 0;
        let mut weight_bytes = 0u64;
        let mut parameters = 0u64;
        checked.for_each_tensor(|tensor, is_norm, rows, columns| {
            known += 1;
            let data = check_tensor(&tensor, is_norm, rows, columns)?;
            weight_bytes = weight_bytes.saturating_add(data.next_multiple_of(64) as u64);
            parameters = parameters.saturating_add(tensor.elements());
            Ok(())
        })?;
        checked.weight_bytes = weight_bytes;
        checked.parameters = parameters;
        if known != checked.gguf.tensor_count() {
            checked.refuse_unknown_tensors()?;
        }
        Ok(checked)
    }

    /// Every tensor of the model, with whether it is a norm and the shape that it must have.
    fn for_each_tensor(
        &self,
        mut visit: impl FnMut(TensorInfo<'a>, bool, usize, usize) -> Result<(), LoadError>,
    ) -> Result<(), LoadError> {
        let config = &self.config;
        let (width, queries, keys) = (config.width, config.query_width(), config.kv_width());
        let feed_forward = config.feed_forward;
        visit(
            self.gguf.require("token_embd.weight")?,
            false,
            config.vocabulary,
            width,
        )?;
        for layer in 0..config.layers {
            for tensor in LAYER_TENSORS {
                let (rows, columns) = match tensor {
                    "attn_q" => (queries, width),
                    "attn_k" | "attn_v" => (keys, width),
                    "attn_output" => (width, queries),
                    "ffn_gate" | "ffn_up" => (feed_forward, width),
                    "ffn_down" => (width, feed_forward),
                    _ => (1, width),
                };
                let tensor = self.gguf.require(&layer_tensor_name(layer, tensor))?;
                visit(
                    tensor,
                    rows == 1 && columns == width && tensor.rank == 1,
                    rows,
                    columns,
                )?;
            }
        }
        visit(self.gguf.require("output_norm.weight")?, true, 1, width)?;
        if !self.tied {
            visit(
                self.gguf.require("output.weight")?,
                false,
                config.vocabulary,
                width,
            )?;
        }
        Ok(())
    }

    /// A tensor that the forward pass would leave out silently is an error.
    fn refuse_unknown_tensors(&self) -> Result<(), LoadError> {
        for tensor in self.gguf.tensors() {
            let mut known = false;
            self.for_each_tensor(|other, _, _, _| {
                known |= other.name == tensor.name;
                Ok(())
            })?;
            if !known {
                return Err(LoadError::UnknownTensor(gguf::name(tensor.name.as_bytes())));
            }
        }
        Ok(())
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

    /// Bytes that the model takes, exactly, in an arena of `capacity` bytes.
    ///
    /// # Errors
    /// It does not fit: [`LoadError::TooLarge`] with the plan.
    pub fn plan(&self, options: &LoadOptions, capacity: usize) -> Result<Plan, LoadError> {
        let context = options.context.min(self.config.context_length);
        let mut plan = self.plan_for(context, options, capacity);
        if plan.total() <= plan.capacity {
            return Ok(plan);
        }
        // Bytes grow with the context, so the largest that fits is found by halving.
        let (mut fits, mut too_long) = (0, context);
        while too_long - fits > 1 {
            let middle = fits + (too_long - fits) / 2;
            let there = self.plan_for(middle, options, capacity);
            if there.total() <= there.capacity {
                fits = middle
            } else {
                too_long = middle
            }
        }
        plan.largest_context = fits as u64;
        Err(LoadError::TooLarge(plan))
    }

    fn plan_for(&self, context: usize, options: &LoadOptions, capacity: usize) -> Plan {
        let config = &self.config;
        let mut counter = Counter(0);
        // The counter never fails.
        let _ = Buffers::lay_out(config, context, options.max_prompt_bytes, &mut counter);
        let kv = KvCache::bytes(options.kv, config.layers, context, config.kv_width());
        Plan {
            weights: self.weight_bytes,
            // A third of the range, so that totals cannot overflow.
            kv_cache: kv.map_or(u64::MAX / 3, |bytes| bytes as u64),
            activations: counter.0.min(u64::MAX / 3),
            vocabulary: self.vocabulary.bytes().next_multiple_of(64) as u64,
            context: context as u64,
            capacity: capacity as u64,
            largest_context: context as u64,
        }
    }
}

fn layer_tensor_name(layer: usize, tensor: &str) -> heapless::String<32> {
    let mut name = heapless::String::new();
    // Two digits and at most eleven letters fit.
    let _ = write!(name, "blk.{layer}.{tensor}.weight");
    name
}

/// Checks shape, type and values; returns the bytes that the tensor takes once it is loaded.
fn check_tensor(
    tensor: &TensorInfo<'_>,
    is_norm: bool,
    rows: usize,
    columns: usize,
) -> Result<usize, LoadError> {
    let name = || gguf::name(tensor.name.as_bytes());
    if (tensor.columns(), tensor.rows()) != (columns as u64, rows as u64) {
        return Err(LoadError::Shape {
            tensor: name(),
            columns: tensor.columns(),
            rows: tensor.rows(),
            expected_columns: columns as u64,
            expected_rows: rows as u64,
        });
    }
    let block = tensor.ty.block_len();
    if (is_norm && block != 1) || !columns.is_multiple_of(block) {
        return Err(LoadError::Type {
            tensor: name(),
            ty: tensor.ty.name(),
        });
    }
    if !quantize::is_finite(tensor.ty, tensor.data) {
        return Err(LoadError::NonFinite(name()));
    }
    Ok(if is_norm {
        columns * size_of::<f32>()
    } else {
        tensor.data.len()
    })
}

impl Model {
    /// Copies a checked model into `arena`, which is emptied first, and makes room for one session.
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
        let embedding = load_matrix(&gguf.require("token_embd.weight")?, arena)?;
        let mut layers = heapless::Vec::new();
        for index in 0..config.layers {
            let tensor = |name| gguf.require(&layer_tensor_name(index, name));
            let layer = Layer {
                attention_norm: load_norm(&tensor("attn_norm")?, arena)?,
                query: load_matrix(&tensor("attn_q")?, arena)?,
                key: load_matrix(&tensor("attn_k")?, arena)?,
                value: load_matrix(&tensor("attn_v")?, arena)?,
                output: load_matrix(&tensor("attn_output")?, arena)?,
                feed_forward_norm: load_norm(&tensor("ffn_norm")?, arena)?,
                gate: load_matrix(&tensor("ffn_gate")?, arena)?,
                up: load_matrix(&tensor("ffn_up")?, arena)?,
                down: load_matrix(&tensor("ffn_down")?, arena)?,
            };
            // `Config` has at most MAX_LAYERS.
            let _ = layers.push(layer);
        }
        let output_norm = load_norm(&gguf.require("output_norm.weight")?, arena)?;
        let output = match checked.tied {
            true => None,
            false => Some(load_matrix(&gguf.require("output.weight")?, arena)?),
        };
        let vocabulary = Vocabulary::load(gguf, arena)?;
        let frozen = arena.mark();
        let context = plan.context as usize;
        let kv_width = config.kv_width();
        let cache = KvCache::new(arena, options.kv, config.layers, context, kv_width)?;
        let buffers = Buffers::lay_out(&config, context, options.max_prompt_bytes, arena)?;
        debug_assert_eq!(
            arena.usage().current as u64,
            plan.total(),
            "the plan is exact"
        );
        Ok(Self {
            config,
            vocabulary,
            embedding,
            layers,
            output_norm,
            output,
            cache,
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
        self.cache.context()
    }

    /// The vocabulary.
    #[must_use]
    pub const fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The logits of the last token that [`Self::forward`] was asked them for.
    #[must_use]
    pub fn logits<'a>(&self, arena: &'a Arena<'_>) -> &'a [f32] {
        arena.get(self.buffers.logits)
    }

    /// The frozen part of the arena and the buffers that surround the forward pass: tokens of the
    /// session, tokenizer scratch, logits and sampling candidates.
    pub(crate) fn workspace<'a>(&self, arena: &'a mut Arena<'_>) -> Workspace<'a> {
        let (frozen, working) = arena.split(self.frozen);
        let buffers = &self.buffers;
        let [tokens, cells, logits, candidates] = working.into_disjoint([
            buffers.tokens.range(),
            buffers.cells.range(),
            buffers.logits.range(),
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

    /// Runs `token` at `position` through all blocks: stores its keys and values, and with
    /// `want_logits` computes the logits of the token after it.
    ///
    /// Work is a function of (model, position) alone.
    ///
    /// # Errors
    /// A value was not finite. The session is lost, the model is not.
    ///
    /// # Panics
    /// `token` or `position` is out of range: the caller has checked them.
    pub fn forward(
        &self,
        arena: &mut Arena<'_>,
        token: u32,
        position: usize,
        want_logits: bool,
    ) -> Result<(), NonFinite> {
        assert!((token as usize) < self.config.vocabulary && position < self.context());
        let (frozen, mut working) = arena.split(self.frozen);
        let mut pass = Pass {
            model: self,
            frozen,
            working: &mut working,
            position,
        };
        pass.embed(token);
        pass.compute_rotation();
        for (index, layer) in self.layers.iter().enumerate() {
            pass.attention(index, layer)?;
            pass.feed_forward(layer)?;
        }
        if want_logits {
            pass.logits()?;
        }
        Ok(())
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

fn load_matrix(tensor: &TensorInfo<'_>, arena: &mut Arena<'_>) -> Result<Matrix, LoadError> {
    let data = arena.alloc::<u8>(tensor.data.len(), Purpose::Weights)?;
    arena.get_mut(data).copy_from_slice(tensor.data);
    let (rows, columns) = (tensor.rows() as usize, tensor.columns() as usize);
    Ok(Matrix {
        ty: tensor.ty,
        rows,
        columns,
        data,
    })
}

fn load_norm(tensor: &TensorInfo<'_>, arena: &mut Arena<'_>) -> Result<Span<f32>, LoadError> {
    let span = arena.alloc::<f32>(tensor.columns() as usize, Purpose::Weights)?;
    // Shape and type were checked.
    let _ = quantize::dequantize_row(tensor.ty, tensor.data, arena.get_mut(span));
    Ok(span)
}

/// One token on its way through the model.
struct Pass<'p, 'a> {
    model: &'p Model,
    frozen: Frozen<'a>,
    working: &'p mut Working<'a>,
    position: usize,
}

impl Pass<'_, '_> {
    /// x = E\[token\].
    fn embed(&mut self, token: u32) {
        let Matrix { ty, rows, data, .. } = self.model.embedding;
        let row_bytes = data.len() / rows;
        let row = self
            .frozen
            .get(data.part(token as usize * row_bytes, row_bytes));
        let x = self.working.get_mut(self.model.buffers.residual);
        // The row's length was checked when the model was loaded.
        let _ = quantize::dequantize_row(ty, row, x);
    }

    /// (cos, sin) of p · scale · base^(−2i/n), the angle of pair i at position p. The powers are
    /// multiplied up as ggml's `ggml_rope_cache_init` does, so that angles agree with its.
    fn compute_rotation(&mut self) {
        let config = &self.model.config;
        let step = libm::powf(config.rope_base, -2.0 / config.rope_size as f32);
        let mut theta = self.position as f32;
        for pair in self.working.get_mut(self.model.buffers.rotation) {
            let angle = config.rope_scale * theta;
            *pair = [libm::cosf(angle), libm::sinf(angle)];
            theta *= step;
        }
    }

    /// x += W_o · attention(RMSNorm(x)).
    fn attention(&mut self, index: usize, layer: &Layer) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        self.norm(layer.attention_norm)?;
        self.multiply(&layer.query, buffers.normed, buffers.query)?;
        self.multiply(&layer.key, buffers.normed, buffers.key)?;
        self.multiply(&layer.value, buffers.normed, buffers.value)?;
        self.rotate(buffers.query);
        self.rotate(buffers.key);
        self.store(index)?;
        self.attend(index);
        self.multiply(&layer.output, buffers.attended, buffers.normed)?;
        self.add_to_residual();
        Ok(())
    }

    /// x += W_down (silu(W_gate h) ⊙ W_up h), h = RMSNorm(x).
    fn feed_forward(&mut self, layer: &Layer) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        self.norm(layer.feed_forward_norm)?;
        self.multiply(&layer.gate, buffers.normed, buffers.gate)?;
        self.multiply(&layer.up, buffers.normed, buffers.up)?;
        let [gate, up] = self
            .working
            .disjoint([buffers.gate.range(), buffers.up.range()]);
        scalar::swiglu(as_mut(gate), as_mut(up));
        self.multiply(&layer.down, buffers.gate, buffers.normed)?;
        self.add_to_residual();
        Ok(())
    }

    /// logits = W_out · RMSNorm(x).
    fn logits(&mut self) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let output = self.model.output.unwrap_or(self.model.embedding);
        self.norm(self.model.output_norm)?;
        self.multiply(&output, buffers.normed, buffers.logits)?;
        max_magnitude(self.working.get_mut(buffers.logits)).map(|_| ())
    }

    /// normed = RMSNorm(residual).
    fn norm(&mut self, weight: Span<f32>) -> Result<(), NonFinite> {
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        let [x, out] = self.working.disjoint([residual.range(), normed.range()]);
        let (x, out) = (as_mut::<f32>(x), as_mut::<f32>(out));
        max_magnitude(x)?;
        let epsilon = self.model.config.epsilon;
        scalar::rms_norm(x, self.frozen.get(weight), epsilon, &mut out[..x.len()]);
        Ok(())
    }

    /// to = matrix · from; `from` and `to` may be longer than the matrix needs.
    fn multiply(
        &mut self,
        matrix: &Matrix,
        from: Span<f32>,
        to: Span<f32>,
    ) -> Result<(), NonFinite> {
        let data = self.frozen.get(matrix.data);
        let quantised = self.model.buffers.quantised.range();
        let [from, quantised, to] = self.working.disjoint([from.range(), quantised, to.range()]);
        let from = &as_mut::<f32>(from)[..matrix.columns];
        let to = &mut as_mut::<f32>(to)[..matrix.rows];
        match matrix.ty {
            TensorType::F32 => {
                max_magnitude(from)?;
                scalar::matvec_f32(data.as_chunks().0, from, to);
            }
            TensorType::F16 => {
                max_magnitude(from)?;
                scalar::matvec_f16(data.as_chunks().0, from, to);
            }
            TensorType::Q8_0 | TensorType::Q4_0 => {
                let x = &mut as_mut::<ActivationQ8>(quantised)[..matrix.columns / BLOCK];
                quantize_activations(from, x)?;
                if matrix.ty == TensorType::Q8_0 {
                    scalar::matvec_q8_0(data, x, to);
                } else {
                    scalar::matvec_q4_0(data, x, to);
                }
            }
        }
        Ok(())
    }

    /// Rotates the pairs (2i, 2i + 1) of every head by the angles of the position.
    fn rotate(&mut self, heads: Span<f32>) {
        let Buffers { rotation, .. } = self.model.buffers;
        let [rotation, heads] = self.working.disjoint([rotation.range(), heads.range()]);
        let rotation = as_mut::<[f32; 2]>(rotation);
        for head in as_mut::<f32>(heads).chunks_exact_mut(self.model.config.head_size) {
            for (pair, [cos, sin]) in head.as_chunks_mut::<2>().0.iter_mut().zip(&*rotation) {
                let [a, b] = *pair;
                *pair = [a * cos - b * sin, a * sin + b * cos];
            }
        }
    }

    /// Puts this position's keys and values into the cache.
    fn store(&mut self, layer: usize) -> Result<(), NonFinite> {
        let Buffers { key, value, .. } = self.model.buffers;
        let (keys, values) = self.model.cache.rows(layer, self.position + 1);
        for (from, to) in [(key, keys), (value, values)] {
            let [from, rows] = self.working.disjoint([from.range(), to.range()]);
            let from = as_mut::<f32>(from);
            max_magnitude(from)?;
            match to {
                RowSpan::F32(_) => {
                    let rows = as_mut::<f32>(rows);
                    let start = rows.len() - from.len();
                    rows[start..].copy_from_slice(from);
                }
                RowSpan::F16(_) => {
                    let rows = as_mut::<f16>(rows);
                    let start = rows.len() - from.len();
                    for (to, from) in rows[start..].iter_mut().zip(from) {
                        *to = f16::from_f32(*from);
                        if !to.is_finite() {
                            return Err(NonFinite);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// attended = softmax(q Kᵀ / √s) V, head by head, over the cache as stored.
    fn attend(&mut self, layer: usize) {
        let Buffers {
            query,
            attended,
            scores,
            ..
        } = self.model.buffers;
        let (keys, values) = self.model.cache.rows(layer, self.position + 1);
        let [query, attended, scores, key_rows, value_rows] = self.working.disjoint([
            query.range(),
            attended.range(),
            scores.part(0, self.position + 1).range(),
            keys.range(),
            values.range(),
        ]);
        let heads = Heads {
            config: &self.model.config,
            query: as_mut(query),
            attended: as_mut(attended),
            scores: as_mut(scores),
        };
        match keys {
            RowSpan::F32(_) => {
                heads.attend::<f32>(as_mut(key_rows), as_mut(value_rows), scalar::dot_f32, |v| v)
            }
            RowSpan::F16(_) => heads.attend::<f16>(
                as_mut(key_rows),
                as_mut(value_rows),
                scalar::dot_f16,
                f16::to_f32,
            ),
        }
    }

    /// residual += normed, which holds a block's result.
    fn add_to_residual(&mut self) {
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        let [x, y] = self.working.disjoint([residual.range(), normed.range()]);
        scalar::add(as_mut(x), as_mut(y));
    }
}

/// Attention of one position, over all its heads.
struct Heads<'h> {
    config: &'h Config,
    query: &'h mut [f32],
    attended: &'h mut [f32],
    scores: &'h mut [f32],
}

impl Heads<'_> {
    /// For each head: scores over all positions, softmax in two passes, then every output element
    /// adds p · v over ascending positions; the division by the sum comes last.
    fn attend<T: Copy>(
        self,
        keys: &[T],
        values: &[T],
        dot: impl Fn(&[f32], &[T]) -> f32,
        to_f32: impl Fn(T) -> f32,
    ) {
        let Config {
            heads,
            kv_heads,
            head_size,
            ..
        } = *self.config;
        let row = kv_heads * head_size;
        let scale = 1.0 / libm::sqrtf(head_size as f32);
        let outputs = self.attended.chunks_exact_mut(head_size);
        for (head, (query, out)) in self.query.chunks_exact(head_size).zip(outputs).enumerate() {
            let start = head * kv_heads / heads * head_size;
            for (score, keys) in self.scores.iter_mut().zip(keys.chunks_exact(row)) {
                *score = dot(query, &keys[start..start + head_size]) * scale;
            }
            let sum = scalar::softmax_numerators(self.scores);
            out.fill(0.0);
            for (p, values) in self.scores.iter().zip(values.chunks_exact(row)) {
                for (out, &v) in out.iter_mut().zip(&values[start..start + head_size]) {
                    *out += p * to_f32(v);
                }
            }
            for out in out {
                *out /= sum;
            }
        }
    }
}
