//! Reports about a request, and its end.

use super::{bare, leaves_session};
use crate::claims::*;
use crate::model::{End, Live, State, Stop, Text, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::name::UserName;
use protocol::record::{Kind, Record};
use protocol::wire::client::Finished;
use protocol::wire::engine::Loaded;
use protocol::wire::{self, FinishReason};

impl Judge<'_> {
    /// Checks a record's fields about a request.
    pub(crate) fn of_request(&mut self, record: &Record, number: u32, live: &Live) -> Held {
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

    pub(super) fn finished(
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
    pub(crate) fn is_said_to_all(&mut self, live: &Live, cost: u64) {
        if live.client.is_none() {
            self.model.bucket.owe(cost, self.now);
        }
    }

    pub(super) fn failed_there(
        &mut self,
        number: u32,
        failure: Failure,
        detail: &[u8],
        cost: u64,
    ) -> Held {
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

    pub(super) fn loaded(&mut self, number: u32, model: usize, loaded: &Loaded, cost: u64) -> Held {
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
