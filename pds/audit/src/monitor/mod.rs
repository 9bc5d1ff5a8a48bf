//! The monitor itself: all state in one struct, and a bounded reaction to every wake-up.
//!
//! [`requests`] has what shell asks for, [`reports`] what inference says, [`recovery`] models, restarts and deadlines,
//! [`lists`] answers of more than one event, [`notices`] what the shell is told unasked, [`records`] what is written down
//! and counted.

mod lists;
mod notices;
mod records;
mod recovery;
mod reports;
mod requests;

use crate::access::{Access, KdfBlock};
use crate::counters::{Latencies, Recent};
use crate::egress::Egress;
use crate::log::Log;
use crate::models::{Models, Verified};
use crate::quota::Accounts;
use crate::repeats::{AllRepeats, Repeats};
use crate::sessions::Sessions;
use crate::shares::Shares;
use crate::table::{Entry, NEVER_US, Origin, State, Table, Work};
use lists::Lists;
use notices::Notices;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{DEFAULT_MODEL, MAX_RESTARTS};
use protocol::name::{ModelName, Name};
use protocol::policy::{Policy, PolicyError};
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::Fault;
use protocol::wire::client::{Event, Stats, User};
use protocol::wire::engine::{self, Loaded};
use zerocopy::FromZeros as _;

/// What audit needs from its runtime.
pub trait Port {
    /// Microseconds since any fixed moment, never falling. Time passes while audit works, so it is read again before the
    /// timer is armed.
    fn now_us(&mut self) -> u64;
    /// Tells the shell to look at its ring.
    fn notify_shell(&mut self);
    /// Tells inference to look at its ring.
    fn notify_inference(&mut self);
    /// Asks for a wake-up at this time, or for none. Only a hint: the watchdog comes anyway.
    fn arm_timer(&mut self, at_us: Option<u64>);
    /// Stops inference for good, then starts it anew from its first instruction. When it succeeds, nothing of the old
    /// one runs any more.
    ///
    /// # Errors
    /// The runtime has refused it. After [`ControlError::NotStopped`] inference may run on.
    fn restart_inference(&mut self) -> Result<(), ControlError>;
    /// Stops inference until [`Self::restart_inference`].
    ///
    /// # Errors
    /// The runtime has refused it: inference may run on.
    fn stop_inference(&mut self) -> Result<(), ControlError>;
}

/// What the runtime has refused audit, which holds inference's thread. It means that the system was built wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// To stop it.
    #[error("inference cannot be stopped")]
    NotStopped,
    /// To start it anew: it is stopped.
    #[error("inference is stopped and cannot be started")]
    NotStarted,
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

/// Slots of the shell's ring that must be free before a request or a report is read: handling one sends at most one event
/// more than this (a login ends four lists and is answered), so no answer is lost.
const RESERVE: usize = 4;

/// Bytes that are hashed in a wake-up (32 KiB): slices of a model or of the log, and prompts. Without instructions for
/// SHA-256 a Cortex-A53 takes 20 to 25 cycles a byte, so about 0.6 ms at 1.2 GHz; a wake-up stays under 2 ms with the
/// request that is at hand when they are used up. More would hold up the tokens of others, less would make a load slower.
pub(crate) const WORK_BYTES: usize = 32 << 10;

/// Between two such slices, from the end of the one to the wake-up for the next, in microseconds (1 ms): about as long as
/// a slice, so that shell and inference get half of the time meanwhile.
pub(crate) const PAUSE_US: u64 = 1_000;

/// Least time from the end of a wake-up to the next one that audit asks for, in microseconds (0.2 ms): whatever asks for
/// it, audit never runs again at once, so that lower domains run in between. A deadline is noticed this much later.
pub(crate) const GAP_US: u64 = 200;

/// What the system is doing as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first model is being loaded; the shell does not take commands yet.
    Booting,
    /// As it should be.
    Serving,
    /// Inference was restarted at this time and loads its model again.
    Recovering { since_us: u64 },
    /// Too many restarts, or the runtime has refused one: inference is not heard until an admin resets it.
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
    table: Table<'m>,
    models: Models<'m>,
    egress: Egress,
    lists: Lists,
    phase: Phase,
    /// Counters; the rest is filled in when somebody asks.
    stats: Stats,
    /// Refusals by [`ErrorCode`].
    refused_by_code: [u32; ErrorCode::END],
    latencies: Latencies,
    recent: Recent,
    /// Since when at least one request for text is under way.
    busy_since_us: Option<u64>,
    shares: Shares,
    repeats: AllRepeats,
    violations: [Repeats; 2],
    booted_us: u64,
    epoch: u32,
    last_number: u32,
    /// What is loaded again after a restart.
    wanted: ModelName,
    current: Option<Current>,
    /// Times of the restarts within the policy's window.
    restarts_us: heapless::Deque<u64, MAX_RESTARTS>,
    /// Why audit has stopped trying, if it was not for too many restarts.
    refused: Option<ControlError>,
    notices: Notices,
    /// The shell's ring had room when audit woke, so that inference could say what it has to: who is not heard because
    /// the shell does not read is not to blame for a deadline. Looked at before inference's ring, whose reports take
    /// room.
    heard: bool,
    /// Inference's ring may hold what the egress cap has no room for yet.
    throttled: bool,
    /// Since when there has been no room in inference's ring whenever audit woke. Looked at then, as the shell may have
    /// filled it again when audit has read the shell's.
    full_since_us: Option<u64>,
    /// Bytes that may still be hashed in this wake-up.
    work: usize,
    /// There is more to do, and nobody to wait for.
    works: bool,
    /// The last wake-up has left something for the shell that found no room, or goes on.
    owes: bool,
    /// What is being written for each peer. One frame for both would carry bytes of one's messages to the other.
    to_shell: Frame,
    to_inference: Frame,
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
                stats: Stats::default(),
                refused_by_code: [0; ErrorCode::END],
                latencies: Latencies::new(),
                recent: Recent::new(),
                busy_since_us: None,
                shares: Shares::new(&policy, 0),
                repeats: AllRepeats::new(),
                violations: [Repeats::NONE; 2],
                booted_us: 0,
                epoch: 0,
                last_number: 0,
                // The name in the table of limits is one.
                wanted: ModelName::new(DEFAULT_MODEL).unwrap_or_default(),
                current: None,
                restarts_us: heapless::Deque::new(),
                refused: None,
                notices: Notices::default(),
                heard: true,
                throttled: false,
                full_since_us: None,
                work: WORK_BYTES,
                works: false,
                owes: false,
                to_shell: Frame::new(),
                to_inference: Frame::new(),
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
        let now = self.monitor.wake_up(port);
        self.monitor.look(now);
        if self.monitor.owes {
            // Not lists: they would take the room that what inference has to say needs.
            self.monitor.deliver_owed();
        }
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

    /// Whether these bytes lie in the frame for messages that come in.
    #[cfg(test)]
    pub(crate) fn still_holds(&mut self, bytes: &[u8]) -> bool {
        let frame = self.incoming.begin(0, 0);
        frame.windows(bytes.len()).any(|window| window == bytes)
    }

    /// The log, for readers.
    #[must_use]
    pub const fn log(&self) -> &Log<'m> {
        &self.monitor.log
    }
}

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    fn start(&mut self, port: &mut impl Port) {
        let now = self.wake_up(port);
        self.booted_us = now;
        self.accounts = Accounts::new(self.access.policy(), now);
        self.egress = Egress::new(self.access.policy(), now);
        self.shares = Shares::new(self.access.policy(), now);
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

    /// Begins a wake-up: the time, by which all of it goes.
    fn wake_up(&mut self, port: &mut impl Port) -> u64 {
        self.work = WORK_BYTES;
        self.works = false;
        port.now_us()
    }

    /// Goes on with what takes longer, checks deadlines, sends what has waited, signals, arms the timer.
    fn finish_wake_up(&mut self, now: u64, port: &mut impl Port) {
        self.advance_load(now);
        self.check_deadlines(now, port);
        self.ask_again_to_stop();
        self.record_violations(now);
        self.record_repeats(now);
        if self.owes_shell() {
            self.deliver(now);
        }
        self.owes = self.owes_shell();
        self.signal_shell |= self.shell.take_owed_signal();
        self.signal_inference |= self.inference.take_owed_signal();
        if core::mem::take(&mut self.signal_shell) {
            port.notify_shell();
        }
        if core::mem::take(&mut self.signal_inference) {
            port.notify_inference();
        }
        // Not by the time at the beginning: a wake-up that took long would ask for one that is past, and run again at once.
        let now = port.now_us();
        port.arm_timer(self.next_wake_up(now));
    }

    /// When audit wants to look again of its own accord.
    fn next_wake_up(&self, now: u64) -> Option<u64> {
        let deadlines = self.table.iter().filter_map(|entry| match entry.state {
            State::Active => Some(entry.deadline_us).filter(|at| *at != NEVER_US),
            State::Stopping { until_us } => Some(until_us),
            State::Ended(_) => None,
        });
        let slice = self.works.then_some(now.saturating_add(PAUSE_US));
        let egress = self.throttled.then(|| self.egress.next_us());
        let next = deadlines.chain(egress).chain(slice).min();
        next.map(|at| at.max(now.saturating_add(GAP_US)))
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
        event.write(request, &mut self.to_shell);
        let sent = self.shell.send(&self.to_shell).is_ok();
        self.signal_shell |= sent;
        sent
    }

    /// Whether something waits to be told to the shell, or goes on.
    fn owes_shell(&self) -> bool {
        !self.lists.is_empty() || !self.notices.is_empty() || self.table.iter().any(Entry::is_over)
    }

    /// Sends what is for the shell and found no room before: first why, then whom it cost, then lists.
    fn deliver(&mut self, now: u64) {
        if self.deliver_owed() {
            self.deliver_lists(now);
        }
    }

    /// Sends what must be told; true if all of it was.
    fn deliver_owed(&mut self) -> bool {
        if !self.deliver_fault() {
            return false;
        }
        while let Some(index) = self.table.iter().position(Entry::is_over) {
            let Some(entry) = self.table.get(index) else {
                return false;
            };
            if let (Origin::Shell(request), State::Ended(failure)) = (entry.origin, entry.state) {
                if !self.has_room() {
                    return false;
                }
                // What it was about: the model of a load that was refused.
                let name = match &entry.work {
                    Work::Verify(verification) => verification.name(),
                    Work::Load(verified) => verified.name,
                    Work::Infer(_) | Work::Status => ModelName::EMPTY,
                };
                let detail = name.as_str().as_bytes();
                self.tell_shell(request, &Event::Failed { failure, detail });
            }
            self.forget(index);
        }
        self.deliver_notices();
        true
    }

    /// Forgets a request, and gives its user back what it has not used of the share of the log.
    fn forget(&mut self, index: usize) {
        if index < self.table.len() {
            let entry = self.table.swap_remove(index);
            self.shares.give_back(entry.user, entry.share);
        }
    }

    /// Audit's own load is over.
    fn forget_own(&mut self) {
        let own = |entry: &Entry<'_>| entry.origin == Origin::Audit;
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
        self.record_refusal(self.access.current(), failure, record, now);
        let about = match failure.code {
            ErrorCode::NotPermitted => model_name(&self.access.name(self.access.current())),
            _ => record.name,
        };
        let detail = about.as_str().as_bytes();
        self.tell_shell(request, &Event::Failed { failure, detail });
    }

    // ---- Towards inference ----------------------------------------------------------------------

    /// Whether the table has a place for a request of a user. Audit's own load has one that no user can take.
    fn require_place(&self) -> Result<(), Failure> {
        let (taken, places) = (self.table.len(), crate::table::SHELL_PLACES);
        match taken < places {
            true => Ok(()),
            false => Err(Failure::over(
                ErrorCode::TooManyRequests,
                taken as u64,
                places as u64,
            )),
        }
    }

    /// Writes a command into inference's ring.
    fn command(&mut self, number: u32, command: &engine::Command<'_>) -> Result<(), Failure> {
        command.write(number, &mut self.to_inference);
        if self.inference.send(&self.to_inference).is_err() {
            let in_use = SLOTS.saturating_sub(self.inference.free());
            return Err(Failure::over(ErrorCode::Busy, in_use as u64, SLOTS as u64));
        }
        self.signal_inference = true;
        Ok(())
    }
}

impl<'m, R: ReadWords, W: WriteWords> Monitor<'m, R, W> {
    /// Enters a request into the table; there is room, it was looked for.
    fn enter(&mut self, entry: Entry<'m>) {
        self.last_number = entry.number;
        let _ = self.table.push(entry);
    }

    /// A request by who is logged in.
    fn entry(&self, origin: Origin, work: Work<'m>, allowed_us: u64, now: u64) -> Entry<'m> {
        Entry {
            origin,
            user: self.access.current(),
            number: self.last_number.wrapping_add(1).max(1),
            work,
            state: State::Active,
            share: 0,
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
