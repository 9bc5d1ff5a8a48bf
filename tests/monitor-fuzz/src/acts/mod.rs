//! What happens in a world: how its peers and its clock are, and what they do.
//!
//! A run has characters (how honest, how fast, how lossy), drawn once from its seed; each step then draws one act from
//! dice of its own, so that a run can be repeated without some of its steps.

mod asks;
mod lies;
mod server;

pub use asks::{Ask, KINDS, tag};
pub use lies::{any_short, lie, lie_about_training};
pub use server::{Say, Server, Short, file, model_info, piece};

use crate::dice::Dice;
use protocol::wire::{Fault, FaultKind};

/// How many bytes the adapters have at most that inference makes: one of these.
pub const ADAPTERS: [u64; 5] = [60, 3_000, 20_000, 400_000, 1_000_000];

/// How a run's inference and clock are.
#[derive(Clone, Copy, Debug)]
pub struct Character {
    /// Times of a hundred that inference lies.
    pub lies: u64,
    /// Times of a hundred that inference, at a bound answer, leaves the form or ends in the middle.
    pub breaches: u64,
    /// Times of a hundred that inference writes garbage.
    pub inference_garbage: u64,
    /// It never answers.
    pub silent: bool,
    /// It does what it is asked in time.
    pub prompt: bool,
    /// Of the time that it has, in percent, it takes so much; 0: it answers before any time passes.
    pub takes: u64,
    /// Times of a hundred that it does not look at its commands.
    pub lazy: u64,
    /// Times of a hundred that inference ends a request instead of going on.
    pub ends: u64,
    /// Times of a thousand that a step is a fault message.
    pub faults: u64,
    /// Times of a hundred that the timer or a tick does not come.
    pub lost_alarms: u64,
    /// Longest that a step of time takes.
    pub longest_us: u64,
    /// Times of a hundred that a step is one of time.
    pub time: u64,
    /// Times of a hundred that a send wakes audit.
    pub signals: u64,
    /// How long the parts of a wake-up take at most.
    pub work_us: u64,
    /// Times of a hundred that the runtime refuses to stop or start inference.
    pub refuses: u64,
    /// See [`ADAPTERS`].
    pub adapters: &'static [u64],
}

impl Character {
    /// One of many.
    #[must_use]
    pub fn new(dice: &mut Dice) -> Self {
        let hostile = dice.percent(35);
        let prompt = !hostile && dice.percent(40);
        let mut of_hostile = |choices: &[u64]| match hostile {
            true => *dice.pick(choices),
            false => 0,
        };
        let breaches = of_hostile(&[0, 3, 20]);
        // One that does nothing else wrong is not restarted before it has a bound answer.
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

    /// One that gets adapters made: inference works all the time, and lies about nothing but trainings, if at all.
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

    /// Whether each deadline must be kept by the clock alone.
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

/// How a client is.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// Times of a hundred that its act is garbage in its region.
    pub garbage: u64,
    /// How many of a hundred requests have a number that is invalid or in use.
    pub reuse: u64,
    /// Times of a hundred that its act is to read.
    pub reads: u64,
    /// Most events that it reads at once.
    pub reads_most: u64,
    /// It reads all that it has got before audit is woken again.
    pub at_once: bool,
    /// It does not read from this step on, up to that one.
    pub deaf: (u64, u64),
    /// Times of a hundred that it asks until its ring is full.
    pub floods: u64,
    /// Times of a hundred that it asks for an end.
    pub cancels: u64,
    /// Which request it draws most, by number.
    pub favourite: u64,
    /// Times of a hundred that it draws text.
    pub text: u64,
    /// Times of a hundred that it draws, if not text, something about adapters.
    pub tunes: u64,
    /// It asks for long answers.
    pub long: bool,
}

impl Habits {
    /// One of many, in a run of so many steps.
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

    /// One who does little but have adapters made, and reads what comes.
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

/// Any fault message.
#[must_use]
pub fn any_fault(dice: &mut Dice) -> Fault {
    Fault {
        kind: FaultKind::from_u32(dice.within(1, 6) as u32).unwrap_or(FaultKind::Unknown),
        ip: dice.any(),
        address: dice.any(),
    }
}
