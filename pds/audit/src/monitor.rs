//! The monitor itself: all state in one struct, and a bounded reaction to every wake-up.

use crate::log::{Kind, Log, Record};
use crate::table::{Entry, Origin, State, Table, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{
    CONTROL_DEADLINE_US, DEFAULT_MODEL, INFERENCE_DEADLINE_US, LOAD_DEADLINE_US, MAX_NAME_BYTES,
    MAX_SESSIONS, STOP_GRACE_US,
};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::{self, Event, Fault, FaultKind, InferParams, Request, Stats};

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
    /// Stops inference for good, then starts it anew from its first instruction. When it returns,
    /// nothing of the old one runs any more.
    fn restart_inference(&mut self);
}

/// Slots of the shell's ring that events of inference leave free, so that audit's own notices find
/// room: a fault, an end of recovery, and the failure of a load with the ready event after it.
const RESERVE: usize = 4;

/// Restarts without a load in between after which audit gives up. A model that kills inference
/// whenever it is loaded would otherwise take all of the time below shell for ever.
const MAX_RESTARTS_IN_A_ROW: u32 = 5;

/// Models that a list may have: many times what a store of 8 MiB holds. It bounds what one request
/// can make inference send.
const MAX_LISTED: u32 = 1024;

/// Tokens that a prompt has at most beyond its bytes: one for the beginning of the text, one for
/// the space in front.
const EXTRA_PROMPT_TOKENS: u32 = 2;

/// What the system is doing as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first model is being loaded; the shell does not take commands yet.
    Booting,
    /// As it should be.
    Serving,
    /// Inference was restarted at this time and loads its model again.
    Recovering { since_us: u64 },
    /// Too many restarts in a row; inference stays down.
    Stopped,
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
    table: Table,
    phase: Phase,
    stats: Stats,
    booted_us: u64,
    epoch: u32,
    last_number: u32,
    /// What is loaded again after a restart.
    model: heapless::String<MAX_NAME_BYTES>,
    restarts_in_a_row: u32,
    /// Notices that the shell's ring had no room for.
    pending_fault: Option<Fault>,
    outgoing: Frame,
    signal_shell: bool,
    signal_inference: bool,
}

impl<'m, R: ReadWords, W: WriteWords> Audit<'m, R, W> {
    /// A monitor that has not started.
    pub fn new(shell: Endpoint<R, W>, inference: Endpoint<R, W>, log: &'m mut [u8]) -> Self {
        Self {
            monitor: Monitor {
                shell,
                inference,
                log: Log::new(log),
                table: Table::new(),
                phase: Phase::Booting,
                stats: Stats::default(),
                booted_us: 0,
                epoch: 0,
                last_number: 0,
                // The name in the table of limits is short enough.
                model: heapless::String::try_from(DEFAULT_MODEL).unwrap_or_default(),
                restarts_in_a_row: 0,
                pending_fault: None,
                outgoing: Frame::new(),
                signal_shell: false,
                signal_inference: false,
            },
            incoming: Frame::new(),
        }
    }

    /// Begins the first epoch and asks for the default model. Once, before anything else.
    pub fn start(&mut self, port: &mut impl Port) {
        self.monitor.start(port);
    }

    /// A peer has signalled: looks at both rings.
    pub fn on_signal(&mut self, port: &mut impl Port) {
        let now = port.now_us();
        self.monitor.deliver();
        self.monitor.read_inference(&mut self.incoming, now, port);
        self.monitor.read_shell(&mut self.incoming, now);
        self.monitor.finish_wake_up(now, port);
    }

    /// The trusted watchdog has ticked: looks at the deadlines, and at the rings in case a signal
    /// was lost on us.
    pub fn on_watchdog(&mut self, port: &mut impl Port) {
        self.on_signal(port);
    }

    /// The timer that [`Port::arm_timer`] asked for may have fired.
    pub fn on_timer(&mut self, port: &mut impl Port) {
        self.on_signal(port);
    }

    /// Inference has died, or says so: a fault message may be forged, so it is written down and
    /// answered by a restart, and believed no further.
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
        self.epoch = 1;
        self.shell.lead(self.epoch);
        self.inference.lead(self.epoch);
        self.record(Record::new(Kind::Boot), now);
        self.load_model(now);
        // The peers may be waiting for their epoch already.
        self.signal_shell = true;
        self.signal_inference = true;
        self.finish_wake_up(now, port);
    }

    fn on_fault(&mut self, fault: Fault, port: &mut impl Port) {
        let now = port.now_us();
        self.stats.faults = self.stats.faults.saturating_add(1);
        self.restart(fault, ErrorCode::InferenceFault, now, port);
        self.finish_wake_up(now, port);
    }

    /// Checks deadlines, sends what has waited, arms the timer, signals.
    fn finish_wake_up(&mut self, now: u64, port: &mut impl Port) {
        self.check_deadlines(now, port);
        self.deliver();
        self.signal_shell |= self.shell.take_owed_signal();
        self.signal_inference |= self.inference.take_owed_signal();
        if core::mem::take(&mut self.signal_shell) {
            port.notify_shell();
        }
        if core::mem::take(&mut self.signal_inference) {
            port.notify_inference();
        }
        port.arm_timer(self.next_deadline());
    }

    fn record(&mut self, record: Record, now: u64) {
        self.log.append(record, now.saturating_sub(self.booted_us));
        self.stats.records = self.log.written();
    }

    // ---- Towards the shell ------------------------------------------------------------------

    /// Sends an event to the shell; false if there is no room.
    fn tell_shell(&mut self, request: u32, event: &Event<'_>) -> bool {
        event.write(request, &mut self.outgoing);
        let sent = self.shell.send(&self.outgoing).is_ok();
        self.signal_shell |= sent;
        sent
    }

    /// Sends what is for the shell and found no room before: first why, then whom it cost.
    fn deliver(&mut self) {
        if let Some(fault) = self.pending_fault
            && self.tell_shell(0, &Event::Fault(fault))
        {
            self.pending_fault = None;
        }
        if self.pending_fault.is_some() {
            return;
        }
        let ended = |entry: &Entry| matches!(entry.state, State::Ended(_));
        while let Some(index) = self.table.iter().position(ended) {
            let Some(Entry {
                origin,
                state: State::Ended(failure),
                ..
            }) = self.table.get(index).copied()
            else {
                return;
            };
            if let Origin::Shell(request) = origin
                && !self.tell_shell(
                    request,
                    &Event::Failed {
                        failure,
                        detail: &[],
                    },
                )
            {
                return;
            }
            self.forget(index);
        }
    }

    fn forget(&mut self, index: usize) {
        if index < self.table.len() {
            self.table.swap_remove(index);
        }
    }

    /// Refuses a request before inference sees it.
    fn refuse(&mut self, request: u32, failure: Failure, now: u64) {
        self.stats.refused = self.stats.refused.saturating_add(1);
        let record = Record {
            code: failure.code as u16,
            value: failure.value,
            limit: failure.limit,
            ..Record::new(Kind::Refuse)
        };
        self.record(record, now);
        self.tell_shell(
            request,
            &Event::Failed {
                failure,
                detail: &[],
            },
        );
    }

    // ---- From the shell ---------------------------------------------------------------------

    /// Reads at most a ring's worth of requests, as long as answers find room.
    fn read_shell(&mut self, frame: &mut Frame, now: u64) {
        for _ in 0..SLOTS {
            if self.shell.free() <= RESERVE {
                return;
            }
            match self.shell.receive(frame) {
                Ok(true) => self.handle_request(frame, now),
                Ok(false) => return,
                Err(_) => self.count_violation(now),
            }
        }
    }

    fn count_violation(&mut self, now: u64) {
        self.stats.violations = self.stats.violations.saturating_add(1);
        self.record(Record::new(Kind::Violation), now);
    }

    fn handle_request(&mut self, frame: &Frame, now: u64) {
        let id = frame.header().request;
        let Ok(request) = Request::parse(frame) else {
            self.count_violation(now);
            self.tell_shell(id, &failed(Failure::of(ErrorCode::Unsupported)));
            return;
        };
        match request {
            Request::Cancel => self.cancel(id, now),
            Request::Stats => {
                let stats = Stats {
                    uptime_us: now.saturating_sub(self.booted_us),
                    ..self.stats
                };
                self.tell_shell(id, &Event::Stats(stats));
            }
            Request::Infer { params, prompt } => {
                if let Err(failure) = check_infer(&params, prompt) {
                    self.refuse(id, failure, now);
                } else {
                    self.admit(id, &request, now);
                }
            }
            Request::Load { name } => {
                if let Err(failure) = wire::check_name(name) {
                    self.refuse(id, failure, now);
                } else {
                    self.admit(id, &request, now);
                }
            }
            Request::Models | Request::Status => self.admit(id, &request, now),
        }
    }

    /// Lets a checked request through to inference, if there is room for it.
    fn admit(&mut self, id: u32, request: &Request<'_>, now: u64) {
        if self.phase == Phase::Stopped {
            return self.refuse(id, Failure::of(ErrorCode::NoModel), now);
        }
        // 0 stands for no request, and a number that is in use would mix up two answers.
        if id == 0 || self.find_shell(id).is_some() {
            return self.refuse(
                id,
                Failure::over(ErrorCode::NoSuchRequest, u64::from(id), 0),
                now,
            );
        }
        if let Err(failure) = self.forward(Origin::Shell(id), request, now) {
            self.refuse(id, failure, now);
        }
    }

    /// Enters a request into the table and writes it into inference's ring.
    fn forward(&mut self, origin: Origin, request: &Request<'_>, now: u64) -> Result<(), Failure> {
        let (work, deadline, limit, prompt_bytes) = match request {
            Request::Infer { params, prompt } => (
                Work::Infer,
                INFERENCE_DEADLINE_US,
                params.max_tokens,
                prompt.len(),
            ),
            Request::Load { .. } => (Work::Load, LOAD_DEADLINE_US, 0, 0),
            Request::Models => (Work::Models, CONTROL_DEADLINE_US, MAX_LISTED, 0),
            _ => (Work::Status, CONTROL_DEADLINE_US, 0, 0),
        };
        // Audit's own load has a place that no user can take.
        if origin != Origin::Audit && self.table.len() >= MAX_SESSIONS {
            let limit = MAX_SESSIONS as u64;
            return Err(Failure::over(ErrorCode::TooManyRequests, limit, limit));
        }
        let number = self.last_number.wrapping_add(1).max(1);
        request.write(number, &mut self.outgoing);
        if self.inference.send(&self.outgoing).is_err() {
            let in_use = SLOTS.saturating_sub(self.inference.free());
            return Err(Failure::over(ErrorCode::Busy, in_use as u64, SLOTS as u64));
        }
        self.last_number = number;
        self.signal_inference = true;
        let entry = Entry {
            origin,
            number,
            work,
            state: State::Active,
            admitted_us: now,
            deadline_us: now.saturating_add(deadline),
            first_token_us: None,
            passed: 0,
            limit,
            max_prompt_tokens: u32::try_from(prompt_bytes)
                .unwrap_or(u32::MAX)
                .saturating_add(EXTRA_PROMPT_TOKENS),
        };
        // The table is not full.
        let _ = self.table.push(entry);
        if work == Work::Infer {
            self.stats.admitted = self.stats.admitted.saturating_add(1);
            let value = prompt_bytes as u64;
            let record = Record {
                request: number,
                value,
                ..Record::new(Kind::Admit)
            };
            self.record(record, now);
        }
        Ok(())
    }

    /// The user wants a generation to end. Inference answers it like any other end.
    fn cancel(&mut self, id: u32, now: u64) {
        let Some(index) = self.find_shell(id) else {
            self.tell_shell(id, &failed(Failure::of(ErrorCode::NoSuchRequest)));
            return;
        };
        let Some(entry) = self.table.get(index).copied() else {
            return;
        };
        if entry.work == Work::Infer && entry.state == State::Active {
            let record = Record {
                request: entry.number,
                ..Record::new(Kind::Cancel)
            };
            self.record(record, now);
            self.ask_to_stop(entry.number);
        }
    }

    /// A full ring swallows it; then the deadline ends the request.
    fn ask_to_stop(&mut self, number: u32) {
        Request::Cancel.write(number, &mut self.outgoing);
        self.signal_inference |= self.inference.send(&self.outgoing).is_ok();
    }

    fn find_shell(&self, id: u32) -> Option<usize> {
        self.table
            .iter()
            .position(|entry| entry.origin == Origin::Shell(id))
    }

    // ---- From inference ---------------------------------------------------------------------

    /// Reads at most a ring's worth of events, as long as the shell has room for them.
    fn read_inference(&mut self, frame: &mut Frame, now: u64, port: &mut impl Port) {
        for _ in 0..SLOTS {
            if self.shell.free() <= RESERVE || self.phase == Phase::Stopped {
                return;
            }
            let violated = match self.inference.receive(frame) {
                Ok(true) => self.handle_event(frame, now).is_err(),
                Ok(false) => return,
                Err(_) => true,
            };
            if violated {
                self.count_violation(now);
                let fault = Fault {
                    kind: FaultKind::Violation,
                    ip: 0,
                    address: 0,
                };
                self.restart(fault, ErrorCode::ProtocolViolation, now, port);
                return;
            }
        }
    }

    /// Checks an event against the request that it belongs to and passes it on.
    fn handle_event(&mut self, frame: &Frame, now: u64) -> Result<(), Breach> {
        let event = Event::parse(frame).map_err(|_| Breach)?;
        let number = frame.header().request;
        if event == Event::Ready {
            // It has joined the epoch; its requests wait in the ring already.
            return Ok(());
        }
        let found = self
            .table
            .iter()
            .position(|entry| entry.number == number && !matches!(entry.state, State::Ended(_)));
        let Some(index) = found else {
            // An answer to what is over, such as the failure of a late cancel: dropped.
            self.count_violation(now);
            return Ok(());
        };
        let Some(entry) = self.table.get_mut(index) else {
            return Err(Breach);
        };
        match (entry.work, event) {
            (Work::Infer, Event::Token { .. }) | (Work::Models, Event::Model { .. }) => {
                entry.passed = entry.passed.saturating_add(1);
                if entry.passed > entry.limit {
                    return Err(Breach);
                }
                entry.first_token_us.get_or_insert(now);
                if let Origin::Shell(request) = entry.origin {
                    self.tell_shell(request, &event);
                }
                Ok(())
            }
            (Work::Infer, Event::Finished(finished)) => self.finish(index, finished, now),
            (Work::Load, Event::Loaded { name, .. }) => {
                self.finish_load(index, &event, name, now);
                Ok(())
            }
            (Work::Models, Event::Listed { .. }) => {
                self.answer(index, &event);
                Ok(())
            }
            (Work::Status, Event::Status { status, model }) => {
                let restarts = u32::try_from(self.stats.restarts).unwrap_or(u32::MAX);
                let active = self
                    .table
                    .iter()
                    .filter(|entry| entry.work == Work::Infer)
                    .count();
                let active = u32::try_from(active).unwrap_or(u32::MAX);
                let status = wire::Status {
                    restarts,
                    active,
                    ..status
                };
                self.answer(index, &Event::Status { status, model });
                Ok(())
            }
            (_, Event::Failed { failure, detail }) => {
                self.fail(index, failure, detail, now);
                Ok(())
            }
            _ => Err(Breach),
        }
    }

    /// Passes the last event of a request on and forgets the request.
    fn answer(&mut self, index: usize, event: &Event<'_>) {
        if let Some(Origin::Shell(request)) = self.table.get(index).map(|entry| entry.origin) {
            self.tell_shell(request, event);
        }
        self.forget(index);
    }

    /// A generation has ended. Its tokens are those that passed, its times are audit's.
    fn finish(&mut self, index: usize, said: wire::Finished, now: u64) -> Result<(), Breach> {
        let Some(entry) = self.table.get(index).copied() else {
            return Err(Breach);
        };
        if said.generated_tokens != entry.passed || said.prompt_tokens > entry.max_prompt_tokens {
            return Err(Breach);
        }
        let since = |time: u64| time.saturating_sub(entry.admitted_us);
        let total_us = since(now);
        let stats = &mut self.stats;
        stats.prompt_tokens = stats
            .prompt_tokens
            .saturating_add(u64::from(said.prompt_tokens));
        stats.busy_us = stats.busy_us.saturating_add(total_us);
        if matches!(entry.state, State::Stopping { .. }) {
            let failure = Failure::over(ErrorCode::Deadline, total_us, INFERENCE_DEADLINE_US);
            self.fail(index, failure, &[], now);
            return Ok(());
        }
        stats.generated_tokens = stats
            .generated_tokens
            .saturating_add(u64::from(entry.passed));
        if said.reason == wire::FinishReason::Cancelled {
            self.stats.cancelled = self.stats.cancelled.saturating_add(1);
        } else {
            self.stats.finished = self.stats.finished.saturating_add(1);
        }
        let record = Record {
            request: entry.number,
            code: said.reason as u16,
            value: total_us,
            prompt_tokens: said.prompt_tokens,
            generated_tokens: entry.passed,
            ..Record::new(Kind::Finish)
        };
        self.record(record, now);
        let first_token_us = entry.first_token_us.map_or(0, since);
        let finished = wire::Finished {
            first_token_us,
            total_us,
            ..said
        };
        self.answer(index, &Event::Finished(finished));
        Ok(())
    }

    /// A request has failed in inference.
    fn fail(&mut self, index: usize, failure: Failure, detail: &[u8], now: u64) {
        let Some(entry) = self.table.get(index).copied() else {
            return;
        };
        let record = Record {
            request: entry.number,
            code: failure.code as u16,
            value: failure.value,
            limit: failure.limit,
            ..Record::new(Kind::Fail)
        };
        self.record(record, now);
        self.stats.failed = self.stats.failed.saturating_add(1);
        self.stats.generated_tokens = match entry.work {
            Work::Infer => self
                .stats
                .generated_tokens
                .saturating_add(u64::from(entry.passed)),
            _ => self.stats.generated_tokens,
        };
        if entry.origin == Origin::Audit {
            // It answers, so it lives.
            self.restarts_in_a_row = 0;
            self.tell_shell(0, &Event::Failed { failure, detail });
            self.forget(index);
            self.end_own_load(now);
        } else {
            self.answer(index, &Event::Failed { failure, detail });
        }
    }

    // ---- Models and recovery ----------------------------------------------------------------

    /// Asks for the model that is, or should be, in service.
    fn load_model(&mut self, now: u64) {
        let name = self.model.clone();
        if self
            .forward(Origin::Audit, &Request::Load { name: &name }, now)
            .is_err()
        {
            // Neither table nor ring is full in a new epoch but by a peer's doing; the next
            // restart, or the user, tries again.
            self.end_own_load(now);
        }
    }

    fn finish_load(&mut self, index: usize, event: &Event<'_>, name: &str, now: u64) {
        self.restarts_in_a_row = 0;
        self.model = heapless::String::try_from(name).unwrap_or_default();
        self.record(Record::new(Kind::Load).named(name), now);
        let own_load = self
            .table
            .get(index)
            .is_some_and(|entry| entry.origin == Origin::Audit);
        self.answer(index, event);
        if own_load {
            self.end_own_load(now);
        }
    }

    /// The load that begins an epoch has ended, well or not: the system serves (again).
    fn end_own_load(&mut self, now: u64) {
        match core::mem::replace(&mut self.phase, Phase::Serving) {
            Phase::Booting => {
                self.tell_shell(0, &Event::Ready);
            }
            Phase::Recovering { since_us } => {
                let after_us = now.saturating_sub(since_us);
                self.record(
                    Record {
                        value: after_us,
                        ..Record::new(Kind::Recover)
                    },
                    now,
                );
                let restarts = u32::try_from(self.stats.restarts).unwrap_or(u32::MAX);
                self.tell_shell(0, &Event::Recovered { after_us, restarts });
            }
            phase @ (Phase::Serving | Phase::Stopped) => self.phase = phase,
        }
    }

    /// Ends every request, restarts inference in a new epoch, and asks for its model again.
    fn restart(&mut self, fault: Fault, code: ErrorCode, now: u64, port: &mut impl Port) {
        let record = Record {
            code: fault.kind as u16,
            value: fault.address,
            limit: fault.ip,
            ..Record::new(Kind::Fault)
        };
        self.record(record, now);
        for index in 0..self.table.len() {
            let Some(entry) = self.table.get_mut(index) else {
                break;
            };
            if matches!(entry.state, State::Ended(_)) {
                continue;
            }
            let failure = Failure::of(code);
            entry.state = State::Ended(failure);
            let request = entry.number;
            if entry.work == Work::Infer {
                self.stats.failed = self.stats.failed.saturating_add(1);
                self.stats.generated_tokens = self
                    .stats
                    .generated_tokens
                    .saturating_add(u64::from(entry.passed));
            }
            let record = Record {
                request,
                code: code as u16,
                ..Record::new(Kind::Fail)
            };
            self.record(record, now);
        }
        self.pending_fault = Some(fault);
        if self.restarts_in_a_row >= MAX_RESTARTS_IN_A_ROW {
            self.give_up();
            return;
        }
        self.restarts_in_a_row = self.restarts_in_a_row.saturating_add(1);
        self.stats.restarts = self.stats.restarts.saturating_add(1);
        if self.phase == Phase::Serving {
            self.phase = Phase::Recovering { since_us: now };
        }
        port.restart_inference();
        // After 2³² restarts epochs repeat; the messages of that first one are long gone.
        self.epoch = self.epoch.wrapping_add(1).max(1);
        self.inference.lead(self.epoch);
        self.signal_inference = true;
        // What has ended keeps its place until the shell knows; the own load needs one, too.
        self.table.retain(|entry| entry.origin != Origin::Audit);
        self.load_model(now);
    }

    fn give_up(&mut self) {
        self.deliver();
        if self.phase == Phase::Booting {
            self.tell_shell(0, &Event::Ready);
        }
        self.phase = Phase::Stopped;
        self.table.retain(|entry| entry.origin != Origin::Audit);
        self.tell_shell(0, &failed(Failure::of(ErrorCode::Unresponsive)));
    }

    // ---- Deadlines --------------------------------------------------------------------------

    fn check_deadlines(&mut self, now: u64, port: &mut impl Port) {
        let mut hung = false;
        for index in 0..self.table.len() {
            let Some(entry) = self.table.get_mut(index) else {
                break;
            };
            match entry.state {
                State::Active if entry.deadline_us <= now => {
                    let (number, asked) = (entry.number, entry.work == Work::Infer);
                    if asked {
                        let until_us = now.saturating_add(STOP_GRACE_US);
                        entry.state = State::Stopping { until_us };
                    }
                    self.stats.timeouts = self.stats.timeouts.saturating_add(1);
                    self.record(
                        Record {
                            request: number,
                            ..Record::new(Kind::Timeout)
                        },
                        now,
                    );
                    if asked {
                        self.ask_to_stop(number);
                    } else {
                        // A load or a question cannot be cancelled, and takes this long only if
                        // nobody is there.
                        hung = true;
                    }
                }
                State::Stopping { until_us } if until_us <= now => hung = true,
                _ => {}
            }
        }
        if hung {
            let fault = Fault {
                kind: FaultKind::Unresponsive,
                ip: 0,
                address: 0,
            };
            self.restart(fault, ErrorCode::Unresponsive, now, port);
        }
    }

    fn next_deadline(&self) -> Option<u64> {
        self.table
            .iter()
            .filter_map(|entry| match entry.state {
                State::Active => Some(entry.deadline_us),
                State::Stopping { until_us } => Some(until_us),
                State::Ended(_) => None,
            })
            .min()
    }
}

/// Inference broke the protocol.
struct Breach;

fn failed(failure: Failure) -> Event<'static> {
    Event::Failed {
        failure,
        detail: &[],
    }
}

fn check_infer(params: &InferParams, prompt: &[u8]) -> Result<(), Failure> {
    wire::check_prompt(prompt)?;
    params.check()
}
