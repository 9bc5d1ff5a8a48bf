//! Audit: the reference monitor between its clients and inference.

use super::endpoint;
use crate::pd::{Clock, Component, Environment, Ids, Notifier, Restarter, SetupError, Timer};
use audit::files::{Files, FilesEnd, NoFiles};
use audit::{Audit, ClientEnd, ControlError, JournalMemory, KdfBlock, Memory, Texts};
use heapless::Vec;
use protocol::limits::{MAX_CLIENTS, MAX_KDF_KIB};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::wire::Fault;

type Client = ClientEnd<ReadOnlyRegion, ReadWriteRegion>;

struct Port {
    clients: Vec<(u8, Notifier), MAX_CLIENTS>,
    inference: Notifier,
    /// The channel to files; `None` in a system without a disk.
    files: Option<Notifier>,
    clock: Clock,
    timer: Timer,
    restarter: Restarter,
    /// Numbers of inference and, on several cores, of its workers as children. They are one compartment: all are
    /// stopped before any is started.
    children: std::vec::Vec<u8>,
}

impl audit::Port for Port {
    fn now_us(&mut self) -> u64 {
        self.clock.now_us()
    }

    fn notify_client(&mut self, channel: u8) {
        let client = self.clients.iter().find(|(of, _)| *of == channel);
        if let Some((_, notifier)) = client {
            notifier.notify();
        }
    }

    fn notify_inference(&mut self) {
        self.inference.notify();
    }

    fn notify_files(&mut self) {
        if let Some(files) = &self.files {
            files.notify();
        }
    }

    fn has_workers(&self) -> bool {
        self.children.len() > 1
    }

    fn arm_timer(&mut self, at_us: Option<u64>) {
        self.timer.arm(at_us);
    }

    fn restart_inference(&mut self) -> Result<(), ControlError> {
        if self.has_workers() {
            self.stop_inference()?;
        }
        let mut children = self.children.iter();
        let done = children.all(|child| self.restarter.restart(*child));
        done.then_some(()).ok_or(ControlError::NotStopped)
    }

    fn stop_inference(&mut self) -> Result<(), ControlError> {
        let mut children = self.children.iter();
        let done = children.all(|child| self.restarter.stop(*child));
        done.then_some(()).ok_or(ControlError::NotStopped)
    }
}

struct Domain<F> {
    audit: Audit<'static, ReadOnlyRegion, ReadWriteRegion, F>,
    port: Port,
    watchdog: u8,
    timer: u8,
    /// The channels of inference and, in a system with a disk, of files.
    others: [Option<u8>; 2],
}

/// The clients that `system.xml` has. A slot that it gives neither ring is free.
fn clients(env: &mut Environment) -> Result<Vec<Client, MAX_CLIENTS>, SetupError> {
    let mut clients = Vec::new();
    for slot in 0..MAX_CLIENTS {
        let theirs = format!("client_{slot}_to_audit");
        let ours = format!("audit_to_client_{slot}");
        if !env.has_region(&theirs) && !env.has_region(&ours) {
            continue;
        }
        let ring = endpoint(env, &theirs, &ours)?;
        let channel = env.number(&format!("client_{slot}_channel"))?;
        // There are as many slots as places.
        let _ = clients.push(ClientEnd { channel, ring });
    }
    Ok(clients)
}

pub(super) fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    begin::<NoFiles>(env, None)
}

/// The same with a disk.
pub(super) fn start_with_disk(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
    let ring = endpoint(env, "files_to_audit", "audit_to_files")?;
    let staging = env.read_write("staging")?;
    let slots = env.read_write("model_slots")?;
    let journal = Box::leak(Box::new(JournalMemory::new()));
    let files = Files::new(ring, staging, slots, env.constant("model_store")?, journal);
    let channel = env.number("files_channel")?;
    begin(env, Some((files, channel)))
}

/// `files`: audit's end towards files, and the channel.
fn begin<F: FilesEnd<ReadOnlyRegion, ReadWriteRegion> + 'static>(
    env: &mut Environment,
    files: Option<(F, u8)>,
) -> Result<Box<dyn Component>, SetupError> {
    let (files, files_channel) = files.unzip();
    let clients = clients(env)?;
    let inference = endpoint(env, "inference_to_audit", "audit_to_inference")?;
    let (watchdog, timer) = (
        env.number("watchdog_channel")?,
        env.number("timer_channel")?,
    );
    let child = env.number("inference_child")?;
    let workers = (1..).map_while(|worker| env.number(&format!("worker_{worker}_child")).ok());
    let children = std::iter::once(child).chain(workers).collect();
    let inference_channel = env.number("inference_channel")?;
    let notifiers = clients
        .iter()
        .map(|client| Ok((client.channel, env.notifier(client.channel)?)));
    let port = Port {
        clients: notifiers.collect::<Result<_, SetupError>>()?,
        inference: env.notifier(inference_channel)?,
        files: files_channel
            .map(|channel| env.notifier(channel))
            .transpose()?,
        clock: env.clock(),
        timer: env.timer(timer)?,
        restarter: env.restarter(child)?,
        children,
    };
    let memory = Memory {
        log: env.private("audit_log")?,
        kdf: vec![KdfBlock::new(); MAX_KDF_KIB as usize].leak(),
        texts: Box::leak(Box::new(Texts::new())),
        policy: env.constant("policy")?,
        formats: env.constant("formats")?,
        store: env.constant("model_store")?,
    };
    let adapters = env.read_write("adapters")?;
    let audit = Audit::new(clients, inference, memory, adapters, files);
    Ok(Box::new(Domain {
        audit,
        port,
        watchdog,
        timer,
        others: [Some(inference_channel), files_channel],
    }))
}

impl<F: FilesEnd<ReadOnlyRegion, ReadWriteRegion>> Component for Domain<F> {
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
        let clients = self.port.clients.iter().map(|(channel, _)| *channel);
        let mut peers = clients.chain(self.others.into_iter().flatten());
        if peers.any(|peer| ids.contains(peer)) {
            self.audit.on_signal(&mut self.port);
        }
    }

    fn fault(&mut self, _child: u8, fault: Fault) {
        // A fault of a worker is one of the compartment.
        self.audit.on_fault(fault, &mut self.port);
    }
}
