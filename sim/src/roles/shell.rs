//! Shell: the domain of the terminal.

use super::endpoint;
use crate::pd::{Component, Console, Environment, Ids, Notifier, SetupError};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use shell::{Memory, Mode, Shell};

struct Port {
    audit: Notifier,
    console: Console,
}

impl shell::Port for Port {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }

    fn write(&mut self, bytes: &[u8]) -> usize {
        self.console.write(bytes)
    }

    fn want_room(&mut self, wanted: bool) {
        self.console.want_room(wanted);
    }

    fn read(&mut self) -> Option<u8> {
        self.console.read()
    }

    fn input_done(&mut self) {
        if self.console.has_ended() {
            self.console.halt()
        }
    }

    /// Ends the whole simulation, because the domain's exit stands for the board's halt line.
    fn halt(&mut self) {
        self.console.halt()
    }
}

struct Domain {
    shell: Shell<'static, ReadOnlyRegion, ReadWriteRegion>,
    port: Port,
}

pub(super) fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let ring = endpoint(env, "from_audit", "to_audit")?;
    let console = env.console(env.number("uart_channel")?)?;
    let mode = match (console.is_terminal(), console.has_sequences()) {
        (true, true) => Mode::Terminal,
        (true, false) => Mode::Dumb,
        (false, _) => Mode::Plain,
    };
    let port = Port {
        audit: env.notifier(env.number("audit_channel")?)?,
        console,
    };
    // Allocated once, for the life of the process.
    let memory = Box::leak(Box::new(Memory::new()));
    Ok(Box::new(Domain {
        shell: Shell::new(ring, mode, memory),
        port,
    }))
}

impl Component for Domain {
    fn notified(&mut self, _: Ids) {
        self.shell.on_signal(&mut self.port);
        // This also reads input that was held back, for which the end of a command may have made room.
        self.shell.on_input(&mut self.port);
    }

    fn accepts_input(&self) -> bool {
        self.shell.wants_input() && self.port.console.accepts_input()
    }

    fn wants_room(&self) -> bool {
        self.port.console.wants_room()
    }
}
