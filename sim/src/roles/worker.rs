//! Workers on other cores: their own domain, and inference's end of the team.

#![allow(unsafe_code)]

use super::component;
use crate::pd::{Common, Component, Environment, Ids, Notifier, SetupError, Waiter};
use worker::{Bells, Seat, Table, Woken, spins};
use workers::domains::Domains;

/// The channels of a member of a team.
#[derive(Debug)]
pub(super) struct Channels {
    /// To each of the others, in order of their numbers.
    others: Vec<Notifier>,
    /// The number of the first of the others.
    first: usize,
    /// To audit; only the leader has it.
    supervisor: Option<u8>,
    waiter: Waiter,
}

impl Bells for Channels {
    fn ring(&mut self, member: usize) {
        let at = member.checked_sub(self.first);
        if let Some(other) = at.and_then(|at| self.others.get(at)) {
            other.notify();
        }
    }

    fn wait(&mut self) -> Woken {
        let rung = self.waiter.wait();
        match self.supervisor {
            Some(supervisor) if rung.is_only(supervisor) => Woken::Supervisor,
            _ => Woken::Member,
        }
    }
}

/// The channels of these numbers, to the members from `first` on, and to the supervisor.
fn channels(
    env: &Environment,
    numbers: &[u8],
    first: usize,
    supervisor: Option<u8>,
) -> Result<Channels, SetupError> {
    let others = numbers.iter().map(|number| env.notifier(*number));
    let all: Vec<u8> = numbers.iter().copied().chain(supervisor).collect();
    Ok(Channels {
        others: others.collect::<Result<_, _>>()?,
        first,
        supervisor,
        waiter: env.waiter(&all)?,
    })
}

fn table(env: &mut Environment) -> Result<&'static Table, SetupError> {
    let Common { start, bytes } = env.common("team")?;
    if bytes < size_of::<Table>() {
        let needed = size_of::<Table>();
        return Err(component(format_args!(
            "region 'team' has {bytes} bytes, less than {needed}: correct its size in system.xml"
        )));
    }
    // SAFETY: mapped for ever, readable and writable, at the beginning of a page and large enough. All members use it
    // as a table, which consists of atomics, and any bytes are a valid table.
    Ok(unsafe { &*start.cast() })
}

/// The arena, which workers map, too.
pub(super) fn arena(env: &mut Environment) -> Result<&'static mut [u8], SetupError> {
    let Common { start, bytes } = env.common("arena")?;
    // SAFETY: mapped for ever, readable and writable; this is the only reference in this process (`common`). Workers
    // write there only while they run their parts of a job, which borrows the arena; those of an old run are dead.
    Ok(unsafe { std::slice::from_raw_parts_mut(start, bytes) })
}

/// Whether there are too few cores for the member with this number to have one of its own.
fn is_crowded(env: &Environment, number: usize) -> bool {
    env.core().is_some_and(|core| number >= core.cores)
}

/// Inference's end of the team, with as many workers as `system.xml` has.
pub(super) fn leader(env: &mut Environment) -> Result<Domains<Channels>, SetupError> {
    let channel = |worker| env.number(&format!("worker_{worker}_channel")).ok();
    let numbers: Vec<u8> = (1..).map_while(channel).collect();
    // A signal of audit that the leader consumes while it waits is not lost, because the server looks at its ring after
    // every step.
    let audit = env.number("audit_channel")?;
    let channels = channels(env, &numbers, 1, Some(audit))?;
    let spins = spins(is_crowded(env, numbers.len()));
    let table = table(env)?;
    #[cfg(feature = "inject")]
    TEAM.with(|team| {
        // Set once: a process starts once.
        let _ = team.set((table, numbers.len()));
    });
    let members = 1 + numbers.len();
    Ok(Domains::begin(table, members, spins, channels))
}

struct Worker {
    seat: Option<Seat>,
    inference: Channels,
    #[cfg(feature = "redteam")]
    own: redteam_attacks::worker::Own,
}

/// Builds the component.
pub(super) fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let number = env.number("inference_channel")?;
    let inference = channels(env, &[number], 0, None)?;
    let number = usize::from(number);
    let spins = spins(is_crowded(env, number));
    let table = table(env)?;
    let Common { start, bytes } = env.common("arena")?;
    #[cfg(feature = "inject")]
    misdeeds::knows([
        (start, bytes),
        (std::ptr::from_ref(table).cast_mut().cast(), 0x1000),
    ]);
    // SAFETY: `system.xml` maps inference's arena here, and gives each worker's channel another number. Audit stops all
    // of them before it starts any.
    let seat = unsafe { Seat::new(table, number, (start, bytes), spins) }.map_err(component)?;
    Ok(Box::new(Worker {
        seat: Some(seat),
        inference,
        #[cfg(feature = "redteam")]
        own: hostile::own(number, bytes),
    }))
}

impl Component for Worker {
    /// Serves until the process is killed.
    fn init(&mut self) {
        if let Some(seat) = self.seat.take() {
            #[cfg(not(any(feature = "inject", feature = "redteam")))]
            worker::serve(seat, &mut self.inference);
            #[cfg(feature = "redteam")]
            hostile::serve(seat, &mut self.inference, self.own);
            #[cfg(all(feature = "inject", not(feature = "redteam")))]
            worker::serve(seat, &mut self.inference, misdeeds::MISDEEDS);
        }
    }

    fn notified(&mut self, _: Ids) {}
}

#[cfg(feature = "inject")]
std::thread_local! {
    /// The team's table, and the number of its workers.
    static TEAM: std::cell::OnceCell<(&'static Table, usize)> = const { std::cell::OnceCell::new() };
}

/// Has a worker misbehave, if there is one.
#[cfg(feature = "inject")]
pub(super) fn order(misdeed: usize, choice: u64) {
    let misdeed = worker::inject::Misdeed::ALL.get(misdeed);
    TEAM.with(|team| {
        if let (Some((table, workers @ 1..)), Some(misdeed)) = (team.get(), misdeed) {
            table.order.give(1 + choice as usize % workers, *misdeed);
        }
    });
}

/// The red team's worker.
#[cfg(feature = "redteam")]
mod hostile {
    use super::{Bells, Channels, Seat, Table, Woken};
    use redteam_attacks::Say;
    use redteam_attacks::worker::{Ground, Own, POST, obey};
    use std::cell::RefCell;

    const _: () = assert!(
        size_of::<Table>() <= POST,
        "the red team's words lie on the desk"
    );

    pub(super) fn own(number: usize, arena: usize) -> Own {
        Own {
            number,
            text: serve as *const () as usize + 8,
            arena,
        }
    }

    /// The honest worker's bells, which attacks can ring as well.
    struct Shared<'a>(&'a RefCell<&'a mut Channels>);

    impl Bells for Shared<'_> {
        fn ring(&mut self, member: usize) {
            self.0.borrow_mut().ring(member);
        }

        fn wait(&mut self) -> Woken {
            self.0.borrow_mut().wait()
        }
    }

    impl Ground for Shared<'_> {
        fn ring(&mut self) {
            self.0.borrow_mut().ring(0);
        }

        /// Attacks on a kernel need seL4.
        fn perform(&mut self, _: &str, _: &mut Say) -> bool {
            false
        }
    }

    pub(super) fn serve(seat: Seat, inference: &mut Channels, own: Own) {
        let inference = RefCell::new(inference);
        seat.serve(&mut Shared(&inference), || {
            obey(own, &mut Shared(&inference));
        });
    }
}

/// Misbehaviour of a test build of a worker, when inference orders it.
#[cfg(feature = "inject")]
mod misdeeds {
    use std::cell::Cell;
    use worker::inject::Misdeeds;

    pub(super) const MISDEEDS: Misdeeds = Misdeeds {
        write_outside: crate::roles::inference::misdeeds::write_outside,
        scribble,
        set_rounding: crate::roles::inference::misdeeds::set_rounding,
    };

    type Regions = [(*mut u8, usize); 2];

    std::thread_local! {
        /// The regions that the domain may write.
        static OWN: Cell<Option<Regions>> = const { Cell::new(None) };
    }

    pub(super) fn knows(regions: Regions) {
        OWN.set(Some(regions));
    }

    fn scribble() {
        let mut garbage = inference::inject::Garbage::new(1);
        for (start, bytes) in OWN.get().into_iter().flatten() {
            for (word, at) in garbage.by_ref().zip((0..bytes).step_by(8)) {
                let place = start.wrapping_add(at).cast::<u64>();
                // SAFETY: inside a region that `system.xml` lets this domain write, and aligned. The test is about how
                // inference reacts.
                unsafe { place.write_volatile(word) }
            }
        }
    }
}
