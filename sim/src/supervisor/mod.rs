//! Kernel, Microkit and board in one process, above the domains.
//!
//! Responsible for: making the regions and channels of `system.xml`, starting each domain with its own rights, seeing
//! it die, telling its parent, restarting it on the parent's order, the terminal's mode, and ending the system.
//!
//! The rule that keeps it safe: it reads only single bytes from domains (restart orders) and, where it may not trace,
//! fixed-size fault reports. It never waits for a domain or maps a domain's memory.

mod arguments;
mod board;
mod inheritance;
mod log;
mod process;
mod programs;
mod resources;
mod terminal;
pub(crate) mod tracer;

use crate::fault::{Record, Seen};
use crate::pd::{self, Role, STOP};
use arguments::{Arguments, Error};
use clap::Parser as _;
use log::Log;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use process::{Process, StartError, Stop};
use programs::ProgramError;
use resources::Resources;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd as _;
use rustix::process::{Pid, WaitStatus};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sysdesc::System;
use terminal::RawTerminal;

/// This executable. A domain is the same program with another first argument, unless the command line names its
/// program.
const PROGRAM: &str = "/proc/self/exe";

/// How long an external program may take to lock itself down.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a system ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The domain with the console has halted it.
    Halted,
    /// A signal from outside stopped it.
    Signal(i32),
}

/// Runs the supervisor with the arguments of this process.
pub(crate) fn main(roles: &[Role]) -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments, roles) {
        Ok(End::Halted) => ExitCode::SUCCESS,
        Ok(End::Signal(number)) => ExitCode::from(128 + number.unsigned_abs() as u8),
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments, roles: &[Role]) -> Result<End, Error> {
    inheritance::keep_all_to_ourselves();
    let path = &arguments.system;
    let text = std::fs::read_to_string(path).map_err(|cause| Error::Read {
        path: path.clone(),
        cause,
    })?;
    let system = System::parse(&text).map_err(|cause| Error::Description {
        path: path.clone(),
        cause,
    })?;
    let mut log = Log::open(arguments.log.as_deref())?;
    let programs = programs::of_domains(&system, &arguments.program)?;
    let resources = Resources::make(&system, arguments, roles, &programs)?;

    let signals: SigSet = [
        Signal::SIGCHLD,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ]
    .into_iter()
    .collect();
    signals.thread_block()?;
    let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;

    let traced = !arguments.no_ptrace && tracer::works(&mut log);
    // The mode is restored on drop, so on every way out of here.
    let has_console = (0..system.domains.len()).any(|d| resources.has_console(&system, d));
    let terminal = if has_console {
        if rustix::termios::isatty(rustix::stdio::stdin()) {
            eprintln!("sim: Ctrl-] ends the simulation");
        }
        RawTerminal::enter()?
    } else {
        None
    };
    log.set_raw(terminal.is_some());
    let mut supervisor = Supervisor {
        processes: system.domains.iter().map(|_| Process::default()).collect(),
        start: process::Start {
            traced,
            debug: arguments.debug,
            terminal: terminal.is_some(),
            has_sequences: terminal::has_sequences(),
            boot_us: pd::monotonic_us(),
        },
        system,
        resources,
        programs,
        look_at: None,
        outlive_clients: arguments.outlive_clients,
        log,
    };
    let end = supervisor.run(&signals);
    supervisor.kill_all();
    match &end {
        Ok(End::Halted) => supervisor.log.note("halted"),
        Ok(End::Signal(number)) => supervisor.log.note(&format!("ended by signal {number}")),
        Err(error) => supervisor.log.note(&error.to_string()),
    }
    end
}

/// All state of a running system.
struct Supervisor {
    system: System,
    resources: Resources,
    /// One per domain of the system, in its order: the program given on the command line, if any.
    programs: Vec<Option<PathBuf>>,
    /// When to check whether the programs from the command line have locked themselves down.
    look_at: Option<Instant>,
    /// One per domain of the system, in its order.
    processes: Vec<Process>,
    start: process::Start,
    /// Whether the system continues after a client has died.
    outlive_clients: bool,
    log: Log,
}

impl Supervisor {
    fn run(&mut self, signals: &SignalFd) -> Result<End, Error> {
        for domain in 0..self.processes.len() {
            self.start(domain)?;
        }
        loop {
            self.wait(signals)?;
            // Orders are handled before deaths, so an order that a parent gave before it died still counts.
            self.obey_orders()?;
            while let Some(signal) = signals.read_signal()? {
                let number = signal.ssi_signo as i32;
                if number != Signal::SIGCHLD as i32 {
                    return Ok(End::Signal(number));
                }
            }
            while let Some((pid, status)) = process::changed() {
                if let Some(end) = self.changed(pid, status)? {
                    return Ok(end);
                }
            }
            self.check_confined()?;
        }
    }

    /// Waits for a signal or an order, or until it is time for a check.
    fn wait(&self, signals: &SignalFd) -> Result<(), Error> {
        let orders = self.resources.orders();
        let mut polled: Vec<_> = std::iter::once(signals.as_fd())
            .chain(orders)
            .map(|descriptor| PollFd::from_borrowed_fd(descriptor, PollFlags::IN))
            .collect();
        let patience = self.look_at.map(|at| at - Instant::now());
        // The conversion cannot fail: it is a few seconds at most.
        let patience = patience.and_then(|patience| patience.try_into().ok());
        match poll(&mut polled, patience.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Checks whether the external programs have become domains.
    fn check_confined(&mut self) -> Result<(), Error> {
        if self.look_at.is_none_or(|at| Instant::now() < at) {
            return Ok(());
        }
        self.look_at = None;
        let domains = self.system.domains.iter().zip(&self.processes);
        for ((domain, process), program) in domains.zip(&self.programs) {
            if let (Some(pid), Some(file)) = (process.pid, program) {
                programs::check_confined(&domain.name, file, pid)?;
            }
        }
        Ok(())
    }

    fn start(&mut self, domain: usize) -> Result<(), Error> {
        let name = &self.system.domains[domain].name;
        let started = process::start(
            process::World {
                system: &self.system,
                resources: &self.resources,
                processes: &self.processes,
                programs: &self.programs,
                how: self.start,
            },
            domain,
        );
        let pid = started.map_err(|error| match error {
            StartError::System(cause) => Error::Start {
                domain: name.clone(),
                cause,
            },
            StartError::Ended(status) => self.did_not_start(domain, status),
        })?;
        self.processes[domain].pid = Some(pid);
        if self.programs[domain].is_some() {
            self.look_at = Some(Instant::now() + PATIENCE);
        }
        self.log.note(&format!("{name}: started as process {pid}"));
        Ok(())
    }

    /// Stops and restarts children as their parents have ordered.
    fn obey_orders(&mut self) -> Result<(), Error> {
        for (parent, order) in self.resources.take_orders() {
            let (id, stop) = (order & !STOP, order & STOP != 0);
            let is_it = |domain: &sysdesc::Domain| {
                domain
                    .parent
                    .as_ref()
                    .is_some_and(|p| (p.domain, p.id) == (parent, id))
            };
            // An unknown number is ignored.
            let Some(child) = self.system.domains.iter().position(is_it) else {
                continue;
            };
            self.processes[child].kill();
            self.resources.forget(child);
            self.processes[child].restarts = self.processes[child].restarts.wrapping_add(1);
            let (child_name, parent_name) = (
                &self.system.domains[child].name,
                &self.system.domains[parent].name,
            );
            let what = if stop { "stopped" } else { "restarted" };
            self.log
                .note(&format!("{child_name}: {what} by {parent_name}"));
            self.resources.acknowledge(parent);
            if !stop {
                self.start(child)?;
            }
        }
        Ok(())
    }

    fn changed(&mut self, pid: Pid, status: WaitStatus) -> Result<Option<End>, Error> {
        let is_it = |process: &Process| process.pid == Some(pid);
        let Some(domain) = self.processes.iter().position(is_it) else {
            return Ok(None);
        };
        match process::what_happened(pid, status) {
            Stop::Goes => {}
            Stop::Fault(seen) => self.died(domain, seen)?,
            Stop::Exited(status) => {
                self.processes[domain].pid = None;
                return self.exited(domain, status);
            }
            Stop::Killed(signal) => {
                self.processes[domain].pid = None;
                self.died(domain, tracer::seen(signal, 0, 0))?;
            }
        }
        Ok(None)
    }

    /// After the lock-down a domain can end itself only with these few statuses.
    fn exited(&mut self, domain: usize, status: i32) -> Result<Option<End>, Error> {
        let has_console = self.resources.has_console(&self.system, domain);
        match u8::try_from(status) {
            Ok(pd::HALT) if has_console => Ok(Some(End::Halted)),
            Ok(pd::CONSOLE_GONE) if has_console => Err(Error::ConsoleGone),
            Ok(pd::EXIT_STATUS) => {
                let report = self.resources.take_report(domain);
                self.died(domain, report.unwrap_or(tracer::UNKNOWN))?;
                Ok(None)
            }
            _ => Err(self.did_not_start(domain, status)),
        }
    }

    fn did_not_start(&self, domain: usize, status: i32) -> Error {
        let name = self.system.domains[domain].name.clone();
        match &self.programs[domain] {
            None => Error::Setup {
                domain: name,
                status,
            },
            Some(file) => ProgramError::Ended {
                domain: name,
                file: file.clone(),
                status,
            }
            .into(),
        }
    }

    /// A domain has faulted: kills it and tells its parent.
    fn died(&mut self, domain: usize, seen: Seen) -> Result<(), Error> {
        let process = &mut self.processes[domain];
        process.kill();
        let restarts = process.restarts;
        let Self {
            system,
            resources,
            log,
            ..
        } = self;
        let dead = &system.domains[domain];
        log.say(&format!("{}: {seen}", dead.name));
        let Some(parent) = &dead.parent else {
            let is_parent = |other: &sysdesc::Domain| {
                other
                    .parent
                    .as_ref()
                    .is_some_and(|parent| parent.domain == domain)
            };
            let is_client =
                !system.domains.iter().any(is_parent) && !resources.has_console(system, domain);
            if self.outlive_clients && is_client {
                log.say(&format!("{}: stopped for good", dead.name));
                return Ok(());
            }
            return Err(Error::Died {
                domain: dead.name.clone(),
            });
        };
        let record = Record {
            child: parent.id,
            restarts,
            fault: seen.fault,
        };
        if !resources.send_fault(parent.domain, &record) {
            log.say(&format!(
                "{}: its parent was not told, because its pipe for faults is full",
                dead.name
            ));
        }
        Ok(())
    }

    fn kill_all(&mut self) {
        for process in &mut self.processes {
            process.kill();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Arguments::command().debug_assert();
    }
}
