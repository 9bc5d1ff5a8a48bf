//! The families of models that the engine has, as data.
//!
//! A [`Family`] says how its files describe a model: which keys they may have, what applies where a key is
//! missing, and how a block is built. [`super::Config`] is what that gives for one file. Nothing else in the
//! engine asks for a family's name: to add one is to add an entry here, a reference in `tests/parity`, and the
//! row of `docs/models.md` that a test asks for.

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
    /// Of what enters attention and the feed-forward layer.
    Before,
    /// Of what enters, and of what comes out before it is added to the residual stream ("sandwich").
    Around,
    /// Of what comes out only.
    After,
}

/// Norms of queries and keys, before they are rotated. The kind is that of the block's other norms, without a bias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadNorm {
    /// There are none.
    None,
    /// Each head by itself; all heads have one weight.
    PerHead,
    /// Each head by itself, with a weight of its own.
    EachHead,
    /// All heads together.
    Whole,
}

/// What the feed-forward layer does between its matrices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x / (1 + exp(−x))
    Silu,
    /// In the form with tanh.
    Gelu,
}

/// Where the feed-forward layer's gate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// It has none.
    None,
    /// `ffn_gate`.
    Own,
    /// The first half of the rows of `ffn_up`.
    InUp,
}

/// What the feed-forward layer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Residual {
    /// The residual stream after attention.
    Sequential,
    /// The residual stream before attention, through a norm of its own.
    Parallel,
    /// What attention reads.
    Shared,
}

/// How a block is built: all that the forward pass asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Kind of all norms, that of the output too.
    pub norm: NormKind,
    /// Where there are norms.
    pub places: NormPlaces,
    /// Norms of queries and keys.
    pub heads: HeadNorm,
    /// The feed-forward layer's activation.
    pub activation: Activation,
    /// The feed-forward layer's gate.
    pub gate: Gate,
    /// What the feed-forward layer reads.
    pub residual: Residual,
}

/// What a family's files leave to the tensors or keys that they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Varies {
    /// Nothing.
    No,
    /// `use_parallel_residual` says whether the feed-forward layer is parallel.
    ResidualByKey,
    /// Without `ffn_norm`, the feed-forward layer reads what attention reads; with `attn_q_norm`, heads have norms.
    ByTensors,
}

/// What 1/√s of attention's scores is replaced by, where no key says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScoreScale {
    /// s is the size of a head.
    HeadSize,
    /// s is the width over the heads in models of so many blocks, otherwise the size of a head: files do not say.
    WidthOfHeadIf {
        /// Blocks.
        layers: usize,
    },
}

/// Which tensors have divisors of the rotation's angles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factors {
    /// None.
    None,
    /// `rope_freqs`, or for `longrope` `rope_factors_short` and `rope_factors_long`.
    ByMethod,
    /// `rope_factors_short` and `rope_factors_long`.
    ShortAndLong,
}

/// How positions enter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PositionKind {
    /// A learned vector for each is added to the token's.
    Learned,
    /// Queries and keys are rotated.
    Rotated {
        /// Whether element i is paired with i + size/2, and not 2i with 2i + 1.
        halves: bool,
        /// In every block but each n-th.
        except_each: Option<usize>,
        /// Methods of scaling, by the names that files give them.
        methods: &'static [&'static str],
        /// Divisors of the angles.
        factors: Factors,
    },
}

/// Blocks that attend only to the last positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowRule {
    /// Positions, where no key says how many; `None`: there is no window then.
    pub len: Option<u32>,
    /// Each n-th block attends to everything.
    pub period: u32,
    /// Base of the rotation in blocks with a window, where no key has it; `None`: that of the others.
    pub base: Option<f32>,
    /// Whether the rotation is scaled there too.
    pub scaled: bool,
}

/// One family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Family {
    /// Its name in GGUF files, `general.architecture`.
    pub name: &'static str,
    /// How a block is built, unless keys or tensors say otherwise.
    pub block: Block,
    /// What of that keys or tensors say.
    pub varies: Varies,
    /// How positions enter.
    pub positions: PositionKind,
    /// Which blocks have a window, if any.
    pub window: Option<WindowRule>,
    /// The scale of attention's scores.
    pub score_scale: ScoreScale,
    /// Whether vectors of tokens are multiplied by √width.
    pub embedding_by_width: bool,
    /// Caps of scores and of logits, where no key says so.
    pub caps: [Option<f32>; 2],
    /// Keys that must be there, besides those of every family.
    pub required: &'static [&'static str],
    /// All keys that may stand below the family's name; if a key is listed twice, the first entry counts.
    pub keys: &'static [&'static [KnownKey]],
}

impl Family {
    /// The family that is called so.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.name == name)
    }

    /// Whether files may have this key and it is honoured.
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

/// As in llama, but over the halves of a head and without divisors.
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

/// Those that the engine has.
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
