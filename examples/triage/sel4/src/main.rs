//! The triage component as a protection domain on seL4. It has a pair of rings with audit, the events, and the region
//! for its decisions, but no device.

#![no_std]
#![no_main]

use component::{Memory, Triage};
use core::fmt;
use core::ptr::NonNull;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, patched};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, debug_println, protection_domain};
use static_cell::ConstStaticCell;

patched! {
    to_audit to_audit_size from_audit from_audit_size audit_channel
    events events_size decisions decisions_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

/// Too large for a stack.
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

struct Port {
    audit: Channel,
}

impl component::Port for Port {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }

    fn debug(&mut self, line: fmt::Arguments<'_>) {
        // This prints nothing on a kernel without a debug console.
        debug_println!("triage: {line}");
    }
}

struct Component {
    triage: Triage<'static, ReadOnlyRegion, ReadWriteRegion>,
    port: Port,
}

/// Empty if `system.xml` gives it no ring. Then it does nothing.
struct Domain(Option<Component>);

#[protection_domain]
fn init() -> Domain {
    Domain(start().ok())
}

fn start() -> Result<Component, RingError> {
    let region = |address, bytes| Mapped { address, bytes };
    let theirs = region(from_audit(), from_audit_size());
    let ours = region(to_audit(), to_audit_size());
    // SAFETY: `system.xml` maps both to this domain, only for the rings.
    let ring = unsafe { region::endpoint(theirs, ours)? };
    // SAFETY: `system.xml` maps the events writable in no domain.
    let events = unsafe { region::immutable(region(events(), events_size())) };
    let decisions_at = NonNull::new(decisions() as *mut u64).ok_or(RingError::NoAddress)?;
    // SAFETY: `system.xml` maps the region to this domain, writable, and this is its only use.
    let decisions = unsafe { ReadWriteRegion::new(decisions_at, decisions_size()) };
    Ok(Component {
        triage: Triage::new(ring, events, decisions, MEMORY.take()),
        port: Port {
            audit: Channel::new(audit_channel()),
        },
    })
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        if let Some(Component { triage, port }) = &mut self.0 {
            triage.on_signal(port);
        }
        Ok(())
    }
}
