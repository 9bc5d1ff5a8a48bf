//! The shell's domain: the UART and its interrupt, a pair of rings with audit.

#![no_std]
#![no_main]

use component::{HALT_LINE, Memory, Mode, Shell};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use runtime::device::Device;
use runtime::pl011::Uart;
use runtime::{patched, region};
use sel4_microkit::{Channel, ChannelSet, Handler, Infallible, protection_domain};

patched! { uart shell_to_audit audit_to_shell }

const AUDIT: Channel = Channel::new(0);
const UART: Channel = Channel::new(1);

struct Console(Uart<Device>);

impl component::Port for Console {
    fn notify_audit(&mut self) {
        AUDIT.notify();
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0.write(*byte);
        }
    }

    fn read(&mut self) -> Option<u8> {
        self.0.read()
    }

    fn halt(&mut self) {
        self.write(HALT_LINE.as_bytes());
        self.write(b"\r\n");
    }
}

/// Larger than the stack.
static mut MEMORY: Memory = Memory::new();

struct Domain {
    shell: Shell<'static, ReadOnlyRegion, ReadWriteRegion>,
    console: Console,
    /// The interrupt waits for room in the type-ahead: acknowledged before, it would come again at
    /// once.
    unacknowledged: bool,
}

#[protection_domain]
fn init() -> Domain {
    // SAFETY: `system.xml` maps both to this domain, for the rings alone.
    let ring = unsafe { region::endpoint(audit_to_shell(), shell_to_audit()) };
    // SAFETY: `system.xml` maps the PL011 there, to this domain alone.
    let uart = unsafe { Device::new(uart()) };
    let memory = &raw mut MEMORY;
    // SAFETY: this function runs once, and nothing else names the static.
    let memory = unsafe { &mut *memory };
    Domain {
        shell: Shell::new(ring, Mode::Terminal, memory),
        console: Console(Uart::start(uart)),
        unacknowledged: false,
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if channels.contains(UART) {
            self.unacknowledged = true;
            // Before the reading: a byte that comes meanwhile raises it again.
            self.console.0.acknowledge();
            self.shell.on_input(&mut self.console);
        }
        if channels.contains(AUDIT) {
            self.shell.on_signal(&mut self.console);
        }
        if self.unacknowledged && self.shell.wants_input() {
            self.unacknowledged = false;
            let _ = UART.irq_ack();
        }
        Ok(())
    }
}
