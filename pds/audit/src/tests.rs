//! Audit between a shell and an inference that the tests play.

use crate::log::{Kind, Record};
use crate::{Audit, Port};
use proptest::prelude::*;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{
    CONTROL_DEADLINE_US, INFERENCE_DEADLINE_US, MAX_SESSIONS, STOP_GRACE_US, WATCHDOG_PERIOD_US,
};
use protocol::region::WriteWords;
use protocol::ring::{Frame, SLOTS};
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use protocol::wire::{
    Event, Fault, FaultKind, FinishReason, Finished, InferParams, ModelEntry, ModelInfo, Request,
    Stats, Status,
};
use std::boxed::Box;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

#[derive(Default)]
struct Runtime {
    now: u64,
    timer: Option<u64>,
    to_shell: usize,
    to_inference: usize,
    restarts: usize,
}

impl Port for Runtime {
    fn now_us(&mut self) -> u64 {
        self.now
    }
    fn notify_shell(&mut self) {
        self.to_shell += 1;
    }
    fn notify_inference(&mut self) {
        self.to_inference += 1;
    }
    fn arm_timer(&mut self, at_us: Option<u64>) {
        self.timer = at_us;
    }
    fn restart_inference(&mut self) {
        self.restarts += 1;
    }
}

/// An event as the shell saw it.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Ready,
    Text(u32, String),
    Finished(u32, Finished),
    Failed(u32, Failure),
    Model(u32, String),
    Listed(u32),
    Loaded(u32),
    Status(u32, u32, u32),
    Stats(Box<Stats>),
    Fault(Fault),
    Recovered(u32),
}

/// A request as inference saw it.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Infer(u32, u32, Vec<u8>),
    Cancel(u32),
    Models(u32),
    Load(u32, String),
    Status(u32),
}

struct System {
    audit: Audit<'static, TestRegion, TestRegion>,
    runtime: Runtime,
    shell: TestEndpoint,
    inference: TestEndpoint,
    inference_region: TestRegion,
    shell_region: TestRegion,
    /// Number of the load that audit asked for itself.
    own_load: u32,
}

const NAME: &str = "default";

impl System {
    /// Up to where the own load waits in inference's ring.
    fn boot() -> Self {
        let (shell_end, shell, shell_region) = endpoints();
        let (inference_end, inference, inference_region) = endpoints();
        let log = Box::leak(vec![0; 1 << 16].into_boxed_slice());
        let mut system = Self {
            audit: Audit::new(shell_end, inference_end, log),
            runtime: Runtime {
                now: 1_000_000,
                ..Runtime::default()
            },
            shell,
            inference,
            inference_region,
            shell_region,
            own_load: 0,
        };
        system.audit.start(&mut system.runtime);
        assert!(system.shell.follow());
        system.join();
        system
    }

    /// A system that serves.
    fn serving() -> Self {
        let mut system = Self::boot();
        system.loaded(system.own_load);
        assert_eq!(system.told(), [Told::Ready]);
        system
    }

    /// Inference joins the epoch and finds the own load.
    fn join(&mut self) {
        assert!(self.inference.follow());
        self.say(0, &Event::Ready);
        match &self.asked()[..] {
            [Asked::Load(number, name)] if name == NAME => self.own_load = *number,
            other => panic!("audit loads a model first, not {other:?}"),
        }
    }

    fn loaded(&mut self, number: u32) {
        self.say(
            number,
            &Event::Loaded {
                info: ModelInfo::default(),
                name: NAME,
            },
        );
    }

    /// The shell asks; audit is woken.
    fn ask(&mut self, id: u32, request: &Request<'_>) {
        let mut frame = Frame::new();
        request.write(id, &mut frame);
        self.shell.send(&frame).unwrap();
        self.wake();
    }

    fn infer(&mut self, id: u32, max_tokens: u32) {
        let params = InferParams {
            max_tokens,
            ..InferParams::default()
        };
        self.ask(
            id,
            &Request::Infer {
                params,
                prompt: b"once",
            },
        );
    }

    /// Inference says something; audit is woken.
    fn say(&mut self, number: u32, event: &Event<'_>) {
        let mut frame = Frame::new();
        event.write(number, &mut frame);
        self.inference.send(&frame).unwrap();
        self.wake();
    }

    fn token(&mut self, number: u32, text: &str) {
        self.say(
            number,
            &Event::Token {
                id: 1,
                text: text.as_bytes(),
            },
        );
    }

    fn finished(&mut self, number: u32, reason: FinishReason, generated_tokens: u32) {
        self.say(number, &Event::Finished(done(reason, generated_tokens)));
    }

    fn wake(&mut self) {
        self.audit.on_signal(&mut self.runtime);
    }

    /// Time passes, with nothing but the watchdog's ticks.
    fn watch(&mut self, us: u64) {
        let end = self.runtime.now + us;
        while self.runtime.now < end {
            self.runtime.now = end.min(self.runtime.now + WATCHDOG_PERIOD_US);
            self.audit.on_watchdog(&mut self.runtime);
        }
    }

    fn told(&mut self) -> Vec<Told> {
        let (mut frame, mut told) = (Frame::new(), Vec::new());
        while self.shell.receive(&mut frame).unwrap() {
            let id = frame.header().request;
            told.push(match Event::parse(&frame).unwrap() {
                Event::Ready => Told::Ready,
                Event::Token { text, .. } => {
                    Told::Text(id, String::from_utf8(text.to_vec()).unwrap())
                }
                Event::Finished(finished) => Told::Finished(id, finished),
                Event::Failed { failure, .. } => Told::Failed(id, failure),
                Event::Model { name, .. } => Told::Model(id, name.to_string()),
                Event::Listed { .. } => Told::Listed(id),
                Event::Loaded { .. } => Told::Loaded(id),
                Event::Status { status, .. } => Told::Status(id, status.restarts, status.active),
                Event::Stats(stats) => Told::Stats(Box::new(stats)),
                Event::Fault(fault) => Told::Fault(fault),
                Event::Recovered { restarts, .. } => Told::Recovered(restarts),
            });
        }
        if self.shell.take_owed_signal() {
            self.wake();
        }
        told
    }

    /// All that the shell is told, however often it has to look.
    fn told_at_last(&mut self) -> Vec<Told> {
        let mut all = Vec::new();
        loop {
            let told = self.told();
            if told.is_empty() {
                return all;
            }
            all.extend(told);
        }
    }

    fn asked(&mut self) -> Vec<Asked> {
        let (mut frame, mut asked) = (Frame::new(), Vec::new());
        while self.inference.receive(&mut frame).unwrap() {
            let number = frame.header().request;
            asked.push(match Request::parse(&frame).unwrap() {
                Request::Infer { params, prompt } => {
                    Asked::Infer(number, params.max_tokens, prompt.to_vec())
                }
                Request::Cancel => Asked::Cancel(number),
                Request::Models => Asked::Models(number),
                Request::Load { name } => Asked::Load(number, name.to_string()),
                Request::Status => Asked::Status(number),
                Request::Stats => panic!("audit answers that itself"),
            });
        }
        asked
    }

    /// The number of the one generation that inference was asked for.
    fn admitted(&mut self) -> u32 {
        match &self.asked()[..] {
            [Asked::Infer(number, ..)] => *number,
            other => panic!("one generation, not {other:?}"),
        }
    }

    fn stats(&mut self) -> Stats {
        self.ask(999, &Request::Stats);
        match self.told_at_last().pop() {
            Some(Told::Stats(stats)) => *stats,
            other => panic!("statistics, not {other:?}"),
        }
    }

    fn kinds(&self) -> Vec<u16> {
        self.audit
            .log()
            .records()
            .map(|record| record.kind)
            .collect()
    }

    fn last_record(&self, kind: Kind) -> Record {
        self.audit
            .log()
            .records()
            .filter(|record| record.kind == kind as u16)
            .last()
            .unwrap()
    }

    /// A generation from beginning to end, after whatever has happened.
    fn serves(&mut self, id: u32) {
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

fn done(reason: FinishReason, generated_tokens: u32) -> Finished {
    Finished {
        reason,
        prompt_tokens: 3,
        generated_tokens,
        first_token_us: 9,
        total_us: 9,
    }
}

const FAULT: Fault = Fault {
    kind: FaultKind::Memory,
    ip: 0x20_1000,
    address: 0x1200_0000,
};

#[test]
fn a_request_is_admitted_metered_and_timed_by_audit() {
    let mut system = System::serving();
    system.infer(7, 5);
    let Asked::Infer(number, 5, prompt) = system.asked().remove(0) else {
        panic!("no request")
    };
    assert_eq!(prompt, b"once");
    assert_ne!(number, 7, "inference sees audit's number");
    system.runtime.now += 200;
    system.token(number, "a");
    system.runtime.now += 300;
    system.token(number, "b");
    system.finished(number, FinishReason::EndOfText, 2);
    let finished = Finished {
        first_token_us: 200,
        total_us: 500,
        ..done(FinishReason::EndOfText, 2)
    };
    assert_eq!(
        system.told_at_last(),
        [
            Told::Text(7, "a".into()),
            Told::Text(7, "b".into()),
            Told::Finished(7, finished)
        ]
    );
    let stats = system.stats();
    assert_eq!(
        (stats.admitted, stats.finished, stats.generated_tokens),
        (1, 1, 2)
    );
    assert_eq!(
        (stats.prompt_tokens, stats.busy_us, stats.violations),
        (3, 500, 0)
    );
    assert_eq!(system.kinds(), [1, 2, 3, 6], "boot, load, admit, finish");
    assert_eq!(system.last_record(Kind::Finish).generated_tokens, 2);
}

#[test]
fn the_system_is_ready_when_the_first_load_has_ended_well_or_not() {
    let mut system = System::boot();
    assert_eq!(system.told(), []);
    let failure = Failure::of(ErrorCode::NoSuchModel);
    system.say(
        system.own_load,
        &Event::Failed {
            failure,
            detail: b"default",
        },
    );
    assert_eq!(system.told(), [Told::Failed(0, failure), Told::Ready]);
    system.serves(1);
}

#[test]
fn what_exceeds_a_limit_never_reaches_inference() {
    let mut system = System::serving();
    let params = |max_tokens| InferParams {
        max_tokens,
        ..InferParams::default()
    };
    let long_name = "n".repeat(64);
    for (request, failure) in [
        (
            Request::Infer {
                params: params(0),
                prompt: b"x",
            },
            Failure::over(ErrorCode::MaxTokens, 0, 512),
        ),
        (
            Request::Infer {
                params: params(513),
                prompt: b"x",
            },
            Failure::over(ErrorCode::MaxTokens, 513, 512),
        ),
        (
            Request::Infer {
                params: params(1),
                prompt: b"",
            },
            Failure::of(ErrorCode::EmptyPrompt),
        ),
        (
            Request::Infer {
                params: params(1),
                prompt: b"ab\xFF",
            },
            Failure::over(ErrorCode::PromptNotUtf8, 2, 0),
        ),
        (
            Request::Load { name: "" },
            Failure::over(ErrorCode::NameLength, 0, 64),
        ),
    ] {
        system.ask(3, &request);
        assert_eq!(system.told_at_last(), [Told::Failed(3, failure)]);
        assert_eq!(system.asked(), []);
        let record = system.last_record(Kind::Refuse);
        assert_eq!(
            (record.code, record.value, record.limit),
            (failure.code as u16, failure.value, failure.limit)
        );
    }
    system.ask(4, &Request::Load { name: &long_name });
    assert!(matches!(&system.asked()[..], [Asked::Load(_, name)] if *name == long_name));
    assert_eq!(system.stats().refused, 5);
}

#[test]
fn a_number_that_is_in_use_is_refused_and_so_is_none() {
    let mut system = System::serving();
    system.infer(7, 5);
    system.admitted();
    for id in [7, 0] {
        system.infer(id, 5);
        assert_eq!(system.asked(), []);
        let failure = Failure::over(ErrorCode::NoSuchRequest, u64::from(id), 0);
        assert_eq!(system.told(), [Told::Failed(id, failure)]);
    }
}

#[test]
fn so_many_requests_and_no_more() {
    let mut system = System::serving();
    for id in 1..=MAX_SESSIONS as u32 {
        system.infer(id, 1);
        system.admitted();
    }
    system.infer(99, 1);
    let limit = MAX_SESSIONS as u64;
    let failure = Failure::over(ErrorCode::TooManyRequests, limit, limit);
    assert_eq!(system.told(), [Told::Failed(99, failure)]);
    // Recovery has a place of its own.
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.join();
    system.loaded(system.own_load);
    let told = system.told_at_last();
    assert_eq!(told.len(), MAX_SESSIONS + 2, "{told:?}");
    system.serves(1);
}

#[test]
fn an_inference_that_does_not_read_makes_requests_wait_for_nothing() {
    let mut system = System::serving();
    let mut refused = 0;
    for id in 1..=SLOTS as u32 + 2 {
        system.infer(id, 1);
        for told in system.told() {
            let busy = Failure::over(ErrorCode::Busy, SLOTS as u64, SLOTS as u64);
            assert_eq!(told, Told::Failed(id, busy));
            refused += 1;
        }
    }
    assert_eq!(refused, 2);
}

#[test]
fn questions_are_passed_on_and_answered() {
    let mut system = System::serving();
    system.ask(1, &Request::Models);
    system.ask(2, &Request::Status);
    system.ask(3, &Request::Load { name: "tiny" });
    let asked = system.asked();
    let [
        Asked::Models(models),
        Asked::Status(status),
        Asked::Load(load, _),
    ] = asked[..]
    else {
        panic!("{asked:?}")
    };
    let entry = ModelEntry {
        file_bytes: 1,
        loaded: 0,
        reserved: 0,
    };
    system.say(
        models,
        &Event::Model {
            entry,
            name: "tiny",
        },
    );
    system.say(models, &Event::Listed { count: 1 });
    let lie = Status {
        restarts: 77,
        active: 77,
        ..Status::default()
    };
    system.say(
        status,
        &Event::Status {
            status: lie,
            model: "tiny",
        },
    );
    system.say(
        load,
        &Event::Loaded {
            info: ModelInfo::default(),
            name: "tiny",
        },
    );
    assert_eq!(
        system.told_at_last(),
        [
            Told::Model(1, "tiny".into()),
            Told::Listed(1),
            Told::Status(2, 0, 0),
            Told::Loaded(3)
        ]
    );
    system.audit.on_fault(FAULT, &mut system.runtime);
    assert!(system.inference.follow());
    assert!(matches!(&system.asked()[..], [Asked::Load(_, name)] if name == "tiny"));
}

#[test]
fn a_cancel_goes_to_inference_and_its_end_comes_back() {
    let mut system = System::serving();
    system.ask(5, &Request::Cancel);
    assert_eq!(
        system.told(),
        [Told::Failed(5, Failure::of(ErrorCode::NoSuchRequest))]
    );
    system.infer(5, 9);
    let number = system.admitted();
    system.ask(5, &Request::Cancel);
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    system.finished(number, FinishReason::Cancelled, 0);
    assert!(matches!(&system.told()[..], [Told::Finished(5, f)]
        if f.reason == FinishReason::Cancelled));
    assert_eq!(system.stats().cancelled, 1);
}

#[test]
fn at_the_deadline_inference_is_asked_to_stop_and_if_it_does_it_lives() {
    let mut system = System::serving();
    system.infer(5, 9);
    let number = system.admitted();
    system.token(number, "a");
    assert_eq!(
        system.runtime.timer,
        Some(system.runtime.now + INFERENCE_DEADLINE_US)
    );
    system.runtime.now += INFERENCE_DEADLINE_US - 1;
    system.audit.on_timer(&mut system.runtime);
    assert_eq!(system.asked(), []);
    system.runtime.now += 1;
    system.audit.on_timer(&mut system.runtime);
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    assert_eq!(
        system.runtime.timer,
        Some(system.runtime.now + STOP_GRACE_US)
    );
    system.runtime.now += STOP_GRACE_US / 2;
    system.finished(number, FinishReason::Cancelled, 1);
    let took = INFERENCE_DEADLINE_US + STOP_GRACE_US / 2;
    let failure = Failure::over(ErrorCode::Deadline, took, INFERENCE_DEADLINE_US);
    assert_eq!(
        system.told_at_last(),
        [Told::Text(5, "a".into()), Told::Failed(5, failure)]
    );
    assert_eq!(system.runtime.restarts, 0);
    let stats = system.stats();
    assert_eq!((stats.timeouts, stats.generated_tokens), (1, 1));
    system.serves(6);
}

#[test]
fn an_inference_that_spins_is_restarted_by_the_watchdog_alone() {
    let mut system = System::serving();
    system.infer(5, 9);
    system.admitted();
    // No timer interrupt ever comes.
    system.watch(INFERENCE_DEADLINE_US + STOP_GRACE_US + WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 1);
    let fault = Fault {
        kind: FaultKind::Unresponsive,
        ip: 0,
        address: 0,
    };
    let told = system.told();
    assert_eq!(
        told,
        [
            Told::Fault(fault),
            Told::Failed(5, Failure::of(ErrorCode::Unresponsive))
        ]
    );
    system.join();
    system.loaded(system.own_load);
    assert_eq!(system.told(), [Told::Recovered(1)]);
    system.serves(6);
}

#[test]
fn a_question_that_is_never_answered_ends_in_a_restart() {
    let mut system = System::serving();
    system.ask(5, &Request::Status);
    system.watch(CONTROL_DEADLINE_US);
    assert_eq!(system.runtime.restarts, 1);
    assert!(
        system
            .told()
            .contains(&Told::Failed(5, Failure::of(ErrorCode::Unresponsive)))
    );
}

#[test]
fn a_fault_ends_its_requests_and_inference_serves_again() {
    let mut system = System::serving();
    system.infer(5, 9);
    let old = system.admitted();
    system.token(old, "a");
    system.audit.on_fault(FAULT, &mut system.runtime);
    assert_eq!(system.runtime.restarts, 1);
    let failure = Failure::of(ErrorCode::InferenceFault);
    assert_eq!(
        system.told(),
        [
            Told::Text(5, "a".into()),
            Told::Fault(FAULT),
            Told::Failed(5, failure)
        ]
    );
    let record = system.last_record(Kind::Fault);
    assert_eq!((record.value, record.limit), (FAULT.address, FAULT.ip));
    // What the old one still says is of another epoch.
    let mut frame = Frame::new();
    Event::Token {
        id: 1,
        text: b"ghost",
    }
    .write(old, &mut frame);
    let _ = system.inference.send(&frame);
    system.wake();
    assert_eq!(system.told(), []);
    // A prompt that comes before the reload has ended waits in the ring behind it.
    system.join();
    system.infer(6, 9);
    let number = system.admitted();
    assert_ne!(number, old);
    system.loaded(system.own_load);
    system.token(number, "b");
    system.finished(number, FinishReason::EndOfText, 1);
    let told = system.told_at_last();
    assert_eq!(told[..2], [Told::Recovered(1), Told::Text(6, "b".into())]);
    let stats = system.stats();
    assert_eq!((stats.faults, stats.restarts, stats.failed), (1, 1, 1));
    assert_eq!(stats.generated_tokens, 2, "what the shell was given counts");
}

#[test]
fn whoever_breaks_the_protocol_is_restarted() {
    let breaches: [fn(&mut System, u32); 7] = [
        |system, number| (0..6).for_each(|_| system.token(number, "x")),
        |system, number| system.finished(number, FinishReason::EndOfText, 3),
        |system, number| {
            let lie = Finished {
                prompt_tokens: 7,
                ..done(FinishReason::EndOfText, 0)
            };
            system.say(number, &Event::Finished(lie));
        },
        |system, number| system.say(number, &Event::Listed { count: 1 }),
        |system, number| system.say(number, &Event::Fault(FAULT)),
        |system, number| system.say(number, &Event::Stats(Stats::default())),
        |system, _| {
            let mut frame = Frame::new();
            frame.begin(0xDEAD, 1);
            system.inference.send(&frame).unwrap();
            system.wake();
        },
    ];
    for breach in breaches {
        let mut system = System::serving();
        system.infer(5, 5);
        let number = system.admitted();
        breach(&mut system, number);
        let told = system.told_at_last();
        assert_eq!(
            told.last(),
            Some(&Told::Failed(5, Failure::of(ErrorCode::ProtocolViolation))),
            "{told:?}"
        );
        assert_eq!((system.runtime.restarts, system.stats().violations), (1, 1));
        system.join();
        system.loaded(system.own_load);
        assert_eq!(system.told(), [Told::Recovered(1)]);
        system.serves(6);
    }
}

#[test]
fn an_answer_to_what_is_over_is_counted_and_dropped() {
    let mut system = System::serving();
    system.token(12345, "ghost");
    assert_eq!(system.told(), []);
    assert_eq!((system.runtime.restarts, system.stats().violations), (0, 1));
}

#[test]
fn what_the_shell_writes_wrongly_costs_the_shell_alone() {
    let mut system = System::serving();
    let mut frame = Frame::new();
    frame.begin(0xBEEF, 3);
    system.shell.send(&frame).unwrap();
    system.wake();
    assert_eq!(
        system.told(),
        [Told::Failed(3, Failure::of(ErrorCode::Unsupported))]
    );
    // An impossible head.
    system.shell_region.publish(2, 1 << 32 | 5000);
    system.wake();
    let violations = system
        .kinds()
        .into_iter()
        .filter(|kind| *kind == Kind::Violation as u16);
    assert_eq!((violations.count(), system.runtime.restarts), (2, 0));
}

#[test]
fn nothing_is_lost_when_the_shell_reads_slowly() {
    let mut system = System::serving();
    system.infer(5, 100);
    let number = system.admitted();
    let (mut sent, mut told) = (0, Vec::new());
    let mut frame = Frame::new();
    while sent < 100 {
        Event::Token { id: 1, text: b"x" }.write(number, &mut frame);
        if system.inference.send(&frame).is_ok() {
            sent += 1;
        } else {
            // Both rings are full: nothing moves until the shell reads.
            told.extend(system.told());
        }
        system.wake();
    }
    told.extend(system.told_at_last());
    assert_eq!(told.len(), 100);
    system.finished(number, FinishReason::MaxTokens, 100);
    assert_eq!(system.told().len(), 1);
}

#[test]
fn a_fault_is_told_even_if_the_shell_had_no_room_for_it() {
    let mut system = System::serving();
    for id in 1..=10 {
        system.infer(id, 100);
    }
    for asked in system.asked() {
        let Asked::Infer(number, ..) = asked else {
            panic!("{asked:?}")
        };
        (0..2).for_each(|_| system.token(number, "x"));
        if system.inference.free() < 4 {
            break;
        }
    }
    system.audit.on_fault(FAULT, &mut system.runtime);
    let told = system.told_at_last();
    let ended = told
        .iter()
        .filter(|told| matches!(told, Told::Failed(..)))
        .count();
    assert_eq!(ended, 10, "{told:?}");
    assert_eq!(
        told.iter()
            .filter(|told| **told == Told::Fault(FAULT))
            .count(),
        1
    );
}

#[test]
fn audit_gives_up_on_an_inference_that_only_dies() {
    let mut system = System::serving();
    let mut restarts = 0;
    for _ in 0..20 {
        system.audit.on_fault(FAULT, &mut system.runtime);
        system.told_at_last();
        if system.runtime.restarts == restarts {
            break;
        }
        restarts = system.runtime.restarts;
    }
    assert_eq!(restarts, 5);
    system.infer(9, 1);
    assert_eq!(
        system.told(),
        [Told::Failed(9, Failure::of(ErrorCode::NoModel))]
    );
}

/// One thing that can happen to audit.
#[derive(Clone, Debug)]
enum Act {
    Infer(u32),
    Cancel(u32),
    Ask(u32),
    ShellGarbage(usize, u64),
    Token(u32),
    Finish(u32, u32),
    FailRequest(u32),
    InferenceGarbage(usize, u64),
    Join,
    Fault,
    Pass(u64),
    ShellReads,
    InferenceReads,
}

fn act(hostile: bool) -> impl Strategy<Value = Act> {
    let word = if hostile { 0..64usize } else { 0..1 };
    let word2 = word.clone();
    prop_oneof![
        (1..20u32).prop_map(Act::Infer),
        (1..20u32).prop_map(Act::Cancel),
        (1..20u32).prop_map(Act::Ask),
        (word, any::<u64>()).prop_map(|(i, v)| Act::ShellGarbage(i, v)),
        (1..40u32).prop_map(Act::Token),
        (1..40u32, 0..4u32).prop_map(|(n, t)| Act::Finish(n, t)),
        (1..40u32).prop_map(Act::FailRequest),
        (word2, any::<u64>()).prop_map(|(i, v)| Act::InferenceGarbage(i, v)),
        Just(Act::Join),
        Just(Act::Fault),
        (0..40_000_000u64).prop_map(Act::Pass),
        Just(Act::ShellReads),
        Just(Act::InferenceReads),
    ]
}

impl System {
    fn act(&mut self, act: &Act) -> Vec<Told> {
        let mut frame = Frame::new();
        match act {
            Act::Infer(id) => {
                let params = InferParams {
                    max_tokens: 2,
                    ..InferParams::default()
                };
                Request::Infer {
                    params,
                    prompt: b"p",
                }
                .write(*id, &mut frame);
                let _ = self.shell.send(&frame);
            }
            Act::Cancel(id) => {
                Request::Cancel.write(*id, &mut frame);
                let _ = self.shell.send(&frame);
            }
            Act::Ask(id) => {
                Request::Status.write(*id, &mut frame);
                let _ = self.shell.send(&frame);
            }
            Act::ShellGarbage(word, value) => self.shell_region.store(*word, *value),
            Act::Token(number) => {
                Event::Token { id: 1, text: b"t" }.write(*number, &mut frame);
                let _ = self.inference.send(&frame);
            }
            Act::Finish(number, tokens) => {
                Event::Finished(done(FinishReason::EndOfText, *tokens)).write(*number, &mut frame);
                let _ = self.inference.send(&frame);
            }
            Act::FailRequest(number) => {
                let failure = Failure::of(ErrorCode::NonFinite);
                Event::Failed {
                    failure,
                    detail: b"",
                }
                .write(*number, &mut frame);
                let _ = self.inference.send(&frame);
            }
            Act::InferenceGarbage(word, value) => self.inference_region.store(*word, *value),
            Act::Join => drop(self.inference.follow()),
            Act::Fault => self.audit.on_fault(FAULT, &mut self.runtime),
            Act::Pass(us) => {
                self.runtime.now += us;
                self.audit.on_watchdog(&mut self.runtime);
            }
            Act::ShellReads => return self.told(),
            Act::InferenceReads => drop(self.inference.receive(&mut frame)),
        }
        self.wake();
        Vec::new()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever inference says and whenever it dies, every admitted request has exactly one end.
    #[test]
    fn every_admitted_request_ends_exactly_once(
        acts in prop::collection::vec(act(false), 0..120)
    ) {
        let mut system = System::serving();
        let mut told = Vec::new();
        for act in &acts {
            // The honest shell: no garbage in its region.
            if !matches!(act, Act::ShellGarbage(..) | Act::InferenceGarbage(..)) {
                told.extend(system.act(act));
            }
        }
        told.extend(system.told_at_last());
        // Whatever is still open ends by the deadlines.
        for _ in 0..3 {
            system.watch(INFERENCE_DEADLINE_US + 2 * WATCHDOG_PERIOD_US);
            told.extend(system.told_at_last());
        }
        let stats = system.stats();
        prop_assert_eq!(stats.admitted, stats.finished + stats.cancelled + failed_infers(&system));
    }

    /// Bytes and indices of any value: no panic, bounded work, and audit still answers a shell that
    /// begins anew.
    #[test]
    fn hostile_peers_get_no_further_than_their_own_rings(
        acts in prop::collection::vec(act(true), 0..200)
    ) {
        let mut system = System::serving();
        for act in &acts {
            let before = system.audit.log().written();
            let mut frame = Frame::new();
            // A shell whose region is garbage reads what it can.
            if matches!(act, Act::ShellReads) {
                for _ in 0..SLOTS {
                    let _ = system.shell.receive(&mut frame);
                }
            } else {
                system.act(act);
            }
            let records = system.audit.log().written() - before;
            prop_assert!(records <= 8 * (SLOTS + MAX_SESSIONS) as u64, "{} records", records);
        }
    }
}

/// Failures of generations, from the log: each request that was admitted and failed.
fn failed_infers(system: &System) -> u64 {
    let records: Vec<Record> = system.audit.log().records().collect();
    let admitted: Vec<u32> = records
        .iter()
        .filter(|record| record.kind == Kind::Admit as u16)
        .map(|record| record.request)
        .collect();
    records
        .iter()
        .filter(|record| record.kind == Kind::Fail as u16 && admitted.contains(&record.request))
        .count() as u64
}
