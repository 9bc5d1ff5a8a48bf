//! Models, restarts and deadlines: what audit does on its own.

use super::*;
use crate::model::{ENTRY, Live, Owed, Phase, State, Work, reason};
use crate::store::Signed;
use crate::world::{Message, Ring, Seen};
use audit::ControlError;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::LOAD_DEADLINE_US;
use protocol::name::ModelName;
use protocol::record::{Kind, Record};
use protocol::ring::SLOTS;
use protocol::wire::engine::Command;
use protocol::wire::{Fault, FaultKind};

/// Kind of the command that loads a model.
const LOAD: u16 = 0x203;

impl<'m> Judge<'m> {
    pub(super) fn restart(&mut self, fault: Fault, code: ErrorCode) -> Held {
        let (record, _) = self.record(Kind::Fault)?;
        claim!(
            self,
            Log,
            record.code == fault.kind as u16
                && (record.value, record.limit) == (fault.address, fault.ip),
            "{record:?} for {fault:?}"
        );
        let in_inference = |live: &&Live| !matches!(live.work, Work::Verify(_));
        let ending = self.model.live.values().filter(in_inference).count();
        for _ in 0..ending {
            // In any order.
            let number = self.records.front().map_or(0, |(record, _)| record.request);
            let (record, _) = self.record_of(Kind::Fail, number)?;
            let Some(live) = self.model.live.remove(&number) else {
                continue;
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
                record.code == code as u16 && record.output_sha256 == output,
                "{record:?} for {code:?}"
            );
            if !live.own {
                self.owes(&live, Failure::of(code));
            }
        }
        self.model.sessions.end_all();
        self.model.notices.fault = Some(fault);
        self.model.notices.recovered = None;
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

    /// The client must be told that a request has failed.
    pub(super) fn owes(&mut self, live: &Live, failure: Failure) {
        let name = self.file_of(live).map(|file| file.name);
        self.model.owed.push(Owed {
            id: live.id,
            user: live.user,
            failure,
            name: name.unwrap_or_default(),
            share: live.share,
        });
    }

    pub(super) fn gives_up(&mut self) -> Held {
        match self.next() {
            Some(Seen::Stopped(result)) => self.model.refused = result.err().map(number_of),
            other => {
                return broken(
                    Claim::Restarts,
                    format!("inference must be stopped, and {other:?}"),
                );
            }
        }
        self.stands_still()
    }

    /// What a request is told while inference stays down.
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
        let failure = self.why_stopped();
        let code = self.model.refused.map_or(0, |_| failure.code as u16);
        let (record, _) = self.record(Kind::Stop)?;
        claim!(
            self,
            Log,
            record.code == code && (record.value, record.limit) == (failure.value, failure.limit),
            "{record:?} for {failure:?}"
        );
        self.model.notices.ready |= self.model.phase == Phase::Booting;
        self.model.phase = Phase::Stopped;
        self.model.live.retain(|_, live| !live.own);
        if let Some(number) = self.model.verifies() {
            self.verification_is_in_the_way(number, failure)?;
        }
        self.model.notices.exhausted = Some(failure);
        Ok(())
    }

    pub(super) fn starts_over(&mut self) -> Held {
        let now = self.now;
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
                    format!("inference must be restarted, and {other:?}"),
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
                    format!("a new epoch must begin, and {other:?}"),
                );
            }
        }
        self.free[1] = SLOTS;
        self.model.full_since_us = None;
        self.model.notices.exhausted = None;
        self.model.live.retain(|_, live| !live.own);
        self.own_load_begins()?;
        let own = |live: &Live| live.own && matches!(live.work, Work::Verify(_));
        if self.model.live.values().any(own) {
            // Its verification takes the place of a user's.
            let mut others = self.model.live.iter();
            let other = others.find(|(_, live)| !live.own && matches!(live.work, Work::Verify(_)));
            if let Some((number, _)) = other {
                let number = *number;
                let failure = Failure::of(ErrorCode::ModelInUse);
                self.verification_is_in_the_way(number, failure)?;
            }
        }
        Ok(())
    }

    /// Audit begins to load the model that is, or should be, in service.
    pub(super) fn own_load_begins(&mut self) -> Held {
        let store = self.model.store.unwrap_or(&[]);
        let wanted = self.model.wanted;
        let known = self.model.current.filter(|at| store[*at].name == wanted);
        let found = known.map_or_else(|| self.model.find_model(wanted), Ok);
        let model = match found {
            Ok(model) => model,
            Err(failure) => return self.own_load_refused(failure),
        };
        self.model.last_number += 1;
        let number = self.model.last_number;
        let live = Live {
            id: None,
            own: true,
            user: self.model.user,
            share: 0,
            wakes: 0,
            work: Work::Verify(model),
            admitted_us: self.now,
            deadline_us: u64::MAX,
            state: State::Active,
            strict: true,
        };
        self.model.live.insert(number, live);
        self.own_load_goes_on(known.is_some())
    }

    /// What has become of audit's own verification, if that can be seen; at once, if the model is known.
    pub(super) fn own_load_goes_on(&mut self, known: bool) -> Held {
        // The command may be for a user's model, which was verified in the same wake-up after audit's own was refused.
        if let Some(Seen::Sent(Ring::Inference, message)) = self.seen.front()
            && message.kind == LOAD
            && self.model.verifies() == Some(message.request)
            && let Some(Seen::Sent(_, message)) = self.next()
        {
            return self.commanded(message);
        }
        claim!(
            self,
            Models,
            !known,
            "the model in service is not loaded at once"
        );
        self.own_verification_may_be_refused()
    }

    /// Audit's own verification may have ended: it is written down at once.
    pub(super) fn own_verification_may_be_refused(&mut self) -> Held {
        // It may not have begun yet, while a user's is verified: then the refusal is of what comes later in this wake-up.
        let is_own = |number: &u32| self.model.live.get(number).is_some_and(|live| live.own);
        let number = self.model.verifies().filter(is_own);
        let number = number.filter(|_| self.own_refusal());
        let live = number.and_then(|number| self.model.live.remove(&number));
        let Some(live) = live else {
            return Ok(());
        };
        let file = self.file_of(&live);
        let badly = file.is_some_and(|file| file.signed == Signed::Badly);
        let code = self.refusals.front().map_or(0, |record| record.code);
        let failure = match code == ErrorCode::Busy as u16 {
            true => Failure::over(ErrorCode::Busy, SLOTS as u64, SLOTS as u64),
            false => Failure::of(ErrorCode::BadSignature),
        };
        let right = match failure.code {
            ErrorCode::Busy => self.free[1] == 0,
            _ => badly,
        };
        claim!(
            self,
            Models,
            live.own && right,
            "{file:?} is refused: {failure:?}"
        );
        self.own_load_refused(failure)
    }

    pub(super) fn file_of(&self, live: &Live) -> Option<&'m crate::store::ModelFile> {
        match live.work {
            Work::Verify(model) | Work::Load(model) => self.model.store?.get(model),
            _ => None,
        }
    }

    /// The next refusal is that of audit's own load.
    pub(super) fn own_refusal(&self) -> bool {
        let own = |record: &Record| {
            record.user.is_empty()
                && record.name == self.model.wanted
                && record.kind() == Some(Kind::Refuse)
        };
        self.model.policy.is_ok() && self.refusals.front().is_some_and(own)
    }

    /// Audit's own load fails before inference hears of it.
    pub(super) fn own_load_refused(&mut self, failure: Failure) -> Held {
        let right = self.own_refusal();
        let record = self.refusals.pop_front();
        claim!(
            self,
            Models,
            right
                && record.is_some_and(|record| record.code == failure.code as u16
                    && (record.value, record.limit) == (failure.value, failure.limit)
                    && record.count == 1),
            "{record:?} for {failure:?}"
        );
        if let Some(record) = record {
            self.at(&record)?;
        }
        self.count_refusal(failure.code);
        self.model.current = None;
        self.model.notices.load_failed = Some(failure);
        self.own_load_over()
    }

    /// A restart, or the end of trying, refuses a user's verification.
    pub(super) fn verification_is_in_the_way(&mut self, number: u32, failure: Failure) -> Held {
        let live = self.model.live.get(&number);
        let file = live.and_then(|live| self.file_of(live));
        let written = self.refusals.front().is_some_and(|record| {
            record.code == failure.code as u16
                && file.is_some_and(|file| file.name == record.name)
                && record.value == failure.value
        });
        if !written && (self.was_full || self.free[0] <= RESERVE) {
            return broken(Claim::Unclear, format!("{live:?} may have been refused"));
        }
        self.verification_refused(number, failure)
    }

    /// A user's load ends before inference hears of it.
    pub(super) fn verification_refused(&mut self, number: u32, failure: Failure) -> Held {
        let Some(live) = self.model.live.remove(&number) else {
            return Ok(());
        };
        self.owes(&live, failure);
        self.count_refusal(failure.code);
        let mut record = Record::new(Kind::Refuse);
        record.user = self.model.user_name(live.user);
        record.name = self
            .file_of(&live)
            .map_or(ModelName::EMPTY, |file| file.name);
        record.code = failure.code as u16;
        (record.value, record.limit) = (failure.value, failure.limit);
        self.repeated(live.user, record, false)
    }

    pub(super) fn commanded(&mut self, message: Message) -> Held {
        let frame = message.frame();
        match Command::parse(&frame) {
            Ok(Command::Load { offset, bytes }) => self.loads(message.request, offset, bytes),
            Ok(Command::Cancel) => {
                if !self.deadlines_done {
                    self.free[1] += 1;
                    self.seen.push_front(Seen::Sent(Ring::Inference, message));
                    return self.deadlines();
                }
                let text = self.model.live.get_mut(&message.request);
                let owed = text
                    .and_then(Live::text_mut)
                    .map(|text| &mut text.stop_owed);
                claim!(
                    self,
                    Deadlines,
                    owed.map(std::mem::take) == Some(true),
                    "{} is asked to stop, and nobody wants it",
                    message.request
                );
                Ok(())
            }
            other => broken(Claim::Answers, format!("inference is told {other:?}")),
        }
    }

    pub(super) fn loads(&mut self, number: u32, offset: u64, bytes: u64) -> Held {
        let expected = self.model.verifies();
        claim!(
            self,
            Models,
            expected == Some(number),
            "load {number}, and {expected:?} is being verified"
        );
        let text = self.model.texts().next().is_some();
        let now = self.now;
        let Some(live) = self.model.live.get_mut(&number) else {
            return Ok(());
        };
        let Work::Verify(model) = live.work else {
            return Ok(());
        };
        let own = live.own;
        live.work = Work::Load(model);
        (live.admitted_us, live.deadline_us) = (now, now + LOAD_DEADLINE_US);
        let file = self.model.store.and_then(|store| store.get(model));
        let right = file.is_some_and(|file| {
            (file.offset, file.bytes) == (offset, bytes) && file.signed == Signed::Well
        });
        claim!(
            self,
            Models,
            right,
            "{bytes} bytes at {offset} are loaded for {file:?}"
        );
        claim!(
            self,
            Models,
            own || !text,
            "a user's load while text is generated"
        );
        Ok(())
    }

    /// Audit may have ended a user's verification: what it tells, or what it has written down, shows that. If neither can
    /// be seen yet, it will be.
    pub(super) fn verification_may_be_refused(&mut self, told: Option<(u32, Failure)>) -> Held {
        let Some(number) = self.model.verifies() else {
            return Ok(());
        };
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(());
        };
        let Some(file) = self.file_of(&live).filter(|_| !live.own) else {
            return Ok(());
        };
        let user = self.model.user_name(live.user);
        let written = self.refusals.front().filter(|record| {
            record.kind() == Some(Kind::Refuse) && record.user == user && record.name == file.name
        });
        let written = written.copied();
        let failure = match (told, &written) {
            (Some((id, failure)), _) if live.id == Some(id) => failure,
            (None, Some(record)) => Failure::over(
                ErrorCode::from_u16(record.code).unwrap_or(ErrorCode::Unsupported),
                record.value,
                record.limit,
            ),
            _ => return Ok(()),
        };
        // The entry may be of another refusal of the same model.
        let written = written.filter(|record| record.code == failure.code as u16);
        let right = match failure.code {
            ErrorCode::BadSignature => file.signed == Signed::Badly,
            ErrorCode::ModelInUse => self.model.texts().next().is_some() || written.is_none(),
            ErrorCode::Busy => self.free[1] == 0 || written.is_none(),
            _ => false,
        };
        // A restart, or the end of trying, that comes later in this wake-up refuses it, and is looked at then.
        let is_ahead = |seen: &Seen| matches!(seen, Seen::Restarted(_) | Seen::Stopped(_));
        if !right && self.seen.iter().any(is_ahead) {
            return Ok(());
        }
        claim!(self, Models, right, "{file:?} is refused: {failure:?}");
        if written.is_some() || self.is_of_now() {
            return self.verification_refused(number, failure);
        }
        // If an entry would have been due, the share had no room for it, at a time that cannot be told from here.
        let reason = (Kind::Refuse as u16, failure.code as u16, 0);
        let repeats = self.model.repeats.get(&(live.user, reason));
        if repeats.is_none_or(|repeats| repeats.due(self.now)) {
            return broken(Claim::Unclear, format!("{failure:?} may have been put off"));
        }
        self.verification_was_refused(number, failure);
        Ok(())
    }

    /// A user's verification was refused at an earlier wake-up, and not written down then.
    pub(super) fn verification_was_refused(&mut self, number: u32, failure: Failure) {
        let Some(live) = self.model.live.remove(&number) else {
            return;
        };
        self.owes(&live, failure);
        self.count_refusal(failure.code);
        let reason = (Kind::Refuse as u16, failure.code as u16, 0);
        let repeats = self.model.repeats.entry((live.user, reason)).or_default();
        repeats.pending += 1;
        repeats.newest = (failure.value, failure.limit);
    }

    /// The count of the next entry may show that a user's verification was refused.
    pub(super) fn verification_may_be_counted(&mut self) {
        let number = self.model.verifies();
        let live = number.and_then(|number| self.model.live.get(&number));
        let (Some(number), Some(live), Some(record)) = (number, live, self.refusals.front()) else {
            return;
        };
        let user = live.user;
        let pending = self.model.repeats.get(&(user, reason(record)));
        let pending = pending.map_or(0, |repeats| repeats.pending);
        let failure = match ErrorCode::from_u16(record.code) {
            Some(ErrorCode::Busy) => Failure::over(ErrorCode::Busy, SLOTS as u64, SLOTS as u64),
            Some(code @ (ErrorCode::BadSignature | ErrorCode::ModelInUse)) => Failure::of(code),
            _ => return,
        };
        let shows = record.kind() == Some(Kind::Refuse)
            && record.user == self.model.user_name(user)
            && record.count == pending + 1;
        if !live.own && shows {
            self.verification_was_refused(number, failure);
        }
    }

    /// Audit has read its rings in this wake-up, as far as can be seen.
    pub(super) const fn is_of_now(&self) -> bool {
        self.took[0] + self.took[1] > 0
    }

    /// Looks at the deadlines, as audit must have.
    pub(super) fn deadlines(&mut self) -> Held {
        self.deadlines_done = true;
        self.own_verification_may_be_refused()?;
        self.verification_may_be_refused(None)?;
        let now = self.now;
        let grace = self.model.policy.map_or(0, |policy| policy.stop_grace_us);
        let mut hung = false;
        let mut due = Vec::new();
        for (number, live) in &mut self.model.live {
            match live.state {
                State::Active if live.deadline_us <= now => {
                    if live.text().is_some() || self.heard {
                        due.push(*number);
                    } else {
                        live.deadline_us = now + grace;
                        live.strict = false;
                    }
                }
                State::Stopping(until) if until <= now => {
                    if self.heard {
                        hung = true;
                    } else {
                        live.state = State::Stopping(now + grace);
                        live.strict = false;
                    }
                }
                _ => {}
            }
        }
        while !due.is_empty() {
            let (record, _) = self.record(Kind::Timeout).map_err(|broken| Broken {
                claim: Claim::Deadlines,
                ..broken
            })?;
            let number = record.request;
            let at = due.iter().position(|due| *due == number);
            claim!(self, Deadlines, at.is_some(), "{record:?}, of {due:?}");
            due.swap_remove(at.unwrap_or(0));
            let Some(live) = self.model.live.get_mut(&number) else {
                continue;
            };
            live.share = live.share.saturating_sub(ENTRY);
            let live = live.clone();
            self.of_request(&record, number, &live)?;
            let allowed = live.deadline_us - live.admitted_us;
            claim!(
                self,
                Deadlines,
                record.limit == allowed,
                "{record:?}, it had {allowed}"
            );
            self.model.counts.timeouts += 1;
            self.figures.timeouts += 1;
            if live.text().is_none() {
                hung = true;
                continue;
            }
            let until = live.deadline_us + grace;
            hung |= self.heard && until <= now;
            if let Some(live) = self.model.live.get_mut(&number) {
                live.state = State::Stopping(until);
                live.strict &= self.heard;
            }
            self.is_asked_to_stop(number)?;
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
}

/// As the protocol numbers it.
const fn number_of(refused: ControlError) -> u64 {
    match refused {
        ControlError::NotStopped => 1,
        ControlError::NotStarted => 2,
    }
}
