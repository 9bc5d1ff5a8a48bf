//! Finds the tensors of a file by name and checks their shapes.

use super::{Layer, Linear, Matrix, Norm};
use crate::arena::Span;
use crate::gguf::{self, Gguf, TensorInfo};
use crate::transformer::LoadError;
use crate::transformer::config::Config;
use crate::transformer::families::{Block, Gate, HeadNorm, NormKind, NormPlaces, Residual};
use crate::transformer::rope::Divisors;
use core::fmt::Write as _;

/// Handles the tensors of a file.
pub(crate) trait Place {
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
pub(crate) struct Rows<'t, 'a> {
    pub(super) tensor: &'t TensorInfo<'a>,
    pub(super) data: &'a [u8],
    pub(super) count: usize,
}

/// Reads tensors by name, checks shapes and types, and passes them to a [`Place`].
pub(super) struct Reader<'r, 'a, P> {
    pub(super) gguf: &'r Gguf<'a>,
    pub(super) place: &'r mut P,
}

impl<'a, P: Place> Reader<'_, 'a, P> {
    /// A required tensor of this shape.
    pub(super) fn tensor(
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

    pub(super) fn matrix(
        &mut self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<Matrix, LoadError> {
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

    pub(super) fn vector_opt(
        &mut self,
        name: &str,
        len: usize,
    ) -> Result<Option<Span<f32>>, LoadError> {
        match self.gguf.tensor(name) {
            Some(_) => self.vector(name, len).map(Some),
            None => Ok(None),
        }
    }
}

/// Divisors of the rotation's angles, and those for long contexts if they differ.
type RopeDivisors = (Option<Span<f32>>, Option<Span<f32>>);

impl<P: Place> Reader<'_, '_, P> {
    pub(super) fn rope_divisors(&mut self, config: &Config) -> Result<RopeDivisors, LoadError> {
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
pub(super) struct LayerReader<'r, 'a, P> {
    pub(super) reader: Reader<'r, 'a, P>,
    pub(super) index: usize,
}

impl<P: Place> LayerReader<'_, '_, P> {
    pub(super) fn name(&self, tensor: &str, part: &str) -> heapless::String<40> {
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

    pub(super) fn read(&mut self, config: &Config) -> Result<Layer, LoadError> {
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
pub(super) fn norm<P: Place>(
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

fn bad_type(tensor: &TensorInfo<'_>) -> LoadError {
    LoadError::Type {
        tensor: gguf::name(tensor.name),
        ty: tensor.ty.name(),
    }
}
