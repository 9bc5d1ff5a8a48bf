//! A client for the soak (`tests/src/bin/soak.rs`), as a domain of the simulation.

mod noise;
mod soak;

use noise::Noisy;
use sel4_llm_client::region::{ReadOnlyRegion, ReadWriteRegion};
use sel4_llm_client::{Client, Memory};
use sim::pd::{Component, DebugOutput, Environment, Ids, Notifier, SetupError};
use soak::Soak;
use std::fmt::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

struct Port {
    audit: Notifier,
    debug: DebugOutput,
}

impl soak::Port for Port {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }

    fn say(&mut self, line: fmt::Arguments<'_>) {
        // This cannot fail.
        let _ = writeln!(self.debug, "{line}");
    }

    /// Polls nothing, with a timeout. A locked-down domain has no other system call with which to sleep.
    fn sleep(&mut self, time: Duration) {
        // The times are short, so the conversion succeeds.
        if let Ok(time) = time.try_into() {
            let _ = rustix::event::poll(&mut [], Some(&time));
        }
    }
}

struct Domain {
    soak: Soak<ReadOnlyRegion, ReadWriteRegion>,
    port: Port,
}

impl Component for Domain {
    fn notified(&mut self, _: Ids) {
        self.soak.on_signal(&mut self.port);
    }
}

fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let (ours, noise) = Noisy::new(env.read_write("to_audit")?);
    // Allocated once, for the life of the process.
    let memory = Box::leak(Box::new(Memory::new()));
    let client = Client::over(env.read_only("from_audit")?, ours, memory)
        .map_err(|error| SetupError::Component(error.to_string()))?;
    let port = Port {
        audit: env.notifier(env.number("audit_channel")?)?,
        debug: env.debug_output(),
    };
    let indices = env.read_write("to_audit")?;
    Ok(Box::new(Domain {
        soak: Soak::new(env.domain(), client, noise, indices),
        port,
    }))
}

fn main() -> ExitCode {
    sim::domain_main(start)
}
