//! Processes of domains: starting one with exactly its own rights, and seeing what becomes of it.

use super::PROGRAM;
use super::board::Device;
use super::inheritance::Inheritance;
use super::resources::Resources;
use super::tracer;
use crate::description as desc;
use crate::fault::Seen;
use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus as Status, getpid, kill_process, waitpid,
};
use std::fs::File;
use std::io::{Error, Result, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use sysdesc::System;

/// The process of a domain.
#[derive(Debug, Default)]
pub(super) struct Process {
    /// `None` while it is dead.
    pub(super) pid: Option<Pid>,
    /// How often it has been restarted since the system started.
    pub(super) restarts: u32,
}

impl Process {
    /// Kills it if it is alive, and waits until it is gone.
    pub(super) fn kill(&mut self) {
        if let Some(pid) = self.pid.take() {
            kill(pid);
        }
    }
}

/// Kills a child process and waits until it is gone. Returns its exit status if it had already ended by itself.
pub(super) fn kill(pid: Pid) -> Option<i32> {
    let _ = kill_process(pid, Signal::KILL);
    // A traced process may still report stops before its end.
    while let Ok(Some((_, status))) = waitpid(Some(pid), WaitOptions::empty()) {
        if status.exited() || status.signaled() {
            return status.exit_status();
        }
    }
    None
}

/// Why a process was not started.
#[derive(Debug)]
pub(super) enum StartError {
    /// The system refused something.
    System(Error),
    /// It ended, with this status, before it was told what it is.
    Ended(i32),
}

impl<E: Into<Error>> From<E> for StartError {
    fn from(error: E) -> Self {
        Self::System(error.into())
    }
}

/// What all domains have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    pub(super) traced: bool,
    pub(super) debug: bool,
    pub(super) terminal: bool,
    /// Whether it has control sequences.
    pub(super) has_sequences: bool,
    pub(super) boot_us: u64,
}

/// The sources of a domain's description.
#[derive(Clone, Copy)]
pub(super) struct World<'a> {
    pub(super) system: &'a System,
    pub(super) resources: &'a Resources,
    /// One per domain of the system, in its order.
    pub(super) processes: &'a [Process],
    /// One per domain of the system, in its order: the program given on the command line, if any.
    pub(super) programs: &'a [Option<PathBuf>],
    pub(super) how: Start,
}

/// Starts the process of a domain, and traces it before it is told anything.
pub(super) fn start(world: World<'_>, domain: usize) -> core::result::Result<Pid, StartError> {
    let (description_read, description_write) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut inheritance = Inheritance::default();
    let description = describe(world, domain, &mut inheritance)?;
    let number = inheritance.share(description_read.as_fd())?;

    let stream = || {
        if description.console.is_some() {
            Stdio::inherit()
        } else {
            Stdio::null()
        }
    };
    let own = world.programs[domain].as_deref();
    let mut command = Command::new(own.unwrap_or(Path::new(PROGRAM)));
    command
        .args([
            crate::pd::SUBCOMMAND,
            &description.domain,
            &number.to_string(),
        ])
        .env_clear()
        .current_dir("/")
        .stdin(stream())
        .stdout(stream());
    let pid = spawn(&mut command)?;
    drop(inheritance);
    // The process waits for its description, so it cannot escape the tracer.
    let told = if world.how.traced {
        tracer::seize(pid)
    } else {
        Ok(())
    }
    .and_then(|()| Ok(serde_json::to_vec(&description)?))
    .and_then(|text| File::from(description_write).write_all(&text));
    if let Err(error) = told {
        return Err(kill(pid).map_or(StartError::System(error), StartError::Ended));
    }
    Ok(pid)
}

/// Starts a process; [`changed`] or [`kill`] waits for it.
pub(super) fn spawn(command: &mut Command) -> Result<Pid> {
    #[allow(clippy::zombie_processes)] // See above.
    let child = command.spawn()?;
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    id.ok_or_else(|| Error::from(Errno::SRCH))
}

/// The description of a domain, whose descriptors are shared with its process.
fn describe<'a>(
    world: World<'a>,
    domain: usize,
    inheritance: &mut Inheritance<'a>,
) -> Result<desc::Description> {
    let World {
        system,
        resources,
        processes,
        how,
        ..
    } = world;
    let this = &system.domains[domain];
    let mut description = desc::Description {
        domain: this.name.clone(),
        role: super::resources::program(this).to_owned(),
        supervisor: getpid().as_raw_pid(),
        boot_us: how.boot_us,
        variables: variables(system, domain),
        mappings: Vec::new(),
        notifiers: Vec::new(),
        wakeups: Vec::new(),
        console: None,
        timer: None,
        disk: None,
        children: None,
        report: None,
        core: core(system, this),
        debug: how.debug.then_some(desc::Debug { raw: how.terminal }),
    };
    for map in &this.maps {
        // Registers of devices are not mapped.
        let Some(region) = resources.region(map.region) else {
            continue;
        };
        let file = if map.perms.write {
            &region.writable
        } else {
            &region.readable
        };
        description.mappings.push(desc::Mapping {
            region: system.regions[map.region].name.clone(),
            symbol: map.setvar_vaddr.clone(),
            size_symbol: map.setvar_size.clone(),
            prefill: map.setvar_prefill_size.clone().zip(region.prefill_bytes),
            vaddr: map.vaddr,
            size: system.regions[map.region].size,
            read: map.perms.read,
            write: map.perms.write,
            execute: map.perms.execute,
            sharing: region.sharing,
            descriptor: inheritance.share(file.as_fd())?,
        });
    }
    for (channel, pipes) in system.channels.iter().zip(resources.channels()) {
        for (near, far) in [(0, 1), (1, 0)] {
            let end = &channel.ends[near];
            if end.domain != domain {
                continue;
            }
            if let Some(pipe) = &pipes[near] {
                let descriptor = inheritance.share(pipe.write.as_fd())?;
                description.notifiers.push(desc::Notifier {
                    id: end.id,
                    descriptor,
                });
            }
            if let Some(pipe) = &pipes[far] {
                let descriptor = inheritance.share(pipe.read.as_fd())?;
                description.wakeups.push(desc::Wakeup {
                    id: end.id,
                    descriptor,
                });
            }
        }
    }
    for irq in &this.irqs {
        let id = irq.id;
        match Device::of_irq(irq.number) {
            Some(Device::Uart) => {
                let input = rustix::stdio::raw_stdin();
                let output = match resources.output() {
                    Some(output) => inheritance.share(output)?,
                    None => rustix::stdio::raw_stdout(),
                };
                let (terminal, has_sequences) = (how.terminal, how.has_sequences);
                description.console = Some(desc::Console {
                    id,
                    input,
                    output,
                    terminal,
                    has_sequences,
                });
            }
            Some(Device::Watchdog) => {
                let descriptor = inheritance.share(resources.watchdog().as_fd())?;
                description.wakeups.push(desc::Wakeup { id, descriptor });
            }
            Some(Device::Timer) => {
                let descriptor = inheritance.share(resources.timer().as_fd())?;
                description.wakeups.push(desc::Wakeup { id, descriptor });
                description.timer = Some(desc::Timer { id, descriptor });
            }
            Some(Device::Disk) => {
                if let Some(disk) = resources.disk() {
                    description.disk = Some(desc::Disk {
                        id,
                        descriptor: inheritance.share(disk.file.as_fd())?,
                        bytes: disk.bytes,
                        writable: disk.writable,
                    });
                }
            }
            None => {} // Refused when the resources were made.
        }
    }
    if let Some(pipes) = resources.children(domain) {
        let others = system.domains.iter().zip(processes);
        let children = others.filter_map(|(other, process)| {
            let parent = other
                .parent
                .as_ref()
                .filter(|parent| parent.domain == domain);
            parent.map(|parent| (parent.id, process.restarts))
        });
        description.children = Some(desc::Children {
            ids: children.collect(),
            restart: inheritance.share(pipes.orders.write.as_fd())?,
            done: inheritance.share(pipes.done.read.as_fd())?,
            faults: inheritance.share(pipes.faults.read.as_fd())?,
        });
    }
    if !how.traced {
        description.report = Some(inheritance.share(resources.report(domain).write.as_fd())?);
    }
    Ok(description)
}

/// Where a domain runs, if its system has domains on several cores.
fn core(system: &System, domain: &sysdesc::Domain) -> Option<desc::Core> {
    if system.domains.iter().all(|domain| domain.cpu == 0) {
        return None;
    }
    let own = rustix::thread::sched_getaffinity(None).ok()?;
    let cpus: Vec<usize> = (0..rustix::thread::CpuSet::MAX_CPU)
        .filter(|cpu| own.is_set(*cpu))
        .collect();
    let number = domain.cpu;
    let cpu = *cpus.get(usize::from(number) % cpus.len().max(1))?;
    let cores = cpus.len();
    Some(desc::Core { number, cpu, cores })
}

/// The values that Microkit would write into the variables that `setvar_id` names.
fn variables(system: &System, domain: usize) -> Vec<(String, u8)> {
    let irqs = system.domains[domain].irqs.iter();
    let irqs = irqs.map(|irq| (&irq.setvar_id, irq.id));
    let ends = system.channels.iter().flat_map(|channel| &channel.ends);
    let ends = ends.filter(|end| end.domain == domain);
    let ends = ends.map(|end| (&end.setvar_id, end.id));
    let parents = system
        .domains
        .iter()
        .filter_map(|other| other.parent.as_ref());
    let children = parents.filter(|parent| parent.domain == domain);
    let children = children.map(|parent| (&parent.setvar_id, parent.id));
    irqs.chain(ends)
        .chain(children)
        .filter_map(|(symbol, id)| Some((symbol.clone()?, id)))
        .collect()
}

/// A child process that has stopped or ended since the last call.
pub(super) fn changed() -> Option<(Pid, Status)> {
    waitpid(None, WaitOptions::NOHANG).ok().flatten()
}

/// What became of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Nothing that matters; it continues.
    Goes,
    /// It has faulted and is stopped.
    Fault(Seen),
    /// It has ended by itself.
    Exited(i32),
    /// It was ended by a signal that cannot be caught.
    Killed(i32),
}

/// Looks at a process that [`changed`] returned, and lets it continue if nothing is wrong.
pub(super) fn what_happened(pid: Pid, status: Status) -> Stop {
    if let Some(status) = status.exit_status() {
        return Stop::Exited(status);
    }
    if let Some(signal) = status.terminating_signal() {
        return Stop::Killed(signal);
    }
    tracer::stopped(pid, status).map_or(Stop::Goes, Stop::Fault)
}
