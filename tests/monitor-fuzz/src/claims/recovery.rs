//! Restarts and deadlines: what audit does without being asked.

use super::*;
use crate::model::{ENTRY, End, Live, Phase, Stage, State, Stop, Work};
use audit::ControlError;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{LOAD_DEADLINE_US, WATCHDOG_PERIOD_US};
use protocol::record::Kind;
use protocol::ring::SLOTS;
use protocol::wire::{Fault, FaultKind};

impl Judge<'_> {
    // ---- Restarts -------------------------------------------------------------------------------

    pub(super) fn restart(&mut self, fault: Fault, code: ErrorCode) -> Held {
        self.restarted = true;
        let (record, _) = self.record(Kind::Fault)?;
        claim!(
            self,
            Log,
            record.code == fault.kind as u16
                && (record.value, record.limit) == (fault.address, fault.ip),
            "{record:?} for {fault:?}"
        );
        let in_inference = |live: &&Live| !live.is_audits_alone();
        // A finished adapter is kept, and its client is told so; its entry already exists.
        let made = |live: &Live| {
            let stage = live.tune().map(|tune| &tune.stage);
            matches!(stage, Some(Stage::Loading(_)))
        };
        let mut live = self.model.live.iter();
        if let Some(number) = live.find(|it| made(it.1)).map(|(number, _)| *number) {
            self.is_tuned(number, Some(code), 0);
        }
        let ending = self.model.live.values().filter(in_inference).count();
        for _ in 0..ending {
            // They may come in any order.
            let number = self.records.front().map_or(0, |(record, _)| record.request);
            self.is_lost(number, code)?;
        }
        self.model.sessions.end_all();
        for placed in self.model.placed.values_mut() {
            placed.present = false;
        }
        self.model.note_busy(self.now);
        for client in &mut self.model.clients {
            client.notices.fault(fault);
        }
        if self.model.phase == Phase::Stopped {
            return Ok(());
        }
        let (most, window) = self
            .model
            .policy
            .map_or((0, 0), |p| (p.max_restarts as usize, p.restart_window_us));
        let now = self.now;
        let times = &mut self.model.restarts_us;
        while times.front().is_some_and(|at| now - at >= window) {
            times.pop_front();
        }
        match times.len() >= most {
            true => self.gives_up(),
            false => self.starts_over(),
        }
    }

    /// A request ends with the run of inference that had it. It costs nothing.
    pub(super) fn is_lost(&mut self, number: u32, code: ErrorCode) -> Held {
        if self
            .model
            .live
            .get(&number)
            .is_some_and(|live| live.tune().is_some())
        {
            return self.tuning_fails(number, Failure::of(code), &[], 0);
        }
        let (record, _) = self.record_of(Kind::Fail, number)?;
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(());
        };
        let mut output = [0; 32];
        if let Some(text) = live.text() {
            if text.tokens > 0 {
                output = text.output_sha256();
            }
            let now = self.now;
            if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
                ledger.settle(number, 0, now);
            }
            self.model.counts.failed += 1;
        }
        claim!(
            self,
            Log,
            record.code == code as u16
                && (record.value, record.limit) == (0, 0)
                && record.output_sha256 == output,
            "{record:?} for {code:?}"
        );
        let about = self.about(&live).as_str().as_bytes().to_vec();
        self.is_over(number, End::Failed(Failure::of(code), about), 0);
        Ok(())
    }

    fn gives_up(&mut self) -> Held {
        match self.next() {
            Some(Seen::Stopped(result)) => self.model.refused = result.err().map(number_of),
            other => {
                return broken(
                    Claim::Restarts,
                    format!("inference must be stopped, but next comes {other:?}"),
                );
            }
        }
        self.stands_still()
    }

    /// The error for a request while inference stays down.
    pub(super) fn why_stopped(&self) -> Failure {
        let window = self.model.policy.map_or(0, |p| p.restart_window_us);
        let restarts = self.model.restarts_us.len() as u64;
        match self.model.refused {
            Some(number) => Failure::over(ErrorCode::ControlRefused, number, 0),
            None => Failure::over(ErrorCode::RestartsExhausted, restarts, window),
        }
    }

    /// Audit stops trying.
    fn stands_still(&mut self) -> Held {
        self.figures.stops += 1;
        if self.model.phase == Phase::Booting {
            for client in &mut self.model.clients {
                client.notices.ready();
            }
        }
        let failure = self.why_stopped();
        let code = self.model.refused.map_or(0, |_| failure.code as u16);
        let (record, _) = self.record(Kind::Stop)?;
        claim!(
            self,
            Log,
            record.code == code && (record.value, record.limit) == (failure.value, failure.limit),
            "{record:?} for {failure:?}"
        );
        self.model.phase = Phase::Stopped;
        self.model.full_since_us = None;
        self.model.live.retain(|_, live| live.client.is_some());
        self.clients_verification_fails(failure)?;
        for client in &mut self.model.clients {
            client.notices.exhausted = Some(failure);
        }
        Ok(())
    }

    pub(super) fn starts_over(&mut self) -> Held {
        let now = self.now;
        self.restarted = true;
        self.model.restarts_us.push_back(now);
        self.model.counts.restarts += 1;
        self.figures.restarts += 1;
        if let Phase::Serving | Phase::Stopped = self.model.phase {
            self.model.phase = Phase::Recovering(now);
        }
        match self.next() {
            Some(Seen::Restarted(result)) => self.model.refused = result.err().map(number_of),
            other => {
                return broken(
                    Claim::Restarts,
                    format!("inference must be restarted, but next comes {other:?}"),
                );
            }
        }
        if self.model.refused.is_some() {
            return self.stands_still();
        }
        match self.next() {
            Some(Seen::Led(Ring::Inference, epoch)) if epoch != self.model.epoch => {
                self.model.epoch = epoch;
                self.silent = true;
            }
            other => {
                return broken(
                    Claim::Epochs,
                    format!("a new epoch must begin, but next comes {other:?}"),
                );
            }
        }
        self.inference.free = SLOTS;
        self.model.unread.clear();
        self.model.full_since_us = None;
        for client in &mut self.model.clients {
            client.notices.exhausted = None;
        }
        self.model.live.retain(|_, live| live.client.is_some());
        self.own_load_begins()?;
        let verifies_own = |live: &Live| live.client.is_none() && live.is_verified();
        if self.model.live.values().any(verifies_own) {
            // Its verification replaces a client's.
            self.clients_verification_fails(Failure::of(ErrorCode::ModelInUse))?;
        }
        Ok(())
    }

    // ---- Deadlines ------------------------------------------------------------------------------

    /// The deadlines, which audit must have checked.
    pub(super) fn deadlines(&mut self) -> Held {
        let now = self.now;
        let (mut hung, mut due) = (false, Vec::new());
        // While inference loads models, other deadlines are extended to that of the last load.
        let loads =
            |live: &&Live| live.state == State::Active && matches!(live.work, Work::Load(_));
        let all = self.model.live.values().filter(loads);
        if let Some(until) = all.map(|load| load.deadline_us).max() {
            for live in self.model.live.values_mut() {
                let is_load = loads(&&*live);
                if live.state == State::Active && live.deadline_us <= now && !is_load {
                    live.deadline_us = live.deadline_us.max(until);
                }
            }
        }
        for (number, live) in &self.model.live {
            match live.state {
                State::Active if live.deadline_us <= now => due.push(*number),
                State::Late(Some(until)) => hung |= until <= now,
                _ => {}
            }
        }
        while !due.is_empty() {
            let (record, _) = self.record(Kind::Timeout).map_err(|broken| Broken {
                claim: Claim::Deadlines,
                ..broken
            })?;
            // They may come in any order.
            let number = record.request;
            let at = due.iter().position(|due| *due == number);
            claim!(self, Deadlines, at.is_some(), "{record:?}, of {due:?}");
            due.swap_remove(at.unwrap_or(0));
            hung |= self.is_late(number, &record)?;
        }
        let full = self.model.full_since_us;
        hung |= full.is_some_and(|since| now - since >= LOAD_DEADLINE_US);
        if hung {
            let fault = Fault {
                kind: FaultKind::Unresponsive,
                ip: 0,
                address: 0,
            };
            self.restart(fault, ErrorCode::Unresponsive)?;
        }
        Ok(())
    }

    /// A request's deadline has passed. Returns whether that means that inference hangs.
    fn is_late(&mut self, number: u32, record: &Record) -> Held<bool> {
        let Some(live) = self.model.live.get_mut(&number) else {
            return Ok(false);
        };
        live.share = live.share.saturating_sub(ENTRY);
        let live = live.clone();
        self.of_request(record, number, &live)?;
        let allowed = live.deadline_us - live.admitted_us;
        claim!(
            self,
            Deadlines,
            record.limit == allowed,
            "{record:?}, it had {allowed}"
        );
        self.model.counts.timeouts += 1;
        self.figures.timeouts += 1;
        if live.stop().is_none() {
            return Ok(true);
        }
        self.is_asked_to_stop(number)?;
        self.grace_begins(number);
        Ok(false)
    }

    /// The grace period starts when inference is asked to stop; before that, it does not run.
    fn grace_begins(&mut self, number: u32) {
        let grace = self.model.policy.map_or(0, |policy| policy.stop_grace_us);
        let now = self.now;
        if let Some(live) = self.model.live.get_mut(&number) {
            let asked = live.stop() == Some(Stop::Asked);
            live.state = State::Late(asked.then_some(now + grace));
        }
    }

    /// Inference must be asked to stop requests as soon as its ring has room.
    pub(super) fn stops_are_asked_for_again(&mut self) -> Held {
        loop {
            let owed = |live: &Live| live.stop() == Some(Stop::Owed);
            let any = self.model.live.values().any(owed);
            if !any || !self.has_own_room() {
                return Ok(());
            }
            // They may come in any order.
            let number = match self.seen.front() {
                Some(Seen::Sent(Ring::Inference, message)) => message.request,
                _ => 0,
            };
            let live = self.model.live.get(&number);
            claim!(
                self,
                Deadlines,
                live.is_some_and(owed),
                "a request must be stopped, but {:?} comes next, about {live:?}",
                self.seen.front()
            );
            let late = live.is_some_and(|live| live.state != State::Active);
            self.is_asked_to_stop(number)?;
            if late {
                self.grace_begins(number);
            }
        }
    }

    /// While ticks arrive, no deadline and no grace period is overdue by more than the watchdog's period plus the time
    /// of a wake-up.
    ///
    /// # Errors
    /// One is overdue.
    pub fn in_time(&mut self, now: u64, work_us: u64) -> Held {
        for (number, live) in &self.model.live {
            self.figures.comparisons += 1;
            let until = match live.state {
                State::Active => live.deadline_us,
                // Inference cannot be asked while it does not read its command ring.
                State::Late(until) => until.unwrap_or(u64::MAX),
            };
            let latest = until.saturating_add(WATCHDOG_PERIOD_US + work_us);
            if now > latest {
                return broken(
                    Claim::Deadlines,
                    format!("{number} is still there at {now}: {live:?}, until {latest}"),
                );
            }
        }
        Ok(())
    }
}

/// The protocol's number for the error.
const fn number_of(refused: ControlError) -> u64 {
    match refused {
        ControlError::NotStopped => 1,
        ControlError::NotStarted => 2,
    }
}
