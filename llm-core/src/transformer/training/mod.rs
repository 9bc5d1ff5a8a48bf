//! Training of an adapter by backpropagation, on the device.
//!
//! One example is one update. Its tokens go forward through all blocks as in inference, with the current adapter; the
//! input of each block is kept. From the loss, the gradients go back block by block, recomputing everything needed
//! within each block. So the memory needed is that of the inputs, of one block's keys and values, and of a chunk of
//! tokens in one block. The rounding of activations to bytes is ignored in the backward pass.
//!
//! A `Training` has its own part of the arena, above the model, and runs in steps of bounded work
//! (`transformer::steps`). Its result is a function of base, data and parameters: no bit of it depends on the CPU, on
//! how steps are split, or on the number of tokens in a chunk.

mod adapted;
mod area;
#[cfg(test)]
mod autograd_tests;
mod backward;
mod data;
#[cfg(test)]
mod data_tests;
mod draft;
mod example;
mod file;
mod forward;
#[cfg(test)]
mod gradient_tests;
mod job;
mod json;
mod loss;
mod params;
#[cfg(test)]
mod reference;
mod report;
#[cfg(test)]
mod tests;
mod update;

pub(crate) use draft::Draft;
pub use params::{Targets, TrainParams};
pub use report::{Fits, TrainError, TrainPlan, TrainProgress};

use super::Model;
use super::steps::{Cursor, Meter, Stepwise, Stop};
use crate::arena::Arena;
use adapted::Adapted;
use area::Area;
use example::Example;
use job::Job;
use rand_xoshiro::Xoshiro256PlusPlus;
use zerocopy::IntoBytes;

/// Longest data in bytes: it is read in one go.
pub const MAX_DATA_BYTES: usize = 128 << 10;

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Initialise the adapter.
    Values,
    /// Compute the angles of a chunk's positions in the longest example.
    Angles(usize),
    /// Choose an example and clear the gradients.
    Begin,
    /// Embed a chunk's tokens.
    Embed(usize),
    /// Run a chunk forward through a block.
    Forward(usize, usize),
    /// Compute the loss of a chunk of the positions that have one.
    Loss(usize),
    /// Recompute keys and values of a chunk in a block.
    Keys(usize, usize),
    /// Run a chunk backward through a block; chunks count down.
    Back(usize, usize),
    /// Compute the norm of all gradients.
    Measure,
    /// Update the adapter.
    Update,
    /// Write the file.
    Write,
    /// Done.
    Over,
}

/// Losses of the examples since the epoch began.
#[derive(Clone, Copy, Debug, Default)]
struct Losses {
    sum: f64,
    count: u32,
}

/// A training job.
#[derive(Debug)]
pub(crate) struct Training {
    params: TrainParams,
    plan: TrainPlan,
    adapted: Adapted,
    area: Area,
    chunk: usize,
    /// Positions of the longest example.
    room: usize,
    generator: Xoshiro256PlusPlus,
    stage: Stage,
    cursor: Cursor,
    step: u32,
    example: Example,
    tokens: u64,
    /// Sum of the current example's losses.
    loss: f64,
    losses: Losses,
    /// Σ gradient².
    squares: f64,
    /// Bytes of the file.
    file: usize,
}

impl Training {
    /// What it will do.
    pub(crate) const fn plan(&self) -> &TrainPlan {
        &self.plan
    }

    /// Whether it has written its file.
    pub(crate) fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// Its progress.
    pub(crate) fn progress(&self) -> TrainProgress {
        let over = self.is_over();
        TrainProgress {
            step: self.step,
            steps: self.plan.steps,
            tokens: self.tokens,
            loss: match self.losses.count {
                0 => 0.0,
                count => (self.losses.sum / f64::from(count)) as f32,
            },
            made: if over { self.file as u64 } else { 0 },
            over,
        }
    }

    /// Bytes of the finished file, from `offset`.
    pub(crate) fn made<'a>(&self, arena: &'a Arena<'_>, offset: usize) -> &'a [u8] {
        if !self.is_over() {
            return &[];
        }
        let bytes = arena.get(self.area.moments).as_bytes();
        bytes.get(offset..self.file).unwrap_or(&[])
    }

    /// Continues for this many multiply-accumulates, but at least by one part of an operation.
    ///
    /// # Errors
    /// A value was not finite. The training is lost, the model is not.
    pub(crate) fn advance(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        work: u64,
    ) -> Result<TrainProgress, TrainError> {
        let mut work = work.max(1);
        while work > 0 && !self.is_over() {
            work = self.go_on(model, arena, work)?;
        }
        Ok(self.progress())
    }

    /// Continues within a stage; returns the work left.
    fn go_on(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        work: u64,
    ) -> Result<u64, TrainError> {
        let (result, meter) = self.run_stage(model, arena, work);
        match result {
            Ok(()) => {
                self.stage = self.next(model);
                self.cursor = Cursor::default();
            }
            Err(Stop::Pause) => self.cursor = meter.cursor,
            Err(Stop::NonFinite) => return Err(TrainError::NonFinite { step: self.step }),
        }
        Ok(meter.work)
    }

    /// The positions of chunk `n`, counted from `first`.
    fn positions(&self, first: usize, n: usize) -> core::ops::Range<usize> {
        let start = first + n * self.chunk;
        start..self.example.positions.min(start + self.chunk)
    }

    fn run_stage(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        work: u64,
    ) -> (Result<(), Stop>, Meter) {
        let chunk = match self.stage {
            Stage::Angles(n) => n * self.chunk..self.room.min((n + 1) * self.chunk),
            Stage::Loss(n) => self.positions(self.example.first, n),
            Stage::Embed(n) | Stage::Forward(_, n) | Stage::Keys(_, n) | Stage::Back(_, n) => {
                self.positions(0, n)
            }
            _ => 0..0,
        };
        let (frozen, working) = arena.split(model.frozen);
        let mut job = Job {
            model,
            frozen,
            working,
            adapted: &self.adapted,
            area: &self.area,
            scale: self.params.alpha() / self.params.rank as f32,
            room: self.room,
            chunk,
            meter: Meter {
                cursor: self.cursor,
                seen: 0,
                work,
            },
        };
        let start = self.example.start;
        let result = match self.stage {
            Stage::Values => job.first_values(&mut self.generator),
            Stage::Angles(_) => job.rotations(),
            Stage::Begin => {
                let (step, generator) = (self.step, &mut self.generator);
                let (example, losses) = (&mut self.example, &mut self.losses);
                (self.loss, self.squares) = (0.0, 0.0);
                job.clear_gradients().and_then(|()| {
                    job.once(|job| {
                        *example = job.choose(step, generator);
                        if step.is_multiple_of(job.examples()) {
                            *losses = Losses::default();
                        }
                        Ok(())
                    })
                })
            }
            Stage::Embed(_) => job.embed(start),
            Stage::Forward(layer, _) => job.block(layer),
            Stage::Loss(n) => {
                let weight = 1.0 / self.example.taught() as f32;
                let untaught = self.example.first;
                let cleared = match n {
                    0 => job.clear_untaught(untaught),
                    _ => Ok(()),
                };
                cleared.and_then(|()| job.loss(start, weight, &mut self.loss))
            }
            Stage::Keys(layer, _) => job.keys_and_values(layer),
            Stage::Back(layer, n) => {
                let last = (n + 1) * self.chunk >= self.example.positions;
                let cleared = match last {
                    true => job.clear_cache_gradients(),
                    false => Ok(()),
                };
                cleared.and_then(|()| job.block_back(layer))
            }
            Stage::Measure => job.measure(&mut self.squares),
            Stage::Update => {
                let rate = update::rate(self.params.rate(), self.step, self.plan.steps);
                job.update(self.step, rate, self.squares)
            }
            Stage::Write => job.write(&self.params),
            Stage::Over => Ok(()),
        };
        let meter = job.meter;
        let result = match (result, self.stage) {
            (Ok(()), Stage::Measure) if !self.squares.is_finite() => Err(Stop::NonFinite),
            (result, _) => result,
        };
        (result, meter)
    }

    /// The stage after the current one.
    fn next(&mut self, model: &Model) -> Stage {
        let layers = model.config.layers;
        let chunks = |positions: usize| positions.div_ceil(self.chunk);
        let all = chunks(self.example.positions);
        match self.stage {
            Stage::Values => Stage::Angles(0),
            Stage::Angles(n) if n + 1 < chunks(self.room) => Stage::Angles(n + 1),
            Stage::Angles(_) => Stage::Begin,
            Stage::Begin => Stage::Embed(0),
            Stage::Embed(n) if n + 1 < all => Stage::Embed(n + 1),
            Stage::Embed(_) => Stage::Forward(0, 0),
            Stage::Forward(layer, n) if n + 1 < all => Stage::Forward(layer, n + 1),
            Stage::Forward(layer, _) if layer + 1 < layers => Stage::Forward(layer + 1, 0),
            Stage::Forward(..) => Stage::Loss(0),
            Stage::Loss(n) if n + 1 < chunks(self.example.taught()) => Stage::Loss(n + 1),
            // The keys and values of the last block are still there.
            Stage::Loss(_) => Stage::Back(layers - 1, all - 1),
            Stage::Keys(layer, n) if n + 1 < all => Stage::Keys(layer, n + 1),
            Stage::Keys(layer, _) => Stage::Back(layer, all - 1),
            Stage::Back(layer, n) if n > 0 => Stage::Back(layer, n - 1),
            Stage::Back(layer, _) if layer > 0 => Stage::Keys(layer - 1, 0),
            Stage::Back(..) => Stage::Measure,
            Stage::Measure => Stage::Update,
            Stage::Update => {
                self.step += 1;
                self.tokens += self.example.positions as u64;
                self.losses.sum += self.loss / self.example.taught() as f64;
                self.losses.count += 1;
                match self.step < self.plan.steps {
                    true => Stage::Begin,
                    false => Stage::Write,
                }
            }
            Stage::Write | Stage::Over => Stage::Over,
        }
    }
}
