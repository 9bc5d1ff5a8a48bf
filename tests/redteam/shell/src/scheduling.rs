//! The two ends of `redteam_attacks::scheduling` in the shell: how it spends its time, and what it sees of others'
//! scheduling.

use crate::{audit, kernel};
use core::fmt::Write as _;
use redteam_attacks::Say;
use redteam_attacks::scheduling::{Samples, Watch, bit, window};
use runtime::counter::now_us;

/// In `systems/partitions`, the time from the end of inference's turn to the shell's, in microseconds: audit's turn is
/// in between.
const BACK_US: u64 = 1_100;

/// What the shell does whenever something wakes it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Spends the window if its bit is 1, and yields it if it is 0.
    Send,
    /// Makes audit run, and measures how long that takes: audit reads what inference has left in its ring.
    Ask,
}

/// A role, and its samples.
#[derive(Debug)]
pub(crate) struct Scheduling {
    role: Role,
    samples: Samples,
}

impl Scheduling {
    /// The role with this letter.
    pub(crate) fn of(letter: u8) -> Option<Self> {
        let role = match letter {
            b'x' => Role::Send,
            b'y' => Role::Ask,
            _ => return None,
        };
        let samples = Samples::new();
        Some(Self { role, samples })
    }

    pub(crate) fn wake_up(&mut self) {
        let before = now_us();
        let current = window(before);
        match self.role {
            Role::Send => {
                while bit(current) && window(now_us()) == current {
                    kernel::enter();
                }
            }
            Role::Ask => {
                audit().notify();
                self.samples.add_most(current, now_us() - before);
            }
        }
    }

    /// Whether there are enough samples.
    pub(crate) fn is_over(&self) -> bool {
        self.samples.is_full()
    }

    pub(crate) fn report(&self) -> Say {
        let mut say = Say::new();
        let _ = match self.role {
            Role::Send => write!(say, "sent"),
            Role::Ask => write!(say, "asked: {};", self.samples.score()),
        };
        say
    }
}

/// Spends all its time looking at the clock, and reports how much of inference's message it could read from that.
pub(crate) fn watch() -> Say {
    let mut watch = Watch::new();
    watch.start(now_us(), BACK_US);
    while watch.look(now_us()) {}
    let mut say = Say::new();
    let _ = write!(
        say,
        "windows: {}; turns: {};",
        watch.windows.score(),
        watch.turns.score()
    );
    say
}
