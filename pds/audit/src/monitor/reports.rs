//! Reports from inference: each is checked against its request, counted, and kept for the client.

mod ends;

use super::{Monitor, Port};
use crate::answer::Wrong;
use crate::egress::Egress;
use crate::files::FilesEnd;
use crate::link::{Current, Phase};
use crate::models::Verified;
use crate::table::{End, InFlight, Origin, Work};
use crate::tuning::Stage;
use protocol::error::ErrorCode;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
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
}
