//! The resources of a system: regions, channels, timers, and the pipes between the supervisor and its domains.

mod error;
mod make;

pub(super) use error::ResourceError;

use super::Arguments;
use super::board::{Device, WATCHDOG_SECONDS};
use super::tracer;
use crate::description::Sharing;
use crate::fault::{Record, Seen};
use crate::pd::{REPORT_BYTES, Role};
use make::{make_region, make_timer, open_disk};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec, timerfd_settime};
use std::path::{Path, PathBuf};
use sysdesc::{Domain, System};

/// Capacity of a pipe in bytes: the signals that can wait in it. More is of no use, because signals coalesce.
const PIPE_BYTES: usize = 4096;
/// How long to wait for a disk that another system still holds: enough for that system's processes to die.
const DISK_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
/// Restart orders that are read at once.
const ORDERS_AT_A_TIME: usize = 16;

fn places(searched: &[PathBuf]) -> String {
    searched
        .iter()
        .map(|path| path.display().to_string())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The program of a domain: the stem of its image.
pub(super) fn program(domain: &Domain) -> &str {
    let stem = Path::new(&domain.program_image).file_stem();
    stem.and_then(|stem| stem.to_str()).unwrap_or_default()
}

/// Memory of a region.
#[derive(Debug)]
pub(super) struct RegionFile {
    /// Opened for reading and writing.
    pub(super) writable: OwnedFd,
    /// The same file opened read-only, so a mapping of it can never become writable.
    pub(super) readable: OwnedFd,
    pub(super) sharing: Sharing,
    /// Size in bytes of the file that fills it, if any.
    pub(super) prefill_bytes: Option<u64>,
}

/// The image of a disk.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: OwnedFd,
    pub(super) bytes: u64,
    pub(super) writable: bool,
}

/// A one-way pipe.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
}

impl Pipe {
    fn new() -> Result<Self, Errno> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        fcntl_setpipe_size(&write, PIPE_BYTES)?;
        Ok(Self { read, write })
    }
}

/// Pipes between a parent and the supervisor.
#[derive(Debug)]
pub(super) struct ParentPipes {
    /// From the parent: the child to restart.
    pub(super) orders: Pipe,
    /// To the parent: an order has been carried out.
    pub(super) done: Pipe,
    /// To the parent: which child died, and of what.
    pub(super) faults: Pipe,
}

/// All resources. They live as long as the system, and outlive the processes of the domains.
#[derive(Debug)]
pub(super) struct Resources {
    /// One per region of the system, in its order; `None` for registers of devices.
    regions: Vec<Option<RegionFile>>,
    /// One per channel of the system, in its order: the pipe on which each end may send.
    channels: Vec<[Option<Pipe>; 2]>,
    /// One per domain of the system, in its order; `None` for those without children.
    parents: Vec<Option<ParentPipes>>,
    /// One per domain of the system, in its order: fault reports of those that are not traced.
    reports: Vec<Pipe>,
    watchdog: OwnedFd,
    timer: OwnedFd,
    disk: Option<Disk>,
    /// The console's output, if it is not standard output itself.
    output: Option<OwnedFd>,
}

impl Resources {
    /// Makes all resources, or says what does not fit together.
    pub(super) fn make(
        system: &System,
        arguments: &Arguments,
        roles: &[Role],
        programs: &[Option<PathBuf>],
    ) -> Result<Self, ResourceError> {
        let search = &arguments.search_path;
        for (domain, own) in system.domains.iter().zip(programs) {
            if own.is_none() {
                check_program(domain, roles)?;
            }
            check_domain(system, domain)?;
        }
        let irqs = system.domains.iter().flat_map(|domain| &domain.irqs);
        let has_driver = irqs
            .into_iter()
            .any(|irq| Device::of_irq(irq.number) == Some(Device::Disk));
        if let Some(path) = arguments.disk.clone().filter(|_| !has_driver) {
            let system = arguments.system.clone();
            return Err(ResourceError::NoDriver { path, system });
        }
        let regions = (0..system.regions.len())
            .map(|index| make_region(system, index, search))
            .collect::<Result<_, _>>()?;
        let pipe_if = |wanted: bool| wanted.then(Pipe::new).transpose();
        let channel = |channel: &sysdesc::Channel| {
            Ok([
                pipe_if(channel.ends[0].notify)?,
                pipe_if(channel.ends[1].notify)?,
            ])
        };
        let parent = |index| {
            let has_children = system
                .domains
                .iter()
                .any(|domain| domain.parent.as_ref().is_some_and(|p| p.domain == index));
            let pipes = || {
                Ok(ParentPipes {
                    orders: Pipe::new()?,
                    done: Pipe::new()?,
                    faults: Pipe::new()?,
                })
            };
            has_children.then(pipes).transpose()
        };
        let resources = Self {
            regions,
            channels: system
                .channels
                .iter()
                .map(channel)
                .collect::<Result<_, Errno>>()?,
            parents: (0..system.domains.len())
                .map(parent)
                .collect::<Result<_, Errno>>()?,
            reports: system
                .domains
                .iter()
                .map(|_| Pipe::new())
                .collect::<Result<_, _>>()?,
            watchdog: make_timer()?,
            timer: make_timer()?,
            disk: arguments.disk.as_deref().map(open_disk).transpose()?,
            output: super::terminal::own_output(),
        };
        let second = Timespec {
            tv_sec: WATCHDOG_SECONDS,
            tv_nsec: 0,
        };
        let periodic = Itimerspec {
            it_interval: second,
            it_value: second,
        };
        timerfd_settime(&resources.watchdog, TimerfdTimerFlags::empty(), &periodic)?;
        Ok(resources)
    }

    pub(super) fn region(&self, index: usize) -> Option<&RegionFile> {
        self.regions.get(index).and_then(Option::as_ref)
    }

    pub(super) fn channels(&self) -> &[[Option<Pipe>; 2]] {
        &self.channels
    }

    pub(super) fn children(&self, domain: usize) -> Option<&ParentPipes> {
        self.parents.get(domain).and_then(Option::as_ref)
    }

    pub(super) fn report(&self, domain: usize) -> &Pipe {
        &self.reports[domain]
    }

    pub(super) fn watchdog(&self) -> &OwnedFd {
        &self.watchdog
    }

    pub(super) fn timer(&self) -> &OwnedFd {
        &self.timer
    }

    pub(super) const fn disk(&self) -> Option<&Disk> {
        self.disk.as_ref()
    }

    /// Whether the domain may halt the system.
    pub(super) fn output(&self) -> Option<BorrowedFd<'_>> {
        self.output.as_ref().map(AsFd::as_fd)
    }

    pub(super) fn has_console(&self, system: &System, domain: usize) -> bool {
        let irqs = &system.domains[domain].irqs;
        irqs.iter()
            .any(|irq| Device::of_irq(irq.number) == Some(Device::Uart))
    }

    /// The pipes on which orders arrive.
    pub(super) fn orders(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.parents
            .iter()
            .flatten()
            .map(|pipes| pipes.orders.read.as_fd())
    }

    /// The orders that have arrived: index of the parent, number of its child.
    pub(super) fn take_orders(&self) -> Vec<(usize, u8)> {
        let mut orders = Vec::new();
        for (parent, pipes) in self.parents.iter().enumerate() {
            let Some(pipes) = pipes else { continue };
            let mut bytes = [0; ORDERS_AT_A_TIME];
            let count = rustix::io::read(&pipes.orders.read, &mut bytes).unwrap_or(0);
            orders.extend(bytes[..count].iter().map(|&child| (parent, child)));
        }
        orders
    }

    /// Tells a parent, which is waiting for it, that its order was carried out.
    pub(super) fn acknowledge(&self, parent: usize) {
        if let Some(pipes) = self.children(parent) {
            // The pipe has room, because a parent gives one order at a time.
            let _ = rustix::io::write(&pipes.done.write, &[1]);
        }
    }

    /// Tells a parent which child died. Returns false if its pipe is full.
    pub(super) fn send_fault(&self, parent: usize, record: &Record) -> bool {
        self.children(parent)
            .is_some_and(|pipes| rustix::io::write(&pipes.faults.write, &record.to_bytes()).is_ok())
    }

    /// Drops everything still in the pipes between the supervisor and a process that is gone.
    pub(super) fn forget(&self, domain: usize) {
        let _ = self.take_report(domain);
        if let Some(pipes) = self.children(domain) {
            let mut sink = [0; PIPE_BYTES];
            let _ = rustix::io::read(&pipes.done.read, &mut sink);
        }
    }

    /// The report of a domain that is not traced about its death: the first one, if there are several.
    pub(super) fn take_report(&self, domain: usize) -> Option<Seen> {
        let mut bytes = [0; PIPE_BYTES];
        let count = rustix::io::read(&self.report(domain).read, &mut bytes).unwrap_or(0);
        bytes[..count]
            .first_chunk::<REPORT_BYTES>()
            .map(tracer::reported)
    }
}

/// Whether the simulation has the program of a domain.
fn check_program(domain: &Domain, roles: &[Role]) -> Result<(), ResourceError> {
    let program = program(domain);
    if !roles.iter().any(|role| role.image == program) {
        let known = roles
            .iter()
            .map(|role| role.image)
            .collect::<Vec<_>>()
            .join(", ");
        return Err(ResourceError::Program {
            domain: domain.name.clone(),
            program: program.into(),
            known,
        });
    }
    Ok(())
}

fn check_domain(system: &System, domain: &Domain) -> Result<(), ResourceError> {
    let name = || domain.name.clone();
    for map in &domain.maps {
        if map.perms.write && map.perms.execute {
            let region = system.regions[map.region].name.clone();
            return Err(ResourceError::WritableAndExecutable {
                region,
                domain: name(),
            });
        }
    }
    match domain
        .irqs
        .iter()
        .find(|irq| Device::of_irq(irq.number).is_none())
    {
        Some(irq) => Err(ResourceError::Irq {
            domain: name(),
            irq: irq.number,
        }),
        None => Ok(()),
    }
}
