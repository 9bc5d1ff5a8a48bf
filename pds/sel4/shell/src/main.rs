//! The shell domain: wires the console to its ring and the UART.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use runtime::clock::Clock;
use runtime::uart::Uart;
use runtime::{Channel, ChannelSet, Handler, Infallible};
use shell::{HALT_LINE, Mode, Shell};
use static_cell::StaticCell;
use wiring::{AUDIT, IRQ_33, Regions};

const UART: Channel = IRQ_33;

type Console = Shell<ReadOnlyRegion, ReadWriteRegion>;

struct Port {
    clock: Clock,
    uart: Uart,
}

impl shell::Port for Port {
    fn notify_audit(&mut self) {
        AUDIT.notify();
    }

    fn now_us(&mut self) -> u64 {
        self.clock.now_us()
    }

    fn write(&mut self, bytes: &[u8]) {
        self.uart.write(bytes);
    }

    fn read(&mut self) -> Option<u8> {
        self.uart.read()
    }

    /// No domain has the authority to stop the machine. Whoever runs it ends it at this line.
    fn halt(&mut self) {
        self.uart.write(HALT_LINE.as_bytes());
        self.uart.write(b"\r\n");
    }
}

struct Domain {
    shell: &'static mut Console,
    port: Port,
}

runtime::domain!(start);

fn start(regions: Regions) -> Domain {
    static CONSOLE: StaticCell<Console> = StaticCell::new();
    let ring = Endpoint::new(regions.audit_to_shell, regions.shell_to_audit);
    Domain {
        shell: CONSOLE.init_with(|| {
            let ring = ring.expect("the build script has seen that the regions are large enough");
            Shell::new(ring, Mode::Terminal)
        }),
        port: Port {
            clock: Clock::new(),
            uart: Uart::new(regions.uart),
        },
    }
}

impl Handler for Domain {
    type Error = Infallible;

    fn notified(&mut self, channels: ChannelSet) -> Result<(), Infallible> {
        if channels.contains(UART) {
            self.port.uart.clear_interrupt();
        }
        self.shell.on_signal(&mut self.port);
        // Also without an interrupt: the shell leaves input in the UART while it has no room for it.
        self.shell.on_input(&mut self.port);
        runtime::acknowledge(&channels, &[UART]);
        Ok(())
    }
}
