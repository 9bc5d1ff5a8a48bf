//! A client that requests everything it can get and reads none of it, for `make bench-qemu`, which measures what that
//! costs another client. It reads until audit is ready, because nothing is admitted before, and never again.
//!
//! The first byte of its region `orders` says what to do: `1` to send requests, anything else to be silent.

#![no_std]
#![no_main]

use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use runtime::region::{self, Mapped, RingError};
use runtime::{facts, patched};
use sel4_llm_client::{Client, Inbox, Incoming, Infer, Memory, Notice};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use static_cell::ConstStaticCell;

patched! {
    to_audit to_audit_size from_audit from_audit_size audit_channel orders
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

/// Size of the region with its orders, in bytes.
const ORDERS_BYTES: usize = 0x1000;
/// Number of requests for text. One is sent at each signal, so that inference has read the previous one and the limit
/// of commands is not reached.
const REQUESTS: u32 = 9;
/// Then it sends this many requests for repeated counters, which arrive every second while there is room.
const WATCHES: u32 = 3;

/// A static, because it is too large for the stack.
static MEMORY: ConstStaticCell<(Memory, Inbox)> =
    ConstStaticCell::new((Memory::new(), Inbox::new()));

struct Mute {
    client: Client<'static, ReadOnlyRegion, ReadWriteRegion>,
    inbox: &'static mut Inbox,
    audit: Channel,
    asks: bool,
    is_ready: bool,
    sent: u32,
}

/// Empty if the description gives it no ring; then it does nothing.
struct Domain(Option<Mute>);

#[protection_domain]
fn init() -> Domain {
    Domain(start().ok())
}

fn start() -> Result<Mute, RingError> {
    let region = |address, bytes| Mapped { address, bytes };
    let theirs = region(from_audit(), from_audit_size());
    let ours = region(to_audit(), to_audit_size());
    // SAFETY: the description maps both to this domain, only for the rings.
    let ring = unsafe { region::endpoint(theirs, ours)? };
    // SAFETY: the description maps the orders writable in no domain.
    let orders = unsafe { region::immutable(region(orders(), ORDERS_BYTES)) };
    let (memory, inbox) = MEMORY.take();
    Ok(Mute {
        client: Client::new(ring, memory),
        inbox,
        audit: Channel::new(audit_channel()),
        asks: orders.first() == Some(&b'1'),
        is_ready: false,
        sent: 0,
    })
}

impl Mute {
    fn on_signal(&mut self) {
        while !self.is_ready {
            match self.client.poll(self.inbox) {
                Some(Incoming::Notice(Notice::Ready(_))) => self.is_ready = true,
                Some(_) => {}
                None => break,
            }
        }
        if self.is_ready && self.asks {
            self.ask();
        }
        if self.client.take_owed_signal() {
            self.audit.notify();
        }
    }

    /// A request that finds no room is sent again at the next signal.
    fn ask(&mut self) {
        if self.sent < REQUESTS {
            let long = Infer::new("Once upon a time").max_tokens(512);
            self.sent += u32::from(self.client.infer(&long).is_ok());
            return;
        }
        while self.sent < REQUESTS + WATCHES && self.client.watch_stats().is_ok() {
            self.sent += 1;
        }
        // Asks until the ring is full, because audit reads no request that it could not answer.
        while self.client.who_am_i().is_ok() {}
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        if let Some(mute) = &mut self.0 {
            mute.on_signal();
        }
        Ok(())
    }
}
