//! Audit: the reference monitor between shell and inference.

use super::endpoint;
use crate::pd::{Clock, Component, Environment, Ids, Notifier, Restarter, SetupError, Timer};
use audit::{Audit, KdfBlock, Memory};
use protocol::limits::MAX_KDF_KIB;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::wire::Fault;

const SHELL: u8 = 0;
const INFERENCE: u8 = 1;
/// Interrupt of the RTC.
const WATCHDOG: u8 = 2;
/// Interrupt of the generic timer.
const TIMER: u8 = 3;
/// Inference as a child.
const CHILD: u8 = 0;

struct Port {
    shell: Notifier,
    inference: Notifier,
    clock: Clock,
    timer: Timer,
    restarter: Restarter,
}

impl audit::Port for Port {
    fn now_us(&mut self) -> u64 {
        self.clock.now_us()
    }

    fn notify_shell(&mut self) {
        self.shell.notify();
    }

    fn notify_inference(&mut self) {
        self.inference.notify();
    }

    fn arm_timer(&mut self, at_us: Option<u64>) {
        self.timer.arm(at_us);
    }

    fn restart_inference(&mut self) {
        self.restarter.restart(CHILD);
    }

    fn stop_inference(&mut self) {
        self.restarter.stop(CHILD);
    }
}

struct Domain {
    audit: Audit<'static, ReadOnlyRegion, ReadWriteRegion>,
    port: Port,
}

pub(super) fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let shell = endpoint(env, "shell_to_audit", "audit_to_shell")?;
    let inference = endpoint(env, "inference_to_audit", "audit_to_inference")?;
    let port = Port {
        shell: env.notifier(SHELL)?,
        inference: env.notifier(INFERENCE)?,
        clock: env.clock(),
        timer: env.timer(TIMER)?,
        restarter: env.restarter(CHILD)?,
    };
    let memory = Memory {
        log: env.private("audit_log")?,
        kdf: vec![KdfBlock::new(); MAX_KDF_KIB as usize].leak(),
        policy: env.constant("policy")?,
        store: env.constant("model_store")?,
    };
    let audit = Audit::new(shell, inference, memory);
    Ok(Box::new(Domain { audit, port }))
}

impl Component for Domain {
    fn init(&mut self) {
        self.audit.start(&mut self.port);
    }

    fn notified(&mut self, ids: Ids) {
        if ids.contains(WATCHDOG) {
            self.audit.on_watchdog(&mut self.port);
        }
        if ids.contains(TIMER) {
            self.audit.on_timer(&mut self.port);
        }
        if ids.contains(SHELL) || ids.contains(INFERENCE) {
            self.audit.on_signal(&mut self.port);
        }
    }

    fn fault(&mut self, _child: u8, fault: Fault) {
        // There is one child.
        self.audit.on_fault(fault, &mut self.port);
    }
}
