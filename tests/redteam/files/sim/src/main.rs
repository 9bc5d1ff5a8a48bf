//! The hostile files domain in the simulation: `sel4-llm-sim systems/disk/system.xml ... --program files=gremlin-sim`.

use core::convert::Infallible;
use core::future::Future;
use core::pin::Pin;
use files::{Links, serve};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::Endpoint;
use redteam_attacks::files::behind::between;
use redteam_attacks::files::{Gremlin, Honest, MODELS, Memory, Ring};
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

/// The honest files domain behind it.
struct Behind {
    links: &'static Links<ReadOnlyRegion, ReadWriteRegion>,
    service: Pin<Box<dyn Future<Output = Infallible>>>,
    port: Port,
}

struct Port {
    disk: Notifier,
}

impl files::Port for Port {
    fn notify_audit(&mut self) {
        // The hostile domain polls this one, so it needs no notification.
    }

    fn notify_disk(&mut self) {
        self.disk.notify();
    }
}

impl Honest for Behind {
    fn poll(&mut self) {
        self.links.poll(self.service.as_mut(), &mut self.port);
    }
}

struct Domain(Gremlin<'static, Linux, Behind>);

impl Component for Domain {
    fn notified(&mut self, _: Ids) {
        self.0.on_signal();
    }
}

fn ring(env: &mut Environment, theirs: &str, ours: &str) -> Result<Ring, SetupError> {
    let ring = Endpoint::new(env.read_only(theirs)?, env.read_write(ours)?);
    ring.map_err(|error| SetupError::Component(error.to_string()))
}

fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let audit = ring(env, "audit_to_files", "files_to_audit")?;
    let disk = ring(env, "disk_to_files", "files_to_disk")?;
    let ground = Linux {
        audit: env.notifier(env.number("audit_channel")?)?,
        clock: env.clock(),
    };
    let port = Port {
        disk: env.notifier(env.number("disk_channel")?)?,
    };
    let none = || SetupError::Component("a second domain in one process".to_owned());
    let (asks, answers) = between().ok_or_else(none)?;
    // Allocated once, for the life of the process.
    let links = &*Box::leak(Box::new(Links::new(answers, disk)));
    let memory = Box::leak(Box::new(Memory::new()));
    let behind = Behind {
        links,
        service: Box::pin(serve(links)),
        port,
    };
    let gremlin = Gremlin::new(audit, memory, ground, (behind, asks), MODELS);
    Ok(Box::new(Domain(gremlin)))
}

fn main() -> ExitCode {
    sim::domain_main(start)
}
