//! The component, with tests that play audit.

use crate::client::{
    ErrorCode, Event, Failure, Fault, FaultKind, FinishReason, Finished, PartKind, Request, User,
};
use crate::component::{FORMAT, STANDING};
use crate::{MAX_TOKENS, Memory, Port, Triage};
use core::fmt;
use protocol::region::ReadWords as _;
use protocol::ring::Frame;
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use std::boxed::Box;
use std::string::{String, ToString as _};
use std::vec::Vec;

#[derive(Default)]
struct Ears {
    signals: u32,
    lines: Vec<String>,
}

impl Port for Ears {
    fn notify_audit(&mut self) {
        self.signals += 1;
    }

    fn debug(&mut self, line: fmt::Arguments<'_>) {
        self.lines.push(line.to_string());
    }
}

struct System {
    triage: Triage<'static, TestRegion, TestRegion>,
    port: Ears,
    audit: TestEndpoint,
    decisions: TestRegion,
}

fn system(events: &'static [u8]) -> System {
    let (audit, end, _) = endpoints();
    let decisions = TestRegion::with_words(32);
    let memory = Box::leak(Box::new(Memory::new()));
    System {
        triage: Triage::new(end, events, decisions.clone(), memory),
        port: Ears::default(),
        audit,
        decisions,
    }
}

/// A system that is ready, and its first question.
fn ready(events: &'static [u8]) -> (System, Option<(u32, String)>) {
    let mut system = system(events);
    system.audit.lead(1);
    system.say(0, &Event::Ready(User::default()));
    let asked = system.wake();
    (system, asked)
}

impl System {
    fn say(&mut self, number: u32, event: &Event<'_>) {
        let mut frame = Frame::new();
        event.write(number, &mut frame);
        self.audit.send(&frame).unwrap();
    }

    /// Wakes it, and returns its new question: number and prompt.
    fn wake(&mut self) -> Option<(u32, String)> {
        self.triage.on_signal(&mut self.port);
        let mut frame = Frame::new();
        if !self.audit.receive(&mut frame).unwrap() {
            return None;
        }
        let Ok(Request::Infer {
            params,
            format,
            parts,
            ..
        }) = Request::parse(&frame)
        else {
            panic!("no question: {:?}", frame.header());
        };
        assert_eq!(
            (params.max_tokens, params.sampling.temperature),
            (MAX_TOKENS, 0)
        );
        assert_eq!(format.as_str(), FORMAT);
        let parts: Vec<_> = parts
            .iter()
            .map(|part| (part.kind, part.as_str()))
            .collect();
        let [(PartKind::System, STANDING), (PartKind::User, line)] = parts[..] else {
            panic!("{parts:?}");
        };
        let asked = (frame.header().request, line.to_string());
        assert_eq!(self.audit.receive(&mut frame), Ok(false), "one at a time");
        Some(asked)
    }

    fn answer(&mut self, number: u32, text: &[u8]) -> Option<(u32, String)> {
        self.say(number, &Event::Text { tokens: 1, text });
        self.say(number, &Event::Finished(finished(FinishReason::EndOfText)));
        self.wake()
    }

    fn fail(&mut self, number: u32, code: ErrorCode) -> Option<(u32, String)> {
        let failure = Failure::of(code);
        let detail = &[];
        self.say(number, &Event::Failed { failure, detail });
        self.wake()
    }

    /// Counts: lines decided, the alarm, routine, escalated.
    fn counts(&self) -> [u64; 4] {
        [0, 1, 2, 3].map(|word| self.decisions.load(word))
    }

    fn last_line(&self) -> &str {
        self.port.lines.last().map_or("", |line| line)
    }
}

fn finished(reason: FinishReason) -> Finished {
    Finished {
        reason,
        prompt_tokens: 9,
        generated_tokens: 2,
        turn: 1,
        first_token_us: 1,
        total_us: 2,
        held_us: 0,
    }
}

fn fault() -> Event<'static> {
    Event::Fault {
        fault: Fault {
            kind: FaultKind::Memory,
            ip: 0x20_0000,
            address: 8,
        },
        count: 1,
    }
}

const RECOVERED: Event<'_> = Event::Recovered {
    after_us: 1,
    restarts: 1,
};

#[test]
fn nothing_is_asked_before_audit_is_ready() {
    let mut system = system(b"It rained.\n");
    assert_eq!(system.wake(), None);
    system.audit.lead(1);
    assert_eq!(system.wake(), None);
    system.say(0, &Event::Ready(User::default()));
    let asked = system.wake().unwrap();
    assert_eq!(asked.1, "It rained.");
    assert!(system.port.signals > 0);
    assert_eq!(system.counts(), [0; 4]);
}

#[test]
fn each_line_is_asked_about_after_the_answer_to_the_one_before() {
    let (mut system, first) = ready(b"A cake.\n\nA storm.\nA noise.");
    let second = system.answer(first.unwrap().0, b"log").unwrap();
    assert_eq!(second.1, "A storm.");
    assert_eq!(system.counts(), [1, 0, 1, 0]);
    let third = system.answer(second.0, b"warn").unwrap();
    assert_eq!(system.counts(), [2, 1, 1, 1]);
    assert_eq!(system.answer(third.0, b"loud"), None);
    // The alarm stays, and nothing more is asked.
    assert_eq!(system.counts(), [3, 1, 1, 2]);
    assert_eq!(system.triage.result(), Some((1, 2)));
    assert_eq!(system.wake(), None);
    assert_eq!(
        system.port.lines,
        [
            r#"line 1, routine: "A cake." "log""#,
            r#"line 3, ESCALATE: "A storm." "warn""#,
            r#"line 4, ESCALATE (unclear answer): "A noise." "loud""#,
            "the first answer took 2 us, each of 2 others 2 us",
            "all lines decided: 1 routine, 2 escalated",
        ]
    );
}

#[test]
fn what_audit_refuses_or_stops_escalates_and_the_next_line_is_asked_about() {
    for code in [
        ErrorCode::QuotaExceeded,
        ErrorCode::Deadline,
        ErrorCode::Cancelled,
        ErrorCode::UnknownClient,
        ErrorCode::NoModel,
        ErrorCode::RestartsExhausted,
        ErrorCode::FormatNotSpelled,
        ErrorCode::NoTemplate,
    ] {
        let (mut system, first) = ready(b"one\ntwo\n");
        let second = system.fail(first.unwrap().0, code).unwrap();
        assert_eq!(second.1, "two");
        assert_eq!(system.counts(), [1, 1, 0, 1]);
        let expected = std::format!("line 1, ESCALATE (no answer: {code:?}): \"one\"");
        assert_eq!(system.last_line(), expected);
    }
}

#[test]
fn a_question_under_which_inference_was_restarted_is_asked_once_more_when_it_serves_again() {
    for code in [
        ErrorCode::InferenceFault,
        ErrorCode::ProtocolViolation,
        ErrorCode::FormatBreach,
        ErrorCode::Unresponsive,
    ] {
        let (mut system, first) = ready(b"one\ntwo\n");
        system.say(0, &fault());
        assert_eq!(system.fail(first.unwrap().0, code), None, "not yet");
        assert_eq!(system.counts(), [0; 4]);
        system.say(0, &RECOVERED);
        let again = system.wake().unwrap();
        assert_eq!(again.1, "one");
        system.say(0, &fault());
        assert_eq!(system.fail(again.0, code), None);
        // It gives up after two attempts.
        assert_eq!(system.counts(), [1, 1, 0, 1]);
        system.say(0, &RECOVERED);
        let second = system.wake().unwrap();
        assert_eq!(system.answer(second.0, b"ignore"), None);
        assert_eq!(system.counts(), [2, 1, 1, 1]);
    }
}

#[test]
fn text_of_before_a_restart_decides_nothing() {
    let (mut system, first) = ready(b"one\n");
    let number = first.unwrap().0;
    let text = b"lo";
    system.say(number, &Event::Text { tokens: 1, text });
    system.say(0, &fault());
    assert_eq!(system.fail(number, ErrorCode::InferenceFault), None);
    system.say(0, &RECOVERED);
    let again = system.wake().unwrap();
    assert_eq!(system.answer(again.0, b"g"), None);
    assert_eq!(system.counts(), [1, 1, 0, 1]);
}

#[test]
fn an_inference_that_stays_down_escalates_what_is_left() {
    let (mut system, first) = ready(b"one\ntwo\n");
    system.say(0, &fault());
    let failure = Failure::over(ErrorCode::RestartsExhausted, 5, 60_000_000);
    let detail = &[];
    system.say(first.unwrap().0, &Event::Failed { failure, detail });
    system.say(0, &Event::Failed { failure, detail });
    let second = system.wake().unwrap();
    assert_eq!(system.fail(second.0, ErrorCode::RestartsExhausted), None);
    assert_eq!(system.triage.result(), Some((0, 2)));
}

#[test]
fn an_audit_that_begins_anew_loses_no_line() {
    let (mut system, first) = ready(b"one\ntwo\n");
    assert!(first.is_some());
    system.audit.lead(2);
    assert_eq!(system.wake(), None);
    assert_eq!(system.counts(), [0; 4]);
    system.say(0, &Event::Ready(User::default()));
    let again = system.wake().unwrap();
    assert_eq!(again.1, "one");
}

#[test]
fn lines_that_cannot_be_asked_about_escalate_unseen() {
    let (mut system, asked) = ready(
        b"\xff\xfe\n0123456789012345678901234567890123456789012345678901234567890123456789\
          012345678901234567890123456789012345678901234567890\nthree\n",
    );
    let (number, prompt) = asked.unwrap();
    assert_eq!(prompt, "three");
    assert_eq!(system.counts(), [2, 1, 0, 2]);
    assert_eq!(
        system.port.lines[0],
        r#"line 1, ESCALATE (not asked: no text): """#
    );
    assert_eq!(
        system.port.lines[1],
        r#"line 2, ESCALATE (not asked: too long): """#
    );
    assert_eq!(system.answer(number, b"log"), None);
    assert_eq!(system.triage.result(), Some((1, 2)));
}

#[test]
fn the_longest_line_is_asked_about_whole() {
    const LINE: [u8; crate::MAX_LINE_BYTES] = [b'x'; crate::MAX_LINE_BYTES];
    let (_, asked) = ready(&LINE);
    let (_, prompt) = asked.unwrap();
    assert_eq!(prompt.as_bytes(), LINE);
}

#[test]
fn without_events_there_is_nothing_to_do() {
    for events in [&b""[..], b"\n\n", b"\0\0\0"] {
        let (system, asked) = ready(events);
        assert_eq!(asked, None);
        assert_eq!(system.triage.result(), Some((0, 0)));
        assert_eq!(system.counts(), [0; 4]);
    }
}

#[test]
fn what_others_wrote_is_not_shown_as_it_is() {
    let (mut system, asked) = ready(b"\x1b[2Jred\n");
    assert_eq!(system.answer(asked.unwrap().0, b"\x1b[0m "), None);
    assert!(
        system
            .port
            .lines
            .iter()
            .all(|line| !line.contains('\u{1b}'))
    );
}

#[test]
fn whatever_lies_in_audits_region_each_line_is_decided_at_most_once() {
    // Answers to nothing, repeated ends, and another request's events.
    let (mut system, asked) = ready(b"one\ntwo\n");
    let number = asked.unwrap().0;
    system.say(
        number + 7,
        &Event::Finished(finished(FinishReason::EndOfText)),
    );
    system.say(number, &Event::Finished(finished(FinishReason::EndOfText)));
    system.say(number, &Event::Finished(finished(FinishReason::EndOfText)));
    let second = system.wake().unwrap();
    assert_eq!(second.1, "two");
    assert_eq!(system.counts(), [1, 1, 0, 1]);
    assert_eq!(system.wake(), None);
    assert_eq!(system.counts(), [1, 1, 0, 1]);
}
