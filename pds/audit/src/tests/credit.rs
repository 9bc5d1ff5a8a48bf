//! Credit: text that a client has not taken is kept for it, and inference pauses.

use super::clients::{infer, text_of};
use super::harness::*;
use protocol::limits::{CONTROL_DEADLINE_US, INFERENCE_DEADLINE_US, WATCHDOG_PERIOD_US};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::FinishReason;
use protocol::wire::client::{Event, Request};
use std::vec::Vec;

#[test]
fn a_client_that_never_reads_delays_its_own_requests_and_nothing_else() {
    let mut system = System::of_two();
    system.runtime.takes_us = 0;
    // The other client fills all it can: its requests, its ring, and lists.
    let mut numbers = Vec::new();
    for id in 1..=4 {
        system.ask_as_other(id, &infer("", 100));
        numbers.extend(system.asked().into_iter().map(|asked| match asked {
            Asked::Infer { number, .. } => number,
            other => panic!("{other:?}"),
        }));
    }
    let mut sent = [0; 4];
    for (number, sent) in numbers.iter().zip(&mut sent) {
        while system.generate(*number, sent, b"x") {}
        assert!(*sent < 100, "it rests");
    }
    let mut frame = Frame::new();
    Request::WhoAmI.write(50, &mut frame);
    while system.other.send(&frame).is_ok() {
        system.wake();
    }
    // The shell's request proceeds as if it were alone.
    let began = system.runtime.now;
    system.infer(5, 100);
    let number = system.admitted();
    let mut generated = 0;
    for n in 1..=100 {
        assert!(system.generate(number, &mut generated, b"y"), "token {n}");
        assert_eq!(system.told(), [Told::Text(5, "y".into())]);
    }
    system.finished(number, FinishReason::MaxTokens, 100);
    assert!(matches!(system.told()[..], [Told::Finished(5, _)]));
    assert_eq!(system.runtime.now, began);
    // The other's own requests end at their deadlines, and inference is not restarted for them.
    system.watch(INFERENCE_DEADLINE_US);
    for (number, sent) in numbers.iter().zip(&sent) {
        assert!(
            system
                .asked()
                .iter()
                .all(|asked| matches!(asked, Asked::Cancel(_)))
        );
        system.finished(*number, FinishReason::Cancelled, *sent);
    }
    system.watch(CONTROL_DEADLINE_US);
    assert_eq!(system.runtime.restarts, 0);
    // When it finally reads, nothing is lost.
    let told = system.told_to_other();
    for (id, sent) in (1..=4).zip(sent) {
        assert_eq!(text_of(&told, id).len(), sent as usize);
        let ends = told
            .iter()
            .filter(|told| matches!(told, Told::Failed(of, _) if *of == id));
        assert_eq!(ends.count(), 1);
    }
}

#[test]
fn the_egress_cap_is_shared_in_turn_and_lets_inference_rest() {
    let mut policy = two_clients();
    policy.egress_bytes_per_second = 1000;
    policy.egress_burst_bytes = 1024;
    let mut system = System::serving_with(&policy);
    system.told_to_other();
    system.infer(5, 500);
    let shells = system.admitted();
    system.ask_as_other(6, &infer("", 500));
    let others = system.admitted();
    let (mut sent, mut passed) = ([0, 0], [0, 0]);
    let until = system.runtime.now + 20 * SECOND;
    while system.runtime.now < until {
        while system.generate(shells, &mut sent[0], &[b'x'; 88]) {}
        while system.generate(others, &mut sent[1], &[b'x'; 88]) {}
        passed[0] += text_of(&system.told(), 5).len() / 88;
        passed[1] += text_of(&system.told_to_other(), 6).len() / 88;
        let at = system.runtime.timer.unwrap_or(u64::MAX);
        system.runtime.now = at.min(system.runtime.now + WATCHDOG_PERIOD_US);
        system.audit.on_timer(&mut system.runtime);
    }
    // At 100 bytes a token: ten a second, half of them for each client.
    let [one, other] = passed;
    assert!(
        (90..=110).contains(&one) && (90..=110).contains(&other),
        "{passed:?}"
    );
    assert!(
        sent[0] as usize <= one + 3 && sent[1] as usize <= other + 3,
        "{sent:?}"
    );
    assert_eq!(system.runtime.restarts, 0);
}

#[test]
fn text_that_waits_is_joined_and_one_grant_serves_for_several_tokens() {
    let mut system = System::serving();
    system.infer(5, 100);
    let number = system.admitted();
    assert_eq!(system.credit[&number], 16);
    let mut sent = 0;
    // The shell's ring is full of other events; then it reads.
    for id in 101..=100 + SLOTS as u32 {
        system.ask(id, &Request::WhoAmI);
    }
    for text in ["one", " two", " three"] {
        assert!(system.generate(number, &mut sent, text.as_bytes()));
    }
    let told = system.told_at_last();
    assert_eq!(told.last(), Some(&Told::Text(5, "one two three".into())));
    let mut grants = Vec::new();
    let mut last = system.credit[&number];
    while sent < 100 {
        assert!(system.generate(number, &mut sent, b"x"));
        system.told();
        system.asked();
        let credit = system.credit[&number];
        if credit != last {
            grants.push(credit - last);
            last = credit;
        }
    }
    assert!(
        grants.iter().rev().skip(1).all(|grant| *grant >= 8),
        "{grants:?}"
    );
    assert_eq!(last, 100);
}

#[test]
fn what_a_shell_that_cannot_be_told_anything_asks_for_is_not_read() {
    let mut system = System::serving();
    for id in 1..=SLOTS as u32 {
        system.ask(id, &Request::WhoAmI);
    }
    // It keeps asking, and does not read.
    let mut frame = Frame::new();
    for id in 100..100 + SLOTS as u32 {
        Request::WhoAmI.write(id, &mut frame);
        system.shell.send(&frame).unwrap();
    }
    system.wake();
    assert_eq!(system.shell.free(), 0);
    // Each is answered when it reads, in order and once.
    let ids: Vec<_> = system
        .told_at_last()
        .iter()
        .map(|told| match told {
            Told::User(id, _) => *id,
            other => panic!("{other:?}"),
        })
        .collect();
    let expected: Vec<u32> = (1..=SLOTS as u32).chain(100..100 + SLOTS as u32).collect();
    assert_eq!(ids, expected);
}

#[test]
fn a_text_event_is_never_larger_than_the_wire_allows() {
    let mut system = System::serving();
    system.infer(5, 100);
    let number = system.admitted();
    for id in 101..=100 + SLOTS as u32 {
        system.ask(id, &Request::WhoAmI);
    }
    let mut sent = 0;
    while system.generate(number, &mut sent, &[b'x'; 256]) {}
    let mut frame = Frame::new();
    let mut largest = 0;
    loop {
        let mut any = false;
        while system.shell.receive(&mut frame).unwrap() {
            any = true;
            if let Event::Text { tokens, text } = Event::parse(&frame).unwrap() {
                assert_eq!(text.len(), tokens as usize * 256);
                largest = largest.max(text.len());
            }
        }
        if !any {
            break;
        }
        system.wake();
    }
    assert_eq!(largest, 16 * 256);
}
