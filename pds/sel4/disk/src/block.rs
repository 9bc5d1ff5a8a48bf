//! A driver for a virtio block device that never waits for it: an operation is begun, then polled until it ends.
//!
//! Queue, transport and DMA memory come from `virtio-drivers`. That crate's own block driver could do the same for
//! reads and writes, but for a flush it spins on the queue until the device has finished. A device that never finishes
//! would then keep `disk` running for ever, and all domains of lower priority would starve.
//!
//! Source: Virtual I/O Device (VIRTIO) Version 1.2, section 5.2.

use component::Operation;
use core::ptr::NonNull;
use protocol::wire::disk::{Description, DiskError};
use sel4_virtio_hal_impl::HalImpl;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport as _};

/// Size of one transport's registers on the board, in bytes. The page has eight transports; the device is on the first.
const TRANSPORT_BYTES: usize = 0x200;

/// The device's one queue.
const QUEUE: u16 = 0;

/// Descriptors of the queue: at least the three that the one operation under way needs.
const DESCRIPTORS: usize = 4;

bitflags::bitflags! {
    /// The features that the driver can use (5.2.3 and 6).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    struct Features: u64 {
        const READ_ONLY = 1 << 5;
        const FLUSH = 1 << 9;
        const VERSION_1 = 1 << 32;
    }
}

/// Types of a request (5.2.6).
const READ: u32 = 0;
const WRITE: u32 = 1;
const FLUSH: u32 = 4;

/// The statuses with which a request can end.
const OK: u8 = 0;
const IO_ERROR: u8 = 1;

/// The operation under way.
#[derive(Clone, Copy, Debug)]
enum Current {
    /// A read or write, with its token of the queue.
    Queued(u16),
    /// A flush, for a device without a write cache.
    NothingToDo,
}

/// The device, with the request header and status byte that it accesses during an operation.
pub struct Block {
    transport: MmioTransport<'static>,
    queue: VirtQueue<HalImpl, DESCRIPTORS>,
    features: Features,
    sectors: u64,
    /// A request's type and first sector.
    request: [u8; 16],
    status: [u8; 1],
    current: Option<Current>,
}

impl Block {
    /// The block device of the first transport; `None` if there is none.
    pub fn find(registers: usize) -> Option<Self> {
        let header = NonNull::new(registers as *mut VirtIOHeader)?;
        // SAFETY: `system.xml` maps the page of transports there, uncached and only to this domain.
        let mut transport = unsafe { MmioTransport::new(header, TRANSPORT_BYTES) }.ok()?;
        if transport.device_type() != DeviceType::Block {
            return None;
        }
        let features = transport.begin_init(Features::all());
        let sectors = transport.read_consistent(|| {
            let low: u32 = transport.read_config_space(0)?;
            let high: u32 = transport.read_config_space(4)?;
            Ok(u64::from(high) << 32 | u64::from(low))
        });
        let queue = VirtQueue::new(&mut transport, QUEUE, false, false);
        let (sectors, queue) = (sectors.ok()?, queue.ok()?);
        transport.finish_init();
        Some(Self {
            transport,
            queue,
            features,
            sectors,
            request: [0; 16],
            status: [IO_ERROR],
            current: None,
        })
    }

    /// Acknowledges the device's interrupt.
    pub fn acknowledge(&mut self) {
        self.transport.ack_interrupt();
    }
}

impl component::Device for Block {
    fn description(&self) -> Description {
        Description {
            sectors: self.sectors,
            writable: !self.features.contains(Features::READ_ONLY),
        }
    }

    fn begin(&mut self, operation: Operation, buffer: &mut [u8]) -> Result<(), DiskError> {
        let (kind, sector) = match operation {
            Operation::Read { first } => (READ, first),
            Operation::Write { first } => (WRITE, first),
            Operation::Flush if !self.features.contains(Features::FLUSH) => {
                self.current = Some(Current::NothingToDo);
                return Ok(());
            }
            Operation::Flush => (FLUSH, 0),
        };
        self.request = [0; 16];
        self.request[..4].copy_from_slice(&kind.to_le_bytes());
        self.request[8..].copy_from_slice(&sector.to_le_bytes());
        self.status = [IO_ERROR];
        let (queue, request, status) = (&mut self.queue, &self.request, &mut self.status);
        // SAFETY: `finish` gets the same request, buffer and status, and nobody touches them until then: `Disk` begins
        // no other operation and leaves its buffer alone, and this module changes the other two only between
        // operations.
        let token = unsafe {
            match operation {
                Operation::Read { .. } => queue.add(&[request], &mut [buffer, status]),
                Operation::Write { .. } => queue.add(&[request, buffer], &mut [status]),
                Operation::Flush => queue.add(&[request], &mut [status]),
            }
        };
        self.current = Some(Current::Queued(token.map_err(|_| DiskError::Device)?));
        if self.queue.should_notify() {
            self.transport.notify(QUEUE);
        }
        Ok(())
    }

    fn finish(&mut self, operation: Operation, buffer: &mut [u8]) -> Option<Result<(), DiskError>> {
        let token = match self.current? {
            Current::NothingToDo => {
                self.current = None;
                return Some(Ok(()));
            }
            Current::Queued(token) => token,
        };
        if self.queue.peek_used() != Some(token) {
            return None;
        }
        self.current = None;
        let (queue, request, status) = (&mut self.queue, &self.request, &mut self.status);
        // SAFETY: the token comes from `begin`, which gave the queue the same request, buffer and status.
        let used = unsafe {
            match operation {
                Operation::Read { .. } => queue.pop_used(token, &[request], &mut [buffer, status]),
                Operation::Write { .. } => queue.pop_used(token, &[request, buffer], &mut [status]),
                Operation::Flush => queue.pop_used(token, &[request], &mut [status]),
            }
        };
        Some(match (used, self.status) {
            (Ok(_), [OK]) => Ok(()),
            _ => Err(DiskError::Device),
        })
    }
}
