//! The forward pass: one block, for every token of a batch.
//!
//! It reads from top to bottom. Operations on all rows, heads or elements are jobs for the team ([`crate::team`]); the
//! others are done here.

mod attention;
mod products;

use super::adapter::{Site, Slot};
use super::buffers::Buffers;
use super::families::{Activation, HeadNorm, NormKind, Residual};
use super::steps::{EXP_WORK, Meter, Stepwise, Stop};
use super::weights::{Layer, Linear, Matrix, Norm};
use super::{MAX_BATCH, Model, Token};
use crate::arena::{Divided, Span, as_mut};
use crate::arithmetic;
use crate::quantize::{self, NonFinite};
use crate::simd::tiles::{self};
use crate::team::{Activate, Cap, Job, Memory, NormOf, Team, Vectors, Work};

/// The state of a batch within a block.
pub(super) struct Pass<'p, T> {
    pub(super) model: &'p Model,
    pub(super) arena: Divided<'p>,
    pub(super) team: &'p mut T,
    pub(super) tokens: &'p [Token],
    /// The adapter of each token.
    pub(super) adapters: heapless::Vec<Option<u8>, MAX_BATCH>,
    /// Tokens that were removed, one bit each; their results are discarded.
    pub(super) removed: u64,
    pub(super) meter: Meter,
    #[cfg(feature = "observe")]
    pub(super) observer: Option<&'p mut super::Observer<'p>>,
}

impl<T> Stepwise for Pass<'_, T> {
    fn meter(&mut self) -> &mut Meter {
        &mut self.meter
    }
}

impl<T: Team> Pass<'_, T> {
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
                let cpu = self.model.cpu;
                cpu.scale(self.arena.working().get_mut(x), scale);
            }
            if let Some(positions) = &weights.positions {
                let position = normed.part(0, width);
                self.row(positions, token.position as usize, position);
                let mut working = self.arena.working();
                let [x, position] = working.disjoint([x.range(), position.range()]);
                arithmetic::add(as_mut(x), as_mut(position));
            }
        }
    }

    /// to = row of a matrix.
    fn row(&mut self, matrix: &Matrix, row: usize, to: Span<f32>) {
        let (frozen, mut working) = self.arena.split();
        let to = working.get_mut(to);
        if matrix.tiled {
            let w = frozen.get(matrix.data);
            return tiles::dequantize(matrix.ty, w, row, to);
        }
        let bytes = matrix.data.len() / matrix.rows;
        let from = frozen.get(matrix.data.part(row * bytes, bytes));
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
        let (frozen, mut working) = self.arena.split();
        let divisors = divisors.map_or(&[][..], |span| frozen.get(span));
        let rotations = working.get_mut(self.model.buffers.rotation);
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
            pass.rotate(index, buffers.query, config.query_width())?;
            pass.rotate(index, buffers.key, config.kv_width())?;
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
        let width = self.model.config.feed_forward;
        let Buffers { gate, up, .. } = self.model.buffers;
        let gelu = match self.model.config.block.activation {
            Activation::Gelu => true,
            Activation::Silu => false,
        };
        let work = width as u64 * EXP_WORK;
        self.in_parts(self.tokens.len(), work, |pass, tokens| {
            let part = |span: Span<f32>| span.part(tokens.start * width, tokens.len() * width);
            let job = Activate {
                gelu,
                gate: if gated { part(gate) } else { Span::EMPTY },
                up: part(up),
            };
            pass.run(&Job::Activate(job), work * tokens.len() as u64)
        })?;
        Ok(if gated { gate } else { up })
    }

    /// Input of a half of a block: the residual stream, or its norm, written to `to`.
    fn enter(&mut self, norm: Option<&Norm>, to: Span<f32>) -> Result<Span<f32>, Stop> {
        let residual = self.model.buffers.residual;
        let Some(norm) = norm else {
            return Ok(residual);
        };
        self.once(|pass| pass.vectors(residual, to, Some(norm), None, Span::EMPTY))?;
        Ok(to)
    }

    /// Saves the input of a parallel feed-forward layer before attention is added to the residual stream.
    fn look_ahead(&mut self, layer: &Layer, attention_input: Span<f32>) -> Result<(), Stop> {
        let Buffers {
            residual, ahead, ..
        } = self.model.buffers;
        let (from, norm) = match self.model.config.block.residual {
            Residual::Sequential => return Ok(()),
            Residual::Parallel => (residual, layer.feed_forward_norm.as_ref()),
            Residual::Shared => (attention_input, None),
        };
        self.once(|pass| pass.vectors(from, ahead, norm, None, Span::EMPTY))
    }

    /// Adds the output of a half of a block, in `normed`, to the residual stream.
    fn leave(&mut self, norm: Option<&Norm>) -> Result<(), Stop> {
        let Buffers {
            residual, normed, ..
        } = self.model.buffers;
        let scale = self.model.config.scales.residual;
        self.once(|pass| pass.vectors(Span::EMPTY, normed, norm, scale, residual))
    }

    /// logits = cap(W_out · norm(x) · scale) for the tokens that need them.
    pub(super) fn logits(&mut self) -> Result<(), Stop> {
        let buffers = self.model.buffers;
        let weights = &self.model.weights;
        let output = Linear {
            matrix: weights.output.unwrap_or(weights.embedding),
            bias: weights.output_bias,
        };
        let config = &self.model.config;
        self.once(|pass| {
            let mut working = pass.arena.working();
            let residual = working.get_mut(buffers.residual);
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
            let job = Cap {
                logits: buffers.logits.part(first, len),
                scale: config.scales.logits,
                cap: config.caps.logits,
            };
            pass.run(&Job::Cap(job), work * tokens.len() as u64)
        })
    }

    /// to = norm(from) · scale, then sum += to, for vectors of the model's width; see [`Vectors`].
    fn vectors(
        &mut self,
        from: Span<f32>,
        to: Span<f32>,
        norm: Option<&Norm>,
        scale: Option<f32>,
        sum: Span<f32>,
    ) -> Result<(), NonFinite> {
        let width = self.model.config.width;
        let (tokens, norm) = (self.tokens.len(), norm.map(|norm| self.norm(norm, width)));
        let of_batch = |span: Span<f32>| match span.is_empty() {
            true => span,
            false => span.part(0, tokens * width),
        };
        let job = Vectors {
            tokens,
            width,
            from: of_batch(from),
            to: of_batch(to),
            norm,
            scale,
            sum: of_batch(sum),
        };
        self.run_by_token(&Job::Vectors(job), width)
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
        let tokens = self.tokens.len();
        let job = Vectors {
            tokens,
            width,
            from: Span::EMPTY,
            to: x.part(0, tokens * width),
            norm: Some(self.norm(norm, part)),
            scale: None,
            sum: Span::EMPTY,
        };
        self.run_by_token(&Job::Vectors(job), width)
    }

    /// The norm of each `part` elements. A longer weight contains weights for several parts, used in turn.
    fn norm(&self, norm: &Norm, part: usize) -> NormOf {
        let config = &self.model.config;
        NormOf {
            centred: config.block.norm == NormKind::Layer,
            epsilon: config.epsilon,
            weight: norm.weight,
            bias: norm.bias.unwrap_or_default(),
            part,
        }
    }

    /// Runs a job that has some `width` elements for each token of the batch.
    fn run_by_token(&mut self, job: &Job, width: usize) -> Result<(), NonFinite> {
        let work = self.tokens.len() * width * VECTOR_WORK;
        self.run(job, work as u64)
    }

    /// Runs a job of this much work: by the team, or here if that would take longer.
    #[inline]
    fn run(&mut self, job: &Job, work: u64) -> Result<(), NonFinite> {
        let workers = match work < self.team.least_work() {
            true => 1,
            false => self.team.workers().min(self.model.options.scratch_pieces()),
        };
        let work = Work::new(job, self.model.cpu, Memory::of(&mut self.arena), workers);
        match workers {
            1 => work.alone(),
            _ => self.team.run(work),
        }
    }
}

/// Multiply-accumulates that take as long as an element of a vector in a job that has no products, about.
const VECTOR_WORK: usize = 8;
