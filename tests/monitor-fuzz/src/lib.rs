//! A model-based fuzz of the whole monitor.
//!
//! A *run* is a world with a seed: a policy, a store, none to four clients, an inference and a clock of some character,
//! and a monitor among them. Each step is an act of one of them, after most of which the monitor is woken; each wake-up
//! is compared with what the reference says ([`claims`]). At the end all peers behave and signals and the timer alone
//! wake anybody: then everything must come to its end.
//!
//! - [`world`]: the clock, the peers' regions, the journal of what audit did;
//! - [`model`]: the reference, which shares nothing with audit;
//! - [`claims`]: what is compared; [`ends`]: one end for each request and each token once, without the reference;
//! - [`formats`]: what answers may be, as lists of words;
//! - [`disk`]: runs of a system with a disk, whose files may be anything; they have claims of their own;
//! - [`acts`]: what the peers do; [`store`]: policies and stores; [`dice`]: where chance comes from.

// But for the memory of a journal, which `disk::world` frees.
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

/// Of so many seeds one is a run of a system with a disk.
const WITH_A_DISK: u64 = 4;

/// Of so many seeds one is a workshop: its clients do little but make adapters. Large adapters are thousands of acts, so
/// other runs seldom have two of them at once.
const WORKSHOPS: u64 = 8;

/// Does a run.
///
/// # Errors
/// What it has found.
pub fn run(fixtures: &Fixtures, plan: &Plan) -> (claims::Figures, Result<(), Found>) {
    match plan.seed % WITH_A_DISK {
        3 => disk::run(fixtures, plan),
        _ => run::run(fixtures, plan),
    }
}

use claims::Broken;
use std::collections::BTreeSet;
use store::Fixtures;

/// Steps of a run, unless it is told otherwise.
pub const STEPS: u64 = 2_000;

/// Which run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything follows from it.
    pub seed: u64,
    /// How long it is.
    pub steps: u64,
    /// Steps that are left out.
    pub without: BTreeSet<u64>,
    /// Keeps what happens as text.
    pub trace: bool,
}

impl Plan {
    /// Whether its clients do little but make adapters. No run of a system with a disk is one.
    #[must_use]
    pub const fn is_workshop(&self) -> bool {
        self.seed % WORKSHOPS == 6
    }

    /// A whole run.
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
    /// What.
    pub broken: Broken,
    /// In which step; the number of steps for the end.
    pub step: u64,
    /// The last things that happened.
    pub trace: Vec<String>,
}

/// As short a run as can be had cheaply that breaks the same claim: without what comes after, and without as many of
/// the steps before as can go.
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
