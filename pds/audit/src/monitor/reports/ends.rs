//! Ends of requests: the charge, the refund, and the event for the client.

use super::Breach;
use crate::files::FilesEnd;
use crate::generation::{Generation, Stop};
use crate::monitor::Monitor;
use crate::table::{Detail, End, InFlight, Origin, State, Work};
use protocol::error::{ErrorCode, Failure};
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::FinishReason;
use protocol::wire::client::Finished;

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    /// Ends a request. Its client is told after it has taken all earlier text. `bytes`: what the end costs under the
    /// egress cap; 0 if it is audit's own word.
    pub(in crate::monitor) fn end(&mut self, index: usize, end: End, bytes: u64) {
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
    pub(super) fn finish_text(
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
    pub(super) fn fail(
        &mut self,
        index: usize,
        failure: Failure,
        detail: &[u8],
        bytes: u64,
        now: u64,
    ) {
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

    /// Ends every request that inference has, with `code`.
    pub(in crate::monitor) fn end_requests(&mut self, code: ErrorCode, now: u64) {
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
    pub(in crate::monitor) fn end_request(&mut self, index: usize, code: ErrorCode, now: u64) {
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
