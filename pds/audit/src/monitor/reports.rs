//! Reports from inference: each is checked against its request, counted, and kept for the client.

use super::{Monitor, Port};
use crate::answer::Wrong;
use crate::egress::Egress;
use crate::files::FilesEnd;
use crate::generation::{Generation, Stop};
use crate::link::{Current, Phase};
use crate::models::Verified;
use crate::table::{Detail, End, InFlight, Origin, State, Work};
use crate::tuning::Stage;
use protocol::error::{ErrorCode, Failure};
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::Finished;
use protocol::wire::engine::{Loaded, Report};
use protocol::wire::{Fault, FaultKind, FinishReason, ModelInfo};

/// Inference broke the protocol.
pub(super) struct Breach;

/// What a report says about inference as a whole.
enum Heard {
    /// Nothing unusual.
    Sound,
    /// Inference reports that its own memory is corrupt.
    Corrupt,
}

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    /// Reads at most a ring's worth of reports. Credit ensures that there is room for their text.
    pub(super) fn read_inference(&mut self, frame: &mut Frame, now: u64, port: &mut impl Port) {
        for _ in 0..SLOTS {
            if self.link.phase == Phase::Stopped {
                return;
            }
            let heard = match self.link.receive(frame) {
                Ok(true) => self.handle_report(frame, now),
                Ok(false) => return,
                Err(_) => Err(Breach),
            };
            let fault = |kind| Fault {
                kind,
                ip: 0,
                address: 0,
            };
            match heard {
                Ok(Heard::Sound) => {}
                Ok(Heard::Corrupt) => {
                    return self.take_fault(fault(FaultKind::Corruption), now, port);
                }
                Err(Breach) => {
                    self.ledger.violation_of_inference(&mut self.work, now);
                    let code = ErrorCode::ProtocolViolation;
                    return self.restart(fault(FaultKind::Violation), code, now, port);
                }
            }
        }
    }

    fn handle_report(&mut self, frame: &Frame, now: u64) -> Result<Heard, Breach> {
        let report = Report::parse(frame).map_err(|_| Breach)?;
        match report {
            // Inference has joined the epoch; its requests are already waiting in the ring.
            Report::Ready => Ok(Heard::Sound),
            // A false report gets inference restarted, which it could also achieve by faulting.
            Report::Corrupt => Ok(Heard::Corrupt),
            Report::Evicted { session } => {
                let bytes = Egress::of_event(frame.payload().len());
                self.evicted(session, bytes, now);
                Ok(Heard::Sound)
            }
            _ => {
                self.handle_answer(report, frame, now)?;
                Ok(Heard::Sound)
            }
        }
    }

    /// Handles a report about a request.
    fn handle_answer(&mut self, report: Report<'_>, frame: &Frame, now: u64) -> Result<(), Breach> {
        let number = frame.header().request;
        let found = self
            .table
            .find(|entry| entry.number == number && !entry.is_over());
        let Some(index) = found else {
            // It answers a request that is over, such as one that failed just before it was cancelled: dropped.
            self.ledger.violation_of_inference(&mut self.work, now);
            return Ok(());
        };
        let entry = self.table.get_mut(index).ok_or(Breach)?;
        let bytes = Egress::of_event(frame.payload().len());
        match (&mut entry.work, report) {
            (Work::Infer(generation), Report::Token { id, text }) => {
                if generation.tokens >= generation.credit {
                    return Err(Breach);
                }
                self.take_token(index, id, text, now)
            }
            (
                Work::Infer(generation),
                Report::Finished {
                    reason,
                    prompt_tokens,
                    generated_tokens,
                },
            ) => {
                let most = generation.most_prompt_tokens;
                if generated_tokens != generation.tokens || prompt_tokens > most {
                    return Err(Breach);
                }
                if reason == FinishReason::Stop && !generation.answer.has_stops() {
                    return Err(Breach);
                }
                self.finish_text(index, reason, prompt_tokens, bytes, now)
            }
            (Work::Load(verified), Report::Loaded(loaded)) => {
                if !loaded.info.has_sound_template() {
                    return Err(Breach);
                }
                let verified = *verified;
                self.finish_load(index, verified, &loaded, bytes, now);
                Ok(())
            }
            (Work::Status, Report::Holdings(holdings)) => {
                self.end(index, End::Status(holdings), bytes);
                Ok(())
            }
            (Work::Adapter(place, adapter), Report::AdapterLoaded(loaded)) => {
                let (place, adapter) = (*place, *adapter);
                self.finish_adapter(index, place, adapter, &loaded, bytes, now);
                Ok(())
            }
            (Work::Tune(tuning), Report::AdapterLoaded(loaded)) => {
                let Stage::Loading(place, adapter) = tuning.stage else {
                    return Err(Breach);
                };
                self.finish_adapter(index, place, adapter, &loaded, bytes, now);
                Ok(())
            }
            (Work::Tune(_), Report::Training(progress)) => {
                self.training_goes_on(index, progress, bytes)
            }
            (Work::Tune(_), Report::Part { offset, bytes }) => self.take_part(index, offset, bytes),
            (Work::Tune(_), Report::Trained(trained)) => {
                self.training_is_over(index, trained, bytes, now)
            }
            // Inference cannot fail at work that audit is doing itself.
            (Work::Tune(tuning), Report::Failed { .. }) if !tuning.is_with_inference() => {
                Err(Breach)
            }
            (_, Report::Failed { failure, detail }) => {
                if !failure.code.is_of_inference() {
                    return Err(Breach);
                }
                self.fail(index, failure, detail, bytes, now);
                Ok(())
            }
            _ => Err(Breach),
        }
    }

    /// Takes a token. If its text breaks the answer's format, nothing of it is kept.
    fn take_token(&mut self, index: usize, id: u32, text: &[u8], now: u64) -> Result<(), Breach> {
        match self.table.keep_text(index, text) {
            Ok(()) => {}
            Err(Wrong::Format) => return Err(self.break_off(index, ErrorCode::FormatBreach, now)),
            Err(Wrong::Stop) => return Err(self.break_off(index, ErrorCode::StopBreach, now)),
            Err(Wrong::Room) => return Err(Breach),
        }
        let entry = self.table.get_mut(index);
        let generation = entry.and_then(InFlight::generation_mut).ok_or(Breach)?;
        generation.count(id, text, now);
        self.ledger.count_token(now);
        Ok(())
    }

    /// Inference's answer breaks the format. The request ends for that reason; because it is a breach, all other
    /// requests end, too.
    fn break_off(&mut self, index: usize, code: ErrorCode, now: u64) -> Breach {
        let stats = &mut self.ledger.stats;
        stats.format_breaches = stats.format_breaches.saturating_add(1);
        self.end_request(index, code, now);
        Breach
    }

    /// Inference has forgotten an idle session to make room for another.
    fn evicted(&mut self, slot: u32, bytes: u64, now: u64) {
        let slot = slot as usize;
        match self.gate.sessions.get(slot) {
            Some(session) if !session.active => {}
            // The session is in use again, so its next request will fail and say so.
            _ => return self.ledger.violation_of_inference(&mut self.work, now),
        }
        // It cannot be held back, because it is not sent to a client as an event of its own.
        self.egress.pass(bytes, now);
        if let Some(session) = self.gate.sessions.end(slot, ErrorCode::SessionEvicted) {
            self.record_eviction(&session, now);
        }
    }

    /// Ends a request. Its client is told after it has taken all earlier text. `bytes`: what the end costs under the
    /// egress cap; 0 if it is audit's own word.
    pub(super) fn end(&mut self, index: usize, end: End, bytes: u64) {
        self.table.release_text(index);
        let Some(entry) = self.table.get_mut(index) else {
            return;
        };
        let unused = core::mem::take(&mut entry.share);
        self.ledger.give_back(entry.user, unused);
        match entry.origin {
            Origin::Client { .. } => {
                entry.state = State::Ended(end);
                entry.end_bytes = bytes;
                self.note_ended(index);
            }
            // There is nobody to tell.
            Origin::Forgotten { .. } | Origin::Audit => drop(self.table.remove(index)),
        }
    }

    /// A generation has finished. Its tokens are those that audit has counted, and its times are audit's.
    fn finish_text(
        &mut self,
        index: usize,
        reason: FinishReason,
        prompt_tokens: u32,
        bytes: u64,
        now: u64,
    ) -> Result<(), Breach> {
        let entry = self.table.get(index).ok_or(Breach)?;
        let generation = entry.generation().ok_or(Breach)?;
        let is_stopped = generation.stop != Stop::No && reason == FinishReason::Cancelled;
        if !is_stopped && !self.table.is_whole(generation) {
            return Err(self.break_off(index, ErrorCode::FormatBreach, now));
        }
        // For an answer that is bound to a format, nothing else that inference says is passed on.
        let (told_reason, told_tokens) = match generation.answer.is_bound() {
            true if is_stopped => (reason, 0),
            true => (FinishReason::EndOfText, 0),
            false => (reason, prompt_tokens),
        };
        let total_us = now.saturating_sub(entry.admitted_us);
        let used = u64::from(prompt_tokens).saturating_add(u64::from(generation.tokens));
        let (reservation, slot) = (generation.reservation, generation.slot);
        let late = matches!(entry.state, State::Late { .. });
        let mut record = self.record_of(entry, if late { Kind::Fail } else { Kind::Finish }, now);
        record.prompt_tokens = prompt_tokens;
        record.output_sha256 = generation.output_sha256();
        let finished = Finished {
            reason: told_reason,
            prompt_tokens: told_tokens,
            generated_tokens: generation.tokens,
            turn: generation.turn,
            first_token_us: record.first_token_us,
            total_us,
            held_us: self
                .egress
                .held_us(now)
                .saturating_sub(generation.held_before_us),
        };
        self.gate.accounts.settle(reservation, used, now);
        self.gate.sessions.end_turn(slot, used, now);
        let stats = &mut self.ledger.stats;
        stats.prompt_tokens = stats.prompt_tokens.saturating_add(u64::from(prompt_tokens));
        let end = if late {
            let limit = self.gate.policy().deadline_us;
            let failure = Failure::over(ErrorCode::Deadline, total_us, limit);
            record.code = failure.code as u16;
            record.value = failure.value;
            record.limit = failure.limit;
            stats.failed = stats.failed.saturating_add(1);
            End::failed(failure, "")
        } else {
            record.code = reason as u16;
            if reason == FinishReason::Cancelled {
                stats.cancelled = stats.cancelled.saturating_add(1);
            } else {
                stats.finished = stats.finished.saturating_add(1);
                self.ledger.latencies.add(total_us);
            }
            End::Finished(finished)
        };
        self.record_about(index, record, now);
        self.end(index, end, bytes);
        self.note_busy(now);
        Ok(())
    }

    /// A request has failed in inference. It costs the user nothing.
    fn fail(&mut self, index: usize, failure: Failure, detail: &[u8], bytes: u64, now: u64) {
        let Some(entry) = self.table.get(index) else {
            return;
        };
        if entry.tuning().is_some() {
            return self.fail_tuning(index, failure, detail, bytes, now);
        }
        let restored = match &entry.work {
            Work::Adapter(place, _) if entry.origin == Origin::Audit => Some(*place),
            _ => None,
        };
        let (is_own, mut record) = (
            entry.origin == Origin::Audit,
            self.record_of(entry, Kind::Fail, now),
        );
        let generation = entry.generation().cloned();
        let failure = match &generation {
            Some(generation) => {
                generation.describe_shown(&mut record);
                self.refund(generation, failure, now)
            }
            None => failure,
        };
        record.code = failure.code as u16;
        record.value = failure.value;
        record.limit = failure.limit;
        self.record_about(index, record, now);
        let bound = generation.filter(|generation| generation.answer.is_bound());
        // For an answer that is bound to a format, only the reason for the failure is passed on.
        let (failure, detail) = match &bound {
            Some(generation) => (bare(failure, generation), &[][..]),
            None => (failure, detail),
        };
        // The detail of a report is never longer.
        let detail = Detail::from_slice(detail).unwrap_or_default();
        if let Some(place) = restored {
            // After a restart, the other adapters come back without this one.
            self.places.clear(place);
            self.egress.pass(bytes, now);
            self.end(index, End::Failed { failure, detail }, bytes);
            return self.restore_adapters(now);
        }
        if is_own {
            self.link.current = None;
            self.places.clear_all();
            // All clients are told. While the system is not in service, nothing else is held back.
            self.egress.pass(bytes, now);
            self.clients
                .notify_all(|notices| notices.load_failed(failure, &detail));
        }
        self.end(index, End::Failed { failure, detail }, bytes);
        if is_own {
            self.end_own_load(now);
        }
        self.note_busy(now);
    }

    /// Returns a failed request's tokens and decides what becomes of its session. Returns the failure to show its user.
    fn refund(&mut self, generation: &Generation<'_>, failure: Failure, now: u64) -> Failure {
        let stats = &mut self.ledger.stats;
        stats.failed = stats.failed.saturating_add(1);
        let Self { gate, .. } = self;
        gate.accounts.settle(generation.reservation, 0, now);
        let turns_before = generation.turn.saturating_sub(1);
        // It was refused before it began.
        let untouched = generation.tokens == 0 && failure.code.leaves_session();
        match failure.code {
            // The session was evicted before inference saw the request.
            ErrorCode::SessionEvicted if turns_before > 0 => {
                gate.sessions.forget(generation.slot);
                let turns = u64::from(turns_before);
                return Failure::over(ErrorCode::SessionEvicted, turns, 0);
            }
            _ if untouched && turns_before > 0 => gate.sessions.end_turn(generation.slot, 0, now),
            _ if untouched => gate.sessions.forget(generation.slot),
            _ => {
                gate.sessions.end(generation.slot, ErrorCode::SessionLost);
            }
        }
        failure
    }

    fn finish_load(
        &mut self,
        index: usize,
        verified: Verified,
        loaded: &Loaded,
        bytes: u64,
        now: u64,
    ) {
        let Some(entry) = self.table.get(index) else {
            return;
        };
        let is_own = entry.origin == Origin::Audit;
        let record = Record {
            kv_type: loaded.kv_type as u16,
            numerics: loaded.numerics,
            value: verified.bytes,
            limit: u64::from(self.gate.policy().context_tokens),
            ..self.record_of(entry, Kind::Load, now)
        };
        if is_own {
            // What inference reports about the model appears in the counters that clients ask for.
            self.egress.pass(bytes, now);
        } else {
            // Sessions and adapters belong to the previous model.
            self.gate.sessions.end_all();
            self.places.clear_all();
        }
        let info = ModelInfo {
            file_bytes: verified.bytes,
            sha256: verified.sha256,
            ..loaded.info
        };
        self.link.wanted = verified.name;
        self.link.current = Some(Current {
            verified,
            loaded: Loaded { info, ..*loaded },
        });
        self.record_about(index, record, now);
        let name = verified.name;
        self.end(index, End::Loaded { name, info }, bytes);
        if is_own {
            self.restore_adapters(now);
        }
    }

    /// Ends every request that inference has, with `code`.
    pub(super) fn end_requests(&mut self, code: ErrorCode, now: u64) {
        let concerned = |entry: &InFlight<'_>| !entry.is_over() && !entry.is_audits_alone();
        // Inference is not concerned with what audit is verifying, reading or signing.
        while let Some(index) = self.table.find(concerned) {
            let Some(entry) = self.table.get(index) else {
                break;
            };
            if entry.tuning().is_some() {
                self.fail_tuning(index, Failure::of(code), &[], 0, now);
                continue;
            }
            self.end_request(index, code, now);
        }
        self.gate.sessions.end_all();
        self.places.all_are_absent();
        self.note_busy(now);
    }

    /// Ends a request that inference has, other than a fine-tuning, with `code`. It costs the user nothing.
    pub(super) fn end_request(&mut self, index: usize, code: ErrorCode, now: u64) {
        let Some(entry) = self.table.get(index) else {
            return;
        };
        let mut record = Record {
            code: code as u16,
            ..self.record_of(entry, Kind::Fail, now)
        };
        let about = entry.about();
        if let Some(generation) = entry.generation() {
            generation.describe_shown(&mut record);
            self.gate.accounts.settle(generation.reservation, 0, now);
            let stats = &mut self.ledger.stats;
            stats.failed = stats.failed.saturating_add(1);
        }
        self.record_about(index, record, now);
        self.end(index, End::failed(Failure::of(code), about.as_str()), 0);
    }
}

/// A failure without numbers that inference could choose. The limit on the length of a format's answer is the request's
/// own.
fn bare(failure: Failure, generation: &Generation<'_>) -> Failure {
    match failure.code {
        ErrorCode::FormatTooLong => {
            Failure::over(failure.code, 0, generation.params.max_tokens.into())
        }
        // The number of turns is audit's own.
        ErrorCode::SessionEvicted if generation.turn > 1 => failure,
        code => Failure::of(code),
    }
}
