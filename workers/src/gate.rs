//! A gate: one side opens it, the other waits until it is open.

#[cfg(not(loom))]
use core::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, Ordering},
};
#[cfg(loom)]
use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, Ordering},
};

/// The side that waits is asleep, or about to be.
const ASLEEP: u32 = 1;

/// One side opens the gate for one turn after another; the other waits for each turn in the same order.
///
/// The word contains the last turn for which it was opened, and whether somebody sleeps. Because both are in one word,
/// either the opener sees that it must signal, or the sleeper sees that the gate is open before it sleeps: no signal is
/// lost.
#[derive(Debug)]
#[repr(transparent)]
pub struct Gate(AtomicU32);

impl Gate {
    /// A gate that was never opened; as memory, zeros.
    #[cfg(not(loom))]
    pub(crate) const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    #[cfg(loom)]
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Resets it as if it had never been opened. Nobody may use it meanwhile.
    pub(crate) fn shut(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// The turn after `turn`.
    pub(crate) const fn next(turn: u32) -> u32 {
        turn.wrapping_add(1) & (u32::MAX >> 1)
    }

    /// Opens it: earlier writes are visible to the side that passes it. Returns true if the other side sleeps and must
    /// be signalled. `order` is [`Ordering::AcqRel`], except in the model that shows the effect of a weaker one.
    pub(crate) fn open(&self, turn: u32, order: Ordering) -> bool {
        self.0.swap(turn << 1, order) & ASLEEP != 0
    }

    fn is_open(&self, turn: u32) -> bool {
        self.0.load(Ordering::Acquire) >> 1 == turn
    }

    /// Waits until it is open for `turn`: looks `spins` times, then calls `sleep` until it is. `sleep` returns when
    /// there was a signal since it last returned, or spuriously; it may give up.
    pub(crate) fn pass<E>(
        &self,
        turn: u32,
        spins: u32,
        mut sleep: impl FnMut() -> Result<(), E>,
    ) -> Result<(), E> {
        for _ in 0..spins {
            if self.is_open(turn) {
                return Ok(());
            }
            spin_loop();
        }
        loop {
            let seen = self.0.load(Ordering::Acquire);
            if seen >> 1 == turn {
                return Ok(());
            }
            let asleep = seen | ASLEEP;
            let said = self
                .0
                .compare_exchange(seen, asleep, Ordering::AcqRel, Ordering::Acquire);
            if said.is_ok() {
                sleep()?;
            }
        }
    }
}
