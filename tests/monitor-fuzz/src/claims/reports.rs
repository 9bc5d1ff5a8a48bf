//! What inference says, and what must follow from it.

use super::*;
use crate::model::{ENTRY, Live, Phase, State, Text, Work};
use crate::world::{Garbage, Message};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::EXTRA_PROMPT_TOKENS;
use protocol::name::UserName;
use protocol::record::{Kind, Record};
use protocol::wire::client::Event;
use protocol::wire::engine::Report;
use protocol::wire::{self, Fault, FaultKind, FinishReason};
use sha2::Digest as _;

impl<'m> Judge<'m> {
    pub(super) fn report(&mut self, taken: Result<Message, Garbage>) -> Held {
        self.took[1] += 1;
        claim!(
            self,
            Flow,
            self.free[0] > RESERVE && self.model.phase != Phase::Stopped,
            "a report is taken with {} slots free, in {:?}",
            self.free[0],
            self.model.phase
        );
        claim!(
            self,
            Epochs,
            !self.silent,
            "{taken:?} is taken of a life that has written nothing"
        );
        let allowed = self.model.bucket.allows(self.now);
        claim!(self, Egress, allowed, "a report is taken over the cap");
        let honest = match &taken {
            Ok(message) => self.said(message)?,
            Err(Garbage) => false,
        };
        if !honest {
            self.violation(1)?;
            let fault = Fault {
                kind: FaultKind::Violation,
                ip: 0,
                address: 0,
            };
            self.restart(fault, ErrorCode::ProtocolViolation)?;
        }
        Ok(())
    }

    pub(super) fn pass(&mut self, message: &Message) -> Held {
        let now = self.now;
        let within = self.model.bucket.take(message.payload.len(), now);
        claim!(
            self,
            Egress,
            within,
            "more leaves than burst and rate allow"
        );
        Ok(())
    }

    /// Whether inference may say this; what follows from it must be seen.
    pub(super) fn said(&mut self, message: &Message) -> Held<bool> {
        let frame = message.frame();
        let Ok(report) = Report::parse(&frame) else {
            return Ok(false);
        };
        match report {
            Report::Ready => return Ok(true),
            Report::Evicted { session } => {
                self.pass(message)?;
                let idle = self.model.sessions.present.get(&session);
                if idle.is_none_or(|idle| idle.active) {
                    return self.violation(1).map(|()| true);
                }
                let ended = self.model.sessions.end(session, ErrorCode::SessionEvicted);
                return self.evicted(ended).map(|()| true);
            }
            _ => {}
        }
        let number = message.request;
        let Some(live) = self.model.live.get_mut(&number) else {
            return self.violation(1).map(|()| true);
        };
        let (id, state) = (live.id, live.state);
        let mut tokens = 0;
        if let Some(text) = live.text() {
            tokens = text.tokens;
        }
        self.pass(message)?;
        let Some(live) = self.model.live.get_mut(&number) else {
            return Ok(false);
        };
        match (&mut live.work, report) {
            (
                Work::Text(text),
                Report::Token {
                    id: token,
                    text: piece,
                },
            ) => {
                if tokens >= text.params.max_tokens {
                    return Ok(false);
                }
                text.tokens += 1;
                text.first_us = text.first_us.or(Some(self.now));
                text.output.update(token.to_le_bytes());
                text.output.update((piece.len() as u32).to_le_bytes());
                text.output.update(piece);
                self.model.counts.generated_tokens += 1;
                self.figures.tokens += 1;
                if let Some(id) = id {
                    self.answered(
                        id,
                        &Event::Text {
                            tokens: 1,
                            text: piece,
                        },
                        Claim::Tokens,
                    )?;
                }
                Ok(true)
            }
            (
                Work::Text(text),
                Report::Finished {
                    reason,
                    prompt_tokens,
                    generated_tokens,
                },
            ) => {
                let most = text.prompt_bytes + EXTRA_PROMPT_TOKENS;
                if generated_tokens != tokens || prompt_tokens > most {
                    return Ok(false);
                }
                let late = state != State::Active;
                self.finished(number, reason, prompt_tokens, late)?;
                Ok(true)
            }
            (Work::Load(model), Report::Loaded(loaded)) => {
                let model = *model;
                self.loaded(number, model, &loaded)?;
                Ok(true)
            }
            (Work::Status, Report::Holdings(holdings)) => {
                self.ends(number);
                if let Some(id) = id
                    && let Some(message) = self.answer(id)?
                {
                    let frame = message.frame();
                    let told = Event::parse(&frame);
                    // The request itself is no longer under way, and is no request for text.
                    let (active, sessions) = self.under_way();
                    claim!(
                        self,
                        Counters,
                        matches!(told, Ok(Event::Status(s)) if s.arena == holdings.arena
                            && (s.kv_positions, s.kv_free) == (holdings.kv_positions, holdings.kv_free)
                            && s.waiting == holdings.waiting
                            && (s.active, s.sessions) == (active, sessions)
                            && u64::from(s.restarts) == self.model.counts.restarts),
                        "a status of {told:?}"
                    );
                }
                Ok(true)
            }
            (_, Report::Failed { failure, detail }) => {
                if !is_inferences(failure.code) {
                    return Ok(false);
                }
                self.failed_there(number, failure, detail)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn under_way(&self) -> (u32, u32) {
        let active = self.model.texts().count() as u32;
        (active, self.model.sessions.present.len() as u32)
    }

    /// A request is over; what it has not used of its user's share goes back.
    pub(super) fn ends(&mut self, number: u32) -> Option<Live> {
        let live = self.model.live.remove(&number)?;
        if let Some(share) = self.model.shares.get_mut(live.user) {
            share.give_back(live.share);
        }
        Some(live)
    }

    /// As [`Self::record`], of a request that is under way, out of the share that it has taken.
    pub(super) fn record_of(&mut self, kind: Kind, number: u32) -> Held<(Record, Vec<u8>)> {
        let (record, text) = self.record(kind)?;
        let Some(live) = self.model.live.get_mut(&number) else {
            return broken(Claim::Answers, format!("{record:?}: there is no {number}"));
        };
        live.share = live.share.saturating_sub(ENTRY + text.len() as u64);
        let live = live.clone();
        self.of_request(&record, number, &live)?;
        Ok((record, text))
    }

    /// A session made room.
    pub(super) fn evicted(&mut self, ended: Option<crate::model::Session>) -> Held {
        let (record, _) = self.record(Kind::Evict)?;
        self.model.counts.evicted += 1;
        let as_ended = ended.as_ref().is_some_and(|session| {
            record.user == self.model.user_name(session.user)
                && record.session == session.number
                && record.turn == session.turns
                && record.value == u64::from(session.turns)
        });
        claim!(self, Sessions, as_ended, "{record:?} for {ended:?}");
        Ok(())
    }

    /// What a record of a request says of it.
    pub(super) fn of_request(&mut self, record: &Record, number: u32, live: &Live) -> Held {
        let user = match live.own {
            false => self.model.user_name(live.user),
            true => UserName::EMPTY,
        };
        let mut right = record.request == number
            && record.user == user
            && record.latency_us == self.now - live.admitted_us;
        match &live.work {
            Work::Text(text) => {
                let first = text.first_us.map_or(0, |at| at - live.admitted_us);
                right &= record.session == text.session
                    && record.turn == text.turn
                    && record.params == text.params
                    && record.prompt_bytes == text.prompt_bytes
                    && record.prompt_sha256 == text.prompt_sha256
                    && record.generated_tokens == text.tokens
                    && record.first_token_us == first;
                let model = self.model.current.zip(self.model.store);
                right &= model.is_none_or(|(at, store)| record.model_sha256 == store[at].sha256);
            }
            Work::Load(model) => {
                let file = self.model.store.map(|store| &store[*model]);
                right &= file.is_some_and(|file| {
                    record.name == file.name && record.model_sha256 == file.sha256
                });
            }
            Work::Verify(model) => {
                let file = self.model.store.map(|store| &store[*model]);
                right &= file.is_some_and(|file| record.name == file.name);
            }
            Work::Status => {}
        }
        claim!(self, Log, right, "{record:?} for {number}: {live:?}");
        Ok(())
    }

    pub(super) fn finished(
        &mut self,
        number: u32,
        reason: FinishReason,
        prompt_tokens: u32,
        late: bool,
    ) -> Held {
        let kind = if late { Kind::Fail } else { Kind::Finish };
        let (record, _) = self.record_of(kind, number)?;
        let Some(live) = self.ends(number) else {
            return Ok(());
        };
        let Some(text) = live.text() else {
            return Ok(());
        };
        let used = u64::from(prompt_tokens) + u64::from(text.tokens);
        if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
            ledger.settle(number, used, self.now);
        }
        self.model.sessions.rest(text.slot, used, self.now);
        let total_us = self.now - live.admitted_us;
        let counts = &mut self.model.counts;
        counts.prompt_tokens += u64::from(prompt_tokens);
        let limit = self.model.policy.map_or(0, |policy| policy.deadline_us);
        let failure = Failure::over(ErrorCode::Deadline, total_us, limit);
        let (code, value) = match (late, reason) {
            (true, _) => {
                counts.failed += 1;
                (failure.code as u16, (total_us, limit))
            }
            (false, FinishReason::Cancelled) => {
                counts.cancelled += 1;
                (reason as u16, (0, 0))
            }
            _ => {
                counts.finished += 1;
                (reason as u16, (0, 0))
            }
        };
        claim!(
            self,
            Log,
            record.code == code
                && (record.value, record.limit) == value
                && record.prompt_tokens == prompt_tokens
                && record.output_sha256 == text.output_sha256(),
            "{record:?} for {text:?}"
        );
        let id = live.id.unwrap_or(0);
        if late {
            return self.failed(id, failure);
        }
        let event = Event::Finished(wire::client::Finished {
            reason,
            prompt_tokens,
            generated_tokens: text.tokens,
            turn: text.turn,
            first_token_us: text.first_us.map_or(0, |at| at - live.admitted_us),
            total_us,
        });
        self.answered(id, &event, Claim::Answers)
    }

    /// A failure that inference has told.
    pub(super) fn failed_there(&mut self, number: u32, failure: Failure, detail: &[u8]) -> Held {
        let (record, _) = self.record_of(Kind::Fail, number)?;
        let Some(live) = self.ends(number) else {
            return Ok(());
        };
        let mut failure = failure;
        let mut output = [0; 32];
        if let Some(text) = live.text() {
            if text.tokens > 0 {
                output = text.output_sha256();
            }
            failure = self.refunded(number, &live, text, failure);
        }
        claim!(
            self,
            Log,
            record.code == failure.code as u16
                && (record.value, record.limit) == (failure.value, failure.limit)
                && record.output_sha256 == output,
            "{record:?} for {failure:?}"
        );
        let event = Event::Failed { failure, detail };
        if live.own {
            self.model.current = None;
            self.model.notices.load_failed = Some(failure);
            return self.own_load_over();
        }
        match live.id {
            Some(id) => self.answered(id, &event, Claim::Answers),
            None => Ok(()),
        }
    }

    /// A failed request costs nothing; what becomes of its session.
    pub(super) fn refunded(
        &mut self,
        number: u32,
        live: &Live,
        text: &Text,
        failure: Failure,
    ) -> Failure {
        use ErrorCode as Code;
        let now = self.now;
        if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
            ledger.settle(number, 0, now);
        }
        self.model.counts.failed += 1;
        let before = text.turn - 1;
        let untouched = text.tokens == 0 && leaves_session(failure.code);
        let sessions = &mut self.model.sessions;
        if failure.code == Code::SessionEvicted && before > 0 {
            sessions.present.remove(&text.slot);
            return Failure::over(Code::SessionEvicted, u64::from(before), 0);
        }
        match (untouched, before) {
            (true, 0) => drop(sessions.present.remove(&text.slot)),
            (true, _) => sessions.rest(text.slot, 0, now),
            (false, _) => drop(sessions.end(text.slot, Code::SessionLost)),
        }
        failure
    }

    pub(super) fn loaded(
        &mut self,
        number: u32,
        model: usize,
        loaded: &wire::engine::Loaded,
    ) -> Held {
        self.figures.loads += 1;
        self.model.current = Some(model);
        let (record, _) = self.record_of(Kind::Load, number)?;
        let Some(live) = self.ends(number) else {
            return Ok(());
        };
        if !live.own {
            claim!(
                self,
                Models,
                self.model.texts().next().is_none(),
                "a user's model is loaded under requests for text"
            );
            self.model.sessions.end_all();
        }
        let Some(file) = self.model.store.map(|store| &store[model]) else {
            return Ok(());
        };
        self.model.wanted = file.name;
        claim!(self, Models, record.value == file.bytes, "{record:?}");
        let info = wire::ModelInfo {
            file_bytes: file.bytes,
            sha256: file.sha256,
            ..loaded.info
        };
        let name = file.name;
        match live.id {
            Some(id) => self.answered(id, &Event::Loaded { name, info }, Claim::Answers),
            None if live.own => self.own_load_over(),
            None => Ok(()),
        }
    }

    /// The load that begins an epoch is over.
    pub(super) fn own_load_over(&mut self) -> Held {
        match std::mem::replace(&mut self.model.phase, Phase::Serving) {
            Phase::Booting => self.model.notices.ready = true,
            Phase::Recovering(since) => {
                let (record, _) = self.record(Kind::Recover)?;
                let after_us = self.now - since;
                let restarts = self.model.counts.restarts;
                claim!(
                    self,
                    Log,
                    (record.value, record.limit) == (after_us, restarts),
                    "{record:?}, {after_us} after, {restarts} restarts"
                );
                self.model.notices.exhausted = None;
                self.model.notices.recovered = Some((after_us, restarts as u32));
            }
            phase => self.model.phase = phase,
        }
        Ok(())
    }
}

/// Whether a request that fails so before its first token leaves its session as it was.
fn leaves_session(code: ErrorCode) -> bool {
    use ErrorCode as Code;
    [
        Code::PromptTokens,
        Code::PromptBytes,
        Code::EmptyPrompt,
        Code::PromptNotUtf8,
        Code::ContextFull,
        Code::CacheFull,
        Code::UnsupportedModel,
        Code::Busy,
    ]
    .contains(&code)
}

/// Whether inference may give this reason.
fn is_inferences(code: ErrorCode) -> bool {
    use ErrorCode as Code;
    let others = [
        Code::MaxTokens,
        Code::NoSuchRequest,
        Code::SessionEvicted,
        Code::NoModel,
        Code::BadModel,
        Code::ModelTooLarge,
        Code::BadStore,
        Code::ModelInUse,
        Code::NonFinite,
        Code::Unsupported,
    ];
    leaves_session(code) || others.contains(&code)
}
