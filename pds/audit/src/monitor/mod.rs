//! The monitor itself: all state in one struct, and a bounded reaction to every wake-up.
//!
//! [`requests`] has what shell asks for, [`reports`] what inference says, [`recovery`] models, restarts and deadlines,
//! [`lists`] answers of more than one event.

mod lists;
mod recovery;
mod reports;
mod requests;

use crate::access::{Access, KdfBlock};
use crate::counters::{Latencies, Recent, count};
use crate::egress::Egress;
use crate::log::Log;
use crate::models::{Models, Verified};
use crate::quota::Accounts;
use crate::sessions::Sessions;
use crate::table::{Entry, Generation, Origin, State, Table, Work};
use lists::Lists;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{DEFAULT_MODEL, MAX_RESTARTS};
use protocol::name::{ModelName, Name};
use protocol::policy::{Policy, PolicyError};
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::Fault;
use protocol::wire::console::{Event, Stats, Status, User};
use protocol::wire::engine::{Holdings, Loaded};
use recovery::LoadJob;
use zerocopy::FromZeros as _;

/// What audit needs from its runtime.
pub trait Port {
    /// Microseconds since any fixed moment, never falling.
    fn now_us(&mut self) -> u64;
    /// Tells the shell to look at its ring.
    fn notify_shell(&mut self);
    /// Tells inference to look at its ring.
    fn notify_inference(&mut self);
    /// Asks for a wake-up at this time, or for none. Only a hint: the watchdog comes anyway.
    fn arm_timer(&mut self, at_us: Option<u64>);
    /// Stops inference for good, then starts it anew from its first instruction. When it returns, nothing of the old
    /// one runs any more.
    fn restart_inference(&mut self);
    /// Stops inference until [`Self::restart_inference`].
    fn stop_inference(&mut self);
}

/// The regions and memory that audit alone has, and what it reads.
#[derive(Debug)]
pub struct Memory<'m> {
    /// For the log.
    pub log: &'m mut [u8],
    /// For hashing passphrases: [`protocol::limits::MAX_KDF_KIB`] blocks.
    pub kdf: &'m mut [KdfBlock],
    /// The compiled policy.
    pub policy: &'m [u8],
    /// The model store.
    pub store: &'m [u8],
}

/// Slots of the shell's ring that events of inference leave free, so that audit's own notices find room: a fault, an
/// end of recovery, and the failure of a load with the ready event after it.
const RESERVE: usize = 4;

/// Least time between two records of violations by the same peer, in microseconds (1 s). It doubles with each record up
/// to [`RARE_VIOLATIONS_US`]: who sends nothing but garbage does not push what happened before out of the log with it.
const VIOLATIONS_US: u64 = 1_000_000;

/// Most time between them (1 h). After twice as long without one, it begins anew.
const RARE_VIOLATIONS_US: u64 = 3_600_000_000;

/// Between two slices of what takes longer than a wake-up should (hashing a model, checking the log), in microseconds
/// (2 ms): about as long as a slice, so that shell and inference get a share meanwhile.
pub(crate) const PAUSE_US: u64 = 2_000;

/// What the system is doing as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first model is being loaded; the shell does not take commands yet.
    Booting,
    /// As it should be.
    Serving,
    /// Inference was restarted at this time and loads its model again.
    Recovering { since_us: u64 },
    /// Too many restarts; inference stays down until an admin resets it.
    Stopped,
}

/// The model in service, and what inference says of it.
#[derive(Clone, Copy, Debug)]
struct Current {
    verified: Verified,
    loaded: Loaded,
}

/// A peer, as records of violations number them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Shell = 1,
    Inference = 2,
}

/// Violations of a peer that have no record yet.
#[derive(Clone, Copy, Debug, Default)]
struct Violations {
    count: u64,
    recorded_us: Option<u64>,
    /// How long the next record waits after the last one.
    pause_us: u64,
}

/// The reference monitor. One per system, for the system's life.
pub struct Audit<'m, R, W> {
    monitor: Monitor<'m, R, W>,
    /// The message at hand. Beside the rest, so that what handles it can change that.
    incoming: Frame,
}

/// Everything but the message at hand.
struct Monitor<'m, R, W> {
    shell: Endpoint<R, W>,
    inference: Endpoint<R, W>,
    log: Log<'m>,
    access: Access<'m>,
    /// Why nobody may do anything, if that is so.
    policy_error: Option<PolicyError>,
    accounts: Accounts,
    sessions: Sessions,
    table: Table,
    models: Models<'m>,
    egress: Egress,
    lists: Lists,
    phase: Phase,
    /// Counters; the rest is filled in when somebody asks.
    stats: Stats,
    latencies: Latencies,
    recent: Recent,
    /// Since when at least one request for text is under way.
    busy_since_us: Option<u64>,
    violations: [Violations; 2],
    booted_us: u64,
    epoch: u32,
    last_number: u32,
    /// What is loaded again after a restart.
    wanted: ModelName,
    current: Option<Current>,
    /// A model that is being verified.
    load: Option<LoadJob<'m>>,
    /// Times of the restarts within the policy's window.
    restarts_us: heapless::Deque<u64, MAX_RESTARTS>,
    /// Notice that the shell's ring had no room for.
    pending_fault: Option<Fault>,
    /// The shell's ring had room when audit woke, so that inference could say what it has to: who is not heard because
    /// the shell does not read is not to blame for a deadline. Looked at before inference's ring, whose reports take
    /// room.
    heard: bool,
    /// Inference's ring may hold what the egress cap has no room for yet.
    throttled: bool,
    /// Since when there has been no room in inference's ring.
    full_since_us: Option<u64>,
    /// The shell's ring had no room for the event that lets it begin.
    ready_owed: bool,
    outgoing: Frame,
    signal_shell: bool,
    signal_inference: bool,
}

impl<'m, R: ReadWords, W: WriteWords> Audit<'m, R, W> {
    /// A monitor that has not started.
    pub fn new(shell: Endpoint<R, W>, inference: Endpoint<R, W>, memory: Memory<'m>) -> Self {
        let (policy, policy_error) = match Policy::read(memory.policy) {
            Ok(policy) => (policy, None),
            // Without users, roles and keys nobody may do anything.
            Err(error) => (Policy::new_zeroed(), Some(error)),
        };
        Self {
            monitor: Monitor {
                shell,
                inference,
                log: Log::new(memory.log),
                accounts: Accounts::new(&policy, 0),
                egress: Egress::new(&policy, 0),
                access: Access::new(policy, memory.kdf),
                policy_error,
                sessions: Sessions::new(),
                table: Table::new(),
                models: Models::new(memory.store),
                lists: Lists::new(),
                phase: Phase::Booting,
                stats: Stats::new_zeroed(),
                latencies: Latencies::new(),
                recent: Recent::new(),
                busy_since_us: None,
                violations: [Violations::default(); 2],
                booted_us: 0,
                epoch: 0,
                last_number: 0,
                // The name in the table of limits is one.
                wanted: ModelName::new(DEFAULT_MODEL).unwrap_or_default(),
                current: None,
                load: None,
                restarts_us: heapless::Deque::new(),
                pending_fault: None,
                heard: true,
                throttled: false,
                full_since_us: None,
                ready_owed: false,
                outgoing: Frame::new(),
                signal_shell: false,
                signal_inference: false,
            },
            incoming: Frame::new(),
        }
    }

    /// Begins the first epoch and loads the default model. Once, before anything else.
    pub fn start(&mut self, port: &mut impl Port) {
        self.monitor.start(port);
    }

    /// A peer has signalled: looks at both rings.
    pub fn on_signal(&mut self, port: &mut impl Port) {
        let now = port.now_us();
        self.monitor.heard = self.monitor.has_room();
        self.monitor.deliver(now);
        self.monitor.read_inference(&mut self.incoming, now, port);
        self.monitor.read_shell(&mut self.incoming, now, port);
        self.monitor.finish_wake_up(now, port);
    }

    /// The trusted watchdog has ticked: looks at the deadlines, and at the rings in case a signal was lost on us.
    pub fn on_watchdog(&mut self, port: &mut impl Port) {
        self.monitor.lists.tick();
        self.on_signal(port);
    }

    /// The timer that [`Port::arm_timer`] asked for may have fired.
    pub fn on_timer(&mut self, port: &mut impl Port) {
        self.on_signal(port);
    }

    /// Inference has died, or says so: a fault message may be forged, so it is written down and answered by a restart,
    /// and believed no further.
    pub fn on_fault(&mut self, fault: Fault, port: &mut impl Port) {
        self.monitor.on_fault(fault, port);
    }

    /// The log, for readers.
    #[must_use]
    pub const fn log(&self) -> &Log<'m> {
        &self.monitor.log
    }
}

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    fn start(&mut self, port: &mut impl Port) {
        let now = port.now_us();
        self.booted_us = now;
        self.accounts = Accounts::new(self.access.policy(), now);
        self.egress = Egress::new(self.access.policy(), now);
        self.epoch = 1;
        self.shell.lead(self.epoch);
        self.inference.lead(self.epoch);
        self.record(Record::new(Kind::Boot), now);
        // The peers may be waiting for their epoch already.
        self.signal_shell = true;
        self.signal_inference = true;
        match self.policy_error {
            None => self.begin_own_load(now),
            Some(_) => self.end_own_load(now),
        }
        self.finish_wake_up(now, port);
    }

    /// Goes on with what takes longer, checks deadlines, sends what has waited, arms the timer, signals.
    fn finish_wake_up(&mut self, now: u64, port: &mut impl Port) {
        self.advance_load(now);
        self.check_deadlines(now, port);
        self.ask_again_to_stop();
        self.record_violations(now);
        self.deliver(now);
        self.signal_shell |= self.shell.take_owed_signal();
        self.signal_inference |= self.inference.take_owed_signal();
        if core::mem::take(&mut self.signal_shell) {
            port.notify_shell();
        }
        if core::mem::take(&mut self.signal_inference) {
            port.notify_inference();
        }
        port.arm_timer(self.next_wake_up(now));
    }

    /// When audit wants to look again of its own accord.
    fn next_wake_up(&self, now: u64) -> Option<u64> {
        let deadline = self.table.iter().filter_map(|entry| match entry.state {
            State::Active => Some(entry.deadline_us),
            State::Stopping { until_us } => Some(until_us),
            State::Ended(_) => None,
        });
        let works = self.load.is_some() || self.lists.wants_time();
        let slice = works.then_some(now.saturating_add(PAUSE_US));
        let egress = self.throttled.then(|| self.egress.next_us());
        deadline.chain(egress).chain(slice).min()
    }

    // ---- The log and the counters -------------------------------------------------------------

    fn uptime(&self, now: u64) -> u64 {
        now.saturating_sub(self.booted_us)
    }

    fn record(&mut self, record: Record, now: u64) {
        self.record_with(record, &[], now);
    }

    fn record_with(&mut self, record: Record, text: &[u8], now: u64) {
        let time_us = self.uptime(now);
        self.log.append(record, text, time_us);
        self.stats.records = self.log.written();
    }

    /// A record about what the current user asked for.
    fn record_of_user(&self, kind: Kind) -> Record {
        Record {
            user: self.access.name(self.access.current()),
            ..Record::new(kind)
        }
    }

    /// A record about a request, with what is known of it.
    fn record_of(&self, entry: &Entry, kind: Kind, now: u64) -> Record {
        let mut record = Record {
            request: entry.number,
            user: match entry.origin {
                Origin::Shell(_) => self.access.name(entry.user),
                Origin::Audit => Default::default(),
            },
            latency_us: now.saturating_sub(entry.admitted_us),
            ..Record::new(kind)
        };
        match &entry.work {
            Work::Infer(generation) => self.describe(generation, entry, &mut record),
            Work::Load(verified) => {
                record.name = verified.name;
                record.model_sha256 = verified.sha256;
            }
            Work::Status => {}
        }
        record
    }

    fn describe(&self, generation: &Generation, entry: &Entry, record: &mut Record) {
        record.session = generation.session;
        record.turn = generation.turn;
        record.params = generation.params;
        record.prompt_bytes = generation.prompt_bytes;
        record.prompt_sha256 = generation.prompt_sha256;
        record.generated_tokens = generation.tokens;
        record.first_token_us = generation
            .first_token_us
            .map_or(0, |at| at.saturating_sub(entry.admitted_us));
        if let Some(Current { verified, loaded }) = &self.current {
            record.model_sha256 = verified.sha256;
            record.kv_type = loaded.kv_type as u16;
            record.numerics = loaded.numerics;
        }
    }

    fn count_violation(&mut self, peer: Peer, now: u64) {
        self.stats.violations = self.stats.violations.saturating_add(1);
        let violations = match peer {
            Peer::Shell => self.violations.first_mut(),
            Peer::Inference => self.violations.last_mut(),
        };
        if let Some(violations) = violations {
            violations.count = violations.count.saturating_add(1);
        }
        self.record_violations(now);
    }

    /// Writes down what has no record yet, ever more rarely as long as there is ever more of it.
    fn record_violations(&mut self, now: u64) {
        for (index, peer) in [Peer::Shell, Peer::Inference].into_iter().enumerate() {
            let Some(violations) = self.violations.get_mut(index) else {
                continue;
            };
            let since = violations.recorded_us.map(|at| now.saturating_sub(at));
            let due = since.is_none_or(|us| us >= violations.pause_us);
            if violations.count > 0 && due {
                let value = core::mem::take(&mut violations.count);
                violations.recorded_us = Some(now);
                violations.pause_us = match since {
                    Some(us) if us < 2 * RARE_VIOLATIONS_US => violations
                        .pause_us
                        .saturating_mul(2)
                        .min(RARE_VIOLATIONS_US),
                    _ => VIOLATIONS_US,
                };
                let record = Record {
                    code: peer as u16,
                    value,
                    ..Record::new(Kind::Violation)
                };
                self.record(record, now);
            }
        }
    }

    /// Requests for text that are under way.
    fn active(&self) -> u32 {
        let active = self
            .table
            .iter()
            .filter(|entry| entry.generation().is_some() && !entry.is_over());
        u32::try_from(count(active)).unwrap_or(u32::MAX)
    }

    /// Of them, those whose first token has not come.
    fn queued(&self) -> u32 {
        let waits = |entry: &&Entry| {
            let generation = entry.generation().filter(|_| !entry.is_over());
            generation.is_some_and(|generation| generation.first_token_us.is_none())
        };
        u32::try_from(count(self.table.iter().filter(waits))).unwrap_or(u32::MAX)
    }

    /// Counts the time in which a request is under way; after every change of that.
    fn note_busy(&mut self, now: u64) {
        match (self.active() > 0, self.busy_since_us) {
            (true, None) => self.busy_since_us = Some(now),
            (false, Some(since)) => {
                let busy = now.saturating_sub(since);
                self.stats.busy_us = self.stats.busy_us.saturating_add(busy);
                self.busy_since_us = None;
            }
            _ => {}
        }
    }

    fn stats_now(&mut self, now: u64) -> Stats {
        let uptime_us = self.uptime(now);
        let (recent_tokens, recent_us) = self.recent.rate(uptime_us);
        let user = self.access.current();
        let busy = self
            .busy_since_us
            .map_or(0, |since| now.saturating_sub(since));
        Stats {
            uptime_us,
            busy_us: self.stats.busy_us.saturating_add(busy),
            recent_tokens,
            recent_us,
            latency_p50_us: self.latencies.percentile(50),
            latency_p95_us: self.latencies.percentile(95),
            latency_p99_us: self.latencies.percentile(99),
            latency_max_us: self.latencies.max(),
            egress_bytes: self.egress.passed(),
            egress_limit: self.egress.limit(),
            budget: self.accounts.budget(user, self.access.name(user), now),
            arena: self
                .current
                .map_or_else(Default::default, |current| current.loaded.arena),
            active: self.active(),
            queued: self.queued(),
            sessions: u32::try_from(self.sessions.count()).unwrap_or(u32::MAX),
            stopped: u32::from(self.phase == Phase::Stopped),
            ..self.stats
        }
    }

    fn status(&self, holdings: &Holdings) -> Status {
        let current = self.current.as_ref();
        let info = current.map_or_else(Default::default, |current| current.loaded.info);
        Status {
            name: current.map_or(ModelName::EMPTY, |current| current.verified.name),
            model: info,
            arena: holdings.arena,
            kv_positions: holdings.kv_positions,
            kv_free: holdings.kv_free,
            restarts: u32::try_from(self.stats.restarts).unwrap_or(u32::MAX),
            active: self.active(),
            waiting: holdings.waiting,
            sessions: u32::try_from(self.sessions.count()).unwrap_or(u32::MAX),
        }
    }

    fn user_now(&self) -> User {
        self.access
            .describe(self.access.current())
            .unwrap_or_default()
    }

    // ---- Towards the shell ----------------------------------------------------------------------

    /// Whether the shell's ring has room beyond what is reserved for notices.
    fn has_room(&self) -> bool {
        self.shell.free() > RESERVE
    }

    /// Sends an event to the shell; false if there is no room.
    fn tell_shell(&mut self, request: u32, event: &Event<'_>) -> bool {
        event.write(request, &mut self.outgoing);
        let sent = self.shell.send(&self.outgoing).is_ok();
        self.signal_shell |= sent;
        sent
    }

    /// Lets the shell begin; again later, if there is no room now: without it there is no console.
    fn tell_ready(&mut self) {
        let user = self.user_now();
        self.ready_owed = !self.tell_shell(0, &Event::Ready(user));
    }

    /// Sends what is for the shell and found no room before: first why, then whom it cost, then lists.
    fn deliver(&mut self, now: u64) {
        if let Some(fault) = self.pending_fault
            && self.tell_shell(0, &Event::Fault(fault))
        {
            self.pending_fault = None;
        }
        if self.pending_fault.is_some() {
            return;
        }
        if self.ready_owed {
            self.tell_ready();
        }
        while let Some(index) = self.table.iter().position(Entry::is_over) {
            let Some((origin, State::Ended(failure))) = self
                .table
                .get(index)
                .map(|entry| (entry.origin, entry.state))
            else {
                return;
            };
            if let Origin::Shell(request) = origin {
                if !self.has_room() {
                    return;
                }
                self.tell_shell(request, &failed(failure));
            }
            self.forget(index);
        }
        self.deliver_lists(now);
    }

    fn forget(&mut self, index: usize) {
        if index < self.table.len() {
            self.table.swap_remove(index);
        }
    }

    /// Audit's own load is over.
    fn forget_own(&mut self) {
        let own = |entry: &Entry| entry.origin == Origin::Audit;
        while let Some(index) = self.table.iter().position(own) {
            self.forget(index);
        }
    }

    /// Passes the last event of a request on and forgets the request.
    fn answer(&mut self, index: usize, event: &Event<'_>) {
        if let Some(Origin::Shell(request)) = self.table.get(index).map(|entry| entry.origin) {
            self.tell_shell(request, event);
        }
        self.forget(index);
    }

    /// Refuses a request before inference sees it. It has cost nothing.
    fn refuse(&mut self, request: u32, failure: Failure, record: Record, now: u64) {
        self.stats.refused = self.stats.refused.saturating_add(1);
        let count = self.stats.refused_by_code.get_mut(failure.code as usize);
        if let Some(count) = count {
            *count = count.saturating_add(1);
        }
        let record = Record {
            code: failure.code as u16,
            value: failure.value,
            limit: failure.limit,
            ..record
        };
        self.record(record, now);
        let about = match failure.code {
            ErrorCode::NotPermitted => model_name(&self.access.name(self.access.current())),
            _ => record.name,
        };
        let detail = about.as_str().as_bytes();
        self.tell_shell(request, &Event::Failed { failure, detail });
    }

    // ---- Towards inference ----------------------------------------------------------------------

    /// Enters a request into the table and writes its command into inference's ring.
    fn forward(
        &mut self,
        entry: Entry,
        command: &protocol::wire::engine::Command<'_>,
    ) -> Result<(), Failure> {
        let number = entry.number;
        let shell = matches!(entry.origin, Origin::Shell(_));
        let places = crate::table::SHELL_PLACES;
        let taken = self.table.len();
        // Audit's own load has a place that no user can take.
        if (shell && taken >= places) || self.table.is_full() {
            let (value, limit) = (taken as u64, places as u64);
            return Err(Failure::over(ErrorCode::TooManyRequests, value, limit));
        }
        command.write(number, &mut self.outgoing);
        if self.inference.send(&self.outgoing).is_err() {
            let in_use = SLOTS.saturating_sub(self.inference.free());
            return Err(Failure::over(ErrorCode::Busy, in_use as u64, SLOTS as u64));
        }
        self.last_number = number;
        self.signal_inference = true;
        // There is room: it was looked for.
        let _ = self.table.push(entry);
        Ok(())
    }

    /// A request that is new to inference.
    fn entry(&self, origin: Origin, work: Work, allowed_us: u64, now: u64) -> Entry {
        Entry {
            origin,
            user: self.access.current(),
            number: self.last_number.wrapping_add(1).max(1),
            work,
            state: State::Active,
            admitted_us: now,
            deadline_us: now.saturating_add(allowed_us),
        }
    }
}

/// A name of somebody or something in a record's field for models.
fn model_name<const N: usize>(name: &Name<N>) -> ModelName {
    ModelName::new(name.as_str()).unwrap_or_default()
}

fn failed(failure: Failure) -> Event<'static> {
    Event::Failed {
        failure,
        detail: &[],
    }
}
