//! What runs inside the process of a domain.
//!
//! Responsible for, in this order: tying its life to the supervisor's, mapping its regions, letting the role build its
//! component, closing what is left, giving up the right to make system calls, and running the event loop for ever.
//!
//! The rule that keeps it exact: everything that needs authority happens before `lockdown`, and just before it the
//! process checks that it holds no descriptor that its description does not name. After it not even the allocator can
//! get memory, so components bring all their state with them.

mod debug;
mod descriptors;
mod environment;
mod handler;
mod lockdown;
mod mapping;
mod ports;

pub use debug::DebugOutput;
pub use environment::{Environment, SetupError};
pub use mapping::Common;
pub use ports::{Clock, Console, DiskFile, END_OF_INPUT, Notifier, Restarter, Timer, Waiter};

#[cfg(feature = "supervisor")]
pub(crate) use handler::{EXIT_STATUS, REPORT_BYTES};
#[cfg(feature = "supervisor")]
pub(crate) use ports::{CONSOLE_GONE, HALT, STOP, monotonic_us};

use crate::description::Description;
use crate::fault::{RECORD_BYTES, Record};
use environment::{Sources, Wakeup};
use nix::sys::signal::{SigSet, Signal};
use protocol::wire::Fault;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{
    DumpableBehavior, Pid, getppid, set_dumpable_behavior, set_parent_process_death_signal,
};
use std::ffi::OsString;
use std::io::Read;

/// First argument of a domain's process. If it is the only argument, the process just waits to be killed.
pub const SUBCOMMAND: &str = "pd";
/// Exit status of a process that could not become a domain.
pub(crate) const SETUP_FAILED: u8 = 2;
/// Fault records handled per wake-up. The limit keeps a wake-up bounded; any left wake the domain again.
const FAULTS_PER_WAKEUP: usize = 16;

/// What a domain does. All calls come after the lock-down, from one thread.
pub trait Component {
    /// Runs once, before any wake-up.
    fn init(&mut self) {}

    /// Something may have arrived on these channels or interrupts. A notification says no more, so look everywhere.
    fn notified(&mut self, ids: Ids);

    /// A child has died. If it was not traced, the report is only the child's own claim.
    fn fault(&mut self, _child: u8, _fault: Fault) {}

    /// Whether console input should wake the domain. If not, input is held back until another wake-up has made room;
    /// none is lost.
    fn accepts_input(&self) -> bool {
        true
    }

    /// Whether the console should wake the domain once it can be written to.
    fn wants_room(&self) -> bool {
        false
    }
}

/// Builds a component, with all the memory that it will ever need.
pub type Start = fn(&mut Environment) -> Result<Box<dyn Component>, SetupError>;

/// A program that a domain can run, chosen by the stem of its `program_image`.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    /// Stem of the image: `audit` for `audit.elf`.
    pub image: &'static str,
    /// Builds the component.
    pub start: Start,
}

/// A set of channel and interrupt numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids(u64);

impl Ids {
    /// Whether `id` is in the set.
    #[must_use]
    pub const fn contains(self, id: u8) -> bool {
        id < 64 && self.0 >> id & 1 == 1
    }

    /// Whether `id` is the only member.
    #[must_use]
    pub const fn is_only(self, id: u8) -> bool {
        id < 64 && self.0 == 1 << id
    }

    const fn insert(&mut self, id: u8) {
        if id < 64 {
            self.0 |= 1 << id;
        }
    }
}

/// Runs a domain. The arguments are `pd NAME DESCRIPTOR`; the description is read from the descriptor. `program` finds
/// a program by its role.
pub(crate) fn main(
    program: impl Fn(&str) -> Option<Start>,
    mut arguments: impl Iterator<Item = OsString>,
) -> u8 {
    let Some(name) = arguments.next() else {
        // If the supervisor dies, this input ends, and with it the process.
        let _ = std::io::stdin().read(&mut [0]);
        return 0;
    };
    let name = name.to_string_lossy();
    let number = arguments
        .next()
        .and_then(|text| text.to_str()?.parse().ok());
    let error = match number {
        Some(number) => match prepare(program, number) {
            Ok((component, sources)) => run(component, sources),
            Err(error) => error,
        },
        None => SetupError::Usage,
    };
    eprintln!("sim: {name}: {error}");
    SETUP_FAILED
}

/// Does everything that needs authority, then gives the authority up.
fn prepare(
    program: impl Fn(&str) -> Option<Start>,
    number: i32,
) -> Result<(Box<dyn Component>, Sources), SetupError> {
    let description = receive(number)?;
    stay_with_supervisor(&description)?;
    stay_on_core(&description)?;
    block_terminal_signals()?;

    let mut environment = Environment::new(&description)?;
    let start = program(&description.role);
    let start = start.ok_or_else(|| SetupError::Role {
        role: description.role.clone(),
    })?;
    let component = start(&mut environment)?;
    let sources = environment.sources();
    // The first reading of the clock may map the fast path, so it happens before the lock-down.
    let _ = environment.clock().now_us();

    check_threads()?;
    descriptors::close_standard_streams(&description);
    descriptors::check(&environment.descriptors())?;
    std::panic::set_hook(Box::new(panic_hook(description.debug.is_some())));
    if let Some(report) = description.report {
        handler::install(environment.report(report)?)?;
    }
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    lockdown::apply(&environment.rights())?;
    Ok((component, sources))
}

fn receive(number: i32) -> Result<Description, SetupError> {
    let mut text = Vec::new();
    descriptors::inherited_file(number)?.read_to_end(&mut text)?;
    // The descriptor is closed here.
    Ok(serde_json::from_slice(&text)?)
}

fn stay_with_supervisor(description: &Description) -> Result<(), SetupError> {
    set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    // The supervisor may have died before the request was made.
    if getppid() != Pid::from_raw(description.supervisor) {
        return Err(SetupError::Orphan);
    }
    Ok(())
}

fn stay_on_core(description: &Description) -> Result<(), SetupError> {
    if let Some(core) = description.core {
        let mut cpus = rustix::thread::CpuSet::new();
        cpus.set(core.cpu);
        rustix::thread::sched_setaffinity(None, &cpus)?;
    }
    Ok(())
}

/// The lock-down covers only the thread that asks for it.
fn check_threads() -> Result<(), SetupError> {
    match std::fs::read_dir("/proc/self/task")?.count() {
        1 => Ok(()),
        threads => Err(SetupError::Threads { threads }),
    }
}

/// Signals that a terminal sends to all its processes are meant for the supervisor.
fn block_terminal_signals() -> Result<(), SetupError> {
    let signals: SigSet = [
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGHUP,
        Signal::SIGTERM,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGWINCH,
    ]
    .into_iter()
    .collect();
    signals
        .thread_block()
        .map_err(|error| SetupError::System(error.into()))
}

/// A panic is a fault: nothing unwinds, and nothing is printed unless `debug` is set.
fn panic_hook(debug: bool) -> impl Fn(&std::panic::PanicHookInfo<'_>) {
    move |info| {
        if debug {
            eprintln!("sim: {info}");
        }
        std::process::abort();
    }
}

fn run(mut component: Box<dyn Component>, mut sources: Sources) -> ! {
    component.init();
    loop {
        let (input, room) = (component.accepts_input(), component.wants_room());
        let polled = sources.polled(input, room);
        // There is no timeout, so an error is an interrupted call: nothing arrived.
        if poll(polled, None).is_err() {
            continue;
        }
        let mut ids = Ids::default();
        for index in 0..sources.polls.len() {
            if !ready(&mut sources.polls[index]) {
                continue;
            }
            match sources.wakeups[index] {
                Wakeup::Channel { id, from } => {
                    ports::drain(from);
                    ids.insert(id);
                }
                Wakeup::Console { id } | Wakeup::Room { id } => ids.insert(id),
                Wakeup::Faults { from } => faults(&mut *component, &mut sources, from),
            }
        }
        if ids != Ids::default() {
            component.notified(ids);
        }
    }
}

/// Whether something arrived. Clears the result.
fn ready(polled: &mut PollFd<'static>) -> bool {
    let ready = !polled.revents().is_empty();
    polled.clear_revents();
    ready
}

fn faults(
    component: &mut dyn Component,
    sources: &mut Sources,
    from: rustix::fd::BorrowedFd<'static>,
) {
    for _ in 0..FAULTS_PER_WAKEUP {
        let mut bytes = [0; RECORD_BYTES];
        match rustix::io::read(from, &mut bytes) {
            Ok(RECORD_BYTES) => {
                let record = Record::from_bytes(&bytes);
                if sources.restarter.is_current(&record) {
                    component.fault(record.child, record.fault);
                }
            }
            _ => return,
        }
    }
}

/// Waits until it is readable or at its end.
fn interest(descriptor: rustix::fd::BorrowedFd<'static>) -> PollFd<'static> {
    PollFd::from_borrowed_fd(descriptor, PollFlags::IN)
}
