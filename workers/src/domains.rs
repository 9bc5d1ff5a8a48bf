//! A team of protection domains: the leader, which has the model, and workers that map its arena.
//!
//! The desk is in a region that all of them write. They are one compartment: its parent stops all of them before it
//! starts any, so the desk may have the contents that an old run has left, and all members greet before the first job.
//!
//! No member has a clock. The compartment's supervisor has one and acts as theirs: as long as the leader has work, it
//! rings at regular intervals. A leader that has heard it [`PATIENCE`] times while it waited for one job gives up,
//! which ends its domain, and with it the compartment. A leader that does not give up is no danger, because its
//! requests have deadlines anyway.

#![allow(unsafe_code)]

use crate::answer;
use crate::desk::{Desk, Leader, Worker};
use core::convert::Infallible;
use core::ptr::NonNull;
use llm_core::quantize::NonFinite;
use llm_core::team::{MAX_WORDS, Team, Work, run_part};

/// Maximum number of domains of a team, including the leader.
pub const MOST: usize = 8;

/// Bytes of the region that they share.
pub const REGION_BYTES: usize = 0x1000;

/// The content of the region. Any bytes are valid.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Table {
    desk: Desk<MOST, MAX_WORDS>,
    /// The next misdeed of a worker in a test build.
    #[cfg(feature = "inject")]
    pub order: crate::inject::Order,
}

const _: () = assert!(size_of::<Table>() <= REGION_BYTES && align_of::<Table>() <= REGION_BYTES);

/// Number of looks at a gate before a domain sleeps: 50 to 100 µs on a Cortex-A53. Jobs of one forward pass follow each
/// other faster than that, and a signal to another core costs the kernel some microseconds on either side. A larger
/// value would waste a core's time between two tokens.
pub const SPINS: u32 = 1 << 12;

/// The same if there are more domains than cores: a spinning domain then keeps the core from the one that it waits for.
pub const SPINS_IF_CROWDED: u32 = 16;

/// The value for a crowded or uncrowded machine.
#[must_use]
pub const fn spins(crowded: bool) -> u32 {
    if crowded { SPINS_IF_CROWDED } else { SPINS }
}

/// How often the supervisor rings before the leader gives up. The first ring may have come before the leader began to
/// wait, so at least one interval less has passed. An honest worker needs milliseconds for its part of a job. A smaller
/// value would end a compartment whose worker was not scheduled for a moment, as happens in an emulator; a larger one
/// would detect a hanging worker later.
pub const PATIENCE: u32 = 3;

/// Why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// A member has rung; or a spurious return.
    Member,
    /// Only the supervisor has rung.
    Supervisor,
}

/// The notifications of a domain.
pub trait Bells {
    /// Wakes a member of the team, now or when it next waits. The leader is member 0.
    fn ring(&mut self, member: usize);

    /// Waits until some member, or the leader's supervisor, has rung since this last returned; it may also return
    /// spuriously.
    fn wait(&mut self) -> Woken;
}

/// How many more rings of its supervisor the leader waits for.
struct Patience(u32);

impl Patience {
    /// Waits for a worker.
    ///
    /// # Panics
    /// Its patience is exhausted. That must end the domain, because the worker may still be using its memory.
    fn wait(&mut self, worker: usize, bells: &mut impl Bells) {
        if bells.wait() == Woken::Supervisor {
            self.0 -= 1;
            assert!(self.0 > 0, "worker {worker} has not arrived");
        }
    }
}

/// The leader's side of a team.
#[derive(Debug)]
pub struct Domains<B> {
    table: &'static Table,
    bells: B,
    leader: Leader<MOST>,
    members: usize,
    spins: u32,
    /// Whether the workers have been admitted.
    complete: bool,
}

impl<B: Bells> Domains<B> {
    /// A team of the caller and workers 1 to `members` − 1, which are told that a run begins. At most [`MOST`] are
    /// used.
    pub fn begin(table: &'static Table, members: usize, spins: u32, mut bells: B) -> Self {
        let members = members.clamp(1, MOST);
        let mut leader = Leader::default();
        leader.begin(&table.desk, members, |worker| bells.ring(worker));
        Self {
            table,
            bells,
            leader,
            members,
            spins,
            complete: false,
        }
    }
}

impl<B: Bells> Team for Domains<B> {
    fn workers(&self) -> usize {
        self.members
    }

    /// # Panics
    /// The work is for a larger team, a part of it panics, or a worker does not arrive. Such a panic must end the
    /// domain, because workers may be using its memory. In a domain, panics do not unwind, so it does.
    fn run(&mut self, work: Work<'_>) -> Result<(), NonFinite> {
        let workers = work.workers();
        assert!(workers <= self.members, "a job for a larger team");
        let Self { bells, leader, .. } = self;
        let desk = &self.table.desk;
        if !self.complete {
            // Two closures need the bells, in turn.
            let bells = core::cell::RefCell::new(&mut *bells);
            let ring = |worker| bells.borrow_mut().ring(worker);
            let mut patience = Patience(PATIENCE);
            leader.admit(desk, self.members, ring, |worker| {
                patience.wait(worker, *bells.borrow_mut());
            });
            self.complete = true;
        }
        leader.call(
            desk,
            workers,
            |put| work.write(put),
            |worker| bells.ring(worker),
        );
        let mut patience = Patience(PATIENCE);
        // SAFETY: part 0 is the leader's, and each worker runs the part with its own number (`serve`). `work` is
        // borrowed until all are done, because a panic on the way ends the domain.
        let mut result = unsafe { work.part(0) };
        let waited: Result<(), Infallible> = leader.wait(
            desk,
            workers,
            self.spins,
            |worker| {
                patience.wait(worker, bells);
                Ok(())
            },
            |answer| result = answer::and(result, answer),
        );
        let Ok(()) = waited;
        result
    }
}

/// Why a domain cannot be a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its number, which is that of its channel to the leader.
    #[error("worker {0}: the numbers of workers are 1 to {most}", most = MOST - 1)]
    Number(usize),
    /// The arena has no memory.
    #[error("worker {0}: the description gives it no arena")]
    Arena(usize),
}

/// A worker's side of a team.
#[derive(Debug)]
pub struct Seat {
    table: &'static Table,
    number: usize,
    arena: NonNull<u8>,
    len: usize,
    spins: u32,
}

impl Seat {
    /// The place of the worker with this number, for jobs in the `len` bytes of the leader's arena.
    ///
    /// # Errors
    /// There is no such place or no arena.
    ///
    /// # Safety
    /// The arena is mapped here readable and writable, and is all of the leader's. No other worker has this number, and
    /// no member of an old team runs any more.
    pub unsafe fn new(
        table: &'static Table,
        number: usize,
        (arena, len): (*mut u8, usize),
        spins: u32,
    ) -> Result<Self, Unfit> {
        if !(1..MOST).contains(&number) {
            return Err(Unfit::Number(number));
        }
        let arena = NonNull::new(arena).filter(|_| len > 0);
        Ok(Self {
            table,
            number,
            arena: arena.ok_or(Unfit::Arena(number))?,
            len,
            spins,
        })
    }

    /// The memory that the team shares.
    #[must_use]
    pub const fn table(&self) -> &'static Table {
        self.table
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> usize {
        self.number
    }

    /// A worker's main loop: serves until it is told to end. `before` is called before each part.
    ///
    /// # Panics
    /// The words are not a job: the leader is broken. That must end the domain.
    pub fn serve(self, bells: &mut impl Bells, mut before: impl FnMut()) {
        let (desk, number) = (&self.table.desk, self.number);
        let mut worker = Worker::new(number);
        {
            let bells = core::cell::RefCell::new(&mut *bells);
            worker.greet(
                desk,
                || bells.borrow_mut().ring(0),
                || {
                    bells.borrow_mut().wait();
                },
            );
        }
        while let Some(mut words) = worker.next(desk, self.spins, || {
            bells.wait();
        }) {
            before();
            let take = &mut || words.next();
            // SAFETY: the leader wrote these words before it opened the gate, for work in the memory that `new`'s
            // caller vouches for. It keeps the work until this worker has opened its own gate, and each worker runs the
            // part with its own number.
            let result = unsafe { run_part(take, self.arena, self.len, number) };
            if worker.done(desk, answer::of(result.expect("the words of a job"))) {
                bells.ring(0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_without_a_place_or_an_arena_is_refused() {
        let table: &'static Table = Box::leak(Box::default());
        let mut memory = [0u8; 64];
        let seat = |number, memory, len| {
            // SAFETY: none of them serves.
            unsafe { Seat::new(table, number, (memory, len), 0) }.map(|seat| seat.number())
        };
        let start = memory.as_mut_ptr();
        assert_eq!(seat(1, start, 64), Ok(1));
        assert_eq!(seat(MOST - 1, start, 64), Ok(MOST - 1));
        assert_eq!(seat(0, start, 64), Err(Unfit::Number(0)));
        assert_eq!(seat(MOST, start, 64), Err(Unfit::Number(MOST)));
        assert_eq!(seat(2, core::ptr::null_mut(), 64), Err(Unfit::Arena(2)));
        assert_eq!(seat(2, start, 0), Err(Unfit::Arena(2)));
    }
}
