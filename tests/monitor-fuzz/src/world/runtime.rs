//! Audit's runtime: a clock that advances while audit works, and a kernel that may refuse.

use super::{Journal, Seen};
use crate::dice::Dice;
use audit::{ControlError, Port};

/// The runtime; see the module.
#[derive(Debug)]
pub struct Runtime {
    /// The time in microseconds.
    pub now: u64,
    /// When the timer fires.
    pub timer: Option<u64>,
    /// Limit of the time that the parts of a wake-up take.
    pub work_us: u64,
    /// How often inference can be neither stopped nor started, in percent.
    pub refuses: u64,
    dice: Dice,
    /// Length of the journal when the clock was last read.
    read_at: Option<usize>,
    reads: usize,
    journal: Journal,
}

impl Runtime {
    /// A runtime whose clock shows one second.
    pub(crate) fn new(dice: Dice, work_us: u64, refuses: u64, journal: Journal) -> Self {
        Self {
            now: 1_000_000,
            timer: None,
            work_us,
            refuses,
            dice,
            read_at: None,
            reads: 0,
            journal,
        }
    }

    /// A wake-up begins.
    pub(crate) const fn begin(&mut self) {
        (self.reads, self.read_at) = (0, None);
    }

    fn note(&self, seen: Seen) {
        self.journal.borrow_mut().push(seen);
    }

    /// Advances the clock by the time since it was last read: next to none if nothing was done since.
    fn work(&mut self) {
        let idle = self.reads > 1 && self.read_at == Some(self.journal.borrow().len());
        let most = if idle { 1 } else { self.work_us };
        self.now += self.dice.below(most + 1);
    }

    fn signalled(&mut self, seen: Seen) {
        let fresh = self.read_at == Some(self.journal.borrow().len());
        self.note(seen);
        if fresh {
            self.read_at = self.read_at.map(|at| at + 1);
        }
    }
}

impl Port for Runtime {
    fn now_us(&mut self) -> u64 {
        if self.reads > 0 {
            self.work();
        }
        self.reads += 1;
        self.note(Seen::Clock(self.now));
        self.read_at = Some(self.journal.borrow().len());
        self.now
    }

    fn notify_client(&mut self, channel: u8) {
        self.signalled(Seen::SignalledClient(channel));
    }

    fn notify_inference(&mut self) {
        self.signalled(Seen::SignalledInference);
    }

    fn notify_files(&mut self) {
        self.signalled(Seen::SignalledFiles);
    }

    fn arm_timer(&mut self, at_us: Option<u64>) {
        self.work();
        self.timer = at_us;
        self.note(Seen::Armed {
            at: at_us,
            now: self.now,
        });
    }

    fn restart_inference(&mut self) -> Result<(), ControlError> {
        let refused = [ControlError::NotStopped, ControlError::NotStarted];
        let result = match self.dice.percent(self.refuses) {
            true => Err(*self.dice.pick(&refused)),
            false => Ok(()),
        };
        self.note(Seen::Restarted(result));
        result
    }

    fn stop_inference(&mut self) -> Result<(), ControlError> {
        let result = match self.dice.percent(self.refuses) {
            true => Err(ControlError::NotStopped),
            false => Ok(()),
        };
        self.note(Seen::Stopped(result));
        result
    }
}
