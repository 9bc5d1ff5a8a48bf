//! The monitor itself: its parts, and what it does when it wakes up.
//!
//! Each part has one job, and its rule is in its module docs: [`Clients`] knows the clients and what each must be told;
//! [`Link`] inference with its epoch and restarts; [`Gate`] what each user may do and at what cost; [`Table`] the
//! requests in flight; [`Ledger`] the log and the counters; [`Egress`] how much may leave inference. The modules here
//! combine them: [`requests`] and [`text`] handle what clients ask for, [`reports`] what inference says, [`loads`]
//! models, [`adapters`] the adapters beside them, [`tuning`] the making of an adapter, [`recovery`] restarts and
//! deadlines, [`delivery`] what clients are told and what inference may generate, [`files`] requests to the disk,
//! [`saving`] writing an adapter there, and [`journal`] what changes if the log is on a disk.

mod adapters;
mod delivery;
mod files;
mod journal;
mod lists;
mod loads;
mod records;
mod recovery;
mod reports;
mod requests;
mod saving;
mod text;
mod tuning;
mod users;

use self::files::Parts;
use crate::access::KdfBlock;
use crate::client::{ClientEnd, Clients};
use crate::device::Device;
use crate::egress::Egress;
use crate::files::{FilesEnd, NoFiles};
use crate::gate::Gate;
use crate::ledger::Ledger;
use crate::link::{ControlError, Link, Phase};
use crate::log::Log;
use crate::models::Models;
use crate::places::Places;
use crate::shelf::Shelf;
use crate::table::{InFlight, NEVER_US, State, Table, Texts};
use crate::work::{Budget, GAP_US, pause_us};
use protocol::limits::MAX_CLIENTS;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame};
use protocol::wire::Fault;

/// What audit needs from its runtime.
pub trait Port {
    /// Microseconds since an arbitrary fixed moment, never decreasing. Time passes while audit works, so it is read
    /// again before the timer is armed.
    fn now_us(&mut self) -> u64;
    /// Tells the client on this channel to look at its ring.
    fn notify_client(&mut self, channel: u8);
    /// Tells inference to look at its ring.
    fn notify_inference(&mut self);
    /// Tells files to look at its ring. Called only in a system with a disk.
    fn notify_files(&mut self) {}
    /// Whether inference has workers. If so, audit acts as its clock: see `BEAT_US`.
    fn has_workers(&self) -> bool {
        false
    }
    /// Asks for a wake-up at this time, or for none. This is only a hint: the watchdog wakes audit anyway.
    fn arm_timer(&mut self, at_us: Option<u64>);
    /// Stops inference for good, then starts it again from its first instruction. On success, nothing of the old run is
    /// executing any more.
    ///
    /// # Errors
    /// The runtime has refused. After [`ControlError::NotStopped`], inference may still be running.
    fn restart_inference(&mut self) -> Result<(), ControlError>;
    /// Stops inference until [`Self::restart_inference`].
    ///
    /// # Errors
    /// The runtime has refused: inference may still be running.
    fn stop_inference(&mut self) -> Result<(), ControlError>;
}

/// The memory that only audit has, and the regions that it reads.
#[derive(Debug)]
pub struct Memory<'m> {
    /// For the log.
    pub log: &'m mut [u8],
    /// For hashing passphrases: [`protocol::limits::MAX_KDF_KIB`] blocks.
    pub kdf: &'m mut [KdfBlock],
    /// For text that waits for clients.
    pub texts: &'m mut Texts,
    /// The compiled policy.
    pub policy: &'m [u8],
    /// The formats that were compiled with it: the read-only region `formats`.
    pub formats: &'m [u8],
    /// The model store.
    pub store: &'m [u8],
}

/// The reference monitor. There is one per system, and it lives as long. `F` is its end towards files; see
/// [`crate::files`].
pub struct Audit<'m, R, W, F = NoFiles> {
    monitor: Monitor<'m, R, W, F>,
    /// The message being handled. It is separate from the rest so that its handler can change that.
    incoming: Frame,
}

/// Everything but the message being handled.
pub(crate) struct Monitor<'m, R, W, F> {
    pub(crate) clients: Clients<R, W>,
    link: Link<R, W>,
    gate: Gate<'m>,
    table: Table<'m>,
    ledger: Ledger<'m>,
    pub(crate) models: Models<'m>,
    pub(crate) places: Places,
    shelf: Shelf<W>,
    device: Device,
    egress: Egress,
    /// `None` in a system without a disk, where the type allows nothing else.
    files: Option<F>,
    /// The work left in this wake-up.
    work: Budget,
    /// When the egress cap lets the next waiting event pass; `None` if nothing is waiting for it.
    egress_at_us: Option<u64>,
}

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Audit<'m, R, W, F> {
    /// A monitor that has not started. `clients`: those in `system.xml`; there may be none. `adapters`: the region of
    /// adapters, which only audit writes. `files`: `None` in a system without a disk.
    pub fn new(
        clients: heapless::Vec<ClientEnd<R, W>, MAX_CLIENTS>,
        inference: Endpoint<R, W>,
        memory: Memory<'m>,
        adapters: W,
        files: Option<F>,
    ) -> Self {
        let gate = Gate::new(memory.policy, memory.formats, memory.kdf);
        let models = Models::new(memory.store);
        Self {
            monitor: Monitor {
                clients: Clients::new(clients, gate.policy()),
                link: Link::new(inference, gate.policy(), models.first()),
                table: Table::new(memory.texts),
                ledger: Ledger::new(memory.log, gate.policy(), 0),
                models,
                places: Places::new(),
                shelf: Shelf::new(adapters),
                device: Device::new(gate.policy()),
                egress: Egress::new(gate.policy(), 0),
                files,
                gate,
                work: Budget::new(),
                egress_at_us: None,
            },
            incoming: Frame::new(),
        }
    }

    /// Begins the first epoch and loads the default model. Must be called once, before anything else.
    pub fn start(&mut self, port: &mut impl Port) {
        self.monitor.start(port);
    }

    /// A peer has signalled: checks all rings.
    pub fn on_signal(&mut self, port: &mut impl Port) {
        self.monitor.wake_up(&mut self.incoming, port);
    }

    /// The trusted watchdog has ticked: checks the deadlines, and the rings in case a signal was lost.
    pub fn on_watchdog(&mut self, port: &mut impl Port) {
        for client in self.monitor.clients.iter_mut() {
            client.lists.tick();
        }
        self.monitor.tick_journal();
        self.on_signal(port);
    }

    /// The timer that [`Port::arm_timer`] asked for may have fired.
    pub fn on_timer(&mut self, port: &mut impl Port) {
        self.on_signal(port);
    }

    /// Inference has failed, or claims to. A fault message may be forged, so audit only records it and restarts
    /// inference.
    pub fn on_fault(&mut self, fault: Fault, port: &mut impl Port) {
        self.monitor.on_fault(fault, port);
    }

    /// The monitor's parts, so that tests can set up states that would take long to reach.
    #[cfg(test)]
    pub(crate) const fn monitor_for_tests(&mut self) -> &mut Monitor<'m, R, W, F> {
        &mut self.monitor
    }

    /// Whether these bytes are still in the frame for incoming messages.
    #[cfg(test)]
    pub(crate) fn still_holds(&mut self, bytes: &[u8]) -> bool {
        let frame = self.incoming.begin(0, 0);
        frame.windows(bytes.len()).any(|window| window == bytes)
    }

    /// The log, for reading.
    #[must_use]
    pub const fn log(&self) -> &Log<'m> {
        &self.monitor.ledger.log
    }
}

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    /// Name of the model in service.
    #[cfg(test)]
    pub(crate) fn current_name(&self) -> Option<protocol::name::ModelName> {
        self.link.current.map(|current| current.verified.name)
    }

    fn start(&mut self, port: &mut impl Port) {
        let now = self.begin(port);
        self.start_files();
        if self.start_journal() {
            return self.rest(now, port);
        }
        self.begin_service(now);
        self.finish(now, port);
    }

    /// Begins the first epochs and has the default model loaded.
    fn begin_service(&mut self, now: u64) {
        self.gate.start(now);
        self.ledger.start(self.gate.policy(), now);
        self.egress = Egress::new(self.gate.policy(), now);
        for client in self.clients.iter_mut() {
            client.lead();
        }
        self.link.begin_epoch();
        self.record(Record::new(Kind::Boot), now);
        match self.gate.require_policy() {
            Ok(()) => self.begin_own_load(now),
            Err(_) => self.end_own_load(now),
        }
    }

    /// Everything that audit does on a wake-up, whatever caused it: reads files' answers, inference's reports and the
    /// clients' requests, continues longer work, checks deadlines, tells the clients, grants inference credit, and sleeps.
    fn wake_up(&mut self, frame: &mut Frame, port: &mut impl Port) {
        let now = self.begin(port);
        self.read_files(frame, Parts::Later, now, port);
        if !self.serves() {
            return self.rest(now, port);
        }
        self.release_held(now);
        self.read_inference(frame, now, port);
        self.read_clients(frame, now, port);
        self.read_files(frame, Parts::Now, now, port);
        self.release_held(now);
        self.finish(now, port);
    }

    /// The time at which the wake-up takes place.
    fn begin(&mut self, port: &mut impl Port) -> u64 {
        self.work = Budget::new();
        let now = port.now_us();
        self.link.look(now);
        now
    }

    fn finish(&mut self, now: u64, port: &mut impl Port) {
        self.refuse_lost_reading();
        self.advance_load(now);
        self.advance_adapter(now);
        self.advance_tuning(now);
        self.restore_adapters(now);
        self.check_deadlines(now, port);
        self.ask_again_to_stop(now);
        self.record_what_is_due(now);
        // A question that cannot be asked ends its request, which the client is told below.
        self.ask_files(now, port);
        self.deliver(now);
        self.grant_credit();
        self.rest(now, port);
    }

    /// The end of a wake-up: asks files, signals peers, and sets the time of the next wake-up.
    fn rest(&mut self, now: u64, port: &mut impl Port) {
        self.ask_files(now, port);
        self.ask_saving(now);
        let beat = self.beat(now, port);
        self.signal(port);
        // Read again: after a long wake-up, the time at its start could lead to a wake-up time in the past, and audit
        // would run again at once.
        let (began, now) = (now, port.now_us());
        let pause = pause_us(now.saturating_sub(began));
        port.arm_timer(self.next_wake_up(now, pause, beat));
    }

    /// Signals inference if it has workers and something for them to do, and the beat is due. Returns when the next is
    /// due.
    fn beat(&mut self, now: u64, port: &impl Port) -> Option<u64> {
        let has_work = || {
            let of_inference = |entry: &InFlight<'_>| !entry.is_over() && !entry.is_audits_alone();
            self.table.iter().any(of_inference)
        };
        if port.has_workers() && self.link.phase != Phase::Stopped && has_work() {
            Some(self.link.beat(now))
        } else {
            None
        }
    }

    fn signal(&mut self, port: &mut impl Port) {
        for client in self.clients.iter_mut() {
            if client.takes_signal() {
                port.notify_client(client.channel);
            }
        }
        if self.link.takes_signal() {
            port.notify_inference();
        }
        if let Some(files) = &mut self.files
            && files.get_mut().link.takes_signal()
        {
            port.notify_files();
        }
    }

    /// When audit must wake up even without a signal. `pause`: how long work that is to go on waits.
    fn next_wake_up(&self, now: u64, pause: u64, beat: Option<u64>) -> Option<u64> {
        let deadlines = self.table.iter().filter_map(|entry| match entry.state {
            State::Active => Some(entry.deadline_us).filter(|at| *at != NEVER_US),
            State::Late { until_us } => until_us,
            State::Ended(_) => None,
        });
        let slice = self.work.is_to_go_on().then_some(now.saturating_add(pause));
        let next = deadlines.chain(self.egress_at_us).chain(slice);
        let next = next.chain(beat).min();
        let next = match &self.files {
            Some(files) => files.get().link.due_us().into_iter().chain(next).min(),
            None => next,
        };
        next.map(|at| at.max(now.saturating_add(GAP_US)))
    }
}
