//! The forward pass: one block, for every token of a batch.

use super::adapter::{Delta, MAX_RANK, Site, Slot};
use super::buffers::Buffers;
use super::families::{Activation, HeadNorm, NormKind, Residual};
use super::steps::{EXP_WORK, Meter, Stepwise, Stop};
use super::weights::{Layer, Linear, Matrix, Norm};
use super::{MAX_BATCH, Model, Token};
use crate::arena::{Frozen, Span, Working, as_mut};
use crate::kv_cache::CachedLayer;
use crate::quantize::{
    self, ActivationQ8, ActivationQ8K, ActivationType, BLOCK, NonFinite, SUPER_BLOCK,
};
use crate::simd::attention::Attention;
use crate::simd::tiles::{self, TILE};
use crate::simd::{self, Activations, Cpu, scalar};
use core::ops::Range;

/// The state of a batch within a block.
pub(super) struct Pass<'p> {
    pub(super) model: &'p Model,
    pub(super) frozen: Frozen<'p>,
    pub(super) working: Working<'p>,
    pub(super) tokens: &'p [Token],
    /// The adapter of each token.
    pub(super) adapters: heapless::Vec<Option<u8>, MAX_BATCH>,
    /// Tokens that were removed, one bit each; their results are discarded.
    pub(super) removed: u64,
    pub(super) meter: Meter,
    #[cfg(feature = "observe")]
    pub(super) observer: Option<&'p mut super::Observer<'p>>,
}

impl Pass<'_> {
    /// x = E\[token\] · scale, plus P\[position\] if positions are learned.
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

    /// The tables of angles for each token's position, those of a token together.
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
    pub(super) fn attention(&mut self, index: usize, layer: &Layer) -> Result<(), Stop> {
        let buffers = self.model.buffers;
        let config = &self.model.config;
        let input = self.enter(layer.attention_norm.as_ref(), buffers.normed)?;
        self.look_ahead(layer, input)?;
        let site = |slot| Site::of(index, slot);
        let products = [
            (&layer.query, buffers.query, site(Slot::Query)),
            (&layer.key, buffers.key, site(Slot::Key)),
            (&layer.value, buffers.value, site(Slot::Value)),
        ];
        self.multiply_all(input, products)?;
        self.once(|pass| {
            pass.norm_heads(layer.query_norm.as_ref(), buffers.query, config.heads)?;
            pass.norm_heads(layer.key_norm.as_ref(), buffers.key, config.kv_heads)?;
            pass.rotate(index, buffers.query, config.query_width());
            pass.rotate(index, buffers.key, config.kv_width());
            pass.store(index)
        })?;
        self.attend(index)?;
        let output = (&layer.output, buffers.normed, site(Slot::Output));
        self.multiply_all(buffers.attended, [output])?;
        self.leave(layer.attention_post_norm.as_ref())
    }

    /// x += W_down (f(W_gate h) ⊙ W_up h) or W_down f(W_up h), with the norms that the block has.
    pub(super) fn feed_forward(&mut self, index: usize, layer: &Layer) -> Result<(), Stop> {
        let buffers = self.model.buffers;
        let input = match self.model.config.block.residual {
            Residual::Sequential => self.enter(layer.feed_forward_norm.as_ref(), buffers.normed)?,
            Residual::Parallel | Residual::Shared => buffers.ahead,
        };
        let site = |slot| Site::of(index, slot);
        let up = (&layer.up, buffers.up, site(Slot::Up));
        match &layer.gate {
            Some(gate) => {
                let gate = (gate, buffers.gate, site(Slot::Gate));
                self.multiply_all(input, [up, gate])?;
            }
            None => self.multiply_all(input, [up])?,
        }
        let inner = self.activate(layer.gate.is_some())?;
        let down = (&layer.down, buffers.normed, site(Slot::Down));
        self.multiply_all(inner, [down])?;
        self.leave(layer.feed_forward_post_norm.as_ref())
    }

    /// f(gate) ⊙ up, or f(up) without a gate; returns where the result is.
    fn activate(&mut self, gated: bool) -> Result<Span<f32>, Stop> {
        let cpu = self.model.cpu;
        let width = self.model.config.feed_forward;
        let Buffers { gate, up, .. } = self.model.buffers;
        let activation = self.model.config.block.activation;
        let work = width as u64 * EXP_WORK;
        self.in_parts(self.tokens.len(), work, |pass, tokens| {
            let part = |span: Span<f32>| span.part(tokens.start * width, tokens.len() * width);
            if !gated {
                let up = pass.working.get_mut(part(up));
                match activation {
                    Activation::Gelu => cpu.gelu(up),
                    Activation::Silu => cpu.silu(up),
                }
                return Ok(());
            }
            let parts = [part(gate).range(), part(up).range()];
            let [gate, up] = pass.working.disjoint(parts);
            match activation {
                Activation::Gelu => cpu.geglu(as_mut(gate), as_mut(up)),
                Activation::Silu => cpu.swiglu(as_mut(gate), as_mut(up)),
            }
            Ok(())
        })?;
        Ok(if gated { gate } else { up })
    }

    /// Input of a half of a block: the residual stream, or its norm, written to `to`.
    fn enter(&mut self, norm: Option<&Norm>, to: Span<f32>) -> Result<Span<f32>, Stop> {
        let residual = self.model.buffers.residual;
        let Some(norm) = norm else {
            return Ok(residual);
        };
        self.once(|pass| {
            pass.copy(residual, to);
            pass.norm(norm, to)
        })?;
        Ok(to)
    }

    /// Saves the input of a parallel feed-forward layer before attention is added to the residual stream.
    fn look_ahead(&mut self, layer: &Layer, attention_input: Span<f32>) -> Result<(), Stop> {
        let Buffers {
            residual, ahead, ..
        } = self.model.buffers;
        match self.model.config.block.residual {
            Residual::Sequential => Ok(()),
            Residual::Parallel => self.once(|pass| {
                pass.copy(residual, ahead);
                let norm = layer.feed_forward_norm.as_ref();
                norm.map_or(Ok(()), |norm| pass.norm(norm, ahead))
            }),
            Residual::Shared => self.once(|pass| {
                pass.copy(attention_input, ahead);
                Ok(())
            }),
        }
    }

    /// Adds the output of a half of a block, in `normed`, to the residual stream.
    fn leave(&mut self, norm: Option<&Norm>) -> Result<(), Stop> {
        let normed = self.model.buffers.normed;
        self.once(|pass| {
            if let Some(norm) = norm {
                pass.norm(norm, normed)?;
            }
            if let Some(scale) = pass.model.config.scales.residual {
                let result = normed.part(0, pass.tokens.len() * pass.model.config.width);
                pass.model.cpu.scale(pass.working.get_mut(result), scale);
            }
            pass.add_to_residual();
            Ok(())
        })
    }

    /// to = from, vectors of the model's width.
    fn copy(&mut self, from: Span<f32>, to: Span<f32>) {
        let len = self.tokens.len() * self.model.config.width;
        let [from, to] = [from.part(0, len), to.part(0, len)].map(|span| span.range());
        let [from, to] = self.working.disjoint([from, to]);
        as_mut::<f32>(to).copy_from_slice(as_mut(from));
    }

    /// logits = cap(W_out · norm(x) · scale) for the tokens that need them.
    pub(super) fn logits(&mut self) -> Result<(), Stop> {
        let buffers = self.model.buffers;
        let weights = &self.model.weights;
        let output = Linear {
            matrix: weights.output.unwrap_or(weights.embedding),
            bias: weights.output_bias,
        };
        let (cpu, config) = (self.model.cpu, &self.model.config);
        self.once(|pass| {
            let residual = pass.working.get_mut(buffers.residual);
            let wanted = pass.tokens.iter().enumerate().filter(|(_, t)| t.logits);
            for (to, (t, _)) in wanted.enumerate() {
                residual.copy_within(t * config.width..(t + 1) * config.width, to * config.width);
            }
            Ok(())
        })?;
        let wanted = self.tokens.iter().filter(|token| token.logits).count();
        if wanted == 0 {
            return Ok(());
        }
        // What follows depends on their number and their adapters.
        let adapters = self.tokens.iter().filter(|token| token.logits);
        self.adapters = adapters.map(|token| token.adapter).collect();
        self.tokens = &self.tokens[..wanted];
        let input = self.enter(Some(&weights.output_norm), buffers.normed)?;
        let output = (&output, buffers.logits, Site::logits(config));
        self.multiply_all(input, [output])?;
        let work = config.vocabulary as u64 * config.caps.logits.map_or(1, |_| EXP_WORK);
        self.in_parts(wanted, work, |pass, tokens| {
            let (first, len) = (
                tokens.start * config.vocabulary,
                tokens.len() * config.vocabulary,
            );
            let logits = pass.working.get_mut(buffers.logits.part(first, len));
            if let Some(scale) = config.scales.logits {
                cpu.scale(logits, scale);
            }
            cpu.max_magnitude(logits)?;
            if let Some(cap) = config.caps.logits {
                cpu.soft_cap(logits, cap);
            }
            Ok(())
        })
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

    /// The norm of each `part` elements of x. A longer weight contains weights for several parts, used in turn.
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

    /// to = W · from + b for each token of the batch, plus what its adapter adds. `from` and `to` may be longer.
    /// Several matrices share the same activations, which are prepared once for all that need the same form.
    fn multiply_all<const N: usize>(
        &mut self,
        from: Span<f32>,
        products: [(&Linear, Span<f32>, Site); N],
    ) -> Result<(), Stop> {
        let tokens = self.tokens.len();
        let mut prepared = None;
        for (linear, to, _) in products {
            let Matrix {
                ty, rows, columns, ..
            } = linear.matrix;
            let from = from.part(0, tokens * columns);
            let kind = ty.activations();
            if prepared.replace(kind) != Some(kind) {
                self.once(|pass| pass.prepare(from, kind))?;
            }
            // Rows can be split between two tiles.
            let work = (TILE * tokens * columns) as u64;
            self.in_parts(rows.div_ceil(TILE), work, |pass, tiles| {
                let rows = tiles.start * TILE..rows.min(tiles.end * TILE);
                pass.multiply_rows(linear, rows, from, to);
                Ok(())
            })?;
        }
        self.adapt(from, products)
    }

    /// to += Bᵀ (A · from · α / r) for each token with an adapter. Each token is a separate part, so its bits do not
    /// depend on the rest of the batch; a token without an adapter costs nothing.
    fn adapt<const N: usize>(
        &mut self,
        from: Span<f32>,
        products: [(&Linear, Span<f32>, Site); N],
    ) -> Result<(), Stop> {
        let model = self.model;
        for t in 0..self.adapters.len() {
            let Some(adapter) = self.adapters[t].and_then(|place| model.adapters.get(place)) else {
                continue;
            };
            let frozen = self.frozen;
            let deltas = products.map(|(linear, to, site)| {
                let (rows, columns) = (linear.matrix.rows, linear.matrix.columns);
                let delta = adapter.delta(site, rows, columns, frozen)?;
                let x = from.part(t * columns, columns);
                Some((delta, x, to.part(t * rows, rows)))
            });
            let deltas = || deltas.iter().flatten();
            match deltas().map(|(delta, ..)| delta.work).sum() {
                0 => {}
                work => self.in_parts(1, work, |pass, _| {
                    let mut inner = Inner::default();
                    for (delta, x, to) in deltas() {
                        let [x, to] = pass.working.disjoint([x.range(), to.range()]);
                        inner.fill(model.cpu, delta, as_mut(x));
                        let inner = inner.of(delta);
                        model.cpu.adapter_half_up(delta.b, inner, as_mut(to));
                    }
                    Ok(())
                })?,
            }
        }
        Ok(())
    }

    /// Converts activations to the form that matrices require.
    fn prepare(&mut self, from: Span<f32>, kind: ActivationType) -> Result<(), NonFinite> {
        let cpu = self.model.cpu;
        let quantised = self.model.buffers.quantised.range();
        let [from, quantised] = self.working.disjoint([from.range(), quantised]);
        let from = as_mut::<f32>(from);
        match kind {
            ActivationType::Float => cpu.max_magnitude(from).map(|_| ()),
            ActivationType::Q8 => cpu.quantize_activations(from, q8(quantised, from.len())),
            ActivationType::Q8K => cpu.quantize_activations_k(from, q8k(quantised, from.len())),
        }
    }

    /// Some rows of a product with prepared activations. `rows` begin with a tile.
    fn multiply_rows(
        &mut self,
        linear: &Linear,
        rows: Range<usize>,
        from: Span<f32>,
        to: Span<f32>,
    ) {
        let Matrix {
            ty,
            rows: stride,
            columns,
            data,
            tiled,
            ..
        } = linear.matrix;
        let tokens = self.tokens.len();
        let row = data.len() / stride;
        let to = to.part(rows.start, tokens * stride - rows.start);
        let quantised = self.model.buffers.quantised.range();
        let [from, quantised, to] = self.working.disjoint([from.range(), quantised, to.range()]);
        let (from, to) = (as_mut::<f32>(from), as_mut::<f32>(to));
        #[cfg(feature = "observe")]
        // Each matrix only once, however its rows are split.
        if let (Some(observer), Some(tensor), 0) =
            (&mut self.observer, linear.matrix.tensor, rows.start)
        {
            observer(tensor, from);
        }
        let w = simd::Matrix {
            ty,
            rows: rows.len(),
            columns,
            tiled,
            bytes: self
                .frozen
                .get(data.part(rows.start * row, rows.len() * row)),
        };
        let x = match ty.activations() {
            ActivationType::Float => Activations::Float(from),
            ActivationType::Q8 => Activations::Q8(q8(quantised, from.len())),
            ActivationType::Q8K => Activations::Q8K(q8k(quantised, from.len())),
        };
        self.model.cpu.multiply(&w, x, stride, to);
        if let Some(bias) = linear.bias {
            let bias = self.frozen.get(bias.part(rows.start, rows.len()));
            for to in to.chunks_mut(stride) {
                self.model.cpu.add(&mut to[..rows.len()], bias);
            }
        }
    }

    /// Rotates the pairs of every head by the angles of its token's position, in blocks that use rotation.
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

    /// Stores the keys and values of the batch in the cache.
    fn store(&mut self, layer: usize) -> Result<(), NonFinite> {
        let Buffers { key, value, .. } = self.model.buffers;
        let width = self.model.config.kv_width();
        let cache = &self.model.cache;
        for (t, token) in self.tokens.iter().enumerate() {
            if self.removed >> t & 1 == 1 {
                continue;
            }
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

    /// attended = softmax(cap(q Kᵀ · scale)) V for each token and head, over the cache as stored, up to the token
    /// itself; in blocks with a window, from its beginning.
    fn attend(&mut self, layer: usize) -> Result<(), Stop> {
        let config = &self.model.config;
        for t in 0..self.tokens.len() {
            let position = self.tokens[t].position as usize;
            let positions = match self.removed >> t & 1 {
                0 => position + 1 - config.first_attended(layer, position),
                _ => 0,
            };
            // A part is one query head; keys and values are read once each.
            let work = (2 * positions * config.head_size) as u64;
            self.in_parts(config.heads, work, |pass, heads| {
                pass.attend_token(layer, t, heads)
            })?;
        }
        Ok(())
    }

    /// Attention of some query heads of a token.
    fn attend_token(
        &mut self,
        layer: usize,
        t: usize,
        part: Range<usize>,
    ) -> Result<(), NonFinite> {
        let buffers = self.model.buffers;
        let config = &self.model.config;
        let width = config.query_width();
        let token = self.tokens[t];
        if self.removed >> t & 1 == 1 {
            // Its cache may belong to another session by now.
            self.working
                .get_mut(buffers.attended.part(t * width, width))
                .fill(0.0);
            return Ok(());
        }
        let bias = self.model.key_bias;
        let frozen = self.frozen;
        let bias = bias.and_then(|bias| bias.of_layer(layer, config, |span| frozen.get(span)));
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
            part,
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
        })
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

/// A · x · α / r of the previous matrix, which may be part of the same tensor and have the same A.
struct Inner<'a> {
    a: &'a [u8],
    values: [f32; MAX_RANK],
}

impl Default for Inner<'_> {
    fn default() -> Self {
        Self {
            a: &[],
            values: [0.0; MAX_RANK],
        }
    }
}

impl<'a> Inner<'a> {
    fn fill(&mut self, cpu: Cpu, delta: &Delta<'a>, x: &[f32]) {
        // The same place means the same matrix and the same x, because only matrices multiplied by the same x come
        // together.
        let a = delta.a;
        if !core::ptr::eq(self.a, a.bytes) {
            let values = &mut self.values[..delta.rank];
            cpu.adapter_half_down(a, x, delta.scale, values);
            self.a = a.bytes;
        }
    }

    fn of(&self, delta: &Delta<'a>) -> &[f32] {
        &self.values[..delta.rank]
    }
}

/// The first `elements` activations as Q8.
fn q8(quantised: &mut [u8], elements: usize) -> &mut [ActivationQ8] {
    &mut as_mut(quantised)[..elements / BLOCK]
}

/// The first `elements` activations as Q8_K.
fn q8k(quantised: &mut [u8], elements: usize) -> &mut [ActivationQ8K] {
    let bytes = elements / SUPER_BLOCK * size_of::<ActivationQ8K>();
    as_mut(&mut quantised[..bytes])
}
