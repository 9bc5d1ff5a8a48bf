//! Reports of inference, and what must follow from them.

use super::*;
use crate::formats::Answer;
use crate::model::{ENTRY, End, Live, Phase, Placed, Session, Stage, State, Stop, Text, Work};
use crate::world::{Garbage, Message};
use protocol::error::{ErrorCode, Failure};
use protocol::name::UserName;
use protocol::record::{Kind, Record};
use protocol::ring::SLOTS;
use protocol::wire::client::Finished;
use protocol::wire::engine::{Loaded, Report};
use protocol::wire::{self, Fault, FaultKind, FinishReason};

/// What a report costs under the egress cap if its client is told of it.
const fn cost(message: &Message) -> u64 {
    message.payload.len() as u64 + 8
}

impl Judge<'_> {
    pub(super) fn report(&mut self, taken: Result<Message, Garbage>) -> Held {
        self.took_of_inference += 1;
        claim!(
            self,
            Flow,
            self.model.phase != Phase::Stopped
                && !self.restarted
                && self.took_of_inference <= SLOTS,
            "a report is taken, the {}th, in {:?}; restarted: {}",
            self.took_of_inference,
            self.model.phase,
            self.restarted
        );
        claim!(
            self,
            Epochs,
            !self.silent,
            "{taken:?} is taken of a life that has written nothing"
        );
        if let Ok(message) = &taken
            && let Ok(Report::Corrupt) = Report::parse(&message.frame())
        {
            self.model.counts.faults += 1;
            self.figures.faults += 1;
            let fault = Fault {
                kind: FaultKind::Corruption,
                ip: 0,
                address: 0,
            };
            return self.restart(fault, ErrorCode::InferenceFault);
        }
        let honest = match &taken {
            Ok(message) => self.said(message)?,
            Err(Garbage) => false,
        };
        if !honest {
            self.violation(None)?;
            let fault = Fault {
                kind: FaultKind::Violation,
                ip: 0,
                address: 0,
            };
            self.restart(fault, ErrorCode::ProtocolViolation)?;
        }
        Ok(())
    }

    /// Whether inference may send this report. If so, checks what follows from it.
    fn said(&mut self, message: &Message) -> Held<bool> {
        let frame = message.frame();
        let Ok(report) = Report::parse(&frame) else {
            return Ok(false);
        };
        let number = message.request;
        match report {
            Report::Ready => return Ok(true),
            Report::Evicted { session } => return self.evicts(session, message).map(|()| true),
            _ => {}
        }
        let Some(live) = self.model.live.get_mut(&number) else {
            return self.violation(None).map(|()| true);
        };
        match (&mut live.work, report) {
            (Work::Text(text), Report::Token { id, text: piece }) => {
                if text.tokens >= text.credit {
                    return Ok(false);
                }
                if !text.answer.may_begin(&[&text.all[..], piece].concat()) {
                    return self.is_broken_off(number).map(|()| false);
                }
                text.tokens += 1;
                text.first_us = text.first_us.or(Some(self.now));
                text.output.update(id.to_le_bytes());
                text.output.update((piece.len() as u32).to_le_bytes());
                text.output.update(piece);
                text.waiting.tokens += 1;
                text.takes(piece);
                self.model.note_token(self.now);
                self.figures.tokens += 1;
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
                if generated_tokens != text.tokens || prompt_tokens > text.most_prompt {
                    return Ok(false);
                }
                if reason == FinishReason::Stop && !matches!(text.answer, Answer::Stops(_)) {
                    return Ok(false);
                }
                let is_stopped = text.stop != Stop::No && reason == FinishReason::Cancelled;
                if !is_stopped && !text.answer.may_end(&text.all) {
                    return self.is_broken_off(number).map(|()| false);
                }
                self.finished(number, reason, prompt_tokens, cost(message))?;
                Ok(true)
            }
            (Work::Load(_), Report::Loaded(loaded))
                if loaded.info.fixed_tokens > 2048 || loaded.info.segment_tokens > 64 =>
            {
                Ok(false)
            }
            (Work::Load(model), Report::Loaded(loaded)) => {
                let model = *model;
                self.loaded(number, model, &loaded, cost(message))?;
                Ok(true)
            }
            (Work::Status, Report::Holdings(holdings)) => {
                self.is_over(number, End::Status(holdings), cost(message));
                Ok(true)
            }
            (Work::Adapter(place, placed), Report::AdapterLoaded(loaded)) => {
                let (place, placed) = (*place, placed.clone());
                self.adapter_loaded(number, place, placed, &loaded, cost(message))?;
                Ok(true)
            }
            (Work::Tune(tune), Report::AdapterLoaded(loaded)) => {
                let Stage::Loading(place) = tune.stage else {
                    return Ok(false);
                };
                let made = tune.made;
                let mut all = self.model.made.iter();
                let placed = all.find(|it| Some(it.id) == made).map(Placed::made);
                let Some(placed) = placed else {
                    return Ok(false);
                };
                self.adapter_loaded(number, place, placed, &loaded, cost(message))?;
                Ok(true)
            }
            (Work::Tune(tune), Report::Training(progress)) => {
                let may = tune.may_be_at(&progress);
                if may {
                    (tune.progress, tune.is_due) = (Some(progress), true);
                }
                Ok(may)
            }
            (Work::Tune(tune), Report::Part { offset, bytes }) => {
                let may = tune.may_send(offset, bytes);
                if may {
                    tune.file.extend_from_slice(bytes);
                }
                Ok(may)
            }
            (Work::Tune(_), Report::Trained(trained)) => {
                self.trained(number, trained, cost(message))
            }
            (Work::Tune(tune), Report::Failed { .. }) if !tune.is_with_inference() => Ok(false),
            (_, Report::Failed { failure, detail }) => {
                if !is_inferences(failure.code) {
                    return Ok(false);
                }
                self.failed_there(number, failure, detail, cost(message))?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// A request's answer breaks its format: the request ends for that reason, and held-back text is not shown.
    fn is_broken_off(&mut self, number: u32) -> Held {
        let live = self.model.live.get_mut(&number);
        let Some(text) = live.and_then(Live::text_mut) else {
            return Ok(());
        };
        let code = match text.answer {
            Answer::Stops(_) => ErrorCode::StopBreach,
            _ => ErrorCode::FormatBreach,
        };
        text.all.truncate(text.shown);
        self.model.counts.format_breaches += 1;
        self.figures.format_breaches += 1;
        self.is_lost(number, code)
    }

    /// Inference reports an eviction. Nobody is told, and if the report is accepted it counts under the egress cap at
    /// once.
    fn evicts(&mut self, session: u32, message: &Message) -> Held {
        let idle = self.model.sessions.present.get(&session);
        if idle.is_none_or(|idle| idle.active) {
            return self.violation(None);
        }
        self.model.bucket.owe(cost(message), self.now);
        let ended = self.model.sessions.end(session, ErrorCode::SessionEvicted);
        self.evicted(ended)
    }

    // ---- Records of requests --------------------------------------------------------------------

    /// Like [`Self::record`], for a request in flight, charged to the share that it has reserved.
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

    /// A session was evicted.
    pub(super) fn evicted(&mut self, ended: Option<Session>) -> Held {
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

    /// Checks a record's fields about a request.
    pub(super) fn of_request(&mut self, record: &Record, number: u32, live: &Live) -> Held {
        let user = match live.client.is_some() {
            true => self.model.user_name(live.user),
            false => UserName::EMPTY,
        };
        let mut right = record.request == number
            && record.user == user
            && record.latency_us == self.now - live.admitted_us;
        let file = live.model().zip(self.model.store);
        let file = file.map(|(model, store)| &store[model]);
        match &live.work {
            Work::Text(text) => {
                let policy = self.model.policy;
                let first = text.first_us.map_or(0, |at| at - live.admitted_us);
                right &= record.session == text.session
                    && record.turn == text.turn
                    && record.params == text.params
                    && record.prompt_bytes == text.prompt_bytes
                    && record.prompt_sha256 == text.prompt_sha256
                    && (record.segments, record.stops.into()) == text.counts
                    && policy.is_ok_and(|policy| record.user_defined == policy.user_defined as u16)
                    && (record.format, record.format_sha256) == text.format
                    && record.generated_tokens == text.tokens
                    && record.first_token_us == first;
                let adapter = text.adapter.map(|(_, sha256)| sha256);
                right &= record.adapter_sha256 == adapter.unwrap_or_default();
                let model = self.model.current.zip(self.model.store);
                right &= model.is_none_or(|(at, store)| record.model_sha256 == store[at].sha256);
            }
            Work::Load(_) => {
                right &= file.is_some_and(|file| {
                    record.name == file.name && record.model_sha256 == file.sha256
                });
            }
            Work::Verify(..) => right &= file.is_some_and(|file| record.name == file.name),
            Work::VerifyAdapter(..) => right &= record.name == self.about(live),
            Work::Adapter(_, placed) => {
                right &= record.name == placed.name && record.adapter_sha256 == placed.sha256;
            }
            Work::Tune(tune) => {
                let made = self.model.made.iter().find(|it| Some(it.id) == tune.made);
                let made = made.map(crate::model::Made::sha256).unwrap_or_default();
                let data = tune.data.map(|data| (data.sha256, data.bytes as u32));
                right &= record.name == tune.name
                    && record.train == tune.params
                    // What is being loaded is in other fields.
                    && record.model_sha256 == tune.base
                    && record.adapter_sha256 == made
                    && (record.prompt_sha256, record.prompt_bytes) == data.unwrap_or_default();
            }
            Work::Status => {}
        }
        claim!(self, Log, right, "{record:?} for {number}: {live:?}");
        Ok(())
    }

    // ---- Ends -----------------------------------------------------------------------------------

    fn finished(
        &mut self,
        number: u32,
        reason: FinishReason,
        prompt_tokens: u32,
        cost: u64,
    ) -> Held {
        let late = self
            .model
            .live
            .get(&number)
            .is_some_and(|live| live.state != State::Active);
        let kind = if late { Kind::Fail } else { Kind::Finish };
        let (record, _) = self.record_of(kind, number)?;
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(());
        };
        let Some(text) = live.text() else {
            return Ok(());
        };
        let is_stopped = text.stop != Stop::No && reason == FinishReason::Cancelled;
        let used = u64::from(prompt_tokens) + u64::from(text.tokens);
        if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
            ledger.settle(number, used, self.now);
        }
        self.model.sessions.rest(text.slot, used, self.now);
        self.figures.stopped += u64::from(reason == FinishReason::Stop);
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
                self.model.latencies.push(total_us);
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
        let end = match late {
            true => End::Failed(failure, Vec::new()),
            false => End::Finished(Finished {
                // For a bound answer, nothing else that inference says is passed on.
                reason: match text.answer.is_bound() && !is_stopped {
                    true => FinishReason::EndOfText,
                    false => reason,
                },
                prompt_tokens: match text.answer.is_bound() {
                    true => 0,
                    false => prompt_tokens,
                },
                generated_tokens: text.tokens,
                turn: text.turn,
                first_token_us: text.first_us.map_or(0, |at| at - live.admitted_us),
                total_us,
                held_us: self.model.bucket.held_us(self.now) - text.held_before_us,
            }),
        };
        self.is_over(number, end, cost);
        self.model.note_busy(self.now);
        Ok(())
    }

    /// Inference's report on audit's own load goes to all clients, and counts at once.
    pub(super) fn is_said_to_all(&mut self, live: &Live, cost: u64) {
        if live.client.is_none() {
            self.model.bucket.owe(cost, self.now);
        }
    }

    fn failed_there(&mut self, number: u32, failure: Failure, detail: &[u8], cost: u64) -> Held {
        if self
            .model
            .live
            .get(&number)
            .is_some_and(|live| live.tune().is_some())
        {
            return self.tuning_fails(number, failure, detail, cost);
        }
        let (record, _) = self.record_of(Kind::Fail, number)?;
        let Some(live) = self.model.live.get(&number).cloned() else {
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
        self.is_said_to_all(&live, cost);
        let bound = live.text().filter(|text| text.answer.is_bound());
        let (failure, detail) = match bound {
            None => (failure, detail),
            Some(text) => (bare(failure, text), &[][..]),
        };
        self.is_over(number, End::Failed(failure, detail.to_vec()), cost);
        self.model.note_busy(self.now);
        if let (Work::Adapter(place, _), None) = (&live.work, live.client) {
            self.model.placed.remove(place);
            return self.adapters_come_back();
        }
        if live.client.is_none() {
            self.model.current = None;
            self.model.placed.clear();
            for client in &mut self.model.clients {
                client.notices.load_failed = Some((failure, detail.to_vec()));
            }
            return self.own_load_over();
        }
        Ok(())
    }

    /// A failed request costs nothing. Decides what becomes of its session.
    fn refunded(&mut self, number: u32, live: &Live, text: &Text, failure: Failure) -> Failure {
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

    fn loaded(&mut self, number: u32, model: usize, loaded: &Loaded, cost: u64) -> Held {
        self.figures.loads += 1;
        self.model.current = Some(model);
        let (record, _) = self.record_of(Kind::Load, number)?;
        let live = self.model.live.get(&number).cloned();
        let own = live.as_ref().is_some_and(|live| live.client.is_none());
        if let Some(live) = &live {
            self.is_said_to_all(live, cost);
        }
        if !own {
            claim!(
                self,
                Models,
                self.model.texts().next().is_none(),
                "a client's model is loaded under requests for text"
            );
            self.model.sessions.end_all();
            self.model.placed.clear();
        }
        let Some(file) = self.model.store.map(|store| &store[model]) else {
            return Ok(());
        };
        self.model.wanted = file.name;
        claim!(self, Models, record.value == file.bytes, "{record:?}");
        let context = self.model.policy.map_or(0, |policy| policy.context_tokens);
        claim!(
            self,
            Models,
            record.limit == u64::from(context),
            "{record:?}"
        );
        let info = wire::ModelInfo {
            file_bytes: file.bytes,
            sha256: file.sha256,
            ..loaded.info
        };
        let end = End::Loaded(file.name, info);
        self.is_over(number, end, cost);
        if own {
            return self.adapters_come_back();
        }
        Ok(())
    }
}

/// What a client is told of a failure if the answer is bound: the reason, and only numbers that inference has not
/// chosen.
fn bare(failure: Failure, text: &Text) -> Failure {
    match failure.code {
        ErrorCode::FormatTooLong => {
            Failure::over(failure.code, 0, u64::from(text.params.max_tokens))
        }
        ErrorCode::SessionEvicted if text.turn > 1 => failure,
        code => Failure::of(code),
    }
}

/// Whether a request that fails for this reason before its first token leaves its session unchanged.
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
        Code::NoSuchAdapter,
        Code::OtherAdapter,
        Code::Training,
        Code::FormatNotSpelled,
        Code::FormatTooLong,
        Code::NoTemplate,
        Code::NoSystem,
        Code::SegmentRole,
        Code::SegmentText,
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
        Code::AdapterInUse,
        Code::BadAdapter,
        Code::AdapterTooLarge,
        Code::OtherBase,
        Code::AdapterRoom,
        Code::TrainAlone,
        Code::TrainMemory,
        Code::BadData,
        Code::EmptyData,
        Code::DataTooLong,
        Code::DataContext,
    ];
    leaves_session(code) || others.contains(&code)
}
