//! Models, restarts and deadlines: how inference gets into service, and back into it.

use super::{ControlError, Monitor, Phase, Port};
use crate::models::Verified;
use crate::shares::ENTRY;
use crate::table::{Entry, NEVER_US, Origin, State, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::LOAD_DEADLINE_US;
use protocol::name::ModelName;
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Event, Progress, Stage};
use protocol::wire::{Fault, FaultKind, engine};

/// Entries of the log that a load by a user can cause: a cancel, a timeout, its end.
const LOAD_ENTRIES: u64 = 3;

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    // ---- Models -------------------------------------------------------------------------------

    /// A user wants a model.
    pub(super) fn load(&mut self, id: u32, name: ModelName, now: u64) -> Result<(), Failure> {
        self.access.require(Permission::Load)?;
        self.require_new(id)?;
        self.require_running()?;
        self.require_place()?;
        // Inference would refuse it while it generates, but only after the whole file was hashed.
        if self.is_loading() || self.active() > 0 {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        let verification = self.models.begin(name)?;
        let share = LOAD_ENTRIES.saturating_mul(ENTRY);
        self.take_share(share, now)?;
        let mut entry = self.entry(Origin::Shell(id), Work::Verify(verification), NEVER_US, now);
        entry.share = share;
        self.enter(entry);
        Ok(())
    }

    fn is_loading(&self) -> bool {
        self.table.iter().any(Entry::is_load)
    }

    /// Whether inference loads a model for a user: sessions that begin now would end with it.
    pub(super) fn is_loading_for_shell(&self) -> bool {
        self.table.iter().any(|entry| {
            matches!(entry.work, Work::Load(_)) && entry.origin != Origin::Audit && !entry.is_over()
        })
    }

    /// Begins to load the model that is, or should be, in service.
    pub(super) fn begin_own_load(&mut self, now: u64) {
        // Nobody writes the store, so the model in service need not be verified again. It must not be: requests are
        // admitted meanwhile, and would overtake it.
        let known = self.current.map(|current| current.verified);
        if let Some(verified) = known.filter(|verified| verified.name == self.wanted) {
            let work = Work::Load(verified);
            let entry = self.entry(Origin::Audit, work, LOAD_DEADLINE_US, now);
            let number = entry.number;
            self.enter(entry);
            if let Err(failure) = self.command(number, &load_command(&verified)) {
                self.forget_own();
                self.fail_own_load(failure, self.wanted, now);
            }
            return;
        }
        match self.models.begin(self.wanted) {
            Ok(verification) => {
                let work = Work::Verify(verification);
                let entry = self.entry(Origin::Audit, work, NEVER_US, now);
                self.enter(entry);
                self.advance_load(now);
            }
            Err(failure) => self.fail_own_load(failure, self.wanted, now),
        }
    }

    fn fail_own_load(&mut self, failure: Failure, name: ModelName, now: u64) {
        self.current = None;
        self.count_refusal(failure.code);
        let record = Record {
            name,
            code: failure.code as u16,
            value: failure.value,
            limit: failure.limit,
            count: 1,
            ..Record::new(Kind::Refuse)
        };
        self.record(record, now);
        self.notices.load_failed(failure, name.as_str().as_bytes());
        self.end_own_load(now);
    }

    /// Goes on with the verification of a model, a slice at a time, and then has inference load it. Audit's own load
    /// comes first.
    pub(super) fn advance_load(&mut self, now: u64) {
        let Self {
            table,
            models,
            access,
            work,
            ..
        } = self;
        let verifies =
            |entry: &Entry<'_>| matches!(entry.work, Work::Verify(_)) && !entry.is_over();
        let Some(first) = table.iter().position(verifies) else {
            return;
        };
        let own = table
            .iter()
            .position(|entry| verifies(entry) && entry.origin == Origin::Audit);
        let index = own.unwrap_or(first);
        let Some(entry) = table.get_mut(index) else {
            return;
        };
        let origin = entry.origin;
        let Work::Verify(verification) = &mut entry.work else {
            return;
        };
        let result = models.step(verification, access.policy(), work);
        let (done, total) = verification.progress();
        match result {
            None => {
                self.works = true;
                self.progress(origin, Stage::Verifying, done, total);
            }
            Some(Ok(verified)) => match self.hand_over(index, verified, now) {
                Ok(()) => self.progress(origin, Stage::Loading, 0, total),
                Err(failure) => self.refuse_load(index, failure, now),
            },
            Some(Err(failure)) => self.refuse_load(index, failure, now),
        }
    }

    /// Has inference load a model that was verified.
    fn hand_over(&mut self, index: usize, verified: Verified, now: u64) -> Result<(), Failure> {
        let busy = self.active() > 0;
        let Some(entry) = self.table.get_mut(index) else {
            return Ok(());
        };
        // A request for text that was admitted meanwhile: inference would refuse.
        if busy && entry.origin != Origin::Audit {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        let number = entry.number;
        entry.work = Work::Load(verified);
        entry.admitted_us = now;
        entry.deadline_us = now.saturating_add(LOAD_DEADLINE_US);
        self.command(number, &load_command(&verified))
    }

    /// A load ends before inference has heard of it.
    fn refuse_load(&mut self, index: usize, failure: Failure, now: u64) {
        let Some(entry) = self.table.get_mut(index) else {
            return;
        };
        let name = match &entry.work {
            Work::Verify(verification) => verification.name(),
            Work::Load(verified) => verified.name,
            Work::Infer(_) | Work::Status => ModelName::EMPTY,
        };
        if entry.origin == Origin::Audit {
            self.forget(index);
            return self.fail_own_load(failure, name, now);
        }
        entry.state = State::Ended(failure);
        let user = entry.user;
        let record = Record {
            name,
            user: self.access.name(user),
            ..Record::new(Kind::Refuse)
        };
        self.record_refusal(user, failure, record, now);
    }

    /// Ends the loads of users that are being verified.
    fn refuse_verifications(&mut self, failure: Failure, now: u64) {
        for index in 0..self.table.len() {
            let verifies = self.table.get(index).is_some_and(|entry| {
                matches!(entry.work, Work::Verify(_))
                    && entry.origin != Origin::Audit
                    && !entry.is_over()
            });
            if verifies {
                self.refuse_load(index, failure, now);
            }
        }
    }

    /// Tells how far a load has got, if there is room: the next slice says it again. Nobody waits for the load after a
    /// restart.
    fn progress(&mut self, origin: Origin, stage: Stage, done: u64, total: u64) {
        let request = match origin {
            Origin::Shell(request) => request,
            Origin::Forgotten => return,
            Origin::Audit if self.phase != Phase::Booting => return,
            Origin::Audit => 0,
        };
        if self.has_room() {
            let progress = Progress { stage, done, total };
            self.tell_shell(request, &Event::Progress(progress));
        }
    }

    /// The load that begins an epoch has ended, well or not: the system serves (again).
    pub(super) fn end_own_load(&mut self, now: u64) {
        match core::mem::replace(&mut self.phase, Phase::Serving) {
            Phase::Booting => self.notices.ready(),
            Phase::Recovering { since_us } => {
                let after_us = now.saturating_sub(since_us);
                let record = Record {
                    value: after_us,
                    limit: self.stats.restarts,
                    ..Record::new(Kind::Recover)
                };
                self.record(record, now);
                let restarts = u32::try_from(self.stats.restarts).unwrap_or(u32::MAX);
                self.notices.recovered(after_us, restarts);
            }
            phase @ (Phase::Serving | Phase::Stopped) => self.phase = phase,
        }
        // At once, if there is room: before anything that the new life says.
        self.deliver_owed();
    }

    // ---- Restarts -----------------------------------------------------------------------------

    pub(super) fn on_fault(&mut self, fault: Fault, port: &mut impl Port) {
        let now = self.wake_up(port);
        self.look(now);
        self.stats.faults = self.stats.faults.saturating_add(1);
        self.restart(fault, ErrorCode::InferenceFault, now, port);
        self.finish_wake_up(now, port);
    }

    /// Ends every request, restarts inference in a new epoch, and loads its model again; or stops trying.
    pub(super) fn restart(
        &mut self,
        fault: Fault,
        code: ErrorCode,
        now: u64,
        port: &mut impl Port,
    ) {
        let record = Record {
            code: fault.kind as u16,
            value: fault.address,
            limit: fault.ip,
            ..Record::new(Kind::Fault)
        };
        self.record(record, now);
        self.end_requests(code, now);
        self.notices.fault(fault);
        if self.phase == Phase::Stopped {
            return;
        }
        if self.is_exhausted(now) {
            return self.give_up(now, port);
        }
        self.start_over(now, port);
    }

    /// Whether there were as many restarts within the window as the policy allows.
    fn is_exhausted(&mut self, now: u64) -> bool {
        let policy = self.access.policy();
        let (most, window) = (policy.max_restarts as usize, policy.restart_window_us);
        while let Some(first) = self.restarts_us.front().copied()
            && now.saturating_sub(first) >= window
        {
            self.restarts_us.pop_front();
        }
        self.restarts_us.len() >= most.min(self.restarts_us.capacity())
    }

    fn start_over(&mut self, now: u64, port: &mut impl Port) {
        // There is room: `is_exhausted` has looked.
        let _ = self.restarts_us.push_back(now);
        self.stats.restarts = self.stats.restarts.saturating_add(1);
        if self.phase == Phase::Serving || self.phase == Phase::Stopped {
            self.phase = Phase::Recovering { since_us: now };
        }
        self.refused = port.restart_inference().err();
        if self.refused.is_some() {
            return self.stand_still(now);
        }
        self.full_since_us = None;
        self.notices.trying_again();
        // Not simply the next one: the life that is over may have left messages for that. After 2³² restarts epochs
        // repeat; the messages of that first one are long gone.
        self.epoch = self.inference.epoch_after(self.epoch);
        self.inference.lead(self.epoch);
        self.signal_inference = true;
        // What has ended keeps its place until the shell knows; the own load needs one, too.
        self.forget_own();
        self.begin_own_load(now);
        // A verification for a user goes on: it does not concern inference. Two at once do not.
        let verifies = |entry: &Entry<'_>| matches!(entry.work, Work::Verify(_));
        let own = |entry: &Entry<'_>| entry.origin == Origin::Audit && verifies(entry);
        if self.table.iter().any(own) {
            self.refuse_verifications(Failure::of(ErrorCode::ModelInUse), now);
        }
    }

    fn give_up(&mut self, now: u64, port: &mut impl Port) {
        self.refused = port.stop_inference().err();
        self.stand_still(now);
    }

    /// Stops trying: from here on nothing that inference says is read, even if it could not be stopped.
    fn stand_still(&mut self, now: u64) {
        let failure = self.why_stopped();
        let record = Record {
            code: self.refused.map_or(0, |_| failure.code as u16),
            value: failure.value,
            limit: failure.limit,
            ..Record::new(Kind::Stop)
        };
        self.record(record, now);
        if self.phase == Phase::Booting {
            self.notices.ready();
        }
        self.phase = Phase::Stopped;
        self.forget_own();
        self.refuse_verifications(failure, now);
        self.notices.exhausted(failure);
    }

    /// What a request is told while inference stays down.
    pub(super) fn why_stopped(&self) -> Failure {
        match self.refused {
            None => {
                let restarts = self.restarts_us.len() as u64;
                let window = self.access.policy().restart_window_us;
                Failure::over(ErrorCode::RestartsExhausted, restarts, window)
            }
            Some(ControlError::NotStopped) => Failure::over(ErrorCode::ControlRefused, 1, 0),
            Some(ControlError::NotStarted) => Failure::over(ErrorCode::ControlRefused, 2, 0),
        }
    }

    /// An admin wants audit to try again.
    pub(super) fn reset(&mut self, id: u32, now: u64, port: &mut impl Port) -> Result<(), Failure> {
        self.access.require(Permission::Reset)?;
        self.take_share(ENTRY, now)?;
        let record = self.record_of_user(Kind::Reset);
        self.record(record, now);
        self.restarts_us.clear();
        self.tell_shell(id, &Event::Done);
        if self.phase == Phase::Stopped {
            self.start_over(now, port);
        }
        Ok(())
    }

    // ---- Deadlines ----------------------------------------------------------------------------

    /// Notes, before a wake-up changes it, which rings have room.
    pub(super) fn look(&mut self, now: u64) {
        self.heard = self.has_room();
        if self.heard && self.phase != Phase::Stopped && self.inference.free() == 0 {
            self.full_since_us.get_or_insert(now);
        } else {
            self.full_since_us = None;
        }
    }

    pub(super) fn check_deadlines(&mut self, now: u64, port: &mut impl Port) {
        let grace = self.access.policy().stop_grace_us;
        let heard = self.heard;
        let mut hung = false;
        for index in 0..self.table.len() {
            let Some(entry) = self.table.get_mut(index) else {
                break;
            };
            match entry.state {
                State::Active if entry.deadline_us <= now => {
                    let allowed_us = entry.deadline_us.saturating_sub(entry.admitted_us);
                    let asked = entry.generation().is_some();
                    if !asked && !heard {
                        entry.deadline_us = now.saturating_add(grace);
                        continue;
                    }
                    if asked {
                        // From the deadline on: where the timer was disarmed, so that only the watchdog comes, the time
                        // until its tick counts.
                        let until_us = entry.deadline_us.saturating_add(grace);
                        hung |= heard && until_us <= now;
                        entry.state = State::Stopping { until_us };
                    }
                    let entry = entry.clone();
                    self.stats.timeouts = self.stats.timeouts.saturating_add(1);
                    let record = Record {
                        limit: allowed_us,
                        ..self.record_of(&entry, Kind::Timeout, now)
                    };
                    self.record_about(index, record, &[], now);
                    if asked {
                        self.ask_to_stop(index);
                    } else {
                        // A load or a question cannot be cancelled, and takes this long only if nobody is there.
                        hung = true;
                    }
                }
                State::Stopping { until_us } if until_us <= now => {
                    if heard {
                        hung = true;
                    } else {
                        let until_us = now.saturating_add(grace);
                        entry.state = State::Stopping { until_us };
                    }
                }
                _ => {}
            }
        }
        // With its ring full nothing is asked of inference, so that no request's deadline would find it out. A life that has
        // just begun, or has a load to do, is given the time of one.
        hung |= self
            .full_since_us
            .is_some_and(|since| now.saturating_sub(since) >= LOAD_DEADLINE_US);
        if hung {
            let fault = Fault {
                kind: FaultKind::Unresponsive,
                ip: 0,
                address: 0,
            };
            self.restart(fault, ErrorCode::Unresponsive, now, port);
        }
    }
}

fn load_command(verified: &Verified) -> engine::Command<'static> {
    engine::Command::Load {
        offset: verified.offset,
        bytes: verified.bytes,
    }
}
