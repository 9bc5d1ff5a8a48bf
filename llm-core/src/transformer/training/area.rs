//! The memory of a training job: global data, data of an example, and data of a chunk of its tokens.

use crate::arena::{ArenaError, Span};
use crate::kv_cache::{BLOCK_POSITIONS, KvShape, KvType};
use crate::quantize::{ActivationQ8, BLOCK};
use crate::simd::attention::GROUP;
use crate::simd::backward::Peak;
use crate::transformer::buffers::Allocate;
use crate::transformer::config::Config;
use crate::transformer::families::{Gate, HeadNorm};

/// Rows of a matrix that are dequantised together. With more rows, the sums are read and written less often, but the
/// rows should fit a cache.
pub(super) const ROWS: usize = 32;

/// Logits of a token held in memory at a time. This affects results, because their exponentials are summed in this
/// order.
pub(super) const LOGITS: usize = 256;

/// What the sizes of the spans depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Number of examples in the data.
    pub(super) examples: usize,
    /// Total tokens of all examples.
    pub(super) tokens: usize,
    /// Tokens of the longest example.
    pub(super) longest: usize,
    /// Rank of the adapter.
    pub(super) rank: usize,
    /// Number of parameters of the adapter.
    pub(super) parameters: usize,
    /// Bytes of the adapter's file.
    pub(super) file: usize,
    /// Number of tokens processed together.
    pub(super) chunk: usize,
}

impl Sizes {
    /// Positions of the longest example. Its last token needs none, because nothing follows it.
    pub(super) const fn positions(&self) -> usize {
        self.longest.saturating_sub(1)
    }
}

/// An example: the end of its tokens in the list of all tokens, and the index in it of the first token that it teaches.
pub(super) type Example = [u32; 2];

/// The spans; see the module. Per-token data are repeated for each token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    /// The adapter.
    pub(super) parameters: Span<f32>,
    /// Gradients, their means and mean squares, each as many as there are parameters. At the end, the adapter's file.
    pub(super) moments: Span<f32>,
    pub(super) tokens: Span<u32>,
    pub(super) examples: Span<Example>,
    /// The order of the examples in an epoch.
    pub(super) order: Span<u32>,
    /// The angles of all positions.
    pub(super) rotation: Span<[f32; 2]>,

    /// Input of each block, and output of the last one; later the gradient of the latter.
    pub(super) inputs: Span<f32>,
    /// Keys and values of one block, as in a float cache.
    pub(super) cache: Span<u8>,
    /// Their gradients.
    pub(super) cache_back: Span<f32>,
    /// The table of that cache.
    pub(super) table: Span<u16>,

    /// Input of attention.
    pub(super) entered: Span<f32>,
    pub(super) query: Span<f32>,
    pub(super) key: Span<f32>,
    pub(super) value: Span<f32>,
    /// Queries and keys before their norm, if they have one.
    pub(super) plain_query: Span<f32>,
    pub(super) plain_key: Span<f32>,
    pub(super) attended: Span<f32>,
    /// Output of a half of a block, before its norm.
    pub(super) result: Span<f32>,
    /// The same after norm and scale.
    pub(super) added: Span<f32>,
    /// The residual stream between attention and the feed-forward layer.
    pub(super) middle: Span<f32>,
    /// Input of the feed-forward layer.
    pub(super) inner_entered: Span<f32>,
    pub(super) gate: Span<f32>,
    pub(super) up: Span<f32>,
    /// Input of its last matrix.
    pub(super) inner: Span<f32>,
    /// Gradients of the spans with the same names.
    pub(super) result_back: Span<f32>,
    pub(super) entered_back: Span<f32>,
    pub(super) inner_entered_back: Span<f32>,
    pub(super) inner_back: Span<f32>,
    pub(super) query_back: Span<f32>,
    pub(super) key_back: Span<f32>,
    pub(super) value_back: Span<f32>,
    pub(super) attended_back: Span<f32>,
    pub(super) quantised: Span<ActivationQ8>,
    /// Products of activations with A, and their gradient.
    pub(super) low: Span<f32>,
    pub(super) low_back: Span<f32>,
    pub(super) logits: Span<f32>,
    pub(super) peaks: Span<Peak>,
    /// The logits of the target tokens.
    pub(super) targets: Span<f32>,

    /// For a token: the weights of its positions.
    pub(super) scores: Span<f32>,
    /// Rows of a matrix.
    pub(super) rows: Span<f32>,
}

impl Area {
    /// Calls `take` with the sizes of all spans: once to count them, once to allocate them.
    pub(super) fn lay_out(
        config: &Config,
        sizes: &Sizes,
        arena: &mut impl Allocate,
    ) -> Result<Self, ArenaError> {
        let positions = sizes.positions();
        let chunk = sizes.chunk.min(positions);
        let (width, inner) = (config.width, config.feed_forward);
        let (queries, keys) = (config.query_width(), config.kv_width());
        let pairs = config.rope.map_or(0, |rope| rope.tables() * rope.size / 2);
        let normed = usize::from(config.block.heads != HeadNorm::None);
        let gated = usize::from(config.block.gate != Gate::None);
        let cached = cache_floats(config, positions);
        let moments = (3 * sizes.parameters).max(sizes.file.div_ceil(4));
        Ok(Self {
            parameters: arena.take(sizes.parameters)?,
            moments: arena.take(moments)?,
            tokens: arena.take(sizes.tokens)?,
            examples: arena.take(sizes.examples)?,
            order: arena.take(sizes.examples)?,
            rotation: arena.take(positions * pairs)?,
            inputs: arena.take((config.layers + 1) * positions * width)?,
            cache: arena.take(cached * size_of::<f32>())?,
            cache_back: arena.take(cached)?,
            table: arena.take(1 + positions.div_ceil(BLOCK_POSITIONS))?,
            entered: arena.take(chunk * width)?,
            query: arena.take(chunk * queries)?,
            key: arena.take(chunk * keys)?,
            value: arena.take(chunk * keys)?,
            plain_query: arena.take(chunk * queries * normed)?,
            plain_key: arena.take(chunk * keys * normed)?,
            attended: arena.take(chunk * queries)?,
            result: arena.take(chunk * width)?,
            added: arena.take(chunk * width)?,
            middle: arena.take(chunk * width)?,
            inner_entered: arena.take(chunk * width)?,
            gate: arena.take(chunk * inner * gated)?,
            up: arena.take(chunk * inner)?,
            inner: arena.take(chunk * inner)?,
            result_back: arena.take(chunk * width)?,
            entered_back: arena.take(chunk * width)?,
            inner_entered_back: arena.take(chunk * width)?,
            inner_back: arena.take(chunk * inner)?,
            query_back: arena.take(chunk * queries)?,
            key_back: arena.take(chunk * keys)?,
            value_back: arena.take(chunk * keys)?,
            attended_back: arena.take(chunk * queries)?,
            quantised: arena.take(chunk * config.widest().div_ceil(BLOCK))?,
            low: arena.take(chunk * sizes.rank)?,
            low_back: arena.take(chunk * sizes.rank)?,
            logits: arena.take(chunk * LOGITS)?,
            peaks: arena.take(chunk)?,
            targets: arena.take(chunk)?,
            scores: arena.take(GROUP * positions.next_multiple_of(BLOCK_POSITIONS))?,
            rows: arena.take(ROWS * config.widest())?,
        })
    }
}

/// The shape of the cache of one block of one example.
pub(super) fn cache_shape(config: &Config, positions: usize) -> KvShape {
    KvShape {
        ty: KvType::F32,
        layers: 1,
        kv_heads: config.kv_heads,
        head_size: config.head_size,
        context: positions,
        sessions: 1,
        positions,
    }
}

/// Floats of keys and values of one block.
fn cache_floats(config: &Config, positions: usize) -> usize {
    2 * config.kv_width() * positions.next_multiple_of(BLOCK_POSITIONS)
}
