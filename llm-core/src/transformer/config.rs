//! Hyperparameters: a family's description applied to one file.

use super::families::{
    Block, FAMILIES, Family, HeadNorm, NormKind, Residual, ScoreScale, Varies, WindowRule,
};
use super::reading::{Blocks, Keys};
use super::rope::Rope;
use super::{LoadError, MAX_LAYERS};
use crate::gguf::{self, Gguf, Value, check_keys};

/// Widest vector of a model, in elements. This limit keeps size computations within 64 bits.
const MAX_WIDTH: u32 = 1 << 17;

/// The blocks with sliding-window attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Number of positions a token attends to there, including its own.
    pub len: usize,
    /// The blocks that have the window.
    pub blocks: Blocks,
}

/// Factors in the forward pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// For token embeddings.
    pub embedding: Option<f32>,
    /// For the products of queries and keys.
    pub scores: f32,
    /// For what attention and the feed-forward layer add to the residual stream.
    pub residual: Option<f32>,
    /// For the logits.
    pub logits: Option<f32>,
}

/// Soft caps c, applied as c · tanh(x / c).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Caps {
    /// For attention scores.
    pub scores: Option<f32>,
    /// For the logits.
    pub logits: Option<f32>,
}

/// Hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Family.
    pub family: &'static Family,
    /// How a block is built.
    pub block: Block,
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
    /// Rotary embedding; `None` if a learned vector per position is added to the token's.
    pub rope: Option<Rope>,
    /// Blocks that do not attend to all positions.
    pub window: Option<Window>,
    /// Scale factors.
    pub scales: Scales,
    /// Soft caps.
    pub caps: Caps,
    /// ε of the norms.
    pub epsilon: f32,
    /// Tokens.
    pub vocabulary: usize,
}

impl Keys<'_, '_> {
    /// The structure of a block in this file.
    fn block(&self) -> Result<Block, LoadError> {
        let block = self.family.block;
        let has = |tensor| self.gguf.tensor(tensor).is_some();
        Ok(match self.family.varies {
            Varies::No => block,
            Varies::ResidualByKey => match self.truth("use_parallel_residual")? {
                Some(true) => Block {
                    residual: Residual::Parallel,
                    ..block
                },
                _ => block,
            },
            Varies::ByTensors => Block {
                heads: match has("blk.0.attn_q_norm.weight") {
                    true => HeadNorm::EachHead,
                    false => HeadNorm::None,
                },
                residual: match has("blk.0.ffn_norm.weight") {
                    true => Residual::Sequential,
                    false => Residual::Shared,
                },
                ..block
            },
        })
    }

    fn window(&self, layers: usize) -> Result<Option<Window>, LoadError> {
        let Some(rule) = &self.family.window else {
            return Ok(None);
        };
        let key = self.full("attention.sliding_window");
        let len = self.gguf.u32_opt(&key)?.or(rule.len).unwrap_or(0);
        if len == 0 {
            return Ok(None);
        }
        Ok(Some(Window {
            len: len as usize,
            blocks: self.windowed(rule, layers)?,
        }))
    }

    /// The blocks that have a window: all but every n-th, or as listed in an array.
    fn windowed(&self, rule: &WindowRule, layers: usize) -> Result<Blocks, LoadError> {
        let key = self.full("attention.sliding_window_pattern");
        if let Some(Value::Array(array)) = self.gguf.get(&key) {
            if array.len() != layers {
                return Err(LoadError::Items {
                    key: gguf::name(&key),
                    items: array.len(),
                    blocks: layers,
                });
            }
            let mut blocks = Blocks::NONE;
            for (block, item) in array.values().enumerate() {
                let truth =
                    truth_of(&item).ok_or_else(|| LoadError::NotTruths(gguf::name(&key)))?;
                blocks.set(block, truth);
            }
            return Ok(blocks);
        }
        Ok(match self.gguf.u32_opt(&key)?.unwrap_or(rule.period) {
            0 => Blocks::ALL,
            period => Blocks::of(|block| !(block as u32 + 1).is_multiple_of(period)),
        })
    }

    fn scales(
        &self,
        width: u32,
        heads: u32,
        size: u32,
        layers: usize,
    ) -> Result<Scales, LoadError> {
        let root = |n: u32| libm::sqrtf(n as f32);
        let size = match self.family.score_scale {
            ScoreScale::WidthOfHeadIf { layers: only } if only == layers => width / heads,
            _ => size,
        };
        let by_width = self.family.embedding_by_width.then(|| root(width));
        Ok(Scales {
            embedding: self.factor("embedding_scale")?.or(by_width),
            scores: match self.factor("attention.scale")? {
                Some(scale) => scale,
                None => 1.0 / root(size),
            },
            residual: self.factor("residual_scale")?,
            logits: self.divisor("logit_scale")?.map(|scale| 1.0 / scale),
        })
    }
}

/// Interprets an array item, bool or integer, as a boolean; `None` for other types.
fn truth_of(item: &Value<'_>) -> Option<bool> {
    match item {
        Value::Bool(truth) => Some(*truth),
        item => item.integer().map(|number| number != 0),
    }
}

impl Config {
    /// The family that a file names.
    ///
    /// # Errors
    /// The file names none, or an unsupported one.
    pub fn family_of(gguf: &Gguf<'_>) -> Result<&'static Family, LoadError> {
        let name = gguf.str_of("general.architecture")?;
        Family::named(name).ok_or_else(|| LoadError::Architecture(gguf::name(name)))
    }

    /// Reads and checks the hyperparameters.
    ///
    /// # Errors
    /// A key is missing, of the wrong type, unknown, or has an unsupported value.
    pub fn from_gguf(gguf: &Gguf<'_>, vocabulary: usize) -> Result<Self, LoadError> {
        let family = Self::family_of(gguf)?;
        let keys = Keys { gguf, family };
        check_keys(gguf, &keys.full(""), family.keys)?;
        for key in family.required {
            let key = keys.full(key);
            if gguf.get(&key).is_none() {
                let key = gguf::name(&key);
                return Err(gguf::GgufError::MissingKey { key }.into());
            }
        }
        let width = keys.positive("embedding_length", None, MAX_WIDTH)?;
        let layers = keys.positive("block_count", None, MAX_LAYERS as u32)? as usize;
        let heads = keys.per_block("attention.head_count", None, width, layers)?;
        let kv_heads = keys.per_block("attention.head_count_kv", Some(heads), heads, layers)?;
        if heads % kv_heads != 0 {
            return keys.refuse("attention.head_count_kv", kv_heads);
        }
        let key_length = keys.full("attention.key_length");
        if gguf.u32_opt(&key_length)?.is_none() && width % heads != 0 {
            return keys.refuse("attention.head_count", heads);
        }
        let widest_head = MAX_WIDTH / heads;
        let head_size = keys.positive("attention.key_length", Some(width / heads), widest_head)?;
        let values = keys.positive("attention.value_length", Some(head_size), widest_head)?;
        if values != head_size {
            return keys.refuse("attention.value_length", values);
        }
        let context_length = keys.positive("context_length", None, u32::MAX)?;
        let block = keys.block()?;
        let epsilon = match block.norm {
            NormKind::Layer => "attention.layer_norm_epsilon",
            NormKind::Rms => "attention.layer_norm_rms_epsilon",
        };
        let [scores, logits] = family.caps;
        Ok(Self {
            family,
            block,
            context_length: context_length as usize,
            width: width as usize,
            layers,
            feed_forward: keys.per_block("feed_forward_length", None, MAX_WIDTH, layers)? as usize,
            heads: heads as usize,
            kv_heads: kv_heads as usize,
            head_size: head_size as usize,
            rope: Rope::read(&keys, head_size, context_length)?,
            window: keys.window(layers)?,
            scales: keys.scales(width, heads, head_size, layers)?,
            caps: Caps {
                scores: keys.cap("attn_logit_softcapping", scores)?,
                logits: keys.cap("final_logit_softcapping", logits)?,
            },
            epsilon: keys.fraction(epsilon, None)?,
            vocabulary,
        })
    }

    /// Total width of all query heads.
    #[must_use]
    pub const fn query_width(&self) -> usize {
        self.heads * self.head_size
    }

    /// Total width of all key heads.
    #[must_use]
    pub const fn kv_width(&self) -> usize {
        self.kv_heads * self.head_size
    }

    /// Whether `block` has a window.
    #[must_use]
    pub const fn has_window(&self, block: usize) -> bool {
        match self.window {
            Some(window) => window.blocks.contains(block),
            None => false,
        }
    }

    /// The first position that a token at `position` attends to in `block`.
    #[must_use]
    pub const fn first_attended(&self, block: usize, position: usize) -> usize {
        match self.window {
            Some(window) if self.has_window(block) => (position + 1).saturating_sub(window.len),
            _ => 0,
        }
    }

    /// Number of positions that a token at `position` attends to, summed over all blocks.
    #[must_use]
    pub fn attended(&self, position: usize) -> usize {
        let attended = |block| position + 1 - self.first_attended(block, position);
        (0..self.layers).map(attended).sum()
    }

    /// Widest vector that is multiplied by a matrix.
    pub(super) fn widest(&self) -> usize {
        self.width.max(self.query_width()).max(self.feed_forward)
    }
}

/// The names of all families, for error messages.
pub(super) struct Names;

impl core::fmt::Display for Names {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (n, family) in FAMILIES.iter().enumerate() {
            let before = match n {
                0 => "",
                n if n + 1 == FAMILIES.len() => " and ",
                _ => ", ",
            };
            write!(f, "{before}{}", family.name)?;
        }
        Ok(())
    }
}
