//! Requests of the clients, and the events they get.

use super::{SECOND, System};
use crate::files::FilesEnd;
use crate::tests::peers::*;
use crate::work::PAUSE_US;
use protocol::error::Failure;
use protocol::limits::WATCHDOG_PERIOD_US;
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::record::Kind;
use protocol::ring::Frame;
use protocol::testing::{TestRegion, completion};
use protocol::wire::client::{Budget, BudgetChange, Event, Request, Stats};
use protocol::wire::engine::{Command, Report};
use protocol::wire::{FinishReason, InferParams, Parts};
use std::boxed::Box;
use std::string::String;
use std::vec::Vec;

impl<F: FilesEnd<TestRegion, TestRegion>> System<F> {
    pub(crate) fn log_in(&mut self, user: &str, passphrase: &str) {
        let user = UserName::new(user).unwrap();
        let passphrase = Some(passphrase.as_bytes());
        self.runtime.now += SECOND;
        self.ask(900, &Request::Login { user, passphrase });
        match &self.told()[..] {
            [Told::User(900, told)] if told.name == user => {}
            other => panic!("a login, not {other:?}"),
        }
    }

    /// Inference joins the epoch and finds audit's own load.
    pub(crate) fn join(&mut self) {
        assert!(self.inference.follow());
        self.say(0, &Report::Ready);
        match &self.asked()[..] {
            [Asked::Load(number, ..)] => self.own_load = *number,
            other => panic!("audit loads a model first, not {other:?}"),
        }
    }

    pub(crate) fn loaded(&mut self, number: u32) {
        self.say(number, &Report::Loaded(loaded()));
    }

    /// The shell sends a request, and audit is woken.
    pub(crate) fn ask(&mut self, id: u32, request: &Request<'_>) {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        self.shell.send(&frame).unwrap();
        self.wake();
    }

    /// The other client sends a request, and audit is woken.
    pub(crate) fn ask_as_other(&mut self, id: u32, request: &Request<'_>) {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        self.other.send(&frame).unwrap();
        self.wake();
    }

    /// What the other client is told, reading as often as necessary.
    pub(crate) fn told_to_other(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            core::mem::swap(&mut self.shell, &mut self.other);
            let told = self.told();
            core::mem::swap(&mut self.shell, &mut self.other);
            if told.is_empty() {
                return all;
            }
            all.extend(told);
        }
    }

    /// The shell sends a request if its ring has room, and audit is woken.
    pub(crate) fn ask_if_there_is_room(&mut self, id: u32, request: &Request<'_>) {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        let _ = self.shell.send(&frame);
        self.wake();
    }

    /// Whether audit could tell the shell more.
    pub(crate) fn shell_has_room(&mut self) -> bool {
        let monitor = self.audit.monitor_for_tests();
        monitor
            .clients
            .get(0)
            .is_some_and(|client| client.room() > 0)
    }

    pub(crate) fn infer_in(&mut self, id: u32, session: &str, max_tokens: u32) {
        let params = InferParams {
            max_tokens,
            ..InferParams::default()
        };
        let session = SessionName::new(session).unwrap();
        let prompt = b"once";
        self.ask(
            id,
            &Request::Infer {
                params,
                session,
                adapter: ModelName::EMPTY,
                format: FormatName::EMPTY,
                parts: completion(prompt),
            },
        );
    }

    pub(crate) fn infer(&mut self, id: u32, max_tokens: u32) {
        self.infer_in(id, "", max_tokens);
    }

    /// Inference sends a report, and audit is woken.
    pub(crate) fn say(&mut self, number: u32, report: &Report<'_>) {
        let mut frame = Frame::new();
        report.write(number, &mut frame);
        self.inference.send(&frame).unwrap();
        self.wake();
    }

    pub(crate) fn token(&mut self, number: u32, text: &str) {
        let text = text.as_bytes();
        self.say(number, &Report::Token { id: 1, text });
    }

    /// Inference generates a token if it has credit and its ring has room; audit is woken in any case.
    pub(crate) fn generate(&mut self, number: u32, generated: &mut u32, text: &[u8]) -> bool {
        assert_eq!(self.asked(), []);
        let mut frame = Frame::new();
        Report::Token { id: 1, text }.write(number, &mut frame);
        let sent = *generated < self.credit[&number] && self.inference.send(&frame).is_ok();
        *generated += u32::from(sent);
        self.wake();
        sent
    }

    pub(crate) fn finished(&mut self, number: u32, reason: FinishReason, generated_tokens: u32) {
        self.say(number, &done(reason, generated_tokens));
    }

    pub(crate) fn fails(&mut self, number: u32, failure: Failure) {
        self.say(
            number,
            &Report::Failed {
                failure,
                detail: b"",
            },
        );
    }

    pub(crate) fn wake(&mut self) {
        self.audit.on_signal(&mut self.runtime);
    }

    /// Time passes with only the watchdog's ticks.
    pub(crate) fn watch(&mut self, us: u64) {
        let end = self.runtime.now + us;
        while self.runtime.now < end {
            self.runtime.now = end.min(self.runtime.now + WATCHDOG_PERIOD_US);
            self.audit.on_watchdog(&mut self.runtime);
        }
    }

    pub(crate) fn told(&mut self) -> Vec<Told> {
        let (mut frame, mut told) = (Frame::new(), Vec::new());
        while self.shell.receive(&mut frame).unwrap() {
            let id = frame.header().request;
            let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            told.push(match Event::parse(&frame).unwrap() {
                Event::Ready(user) => Told::Ready(user.name.as_str().into()),
                Event::Text { text, .. } => Told::Text(id, string(text)),
                Event::Finished(finished) => Told::Finished(id, finished),
                Event::Failed { failure, .. } => Told::Failed(id, failure),
                Event::Model(entry) => Told::Model(id, entry),
                Event::Listed { count } => Told::Listed(id, count),
                Event::Loaded { info, .. } => Told::Loaded(id, info),
                Event::Status(status) => Told::Status(id, Box::new(status)),
                Event::Stats(stats) => Told::Stats(id, Box::new(stats)),
                Event::Fault { fault, count } => Told::Fault(fault, count),
                Event::Recovered { restarts, .. } => Told::Recovered(restarts),
                Event::User(user) => Told::User(id, user),
                Event::Budget(budget) => Told::Budget(id, budget),
                Event::Record { record, text } => {
                    // An admission contains a completion's text; an example has no parts.
                    let parts = Parts::parse(text).and_then(|parts| parts.completion());
                    Told::Record(id, Box::new(record), string(parts.unwrap_or(text)))
                }
                Event::LogEnd(extent) => Told::LogEnd(id, extent),
                Event::LogVerified { extent, broken_at } => {
                    Told::LogVerified(id, extent, broken_at)
                }
                Event::Session(session) => Told::Session(id, session),
                Event::Progress(progress) => Told::Progress(id, progress),
                Event::Done => Told::Done(id),
                Event::Adapter(adapter) => Told::Adapter(id, adapter),
                Event::Training(training) => Told::Training(id, training),
                Event::Tuned(tuned) => Told::Tuned(id, tuned),
                Event::AdapterLoaded { name, info } => Told::AdapterLoaded(id, name, info),
                Event::AdapterPart { offset, bytes } => Told::Part(id, offset, bytes.to_vec()),
                Event::Exported(exported) => Told::Exported(id, exported),
                Event::Format(format) => Told::Format(id, format),
                Event::Examples { count, bytes, .. } => Told::Examples(id, count, bytes),
                Event::Attested(attestation) => Told::Attested(id, attestation),
            });
        }
        if self.shell.take_owed_signal() {
            self.wake();
        }
        told
    }

    /// All that the shell is told, reading as often as necessary and as long as audit has more to do.
    pub(crate) fn told_at_last(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            let told = self.told();
            let soon = self.runtime.now + PAUSE_US;
            let slice = self.runtime.timer.filter(|at| *at <= soon);
            if told.is_empty() && slice.is_none() {
                return all;
            }
            if let Some(at) = slice {
                self.runtime.now = at.max(self.runtime.now);
                self.audit.on_timer(&mut self.runtime);
            }
            all.extend(told);
        }
    }

    pub(crate) fn asked(&mut self) -> Vec<Asked> {
        let (mut frame, mut asked) = (Frame::new(), Vec::new());
        while self.inference.receive(&mut frame).unwrap() {
            let number = frame.header().request;
            asked.push(match Command::parse(&frame).unwrap() {
                Command::Infer {
                    session,
                    fresh,
                    keep,
                    credit,
                    adapter,
                    format,
                    parts,
                    ..
                } => {
                    (self.used, self.bound) = (adapter, format);
                    self.credit.insert(number, credit);
                    Asked::Infer {
                        number,
                        session,
                        fresh,
                        keep,
                        prompt: parts.segments().map(|part| part.as_str()).collect(),
                    }
                }
                Command::Cancel => Asked::Cancel(number),
                Command::Credit { tokens } => {
                    self.credit.insert(number, tokens);
                    continue;
                }
                Command::Load { offset, bytes, .. } => Asked::Load(number, offset, bytes),
                Command::Status => Asked::Status(number),
                Command::Drop { session } => Asked::Drop(session),
                Command::Adapter {
                    place,
                    source,
                    offset,
                    bytes,
                    base,
                } => Asked::Adapter {
                    number,
                    place,
                    source,
                    offset,
                    bytes,
                    base,
                },
                Command::DropAdapter { place } => Asked::DropAdapter(place),
                Command::Train {
                    params,
                    source,
                    offset,
                    bytes,
                    base,
                    room,
                } => Asked::Train(Box::new(Train {
                    number,
                    params,
                    source,
                    offset,
                    bytes,
                    base,
                    room,
                })),
            });
        }
        if self.inference.take_owed_signal() {
            self.wake();
        }
        asked
    }

    /// The number of the only generation that inference was asked for.
    pub(crate) fn admitted(&mut self) -> u32 {
        match &self.asked()[..] {
            [Asked::Infer { number, .. }] => *number,
            other => panic!("one generation, not {other:?}"),
        }
    }

    pub(crate) fn stats(&mut self) -> Stats {
        self.ask(999, &Request::Stats { watch: false });
        match self.told_at_last().pop() {
            Some(Told::Stats(999, stats)) => *stats,
            other => panic!("statistics, not {other:?}"),
        }
    }

    pub(crate) fn budget(&mut self) -> Budget {
        let user = UserName::EMPTY;
        let change = BudgetChange::NONE;
        self.ask(998, &Request::Budget { user, change });
        match self.told_at_last().pop() {
            Some(Told::Budget(998, budget)) => budget,
            other => panic!("a budget, not {other:?}"),
        }
    }

    /// Checks that a request is refused with this failure, at no cost, unseen by inference, and recorded.
    pub(crate) fn is_refused(&mut self, request: &Request<'_>, failure: Failure) {
        let (budget, stats) = (self.budget(), self.stats());
        let refused = stats.refused;
        let is_first = stats.refused_for(failure.code) == 0;
        self.ask(77, request);
        assert_eq!(self.told(), [Told::Failed(77, failure)], "{request:?}");
        assert_eq!(self.asked(), [], "{request:?}");
        // Further ones are recorded ever more rarely.
        if is_first {
            let record = self.last_record(match request {
                Request::Login { .. } => Kind::LoginFailed,
                _ => Kind::Refuse,
            });
            assert_eq!((record.code, record.count), (failure.code as u16, 1));
            assert_eq!((record.value, record.limit), (failure.value, failure.limit));
        }
        let stats = self.stats();
        assert_eq!(stats.refused, refused + 1);
        assert!(stats.refused_for(failure.code) > 0);
        let after = self.budget();
        assert_eq!((after.used, after.reserved), (budget.used, budget.reserved));
    }

    /// Checks that a request for text is refused with this failure.
    pub(crate) fn is_refused_for(&mut self, id: u32, failure: Failure) {
        self.infer(id, 2);
        assert_eq!(self.told_at_last(), [Told::Failed(id, failure)]);
        assert_eq!(self.asked(), []);
    }

    /// A complete generation, to check that the system still works.
    pub(crate) fn serves(&mut self, id: u32) {
        self.infer(id, 5);
        let number = self.admitted();
        self.token(number, "ok");
        self.finished(number, FinishReason::EndOfText, 1);
        let told = self.told_at_last();
        assert!(told.contains(&Told::Text(id, "ok".into())), "{told:?}");
        assert!(
            matches!(told.last(), Some(Told::Finished(last, _)) if *last == id),
            "{told:?}"
        );
    }
}
