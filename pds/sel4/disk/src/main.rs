//! The domain of the disk. It has a virtio block device, its interrupt and its DMA memory, and a pair of rings with
//! files.
//!
//! No other domain has a device that can write memory by itself. It gives the device only addresses in the region
//! `dma`, which no other domain maps; data are copied from and to there (`sel4-virtio-hal-impl`).

#![no_std]
#![no_main]

mod block;

use block::Block;
use component::Disk;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, patched};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use sel4_virtio_hal_impl::HalImpl;

patched! {
    virtio virtio_channel dma dma_size dma_physical files_channel
    disk_to_files disk_to_files_size files_to_disk files_to_disk_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

struct Port(Channel);

impl component::Port for Port {
    fn notify_files(&mut self) {
        self.0.notify();
    }
}

struct Served {
    disk: Disk<ReadOnlyRegion, ReadWriteRegion, Block>,
    port: Port,
    device: Channel,
}

/// Empty if `system.xml` gives it no ring.
struct Domain(Option<Served>);

// The allocator for the DMA memory keeps its tables on a heap. It allocates 64 KiB once.
#[protection_domain(heap_size = 0x20000)]
fn init() -> Domain {
    HalImpl::init(dma_size(), dma(), dma_physical());
    let Ok(ring) = ring() else {
        return Domain(None);
    };
    let mut served = Served {
        disk: Disk::new(ring, Block::find(virtio())),
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
            device.acknowledge();
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
