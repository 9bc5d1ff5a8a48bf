//! The forward pass itself: one block, for every token of a batch.

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
    /// x = E\[token\], in gpt2 plus P\[position\].
    pub(super) fn embed(&mut self) {
        let weights = &self.model.weights;
        let width = self.model.config.width;
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        for (t, token) in self.tokens.iter().enumerate() {
            let x = residual.part(t * width, width);
            self.row(&weights.embedding, token.id as usize, x);
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

    /// (cos, sin) of p · scale · base^(−2i/n) / f_i, the angle of pair i at position p; f_i is 1 unless
    /// the file has factors. The powers are multiplied up as ggml's `ggml_rope_cache_init` does, so
    /// that angles agree with its.
    pub(super) fn compute_rotations(&mut self) {
        let Some(rope) = self.model.config.rope else {
            return;
        };
        let factors = self.model.weights.rope_factors;
        let factors = factors.map_or(&[][..], |span| self.frozen.get(span));
        let step = libm::powf(rope.base, -2.0 / rope.size as f32);
        let rotations = self.working.get_mut(self.model.buffers.rotation);
        let rotations = rotations.chunks_exact_mut(rope.size / 2);
        for (rotation, token) in rotations.zip(self.tokens) {
            let mut theta = token.position as f32;
            for (i, pair) in rotation.iter_mut().enumerate() {
                let divided = factors.get(i).map_or(theta, |factor| theta / factor);
                let angle = rope.scale * divided;
                *pair = [libm::cosf(angle), libm::sinf(angle)];
                theta *= step;
            }
        }
    }

    /// x += W_o · attention(norm(x)).
    pub(super) fn attention(&mut self, index: usize, layer: &Layer) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        self.norm(&layer.attention_norm)?;
        let products = [
            (&layer.query, buffers.query),
            (&layer.key, buffers.key),
            (&layer.value, buffers.value),
        ];
        self.multiply_all(buffers.normed, products)?;
        self.rotate(buffers.query, self.model.config.query_width());
        self.rotate(buffers.key, self.model.config.kv_width());
        self.store(index)?;
        self.attend(index)?;
        self.multiply(&layer.output, buffers.attended, buffers.normed)?;
        self.add_to_residual();
        Ok(())
    }

    /// x += W_down (silu(W_gate h) ⊙ W_up h) or W_down gelu(W_up h), h = norm(x).
    pub(super) fn feed_forward(&mut self, layer: &Layer) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let len = self.tokens.len() * self.model.config.feed_forward;
        self.norm(&layer.feed_forward_norm)?;
        let up = buffers.up.part(0, len);
        let inner = match &layer.gate {
            Some(gate) => {
                let products = [(&layer.up, buffers.up), (gate, buffers.gate)];
                self.multiply_all(buffers.normed, products)?;
                let gate = buffers.gate.part(0, len);
                let [gate_values, up] = self.working.disjoint([gate.range(), up.range()]);
                let (gate_values, up) = (as_mut(gate_values), as_mut(up));
                self.model.cpu.swiglu(gate_values, up);
                gate
            }
            None => {
                self.multiply(&layer.up, buffers.normed, buffers.up)?;
                let values = self.working.get_mut(up);
                self.model.cpu.gelu(values);
                up
            }
        };
        self.multiply(&layer.down, inner, buffers.normed)?;
        self.add_to_residual();
        Ok(())
    }

    /// logits = W_out · norm(x) of the tokens that they are wanted for.
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
        self.norm(&weights.output_norm)?;
        self.multiply(&output, buffers.normed, buffers.logits)?;
        let logits = buffers
            .logits
            .part(0, wanted * self.model.config.vocabulary);
        let logits = self.working.get_mut(logits);
        self.model.cpu.max_magnitude(logits).map(|_| ())
    }

    /// normed = norm(residual), for each token.
    fn norm(&mut self, norm: &Norm) -> Result<(), NonFinite> {
        let config = &self.model.config;
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        let len = self.tokens.len() * config.width;
        let [x, out] = [residual.part(0, len), normed.part(0, len)].map(|span| span.range());
        let [x, out] = self.working.disjoint([x, out]);
        let (x, out) = (as_mut::<f32>(x), as_mut::<f32>(out));
        let cpu = self.model.cpu;
        cpu.max_magnitude(x)?;
        let weight = self.frozen.get(norm.weight);
        let tokens = x.chunks_exact(config.width);
        for (x, out) in tokens.zip(out.chunks_exact_mut(config.width)) {
            match norm.bias {
                Some(bias) => {
                    cpu.layer_norm(x, weight, config.epsilon, out);
                    cpu.add(out, self.frozen.get(bias));
                }
                None => cpu.rms_norm(x, weight, config.epsilon, out),
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
        self.multiply_all(from, [(linear, to)])
    }

    /// [`Self::multiply`] of several matrices by the same activations, which are quantised once for those that want them
    /// alike.
    fn multiply_all<const N: usize>(
        &mut self,
        from: Span<f32>,
        products: [(&Linear, Span<f32>); N],
    ) -> Result<(), NonFinite> {
        let tokens = self.tokens.len();
        let cpu = self.model.cpu;
        let mut quantised_for = None;
        for (linear, to) in products {
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
            let [from, quantised, to] =
                self.working.disjoint([from.range(), quantised, to.range()]);
            let (from, to) = (as_mut::<f32>(from), as_mut::<f32>(to));
            let w = simd::Matrix {
                ty,
                rows,
                columns,
                tiled,
                bytes: self.frozen.get(data),
            };
            let first = quantised_for.replace(ty.activations()) != Some(ty.activations());
            match ty.activations() {
                ActivationType::Float => {
                    if first {
                        cpu.max_magnitude(from)?;
                    }
                    cpu.multiply(&w, Activations::Float(from), to);
                }
                ActivationType::Q8 => {
                    let x = &mut as_mut::<ActivationQ8>(quantised)[..tokens * columns / BLOCK];
                    if first {
                        cpu.quantize_activations(from, x)?;
                    }
                    cpu.multiply(&w, Activations::Q8(x), to);
                }
                ActivationType::Q8K => {
                    let bytes = tokens * columns / SUPER_BLOCK * size_of::<ActivationQ8K>();
                    let x = as_mut::<ActivationQ8K>(&mut quantised[..bytes]);
                    if first {
                        cpu.quantize_activations_k(from, x)?;
                    }
                    cpu.multiply(&w, Activations::Q8K(x), to);
                }
            }
            if let Some(bias) = linear.bias {
                let bias = self.frozen.get(bias);
                for to in to.chunks_exact_mut(rows) {
                    cpu.add(to, bias);
                }
            }
        }
        Ok(())
    }

    /// Rotates the pairs of every head by the angles of its token's position.
    fn rotate(&mut self, heads: Span<f32>, width: usize) {
        let config = &self.model.config;
        let Some(rope) = config.rope else {
            return;
        };
        let heads = heads.part(0, self.tokens.len() * width);
        let rotation = self.model.buffers.rotation.range();
        let [rotation, heads] = self.working.disjoint([rotation, heads.range()]);
        let rotations = as_mut::<[f32; 2]>(rotation).chunks_exact(rope.size / 2);
        for (token, rotation) in as_mut::<f32>(heads).chunks_exact_mut(width).zip(rotations) {
            self.model
                .cpu
                .rotate(token, config.head_size, rotation, rope.halves);
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

    /// attended = softmax(q Kᵀ / √s) V for each token and head, over the cache as stored, up to the
    /// token itself.
    fn attend(&mut self, layer: usize) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let config = &self.model.config;
        let width = config.query_width();
        for (t, token) in self.tokens.iter().enumerate() {
            let (pool, table) = self.model.cache.spans(usize::from(token.session));
            let [
                query,
                attended,
                scores,
                quantized,
                query_scales,
                pool,
                table,
            ] = self.working.disjoint([
                buffers.query.part(t * width, width).range(),
                buffers.attended.part(t * width, width).range(),
                buffers.scores.range(),
                buffers.query_bytes.range(),
                buffers.query_scales.range(),
                pool.range(),
                table.range(),
            ]);
            self.model.cpu.attend(Attention {
                heads: config.heads,
                positions: token.position as usize + 1,
                query: as_mut(query),
                attended: as_mut(attended),
                scores: as_mut(scores),
                quantized: as_mut(quantized),
                query_scales: as_mut(query_scales),
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
