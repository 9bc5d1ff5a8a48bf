//! Restarts and deadlines: what happens if inference fails, lies, or misses a deadline.

use super::{Monitor, Port};
use crate::files::FilesEnd;
use crate::generation::Stop;
use crate::link::{ControlError, Phase};
use crate::notices::Notices;
use crate::shares::ENTRY;
use crate::table::{InFlight, Origin, State, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::LOAD_DEADLINE_US;
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::Event;
use protocol::wire::{Fault, FaultKind};

/// What to do about a request's deadline.
enum Verdict {
    /// Nothing.
    InTime,
    /// Its deadline has passed: inference is asked to stop it.
    Stop,
    /// Its deadline has passed, and it cannot be stopped: it takes this long only if inference is not responding.
    Silent,
    /// Inference was asked to stop it and has not done so within the grace period.
    Disobeyed,
}

impl Verdict {
    fn on(entry: &InFlight<'_>, now: u64) -> Self {
        match entry.state {
            State::Active if entry.deadline_us <= now => match entry.stop() {
                Some(_) => Self::Stop,
                None => Self::Silent,
            },
            State::Late {
                until_us: Some(until_us),
            } if until_us <= now => Self::Disobeyed,
            _ => Self::InTime,
        }
    }
}

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    // ---- Restarts -----------------------------------------------------------------------------

    pub(super) fn on_fault(&mut self, fault: Fault, port: &mut impl Port) {
        let now = self.begin(port);
        if self.postpones_fault(fault) {
            return self.rest(now, port);
        }
        self.take_fault(fault, now, port);
        self.finish(now, port);
    }

    pub(super) fn take_fault(&mut self, fault: Fault, now: u64, port: &mut impl Port) {
        let stats = &mut self.ledger.stats;
        stats.faults = stats.faults.saturating_add(1);
        self.restart(fault, ErrorCode::InferenceFault, now, port);
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
        self.clients.notify_all(|notices| notices.fault(fault));
        if self.link.phase == Phase::Stopped {
            return;
        }
        if self.link.is_exhausted(self.gate.policy(), now) {
            let refused = port.stop_inference().err();
            return self.stand_still(refused, now);
        }
        self.start_over(now, port);
    }

    fn start_over(&mut self, now: u64, port: &mut impl Port) {
        let stats = &mut self.ledger.stats;
        stats.restarts = stats.restarts.saturating_add(1);
        self.link.note_restart(now);
        if let Err(refused) = port.restart_inference() {
            return self.stand_still(Some(refused), now);
        }
        self.clients.notify_all(Notices::trying_again);
        self.link.begin_epoch();
        self.forget_own_load();
        self.begin_own_load(now);
        // A verification for a client goes on, because it does not involve inference. But there cannot be two at once.
        let own = |entry: &InFlight<'_>| entry.origin == Origin::Audit && entry.is_verified();
        if self.table.find(own).is_some() {
            self.refuse_verifications(Failure::of(ErrorCode::ModelInUse), now);
        }
    }

    /// Stops trying, because of too many restarts or because the runtime has refused.
    fn stand_still(&mut self, refused: Option<ControlError>, now: u64) {
        if self.link.phase == Phase::Booting {
            self.clients.notify_all(Notices::ready);
        }
        self.link.stop(refused);
        let failure = self.link.why_stopped(self.gate.policy());
        let record = Record {
            code: refused.map_or(0, |_| failure.code as u16),
            value: failure.value,
            limit: failure.limit,
            ..Record::new(Kind::Stop)
        };
        self.record(record, now);
        self.forget_own_load();
        self.refuse_verifications(failure, now);
        self.clients
            .notify_all(|notices| notices.exhausted(failure));
    }

    /// An admin asks audit to try again.
    pub(super) fn reset(
        &mut self,
        client: usize,
        id: u32,
        now: u64,
        port: &mut impl Port,
    ) -> Result<(), Failure> {
        let user = self.clients.user(client);
        self.gate.access.require(user, Permission::Reset)?;
        self.ledger.take_share(user, ENTRY, now)?;
        let record = self.record_of_client(client, Kind::Reset);
        self.record(record, now);
        self.link.forgive();
        self.clients.tell(client, id, &Event::Done);
        if self.link.phase == Phase::Stopped {
            self.start_over(now, port);
        }
        Ok(())
    }

    /// A user asks to halt the system. If permitted, this is recorded and the user is told before anything stops. Audit
    /// itself goes on, because there is nothing that it could stop.
    pub(super) fn halt(&mut self, client: usize, id: u32, now: u64) -> Result<(), Failure> {
        let user = self.clients.user(client);
        self.gate.access.require(user, Permission::Halt)?;
        self.ledger.take_share(user, ENTRY, now)?;
        let record = self.record_of_client(client, Kind::Halt);
        self.record(record, now);
        self.clients.tell(client, id, &Event::Done);
        Ok(())
    }

    // ---- Deadlines ----------------------------------------------------------------------------

    /// Checks all deadlines. Inference's ring was read first, so inference had its chance to report.
    pub(super) fn check_deadlines(&mut self, now: u64, port: &mut impl Port) {
        let mut hung = false;
        self.wait_for_load(now);
        for index in 0..self.table.len() {
            let verdict = self
                .table
                .get(index)
                .map_or(Verdict::InTime, |entry| Verdict::on(entry, now));
            match verdict {
                Verdict::InTime => {}
                Verdict::Disobeyed => hung = true,
                Verdict::Silent => {
                    self.record_timeout(index, now);
                    hung = true;
                }
                Verdict::Stop => {
                    self.record_timeout(index, now);
                    self.ask_to_stop_late(index, now);
                }
            }
        }
        // If its ring has no room, inference cannot be given requests whose deadlines would reveal a hang. The limit is
        // the time of a load, because inference may have just started or be loading.
        hung |= self.link.full_for_us(now) >= LOAD_DEADLINE_US;
        if hung {
            let fault = Fault {
                kind: FaultKind::Unresponsive,
                ip: 0,
                address: 0,
            };
            self.restart(fault, ErrorCode::Unresponsive, now, port);
        }
    }

    /// While inference loads a model it does nothing else. The load keeps its own deadline; all others are extended to
    /// it, or to the later one if a client's load follows audit's own.
    fn wait_for_load(&mut self, now: u64) {
        let is_loading = |entry: &InFlight<'_>| {
            matches!((&entry.work, &entry.state), (Work::Load(_), State::Active))
        };
        let loads = self.table.iter().filter(|entry| is_loading(entry));
        let Some(until_us) = loads.map(|load| load.deadline_us).max() else {
            return;
        };
        for index in 0..self.table.len() {
            if let Some(entry) = self.table.get_mut(index)
                && matches!(entry.state, State::Active)
                && entry.deadline_us <= now
                && !is_loading(entry)
            {
                entry.deadline_us = entry.deadline_us.max(until_us);
            }
        }
    }

    fn record_timeout(&mut self, index: usize, now: u64) {
        let stats = &mut self.ledger.stats;
        stats.timeouts = stats.timeouts.saturating_add(1);
        if let Some(entry) = self.table.get(index) {
            let record = Record {
                limit: entry.deadline_us.saturating_sub(entry.admitted_us),
                ..self.record_of(entry, Kind::Timeout, now)
            };
            self.record_about(index, record, now);
        }
    }

    /// Asks inference to stop a request whose deadline has passed. The grace period starts when it is asked, or at the
    /// deadline if its user had cancelled the request before.
    fn ask_to_stop_late(&mut self, index: usize, now: u64) {
        let grace_us = self.gate.policy().stop_grace_us;
        let asked = self.ask_to_stop(index);
        if let Some(entry) = self.table.get_mut(index) {
            let until_us = asked.then_some(now.saturating_add(grace_us));
            entry.state = State::Late { until_us };
        }
    }

    /// Tries again to send stops for which inference's ring had no room.
    pub(super) fn ask_again_to_stop(&mut self, now: u64) {
        for index in 0..self.table.len() {
            let owed = self
                .table
                .get(index)
                .is_some_and(|entry| entry.stop() == Some(Stop::Owed));
            if !owed {
                continue;
            }
            let is_late = self
                .table
                .get(index)
                .is_some_and(|entry| matches!(entry.state, State::Late { .. }));
            if is_late {
                self.ask_to_stop_late(index, now);
            } else {
                self.ask_to_stop(index);
            }
        }
    }
}
