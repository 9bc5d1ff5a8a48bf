//! The memory of a training: what there is once, what an example needs, and what a chunk of its tokens needs.

use crate::arena::{ArenaError, Span};
use crate::kv_cache::{BLOCK_POSITIONS, KvShape, KvType};
use crate::quantize::{ActivationQ8, BLOCK};
use crate::simd::attention::GROUP;
use crate::simd::backward::Peak;
use crate::transformer::buffers::Allocate;
use crate::transformer::config::Config;
use crate::transformer::families::{Gate, HeadNorm};

/// Rows of a matrix that lie in memory as floats. More of them are read and written less often by what is summed, but
/// should stay in a cache.
pub(super) const ROWS: usize = 32;

/// Logits of a token that are in memory at once. A number of the arithmetic: in this order their exponentials are summed.
pub(super) const LOGITS: usize = 256;

/// What the sizes of the spans follow from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    /// Examples of the data.
    pub(super) examples: usize,
    /// Tokens of all examples.
    pub(super) tokens: usize,
    /// Tokens of the longest example.
    pub(super) longest: usize,
    /// Of the adapter.
    pub(super) rank: usize,
    /// Numbers of the adapter.
    pub(super) parameters: usize,
    /// Bytes of the adapter's file.
    pub(super) file: usize,
    /// Tokens that are looked at together.
    pub(super) chunk: usize,
}

impl Sizes {
    /// Positions of the longest example: its last token is none, since nothing comes behind it.
    pub(super) const fn positions(&self) -> usize {
        self.longest.saturating_sub(1)
    }
}

/// An example: where its tokens end among those of all, and where in it those begin that it teaches.
pub(super) type Example = [u32; 2];

/// See the module. What belongs to a token lies once for each, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Area {
    /// The adapter.
    pub(super) parameters: Span<f32>,
    /// Gradients, means and mean squares of them: of each as many as parameters. At the end, the adapter's file.
    pub(super) moments: Span<f32>,
    pub(super) tokens: Span<u32>,
    pub(super) examples: Span<Example>,
    /// The examples of an epoch.
    pub(super) order: Span<u32>,
    /// The angles of all positions.
    pub(super) rotation: Span<[f32; 2]>,

    /// What enters each block, and what leaves the last one; later the gradient of that.
    pub(super) inputs: Span<f32>,
    /// Keys and values of one block, as a cache in floats has them.
    pub(super) cache: Span<u8>,
    /// Their gradients.
    pub(super) cache_back: Span<f32>,
    /// The table of that cache.
    pub(super) table: Span<u16>,

    /// What attention reads.
    pub(super) entered: Span<f32>,
    pub(super) query: Span<f32>,
    pub(super) key: Span<f32>,
    pub(super) value: Span<f32>,
    /// Queries and keys before their norm, if they have one.
    pub(super) plain_query: Span<f32>,
    pub(super) plain_key: Span<f32>,
    pub(super) attended: Span<f32>,
    /// What a half of a block gives, before its norm.
    pub(super) result: Span<f32>,
    /// The same behind norm and scale.
    pub(super) added: Span<f32>,
    /// The residual stream between attention and the feed-forward layer.
    pub(super) middle: Span<f32>,
    /// What the feed-forward layer reads.
    pub(super) inner_entered: Span<f32>,
    pub(super) gate: Span<f32>,
    pub(super) up: Span<f32>,
    /// What its last matrix reads.
    pub(super) inner: Span<f32>,
    /// The gradients of what has their names.
    pub(super) result_back: Span<f32>,
    pub(super) entered_back: Span<f32>,
    pub(super) inner_entered_back: Span<f32>,
    pub(super) inner_back: Span<f32>,
    pub(super) query_back: Span<f32>,
    pub(super) key_back: Span<f32>,
    pub(super) value_back: Span<f32>,
    pub(super) attended_back: Span<f32>,
    pub(super) quantised: Span<ActivationQ8>,
    /// What A makes of activations, and its gradient.
    pub(super) low: Span<f32>,
    pub(super) low_back: Span<f32>,
    pub(super) logits: Span<f32>,
    pub(super) peaks: Span<Peak>,
    /// The logits of the tokens that come.
    pub(super) targets: Span<f32>,

    /// Of a token: what positions weigh.
    pub(super) scores: Span<f32>,
    /// Rows of a matrix.
    pub(super) rows: Span<f32>,
}

impl Area {
    /// Runs `take` over the sizes of all spans: once to count them, once to allocate them.
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
