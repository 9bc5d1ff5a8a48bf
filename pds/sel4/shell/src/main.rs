//! The domain of the shell. It has the UART and its interrupt, and a pair of rings with audit.

#![no_std]
#![no_main]

use component::{HALT_LINE, INPUT_DONE, Memory, Mode, Shell};
use core::fmt;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use runtime::board;
use runtime::region::{self, Mapped, RingError};
use runtime::{Serial, facts, patched};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};

patched! {
    uart uart_channel audit_channel
    to_audit to_audit_size from_audit from_audit_size
}

facts! {
    "ring_bytes" = protocol::ring::REGION_BYTES;
    "protocol_version" = protocol::VERSION;
}

struct Console {
    uart: board::Console,
    audit: Channel,
}

impl component::Port for Console {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.uart.put(bytes)
    }

    fn want_room(&mut self, wanted: bool) {
        self.uart.interrupt_on_room(wanted);
    }

    fn read(&mut self) -> Option<u8> {
        self.uart.get()
    }

    fn done_mark(&self) -> &'static str {
        INPUT_DONE
    }

    /// The answer to the end of the input has been written for the listener, so nothing is left to do.
    fn input_done(&mut self) {}

    fn last_line(&self) -> &'static str {
        HALT_LINE
    }

    /// The shell's last line tells the listener, so nothing is left to do.
    fn halt(&mut self) {}
}

/// Larger than the stack.
static mut MEMORY: Memory = Memory::new();

/// The shell while it serves.
struct Terminal {
    shell: Shell<'static, ReadOnlyRegion, ReadWriteRegion>,
    console: Console,
    uart: Channel,
    /// The kernel has not accepted the acknowledgement of the interrupt yet.
    unacknowledged: bool,
}

/// Empty if `system.xml` gives the shell no ring. Then it has said so, and does nothing.
struct Domain(Option<Terminal>);

#[protection_domain]
fn init() -> Domain {
    let mut console = Console {
        // SAFETY: `system.xml` maps the board's UART there, only to this domain.
        uart: unsafe { board::console(uart()) },
        audit: Channel::new(audit_channel()),
    };
    match ring() {
        Ok(ring) => {
            let memory = &raw mut MEMORY;
            // SAFETY: this function runs once, and nothing else names the static.
            let memory = unsafe { &mut *memory };
            Domain(Some(Terminal {
                shell: Shell::new(ring, Mode::Terminal, memory),
                console,
                uart: Channel::new(uart_channel()),
                unacknowledged: false,
            }))
        }
        Err(error) => {
            // Writing to the console never fails.
            let _ =
                fmt::Write::write_fmt(&mut Text(&mut console), format_args!("shell: {error}\r\n"));
            Domain(None)
        }
    }
}

fn ring() -> Result<Endpoint<ReadOnlyRegion, ReadWriteRegion>, RingError> {
    let region = |address, bytes| Mapped { address, bytes };
    let theirs = region(from_audit(), from_audit_size());
    let ours = region(to_audit(), to_audit_size());
    // SAFETY: `system.xml` maps both to this domain, only for the rings.
    unsafe { region::endpoint(theirs, ours) }
}

/// The console, for messages before there is a shell.
struct Text<'c>(&'c mut Console);

impl fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Nothing else runs here that would have to wait.
        text.bytes().for_each(|byte| self.0.uart.write(byte));
        Ok(())
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        let Some(terminal) = &mut self.0 else {
            return Ok(());
        };
        let Terminal { shell, console, .. } = terminal;
        if channels.contains(terminal.uart) {
            terminal.unacknowledged = true;
            // Acknowledge before reading, so a byte that arrives meanwhile raises the interrupt again.
            console.uart.acknowledge();
            shell.on_room(console);
        } else if channels.contains(console.audit) {
            shell.on_signal(console);
        }
        // If the type-ahead is full, bytes stay in the UART, and its interrupt would come again and again for them.
        console.uart.interrupt_on_input(shell.wants_input());
        if terminal.unacknowledged {
            terminal.unacknowledged = terminal.uart.irq_ack().is_err();
        }
        Ok(())
    }
}
