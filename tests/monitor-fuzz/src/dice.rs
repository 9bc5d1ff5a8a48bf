//! Random choices that a seed reproduces.

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::SplitMix64;

/// A source of choices.
#[derive(Clone, Debug)]
pub struct Dice(SplitMix64);

impl Dice {
    /// The choices of one step, or of one part, of the run with this seed. Each step has its own, so a run can be
    /// repeated without some of them.
    #[must_use]
    pub fn new(seed: u64, step: u64) -> Self {
        let mut mixed = SplitMix64::seed_from_u64(seed);
        Self(SplitMix64::seed_from_u64(
            mixed.next_u64() ^ step.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        ))
    }

    /// A random number.
    pub fn any(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `end`, or 0 if that is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.any() % end.max(1)
    }

    /// A number from `least` to `most`.
    pub fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True with this probability in percent.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of the items.
    ///
    /// # Panics
    /// There are no items.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len() as u64) as usize]
    }
}
