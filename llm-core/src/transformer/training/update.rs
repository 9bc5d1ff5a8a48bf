//! Applies an example's gradients to the adapter: they are clipped, and AdamW takes a step.
//!
//! The decay is that of PyTorch's `AdamW`, 0.01. It has little effect, because B begins at zero and the steps are few;
//! it decays elements of A, which is random, where they are of no use.

use super::job::Job;
use crate::arena::{Span, as_mut};
use crate::simd::backward::AdamW;
use crate::transformer::steps::{Stepwise, Stop};

/// β for the mean and for the mean square.
const BETAS: [f64; 2] = [0.9, 0.999];

/// Keeps the root of the mean square from zero.
const EPSILON: f32 = 1e-8;

/// Fraction of a parameter removed in each step, in units of the rate.
const DECAY: f64 = 0.01;

/// Maximum norm of all gradients together.
const LARGEST_NORM: f64 = 1.0;

/// This fraction of the steps is warm-up, limited by [`WARM_UP_STEPS`].
const WARM_UP_PART: u32 = 10;

/// Maximum number of warm-up steps.
const WARM_UP_STEPS: u32 = 20;

/// Parameters updated together. This affects results, because squares are summed in this order.
const PIECE: usize = 4096;

/// Cost of a parameter's update, in multiply-accumulates.
const WORK: u64 = 16;

/// The rate of step `step`, from 0: it rises linearly to `rate`, then falls to zero along a cosine.
pub(super) fn rate(rate: f32, step: u32, steps: u32) -> f32 {
    let warm = (steps / WARM_UP_PART).clamp(1, WARM_UP_STEPS);
    let factor = if step < warm {
        f64::from(step + 1) / f64::from(warm)
    } else {
        let left = f64::from(steps.saturating_sub(warm).max(1));
        let angle = core::f64::consts::PI * (f64::from(step - warm) / left);
        0.5 * (1.0 + libm::cos(angle))
    };
    (f64::from(rate) * factor) as f32
}

impl Job<'_> {
    /// Clears the gradients.
    pub(super) fn clear_gradients(&mut self) -> Result<(), Stop> {
        self.in_pieces(|job, piece, _| {
            let [gradients, ..] = job.moments();
            let gradients = gradients.part(piece.0, piece.1);
            job.working.get_mut(gradients).fill(0.0);
        })
    }

    /// Adds the squares of all gradients to `sum`.
    pub(super) fn measure(&mut self, sum: &mut f64) -> Result<(), Stop> {
        self.in_pieces(|job, piece, cpu| {
            let [gradients, ..] = job.moments();
            let gradients = job.working.get_mut(gradients.part(piece.0, piece.1));
            *sum += f64::from(cpu.dot(gradients, gradients));
        })
    }

    /// Performs step `step`, from 0, with a given rate and the sum of the squares of all gradients.
    pub(super) fn update(&mut self, step: u32, rate: f32, squares: f64) -> Result<(), Stop> {
        let norm = libm::sqrt(squares);
        let clip = match norm > LARGEST_NORM {
            true => LARGEST_NORM / norm,
            false => 1.0,
        };
        let n = f64::from(step) + 1.0;
        let by = AdamW {
            clip: clip as f32,
            betas: BETAS.map(|beta| beta as f32),
            corrections: BETAS.map(|beta| (1.0 / (1.0 - libm::pow(beta, n))) as f32),
            rate,
            epsilon: EPSILON,
            kept: (1.0 - f64::from(rate) * DECAY) as f32,
        };
        self.in_pieces(|job, (first, len), cpu| {
            let [gradients, means, squares] = job.moments();
            let spans = [job.area.parameters, gradients, means, squares];
            let ranges = spans.map(|span| span.part(first, len).range());
            let [parameters, gradients, means, squares] =
                job.working.disjoint(ranges).map(as_mut::<f32>);
            cpu.adam_w(parameters, gradients, means, squares, &by);
        })
    }

    /// Gradients, their means, and the means of their squares.
    fn moments(&self) -> [Span<f32>; 3] {
        let count = self.area.parameters.len();
        [0, 1, 2].map(|n| self.area.moments.part(n * count, count))
    }

    /// Calls a function for all parameters in pieces, given as first index and count.
    fn in_pieces(
        &mut self,
        mut run: impl FnMut(&mut Self, (usize, usize), crate::simd::Cpu),
    ) -> Result<(), Stop> {
        let count = self.area.parameters.len();
        let cpu = self.model.cpu;
        self.in_parts(count.div_ceil(PIECE), PIECE as u64 * WORK, |job, pieces| {
            for piece in pieces {
                let first = piece * PIECE;
                run(job, (first, PIECE.min(count - first)), cpu);
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_warms_up_and_falls_to_zero() {
        let of = |step| rate(1e-3, step, 300);
        assert!(of(0) < of(10) && of(10) < of(19));
        assert_eq!(of(19), 1e-3);
        assert_eq!(of(20), 1e-3);
        assert!((of(160) - 5e-4).abs() < 1e-9, "{}", of(160));
        assert!(of(299) < 1e-6 && of(299) > 0.0);
        assert_eq!(rate(1e-3, 0, 1), 1e-3);
    }
}
