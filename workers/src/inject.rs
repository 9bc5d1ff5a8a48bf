//! Orders from the leader of a test build to a worker, for tests of recovery. Never part of a product.

use core::sync::atomic::{AtomicU64, Ordering};

/// What a worker does instead of its part of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misdeed {
    /// Writes outside the regions of its domain.
    WriteOutside,
    /// Spins for ever.
    Spin,
    /// Fills everything that it may write with random bytes, and never answers.
    Scribble,
    /// Changes the rounding mode, and then writes outside.
    Round,
}

impl Misdeed {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::WriteOutside, Self::Spin, Self::Scribble, Self::Round];
}

/// A place for one order.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Order(AtomicU64);

/// Marks an order, so that random bytes are not mistaken for one.
const MARK: u64 = 0x0bed_1e4d_0bad_0000;

impl Order {
    const fn word(worker: usize, misdeed: Misdeed) -> u64 {
        MARK | (worker as u64) << 8 | misdeed as u64
    }

    /// Orders a misdeed from a worker, at its next job.
    pub fn give(&self, worker: usize, misdeed: Misdeed) {
        self.0.store(Self::word(worker, misdeed), Ordering::Release);
    }

    /// Takes the order for a worker, if there is one.
    pub fn take(&self, worker: usize) -> Option<Misdeed> {
        let word = self.0.load(Ordering::Acquire);
        let is_it = |misdeed: &Misdeed| word == Self::word(worker, *misdeed);
        let misdeed = Misdeed::ALL.into_iter().find(is_it)?;
        self.0.store(0, Ordering::Release);
        Some(misdeed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_for_one_worker_and_once() {
        let order = Order::default();
        assert_eq!(order.take(1), None);
        order.give(2, Misdeed::Scribble);
        assert_eq!(order.take(1), None);
        assert_eq!(order.take(2), Some(Misdeed::Scribble));
        assert_eq!(order.take(2), None);
    }
}
