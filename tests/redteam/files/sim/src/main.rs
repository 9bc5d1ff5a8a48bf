//! The hostile files as a domain of the simulation: `sel4-llm-sim systems/disk/system.xml ... --program files=gremlin-sim`.

use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use redteam_attacks::files::{Gremlin, Memory, Model};
use redteam_attacks::{Ground, Say};
use sim::pd::{Clock, Component, Environment, Ids, Notifier, SetupError};
use std::process::ExitCode;

/// The model that it gives honestly, and another. Both are signed.
const MODELS: [Model; 2] = [
    Model {
        bytes: include_bytes!("../../../../../models/tiny-f32.gguf"),
        signature: include_bytes!("../../../../../models/tiny-f32.gguf.sig"),
    },
    Model {
        bytes: include_bytes!("../../../../../models/default.gguf"),
        signature: include_bytes!("../../../../../models/default.gguf.sig"),
    },
];

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
        // There is no kernel of seL4 here.
        false
    }
}

struct Domain(Gremlin<'static, ReadOnlyRegion, ReadWriteRegion, Linux>);

impl Component for Domain {
    fn notified(&mut self, _: Ids) {
        self.0.on_signal();
    }
}

fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let ring = Endpoint::new(
        env.read_only("audit_to_files")?,
        env.read_write("files_to_audit")?,
    );
    let ring = ring.map_err(|error| SetupError::Component(error.to_string()))?;
    // It has a ring with disk, and a channel, and does not care.
    let ground = Linux {
        audit: env.notifier(env.number("audit_channel")?)?,
        clock: env.clock(),
    };
    // One for the life of the process.
    let memory = Box::leak(Box::new(Memory::new()));
    Ok(Box::new(Domain(Gremlin::new(ring, memory, ground, MODELS))))
}

fn main() -> ExitCode {
    sim::domain_main(start)
}
