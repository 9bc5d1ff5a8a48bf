//! The forward pass of an example, chunk by chunk: the same as in inference with keys and values in floats, but keeping
//! everything that the backward pass needs.

use super::adapted::Slot;
use super::job::Job;
use crate::arena::{Span, as_mut};
use crate::arithmetic;
use crate::kv_cache::{BLOCK_POSITIONS, CachedLayer};
use crate::quantize::NonFinite;
use crate::simd::attention::Attention;
use crate::transformer::families::{Activation, Residual};
use crate::transformer::steps::{EXP_WORK, Stepwise, Stop};
use crate::transformer::weights::Norm;
use core::ops::Range;

impl Job<'_> {
    /// The angles of the chunk's positions, and the cache table up to there.
    pub(super) fn rotations(&mut self) -> Result<(), Stop> {
        let Some(rope) = self.model.config.rope else {
            return Ok(());
        };
        let weights = &self.model.weights;
        let divisors = weights.divisors(&rope, self.model.context());
        let divisors = divisors.map_or(&[][..], |span| self.frozen.get(span));
        let pairs = rope.size / 2;
        let tables = rope.tables() * pairs;
        let work = tables as u64 * EXP_WORK;
        self.in_parts(self.len(), work, |job, positions| {
            for position in positions {
                let position = job.chunk.start + position;
                let rotation = job.area.rotation.part(position * tables, tables);
                let (table, windowed) = job.working.get_mut(rotation).split_at_mut(pairs);
                rope.angles.fill(position as u32, divisors, table);
                if let Some(angles) = &rope.windowed {
                    angles.fill(position as u32, &[], windowed);
                }
            }
            Ok(())
        })
    }

    /// x = E\[token\] · scale, plus P\[position\] if positions are learned.
    pub(super) fn embed(&mut self, first_token: usize) -> Result<(), Stop> {
        let width = self.width();
        self.in_parts(self.len(), width as u64, |job, tokens| {
            let weights = &job.model.weights;
            for t in tokens {
                let position = job.chunk.start + t;
                let id = job.area.tokens.part(first_token + position, 1);
                let id = job.working.get_mut(id).first().copied().unwrap_or(0);
                let x = job.input(0).part(t * width, width);
                job.row(&weights.embedding, id as usize, x);
                if let Some(scale) = job.model.config.scales.embedding {
                    job.model.cpu.scale(job.working.get_mut(x), scale);
                }
                if let Some(positions) = &weights.positions {
                    let learned = job.area.added.part(0, width);
                    job.row(positions, position, learned);
                    let [x, learned] = job.working.disjoint([x.range(), learned.range()]);
                    arithmetic::add(as_mut(x), as_mut(learned));
                }
            }
            Ok(())
        })
    }

    /// Runs a block, from its input to the next one's.
    pub(super) fn block(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        self.enter(index)?;
        self.queries(index)?;
        self.keys(index)?;
        self.values(index)?;
        self.store()?;
        self.attention_half(index)?;
        self.feed_forward_inputs(index)?;
        let (width, inner) = (self.width(), self.model.config.feed_forward);
        let from = self.of_chunk(self.area.inner, inner);
        let to = self.of_chunk(self.area.result, width);
        self.products(index, from, [(Slot::Down, &layer.down, to)])?;
        let (middle, next) = (
            self.of_chunk(self.area.middle, width),
            self.input(index + 1),
        );
        self.leave(layer.feed_forward_post_norm.as_ref(), middle, next)
    }

    /// Only the keys and values of a block.
    pub(super) fn keys_and_values(&mut self, index: usize) -> Result<(), Stop> {
        self.enter(index)?;
        self.keys(index)?;
        self.values(index)?;
        self.store()
    }

    /// Input of attention.
    pub(super) fn enter(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        let to = self.of_chunk(self.area.entered, self.width());
        let from = self.input(index);
        self.once(|job| {
            job.copy(from, to);
            match &layer.attention_norm {
                Some(norm) => job.norm(norm, to),
                None => Ok(()),
            }
        })
    }

    /// Queries, before and after their norm and rotation.
    pub(super) fn queries(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        let width = self.model.config.query_width();
        let [to, plain] = [self.area.query, self.area.plain_query];
        self.heads(
            index,
            (Slot::Query, width),
            layer.query_norm.as_ref(),
            to,
            plain,
        )
    }

    /// Keys, before and after their norm and rotation.
    pub(super) fn keys(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        let width = self.model.config.kv_width();
        let [to, plain] = [self.area.key, self.area.plain_key];
        self.heads(
            index,
            (Slot::Key, width),
            layer.key_norm.as_ref(),
            to,
            plain,
        )
    }

    fn heads(
        &mut self,
        index: usize,
        (slot, width): (Slot, usize),
        norm: Option<&Norm>,
        to: Span<f32>,
        plain: Span<f32>,
    ) -> Result<(), Stop> {
        let layer = self.layer(index);
        let linear = match slot {
            Slot::Key => &layer.key,
            _ => &layer.query,
        };
        let from = self.of_chunk(self.area.entered, self.width());
        let to = self.of_chunk(to, width);
        self.products(index, from, [(slot, linear, to)])?;
        self.once(|job| {
            if slot == Slot::Key {
                job.add_key_bias(index, to);
            }
            if let Some(norm) = norm {
                job.copy(to, plain);
                job.norm_parts(norm, to, job.head_part(width))?;
            }
            job.rotate(index, to, width, false);
            Ok(())
        })
    }

    /// Adds the biases that an 8-bit cache leaves out, which are then missing from the weights.
    fn add_key_bias(&mut self, index: usize, keys: Span<f32>) {
        let Some(bias) = self.model.key_bias else {
            return;
        };
        let (config, frozen) = (&self.model.config, self.frozen);
        let Some(bias) = bias.of_layer(index, config) else {
            return;
        };
        let keys = self.working.get_mut(keys);
        for key in keys.chunks_exact_mut(config.kv_width()) {
            self.model.cpu.add(key, frozen.get(bias.values));
        }
    }

    fn values(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        let from = self.of_chunk(self.area.entered, self.width());
        let to = self.of_chunk(self.area.value, self.model.config.kv_width());
        self.products(index, from, [(Slot::Value, &layer.value, to)])
    }

    /// Rotates the pairs of heads by the angles of their positions, or rotates gradients back.
    pub(super) fn rotate(&mut self, index: usize, heads: Span<f32>, width: usize, back: bool) {
        let config = &self.model.config;
        let Some(rope) = config.rope.filter(|rope| !rope.without.contains(index)) else {
            return;
        };
        let pairs = rope.size / 2;
        let windowed = config.has_window(index) && rope.windowed.is_some();
        let start = if windowed { pairs } else { 0 };
        let tables = rope.tables() * pairs;
        let rotation = self
            .area
            .rotation
            .part(self.chunk.start * tables, self.len() * tables);
        let [rotation, heads] = self.working.disjoint([rotation.range(), heads.range()]);
        let rotations = as_mut::<[f32; 2]>(rotation).chunks_exact(tables.max(1));
        let (cpu, size) = (self.model.cpu, config.head_size);
        for (token, rotation) in as_mut::<f32>(heads).chunks_exact_mut(width).zip(rotations) {
            let angles = &rotation[start..start + pairs];
            match back {
                false => cpu.rotate(token, size, angles, rope.halves),
                true => cpu.rotate_back(token, size, angles, rope.halves),
            }
        }
    }

    /// Stores keys and values where attention reads them.
    fn store(&mut self) -> Result<(), Stop> {
        let width = self.model.config.kv_width();
        let (shape, cpu) = (self.cache(), self.model.cpu);
        let (key, value) = (
            self.of_chunk(self.area.key, width),
            self.of_chunk(self.area.value, width),
        );
        self.once(|job| {
            let [pool, table, key, value] = job.working.disjoint([
                job.area.cache.range(),
                job.area.table.range(),
                key.range(),
                value.range(),
            ]);
            let table = as_mut::<u16>(table);
            // The blocks are in order.
            for (block, place) in table.iter_mut().skip(1).enumerate() {
                *place = block as u16;
            }
            let keys = as_mut::<f32>(key).chunks_exact(width);
            let rows = keys.zip(as_mut::<f32>(value).chunks_exact(width));
            for ((key, value), position) in rows.zip(job.chunk.clone()) {
                cpu.store(&shape, pool, table, position, [key, value])?;
            }
            Ok(())
        })
    }

    /// Attention, its output matrix, and the residual stream after it.
    pub(super) fn attention_half(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        let config = &self.model.config;
        for t in 0..self.len() {
            let position = self.chunk.start + t;
            let positions = position + 1 - config.first_attended(index, position);
            let work = (2 * positions * config.head_size) as u64;
            self.in_parts(config.heads, work, |job, heads| job.attend(index, t, heads))?;
        }
        let from = self.of_chunk(self.area.attended, config.query_width());
        let to = self.of_chunk(self.area.result, self.width());
        self.products(index, from, [(Slot::Output, &layer.output, to)])?;
        let middle = self.of_chunk(self.area.middle, self.width());
        self.leave(
            layer.attention_post_norm.as_ref(),
            self.input(index),
            middle,
        )
    }

    fn attend(&mut self, index: usize, t: usize, part: Range<usize>) -> Result<(), NonFinite> {
        let config = &self.model.config;
        let (width, size) = (config.query_width(), config.head_size);
        let position = self.chunk.start + t;
        let shape = self.cache();
        let [query, attended, scores, pool, table] = self.working.disjoint([
            self.area.query.part(t * width, width).range(),
            self.area
                .attended
                .part(t * width + part.start * size, part.len() * size)
                .range(),
            self.area.scores.range(),
            self.area.cache.range(),
            self.area.table.range(),
        ]);
        debug_assert!(self.room.div_ceil(BLOCK_POSITIONS) < as_mut::<u16>(table).len());
        self.model.cpu.attend(Attention {
            heads: config.heads,
            part,
            positions: position + 1,
            first: config.first_attended(index, position),
            scale: config.scales.scores,
            cap: config.caps.scores,
            query: as_mut(query),
            attended: as_mut(attended),
            scores: as_mut(scores),
            quantized: &mut [],
            query_scales: &mut [],
            turned: &mut [],
            key_bias: None,
            cache: CachedLayer {
                shape: &shape,
                pool,
                table: as_mut(table),
                layer: 0,
            },
        })
    }

    /// to = from + the result of a half of a block, which is kept.
    fn leave(&mut self, norm: Option<&Norm>, from: Span<f32>, to: Span<f32>) -> Result<(), Stop> {
        let width = self.width();
        let result = self.of_chunk(self.area.result, width);
        let added = self.of_chunk(self.area.added, width);
        self.once(|job| {
            job.copy(result, added);
            if let Some(norm) = norm {
                job.norm(norm, added)?;
            }
            if let Some(scale) = job.model.config.scales.residual {
                job.model.cpu.scale(job.working.get_mut(added), scale);
            }
            job.copy(from, to);
            job.add(added, to);
            Ok(())
        })
    }

    /// Input of the feed-forward layer's last matrix, and everything that led to it.
    pub(super) fn feed_forward_inputs(&mut self, index: usize) -> Result<(), Stop> {
        let layer = self.layer(index);
        let config = &self.model.config;
        let (width, inner_width) = (config.width, config.feed_forward);
        let entered = self.of_chunk(self.area.inner_entered, width);
        let (from, norm) = match config.block.residual {
            Residual::Sequential => (
                self.of_chunk(self.area.middle, width),
                layer.feed_forward_norm.as_ref(),
            ),
            Residual::Parallel => (self.input(index), layer.feed_forward_norm.as_ref()),
            Residual::Shared => (self.of_chunk(self.area.entered, width), None),
        };
        self.once(|job| {
            job.copy(from, entered);
            norm.map_or(Ok(()), |norm| job.norm(norm, entered))
        })?;
        let up = self.of_chunk(self.area.up, inner_width);
        let inner = self.of_chunk(self.area.inner, inner_width);
        let cpu = self.model.cpu;
        let activation = config.block.activation;
        let work = (up.len() as u64) * EXP_WORK;
        let Some(gate_matrix) = &layer.gate else {
            self.products(index, entered, [(Slot::Up, &layer.up, up)])?;
            return self.in_parts(1, work, |job, _| {
                job.copy(up, inner);
                let inner = job.working.get_mut(inner);
                match activation {
                    Activation::Gelu => cpu.gelu(inner),
                    Activation::Silu => cpu.silu(inner),
                }
                Ok(())
            });
        };
        let gate = self.of_chunk(self.area.gate, inner_width);
        let products = [(Slot::Up, &layer.up, up), (Slot::Gate, gate_matrix, gate)];
        self.products(index, entered, products)?;
        self.in_parts(1, work, |job, _| {
            job.copy(gate, inner);
            let [inner, up] = job.working.disjoint([inner.range(), up.range()]);
            match activation {
                Activation::Gelu => cpu.geglu(as_mut(inner), as_mut(up)),
                Activation::Silu => cpu.swiglu(as_mut(inner), as_mut(up)),
            }
            Ok(())
        })
    }
}
