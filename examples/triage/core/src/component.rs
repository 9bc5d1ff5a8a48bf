//! The component itself: it asks about one line after the other.

use crate::decisions::Decisions;
use crate::events::{Events, Line};
use crate::verdict::{Reason, Verdict};
use client::region::{ReadWords, WriteWords};
use client::{
    Answer, Client, Endpoint, ErrorCode, Finished, FormatName, Inbox, Incoming, Infer, MAX_WAITING,
    Notice, Outcome, SubmitError,
};
use core::fmt;
use sel4_llm_client as client;

/// Most tokens of an answer. A class is one token of the model's vocabulary; another model may need a few.
pub const MAX_TOKENS: u32 = 4;
/// Bytes of an answer that are kept. No class is longer.
pub const ANSWER_BYTES: usize = 16;
/// The system text of every question, told to the model before the line. It is part of the program, and no event can
/// change it, because only the model's chat template marks where it ends.
pub(crate) const STANDING: &str = include_str!("../../standing.txt").trim_ascii_end();
/// The format of the policy that an answer must have: one of the four classes. The policy lets this client ask for no other.
pub(crate) const FORMAT: &str = "triage";
/// How often a question is asked if inference is restarted during it.
const ATTEMPTS: u8 = 2;

/// Services of the runtime.
pub trait Port {
    /// Tells audit to look at its rings.
    fn notify_audit(&mut self);
    /// Writes a line of debug output.
    fn debug(&mut self, line: fmt::Arguments<'_>);
}

/// Buffers, kept off a small stack.
#[derive(Debug)]
pub struct Memory {
    client: client::Memory,
    answer: [u8; ANSWER_BYTES],
    inbox: Inbox,
}

impl Memory {
    /// New, empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            client: client::Memory::new(),
            answer: [0; ANSWER_BYTES],
            inbox: Inbox::new(),
        }
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the current line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not asked about yet.
    ToAsk,
    /// Its question must still be sent, or is in flight.
    Asked,
    /// There are no more lines.
    Done,
}

/// How long answers take, by audit's clock. The first question computes the standing text, and the others share it.
#[derive(Clone, Copy, Debug, Default)]
struct Times {
    answers: u64,
    /// For the first answer, in microseconds.
    first_us: u64,
    /// For all others together.
    others_us: u64,
}

impl Times {
    fn add(&mut self, finished: &Finished) {
        if self.answers == 0 {
            self.first_us = finished.total_us;
        } else {
            self.others_us = self.others_us.saturating_add(finished.total_us);
        }
        self.answers = self.answers.saturating_add(1);
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.answers.saturating_sub(1);
        let each = self.others_us.checked_div(others).unwrap_or_default();
        let first = self.first_us;
        write!(
            f,
            "the first answer took {first} us, each of {others} others {each} us"
        )
    }
}

/// The component. `R` is the type of the region that audit writes, `W` that of the two that it writes itself.
#[derive(Debug)]
pub struct Triage<'m, R, W> {
    client: Client<'m, R, W>,
    inbox: &'m mut Inbox,
    answer: Answer<'m>,
    events: Events<'m>,
    decisions: Decisions<W>,
    /// The line to decide next; `None` after the last.
    line: Option<Line<'m>>,
    stage: Stage,
    /// How often inference was restarted during its question.
    attempts: u8,
    times: Times,
    /// Whether audit accepts questions: not before it is ready, nor while inference is being restarted.
    takes_questions: bool,
}

impl<'m, R: ReadWords, W: WriteWords> Triage<'m, R, W> {
    /// A component over its end of the rings, the events, and the region for its decisions.
    pub fn new(
        ring: Endpoint<R, W>,
        events: &'m [u8],
        decisions: W,
        memory: &'m mut Memory,
    ) -> Self {
        let Memory {
            client,
            answer,
            inbox,
        } = memory;
        let mut events = Events::new(events);
        Self {
            client: Client::new(ring, client),
            inbox,
            answer: Answer::new(answer),
            line: events.next(),
            events,
            decisions: Decisions::new(decisions),
            stage: Stage::ToAsk,
            attempts: 0,
            times: Times::default(),
            takes_questions: false,
        }
    }

    /// Audit has signalled: reads its events, decides, and asks the next question.
    pub fn on_signal(&mut self, port: &mut impl Port) {
        for _ in 0..MAX_WAITING {
            let Some(incoming) = self.client.poll(self.inbox) else {
                break;
            };
            if let Incoming::Notice(notice) = &incoming {
                self.takes_questions = match notice {
                    // After a failure audit answers again, even if only by refusing.
                    Notice::Ready(_) | Notice::Recovered { .. } | Notice::Failed { .. } => true,
                    Notice::Fault { .. } | Notice::Restarted => false,
                    Notice::Progress(_) => self.takes_questions,
                };
            }
            let is_part = self.answer.take(&incoming);
            if is_part && let Some(outcome) = self.answer.outcome() {
                self.ended(outcome, port);
            }
        }
        self.ask(port);
        if self.client.take_owed_signal() {
            port.notify_audit();
        }
    }

    /// How many lines were routine and how many escalated; `None` until all lines are decided.
    #[must_use]
    pub fn result(&self) -> Option<(u64, u64)> {
        (self.stage == Stage::Done).then(|| self.decisions.counts())
    }

    /// Asks about the next line that is fit to be asked about.
    fn ask(&mut self, port: &mut impl Port) {
        while self.takes_questions && self.stage == Stage::ToAsk {
            let Some(line) = self.line else {
                return self.finish(port);
            };
            let text = match line.text {
                Ok(text) => text,
                Err(bad) => {
                    self.decide(Verdict::Escalate(Reason::Line(bad)), port);
                    continue;
                }
            };
            // The standing text comes first and is always the same, so inference computes it only once. The likeliest
            // class is taken, so the same line gets the same answer.
            let question = Infer::say(text)
                .system(STANDING)
                .format(FormatName::new(FORMAT).unwrap_or(FormatName::EMPTY))
                .max_tokens(MAX_TOKENS)
                .greedy();
            match self.client.infer(&question) {
                Ok(request) => {
                    self.answer.begin(request);
                    self.stage = Stage::Asked;
                }
                // Audit will signal when this changes.
                Err(
                    SubmitError::Full | SubmitError::NotConnected | SubmitError::TooManyInFlight,
                ) => return,
                Err(_) => self.decide(Verdict::Escalate(Reason::NotSent), port),
            }
        }
    }

    /// The answer to the question about the current line has ended.
    fn ended(&mut self, outcome: Outcome, port: &mut impl Port) {
        self.stage = Stage::ToAsk;
        let verdict = match outcome {
            Outcome::Finished(finished) => {
                self.times.add(&finished);
                Verdict::of_answer(self.answer.bytes())
            }
            Outcome::Failed(failure) => Verdict::Escalate(Reason::NoAnswer(failure.code)),
            Outcome::Lost => Verdict::Escalate(Reason::Lost),
        };
        self.attempts = self.attempts.saturating_add(1);
        if was_restarted(verdict) && self.attempts < ATTEMPTS {
            return;
        }
        self.decide(verdict, port);
    }

    /// Acts, and moves to the next line.
    fn decide(&mut self, verdict: Verdict, port: &mut impl Port) {
        if let Some(line) = self.line {
            self.decisions.write(line.number, verdict);
            let text = line.text.unwrap_or_default();
            // Untrusted text is not shown unchecked.
            match verdict {
                Verdict::Routine | Verdict::Escalate(Reason::Judged | Reason::Unclear) => port
                    .debug(format_args!(
                        "line {}, {verdict}: {text:?} {:?}",
                        line.number,
                        self.answer.text().unwrap_or_default()
                    )),
                Verdict::Escalate(_) => {
                    port.debug(format_args!("line {}, {verdict}: {text:?}", line.number));
                }
            }
        }
        self.line = self.events.next();
        self.attempts = 0;
    }

    fn finish(&mut self, port: &mut impl Port) {
        self.stage = Stage::Done;
        let (routine, escalated) = self.decisions.counts();
        port.debug(format_args!("{}", self.times));
        port.debug(format_args!(
            "all lines decided: {routine} routine, {escalated} escalated"
        ));
    }
}

/// Whether the question has no answer because audit or inference was restarted, so another attempt is worthwhile.
const fn was_restarted(verdict: Verdict) -> bool {
    matches!(
        verdict,
        Verdict::Escalate(
            Reason::Lost
                | Reason::NoAnswer(
                    ErrorCode::InferenceFault
                        | ErrorCode::ProtocolViolation
                        | ErrorCode::FormatBreach
                        | ErrorCode::Unresponsive
                )
        )
    )
}
