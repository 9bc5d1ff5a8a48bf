//! The domain of files. It has a pair of rings with audit and one with disk, and nothing else.

#![no_std]
#![no_main]

use component::{Links, serve};
use core::future::Future;
use core::pin::Pin;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, patched};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use static_cell::StaticCell;

patched! {
    audit_channel files_to_audit files_to_audit_size audit_to_files audit_to_files_size
    disk_channel files_to_disk files_to_disk_size disk_to_files disk_to_files_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

type Rings = Links<ReadOnlyRegion, ReadWriteRegion>;

static LINKS: StaticCell<Rings> = StaticCell::new();

struct Port {
    audit: Channel,
    disk: Channel,
}

impl component::Port for Port {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }

    fn notify_disk(&mut self) {
        self.disk.notify();
    }
}

struct Served<F> {
    links: &'static Rings,
    service: F,
    port: Port,
}

/// Empty if `system.xml` gives it no rings.
struct Domain<F>(Option<Served<F>>);

#[protection_domain]
fn init() -> Domain<impl Future<Output = Infallible>> {
    Domain(links().ok().map(|links| {
        let links: &'static Rings = LINKS.init(links);
        Served {
            links,
            service: serve(links),
            port: Port {
                audit: Channel::new(audit_channel()),
                disk: Channel::new(disk_channel()),
            },
        }
    }))
}

fn links() -> Result<Rings, RingError> {
    let audit = ring(
        (audit_to_files(), audit_to_files_size()),
        (files_to_audit(), files_to_audit_size()),
    )?;
    let disk = ring(
        (disk_to_files(), disk_to_files_size()),
        (files_to_disk(), files_to_disk_size()),
    )?;
    Ok(Links::new(audit, disk))
}

fn ring(
    theirs: (usize, usize),
    ours: (usize, usize),
) -> Result<Endpoint<ReadOnlyRegion, ReadWriteRegion>, RingError> {
    let region = |(address, bytes)| Mapped { address, bytes };
    // SAFETY: `system.xml` maps these to this domain, only for the rings; each is used once.
    unsafe { region::endpoint(region(theirs), region(ours)) }
}

impl<F: Future<Output = Infallible>> Handler for Domain<F> {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        if let Some(served) = &mut self.0 {
            // SAFETY: the runtime runs the handler in place. It moves the handler only before the first notification,
            // when the service has not been polled yet. It never drops it, and nothing else names it.
            let service = unsafe { Pin::new_unchecked(&mut served.service) };
            served.links.poll(service, &mut served.port);
        }
        Ok(())
    }
}
