//! A checked model file, and the cost of a token.

use super::adapter::Tensors;
use super::template::Rendering;
use super::weights::{Checker, Weights};
use super::{Base, Config, LoadError};
use crate::chat::{Scaffold, Template};
use crate::gguf::Gguf;
use crate::kv_cache::KvType;
use crate::tokenizer::{Requirements, Vocabulary};

/// A file that was checked completely and can be loaded.
#[derive(Debug)]
pub struct Checked<'a> {
    pub(super) gguf: Gguf<'a>,
    pub(super) config: Config,
    pub(super) vocabulary: Requirements,
    pub(super) weight_bytes: u64,
    /// The scaffold for conversations, if it is known.
    pub(super) scaffold: Option<Scaffold<'a>>,
    pub(super) rendering: Rendering,
    /// Whether keys have biases.
    pub(super) key_biases: bool,
    pub(super) tensors: Tensors,
    pub(super) parameters: u64,
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
    pub(super) fn packed_bytes(&self) -> usize {
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
