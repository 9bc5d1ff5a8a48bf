//! The supported model families, as data.
//!
//! A [`Family`] says how its files describe a model: which keys they may have, what applies if a key is missing, and
//! the structure of a block. Applied to a file, this gives a [`super::Config`]. Nothing else in the engine depends on a
//! family's name. To add one, add an entry here, a reference in `tests/parity`, and the row of `docs/models.md` that a
//! test asks for.

use super::keys;
use crate::gguf::{Effect, KnownKey};

/// How a norm is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormKind {
    /// RMSNorm, with a weight.
    Rms,
    /// LayerNorm, with a weight and, for vectors of the model's width, a bias.
    Layer,
}

/// Where a block has norms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlaces {
    /// On the inputs of attention and the feed-forward layer.
    Before,
    /// On the inputs, and on the outputs before they are added to the residual stream ("sandwich").
    Around,
    /// Only on the outputs.
    After,
}

/// Norms of queries and keys, before rotation. The kind is that of the block's other norms, without a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadNorm {
    /// No norms.
    None,
    /// Per head, with one weight shared by all heads.
    PerHead,
    /// Per head, each with its own weight.
    EachHead,
    /// Over all heads together.
    Whole,
}

/// The feed-forward layer's activation function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x / (1 + exp(−x))
    Silu,
    /// In the tanh form.
    Gelu,
}

/// The tensor of the feed-forward layer's gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// No gate.
    None,
    /// `ffn_gate`.
    Own,
    /// The first half of the rows of `ffn_up`.
    InUp,
}

/// Input of the feed-forward layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// The residual stream after attention.
    Sequential,
    /// The residual stream before attention, through its own norm.
    Parallel,
    /// The same input as attention.
    Shared,
}

/// Structure of a block: everything the forward pass depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Kind of all norms, including the output norm.
    pub norm: NormKind,
    /// Where norms are.
    pub places: NormPlaces,
    /// Norms of queries and keys.
    pub heads: HeadNorm,
    /// The feed-forward layer's activation.
    pub activation: Activation,
    /// The feed-forward layer's gate.
    pub gate: Gate,
    /// Input of the feed-forward layer.
    pub residual: Residual,
}

/// Properties of a block that the file's tensors or keys decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Varies {
    /// None.
    No,
    /// `use_parallel_residual` decides whether the feed-forward layer is parallel.
    ResidualByKey,
    /// Without `ffn_norm`, the feed-forward layer has the same input as attention; with `attn_q_norm`, heads have
    /// norms.
    ByTensors,
}

/// The s in attention's scale 1/√s, if no key gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreScale {
    /// The head size.
    HeadSize,
    /// The width divided by the heads in models of `layers` blocks, otherwise the head size: files do not say.
    WidthOfHeadIf {
        /// Number of blocks.
        layers: usize,
    },
}

/// Tensors with divisors of the rotation's angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factors {
    /// None.
    None,
    /// `rope_freqs`, or for `longrope` `rope_factors_short` and `rope_factors_long`.
    ByMethod,
    /// `rope_factors_short` and `rope_factors_long`.
    ShortAndLong,
}

/// How positions are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionKind {
    /// By adding a learned vector per position to the token's.
    Learned,
    /// By rotating queries and keys.
    Rotated {
        /// Whether element i is paired with i + size/2 instead of 2i with 2i + 1.
        halves: bool,
        /// If set, every n-th block is not rotated.
        except_each: Option<usize>,
        /// Supported scaling methods, by their names in files.
        methods: &'static [&'static str],
        /// Divisors of the angles.
        factors: Factors,
    },
}

/// Sliding-window attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowRule {
    /// Number of positions if no key gives it; with `None`, there is then no window.
    pub len: Option<u32>,
    /// Every n-th block attends to all positions.
    pub period: u32,
    /// Base of the rotation in blocks with a window, if no key gives it; `None` for the same base as in the others.
    pub base: Option<f32>,
    /// Whether the rotation is scaled there as well.
    pub scaled: bool,
}

/// A model family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Family {
    /// Its name in GGUF files, `general.architecture`.
    pub name: &'static str,
    /// Structure of a block, unless keys or tensors say otherwise.
    pub block: Block,
    /// Which parts of it keys or tensors decide.
    pub varies: Varies,
    /// How positions are encoded.
    pub positions: PositionKind,
    /// Which blocks have a sliding window, if any.
    pub window: Option<WindowRule>,
    /// Scale of attention's scores.
    pub score_scale: ScoreScale,
    /// Whether token embeddings are multiplied by √width.
    pub embedding_by_width: bool,
    /// Soft caps of scores and of logits, if no key gives them.
    pub caps: [Option<f32>; 2],
    /// Required keys, besides those of every family.
    pub required: &'static [&'static str],
    /// All keys allowed below the family's name. If a key is listed twice, the first entry counts.
    pub keys: &'static [&'static [KnownKey]],
}

impl Family {
    /// The family with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name)
    }

    /// Whether this key is allowed and honoured.
    pub(crate) fn reads(&self, key: &str) -> bool {
        let mut entries = self.keys.iter().flat_map(|list| list.iter());
        let entry = entries.find(|entry| entry.key == key);
        entry.is_some_and(|entry| entry.effect == Effect::Read)
    }
}

const LLAMA: Family = Family {
    name: "llama",
    block: Block {
        norm: NormKind::Rms,
        places: NormPlaces::Before,
        heads: HeadNorm::None,
        activation: Activation::Silu,
        gate: Gate::Own,
        residual: Residual::Sequential,
    },
    varies: Varies::No,
    positions: PositionKind::Rotated {
        halves: false,
        except_each: None,
        methods: &["none", "linear", "yarn", "longrope"],
        factors: Factors::ByMethod,
    },
    window: None,
    score_scale: ScoreScale::HeadSize,
    embedding_by_width: false,
    caps: [None, None],
    required: &[],
    keys: &[keys::COMMON, keys::SEQUENTIAL, keys::RMS_NORM, keys::ROPE],
};

/// Like llama, but over the halves of a head and without divisors.
const HALVES: PositionKind = PositionKind::Rotated {
    halves: true,
    except_each: None,
    methods: &["none", "linear", "yarn"],
    factors: Factors::None,
};

const GEMMA: Family = Family {
    block: Block {
        places: NormPlaces::Around,
        activation: Activation::Gelu,
        ..LLAMA.block
    },
    positions: PositionKind::Rotated {
        halves: true,
        except_each: None,
        methods: &["none", "linear"],
        factors: Factors::None,
    },
    embedding_by_width: true,
    ..LLAMA
};

/// All supported families.
pub const FAMILIES: &[Family] = &[
    LLAMA,
    Family {
        name: "qwen2",
        positions: HALVES,
        ..LLAMA
    },
    Family {
        name: "qwen3",
        block: Block {
            heads: HeadNorm::PerHead,
            ..LLAMA.block
        },
        positions: HALVES,
        ..LLAMA
    },
    Family {
        name: "gemma2",
        window: Some(WindowRule {
            len: Some(4096),
            period: 2,
            base: None,
            scaled: true,
        }),
        score_scale: ScoreScale::WidthOfHeadIf { layers: 46 },
        caps: [Some(50.0), Some(30.0)],
        keys: &[
            keys::GEMMA2,
            keys::WINDOW,
            keys::COMMON,
            keys::SEQUENTIAL,
            keys::RMS_NORM,
            keys::ROPE,
        ],
        ..GEMMA
    },
    Family {
        name: "gemma3",
        block: Block {
            heads: HeadNorm::PerHead,
            ..GEMMA.block
        },
        window: Some(WindowRule {
            len: None,
            period: 6,
            base: Some(10_000.0),
            scaled: false,
        }),
        score_scale: ScoreScale::WidthOfHeadIf { layers: 62 },
        keys: &[
            keys::GEMMA3,
            keys::WINDOW,
            keys::COMMON,
            keys::SEQUENTIAL,
            keys::RMS_NORM,
            keys::ROPE,
        ],
        ..GEMMA
    },
    Family {
        name: "gpt2",
        block: Block {
            norm: NormKind::Layer,
            activation: Activation::Gelu,
            gate: Gate::None,
            ..LLAMA.block
        },
        positions: PositionKind::Learned,
        keys: &[keys::COMMON, keys::SEQUENTIAL, keys::LAYER_NORM],
        ..LLAMA
    },
    Family {
        name: "gptneox",
        block: Block {
            norm: NormKind::Layer,
            activation: Activation::Gelu,
            gate: Gate::None,
            ..LLAMA.block
        },
        varies: Varies::ResidualByKey,
        positions: HALVES,
        required: &["use_parallel_residual"],
        keys: &[
            keys::PARALLEL_BY_KEY,
            keys::COMMON,
            keys::LAYER_NORM,
            keys::ROPE,
        ],
        ..LLAMA
    },
    Family {
        name: "phi3",
        block: Block {
            gate: Gate::InUp,
            ..LLAMA.block
        },
        positions: PositionKind::Rotated {
            halves: true,
            except_each: None,
            methods: &["none", "linear", "yarn", "longrope"],
            factors: Factors::ShortAndLong,
        },
        keys: &[
            keys::PHI3,
            keys::COMMON,
            keys::SEQUENTIAL,
            keys::RMS_NORM,
            keys::ROPE,
        ],
        ..LLAMA
    },
    Family {
        name: "olmo2",
        block: Block {
            places: NormPlaces::After,
            heads: HeadNorm::Whole,
            ..LLAMA.block
        },
        positions: HALVES,
        window: Some(WindowRule {
            len: None,
            period: 4,
            base: None,
            scaled: false,
        }),
        keys: &[
            keys::WINDOW,
            keys::COMMON,
            keys::SEQUENTIAL,
            keys::RMS_NORM,
            keys::ROPE,
        ],
        ..LLAMA
    },
    Family {
        name: "smollm3",
        positions: PositionKind::Rotated {
            halves: false,
            except_each: Some(4),
            methods: &["none", "linear", "yarn"],
            factors: Factors::None,
        },
        ..LLAMA
    },
    Family {
        name: "granite",
        required: &["logit_scale"],
        keys: &[
            keys::GRANITE,
            keys::COMMON,
            keys::SEQUENTIAL,
            keys::RMS_NORM,
            keys::ROPE,
        ],
        ..LLAMA
    },
    Family {
        name: "stablelm",
        block: Block {
            norm: NormKind::Layer,
            ..LLAMA.block
        },
        varies: Varies::ByTensors,
        positions: HALVES,
        keys: &[keys::STABLELM, keys::COMMON, keys::LAYER_NORM, keys::ROPE],
        ..LLAMA
    },
];
