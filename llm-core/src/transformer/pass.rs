//! The forward pass itself: one block, for every token of a batch.

use super::families::{Activation, HeadNorm, NormKind, Residual};
use super::plan::Buffers;
use super::weights::{Layer, Linear, Matrix, Norm};
use super::{Model, Token};
use crate::arena::{Frozen, Span, Working, as_mut};
use crate::kv_cache::CachedLayer;
use crate::quantize::{
    self, ActivationQ8, ActivationQ8K, ActivationType, BLOCK, NonFinite, SUPER_BLOCK,
};
use crate::simd::attention::Attention;
use crate::simd::{self, Activations, scalar, tiles};

/// A batch on its way through a block.
pub(super) struct Pass<'p> {
    pub(super) model: &'p Model,
    pub(super) frozen: Frozen<'p>,
    pub(super) working: Working<'p>,
    pub(super) tokens: &'p [Token],
}

impl Pass<'_> {
    /// x = E\[token\] · scale, where positions are learned plus P\[position\].
    pub(super) fn embed(&mut self) {
        let weights = &self.model.weights;
        let width = self.model.config.width;
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        for (t, token) in self.tokens.iter().enumerate() {
            let x = residual.part(t * width, width);
            self.row(&weights.embedding, token.id as usize, x);
            if let Some(scale) = self.model.config.scales.embedding {
                self.model.cpu.scale(self.working.get_mut(x), scale);
            }
            if let Some(positions) = &weights.positions {
                let position = normed.part(0, width);
                self.row(positions, token.position as usize, position);
                let [x, position] = self.working.disjoint([x.range(), position.range()]);
                scalar::add(as_mut(x), as_mut(position));
            }
        }
    }

    /// to = row of a matrix.
    fn row(&mut self, matrix: &Matrix, row: usize, to: Span<f32>) {
        let to = self.working.get_mut(to);
        if matrix.tiled {
            let w = self.frozen.get(matrix.data);
            return tiles::dequantize(matrix.ty, w, row, to);
        }
        let bytes = matrix.data.len() / matrix.rows;
        let from = self.frozen.get(matrix.data.part(row * bytes, bytes));
        // The row's length was checked when the model was loaded.
        let _ = quantize::dequantize_row(matrix.ty, from, to);
    }

    /// The tables of angles of each token's position, those of a token one after the other.
    pub(super) fn compute_rotations(&mut self) {
        let Some(rope) = self.model.config.rope else {
            return;
        };
        let weights = &self.model.weights;
        let divisors = weights.divisors(&rope, self.model.context());
        let divisors = divisors.map_or(&[][..], |span| self.frozen.get(span));
        let rotations = self.working.get_mut(self.model.buffers.rotation);
        let rotations = rotations.chunks_exact_mut(rope.tables() * rope.size / 2);
        for (tables, token) in rotations.zip(self.tokens) {
            let (table, windowed) = tables.split_at_mut(rope.size / 2);
            rope.angles.fill(token.position, divisors, table);
            if let Some(angles) = &rope.windowed {
                angles.fill(token.position, &[], windowed);
            }
        }
    }

    /// x += W_o · attention(norm(x)), with the norms that the block has.
    pub(super) fn attention(&mut self, index: usize, layer: &Layer) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let config = &self.model.config;
        let input = self.enter(layer.attention_norm.as_ref(), buffers.normed)?;
        self.look_ahead(layer, input)?;
        self.multiply(&layer.query, input, buffers.query)?;
        self.multiply(&layer.key, input, buffers.key)?;
        self.multiply(&layer.value, input, buffers.value)?;
        self.norm_heads(layer.query_norm.as_ref(), buffers.query, config.heads)?;
        self.norm_heads(layer.key_norm.as_ref(), buffers.key, config.kv_heads)?;
        self.rotate(index, buffers.query, config.query_width());
        self.rotate(index, buffers.key, config.kv_width());
        self.store(index)?;
        self.attend(index)?;
        self.multiply(&layer.output, buffers.attended, buffers.normed)?;
        self.leave(layer.attention_post_norm.as_ref())
    }

    /// x += W_down (f(W_gate h) ⊙ W_up h) or W_down f(W_up h), with the norms that the block has.
    pub(super) fn feed_forward(&mut self, layer: &Layer) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let input = match self.model.config.block.residual {
            Residual::Sequential => self.enter(layer.feed_forward_norm.as_ref(), buffers.normed)?,
            Residual::Parallel | Residual::Shared => buffers.ahead,
        };
        self.multiply(&layer.up, input, buffers.up)?;
        if let Some(gate) = &layer.gate {
            self.multiply(gate, input, buffers.gate)?;
        }
        let inner = self.activate(layer.gate.is_some());
        self.multiply(&layer.down, inner, buffers.normed)?;
        self.leave(layer.feed_forward_post_norm.as_ref())
    }

    /// f(gate) ⊙ up, or f(up) where there is no gate; says where that is.
    fn activate(&mut self, gated: bool) -> Span<f32> {
        let cpu = self.model.cpu;
        let len = self.tokens.len() * self.model.config.feed_forward;
        let Buffers { gate, up, .. } = self.model.buffers;
        let up = up.part(0, len);
        let activation = self.model.config.block.activation;
        if !gated {
            let up_values = self.working.get_mut(up);
            match activation {
                Activation::Gelu => cpu.gelu(up_values),
                Activation::Silu => cpu.silu(up_values),
            }
            return up;
        }
        let gate = gate.part(0, len);
        let [gate_values, up_values] = self.working.disjoint([gate.range(), up.range()]);
        let (gate_values, up_values) = (as_mut(gate_values), as_mut(up_values));
        match activation {
            Activation::Gelu => cpu.geglu(gate_values, up_values),
            Activation::Silu => cpu.swiglu(gate_values, up_values),
        }
        gate
    }

    /// What enters a half of a block: the residual stream, or its norm, which is put into `to`.
    fn enter(&mut self, norm: Option<&Norm>, to: Span<f32>) -> Result<Span<f32>, NonFinite> {
        let residual = self.model.buffers.residual;
        let Some(norm) = norm else {
            return Ok(residual);
        };
        self.copy(residual, to);
        self.norm(norm, to)?;
        Ok(to)
    }

    /// Keeps what a parallel feed-forward layer reads, before attention is added to the residual stream.
    fn look_ahead(&mut self, layer: &Layer, attention_input: Span<f32>) -> Result<(), NonFinite> {
        let Buffers {
            residual, ahead, ..
        } = self.model.buffers;
        match self.model.config.block.residual {
            Residual::Sequential => Ok(()),
            Residual::Parallel => {
                self.copy(residual, ahead);
                let norm = layer.feed_forward_norm.as_ref();
                norm.map_or(Ok(()), |norm| self.norm(norm, ahead))
            }
            Residual::Shared => {
                self.copy(attention_input, ahead);
                Ok(())
            }
        }
    }

    /// Adds what a half of a block gives, in `normed`, to the residual stream.
    fn leave(&mut self, norm: Option<&Norm>) -> Result<(), NonFinite> {
        let normed = self.model.buffers.normed;
        if let Some(norm) = norm {
            self.norm(norm, normed)?;
        }
        if let Some(scale) = self.model.config.scales.residual {
            let result = normed.part(0, self.tokens.len() * self.model.config.width);
            self.model.cpu.scale(self.working.get_mut(result), scale);
        }
        self.add_to_residual();
        Ok(())
    }

    /// to = from, vectors of the model's width.
    fn copy(&mut self, from: Span<f32>, to: Span<f32>) {
        let len = self.tokens.len() * self.model.config.width;
        let [from, to] = [from.part(0, len), to.part(0, len)].map(|span| span.range());
        let [from, to] = self.working.disjoint([from, to]);
        as_mut::<f32>(to).copy_from_slice(as_mut(from));
    }

    /// logits = cap(W_out · norm(x) · scale) of the tokens that they are wanted for.
    pub(super) fn logits(&mut self) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let weights = &self.model.weights;
        let output = Linear {
            matrix: weights.output.unwrap_or(weights.embedding),
            bias: weights.output_bias,
        };
        let width = self.model.config.width;
        let residual = self.working.get_mut(buffers.residual);
        let mut wanted = 0;
        for (t, _) in self.tokens.iter().enumerate().filter(|(_, t)| t.logits) {
            residual.copy_within(t * width..(t + 1) * width, wanted * width);
            wanted += 1;
        }
        if wanted == 0 {
            return Ok(());
        }
        self.tokens = &self.tokens[..wanted];
        let input = self.enter(Some(&weights.output_norm), buffers.normed)?;
        self.multiply(&output, input, buffers.logits)?;
        let logits = buffers
            .logits
            .part(0, wanted * self.model.config.vocabulary);
        let logits = self.working.get_mut(logits);
        let (cpu, config) = (self.model.cpu, &self.model.config);
        if let Some(scale) = config.scales.logits {
            cpu.scale(logits, scale);
        }
        cpu.max_magnitude(logits)?;
        if let Some(cap) = config.caps.logits {
            cpu.soft_cap(logits, cap);
        }
        Ok(())
    }

    /// x = norm(x), for each token.
    fn norm(&mut self, norm: &Norm, x: Span<f32>) -> Result<(), NonFinite> {
        let width = self.model.config.width;
        self.norm_parts(norm, x.part(0, self.tokens.len() * width), width)
    }

    /// The norms of queries or keys.
    fn norm_heads(
        &mut self,
        norm: Option<&Norm>,
        x: Span<f32>,
        heads: usize,
    ) -> Result<(), NonFinite> {
        let Some(norm) = norm else {
            return Ok(());
        };
        let config = &self.model.config;
        let width = heads * config.head_size;
        let part = match config.block.heads {
            HeadNorm::Whole => width,
            HeadNorm::None | HeadNorm::PerHead | HeadNorm::EachHead => config.head_size,
        };
        self.norm_parts(norm, x.part(0, self.tokens.len() * width), part)
    }

    /// The norm of each `part` elements of x. A weight that is longer has one for each of several parts, in turn.
    fn norm_parts(&mut self, norm: &Norm, x: Span<f32>, part: usize) -> Result<(), NonFinite> {
        let cpu = self.model.cpu;
        let config = &self.model.config;
        let x = self.working.get_mut(x);
        cpu.max_magnitude(x)?;
        let weights = self.frozen.get(norm.weight).chunks_exact(part).cycle();
        for (x, weight) in x.chunks_exact_mut(part).zip(weights) {
            match config.block.norm {
                NormKind::Rms => cpu.rms_norm(x, weight, config.epsilon),
                NormKind::Layer => cpu.layer_norm(x, weight, config.epsilon),
            }
            if let Some(bias) = norm.bias {
                cpu.add(x, self.frozen.get(bias));
            }
        }
        Ok(())
    }

    /// to = W · from + b for each token of the batch; `from` and `to` may be longer.
    fn multiply(
        &mut self,
        linear: &Linear,
        from: Span<f32>,
        to: Span<f32>,
    ) -> Result<(), NonFinite> {
        let tokens = self.tokens.len();
        let Matrix {
            ty,
            rows,
            columns,
            data,
            tiled,
        } = linear.matrix;
        let from = from.part(0, tokens * columns);
        let to = to.part(0, tokens * rows);
        let quantised = self.model.buffers.quantised.range();
        let [from, quantised, to] = self.working.disjoint([from.range(), quantised, to.range()]);
        let (from, to) = (as_mut::<f32>(from), as_mut::<f32>(to));
        let w = simd::Matrix {
            ty,
            rows,
            columns,
            tiled,
            bytes: self.frozen.get(data),
        };
        let cpu = self.model.cpu;
        match ty.activations() {
            ActivationType::Float => {
                cpu.max_magnitude(from)?;
                cpu.multiply(&w, Activations::Float(from), to);
            }
            ActivationType::Q8 => {
                let x = &mut as_mut::<ActivationQ8>(quantised)[..tokens * columns / BLOCK];
                cpu.quantize_activations(from, x)?;
                cpu.multiply(&w, Activations::Q8(x), to);
            }
            ActivationType::Q8K => {
                let bytes = tokens * columns / SUPER_BLOCK * size_of::<ActivationQ8K>();
                let x = as_mut::<ActivationQ8K>(&mut quantised[..bytes]);
                cpu.quantize_activations_k(from, x)?;
                cpu.multiply(&w, Activations::Q8K(x), to);
            }
        }
        if let Some(bias) = linear.bias {
            let bias = self.frozen.get(bias);
            for to in to.chunks_exact_mut(rows) {
                self.model.cpu.add(to, bias);
            }
        }
        Ok(())
    }

    /// Rotates the pairs of every head by the angles of its token's position, in blocks that do so.
    fn rotate(&mut self, index: usize, heads: Span<f32>, width: usize) {
        let config = &self.model.config;
        let Some(rope) = config.rope.filter(|rope| !rope.without.contains(index)) else {
            return;
        };
        let pairs = rope.size / 2;
        let windowed = config.has_window(index) && rope.windowed.is_some();
        let start = if windowed { pairs } else { 0 };
        let heads = heads.part(0, self.tokens.len() * width);
        let rotation = self.model.buffers.rotation.range();
        let [rotation, heads] = self.working.disjoint([rotation, heads.range()]);
        let rotations = as_mut::<[f32; 2]>(rotation).chunks_exact(rope.tables() * pairs);
        for (token, rotation) in as_mut::<f32>(heads).chunks_exact_mut(width).zip(rotations) {
            let angles = &rotation[start..start + pairs];
            let cpu = self.model.cpu;
            cpu.rotate(token, config.head_size, angles, rope.halves);
        }
    }

    /// Puts the keys and values of the batch into the cache.
    fn store(&mut self, layer: usize) -> Result<(), NonFinite> {
        let Buffers { key, value, .. } = self.model.buffers;
        let width = self.model.config.kv_width();
        let cache = &self.model.cache;
        for (t, token) in self.tokens.iter().enumerate() {
            let (pool, table) = cache.spans(usize::from(token.session));
            let [pool, table, key, value] = self.working.disjoint([
                pool.range(),
                table.range(),
                key.part(t * width, width).range(),
                value.part(t * width, width).range(),
            ]);
            let (table, position) = (as_mut(table), token.position as usize);
            let rows = [&*as_mut(key), &*as_mut(value)];
            let cpu = self.model.cpu;
            cpu.store(cache.shape(), pool, table, layer, position, rows)?;
        }
        Ok(())
    }

    /// attended = softmax(cap(q Kᵀ · scale)) V for each token and head, over the cache as stored, up to the
    /// token itself, in blocks with a window from its beginning.
    fn attend(&mut self, layer: usize) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let config = &self.model.config;
        let width = config.query_width();
        let bias = self.model.key_bias;
        let frozen = self.frozen;
        let bias = bias.and_then(|bias| bias.of_layer(layer, config, |span| frozen.get(span)));
        for (t, token) in self.tokens.iter().enumerate() {
            let (pool, table) = self.model.cache.spans(usize::from(token.session));
            let [
                query,
                attended,
                scores,
                quantized,
                query_scales,
                turned,
                pool,
                table,
            ] = self.working.disjoint([
                buffers.query.part(t * width, width).range(),
                buffers.attended.part(t * width, width).range(),
                buffers.scores.range(),
                buffers.query_bytes.range(),
                buffers.query_scales.range(),
                buffers.turned.range(),
                pool.range(),
                table.range(),
            ]);
            self.model.cpu.attend(Attention {
                heads: config.heads,
                positions: token.position as usize + 1,
                first: config.first_attended(layer, token.position as usize),
                scale: config.scales.scores,
                cap: config.caps.scores,
                query: as_mut(query),
                attended: as_mut(attended),
                scores: as_mut(scores),
                quantized: as_mut(quantized),
                query_scales: as_mut(query_scales),
                turned: as_mut(turned),
                key_bias: bias,
                cache: CachedLayer {
                    shape: self.model.cache.shape(),
                    pool,
                    table: as_mut(table),
                    layer,
                },
            })?;
        }
        Ok(())
    }

    /// residual += normed, which holds a block's result.
    fn add_to_residual(&mut self) {
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        let len = self.tokens.len() * self.model.config.width;
        let [x, y] = [residual.part(0, len), normed.part(0, len)].map(|span| span.range());
        let [x, y] = self.working.disjoint([x, y]);
        self.model.cpu.add(as_mut(x), as_mut(y));
    }
}
