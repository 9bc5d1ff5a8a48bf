//! The team of `tests/sel4/cores.xml`: this domain leads, as inference does in `systems/cores`, and the workers are the
//! product's. They know one arena, so all models lie there, one after the other.

use alloc::boxed::Box;
use alloc::vec::Vec;
use golden::cases::Machine;
use llm_core::quantize::NonFinite;
use llm_core::simd::Cpu;
use llm_core::team::{Team, Work};
use one_shot_mutex::sync::{OneShotMutex, OneShotMutexGuard};
use runtime::patched;
use runtime::region::{self, Mapped};
use sel4_microkit::Channel;
use workers::domains::{Bells, Domains, Table, Woken, spins};

patched! { arena arena_size team team_size worker_1_channel worker_2_channel worker_3_channel }

/// All that can compute together.
const MOST: usize = 4;

struct Channels;

impl Bells for Channels {
    fn ring(&mut self, member: usize) {
        let channels = [worker_1_channel(), worker_2_channel(), worker_3_channel()];
        Channel::new(channels[member - 1]).notify();
    }

    /// Nobody lends this domain a clock: if a worker does not arrive, the runner sees the silence.
    fn wait(&mut self) -> Woken {
        sel4_microkit::ipc::recv();
        Woken::Member
    }
}

/// What all machines share: the team, which begins once, and its arena.
static TEAM: OneShotMutex<Option<Domains<Channels>>> = OneShotMutex::new(None);
static ARENA: OneShotMutex<Option<&'static mut [u8]>> = OneShotMutex::new(None);

/// The first members of the team.
struct Members(usize);

impl Team for Members {
    fn workers(&self) -> usize {
        self.0
    }

    fn least_work(&self) -> u64 {
        0
    }

    fn run(&mut self, work: Work<'_>) -> Result<(), NonFinite> {
        let mut team = TEAM.lock();
        team.as_mut().expect("it has begun").run(work)
    }
}

/// The beginning of the arena.
struct Part {
    arena: OneShotMutexGuard<'static, Option<&'static mut [u8]>>,
    bytes: usize,
}

impl AsMut<[u8]> for Part {
    fn as_mut(&mut self) -> &mut [u8] {
        let arena = self.arena.as_mut().expect("it is mapped");
        &mut arena[..self.bytes]
    }
}

fn memory(bytes: usize) -> Box<dyn AsMut<[u8]>> {
    let mut part = Part {
        arena: ARENA.lock(),
        bytes,
    };
    part.as_mut().fill(0);
    Box::new(part)
}

/// Begins the team; the machines of two, three and four members. How a job is cut does not depend on the kernels, so the
/// build's own are enough here; `cargo test -p golden` has each path with each number.
///
/// # Panics
/// It is called twice, or the description gives the team no memory.
pub(crate) fn machines() -> Vec<Machine> {
    let region = |address, bytes| Mapped { address, bytes };
    // SAFETY: `cores.xml` maps it for the table, in this domain and its workers. It is all atomics.
    let table: Result<&'static Table, _> = unsafe { region::common(region(team(), team_size())) };
    // SAFETY: `cores.xml` maps it to this domain, which uses it here alone, and to its workers, which use it only while
    // this domain runs a job with them.
    let arena = unsafe { region::private(region(arena(), arena_size())) };
    let none = ARENA.lock().replace(arena).is_none();
    assert!(none, "the team has begun already");
    let table = table.expect("the team has a region");
    *TEAM.lock() = Some(Domains::begin(table, MOST, spins(cfg!(crowded)), Channels));
    let machine = |workers| Machine {
        cpu: Cpu::of_build(),
        workers,
        team: |workers| Box::new(Members(workers)),
        memory,
    };
    (2..=MOST).map(machine).collect()
}
