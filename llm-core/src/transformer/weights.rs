//! The tensors of a model, and where they go.
//!
//! [`Weights::lay_out`] follows the description of a model's blocks. It runs twice: with a [`Checker`], which finds
//! errors in a file and counts bytes before anything is loaded, and with a [`Loader`], which copies into the arena.

use super::config::Config;
use super::families::{Block, Gate, HeadNorm, NormKind, NormPlaces, Residual};
use super::rope::{Divisors, Rope};
use super::{LoadError, MAX_LAYERS};
use crate::arena::{Arena, Purpose, Span, bytes_of};
use crate::gguf::{self, Gguf, MAX_TENSORS, TensorInfo};
use crate::quantize::{self, TensorType};
use crate::simd::Cpu;
use crate::simd::tiles;
use core::fmt::Write as _;

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

/// Handles the tensors of a file.
pub(super) trait Place {
    /// The model uses the tensor with this index in the file.
    fn found(&mut self, index: usize);

    /// Whether matrices are stored in tiles.
    fn tiles(&self) -> bool {
        false
    }

    /// Rows of a matrix whose type suits its columns.
    fn matrix(&mut self, part: &Rows<'_, '_>) -> Result<Span<u8>, LoadError>;

    /// Float vectors: all elements of the tensor.
    fn vector(&mut self, tensor: &TensorInfo<'_>) -> Result<Span<f32>, LoadError>;
}

/// Consecutive rows of a tensor.
pub(super) struct Rows<'t, 'a> {
    tensor: &'t TensorInfo<'a>,
    data: &'a [u8],
    count: usize,
}

/// Reads tensors by name, checks shapes and types, and passes them to a [`Place`].
struct Reader<'r, 'a, P> {
    gguf: &'r Gguf<'a>,
    place: &'r mut P,
}

impl<'a, P: Place> Reader<'_, 'a, P> {
    /// A required tensor of this shape.
    fn tensor(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<TensorInfo<'a>, LoadError> {
        let tensor = self.gguf.require(name)?;
        if (tensor.columns(), tensor.rows()) != (columns as u64, rows as u64) {
            return Err(LoadError::Shape {
                tensor: gguf::name(name),
                columns: tensor.columns(),
                rows: tensor.rows(),
                expected_columns: columns as u64,
                expected_rows: rows as u64,
            });
        }
        if let Some(index) = self.gguf.tensor_index(name) {
            self.place.found(index);
        }
        Ok(tensor)
    }

    fn part(
        &mut self,
        tensor: &TensorInfo<'a>,
        columns: usize,
        first: usize,
        count: usize,
    ) -> Result<Matrix, LoadError> {
        let row = tensor
            .ty
            .row_bytes(columns)
            .ok_or_else(|| bad_type(tensor))?;
        let data = tensor
            .data
            .get(first * row..(first + count) * row)
            .ok_or_else(|| bad_type(tensor))?;
        let data = self.place.matrix(&Rows {
            tensor,
            data,
            count,
        })?;
        Ok(Matrix {
            ty: tensor.ty,
            rows: count,
            columns,
            data,
            tiled: self.place.tiles(),
            #[cfg(feature = "observe")]
            tensor: self.gguf.tensor_index(tensor.name).filter(|_| first == 0),
        })
    }

    fn matrix(&mut self, name: &str, rows: usize, columns: usize) -> Result<Matrix, LoadError> {
        let tensor = self.tensor(name, rows, columns)?;
        self.part(&tensor, columns, 0, rows)
    }

    fn vector(&mut self, name: &str, len: usize) -> Result<Span<f32>, LoadError> {
        self.vectors(name, 1, len)
    }

    /// Vectors of `len` elements, one after the other.
    fn vectors(&mut self, name: &str, count: usize, len: usize) -> Result<Span<f32>, LoadError> {
        let tensor = self.tensor(name, count, len)?;
        if tensor.ty.block_len() != 1 {
            return Err(bad_type(&tensor));
        }
        self.place.vector(&tensor)
    }

    fn vector_opt(&mut self, name: &str, len: usize) -> Result<Option<Span<f32>>, LoadError> {
        match self.gguf.tensor(name) {
            Some(_) => self.vector(name, len).map(Some),
            None => Ok(None),
        }
    }
}

/// Divisors of the rotation's angles, and those for long contexts if they differ.
type RopeDivisors = (Option<Span<f32>>, Option<Span<f32>>);

impl<P: Place> Reader<'_, '_, P> {
    fn rope_divisors(&mut self, config: &Config) -> Result<RopeDivisors, LoadError> {
        let Some(rope) = config.rope else {
            return Ok((None, None));
        };
        let pairs = rope.size / 2;
        Ok(match rope.divisors {
            Divisors::None => (None, None),
            Divisors::Frequencies => (self.vector_opt("rope_freqs.weight", pairs)?, None),
            Divisors::ByContext { .. } => (
                Some(self.vector("rope_factors_short.weight", pairs)?),
                Some(self.vector("rope_factors_long.weight", pairs)?),
            ),
        })
    }
}

/// The tensors of one block.
struct LayerReader<'r, 'a, P> {
    reader: Reader<'r, 'a, P>,
    index: usize,
}

impl<P: Place> LayerReader<'_, '_, P> {
    fn name(&self, tensor: &str, part: &str) -> heapless::String<40> {
        let mut name = heapless::String::new();
        // Two digits, at most nineteen letters and six fit.
        let _ = write!(name, "blk.{}.{tensor}.{part}", self.index);
        name
    }

    fn linear(&mut self, tensor: &str, rows: usize, columns: usize) -> Result<Linear, LoadError> {
        let matrix = self
            .reader
            .matrix(&self.name(tensor, "weight"), rows, columns)?;
        let bias = self.reader.vector_opt(&self.name(tensor, "bias"), rows)?;
        Ok(Linear { matrix, bias })
    }

    /// A norm of the model's width, if the block has it.
    fn norm(
        &mut self,
        has: bool,
        tensor: &str,
        config: &Config,
    ) -> Result<Option<Norm>, LoadError> {
        if !has {
            return Ok(None);
        }
        let weight = self.name(tensor, "weight");
        let bias = self.name(tensor, "bias");
        norm(&mut self.reader, &weight, &bias, config).map(Some)
    }

    /// The norm of `heads` heads of queries or keys, if the block has it.
    fn head_norm(
        &mut self,
        tensor: &str,
        heads: usize,
        config: &Config,
    ) -> Result<Option<Norm>, LoadError> {
        let size = config.head_size;
        let (count, len) = match config.block.heads {
            HeadNorm::None => return Ok(None),
            HeadNorm::PerHead => (1, size),
            HeadNorm::EachHead => (heads, size),
            HeadNorm::Whole => (1, heads * size),
        };
        let name = self.name(tensor, "weight");
        let weight = self.reader.vectors(&name, count, len)?;
        Ok(Some(Norm { weight, bias: None }))
    }

    /// Queries, keys and values, from one tensor or from three.
    fn attention_inputs(&mut self, config: &Config) -> Result<[Linear; 3], LoadError> {
        let (width, queries, keys) = (config.width, config.query_width(), config.kv_width());
        let fused = self.name("attn_qkv", "weight");
        if self.reader.gguf.tensor(&fused).is_some() {
            return self.fused("attn_qkv", width, [queries, keys, keys]);
        }
        Ok([
            self.linear("attn_q", queries, width)?,
            self.linear("attn_k", keys, width)?,
            self.linear("attn_v", keys, width)?,
        ])
    }

    /// Matrices stored as consecutive rows of one tensor. Rows are independent, so nothing else differs.
    fn fused<const N: usize>(
        &mut self,
        tensor: &str,
        columns: usize,
        counts: [usize; N],
    ) -> Result<[Linear; N], LoadError> {
        let rows = counts.iter().sum();
        let weight = self
            .reader
            .tensor(&self.name(tensor, "weight"), rows, columns)?;
        let bias = self.reader.vector_opt(&self.name(tensor, "bias"), rows)?;
        let mut first = 0;
        let mut parts = heapless::Vec::<Linear, N>::new();
        for count in counts {
            // There is room for `N`.
            let _ = parts.push(Linear {
                matrix: self.reader.part(&weight, columns, first, count)?,
                // If the tensor was only counted, its span is empty.
                bias: bias.map(|bias| match bias.is_empty() {
                    true => bias,
                    false => bias.part(first, count),
                }),
            });
            first += count;
        }
        parts.into_array().map_err(|_| bad_type(&weight))
    }

    /// Gate and first matrix of the feed-forward layer.
    fn feed_forward_inputs(
        &mut self,
        config: &Config,
    ) -> Result<(Option<Linear>, Linear), LoadError> {
        let (width, inner) = (config.width, config.feed_forward);
        Ok(match config.block.gate {
            Gate::None => (None, self.linear("ffn_up", inner, width)?),
            Gate::Own => {
                let gate = self.linear("ffn_gate", inner, width)?;
                (Some(gate), self.linear("ffn_up", inner, width)?)
            }
            Gate::InUp => {
                let [gate, up] = self.fused("ffn_up", width, [inner, inner])?;
                (Some(gate), up)
            }
        })
    }

    fn read(&mut self, config: &Config) -> Result<Layer, LoadError> {
        let Block {
            places, residual, ..
        } = config.block;
        let before = places != NormPlaces::After;
        let after = places != NormPlaces::Before;
        let attention_norm = self.norm(before, "attn_norm", config)?;
        let fused = self.reader.gguf.tensor(&self.name("attn_qkv", "weight"));
        let fused = fused.is_some();
        let [query, key, value] = self.attention_inputs(config)?;
        let query_norm = self.head_norm("attn_q_norm", config.heads, config)?;
        let key_norm = self.head_norm("attn_k_norm", config.kv_heads, config)?;
        let output = self.linear("attn_output", config.width, config.query_width())?;
        let attention_post_norm = self.norm(after, "post_attention_norm", config)?;
        let own_norm = before && residual != Residual::Shared;
        let feed_forward_norm = self.norm(own_norm, "ffn_norm", config)?;
        let (gate, up) = self.feed_forward_inputs(config)?;
        Ok(Layer {
            attention_norm,
            fused,
            query,
            key,
            value,
            query_norm,
            key_norm,
            output,
            attention_post_norm,
            feed_forward_norm,
            gate,
            up,
            down: self.linear("ffn_down", config.width, config.feed_forward)?,
            feed_forward_post_norm: self.norm(after, "post_ffw_norm", config)?,
        })
    }
}

/// A norm of the model's width.
fn norm<P: Place>(
    reader: &mut Reader<'_, '_, P>,
    weight: &str,
    bias: &str,
    config: &Config,
) -> Result<Norm, LoadError> {
    Ok(Norm {
        weight: reader.vector(weight, config.width)?,
        bias: match config.block.norm {
            NormKind::Layer => Some(reader.vector(bias, config.width)?),
            NormKind::Rms => None,
        },
    })
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

fn bad_type(tensor: &TensorInfo<'_>) -> LoadError {
    LoadError::Type {
        tensor: gguf::name(tensor.name),
        ty: tensor.ty.name(),
    }
}

/// Checks values and counts.
#[derive(Debug, Default)]
pub(super) struct Checker {
    /// A bit for each tensor of the file that the model uses.
    found: [u64; MAX_TENSORS.div_ceil(64)],
    pub(super) bytes: u64,
    pub(super) parameters: u64,
}

impl Checker {
    /// Refuses tensors that the architecture does not have: the forward pass would silently ignore them.
    pub(super) fn refuse_unknown(&self, gguf: &Gguf<'_>) -> Result<(), LoadError> {
        for (index, tensor) in gguf.tensors().enumerate() {
            let word = self.found.get(index / 64).copied().unwrap_or(0);
            if word & (1 << (index % 64)) == 0 {
                return Err(LoadError::UnknownTensor(gguf::name(tensor.name)));
            }
        }
        Ok(())
    }

    fn count(
        &mut self,
        tensor: &TensorInfo<'_>,
        data: &[u8],
        elements: u64,
        bytes: usize,
    ) -> Result<(), LoadError> {
        if !quantize::is_finite(tensor.ty, data) {
            return Err(LoadError::NonFinite(gguf::name(tensor.name)));
        }
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.parameters = self.parameters.saturating_add(elements);
        Ok(())
    }
}

impl Place for Checker {
    fn found(&mut self, index: usize) {
        if let Some(word) = self.found.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    fn matrix(&mut self, part: &Rows<'_, '_>) -> Result<Span<u8>, LoadError> {
        let elements = part.tensor.columns().saturating_mul(part.count as u64);
        let bytes = bytes_of::<u8>(part.data.len()).unwrap_or(usize::MAX);
        self.count(part.tensor, part.data, elements, bytes)?;
        Ok(Span::EMPTY)
    }

    fn vector(&mut self, tensor: &TensorInfo<'_>) -> Result<Span<f32>, LoadError> {
        let bytes = bytes_of::<f32>(tensor.elements() as usize).unwrap_or(usize::MAX);
        self.count(tensor, tensor.data, tensor.elements(), bytes)?;
        Ok(Span::EMPTY)
    }
}

/// Copies into the arena, in tiles if the CPU has kernels for them.
pub(super) struct Loader<'l, 'm> {
    pub(super) arena: &'l mut Arena<'m>,
    pub(super) cpu: Cpu,
}

impl Place for Loader<'_, '_> {
    fn found(&mut self, _: usize) {}

    fn tiles(&self) -> bool {
        self.cpu.wants_tiles()
    }

    fn matrix(&mut self, part: &Rows<'_, '_>) -> Result<Span<u8>, LoadError> {
        let span = self.arena.alloc::<u8>(part.data.len(), Purpose::Weights)?;
        let to = self.arena.get_mut(span);
        match self.cpu.wants_tiles() {
            true => {
                let columns = part.tensor.columns() as usize;
                tiles::repack(part.tensor.ty, columns, part.data, to);
            }
            false => to.copy_from_slice(part.data),
        }
        Ok(span)
    }

    fn vector(&mut self, tensor: &TensorInfo<'_>) -> Result<Span<f32>, LoadError> {
        let span = self
            .arena
            .alloc::<f32>(tensor.elements() as usize, Purpose::Weights)?;
        // Shape and type were checked.
        let _ = quantize::dequantize_row(tensor.ty, tensor.data, self.arena.get_mut(span));
        Ok(span)
    }
}
