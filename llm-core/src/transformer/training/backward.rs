//! The backward pass of a block, chunk by chunk from the end of the example: the values of the forward pass are
//! recomputed, then each function's gradient is applied. Chunks are in descending order because the gradient of a
//! token's key and value is complete only after all later tokens were processed.

use super::adapted::Slot;
use super::job::Job;
use crate::arena::{Span, as_mut};
use crate::kv_cache::BLOCK_POSITIONS;
use crate::simd::backward::AttentionBack;
use crate::transformer::families::{Activation, Residual};
use crate::transformer::steps::{EXP_WORK, Stepwise, Stop};
use crate::transformer::weights::Norm;
use core::ops::Range;

impl Job<'_> {
    /// Turns the gradient of the output of block `index` into that of its input, and accumulates the gradients of its
    /// adapters. The keys and values of the whole example must be present. The lowest block's input needs no gradient.
    pub(super) fn block_back(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        let config = &self.model.config;
        let width = config.width;
        self.enter(index)?;
        self.queries(index)?;
        if layer.key_norm.is_some() {
            self.keys(index)?;
        }
        self.attention_half(index)?;
        // Attention's output before its norm is needed later, and is then recomputed from `attended`.
        self.feed_forward_inputs(index)?;
        self.feed_forward_back(index)?;

        let input = self.input(index);
        let entered_back = self.of_chunk(self.area.entered_back, width);
        let inner_back = self.of_chunk(self.area.inner_entered_back, width);
        let residual = config.block.residual;
        if residual == Residual::Sequential {
            let middle = self.of_chunk(self.area.middle, width);
            let norm = layer.feed_forward_norm.as_ref();
            self.join(norm, middle, inner_back)?;
        }
        self.once(|job| {
            match residual {
                Residual::Shared => job.copy(inner_back, entered_back),
                _ => job.working.get_mut(entered_back).fill(0.0),
            }
            Ok(())
        })?;
        self.attention_back(index)?;
        if index == 0 {
            return Ok(());
        }
        if residual == Residual::Parallel {
            self.join(layer.feed_forward_norm.as_ref(), input, inner_back)?;
        }
        self.join(layer.attention_norm.as_ref(), input, entered_back)
    }

    /// Adds the gradient that comes through a norm of `x`, if there is one, to that of the residual stream.
    fn join(&mut self, norm: Option<&Norm>, x: Span<f32>, through: Span<f32>) -> Result<(), Stop> {
        let back = self.back();
        self.once(|job| {
            if let Some(norm) = norm {
                job.norm_back(norm, x, through, job.model.config.width);
            }
            job.add(through, back);
            Ok(())
        })
    }

    /// Computes the gradient of a half's result, in `result_back`, from that of the residual stream after it. With a
    /// norm, `result` is the norm's input.
    fn leave_back(&mut self, norm: Option<&Norm>) -> Result<(), Stop> {
        let width = self.width();
        let back = self.back();
        let [result, to] =
            [self.area.result, self.area.result_back].map(|span| self.of_chunk(span, width));
        self.once(|job| {
            job.copy(back, to);
            if let Some(scale) = job.model.config.scales.residual {
                job.model.cpu.scale(job.working.get_mut(to), scale);
            }
            if let Some(norm) = norm {
                job.norm_back(norm, result, to, width);
            }
            Ok(())
        })
    }

    /// The feed-forward layer: leaves the gradient of its input in `inner_entered_back`.
    fn feed_forward_back(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        let config = &self.model.config;
        let (width, inner_width) = (config.width, config.feed_forward);
        let [inner, inner_back, up] = [self.area.inner, self.area.inner_back, self.area.up]
            .map(|span| self.of_chunk(span, inner_width));
        let [entered, entered_back, result, result_back] = [
            self.area.inner_entered,
            self.area.inner_entered_back,
            self.area.result,
            self.area.result_back,
        ]
        .map(|span| self.of_chunk(span, width));
        let post_norm = layer.feed_forward_post_norm.as_ref();
        if post_norm.is_some() {
            self.products(index, inner, [(Slot::Down, &layer.down, result)])?;
        }
        self.leave_back(post_norm)?;
        self.once(|job| {
            job.working.get_mut(inner_back).fill(0.0);
            job.working.get_mut(entered_back).fill(0.0);
            Ok(())
        })?;
        let down = (Slot::Down, &layer.down);
        self.product_back(index, down, inner, result_back, Some(inner_back))?;
        let cpu = self.model.cpu;
        let activation = config.block.activation;
        let work = up.len() as u64 * EXP_WORK;
        let Some(gate_matrix) = &layer.gate else {
            self.in_parts(1, work, |job, _| {
                let [up, back] = job.working.disjoint([up.range(), inner_back.range()]);
                match activation {
                    Activation::Gelu => cpu.gelu_back(as_mut(up), as_mut(back)),
                    Activation::Silu => cpu.silu_back(as_mut(up), as_mut(back)),
                }
                Ok(())
            })?;
            return self.product_back(
                index,
                (Slot::Up, &layer.up),
                entered,
                up,
                Some(entered_back),
            );
        };
        let gate = self.of_chunk(self.area.gate, inner_width);
        self.in_parts(1, work, |job, _| {
            let ranges = [gate, up, inner_back].map(|span| span.range());
            let [gate, up, back] = job.working.disjoint(ranges).map(as_mut::<f32>);
            match activation {
                Activation::Gelu => cpu.geglu_back(gate, up, back),
                Activation::Silu => cpu.swiglu_back(gate, up, back),
            }
            Ok(())
        })?;
        for (product, back) in [
            ((Slot::Gate, gate_matrix), gate),
            ((Slot::Up, &layer.up), up),
        ] {
            self.product_back(index, product, entered, back, Some(entered_back))?;
        }
        Ok(())
    }

    /// Attention: adds the gradient of its input to `entered_back`.
    fn attention_back(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        let config = &self.model.config;
        let (queries, keys, width) = (config.query_width(), config.kv_width(), config.width);
        let [attended, attended_back, query_back] = [
            self.area.attended,
            self.area.attended_back,
            self.area.query_back,
        ]
        .map(|span| self.of_chunk(span, queries));
        let [result, result_back, entered] =
            [self.area.result, self.area.result_back, self.area.entered]
                .map(|span| self.of_chunk(span, width));
        let post_norm = layer.attention_post_norm.as_ref();
        if post_norm.is_some() {
            self.products(index, attended, [(Slot::Output, &layer.output, result)])?;
        }
        self.leave_back(post_norm)?;
        self.once(|job| {
            job.working.get_mut(attended_back).fill(0.0);
            Ok(())
        })?;
        let output = (Slot::Output, &layer.output);
        self.product_back(index, output, attended, result_back, Some(attended_back))?;
        for t in (0..self.len()).rev() {
            let position = self.chunk.start + t;
            let positions = position + 1 - config.first_attended(index, position);
            let work = (5 * positions * config.head_size) as u64;
            self.in_parts(config.heads, work, |job, heads| {
                job.attend_back(index, t, heads);
                Ok(())
            })?;
        }
        let [key_back, value_back] =
            [self.area.key_back, self.area.value_back].map(|span| self.of_chunk(span, keys));
        self.once(|job| {
            job.gather();
            job.head_back(
                index,
                layer.query_norm.as_ref(),
                job.area.plain_query,
                query_back,
                queries,
            );
            job.head_back(
                index,
                layer.key_norm.as_ref(),
                job.area.plain_key,
                key_back,
                keys,
            );
            Ok(())
        })?;
        // The residual stream before the lowest block does not depend on the adapter.
        let entered_back = (index > 0).then(|| self.of_chunk(self.area.entered_back, width));
        for (product, back) in [
            ((Slot::Query, &layer.query), query_back),
            ((Slot::Key, &layer.key), key_back),
            ((Slot::Value, &layer.value), value_back),
        ] {
            self.product_back(index, product, entered, back, entered_back)?;
        }
        Ok(())
    }

    /// For queries or keys: reverses rotation and norm.
    fn head_back(
        &mut self,
        index: usize,
        norm: Option<&Norm>,
        plain: Span<f32>,
        back: Span<f32>,
        width: usize,
    ) {
        self.rotate(index, back, width, true);
        if let Some(norm) = norm {
            let plain = self.of_chunk(plain, width);
            self.norm_back(norm, plain, back, self.head_part(width));
        }
    }

    fn attend_back(&mut self, index: usize, t: usize, part: Range<usize>) {
        let config = &self.model.config;
        let width = config.query_width();
        let position = self.chunk.start + t;
        let token = |span: Span<f32>| span.part(t * width, width).range();
        let [query, attended, query_back, cache, cache_back, scratch] = self
            .working
            .disjoint([
                token(self.area.query),
                token(self.area.attended_back),
                token(self.area.query_back),
                self.area.cache.range(),
                self.area.cache_back.range(),
                self.area.scores.range(),
            ])
            .map(as_mut::<f32>);
        self.model.cpu.attend_back(&mut AttentionBack {
            heads: config.heads,
            kv_heads: config.kv_heads,
            size: config.head_size,
            part,
            positions: position + 1,
            first: config.first_attended(index, position),
            scale: config.scales.scores,
            cap: config.caps.scores,
            query,
            attended,
            query_back,
            cache,
            cache_back,
            scratch,
        });
    }

    /// Gathers the complete gradients of the chunk's keys and values as rows.
    fn gather(&mut self) {
        let config = &self.model.config;
        let (size, width) = (config.head_size, config.kv_width());
        let plane = self.room.next_multiple_of(BLOCK_POSITIONS) * size;
        let spans = [
            self.area.cache_back,
            self.area.key_back,
            self.area.value_back,
        ];
        let [cache, keys, values] = self
            .working
            .disjoint(spans.map(|span| span.range()))
            .map(as_mut::<f32>);
        for (t, position) in self.chunk.clone().enumerate() {
            for head in 0..config.kv_heads {
                let to = t * width + head * size;
                for (n, rows) in [&mut *keys, &mut *values].into_iter().enumerate() {
                    let from = (2 * head + n) * plane + position * size;
                    rows[to..to + size].copy_from_slice(&cache[from..from + size]);
                }
            }
        }
    }
}
