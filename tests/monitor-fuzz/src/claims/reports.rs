//! Reports of inference, and what must follow from them.

mod requests;

use super::*;
use crate::formats::Answer;
use crate::model::{ENTRY, End, ExpectedSession, Live, Phase, Placed, Stage, Stop, Text, Work};
use crate::world::{Garbage, Message};
use protocol::error::{ErrorCode, Failure};
use protocol::record::{Kind, Record};
use protocol::ring::SLOTS;
use protocol::wire::engine::Report;
use protocol::wire::{Fault, FaultKind, FinishReason};

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
            "{taken:?} is taken from a run that has written nothing"
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
    pub(super) fn evicted(&mut self, ended: Option<ExpectedSession>) -> Held {
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
