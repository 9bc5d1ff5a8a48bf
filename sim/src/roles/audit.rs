//! Audit: the reference monitor between shell and inference.

use super::endpoint;
use crate::pd::{Clock, Component, Environment, Ids, Notifier, Restarter, SetupError, Timer};
use audit::{Audit, ControlError, KdfBlock, Memory};
use protocol::limits::MAX_KDF_KIB;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::wire::Fault;

struct Port {
    shell: Notifier,
    inference: Notifier,
    clock: Clock,
    timer: Timer,
    restarter: Restarter,
    /// Inference as a child.
    child: u8,
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

    fn restart_inference(&mut self) -> Result<(), ControlError> {
        let done = self.restarter.restart(self.child);
        done.then_some(()).ok_or(ControlError::NotStopped)
    }

    fn stop_inference(&mut self) -> Result<(), ControlError> {
        let done = self.restarter.stop(self.child);
        done.then_some(()).ok_or(ControlError::NotStopped)
    }
}

struct Domain {
    audit: Audit<'static, ReadOnlyRegion, ReadWriteRegion>,
    port: Port,
    watchdog: u8,
    timer: u8,
    /// Channels of shell and inference.
    peers: [u8; 2],
}

pub(super) fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let shell = endpoint(env, "shell_to_audit", "audit_to_shell")?;
    let inference = endpoint(env, "inference_to_audit", "audit_to_inference")?;
    let (watchdog, timer) = (
        env.number("watchdog_channel")?,
        env.number("timer_channel")?,
    );
    let child = env.number("inference_child")?;
    let peers = [
        env.number("shell_channel")?,
        env.number("inference_channel")?,
    ];
    let port = Port {
        shell: env.notifier(peers[0])?,
        inference: env.notifier(peers[1])?,
        clock: env.clock(),
        timer: env.timer(timer)?,
        restarter: env.restarter(child)?,
        child,
    };
    let memory = Memory {
        log: env.private("audit_log")?,
        kdf: vec![KdfBlock::new(); MAX_KDF_KIB as usize].leak(),
        policy: env.constant("policy")?,
        store: env.constant("model_store")?,
    };
    let audit = Audit::new(shell, inference, memory);
    Ok(Box::new(Domain {
        audit,
        port,
        watchdog,
        timer,
        peers,
    }))
}

impl Component for Domain {
    fn init(&mut self) {
        self.audit.start(&mut self.port);
    }

    fn notified(&mut self, ids: Ids) {
        if ids.contains(self.watchdog) {
            self.audit.on_watchdog(&mut self.port);
        }
        if ids.contains(self.timer) {
            self.audit.on_timer(&mut self.port);
        }
        if self.peers.iter().any(|peer| ids.contains(*peer)) {
            self.audit.on_signal(&mut self.port);
        }
    }

    fn fault(&mut self, _child: u8, fault: Fault) {
        // There is one child.
        self.audit.on_fault(fault, &mut self.port);
    }
}
