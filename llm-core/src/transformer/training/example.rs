//! The start of a training and of each update: initial values, choice of an example, cleared gradients.

use super::job::Job;
use crate::transformer::steps::{Stepwise, Stop};
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;

/// The current example.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Example {
    /// Index of its first token in the list of all tokens.
    pub(super) start: usize,
    /// Number of its positions.
    pub(super) positions: usize,
    /// The first position that has a loss.
    pub(super) first: usize,
}

impl Example {
    /// Number of positions that have a loss.
    pub(super) const fn taught(&self) -> usize {
        self.positions - self.first
    }
}

impl Job<'_> {
    /// Initialises A from −1/√columns to 1/√columns, as PEFT does; B is zero.
    pub(super) fn first_values(&mut self, generator: &mut Xoshiro256PlusPlus) -> Result<(), Stop> {
        let adapted = self.adapted;
        let layers = self.model.config.layers;
        let work = adapted.per_block as u64;
        self.in_parts(layers, work, |job, parts| {
            for layer in parts {
                for tensor in adapted.tensors() {
                    let Some(pair) = tensor
                        .slots
                        .first()
                        .and_then(|&slot| adapted.pair(layer, slot))
                    else {
                        continue;
                    };
                    let bound = 1.0 / libm::sqrtf(pair.columns as f32);
                    let a = job
                        .area
                        .parameters
                        .part(pair.a, adapted.rank * pair.columns);
                    for value in job.working.get_mut(a) {
                        // 24 bits, so that each number is exact in f32.
                        let unit = (generator.next_u64() >> 40) as f32 / (1u32 << 23) as f32;
                        *value = (unit - 1.0) * bound;
                    }
                }
            }
            Ok(())
        })
    }

    pub(super) fn examples(&self) -> u32 {
        self.area.examples.len() as u32
    }

    /// The example of a step. Each epoch has another order.
    pub(super) fn choose(&mut self, step: u32, generator: &mut Xoshiro256PlusPlus) -> Example {
        let count = self.examples();
        let place = (step % count.max(1)) as usize;
        let order = self.working.get_mut(self.area.order);
        if place == 0 {
            for (n, order) in order.iter_mut().enumerate() {
                *order = n as u32;
            }
            for n in (1..order.len()).rev() {
                // With 2^64 numbers, the bias among a few thousand is negligible.
                let other = generator.next_u64() % (n as u64 + 1);
                order.swap(n, other as usize);
            }
        }
        let chosen = order.get(place).copied().unwrap_or(0) as usize;
        let examples = self.working.get_mut(self.area.examples);
        let end = |n: usize| examples.get(n).map_or(0, |example| example[0] as usize);
        let start = chosen.checked_sub(1).map_or(0, end);
        let first = examples
            .get(chosen)
            .map_or(1, |example| example[1] as usize);
        Example {
            start,
            positions: (end(chosen) - start).saturating_sub(1),
            first: first.saturating_sub(1),
        }
    }

    /// Clears positions without a loss, which have no gradient of their own.
    pub(super) fn clear_untaught(&mut self, count: usize) -> Result<(), Stop> {
        let width = self.width();
        let first = self.model.config.layers * self.room;
        let span = self.area.inputs.part(first * width, count * width);
        self.once(|job| {
            job.working.get_mut(span).fill(0.0);
            Ok(())
        })
    }

    pub(super) fn clear_cache_gradients(&mut self) -> Result<(), Stop> {
        self.once(|job| {
            job.working.get_mut(job.area.cache_back).fill(0.0);
            Ok(())
        })
    }
}
