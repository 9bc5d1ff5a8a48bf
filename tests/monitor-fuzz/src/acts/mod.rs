//! What happens in a run: the characters of the peers and the clock, and their acts.
//!
//! A run has characters (how honest, how fast, how lossy), drawn once from its seed. Each step then draws one act from
//! its own dice, so a run can be repeated without some of its steps.

mod asks;
mod lies;
mod server;

pub use asks::{Ask, KINDS, tag};
pub use lies::{any_short, lie, lie_about_training};
pub use server::{Say, Server, Short, file, model_info, piece};

use crate::dice::Dice;
use protocol::wire::{Fault, FaultKind};

/// The possible limits of the size of the adapters that inference makes, in bytes.
pub const ADAPTERS: [u64; 5] = [60, 3_000, 20_000, 400_000, 1_000_000];

/// The character of a run's inference server and clock.
#[derive(Clone, Copy, Debug)]
pub struct Character {
    /// How often inference lies, in percent.
    pub lies: u64,
    /// How often inference breaks the format of a bound answer or ends it too early, in percent.
    pub breaches: u64,
    /// How often inference writes garbage, in percent.
    pub inference_garbage: u64,
    /// Inference never answers.
    pub silent: bool,
    /// Inference answers in time.
    pub prompt: bool,
    /// Part of the available time that it uses, in percent; 0: it answers before any time passes.
    pub takes: u64,
    /// How often it does not look at its commands, in percent.
    pub lazy: u64,
    /// How often inference ends a request instead of continuing, in percent.
    pub ends: u64,
    /// How many steps in a thousand are fault messages.
    pub faults: u64,
    /// How often the timer or a tick is lost, in percent.
    pub lost_alarms: u64,
    /// The longest step of time, in microseconds.
    pub longest_us: u64,
    /// How many steps are steps of time, in percent.
    pub time: u64,
    /// How often a send wakes audit, in percent.
    pub signals: u64,
    /// Limit of the time that the parts of a wake-up take, in microseconds.
    pub work_us: u64,
    /// How often the runtime refuses to stop or start inference, in percent.
    pub refuses: u64,
    /// See [`ADAPTERS`].
    pub adapters: &'static [u64],
}

impl Character {
    /// Draws a character.
    #[must_use]
    pub fn new(dice: &mut Dice) -> Self {
        let hostile = dice.percent(35);
        let prompt = !hostile && dice.percent(40);
        let mut of_hostile = |choices: &[u64]| match hostile {
            true => *dice.pick(choices),
            false => 0,
        };
        let breaches = of_hostile(&[0, 3, 20]);
        // An inference server with no other faults is not restarted before it gets a bound answer to break.
        let (lies, inference_garbage) = match breaches {
            20 => (0, 0),
            _ => (of_hostile(&[1, 2, 5, 20]), of_hostile(&[0, 0, 1, 5])),
        };
        Self {
            lies,
            breaches,
            inference_garbage,
            silent: !prompt && dice.percent(7),
            prompt,
            takes: *dice.pick(&[0, 0, 40, 95]),
            lazy: match prompt {
                true => 0,
                false => *dice.pick(&[0, 0, 0, 50, 97]),
            },
            ends: *dice.pick(&[1, 2, 10, 30, 60]),
            faults: *dice.pick(&[0, 0, 0, 1, 3, 20]),
            lost_alarms: *dice.pick(&[0, 0, 0, 5, 50]),
            longest_us: *dice.pick(&[
                300, 3_000, 20_000, 100_000, 1_500_000, 8_000_000, 40_000_000,
            ]),
            time: *dice.pick(&[3, 10, 20, 30]),
            signals: *dice.pick(&[100, 100, 70, 20]),
            work_us: *dice.pick(&[0, 3, 200, 1_500, 5_000, 60_000]),
            refuses: *dice.pick(&[0, 0, 0, 0, 0, 20]),
            adapters: &ADAPTERS,
        }
    }

    /// The character of a workshop, in which adapters get made: inference always works, and lies, if at all, only about
    /// trainings.
    #[must_use]
    pub fn of_workshop(dice: &mut Dice) -> Self {
        Self {
            lies: *dice.pick(&[0, 0, 2]),
            breaches: 0,
            inference_garbage: 0,
            silent: false,
            prompt: true,
            takes: 0,
            lazy: 0,
            ends: 10,
            faults: 0,
            lost_alarms: 0,
            longest_us: 20_000,
            time: 10,
            signals: 100,
            work_us: 0,
            refuses: 0,
            adapters: &[60, 20_000, 500_000, 1_000_000, 1_000_000],
        }
    }

    /// Whether every deadline must be met, going only by the clock.
    #[must_use]
    pub const fn is_punctual(&self) -> bool {
        self.lost_alarms == 0
    }

    /// Whether inference keeps to the protocol.
    #[must_use]
    pub const fn is_honest(&self) -> bool {
        self.lies == 0 && self.breaches == 0 && self.inference_garbage == 0
    }
}

/// The habits of a client.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How often it writes garbage into its region, in percent.
    pub garbage: u64,
    /// How many requests have a number that is invalid or in use, in percent.
    pub reuse: u64,
    /// How often it reads, in percent.
    pub reads: u64,
    /// Most events that it reads at once.
    pub reads_most: u64,
    /// It reads everything before audit is woken again.
    pub at_once: bool,
    /// It does not read from the first of these steps up to the second.
    pub deaf: (u64, u64),
    /// How often it sends requests until its ring is full, in percent.
    pub floods: u64,
    /// How often it cancels a request, in percent.
    pub cancels: u64,
    /// Number of the kind of request that it sends most often.
    pub favourite: u64,
    /// How often it asks for text, in percent.
    pub text: u64,
    /// How often its other requests are about adapters, in percent.
    pub tunes: u64,
    /// It asks for long answers.
    pub long: bool,
}

impl Habits {
    /// Draws habits, for a run with this many steps.
    #[must_use]
    pub fn new(dice: &mut Dice, steps: u64) -> Self {
        let hostile = dice.percent(20);
        let deaf = match dice.below(4) {
            0 => (dice.below(steps), dice.below(steps)),
            1 => (0, dice.below(steps)),
            _ => (0, 0),
        };
        Self {
            garbage: if hostile { dice.below(8) } else { 0 },
            reuse: if dice.percent(30) { dice.below(20) } else { 0 },
            reads: *dice.pick(&[3, 10, 20, 30, 40]),
            reads_most: *dice.pick(&[2, 5, 16, 16, 16, 16]),
            at_once: dice.percent(30),
            deaf,
            floods: *dice.pick(&[0, 0, 0, 5, 30]),
            cancels: *dice.pick(&[0, 3, 10, 10, 30]),
            favourite: dice.below(KINDS),
            text: *dice.pick(&[20, 50, 50, 80]),
            tunes: *dice.pick(&[0, 0, 20, 80]),
            long: dice.percent(30),
        }
    }

    /// The habits of a client in a workshop: it does little but have adapters made, and reads its events.
    #[must_use]
    pub const fn in_workshop(self) -> Self {
        Self {
            garbage: 0,
            reads: 30,
            reads_most: 16,
            at_once: true,
            deaf: (0, 0),
            floods: 0,
            cancels: 1,
            favourite: 16,
            text: 5,
            tunes: 80,
            ..self
        }
    }

    /// Whether it reads in this step.
    #[must_use]
    pub const fn hears(&self, step: u64) -> bool {
        step < self.deaf.0 || step >= self.deaf.1
    }
}

/// A random fault message.
#[must_use]
pub fn any_fault(dice: &mut Dice) -> Fault {
    Fault {
        kind: FaultKind::from_u32(dice.within(1, 6) as u32).unwrap_or(FaultKind::Unknown),
        ip: dice.any(),
        address: dice.any(),
    }
}
