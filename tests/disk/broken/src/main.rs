//! A failing disk, as a domain of the simulation: `sel4-llm-sim systems/disk/system.xml ... --program
//! disk=broken-disk-sim`. It is the real domain with a device that misbehaves.
//!
//! The image itself says how, in 512 bytes after the disk's last sector: `HOW AFTER`, where AFTER is the number of
//! operations that succeed first.

use disk::{Device, Disk, Operation};
use protocol::limits::SECTOR_BYTES;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use protocol::wire::disk::{Description, DiskError};
use sim::pd::{Component, DiskFile, Environment, Ids, Notifier, SetupError};
use std::process::ExitCode;

/// What is wrong with the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// Nothing.
    Sound,
    /// It reports an error for every operation.
    Error,
    /// It reports an error for every write and flush.
    WriteError,
    /// An operation never ends.
    Stuck,
    /// It reads only a hundred bytes, and reports success.
    Short,
    /// It is read-only, and says so.
    ReadOnly,
}

impl How {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sound" => Self::Sound,
            "error" => Self::Error,
            "write-error" => Self::WriteError,
            "stuck" => Self::Stuck,
            "short" => Self::Short,
            "read-only" => Self::ReadOnly,
            _ => return None,
        })
    }
}

struct Broken {
    file: DiskFile,
    how: How,
    /// Number of operations that succeed.
    left: u32,
    result: Option<Result<(), DiskError>>,
}

impl Broken {
    /// The instructions in the image.
    fn of(file: DiskFile) -> Option<Self> {
        let mut order = [0; SECTOR_BYTES];
        let at = file.bytes().checked_sub(SECTOR_BYTES as u64)?;
        let order = file.read(at, &mut order).then_some(order)?;
        let order = core::str::from_utf8(&order).ok()?.trim_end_matches('\0');
        let (how, after) = order.split_once(' ')?;
        Some(Self {
            file,
            how: How::named(how)?,
            left: after.parse().ok()?,
            result: None,
        })
    }

    fn perform(&self, operation: Operation, buffer: &mut [u8]) -> bool {
        let at = |first: u64| first.saturating_mul(SECTOR_BYTES as u64);
        match operation {
            Operation::Read { first } => self.file.read(at(first), buffer),
            Operation::Write { first } => self.file.write(at(first), buffer),
            Operation::Flush => self.file.sync(),
        }
    }
}

impl Device for Broken {
    fn description(&self) -> Description {
        Description {
            // Without the sector that contains the instructions.
            sectors: (self.file.bytes() / SECTOR_BYTES as u64).saturating_sub(1),
            writable: self.file.is_writable() && self.how != How::ReadOnly,
        }
    }

    fn begin(&mut self, operation: Operation, buffer: &mut [u8]) -> Result<(), DiskError> {
        let goes_well = self.left > 0;
        self.left = self.left.saturating_sub(1);
        let is_read = matches!(operation, Operation::Read { .. });
        self.result = match self.how {
            How::Error if !goes_well => Some(Err(DiskError::Device)),
            How::WriteError if !goes_well && !is_read => Some(Err(DiskError::Device)),
            How::Stuck if !goes_well => None,
            _ => Some(
                self.perform(operation, buffer)
                    .then_some(())
                    .ok_or(DiskError::Device),
            ),
        };
        if self.how == How::Short && !goes_well && is_read {
            buffer[100..].fill(0);
        }
        Ok(())
    }

    fn finish(&mut self, _: Operation, _: &mut [u8]) -> Option<Result<(), DiskError>> {
        self.result.take()
    }
}

struct Port {
    files: Notifier,
}

impl disk::Port for Port {
    fn notify_files(&mut self) {
        self.files.notify();
    }
}

struct Domain {
    disk: Disk<ReadOnlyRegion, ReadWriteRegion, Broken>,
    port: Port,
}

impl Component for Domain {
    fn init(&mut self) {
        self.disk.start(&mut self.port);
    }

    fn notified(&mut self, _: Ids) {
        self.disk.on_signal(&mut self.port);
    }
}

fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let ring = Endpoint::new(
        env.read_only("files_to_disk")?,
        env.read_write("disk_to_files")?,
    );
    let ring = ring.map_err(|error| SetupError::Component(error.to_string()))?;
    let files = env.notifier(env.number("files_channel")?)?;
    let file = env
        .disk(env.number("virtio_channel")?)
        .ok_or_else(|| SetupError::Component("there is no disk that could break".to_owned()))?;
    let broken = Broken::of(file)
        .ok_or_else(|| SetupError::Component("the image does not say how it breaks".to_owned()))?;
    Ok(Box::new(Domain {
        disk: Disk::new(ring, Some(broken)),
        port: Port { files },
    }))
}

fn main() -> ExitCode {
    sim::domain_main(start)
}
