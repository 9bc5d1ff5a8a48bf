//! What inference says: checked against the request that it belongs to, counted, and passed on as an event of audit's
//! own.

use super::{Current, Monitor, Peer, Phase, Port};
use crate::egress::Egress;
use crate::models::Verified;
use crate::sessions::Session;
use crate::table::{Generation, Origin, State, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::EXTRA_PROMPT_TOKENS;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::{Event, Finished};
use protocol::wire::engine::{Loaded, Report};
use protocol::wire::{Fault, FaultKind, FinishReason, ModelInfo};

/// Inference broke the protocol.
struct Breach;

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    /// Reads at most a ring's worth of reports, as long as the shell has room for them and the egress cap allows.
    pub(super) fn read_inference(&mut self, frame: &mut Frame, now: u64, port: &mut impl Port) {
        self.throttled = false;
        for _ in 0..SLOTS {
            if !self.has_room() || self.phase == Phase::Stopped {
                return;
            }
            if !Egress::allows(&mut self.egress, now) {
                self.throttled = true;
                return;
            }
            let violated = match self.inference.receive(frame) {
                Ok(true) => self.handle_report(frame, now).is_err(),
                Ok(false) => return,
                Err(_) => true,
            };
            if violated {
                self.count_violation(Peer::Inference, now);
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

    fn handle_report(&mut self, frame: &Frame, now: u64) -> Result<(), Breach> {
        let report = Report::parse(frame).map_err(|_| Breach)?;
        let number = frame.header().request;
        match report {
            // It has joined the epoch; its requests wait in the ring already.
            Report::Ready => return Ok(()),
            Report::Evicted { session } => {
                self.egress.pass(frame.payload().len(), now);
                return self.evicted(session, now);
            }
            _ => {}
        }
        let found = self
            .table
            .iter()
            .position(|entry| entry.number == number && !entry.is_over());
        let Some(index) = found else {
            // An answer to what is over, such as the failure of a late cancel: dropped.
            self.count_violation(Peer::Inference, now);
            return Ok(());
        };
        self.egress.pass(frame.payload().len(), now);
        let entry = self.table.get_mut(index).ok_or(Breach)?;
        let origin = entry.origin;
        match (&mut entry.work, report) {
            (Work::Infer(generation), Report::Token { id, text }) => {
                if generation.tokens >= generation.params.max_tokens {
                    return Err(Breach);
                }
                generation.pass(id, text, now);
                self.stats.generated_tokens = self.stats.generated_tokens.saturating_add(1);
                let uptime = self.uptime(now);
                self.recent.add(uptime);
                if let Origin::Shell(request) = origin {
                    self.tell_shell(request, &Event::Text { tokens: 1, text });
                }
                Ok(())
            }
            (
                Work::Infer(generation),
                Report::Finished {
                    reason,
                    prompt_tokens,
                    generated_tokens,
                },
            ) => {
                let most = generation.prompt_bytes.saturating_add(EXTRA_PROMPT_TOKENS);
                if generated_tokens != generation.tokens || prompt_tokens > most {
                    return Err(Breach);
                }
                self.finish(index, reason, prompt_tokens, now)
            }
            (Work::Load(verified), Report::Loaded(loaded)) => {
                let verified = *verified;
                self.finish_load(index, verified, &loaded, now);
                Ok(())
            }
            (Work::Status, Report::Holdings(holdings)) => {
                let status = self.status(&holdings);
                self.answer(index, &Event::Status(status));
                Ok(())
            }
            (_, Report::Failed { failure, detail }) => {
                if !failure.code.is_of_inference() {
                    return Err(Breach);
                }
                self.fail(index, failure, detail, now);
                Ok(())
            }
            _ => Err(Breach),
        }
    }

    /// Inference has forgotten an idle session to make room for another.
    fn evicted(&mut self, slot: u32, now: u64) -> Result<(), Breach> {
        let slot = slot as usize;
        match self.sessions.get(slot) {
            Some(session) if !session.active => {}
            // One that was asked to go on meanwhile: that request will fail, and says so.
            _ => {
                self.count_violation(Peer::Inference, now);
                return Ok(());
            }
        }
        if let Some(session) = self.sessions.end(slot, ErrorCode::SessionEvicted) {
            self.record_eviction(&session, now);
        }
        Ok(())
    }

    pub(super) fn record_eviction(&mut self, session: &Session, now: u64) {
        self.stats.evicted = self.stats.evicted.saturating_add(1);
        let record = Record {
            user: self.access.name(session.user),
            session: session.number,
            turn: session.turns,
            value: u64::from(session.turns),
            ..Record::new(Kind::Evict)
        };
        self.record(record, now);
    }

    /// A generation has ended. Its tokens are those that passed, its times are audit's.
    fn finish(
        &mut self,
        index: usize,
        reason: FinishReason,
        prompt_tokens: u32,
        now: u64,
    ) -> Result<(), Breach> {
        let entry = self.table.get(index).cloned().ok_or(Breach)?;
        let generation = entry.generation().ok_or(Breach)?;
        let total_us = now.saturating_sub(entry.admitted_us);
        let used = u64::from(prompt_tokens).saturating_add(u64::from(generation.tokens));
        self.accounts.settle(generation.reservation, used, now);
        self.sessions.end_turn(generation.slot, used, now);
        self.stats.prompt_tokens = self
            .stats
            .prompt_tokens
            .saturating_add(u64::from(prompt_tokens));
        let late = matches!(entry.state, State::Stopping { .. });
        let mut record = self.record_of(&entry, if late { Kind::Fail } else { Kind::Finish }, now);
        record.prompt_tokens = prompt_tokens;
        record.output_sha256 = generation.output_sha256();
        let turn = generation.turn;
        let event = if late {
            let limit = self.access.policy().deadline_us;
            let failure = Failure::over(ErrorCode::Deadline, total_us, limit);
            record.code = failure.code as u16;
            record.value = failure.value;
            record.limit = failure.limit;
            self.stats.failed = self.stats.failed.saturating_add(1);
            super::failed(failure)
        } else {
            record.code = reason as u16;
            match reason {
                FinishReason::Cancelled => {
                    self.stats.cancelled = self.stats.cancelled.saturating_add(1);
                }
                _ => {
                    self.stats.finished = self.stats.finished.saturating_add(1);
                    self.latencies.add(total_us);
                }
            }
            Event::Finished(Finished {
                reason,
                prompt_tokens,
                generated_tokens: generation.tokens,
                turn,
                first_token_us: record.first_token_us,
                total_us,
            })
        };
        self.record_about(index, record, &[], now);
        self.answer(index, &event);
        self.note_busy(now);
        Ok(())
    }

    /// A request has failed in inference. It costs nothing.
    fn fail(&mut self, index: usize, failure: Failure, detail: &[u8], now: u64) {
        let Some(entry) = self.table.get(index).cloned() else {
            return;
        };
        let failure = match entry.generation() {
            Some(generation) => self.refund(generation, failure, now),
            None => failure,
        };
        let mut record = Record {
            code: failure.code as u16,
            value: failure.value,
            limit: failure.limit,
            ..self.record_of(&entry, Kind::Fail, now)
        };
        if let Some(generation) = entry.generation() {
            generation.describe_shown(&mut record);
        }
        self.record_about(index, record, &[], now);
        if entry.origin == Origin::Audit {
            self.current = None;
            self.notices.load_failed(failure, detail);
            self.forget(index);
            self.end_own_load(now);
        } else {
            self.answer(index, &Event::Failed { failure, detail });
        }
        self.note_busy(now);
    }

    /// Gives a failed request's tokens back, and settles what becomes of its session; the failure in words for its
    /// user.
    fn refund(&mut self, generation: &Generation, failure: Failure, now: u64) -> Failure {
        self.accounts.settle(generation.reservation, 0, now);
        self.stats.failed = self.stats.failed.saturating_add(1);
        let turns_before = generation.turn.saturating_sub(1);
        // It was refused before it began.
        let untouched = generation.tokens == 0 && failure.code.leaves_session();
        match failure.code {
            // It was evicted before inference saw the request.
            ErrorCode::SessionEvicted if turns_before > 0 => {
                self.sessions.forget(generation.slot);
                let turns = u64::from(turns_before);
                return Failure::over(ErrorCode::SessionEvicted, turns, 0);
            }
            _ if untouched && turns_before > 0 => self.sessions.end_turn(generation.slot, 0, now),
            _ if untouched => self.sessions.forget(generation.slot),
            _ => {
                self.sessions.end(generation.slot, ErrorCode::SessionLost);
            }
        }
        failure
    }

    fn finish_load(&mut self, index: usize, verified: Verified, loaded: &Loaded, now: u64) {
        let own = self
            .table
            .get(index)
            .is_some_and(|entry| entry.origin == Origin::Audit);
        if !own {
            // Its sessions were another model's.
            self.sessions.end_all();
        }
        let info = ModelInfo {
            file_bytes: verified.bytes,
            sha256: verified.sha256,
            ..loaded.info
        };
        self.wanted = verified.name;
        self.current = Some(Current {
            verified,
            loaded: Loaded { info, ..*loaded },
        });
        if let Some(entry) = self.table.get(index).cloned() {
            let record = Record {
                kv_type: loaded.kv_type as u16,
                numerics: loaded.numerics,
                value: verified.bytes,
                ..self.record_of(&entry, Kind::Load, now)
            };
            self.record_about(index, record, &[], now);
        }
        let name = verified.name;
        self.answer(index, &Event::Loaded { name, info });
        if own {
            self.end_own_load(now);
        }
    }

    /// Ends every request with `code`; the shell is told when its ring has room.
    pub(super) fn end_requests(&mut self, code: ErrorCode, now: u64) {
        for index in 0..self.table.len() {
            let Some(entry) = self.table.get_mut(index) else {
                break;
            };
            // What is being verified does not concern inference.
            if entry.is_over() || matches!(entry.work, Work::Verify(_)) {
                continue;
            }
            entry.state = State::Ended(Failure::of(code));
            let entry = entry.clone();
            let mut record = Record {
                code: code as u16,
                ..self.record_of(&entry, Kind::Fail, now)
            };
            if let Some(generation) = entry.generation() {
                generation.describe_shown(&mut record);
                self.accounts.settle(generation.reservation, 0, now);
                self.stats.failed = self.stats.failed.saturating_add(1);
            }
            self.record_about(index, record, &[], now);
        }
        self.sessions.end_all();
        self.note_busy(now);
    }
}
