//! The simulated peers, and what they saw.

pub(super) use super::peers::*;
use crate::access::tests as access;
use crate::files::{FilesEnd, NoFiles};
use crate::models::tests as models;
use crate::work::PAUSE_US;
use crate::{Audit, ClientEnd, Memory, Texts};
use protocol::adapters::REGION_BYTES;
use protocol::error::Failure;
use protocol::limits::WATCHDOG_PERIOD_US;
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::policy::Policy;
use protocol::record::{Kind, Record};
use protocol::ring::Frame;
use protocol::testing::{TestEndpoint, TestRegion, all_of_endpoints, completion, endpoints};
use protocol::wire::client::{Budget, BudgetChange, Event, Request, Stats};
use protocol::wire::engine::{Command, Report};
use protocol::wire::{FinishReason, InferParams, Parts};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::string::String;
use std::vec;
use std::vec::Vec;
use zerocopy::IntoBytes as _;

pub(super) struct System<F = NoFiles> {
    /// Boxed, because it is larger than most of a test thread's stack.
    pub(super) audit: Box<Audit<'static, TestRegion, TestRegion, F>>,
    pub(super) runtime: Runtime,
    pub(super) shell: TestEndpoint,
    /// A second client, on [`OTHER`].
    pub(super) other: TestEndpoint,
    pub(super) inference: TestEndpoint,
    pub(super) inference_region: TestRegion,
    /// The region of adapters.
    pub(super) adapters: TestRegion,
    /// Audit's side of inference's rings, in memory.
    pub(super) to_inference_region: TestRegion,
    pub(super) shell_region: TestRegion,
    /// Tokens that inference may generate, by request number.
    pub(super) credit: BTreeMap<u32, u32>,
    /// The adapter of inference's latest request, as in the command.
    pub(super) used: u32,
    /// Its format, as in the command.
    pub(super) bound: u32,
    /// Number of the load that audit started itself.
    pub(super) own_load: u32,
}

/// The shell's channel.
pub(super) const SHELL: u8 = 0;
/// Channel of another client, which only some policies name.
pub(super) const OTHER: u8 = 5;

pub(super) const SECOND: u64 = 1_000_000;

/// How much time audit takes between two looks at the clock, unless a test says otherwise.
const TAKES_US: u64 = 7;

/// `guest` may generate; `admin`, whose passphrase is "secret", may everything.
pub(super) fn policy() -> Policy {
    models::trusting(access::policy())
}

fn leak<T: Clone>(value: T, count: usize) -> &'static mut [T] {
    Box::leak(vec![value; count].into_boxed_slice())
}

impl System {
    /// Before anything has happened.
    pub(super) fn new(policy: &[u8], store: Vec<u8>) -> Self {
        Self::with_formats(policy, store, Vec::new())
    }

    /// Like [`Self::new`], with this region of formats.
    pub(super) fn with_formats(policy: &[u8], store: Vec<u8>, formats: Vec<u8>) -> Self {
        let mut system = Self::build(policy, store, formats, |_| None);
        system.follow();
        system
    }

    /// A system with two clients: the shell, and one that is always `guest` and has an equal part of everything.
    pub(super) fn of_two() -> Self {
        let mut system = Self::serving_with(&two_clients());
        let told = system.told_to_other();
        assert_eq!(told.last(), Some(&Told::Ready("guest".into())));
        system
    }

    /// A system in which audit's own load waits in inference's ring.
    pub(super) fn boot(policy: &Policy) -> Self {
        let mut system = Self::new(policy.as_bytes(), models::signed());
        system.join();
        system
    }

    /// A system in service.
    pub(super) fn serving_with(policy: &Policy) -> Self {
        let mut system = Self::boot(policy);
        system.loaded(system.own_load);
        let told = system.told();
        assert!(told.contains(&Told::Ready("guest".into())), "{told:?}");
        system
    }

    /// A system in service, with adapters and data in its store, and `admin` logged in.
    pub(super) fn with_adapters_and(policy: &Policy) -> Self {
        let mut system = Self::new(policy.as_bytes(), models::with_adapters());
        system.join();
        system.loaded(system.own_load);
        system.told();
        system.log_in("admin", "secret");
        system
    }

    pub(super) fn with_adapters() -> Self {
        Self::with_adapters_and(&policy())
    }

    pub(super) fn serving() -> Self {
        Self::serving_with(&policy())
    }

    /// Like [`Self::serving`], but audit's work takes no time: for tests with exact times.
    pub(super) fn timeless() -> Self {
        let mut system = Self::serving();
        system.runtime.takes_us = 0;
        system
    }

    /// A system in service, with `admin` logged in.
    pub(super) fn of_admin() -> Self {
        let mut system = Self::serving();
        system.log_in("admin", "secret");
        system
    }
}

impl<F: FilesEnd<TestRegion, TestRegion>> System<F> {
    /// Starts audit. `files`: its end towards files, over this store.
    pub(super) fn build(
        policy: &[u8],
        store: Vec<u8>,
        formats: Vec<u8>,
        files: impl FnOnce(&'static [u8]) -> Option<F>,
    ) -> Self {
        let (ring, shell, shell_region) = endpoints();
        let (others_ring, other, _) = endpoints();
        let mut clients = heapless::Vec::new();
        for (channel, ring) in [(SHELL, ring), (OTHER, others_ring)] {
            let _ = clients.push(ClientEnd { channel, ring });
        }
        let (inference_end, inference, inference_region, to_inference_region) = all_of_endpoints();
        let store: &'static [u8] = Box::leak(store.into_boxed_slice());
        let files = files(store);
        let memory = Memory {
            log: leak(0, 1 << 18),
            kdf: Box::leak(access::memory().into_boxed_slice()),
            texts: Box::leak(Box::new(Texts::new())),
            policy: Box::leak(policy.to_vec().into_boxed_slice()),
            formats: Box::leak(formats.into_boxed_slice()),
            store,
        };
        let adapters = TestRegion::with_words(REGION_BYTES / 8);
        let mut system = Self {
            audit: Box::new(Audit::new(
                clients,
                inference_end,
                memory,
                adapters.clone(),
                files,
            )),
            adapters,
            runtime: Runtime {
                now: SECOND,
                takes_us: TAKES_US,
                ..Runtime::default()
            },
            shell,
            other,
            inference,
            inference_region,
            to_inference_region,
            shell_region,
            credit: BTreeMap::new(),
            used: 0,
            bound: 0,
            own_load: 0,
        };
        system.audit.start(&mut system.runtime);
        system
    }

    /// The clients join their epoch, which puts audit in service.
    pub(super) fn follow(&mut self) {
        assert!(self.shell.follow());
        assert!(self.other.follow());
    }

    pub(super) fn log_in(&mut self, user: &str, passphrase: &str) {
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
    pub(super) fn join(&mut self) {
        assert!(self.inference.follow());
        self.say(0, &Report::Ready);
        match &self.asked()[..] {
            [Asked::Load(number, ..)] => self.own_load = *number,
            other => panic!("audit loads a model first, not {other:?}"),
        }
    }

    pub(super) fn loaded(&mut self, number: u32) {
        self.say(number, &Report::Loaded(loaded()));
    }

    /// The shell sends a request, and audit is woken.
    pub(super) fn ask(&mut self, id: u32, request: &Request<'_>) {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        self.shell.send(&frame).unwrap();
        self.wake();
    }

    /// The other client sends a request, and audit is woken.
    pub(super) fn ask_as_other(&mut self, id: u32, request: &Request<'_>) {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        self.other.send(&frame).unwrap();
        self.wake();
    }

    /// What the other client is told, reading as often as necessary.
    pub(super) fn told_to_other(&mut self) -> Vec<Told> {
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
    pub(super) fn ask_if_there_is_room(&mut self, id: u32, request: &Request<'_>) {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        let _ = self.shell.send(&frame);
        self.wake();
    }

    /// Whether audit could tell the shell more.
    pub(super) fn shell_has_room(&mut self) -> bool {
        let monitor = self.audit.monitor_for_tests();
        monitor
            .clients
            .get(0)
            .is_some_and(|client| client.room() > 0)
    }

    pub(super) fn infer_in(&mut self, id: u32, session: &str, max_tokens: u32) {
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

    pub(super) fn infer(&mut self, id: u32, max_tokens: u32) {
        self.infer_in(id, "", max_tokens);
    }

    /// Inference sends a report, and audit is woken.
    pub(super) fn say(&mut self, number: u32, report: &Report<'_>) {
        let mut frame = Frame::new();
        report.write(number, &mut frame);
        self.inference.send(&frame).unwrap();
        self.wake();
    }

    pub(super) fn token(&mut self, number: u32, text: &str) {
        let text = text.as_bytes();
        self.say(number, &Report::Token { id: 1, text });
    }

    /// Inference generates a token if it has credit and its ring has room; audit is woken in any case.
    pub(super) fn generate(&mut self, number: u32, generated: &mut u32, text: &[u8]) -> bool {
        assert_eq!(self.asked(), []);
        let mut frame = Frame::new();
        Report::Token { id: 1, text }.write(number, &mut frame);
        let sent = *generated < self.credit[&number] && self.inference.send(&frame).is_ok();
        *generated += u32::from(sent);
        self.wake();
        sent
    }

    pub(super) fn finished(&mut self, number: u32, reason: FinishReason, generated_tokens: u32) {
        self.say(number, &done(reason, generated_tokens));
    }

    pub(super) fn fails(&mut self, number: u32, failure: Failure) {
        self.say(
            number,
            &Report::Failed {
                failure,
                detail: b"",
            },
        );
    }

    pub(super) fn wake(&mut self) {
        self.audit.on_signal(&mut self.runtime);
    }

    /// Time passes with only the watchdog's ticks.
    pub(super) fn watch(&mut self, us: u64) {
        let end = self.runtime.now + us;
        while self.runtime.now < end {
            self.runtime.now = end.min(self.runtime.now + WATCHDOG_PERIOD_US);
            self.audit.on_watchdog(&mut self.runtime);
        }
    }

    pub(super) fn told(&mut self) -> Vec<Told> {
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
    pub(super) fn told_at_last(&mut self) -> Vec<Told> {
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

    pub(super) fn asked(&mut self) -> Vec<Asked> {
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
    pub(super) fn admitted(&mut self) -> u32 {
        match &self.asked()[..] {
            [Asked::Infer { number, .. }] => *number,
            other => panic!("one generation, not {other:?}"),
        }
    }

    pub(super) fn stats(&mut self) -> Stats {
        self.ask(999, &Request::Stats { watch: false });
        match self.told_at_last().pop() {
            Some(Told::Stats(999, stats)) => *stats,
            other => panic!("statistics, not {other:?}"),
        }
    }

    pub(super) fn budget(&mut self) -> Budget {
        let user = UserName::EMPTY;
        let change = BudgetChange::NONE;
        self.ask(998, &Request::Budget { user, change });
        match self.told_at_last().pop() {
            Some(Told::Budget(998, budget)) => budget,
            other => panic!("a budget, not {other:?}"),
        }
    }

    pub(super) fn records(&self) -> Vec<Record> {
        self.audit.log().iter().map(|entry| entry.record).collect()
    }

    pub(super) fn last_record(&self, kind: Kind) -> Record {
        let mut records = self.records().into_iter();
        records
            .rfind(|record| record.kind() == Some(kind))
            .unwrap_or_else(|| panic!("no record of {kind:?}"))
    }

    /// Checks that a request is refused with this failure, at no cost, unseen by inference, and recorded.
    pub(super) fn is_refused(&mut self, request: &Request<'_>, failure: Failure) {
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
    pub(super) fn is_refused_for(&mut self, id: u32, failure: Failure) {
        self.infer(id, 2);
        assert_eq!(self.told_at_last(), [Told::Failed(id, failure)]);
        assert_eq!(self.asked(), []);
    }

    /// A complete generation, to check that the system still works.
    pub(super) fn serves(&mut self, id: u32) {
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
