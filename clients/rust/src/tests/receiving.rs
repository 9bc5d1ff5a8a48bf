//! Receiving, and when audit is signalled.

use super::*;
use crate::{Incoming, Infer, Notice};
use protocol::region::WriteWords;
use protocol::ring::SLOTS;
use protocol::wire::client::{Progress, Stage};
use protocol::wire::{Fault, FaultKind};

#[test]
fn an_answer_comes_in_parts_and_ends_once() {
    let mut system = System::on();
    let request = system.client.infer(&Infer::new("x")).unwrap();
    for event in [
        text(b" a"),
        text(b" b"),
        finished(),
        text(b" c"),
        finished(),
    ] {
        system.say(1, &event);
    }
    let mut poll = || {
        let incoming = system.client.poll(&mut system.inbox)?;
        Some((incoming.request(), incoming.is_end()))
    };
    assert_eq!(poll(), Some((Some(request), false)));
    assert_eq!(poll(), Some((Some(request), false)));
    assert_eq!(poll(), Some((Some(request), true)));
    assert_eq!(poll(), None, "what comes after the end is nobody's");
    assert_eq!(system.client.dropped().unexpected, 2);
}

#[test]
fn answers_find_their_requests_in_any_order() {
    let mut system = System::on();
    let first = system.client.infer(&Infer::new("x")).unwrap();
    let second = system.client.who_am_i().unwrap();
    system.say(second.number(), &Event::User(user("guest")));
    system.say(first.number(), &text(b"x"));
    let mut polled = system.polled().into_iter();
    assert!(
        polled
            .next()
            .unwrap()
            .starts_with("Last { request: #2, event: User")
    );
    assert!(
        polled
            .next()
            .unwrap()
            .starts_with("Part { request: #1, event: Text")
    );
    assert_eq!(system.in_flight(), [first]);
}

#[test]
fn news_of_the_system_are_notices() {
    let mut system = System::on();
    let fault = Fault {
        kind: FaultKind::Memory,
        ip: 1,
        address: 2,
    };
    let progress = Progress {
        stage: Stage::Loading,
        done: 1,
        total: 2,
    };
    let recovered = (5, 6);
    let (after_us, restarts) = recovered;
    for (event, notice) in [
        (Event::Ready(user("guest")), Notice::Ready(user("guest"))),
        (Event::Progress(progress), Notice::Progress(progress)),
        (
            Event::Fault { fault, count: 2 },
            Notice::Fault { fault, count: 2 },
        ),
        (
            Event::Recovered { after_us, restarts },
            Notice::Recovered { after_us, restarts },
        ),
        (
            failed(ErrorCode::RestartsExhausted),
            Notice::Failed {
                failure: Failure::of(ErrorCode::RestartsExhausted),
                detail: b"",
            },
        ),
    ] {
        system.say(0, &event);
        let incoming = system.client.poll(&mut system.inbox).unwrap();
        assert_eq!(incoming, Incoming::Notice(notice));
        assert_eq!((incoming.request(), incoming.is_end()), (None, false));
    }
    for event in [
        Event::Done,
        finished(),
        text(b"x"),
        Event::User(user("guest")),
    ] {
        system.say(0, &event);
        assert_eq!(system.polled(), Vec::<String>::new());
    }
    assert_eq!(system.client.dropped().unexpected, 4);
}

#[test]
fn one_signal_is_owed_for_all_that_was_read_and_sent() {
    let mut system = System::on();
    system.client.infer(&Infer::new("x")).unwrap();
    system.client.who_am_i().unwrap();
    assert!(system.client.take_owed_signal() && !system.client.take_owed_signal());
    for _ in 0..SLOTS {
        system.say(1, &text(b"x"));
    }
    assert_eq!(system.polled().len(), SLOTS);
    assert!(
        system.client.take_owed_signal(),
        "audit may wait for the room"
    );
    assert_eq!(system.polled(), Vec::<String>::new());
    assert!(!system.client.take_owed_signal(), "nothing was read");
}

#[test]
fn a_request_can_be_submitted_while_the_answer_to_another_is_looked_at() {
    let mut system = System::on();
    system.client.infer(&Infer::new("x")).unwrap();
    system.say(1, &text(b"go on"));
    let incoming = system.client.poll(&mut system.inbox).unwrap();
    let Incoming::Part {
        event: Event::Text { text, .. },
        ..
    } = incoming
    else {
        panic!("{incoming:?}")
    };
    let more = Infer::new(core::str::from_utf8(text).unwrap());
    assert_eq!(system.client.infer(&more).unwrap().number(), 2);
    assert_eq!(text, b"go on");
}

#[test]
fn the_longest_text_comes_whole() {
    let mut system = System::on();
    system.client.infer(&Infer::new("x")).unwrap();
    let longest = [b'y'; protocol::limits::MAX_TEXT_BYTES];
    system.say(1, &text(&longest));
    let incoming = system.client.poll(&mut system.inbox).unwrap();
    assert_eq!(
        incoming,
        Incoming::Part {
            request: RequestId::from_number(1),
            event: text(&longest),
        }
    );
}

#[test]
fn an_audit_that_begins_anew_ends_each_request_as_lost_and_serves_again() {
    let mut system = System::on();
    let requests = system.fill();
    let abandoned = requests[2];
    assert!(system.client.abandon(abandoned) && system.client.cancel(requests[4]));
    system.say(1, &failed(ErrorCode::NoModel));
    system.audit.lead(2);
    // A request can be made before the news is read.
    let request = system.client.who_am_i().unwrap();
    assert_eq!(request.number(), SLOTS as u32 + 1);
    system.say(request.number(), &Event::User(user("guest")));
    assert!(
        !system.client.cancel(requests[0]),
        "audit knows nothing of it"
    );
    let forgotten = requests[1];
    assert!(system.client.abandon(forgotten) && !system.client.abandon(forgotten));
    let polled = system.polled();
    assert_eq!(polled[0], "Notice(Restarted)");
    let lost = requests
        .iter()
        .filter(|id| ![abandoned, forgotten].contains(id));
    let lost: Vec<String> = lost
        .map(|id| format!("Lost {{ request: {id:?} }}"))
        .collect();
    assert_eq!(
        polled[1..=lost.len()],
        lost,
        "also the one whose end was under way"
    );
    assert!(polled[lost.len() + 1].starts_with("Last { request: #17, event: User"));
    assert_eq!(polled.len(), lost.len() + 2);
    assert_eq!(
        system.asked(),
        [(17, "WhoAmI".into())],
        "no cancellation is left over"
    );
    assert!(system.in_flight().is_empty());
    assert_eq!(system.polled(), Vec::<String>::new(), "once");
}

#[test]
fn the_first_epoch_is_no_restart() {
    let mut system = System::on();
    system.say(0, &Event::Ready(user("guest")));
    assert_eq!(system.polled().len(), 1);
}

#[test]
fn what_is_no_message_is_dropped_counted_and_passed_over() {
    let mut system = System::on();
    let request = system.client.infer(&Infer::new("x")).unwrap();
    let mut frame = Frame::new();
    // Messages of the other direction, without their fixed part, and of an unknown kind.
    Request::Status.write(1, &mut frame);
    system.audit.send(&frame).unwrap();
    for kind in [0x103, 0x999] {
        frame.begin(kind, 1);
        frame.finish(0);
        system.audit.send(&frame).unwrap();
    }
    system.say(1, &finished());
    assert_eq!(system.polled().len(), 1);
    assert_eq!(system.client.dropped().malformed, 3);
    assert!(!system.in_flight().contains(&request));
    // An impossible index drops everything in the ring.
    system.theirs.store(2, 1 << 32 | 500);
    assert_eq!(system.polled(), Vec::<String>::new());
    assert_eq!(system.client.dropped().malformed, 4);
}

#[test]
fn a_region_that_is_too_small_makes_no_client() {
    let small = || TestRegion::with_words(100);
    let memory = Box::leak(Box::new(Memory::default()));
    let error = Client::over(small(), TestRegion::new(), memory).unwrap_err();
    assert_eq!(error.words, 100);
    let memory = Box::leak(Box::new(Memory::new()));
    assert!(Client::over(TestRegion::new(), TestRegion::new(), memory).is_ok());
}
