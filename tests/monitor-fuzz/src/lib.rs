//! A model-based fuzz of the whole monitor.
//!
//! A *run* is a world with a seed: a policy, a store, up to four clients, an inference server and a clock of some
//! character, and a monitor among them. Each step is an act of one of them, after which the monitor is usually woken;
//! each wake-up is compared with the reference ([`claims`]). At the end all peers behave and only signals and the timer
//! wake anybody: then everything must end.
//!
//! - [`world`]: the clock, the peers' regions, and a journal of what audit did;
//! - [`model`]: the reference, which shares no code with audit;
//! - [`claims`]: the comparisons; [`ends`]: that each request ends once and each token arrives once, without the
//!   reference;
//! - [`formats`]: the formats of answers, as lists of words;
//! - [`disk`]: runs of a system with a disk and a files domain of any nature, which have their own claims;
//! - [`acts`]: the peers' acts; [`store`]: policies and stores; [`dice`]: the source of random choices.

// The only exception is `disk::world`, which frees the memory of a journal.
#![deny(unsafe_code)]

pub mod acts;
pub mod claim;
pub mod claims;
pub mod dice;
pub mod disk;
pub mod ends;
pub mod formats;
pub mod model;
mod run;
pub mod store;
pub mod world;

/// One seed in this many is a run of a system with a disk.
const WITH_A_DISK: u64 = 4;

/// One seed in this many is a workshop, whose clients do little but make adapters. A large adapter takes thousands of
/// acts, so other runs seldom make two at once.
const WORKSHOPS: u64 = 8;

/// Does a run.
///
/// # Errors
/// A claim did not hold.
pub fn run(fixtures: &Fixtures, plan: &Plan) -> (claims::Figures, Result<(), Found>) {
    match plan.seed % WITH_A_DISK {
        3 => disk::run(fixtures, plan),
        _ => run::run(fixtures, plan),
    }
}

use claims::Broken;
use std::collections::BTreeSet;
use store::Fixtures;

/// Default number of steps in a run.
pub const STEPS: u64 = 2_000;

/// A run to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed, which determines everything.
    pub seed: u64,
    /// Number of steps.
    pub steps: u64,
    /// Steps to leave out.
    pub without: BTreeSet<u64>,
    /// Whether to keep a trace of events as text.
    pub trace: bool,
}

impl Plan {
    /// Whether its clients do little but make adapters. A run of a system with a disk is never one.
    #[must_use]
    pub const fn is_workshop(&self) -> bool {
        self.seed % WORKSHOPS == 6
    }

    /// A complete run.
    #[must_use]
    pub const fn new(seed: u64, steps: u64) -> Self {
        Self {
            seed,
            steps,
            without: BTreeSet::new(),
            trace: false,
        }
    }
}

/// A run that has broken a claim.
#[derive(Clone, Debug)]
pub struct Found {
    /// The broken claim.
    pub broken: Broken,
    /// The step; the number of steps if it was at the end.
    pub step: u64,
    /// The last events.
    pub trace: Vec<String>,
}

/// Finds a shorter run that breaks the same claim: without later steps, and without as many earlier ones as possible.
/// It does not search for the shortest.
#[must_use]
pub fn shrink(fixtures: &Fixtures, plan: &Plan, found: &Found) -> Plan {
    let mut plan = plan.clone();
    plan.steps = plan.steps.min(found.step + 1);
    let breaks = |plan: &Plan| {
        let (_, result) = run(fixtures, plan);
        result.is_err_and(|other| other.broken.claim == found.broken.claim)
    };
    let mut size = plan.steps.next_power_of_two() / 2;
    let mut tries = 0;
    while size > 0 && tries < 3_000 {
        let mut first = 0;
        while first < plan.steps && tries < 3_000 {
            let mut shorter = plan.clone();
            shorter.without.extend(first..plan.steps.min(first + size));
            if shorter.without.len() > plan.without.len() {
                tries += 1;
                if breaks(&shorter) {
                    plan = shorter;
                }
            }
            first += size;
        }
        size /= 2;
    }
    plan
}
