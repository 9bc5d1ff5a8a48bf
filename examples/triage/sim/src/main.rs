//! The triage component as a domain of the simulation: `sel4-llm-sim ... --program triage=triage-sim`. It finds its
//! channels and regions by the same variables of `system.xml` as on seL4.

use sim::pd::{Component, DebugOutput, Environment, Ids, Notifier, SetupError};
use std::fmt::{self, Write as _};
use std::process::ExitCode;
use triage::client::Endpoint;
use triage::client::region::{ReadOnlyRegion, ReadWriteRegion};
use triage::{Memory, Triage};

struct Port {
    audit: Notifier,
    debug: DebugOutput,
}

impl triage::Port for Port {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }

    fn debug(&mut self, line: fmt::Arguments<'_>) {
        // This cannot fail.
        let _ = writeln!(self.debug, "{line}");
    }
}

struct Domain {
    triage: Triage<'static, ReadOnlyRegion, ReadWriteRegion>,
    port: Port,
}

impl Component for Domain {
    fn notified(&mut self, _: Ids) {
        self.triage.on_signal(&mut self.port);
    }
}

fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let ring = Endpoint::new(env.read_only("from_audit")?, env.read_write("to_audit")?);
    let ring = ring.map_err(|error| SetupError::Component(error.to_string()))?;
    let events = env.constant("events")?;
    let decisions = env.read_write("decisions")?;
    let port = Port {
        audit: env.notifier(env.number("audit_channel")?)?,
        debug: env.debug_output(),
    };
    // Allocated once, for the life of the process.
    let memory = Box::leak(Box::new(Memory::new()));
    Ok(Box::new(Domain {
        triage: Triage::new(ring, events, decisions, memory),
        port,
    }))
}

fn main() -> ExitCode {
    sim::domain_main(start)
}
