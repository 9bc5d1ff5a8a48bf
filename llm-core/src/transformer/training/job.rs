//! A unit of training work: some tokens of an example in one block, with what all passes need.

use super::adapted::{Adapted, Pair, Slot};
use super::area::{Area, ROWS, cache_shape};
use crate::arena::{Frozen, Span, Working, as_mut};
use crate::kv_cache::KvShape;
use crate::outputs::Outputs;
use crate::quantize::{
    self, ActivationQ8, ActivationQ8K, ActivationType, BLOCK, NonFinite, SUPER_BLOCK,
};
use crate::simd::backward::Spread;
use crate::simd::tiles::{self, TILE};
use crate::simd::{self, Activations};
use crate::transformer::families::{HeadNorm, NormKind};
use crate::transformer::steps::{Meter, Stepwise, Stop};
use crate::transformer::weights::{Layer, Linear, Matrix, Norm};
use crate::transformer::{MAX_RANK, Model};
use core::ops::Range;

/// The unit of work; see the module.
pub(super) struct Job<'j> {
    pub(super) model: &'j Model,
    pub(super) frozen: Frozen<'j>,
    pub(super) working: Working<'j>,
    pub(super) adapted: &'j Adapted,
    pub(super) area: &'j Area,
    /// α / rank.
    pub(super) scale: f32,
    /// Capacity in positions.
    pub(super) room: usize,
    /// The positions to process.
    pub(super) chunk: Range<usize>,
    pub(super) meter: Meter,
}

impl Stepwise for Job<'_> {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

impl<'j> Job<'j> {
    pub(super) fn len(&self) -> usize {
        self.chunk.len()
    }

    pub(super) fn width(&self) -> usize {
        self.model.config.width
    }

    pub(super) fn layer(&self, index: usize) -> &'j Layer {
        &self.model.weights.layers[index]
    }

    pub(super) fn cache(&self) -> KvShape {
        cache_shape(&self.model.config, self.room)
    }

    /// The chunk's part of a span with `width` elements per token.
    pub(super) fn of_chunk(&self, span: Span<f32>, width: usize) -> Span<f32> {
        span.part(0, self.len() * width)
    }

    /// The chunk's part of the input of block `layer`; for the number of blocks, of the last block's output.
    pub(super) fn input(&self, layer: usize) -> Span<f32> {
        let width = self.width();
        let first = layer * self.room + self.chunk.start;
        self.area.inputs.part(first * width, self.len() * width)
    }

    /// The chunk's part of the gradient of the current block's output.
    pub(super) fn back(&self) -> Span<f32> {
        self.input(self.model.config.layers)
    }

    /// A and B of a pair in the parameters.
    fn parameters(&self, pair: &Pair) -> [Span<f32>; 2] {
        halves(self.area.parameters, pair, self.adapted.rank)
    }

    pub(super) fn copy(&mut self, from: Span<f32>, to: Span<f32>) {
        let to = to.part(0, from.len());
        let [from, to] = self.working.disjoint([from.range(), to.range()]);
        as_mut::<f32>(to).copy_from_slice(as_mut(from));
    }

    /// to += from.
    pub(super) fn add(&mut self, from: Span<f32>, to: Span<f32>) {
        let to = to.part(0, from.len());
        let [from, to] = self.working.disjoint([from.range(), to.range()]);
        self.model.cpu.add(as_mut(to), as_mut(from));
    }

    /// Dequantises a row of a matrix.
    pub(super) fn row(&mut self, matrix: &Matrix, row: usize, to: Span<f32>) {
        dequantise(self.frozen, matrix, row, self.working.get_mut(to));
    }

    /// Applies a norm to each vector of the model's width.
    pub(super) fn norm(&mut self, norm: &Norm, x: Span<f32>) -> Result<(), NonFinite> {
        self.norm_parts(norm, x, self.model.config.width)
    }

    /// Number of elements normed together in heads of this width.
    pub(super) fn head_part(&self, width: usize) -> usize {
        match self.model.config.block.heads {
            HeadNorm::Whole => width,
            HeadNorm::None | HeadNorm::PerHead | HeadNorm::EachHead => self.model.config.head_size,
        }
    }

    /// The norm of each `part` elements. A longer weight contains weights for several parts, used in turn.
    pub(super) fn norm_parts(
        &mut self,
        norm: &Norm,
        x: Span<f32>,
        part: usize,
    ) -> Result<(), NonFinite> {
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

    /// Turns the gradient of [`Self::norm_parts`]'s result into that of `x`.
    pub(super) fn norm_back(&mut self, norm: &Norm, x: Span<f32>, back: Span<f32>, part: usize) {
        let cpu = self.model.cpu;
        let config = &self.model.config;
        let back = back.part(0, x.len());
        let [x, back] = self.working.disjoint([x.range(), back.range()]);
        let weights = self.frozen.get(norm.weight).chunks_exact(part).cycle();
        let x = as_mut::<f32>(x).chunks_exact(part);
        let back = as_mut::<f32>(back).chunks_exact_mut(part);
        for ((x, back), weight) in x.zip(back).zip(weights) {
            match config.block.norm {
                NormKind::Rms => cpu.rms_norm_back(x, weight, config.epsilon, back),
                NormKind::Layer => cpu.layer_norm_back(x, weight, config.epsilon, back),
            }
        }
    }

    /// to = W · from + b + (α / r) B (A · from) for several matrices with the same activations, computed as in
    /// inference.
    pub(super) fn products<const N: usize>(
        &mut self,
        index: usize,
        from: Span<f32>,
        products: [(Slot, &Linear, Span<f32>); N],
    ) -> Result<(), Stop> {
        let mut prepared = None;
        for (slot, linear, to) in products {
            let Matrix { ty, rows, .. } = linear.matrix;
            let kind = ty.activations();
            if prepared.replace(kind) != Some(kind) {
                self.once(|job| job.prepare(from, kind))?;
            }
            let work = (TILE * from.len()) as u64;
            self.in_parts(rows.div_ceil(TILE), work, |job, tiles| {
                let rows = tiles.start * TILE..rows.min(tiles.end * TILE);
                job.multiply_rows(
                    linear,
                    rows.clone(),
                    from,
                    to.part(rows.start, to.len() - rows.start),
                    linear.matrix.rows,
                );
                Ok(())
            })?;
            if let Some(pair) = self.adapted.pair(index, slot) {
                let work = self.low_work(&pair);
                self.in_parts(1, work, |job, _| {
                    job.add_adapter(&pair, from, to);
                    Ok(())
                })?;
            }
        }
        Ok(())
    }

    /// Multiply-accumulates of the products with A and B.
    fn low_work(&self, pair: &Pair) -> u64 {
        (self.len() * self.adapted.rank * (pair.columns + pair.rows)) as u64
    }

    /// to += (α / r) B (A · from).
    fn add_adapter(&mut self, pair: &Pair, from: Span<f32>, to: Span<f32>) {
        let cpu = self.model.cpu;
        let [a, b] = self.parameters(pair);
        let low = self.area.low.part(0, self.adapted.rank);
        let ranges = [a, b, from, low, to].map(|span| span.range());
        let [a, b, from, low, to] = self.working.disjoint(ranges).map(as_mut::<f32>);
        let from = from.chunks_exact(pair.columns);
        for (from, to) in from.zip(to.chunks_exact_mut(pair.rows)) {
            cpu.adapter_down(a, from, self.scale, low);
            cpu.adapter_up(b, low, to);
        }
    }

    /// Converts activations to the form that matrices require.
    pub(super) fn prepare(
        &mut self,
        from: Span<f32>,
        kind: ActivationType,
    ) -> Result<(), NonFinite> {
        let cpu = self.model.cpu;
        let quantised = self.area.quantised.range();
        let [from, quantised] = self.working.disjoint([from.range(), quantised]);
        let from = as_mut::<f32>(from);
        match kind {
            ActivationType::Float => cpu.max_magnitude(from).map(|_| ()),
            ActivationType::Q8 => cpu.quantize_activations(from, q8(quantised, from.len())),
            ActivationType::Q8K => cpu.quantize_activations_k(from, q8k(quantised, from.len())),
        }
    }

    /// Some rows of a product with prepared activations, stored from the beginning of `to`, where tokens are `stride`
    /// elements apart. `rows` begin with a tile.
    pub(super) fn multiply_rows(
        &mut self,
        linear: &Linear,
        rows: Range<usize>,
        from: Span<f32>,
        to: Span<f32>,
        stride: usize,
    ) {
        let Matrix {
            ty,
            rows: all,
            columns,
            data,
            tiled,
            ..
        } = linear.matrix;
        let cpu = self.model.cpu;
        let row = data.len() / all;
        let quantised = self.area.quantised.range();
        let [from, quantised, to] = self.working.disjoint([from.range(), quantised, to.range()]);
        let (from, to) = (as_mut::<f32>(from), as_mut::<f32>(to));
        let data = data.part(rows.start * row, rows.len() * row);
        let w = simd::Matrix {
            ty,
            rows: rows.len(),
            columns,
            tiled,
            bytes: self.frozen.get(data),
        };
        let x = match ty.activations() {
            ActivationType::Float => Activations::Float(from),
            ActivationType::Q8 => Activations::Q8(q8(quantised, from.len())),
            ActivationType::Q8K => Activations::Q8K(q8k(quantised, from.len())),
        };
        cpu.multiply(&w, x, &mut Outputs::new(to, stride, rows.len()));
        if let Some(bias) = linear.bias {
            let bias = self.frozen.get(bias.part(rows.start, rows.len()));
            for to in to.chunks_mut(stride) {
                cpu.add(&mut to[..rows.len()], bias);
            }
        }
    }

    /// The backward pass of [`Self::products`] with one matrix: accumulates the gradients of its adapter and, if
    /// needed, that of its activations. `back` is the gradient of the product.
    pub(super) fn product_back(
        &mut self,
        index: usize,
        (slot, linear): (Slot, &Linear),
        from: Span<f32>,
        back: Span<f32>,
        from_back: Option<Span<f32>>,
    ) -> Result<(), Stop> {
        if let Some(pair) = self.adapted.pair(index, slot) {
            let work = 3 * self.low_work(&pair);
            self.in_parts(1, work, |job, _| {
                job.adapter_back(&pair, from, back, from_back);
                Ok(())
            })?;
        }
        let Some(to) = from_back else {
            return Ok(());
        };
        let rows = linear.matrix.rows;
        let work = (ROWS * from.len()) as u64;
        self.in_parts(rows.div_ceil(ROWS), work, |job, parts| {
            for part in parts {
                let part = part * ROWS..rows.min((part + 1) * ROWS);
                let factors = back.part(part.start, back.len() - part.start);
                job.rows_back(&linear.matrix, part, factors, rows, to);
            }
            Ok(())
        })
    }

    /// Adds Wᵀ · back to `to`, for at most [`ROWS`] rows of W. The gradients of these rows begin with `back`, where
    /// tokens are `stride` elements apart.
    pub(super) fn rows_back(
        &mut self,
        matrix: &Matrix,
        part: Range<usize>,
        back: Span<f32>,
        stride: usize,
        to: Span<f32>,
    ) {
        let columns = matrix.columns;
        let rows = self.area.rows.part(0, part.len() * columns);
        if matrix.tiled {
            let w = self.frozen.get(matrix.data);
            let to = self.working.get_mut(rows);
            let cpu = self.model.cpu;
            cpu.dequantize_rows(matrix.ty, w, part.start, columns, to);
        } else {
            for (row, to) in part.clone().zip(0..) {
                let to = rows.part(to * columns, columns);
                dequantise(self.frozen, matrix, row, self.working.get_mut(to));
            }
        }
        let ranges = [rows, back, to].map(|span| span.range());
        let [rows, back, to] = self.working.disjoint(ranges).map(as_mut::<f32>);
        self.model.cpu.spread(Spread {
            w: rows,
            columns,
            factors: back,
            next_output: stride,
            next_row: 1,
            descending: false,
            out: to,
        });
    }

    /// The adapter's part of [`Self::product_back`]. Tokens are processed in descending order, like chunks, so that the
    /// chunk length does not affect the sums.
    fn adapter_back(
        &mut self,
        pair: &Pair,
        from: Span<f32>,
        back: Span<f32>,
        from_back: Option<Span<f32>>,
    ) {
        let cpu = self.model.cpu;
        let rank = self.adapted.rank;
        let [a, b] = self.parameters(pair);
        let [a_back, b_back] = halves(self.area.moments, pair, rank);
        let [low, low_back] =
            [self.area.low, self.area.low_back].map(|span| span.part(0, self.len() * rank));
        let spans = [a, b, a_back, b_back, low, low_back, from, back];
        let [a, b, a_back, b_back, low, low_back, from, back] = self
            .working
            .disjoint(spans.map(|span| span.range()))
            .map(as_mut::<f32>);
        let tokens = from.chunks_exact(pair.columns);
        let tokens = tokens.zip(back.chunks_exact(pair.rows));
        let lows = low
            .chunks_exact_mut(rank)
            .zip(low_back.chunks_exact_mut(rank));
        let mut part = [0.0; MAX_RANK];
        let part = &mut part[..rank];
        for ((from, back), (low, low_back)) in tokens.zip(lows) {
            cpu.adapter_down(a, from, self.scale, low);
            cpu.adapter_down(b, back, self.scale, part);
            // A's output went into all matrices that share it.
            match pair.first {
                true => low_back.copy_from_slice(part),
                false => cpu.add(low_back, part),
            }
        }
        cpu.spread(Spread {
            w: back,
            columns: pair.rows,
            factors: low,
            next_output: 1,
            next_row: rank,
            descending: true,
            out: b_back,
        });
        if !pair.last {
            return;
        }
        cpu.spread(Spread {
            w: from,
            columns: pair.columns,
            factors: low_back,
            next_output: 1,
            next_row: rank,
            descending: true,
            out: a_back,
        });
        let Some(to) = from_back else {
            return;
        };
        let [a, _] = self.parameters(pair);
        let low_back = self.area.low_back.part(0, self.len() * rank);
        let ranges = [a, low_back, to].map(|span| span.range());
        let [a, low_back, to] = self.working.disjoint(ranges).map(as_mut::<f32>);
        cpu.spread(Spread {
            w: a,
            columns: pair.columns,
            factors: low_back,
            next_output: rank,
            next_row: 1,
            descending: false,
            out: to,
        });
    }
}

/// The parts of a span that correspond to A and B of a pair.
fn halves(span: Span<f32>, pair: &Pair, rank: usize) -> [Span<f32>; 2] {
    [
        span.part(pair.a, rank * pair.columns),
        span.part(pair.b, rank * pair.rows),
    ]
}

/// Dequantises a row of a matrix.
fn dequantise(frozen: Frozen<'_>, matrix: &Matrix, row: usize, to: &mut [f32]) {
    if matrix.tiled {
        return tiles::dequantize(matrix.ty, frozen.get(matrix.data), row, to);
    }
    let bytes = matrix.data.len() / matrix.rows;
    let from = frozen.get(matrix.data.part(row * bytes, bytes));
    // The row's length was checked when the model was loaded.
    let _ = quantize::dequantize_row(matrix.ty, from, to);
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
