//! The hostile client as a domain of the simulation: `sel4-llm-sim ... --program mallory=mallory-sim`.

use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use redteam_attacks::client::{Mallory, Memory};
use redteam_attacks::{Ground, Say};
use sim::pd::{Clock, Component, Environment, Ids, Notifier, SetupError};
use std::process::ExitCode;

struct Linux {
    audit: Notifier,
    clock: Clock,
}

static CONSTANT: [u64; 4] = [1, 2, 3, 4];

impl Ground for Linux {
    fn notify_audit(&mut self) {
        self.audit.notify();
    }

    fn now_us(&mut self) -> u64 {
        self.clock.now_us()
    }

    fn own_text(&self) -> usize {
        start as *const () as usize + 8
    }

    fn own_constants(&self) -> usize {
        CONSTANT.as_ptr() as usize
    }

    fn perform(&mut self, _: &str, _: &mut Say) -> bool {
        // The simulation has no seL4 kernel.
        false
    }
}

struct Domain(Mallory<'static, ReadOnlyRegion, ReadWriteRegion, Linux>);

impl Component for Domain {
    fn notified(&mut self, _: Ids) {
        self.0.on_signal();
    }
}

fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let ring = Endpoint::new(env.read_only("from_audit")?, env.read_write("to_audit")?);
    let ring = ring.map_err(|error| SetupError::Component(error.to_string()))?;
    let ground = Linux {
        audit: env.notifier(env.number("audit_channel")?)?,
        clock: env.clock(),
    };
    // Allocated once, for the life of the process.
    let memory = Box::leak(Box::new(Memory::new()));
    Ok(Box::new(Domain(Mallory::new(ring, memory, ground))))
}

fn main() -> ExitCode {
    sim::domain_main(start)
}
