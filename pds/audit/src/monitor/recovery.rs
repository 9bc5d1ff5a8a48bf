//! Models, restarts and deadlines: how inference gets into service, and back into it.

use super::{ControlError, Monitor, Phase, Port};
use crate::models::Verification;
use crate::table::{Origin, State, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::LOAD_DEADLINE_US;
use protocol::name::ModelName;
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::console::{Event, Progress, Stage};
use protocol::wire::{Fault, FaultKind, engine};

/// A model that is being verified, for somebody.
#[derive(Clone, Debug)]
pub(super) struct LoadJob<'m> {
    pub(super) origin: Origin,
    /// Who was logged in.
    user: usize,
    verification: Verification<'m>,
}

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    // ---- Models -------------------------------------------------------------------------------

    /// A user wants a model.
    pub(super) fn load(&mut self, id: u32, name: ModelName) -> Result<(), Failure> {
        self.access.require(Permission::Load)?;
        self.require_new(id)?;
        self.require_running()?;
        if self.load.is_some() || self.is_loading() {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        let verification = self.models.begin(name)?;
        self.load = Some(LoadJob {
            origin: Origin::Shell(id),
            user: self.access.current(),
            verification,
        });
        Ok(())
    }

    fn is_loading(&self) -> bool {
        self.table
            .iter()
            .any(|entry| matches!(entry.work, Work::Load(_)) && !entry.is_over())
    }

    /// Whether a load by a user is on its way: sessions that begin now would end with it.
    pub(super) fn is_loading_for_shell(&self) -> bool {
        self.table.iter().any(|entry| {
            matches!(entry.work, Work::Load(_)) && entry.origin != Origin::Audit && !entry.is_over()
        })
    }

    /// Begins to load the model that is, or should be, in service.
    pub(super) fn begin_own_load(&mut self, now: u64) {
        match self.models.begin(self.wanted) {
            Ok(verification) => {
                self.load = Some(LoadJob {
                    origin: Origin::Audit,
                    user: self.access.current(),
                    verification,
                });
                self.advance_load(now);
            }
            Err(failure) => self.fail_own_load(failure, self.wanted, now),
        }
    }

    fn fail_own_load(&mut self, failure: Failure, name: ModelName, now: u64) {
        self.current = None;
        let record = Record {
            name,
            ..Record::new(Kind::Refuse)
        };
        let detail = name;
        self.stats.refused = self.stats.refused.saturating_add(1);
        self.record(
            Record {
                code: failure.code as u16,
                value: failure.value,
                limit: failure.limit,
                ..record
            },
            now,
        );
        let detail = detail.as_str().as_bytes();
        self.tell_shell(0, &Event::Failed { failure, detail });
        self.end_own_load(now);
    }

    /// Goes on with the verification of a model, a slice at a time, and then has inference load it.
    pub(super) fn advance_load(&mut self, now: u64) {
        let Some(mut job) = self.load.take() else {
            return;
        };
        let result = self
            .models
            .step(&mut job.verification, self.access.policy());
        let request = match job.origin {
            Origin::Shell(request) => request,
            Origin::Audit => 0,
        };
        let (done, total) = job.verification.progress();
        match result {
            None => {
                self.progress(request, Stage::Verifying, done, total);
                self.load = Some(job);
            }
            Some(Ok(verified)) => {
                let mut entry = self.entry(job.origin, Work::Load(verified), LOAD_DEADLINE_US, now);
                entry.user = job.user;
                let command = engine::Command::Load {
                    offset: verified.offset,
                    bytes: verified.bytes,
                };
                match self.forward(entry, &command) {
                    Ok(()) => self.progress(request, Stage::Loading, 0, total),
                    Err(failure) => self.fail_load(&job, failure, now),
                }
            }
            Some(Err(failure)) => self.fail_load(&job, failure, now),
        }
    }

    fn fail_load(&mut self, job: &LoadJob<'_>, failure: Failure, now: u64) {
        let name = job.verification.name();
        match job.origin {
            Origin::Audit => self.fail_own_load(failure, name, now),
            Origin::Shell(request) => {
                let record = Record {
                    name,
                    user: self.access.name(job.user),
                    ..Record::new(Kind::Refuse)
                };
                self.refuse(request, failure, record, now);
            }
        }
    }

    /// Tells how far a load has got, if there is room: the next slice says it again. Nobody waits for the load after a
    /// restart.
    fn progress(&mut self, request: u32, stage: Stage, done: u64, total: u64) {
        if self.has_room() && (request != 0 || self.phase == Phase::Booting) {
            let progress = Progress { stage, done, total };
            self.tell_shell(request, &Event::Progress(progress));
        }
    }

    /// The load that begins an epoch has ended, well or not: the system serves (again).
    pub(super) fn end_own_load(&mut self, now: u64) {
        match core::mem::replace(&mut self.phase, Phase::Serving) {
            Phase::Booting => self.tell_ready(),
            Phase::Recovering { since_us } => {
                let after_us = now.saturating_sub(since_us);
                let record = Record {
                    value: after_us,
                    limit: self.stats.restarts,
                    ..Record::new(Kind::Recover)
                };
                self.record(record, now);
                let restarts = u32::try_from(self.stats.restarts).unwrap_or(u32::MAX);
                self.tell_shell(0, &Event::Recovered { after_us, restarts });
            }
            phase @ (Phase::Serving | Phase::Stopped) => self.phase = phase,
        }
    }

    // ---- Restarts -----------------------------------------------------------------------------

    pub(super) fn on_fault(&mut self, fault: Fault, port: &mut impl Port) {
        let now = port.now_us();
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
        self.pending_fault = Some(fault);
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
        // Not simply the next one: the life that is over may have left messages for that. After 2³² restarts epochs
        // repeat; the messages of that first one are long gone.
        self.epoch = self.inference.epoch_after(self.epoch);
        self.inference.lead(self.epoch);
        self.signal_inference = true;
        // What has ended keeps its place until the shell knows; the own load needs one, too.
        self.forget_own();
        // A verification for a user goes on; it does not concern inference.
        match &self.load {
            Some(job) if job.origin != Origin::Audit => {
                let job = self.load.take();
                self.begin_own_load(now);
                if self.load.is_none() {
                    self.load = job;
                } else if let Some(job) = job {
                    self.fail_load(&job, Failure::of(ErrorCode::ModelInUse), now);
                }
            }
            _ => self.begin_own_load(now),
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
        self.deliver(now);
        if self.phase == Phase::Booting {
            self.tell_ready();
        }
        self.phase = Phase::Stopped;
        self.forget_own();
        if let Some(job) = self.load.take()
            && job.origin != Origin::Audit
        {
            self.fail_load(&job, failure, now);
        }
        self.tell_shell(0, &super::failed(failure));
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
                    self.record(record, now);
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
