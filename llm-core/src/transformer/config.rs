//! Architectures and hyperparameters.

use super::{LoadError, MAX_LAYERS};
use crate::gguf::{self, Gguf, check_keys};
use core::fmt::Write as _;

/// Widest vector of a model, in elements. With it no size computation overflows 64 bits.
const MAX_WIDTH: u32 = 1 << 17;

/// Name of a metadata key.
type Key = heapless::String<64>;

/// A family of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// RMSNorm, RoPE over neighbouring pairs, SwiGLU.
    Llama,
    /// As llama, with RoPE over the halves of a head.
    Qwen2,
    /// LayerNorm, learned positions, GELU.
    Gpt2,
}

impl Architecture {
    /// Those that the engine has.
    pub const ALL: [Self; 3] = [Self::Llama, Self::Qwen2, Self::Gpt2];

    /// Its name in GGUF files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
            Self::Gpt2 => "gpt2",
        }
    }

    /// The architecture that a file names.
    ///
    /// # Errors
    /// It names none, or one that the engine does not have.
    pub fn from_gguf(gguf: &Gguf<'_>) -> Result<Self, LoadError> {
        let name = gguf.str_of("general.architecture")?;
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.name() == name)
            .ok_or_else(|| LoadError::Architecture(gguf::name(name)))
    }

    fn key(self, key: &str) -> Key {
        let mut full = Key::new();
        // The longest of ours has 40 bytes.
        let _ = write!(full, "{}.{key}", self.name());
        full
    }
}

/// Rotary position embedding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Elements of a head that are rotated.
    pub size: usize,
    /// Base of the wavelengths.
    pub base: f32,
    /// Positions are multiplied by this (linear scaling; 1 for none).
    pub scale: f32,
    /// Whether element i is paired with i + size/2 (NEOX), and not 2i with 2i + 1.
    pub halves: bool,
}

/// Hyperparameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Family.
    pub architecture: Architecture,
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
    /// How positions enter; `None`: a learned vector for each is added to the token's.
    pub rope: Option<Rope>,
    /// ε of the norms.
    pub epsilon: f32,
    /// Tokens.
    pub vocabulary: usize,
}

/// Reads the keys of one architecture.
struct Keys<'g, 'a> {
    gguf: &'g Gguf<'a>,
    architecture: Architecture,
}

impl Keys<'_, '_> {
    /// A whole number from 1 to `max`.
    fn positive(&self, key: &str, default: Option<u32>, max: u32) -> Result<u32, LoadError> {
        let key = self.architecture.key(key);
        let value = self.gguf.u32_opt(&key)?;
        self.in_range(&key, value, default, max)
    }

    /// A whole number from 1 to `max`, or an array with the same for each of `blocks` blocks.
    fn per_block(
        &self,
        key: &str,
        default: Option<u32>,
        max: u32,
        blocks: usize,
    ) -> Result<u32, LoadError> {
        let key = self.architecture.key(key);
        let value = self.gguf.u32_or_equal_opt(&key, blocks)?;
        self.in_range(&key, value, default, max)
    }

    fn in_range(
        &self,
        key: &str,
        value: Option<u32>,
        default: Option<u32>,
        max: u32,
    ) -> Result<u32, LoadError> {
        let value = match (value, default) {
            (Some(value), _) | (None, Some(value)) => value,
            (None, None) => self.gguf.u32_of(key)?,
        };
        if value == 0 || value > max {
            Err(bad_value(key, u64::from(value)))
        } else {
            Ok(value)
        }
    }

    /// A finite number above 0.
    fn fraction(&self, key: &str, default: Option<f32>) -> Result<f32, LoadError> {
        let key = self.architecture.key(key);
        let value = match (self.gguf.f32_opt(&key)?, default) {
            (Some(value), _) => value,
            (None, Some(default)) => default,
            (None, None) => self.gguf.f32_of(&key)?,
        };
        // Also false for NaN.
        if value > 0.0 && value.is_finite() {
            Ok(value)
        } else {
            Err(LoadError::NotPositive(gguf::name(&key)))
        }
    }

    fn refuse<T>(&self, key: &str, value: u32) -> Result<T, LoadError> {
        Err(bad_value(&self.architecture.key(key), u64::from(value)))
    }

    fn rope(&self, head_size: u32) -> Result<Option<Rope>, LoadError> {
        let halves = match self.architecture {
            Architecture::Gpt2 => return Ok(None),
            Architecture::Llama => false,
            Architecture::Qwen2 => true,
        };
        let size = self.positive("rope.dimension_count", Some(head_size), head_size)?;
        if size % 2 != 0 {
            return self.refuse("rope.dimension_count", size);
        }
        let method = self.architecture.key("rope.scaling.type");
        let scale = match self.gguf.str_opt(&method)? {
            Some("none") => 1.0,
            // A file that names no method means this one.
            None | Some("linear") => self.linear_scale()?,
            Some(name) => {
                return Err(LoadError::Method {
                    key: gguf::name(&method),
                    value: gguf::name(name),
                });
            }
        };
        Ok(Some(Rope {
            size: size as usize,
            base: self.fraction("rope.freq_base", Some(10_000.0))?,
            scale,
            halves,
        }))
    }
}

impl Keys<'_, '_> {
    /// What linear scaling multiplies positions with: 1 over the factor. As in llama.cpp, no factor and one
    /// of 0 mean none.
    fn linear_scale(&self) -> Result<f32, LoadError> {
        let mut keys = ["rope.scaling.factor", "rope.scale_linear"].into_iter();
        let given = keys.find_map(|key| {
            let factor = self.gguf.f32_opt(&self.architecture.key(key)).transpose()?;
            Some(factor.map(|factor| (key, factor)))
        });
        match given.transpose()? {
            None | Some((_, 0.0)) => Ok(1.0),
            Some((key, _)) => {
                let scale = 1.0 / self.fraction(key, None)?;
                let name = || gguf::name(&self.architecture.key(key));
                // Not of a factor that is next to nothing.
                let finite = Some(scale).filter(|scale| scale.is_finite());
                finite.ok_or_else(|| LoadError::NotPositive(name()))
            }
        }
    }
}

impl Config {
    /// Reads and checks the hyperparameters.
    ///
    /// # Errors
    /// A key is missing, of the wrong type, not known, or out of what the engine can do.
    pub fn from_gguf(gguf: &Gguf<'_>, vocabulary: usize) -> Result<Self, LoadError> {
        let architecture = Architecture::from_gguf(gguf)?;
        let keys = Keys { gguf, architecture };
        check_keys(gguf, &architecture.key(""), architecture.known_keys())?;
        let width = keys.positive("embedding_length", None, MAX_WIDTH)?;
        let layers = keys.positive("block_count", None, MAX_LAYERS as u32)? as usize;
        let heads = keys.per_block("attention.head_count", None, width, layers)?;
        let kv_heads = keys.per_block("attention.head_count_kv", Some(heads), heads, layers)?;
        if heads % kv_heads != 0 {
            return keys.refuse("attention.head_count_kv", kv_heads);
        }
        let key_length = architecture.key("attention.key_length");
        if gguf.u32_opt(&key_length)?.is_none() && width % heads != 0 {
            return keys.refuse("attention.head_count", heads);
        }
        let widest_head = MAX_WIDTH / heads;
        let head_size = keys.positive("attention.key_length", Some(width / heads), widest_head)?;
        let values = keys.positive("attention.value_length", Some(head_size), widest_head)?;
        if values != head_size {
            return keys.refuse("attention.value_length", values);
        }
        let epsilon = match architecture {
            Architecture::Gpt2 => "attention.layer_norm_epsilon",
            Architecture::Llama | Architecture::Qwen2 => "attention.layer_norm_rms_epsilon",
        };
        Ok(Self {
            architecture,
            context_length: keys.positive("context_length", None, u32::MAX)? as usize,
            width: width as usize,
            layers,
            feed_forward: keys.per_block("feed_forward_length", None, MAX_WIDTH, layers)? as usize,
            heads: heads as usize,
            kv_heads: kv_heads as usize,
            head_size: head_size as usize,
            rope: keys.rope(head_size)?,
            epsilon: keys.fraction(epsilon, None)?,
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

    /// Whether the feed-forward layer has a gate (SwiGLU), and not GELU alone.
    #[must_use]
    pub const fn gated(&self) -> bool {
        !matches!(self.architecture, Architecture::Gpt2)
    }

    /// Widest vector that a matrix is multiplied with.
    pub(super) fn widest(&self) -> usize {
        self.width.max(self.query_width()).max(self.feed_forward)
    }
}

fn bad_value(key: &str, value: u64) -> LoadError {
    LoadError::Value {
        key: gguf::name(key),
        value,
    }
}
