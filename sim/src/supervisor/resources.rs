//! The resources of a system: regions, channels, timers, and the pipes between the supervisor and its domains.

use super::Arguments;
use super::board::{Device, WATCHDOG_SECONDS};
use super::tracer;
use crate::description::Sharing;
use crate::fault::{Record, Seen};
use crate::pd::{REPORT_BYTES, Role};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use std::fs::File;
use std::path::{Path, PathBuf};
use sysdesc::{Domain, Region, System};

/// Capacity of a pipe in bytes: the signals that can wait in it. More is of no use, because signals coalesce.
const PIPE_BYTES: usize = 4096;
/// How long to wait for a disk that another system still holds: enough for that system's processes to die.
const DISK_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);
/// Restart orders that are read at once.
const ORDERS_AT_A_TIME: usize = 16;

/// Why a system cannot be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum ResourceError {
    #[error("region {region}: no file '{file}' in {}; make it, or give its folder with --search-path", places(.searched))]
    NoPrefill {
        region: String,
        file: String,
        searched: Vec<PathBuf>,
    },
    #[error("region {region}: {path} has {bytes} bytes, the region {size}")]
    PrefillTooLarge {
        region: String,
        path: PathBuf,
        bytes: u64,
        size: u64,
    },
    #[error("region {region}: {path} is empty")]
    PrefillEmpty { region: String, path: PathBuf },
    #[error("region {region}: {path}: {cause}")]
    Prefill {
        region: String,
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("region {region}: {cause}")]
    Region {
        region: String,
        cause: std::io::Error,
    },
    #[error("region {region} would be writable and executable in {domain}")]
    WritableAndExecutable { region: String, domain: String },
    #[error("region {region} has the registers of a device and a prefill")]
    PrefilledDevice { region: String },
    #[error("the disk {path}: {cause}")]
    Disk {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("the disk {path} is in use by another system")]
    DiskInUse { path: PathBuf },
    #[error("--disk {path}: no domain in {} drives a disk", .system.display())]
    NoDriver { path: PathBuf, system: PathBuf },
    #[error("{domain} has interrupt {irq}, which no device of the simulation has")]
    Irq { domain: String, irq: u64 },
    #[error(
        "{domain} runs '{program}', the simulation has: {known}; name another program with --program {domain}=FILE"
    )]
    Program {
        domain: String,
        program: String,
        known: String,
    },
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl From<Errno> for ResourceError {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}

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
    /// One per channel of the system, in its order: the pipes that each end may send on.
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

fn make_region(
    system: &System,
    index: usize,
    search: &[PathBuf],
) -> Result<Option<RegionFile>, ResourceError> {
    let region = &system.regions[index];
    if region.phys_addr.is_some() {
        return match region.prefill_path {
            None => Ok(None),
            Some(_) => Err(ResourceError::PrefilledDevice {
                region: region.name.clone(),
            }),
        };
    }
    let sharing = if !system.maps_of(index).any(|(_, map)| map.perms.write) {
        Sharing::Constant
    } else if system.maps_of(index).count() == 1 {
        Sharing::Private
    } else {
        Sharing::Shared
    };
    let failed = |cause: std::io::Error| ResourceError::Region {
        region: region.name.clone(),
        cause,
    };
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let memory = memfd_create(region.name.as_str(), flags).map_err(|e| failed(e.into()))?;
    ftruncate(&memory, region.size).map_err(|e| failed(e.into()))?;
    let (memory, prefill_bytes) = match &region.prefill_path {
        None => (memory, None),
        Some(file) => {
            let (memory, bytes) = fill(region, memory, file, search)?;
            (memory, Some(bytes))
        }
    };
    let mut seals = SealFlags::SHRINK | SealFlags::GROW;
    if sharing == Sharing::Constant {
        seals |= SealFlags::WRITE;
    }
    fcntl_add_seals(&memory, seals | SealFlags::SEAL).map_err(|e| failed(e.into()))?;
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let readable = rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    let readable = readable.map_err(|e| failed(e.into()))?;
    Ok(Some(RegionFile {
        writable: memory,
        readable,
        sharing,
        prefill_bytes,
    }))
}

/// Copies the file into the region's memory. Returns the memory with the size of the file.
fn fill(
    region: &Region,
    memory: OwnedFd,
    file: &str,
    search: &[PathBuf],
) -> Result<(OwnedFd, u64), ResourceError> {
    let name = || region.name.clone();
    let path = search
        .iter()
        .map(|folder| folder.join(file))
        .find(|path| path.is_file());
    let path = path.ok_or_else(|| ResourceError::NoPrefill {
        region: name(),
        file: file.to_owned(),
        searched: search.to_vec(),
    })?;
    let failed = |cause| ResourceError::Prefill {
        region: name(),
        path: path.clone(),
        cause,
    };
    let mut source = File::open(&path).map_err(failed)?;
    let (bytes, size) = (source.metadata().map_err(failed)?.len(), region.size);
    if bytes > size {
        return Err(ResourceError::PrefillTooLarge {
            region: name(),
            path,
            bytes,
            size,
        });
    }
    if bytes == 0 {
        return Err(ResourceError::PrefillEmpty {
            region: name(),
            path,
        });
    }
    let mut memory = File::from(memory);
    // If the file has grown since it was measured, the rest is not copied.
    std::io::copy(&mut std::io::Read::take(&mut source, bytes), &mut memory).map_err(failed)?;
    Ok((memory.into(), bytes))
}

/// Opens the image of a disk, writable if possible, and locks it against other systems.
fn open_disk(path: &Path) -> Result<Disk, ResourceError> {
    let failed = |cause| ResourceError::Disk {
        path: path.to_owned(),
        cause,
    };
    let both = File::options().read(true).write(true).open(path);
    let (file, writable) = match both {
        Ok(file) => (file, true),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            (File::open(path).map_err(failed)?, false)
        }
        Err(error) => return Err(failed(error)),
    };
    let begun = std::time::Instant::now();
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => break,
            // The domains of a system that was killed a moment ago may still be dying.
            Err(Errno::WOULDBLOCK) if begun.elapsed() < DISK_PATIENCE => {
                std::thread::sleep(DISK_PATIENCE / 50);
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(ResourceError::DiskInUse {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
    }
    let bytes = file.metadata().map_err(failed)?.len();
    Ok(Disk {
        file: file.into(),
        bytes,
        writable,
    })
}

fn make_timer() -> Result<OwnedFd, Errno> {
    let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
    timerfd_create(TimerfdClockId::Monotonic, flags)
}
