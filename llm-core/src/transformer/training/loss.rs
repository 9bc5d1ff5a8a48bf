//! The loss of an example, where the backward pass begins.
//!
//! The logits of a whole vocabulary do not fit memory for many positions, so they are computed a few at a time, and
//! twice: once for the sum of their exponentials, once for their gradients.

use super::area::{LOGITS, ROWS};
use super::job::Job;
use crate::arena::{Span, as_mut};
use crate::quantize::NonFinite;
use crate::simd::backward::{LossBack, Peak, target_back};
use crate::transformer::steps::{EXP_WORK, Stepwise, Stop};
use crate::transformer::weights::Linear;
use core::ops::Range;

impl Job<'_> {
    /// For the positions of the chunk: adds −log of the probability of each next token to `loss`, and replaces the last
    /// block's output with the gradient of `weight` times that. The tokens of the example begin at `first_token`.
    pub(super) fn loss(
        &mut self,
        first_token: usize,
        weight: f32,
        loss: &mut f64,
    ) -> Result<(), Stop> {
        let weights = &self.model.weights;
        let width = self.width();
        let output = Linear {
            matrix: weights.output.unwrap_or(weights.embedding),
            bias: weights.output_bias,
        };
        let vocabulary = self.model.config.vocabulary;
        let back = self.back();
        let [entered, entered_back] =
            [self.area.entered, self.area.entered_back].map(|span| self.of_chunk(span, width));
        self.once(|job| {
            job.copy(back, entered);
            job.norm(&weights.output_norm, entered)?;
            job.prepare(entered, output.matrix.ty.activations())?;
            job.working.get_mut(job.area.peaks).fill(Peak::NONE);
            job.working.get_mut(entered_back).fill(0.0);
            Ok(())
        })?;
        let tiles = vocabulary.div_ceil(LOGITS);
        let tile = |tile: usize| tile * LOGITS..vocabulary.min((tile + 1) * LOGITS);
        let more = EXP_WORK as usize * LOGITS * self.len();
        let work = (LOGITS * entered.len() + more) as u64;
        self.in_parts(tiles, work, |job, parts| {
            for rows in parts.map(tile) {
                job.logits(&output, rows.clone(), entered)?;
                job.take_in(rows, first_token);
            }
            Ok(())
        })?;
        self.once(|job| {
            let [peaks, targets] = job
                .working
                .disjoint([job.area.peaks.range(), job.area.targets.range()]);
            let of_tokens = as_mut::<Peak>(peaks).iter().zip(as_mut::<f32>(targets));
            for (peak, target) in of_tokens.take(job.chunk.len()) {
                *loss += peak.loss(*target);
            }
            Ok(())
        })?;
        let work = (2 * LOGITS * entered.len() + more) as u64;
        self.in_parts(tiles, work, |job, parts| {
            for rows in parts.map(tile) {
                job.logits(&output, rows.clone(), entered)?;
                job.give_back(&output, rows, first_token, weight, entered_back);
            }
            Ok(())
        })?;
        self.once(|job| {
            job.norm_back(&weights.output_norm, back, entered_back, width);
            job.copy(entered_back, back);
            Ok(())
        })
    }

    /// Computes some logits of the chunk.
    fn logits(
        &mut self,
        output: &Linear,
        rows: Range<usize>,
        entered: Span<f32>,
    ) -> Result<(), NonFinite> {
        let config = &self.model.config;
        let cpu = self.model.cpu;
        let logits = self.of_chunk(self.area.logits, rows.len());
        self.multiply_rows(output, rows.clone(), entered, logits, rows.len());
        let logits = self.working.get_mut(logits);
        if let Some(scale) = config.scales.logits {
            cpu.scale(logits, scale);
        }
        cpu.max_magnitude(logits)?;
        if let Some(cap) = config.caps.logits {
            cpu.soft_cap(logits, cap);
        }
        Ok(())
    }

    /// The tokens after the positions of the chunk.
    fn next_tokens(&self, first_token: usize) -> Span<u32> {
        let first = first_token + self.chunk.start + 1;
        self.area.tokens.part(first, self.len())
    }

    /// Updates the softmax state with logits, and records those of the target tokens.
    fn take_in(&mut self, rows: Range<usize>, first_token: usize) {
        let cpu = self.model.cpu;
        let next = self.next_tokens(first_token);
        let logits = self.of_chunk(self.area.logits, rows.len());
        let [logits, next, peaks, targets] = self.working.disjoint([
            logits.range(),
            next.range(),
            self.area.peaks.range(),
            self.area.targets.range(),
        ]);
        let logits = as_mut::<f32>(logits).chunks_exact(rows.len());
        let tokens = logits.zip(as_mut::<u32>(next));
        let of_tokens = as_mut::<Peak>(peaks).iter_mut().zip(as_mut::<f32>(targets));
        for ((logits, next), (peak, target)) in tokens.zip(of_tokens) {
            cpu.softmax_more(peak, logits);
            let next = (*next as usize).wrapping_sub(rows.start);
            if let Some(logit) = logits.get(next) {
                *target = *logit;
            }
        }
    }

    /// Adds the gradient that comes from logits to that of their input.
    fn give_back(
        &mut self,
        output: &Linear,
        rows: Range<usize>,
        first_token: usize,
        weight: f32,
        to: Span<f32>,
    ) {
        let config = &self.model.config;
        let cpu = self.model.cpu;
        let next = self.next_tokens(first_token);
        let span = self.of_chunk(self.area.logits, rows.len());
        let ranges = [span.range(), next.range(), self.area.peaks.range()];
        let [logits, next, peaks] = self.working.disjoint(ranges);
        let logits = as_mut::<f32>(logits).chunks_exact_mut(rows.len());
        let tokens = logits.zip(as_mut::<u32>(next));
        for ((logits, next), peak) in tokens.zip(as_mut::<Peak>(peaks)) {
            let of = LossBack {
                peak: *peak,
                weight,
                inverse_cap: config.caps.logits.map_or(0.0, |cap| 1.0 / cap),
                scale: config.scales.logits.unwrap_or(1.0),
            };
            let next = (*next as usize).wrapping_sub(rows.start);
            let target = logits
                .get(next)
                .map_or(0.0, |logit| target_back(*logit, &of));
            cpu.loss_back(logits, &of);
            if let Some(logit) = logits.get_mut(next) {
                *logit -= target;
            }
        }
        for first in (0..rows.len()).step_by(ROWS) {
            let part = rows.start + first..rows.end.min(rows.start + first + ROWS);
            let back = span.part(first, span.len() - first);
            self.rows_back(&output.matrix, part, back, rows.len(), to);
        }
    }
}
