//! The hostile client as a protection domain on seL4. Like any client, it has a pair of rings with audit and one
//! channel.

#![no_std]
#![no_main]

#[path = "../../../inference/src/clock.rs"]
mod clock;
#[path = "../../../inference/src/kernel.rs"]
mod kernel;
#[path = "../../../inference/src/machine.rs"]
mod machine;

use clock::now_us;
use core::fmt::Write as _;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use redteam_attacks::client::{Mallory, Memory};
use redteam_attacks::{Ground, Say, place};
use runtime::region::{self, Mapped};
use runtime::{facts, patched};
use sel4::{MessageInfo, cap};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};
use static_cell::ConstStaticCell;

patched! {
    to_audit to_audit_size from_audit from_audit_size audit_channel
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

/// Duration of the timer storm, in microseconds.
const STORM_US: u64 = 12_000_000;

/// The channels that the domain has.
fn own_channels() -> [usize; 1] {
    [audit_channel()]
}

/// Its period divided by its budget, according to this system's `system.xml`.
const PERIODS_PER_BUDGET: u64 = 25;

/// Estimated cost of a signal and of a message in the domain's budget, in microseconds: on `qemu_virt_aarch64`, 12 s
/// were enough for 9,703 signals, or for 17,408 messages and as many answers. Without these, attacks would last for
/// minutes on a board where the domain has no clock.
const SIGNAL_US: u64 = 40;
const MESSAGE_US: u64 = 15;

/// The interrupts that the domain has.
fn own_irq() -> Option<usize> {
    None
}

/// The regions that the domain has.
fn own_regions() -> [Mapped; 2] {
    [
        (to_audit(), to_audit_size()),
        (from_audit(), from_audit_size()),
    ]
    .map(|(address, bytes)| Mapped { address, bytes })
}

struct Sel4;

static CONSTANT: [u64; 4] = [1, 2, 3, 4];

impl Ground for Sel4 {
    fn notify_audit(&mut self) {
        Channel::new(audit_channel()).notify();
        clock::spent(SIGNAL_US);
    }

    fn message_passed(&mut self) {
        clock::spent(MESSAGE_US);
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
        match name {
            "forge-faults" => {
                // A memory fault, an unknown fault, and a message with label 0, which passive domains send.
                for (label, length) in [(6, 4), (0x7_7777, 120), (0, 0)] {
                    cap::Endpoint::from_bits(2).nb_send(MessageInfo::new(label, 0, 0, length));
                }
                let _ = write!(say, "sent=3");
            }
            "storm-timer" => {
                let until = now_us() + STORM_US;
                let mut fired = 0_u64;
                while now_us() < until {
                    machine::write_timer(0, 1);
                    fired += 1;
                }
                let _ = write!(say, "stormed {fired} times");
            }
            _ => return kernel::perform(name, say),
        }
        true
    }
}

/// A static, because it is larger than the stack.
static MEMORY: ConstStaticCell<Memory> = ConstStaticCell::new(Memory::new());

/// `None` if the description gives the domain no ring.
struct Domain(Option<Mallory<'static, ReadOnlyRegion, ReadWriteRegion, Sel4>>);

#[protection_domain]
fn init() -> Domain {
    let [ours, theirs] = own_regions();
    // SAFETY: `system.xml` maps both to this domain. The attack is that it also writes its own region directly.
    let ring = unsafe { region::endpoint(theirs, ours) };
    Domain(
        ring.ok()
            .map(|ring| Mallory::new(ring, MEMORY.take(), Sel4)),
    )
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, _: ChannelSet) -> Result<(), Infallible> {
        if let Some(mallory) = &mut self.0 {
            mallory.on_signal();
        }
        Ok(())
    }
}
