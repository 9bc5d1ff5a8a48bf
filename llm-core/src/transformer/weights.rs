//! The tensors of a model, and where they go.
//!
//! [`Weights::lay_out`] follows the description of a model's blocks. It runs twice: with a [`Checker`], which finds
//! errors in a file and counts bytes before anything is loaded, and with a [`Loader`], which copies into the arena.

mod places;
mod reader;

pub(super) use places::{Checker, Loader};
pub(super) use reader::Place;

use super::config::Config;
use super::rope::{Divisors, Rope};
use super::{LoadError, MAX_LAYERS};
use crate::arena::Span;
use crate::gguf::Gguf;
use crate::quantize::TensorType;
use reader::{LayerReader, Reader, norm};

/// A matrix in the arena, \[rows, columns\], stored row by row as in the file, or in tiles.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix {
    pub(super) ty: TensorType,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) data: Span<u8>,
    /// Whether its rows are in tiles.
    pub(super) tiled: bool,
    /// Its index in the file; `None` unless it is the first part of a tensor.
    #[cfg(feature = "observe")]
    pub(super) tensor: Option<usize>,
}

/// x ↦ W x + b.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linear {
    pub(super) matrix: Matrix,
    pub(super) bias: Option<Span<f32>>,
}

/// A norm's weight and, for LayerNorm of the model's width, bias.
#[derive(Clone, Copy, Debug)]
pub(super) struct Norm {
    pub(super) weight: Span<f32>,
    pub(super) bias: Option<Span<f32>>,
}

/// The tensors of a block. Its description determines which optional ones exist.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Option<Norm>,
    /// Whether queries, keys and values are one tensor in the file.
    pub(super) fused: bool,
    pub(super) query: Linear,
    pub(super) key: Linear,
    pub(super) value: Linear,
    pub(super) query_norm: Option<Norm>,
    pub(super) key_norm: Option<Norm>,
    pub(super) output: Linear,
    pub(super) attention_post_norm: Option<Norm>,
    pub(super) feed_forward_norm: Option<Norm>,
    pub(super) gate: Option<Linear>,
    pub(super) up: Linear,
    pub(super) down: Linear,
    pub(super) feed_forward_post_norm: Option<Norm>,
}

#[derive(Debug)]
pub(super) struct Weights {
    pub(super) embedding: Matrix,
    /// Learned position vectors.
    pub(super) positions: Option<Matrix>,
    /// Divisors of the rotation's angles, if the file has them; those for short contexts if they differ.
    pub(super) rope_divisors: Option<Span<f32>>,
    /// Divisors for long contexts.
    pub(super) long_rope_divisors: Option<Span<f32>>,
    pub(super) layers: heapless::Vec<Layer, MAX_LAYERS>,
    pub(super) output_norm: Norm,
    /// `None` if tied: the embedding is used.
    pub(super) output: Option<Matrix>,
    pub(super) output_bias: Option<Span<f32>>,
}

impl Weights {
    /// Divisors of the rotation's angles for a context.
    pub(super) fn divisors(&self, rope: &Rope, context: usize) -> Option<Span<f32>> {
        match rope.divisors {
            Divisors::ByContext { original } if context > original => self.long_rope_divisors,
            _ => self.rope_divisors,
        }
    }

    /// Whether keys have biases in some layer.
    pub(super) fn has_key_biases(&self) -> bool {
        self.layers.iter().any(|layer| layer.key.bias.is_some())
    }

    /// Passes every tensor of the model to `place`.
    pub(super) fn lay_out(
        gguf: &Gguf<'_>,
        config: &Config,
        place: &mut impl Place,
    ) -> Result<Self, LoadError> {
        let mut reader = Reader { gguf, place };
        let (width, vocabulary) = (config.width, config.vocabulary);
        let embedding = reader.matrix("token_embd.weight", vocabulary, width)?;
        let positions = match config.rope {
            None => Some(reader.matrix("position_embd.weight", config.context_length, width)?),
            Some(_) => None,
        };
        let (rope_divisors, long_rope_divisors) = reader.rope_divisors(config)?;
        let mut layers = heapless::Vec::new();
        for index in 0..config.layers {
            let Reader { gguf, place } = reader;
            let mut layer = LayerReader {
                reader: Reader { gguf, place },
                index,
            };
            // `Config` guarantees at most MAX_LAYERS.
            let _ = layers.push(layer.read(config)?);
            reader = layer.reader;
        }
        let [weight, bias] = ["output_norm.weight", "output_norm.bias"];
        let output_norm = norm(&mut reader, weight, bias, config)?;
        let output = match gguf.tensor("output.weight") {
            Some(_) => Some(reader.matrix("output.weight", vocabulary, width)?),
            None => None,
        };
        let output_bias = reader.vector_opt("output.bias", vocabulary)?;
        Ok(Self {
            embedding,
            positions,
            rope_divisors,
            long_rope_divisors,
            layers,
            output_norm,
            output,
            output_bias,
        })
    }
}
