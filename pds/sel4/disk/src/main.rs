//! The domain of the disk. It has a virtio block device, its interrupt and its DMA memory, and a pair of rings with
//! files.
//!
//! No other domain has a device that can write memory by itself. It gives the device only addresses in the region
//! `dma`, which no other domain maps; data are copied from and to there (`sel4-virtio-hal-impl`).

#![no_std]
#![no_main]

use component::{Disk, Operation};
use core::ptr::NonNull;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use protocol::wire::disk::{Description, DiskError};
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, patched};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use sel4_virtio_hal_impl::HalImpl;
use virtio_drivers::device::blk::{BlkReq, BlkResp, VirtIOBlk};
use virtio_drivers::transport::mmio::{MmioTransport, VirtIOHeader};
use virtio_drivers::transport::{DeviceType, Transport as _};

patched! {
    virtio virtio_channel dma dma_size dma_physical files_channel
    disk_to_files disk_to_files_size files_to_disk files_to_disk_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

/// Bytes of one transport's registers on the board. The page has eight transports, and the device is the first.
const TRANSPORT_BYTES: usize = 0x200;

/// The device, and the memory that it shares with the driver during an operation.
struct Virtio {
    block: VirtIOBlk<HalImpl, MmioTransport<'static>>,
    request: BlkReq,
    response: BlkResp,
    /// Token of the current operation.
    token: Option<u16>,
    /// Result of a flush. The driver waits for a flush as long as the device takes.
    flushed: Option<Result<(), DiskError>>,
}

impl Virtio {
    /// The block device of the first transport; `None` if there is none.
    fn find() -> Option<Self> {
        let header = NonNull::new(virtio() as *mut VirtIOHeader)?;
        // SAFETY: `system.xml` maps the page of transports there, only to this domain, uncached.
        let transport = unsafe { MmioTransport::new(header, TRANSPORT_BYTES) }.ok()?;
        if transport.device_type() != DeviceType::Block {
            return None;
        }
        Some(Self {
            block: VirtIOBlk::new(transport).ok()?,
            request: BlkReq::default(),
            response: BlkResp::default(),
            token: None,
            flushed: None,
        })
    }
}

fn failed<E>(_: E) -> DiskError {
    DiskError::Device
}

impl component::Device for Virtio {
    fn description(&self) -> Description {
        Description {
            sectors: self.block.capacity(),
            writable: !self.block.readonly(),
        }
    }

    fn begin(&mut self, operation: Operation, buffer: &mut [u8]) -> Result<(), DiskError> {
        let Self {
            block,
            request,
            response,
            ..
        } = self;
        let token = match operation {
            Operation::Read { first } => {
                let first = usize::try_from(first).map_err(failed)?;
                // SAFETY: `finish` gets the same request, buffer and response, and nobody touches them until then:
                // `Disk` begins no other operation, and leaves its buffer alone.
                unsafe { block.read_blocks_nb(first, request, buffer, response) }
            }
            Operation::Write { first } => {
                let first = usize::try_from(first).map_err(failed)?;
                // SAFETY: as above.
                unsafe { block.write_blocks_nb(first, request, buffer, response) }
            }
            Operation::Flush => {
                self.flushed = Some(block.flush().map_err(failed));
                return Ok(());
            }
        };
        self.token = Some(token.map_err(failed)?);
        Ok(())
    }

    fn finish(&mut self, operation: Operation, buffer: &mut [u8]) -> Option<Result<(), DiskError>> {
        if operation == Operation::Flush {
            return self.flushed.take();
        }
        let token = self.token?;
        let Self {
            block,
            request,
            response,
            ..
        } = self;
        if block.peek_used() != Some(token) {
            return None;
        }
        self.token = None;
        // SAFETY: the token comes from `begin`, which had the same request, buffer and response.
        let done = unsafe {
            match operation {
                Operation::Read { .. } => {
                    block.complete_read_blocks(token, request, buffer, response)
                }
                Operation::Write { .. } | Operation::Flush => {
                    block.complete_write_blocks(token, request, buffer, response)
                }
            }
        };
        Some(done.map_err(failed))
    }
}

struct Port(Channel);

impl component::Port for Port {
    fn notify_files(&mut self) {
        self.0.notify();
    }
}

struct Served {
    disk: Disk<ReadOnlyRegion, ReadWriteRegion, Virtio>,
    port: Port,
    device: Channel,
}

/// Empty if `system.xml` gives it no ring.
struct Domain(Option<Served>);

// The allocator of the DMA memory is on a heap. It takes 64 KiB at once.
#[protection_domain(heap_size = 0x20000)]
fn init() -> Domain {
    HalImpl::init(dma_size(), dma(), dma_physical());
    let Ok(ring) = ring() else {
        return Domain(None);
    };
    let mut served = Served {
        disk: Disk::new(ring, Virtio::find()),
        port: Port(Channel::new(files_channel())),
        device: Channel::new(virtio_channel()),
    };
    served.acknowledge();
    served.disk.start(&mut served.port);
    Domain(Some(served))
}

fn ring() -> Result<Endpoint<ReadOnlyRegion, ReadWriteRegion>, RingError> {
    let region = |address, bytes| Mapped { address, bytes };
    let theirs = region(files_to_disk(), files_to_disk_size());
    let ours = region(disk_to_files(), disk_to_files_size());
    // SAFETY: `system.xml` maps both to this domain, only for the rings.
    unsafe { region::endpoint(theirs, ours) }
}

impl Served {
    /// Acknowledges before the device is looked at, so an operation that ends meanwhile raises the interrupt again.
    fn acknowledge(&mut self) {
        if let Some(device) = self.disk.device() {
            device.block.ack_interrupt();
        }
        // The kernel refuses this only if there was no interrupt.
        let _ = self.device.irq_ack();
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let Some(served) = &mut self.0 else {
            return Ok(());
        };
        if channels.contains(served.device) {
            served.acknowledge();
        }
        served.disk.on_signal(&mut served.port);
        Ok(())
    }
}
