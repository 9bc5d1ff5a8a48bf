//! The hostile files domain on seL4. Like the honest one, it has a pair of rings with audit and one with disk.

#![no_std]
#![no_main]

#[path = "../../../inference/src/kernel.rs"]
mod kernel;
#[path = "../../../inference/src/machine.rs"]
mod machine;

use component::{Links, serve};
use core::future::Future;
use core::pin::Pin;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use redteam_attacks::files::behind::between;
use redteam_attacks::files::{Gremlin, Honest, MODELS, Memory, Ring};
use redteam_attacks::{Ground, Say, place};
use runtime::counter::now_us;
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, patched};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use static_cell::{ConstStaticCell, StaticCell};

patched! {
    audit_channel files_to_audit files_to_audit_size audit_to_files audit_to_files_size
    disk_channel files_to_disk files_to_disk_size disk_to_files disk_to_files_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

/// The interrupts that the domain has.
fn own_irq() -> Option<usize> {
    None
}

/// The channels that the domain has.
fn own_channels() -> [usize; 2] {
    [audit_channel(), disk_channel()]
}

/// The regions that the domain has.
fn own_regions() -> [Mapped; 4] {
    [
        (files_to_audit(), files_to_audit_size()),
        (audit_to_files(), audit_to_files_size()),
        (files_to_disk(), files_to_disk_size()),
        (disk_to_files(), disk_to_files_size()),
    ]
    .map(|(address, bytes)| Mapped { address, bytes })
}

struct Sel4;

static CONSTANT: [u64; 4] = [1, 2, 3, 4];

impl Ground for Sel4 {
    fn notify_audit(&mut self) {
        Channel::new(audit_channel()).notify();
    }

    fn now_us(&mut self) -> u64 {
        now_us()
    }

    fn own_text(&self) -> usize {
        place::TEXT
    }

    fn own_constants(&self) -> usize {
        CONSTANT.as_ptr() as usize
    }

    fn perform(&mut self, name: &str, say: &mut Say) -> bool {
        kernel::perform(name, say)
    }
}

/// The honest files domain behind it.
struct Behind<F> {
    links: &'static Links<ReadOnlyRegion, ReadWriteRegion>,
    service: F,
}

struct Port;

impl component::Port for Port {
    fn notify_audit(&mut self) {
        // The hostile domain polls this one, so it needs no notification.
    }

    fn notify_disk(&mut self) {
        Channel::new(disk_channel()).notify();
    }
}

impl<F: Future<Output = Infallible>> Honest for Behind<F> {
    fn poll(&mut self) {
        // SAFETY: the runtime runs the handler in place. It moves the handler only before the first notification, when
        // the service has not been polled yet. It never drops it, and nothing else names it.
        let service = unsafe { Pin::new_unchecked(&mut self.service) };
        self.links.poll(service, &mut Port);
    }
}

/// A static, because it is larger than the stack.
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());
static LINKS: StaticCell<Links<ReadOnlyRegion, ReadWriteRegion>> = StaticCell::new();

/// `None` if the description gives the domain no rings.
struct Domain<F>(Option<Gremlin<'static, Sel4, Behind<F>>>);

#[protection_domain]
fn init() -> Domain<impl Future<Output = Infallible>> {
    Domain(rings().map(|(audit, disk, asks, answers)| {
        let links: &'static Links<_, _> = LINKS.init(Links::new(answers, disk));
        let behind = Behind {
            links,
            service: serve(links),
        };
        Gremlin::new(audit, MEMORY.take(), Sel4, (behind, asks), MODELS)
    }))
}

/// The rings with audit and with disk, and the two ends of the one in between.
fn rings() -> Option<(Ring, Ring, Ring, Ring)> {
    let [to_audit, from_audit, to_disk, from_disk] = own_regions();
    let audit = ring(from_audit, to_audit).ok()?;
    let disk = ring(from_disk, to_disk).ok()?;
    let (asks, answers) = between()?;
    Some((audit, disk, asks, answers))
}

fn ring(theirs: Mapped, ours: Mapped) -> Result<Ring, RingError> {
    // SAFETY: the description maps these to this domain, only for the rings. The attack is that it also writes its own
    // regions directly.
    unsafe { region::endpoint(theirs, ours) }
}

impl<F: Future<Output = Infallible>> Handler for Domain<F> {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        if let Some(gremlin) = &mut self.0 {
            gremlin.on_signal();
        }
        Ok(())
    }
}
