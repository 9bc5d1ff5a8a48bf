//! Disk: sectors of the file that stands in for the device.

use super::endpoint;
use crate::pd::{Component, DiskFile, Environment, Ids, Notifier, SetupError};
use disk::{Device, Disk, Operation};
use protocol::limits::SECTOR_BYTES;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::wire::disk::{Description, DiskError};

struct Port {
    files: Notifier,
}

impl disk::Port for Port {
    fn notify_files(&mut self) {
        self.files.notify();
    }
}

/// The file. It completes each operation at once.
struct Image {
    file: DiskFile,
    result: Option<Result<(), DiskError>>,
}

impl Device for Image {
    fn description(&self) -> Description {
        Description {
            // An incomplete last sector does not count.
            sectors: self.file.bytes() / SECTOR_BYTES as u64,
            writable: self.file.is_writable(),
        }
    }

    fn begin(&mut self, operation: Operation, buffer: &mut [u8]) -> Result<(), DiskError> {
        // `Disk` has checked the sectors against the size.
        let at = |first: u64| first.saturating_mul(SECTOR_BYTES as u64);
        let done = match operation {
            Operation::Read { first } => self.file.read(at(first), buffer),
            Operation::Write { first } => self.file.write(at(first), buffer),
            Operation::Flush => self.file.sync(),
        };
        self.result = Some(done.then_some(()).ok_or(DiskError::Device));
        Ok(())
    }

    fn finish(&mut self, _: Operation, _: &mut [u8]) -> Option<Result<(), DiskError>> {
        self.result.take()
    }
}

struct Domain {
    disk: Disk<ReadOnlyRegion, ReadWriteRegion, Image>,
    port: Port,
}

pub(super) fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let ring = endpoint(env, "files_to_disk", "disk_to_files")?;
    let files = env.notifier(env.number("files_channel")?)?;
    let file = env.disk(env.number("virtio_channel")?);
    let image = file.map(|file| Image { file, result: None });
    Ok(Box::new(Domain {
        disk: Disk::new(ring, image),
        port: Port { files },
    }))
}

impl Component for Domain {
    fn init(&mut self) {
        self.disk.start(&mut self.port);
    }

    fn notified(&mut self, _: Ids) {
        self.disk.on_signal(&mut self.port);
    }
}
