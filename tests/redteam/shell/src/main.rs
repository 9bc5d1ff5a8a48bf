//! The hostile shell on seL4: the honest one, which makes an attack when Ctrl-\ and a letter are typed. It has no
//! additional capabilities or regions.

#![no_std]
#![no_main]

mod attacks;
#[path = "../../inference/src/clock.rs"]
mod clock;
#[path = "../../inference/src/kernel.rs"]
mod kernel;
#[path = "../../inference/src/machine.rs"]
mod machine;
mod scheduling;

use attacks::Receiver;
use component::{HALT_LINE, INPUT_DONE, Memory, Mode, Shell};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use runtime::board;
use runtime::region::{self, Mapped};
use runtime::{Serial as _, facts, patched};
use scheduling::Scheduling;
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};

patched! {
    uart uart_channel audit_channel
    to_audit to_audit_size from_audit from_audit_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

/// The channels that the domain has.
fn own_channels() -> [usize; 1] {
    [audit_channel()]
}

/// Its budget equals its period.
const PERIODS_PER_BUDGET: u64 = 1;

/// The interrupts that the domain has.
fn own_irq() -> Option<usize> {
    Some(uart_channel())
}

/// The regions that the domain has.
fn own_regions() -> [Mapped; 2] {
    [
        (to_audit(), to_audit_size()),
        (from_audit(), from_audit_size()),
    ]
    .map(|(address, bytes)| Mapped { address, bytes })
}

/// Its only channel.
fn audit() -> Channel {
    Channel::new(audit_channel())
}

/// Ctrl-\: the next byte names an attack.
const ATTACK: u8 = 0x1c;
/// Ends the receiver.
const END: u8 = 0x1e;

struct Console {
    driver: board::Console,
    /// Whether the next byte names an attack.
    attacks: bool,
    receiver: Option<Receiver>,
    scheduling: Option<Scheduling>,
}

impl component::Port for Console {
    fn notify_audit(&mut self) {
        audit().notify();
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        // Waits until the UART has taken everything. The honest shell never waits, so this is not an example to follow.
        bytes.iter().for_each(|byte| self.driver.write(*byte));
        bytes.len()
    }

    fn want_room(&mut self, _: bool) {}

    fn read(&mut self) -> Option<u8> {
        loop {
            let byte = self.driver.get()?;
            if let Some(receiver) = &mut self.receiver {
                if byte == END {
                    let report = receiver.report();
                    self.receiver = None;
                    self.tell(&report);
                }
                // One per wake-up, so that inference runs in between.
                return None;
            } else if let Some(scheduling) = &self.scheduling {
                if byte == END || scheduling.is_over() {
                    let report = scheduling.report();
                    self.scheduling = None;
                    self.tell(&report);
                }
            } else if core::mem::take(&mut self.attacks) {
                self.attack(byte);
            } else if byte == ATTACK {
                self.attacks = true;
            } else {
                return Some(byte);
            }
        }
    }

    fn input_done(&mut self) {
        INPUT_DONE.bytes().for_each(|byte| self.driver.write(byte));
    }

    fn halt(&mut self) {
        let line = HALT_LINE.bytes().chain(*b"\r\n");
        line.for_each(|byte| self.driver.write(byte));
    }
}

impl Console {
    fn attack(&mut self, letter: u8) {
        if letter == b'k' {
            self.receiver = Some(Receiver::default());
            // SAFETY: `system.xml` maps the PL011 there, only to this domain.
            unsafe { attacks::disable_fifo(uart()) }
            return self.tell("receives");
        }
        self.scheduling = Scheduling::of(letter);
        if self.scheduling.is_some() {
            return self.tell("begins");
        }
        self.tell("attempts");
        let report = attacks::perform(letter);
        self.tell(&report);
    }

    fn tell(&mut self, text: &str) {
        for part in ["\r\nredteam-shell ", text, " :end\r\n"] {
            part.bytes().for_each(|byte| self.driver.write(byte));
        }
    }
}

/// A static, because it is larger than the stack.
static mut MEMORY: Memory = Memory::new();

struct Domain {
    shell: Shell<'static, ReadOnlyRegion, ReadWriteRegion>,
    console: Console,
    unacknowledged: bool,
}

#[protection_domain]
fn init() -> Domain {
    // SAFETY: `system.xml` maps both to this domain, only for the rings.
    let ring = unsafe {
        let [ours, theirs] = own_regions();
        region::endpoint(theirs, ours).expect("regions of the size of a ring")
    };
    // SAFETY: `system.xml` maps the board's UART there, only to this domain.
    let driver = unsafe { board::console(uart()) };
    let memory = &raw mut MEMORY;
    // SAFETY: this function runs once, and nothing else names the static.
    let memory = unsafe { &mut *memory };
    Domain {
        shell: Shell::new(ring, Mode::Terminal, memory),
        console: Console {
            driver,
            attacks: false,
            receiver: None,
            scheduling: None,
        },
        unacknowledged: false,
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        // Before anything that could make audit run, because audit overwrites the register.
        if let Some(receiver) = &mut self.console.receiver {
            receiver.take();
        }
        if let Some(scheduling) = &mut self.console.scheduling {
            scheduling.wake_up();
        }
        let uart = Channel::new(uart_channel());
        if channels.contains(uart) {
            self.unacknowledged = true;
            self.console.driver.acknowledge();
            self.shell.on_input(&mut self.console);
        }
        if channels.contains(audit()) {
            self.shell.on_signal(&mut self.console);
        }
        if self.unacknowledged && self.shell.wants_input() {
            self.unacknowledged = uart.irq_ack().is_err();
        }
        Ok(())
    }
}
