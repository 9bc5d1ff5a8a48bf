//! Clients take turns at shared resources: regression tests for what the monitor fuzz has found.

use super::harness::*;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::WATCHDOG_PERIOD_US;
use protocol::name::{FormatName, ModelName, SessionName};
use protocol::policy::Policy;
use protocol::ring::{Frame, SLOTS};
use protocol::testing::completion;
use protocol::wire::client::{LogQuery, Request};
use protocol::wire::engine::Report;
use protocol::wire::{FinishReason, InferParams};

#[test]
fn a_client_that_the_policy_does_not_know_is_told_that_it_is_nobody() {
    let mut system = System::serving();
    let told = system.told_to_other();
    assert_eq!(told.last(), Some(&Told::Ready("".into())), "{told:?}");
}

fn infer(max_tokens: u32) -> Request<'static> {
    Request::Infer {
        params: InferParams {
            max_tokens,
            ..InferParams::default()
        },
        session: SessionName::EMPTY,
        adapter: ModelName::EMPTY,
        format: FormatName::EMPTY,
        parts: completion(b"once"),
    }
}

/// Two clients, and an egress cap.
fn capped(bytes_per_second: u32, burst_bytes: u32) -> Policy {
    let mut policy = two_clients();
    policy.egress_bytes_per_second = bytes_per_second;
    policy.egress_burst_bytes = burst_bytes;
    policy
}

/// Numbers of the requests for text that inference was asked for.
fn admitted(system: &mut System) -> std::vec::Vec<u32> {
    let asked = system.asked().into_iter();
    asked
        .filter_map(|asked| match asked {
            Asked::Infer { number, .. } => Some(number),
            _ => None,
        })
        .collect()
}

/// Advances the clock to the timer.
fn on_timer(system: &mut System) {
    let at = system.runtime.timer.unwrap_or(u64::MAX);
    system.runtime.now = at.min(system.runtime.now + WATCHDOG_PERIOD_US);
    system.audit.on_timer(&mut system.runtime);
}

#[test]
fn short_requests_that_end_all_the_time_leave_a_long_one_its_part_of_the_egress_cap() {
    let mut system = System::serving_with(&capped(1000, 1024));
    system.told_to_other();
    system.infer(5, 500);
    let long = system.admitted();
    let (mut sent, mut told, mut id) = (0, [0, 0], 10);
    let until = system.runtime.now + 20 * SECOND;
    while system.runtime.now < until {
        // The other client always has four requests of one token each in flight.
        while id < 14 + told[1] {
            system.ask_as_other(id, &infer(1));
            id += 1;
            for number in admitted(&mut system) {
                system.token(number, "0123456789");
                system.finished(number, FinishReason::MaxTokens, 1);
            }
        }
        while system.generate(long, &mut sent, &[b'x'; 88]) {}
        let text = |told: &&Told| matches!(told, Told::Text(5, _));
        told[0] += system.told().iter().filter(text).count() as u32;
        let ends = |told: &&Told| matches!(told, Told::Finished(..));
        told[1] += system.told_to_other().iter().filter(ends).count() as u32;
        system.asked();
        on_timer(&mut system);
    }
    // One event of the long request for two of the other client: a token and an end.
    let [events, ends] = told;
    assert!(2 * events + 4 >= ends && ends > 20, "{told:?}");
}

#[test]
fn what_waits_for_a_client_that_does_not_read_leaves_the_others_the_whole_egress_cap() {
    let mut system = System::serving_with(&capped(100, 5000));
    system.told_to_other();
    system.ask_as_other(7, &infer(100));
    let others = system.admitted();
    // The other client's ring is full, and its text waits.
    for id in 100..100 + SLOTS as u32 {
        system.ask_as_other(id, &Request::WhoAmI);
    }
    let mut sent = 0;
    while system.generate(others, &mut sent, &[b'x'; 256]) {}
    assert_eq!(sent, 16);
    system.infer(5, 100);
    let number = system.admitted();
    let mut generated = 0;
    // 100 bytes a token: most of the burst.
    for n in 0..48 {
        assert!(system.generate(number, &mut generated, &[b'y'; 88]));
        assert_eq!(system.told().len(), 1, "token {n}");
        system.asked();
    }
}

#[test]
fn a_large_text_of_a_client_has_its_turn_beside_small_ones() {
    let mut system = System::serving_with(&capped(100, 1024));
    system.infer(5, 500);
    let small = system.admitted();
    system.infer(6, 500);
    let large = system.admitted();
    let (mut sent, mut told) = ([0, 0], [0, 0]);
    let until = system.runtime.now + 25 * SECOND;
    while system.runtime.now < until {
        while system.generate(large, &mut sent[1], &[b'x'; 200]) {}
        if sent[0] <= told[0] {
            system.generate(small, &mut sent[0], b"x");
        }
        for told_now in system.told() {
            match told_now {
                Told::Text(5, text) => told[0] += text.len() as u32,
                Told::Text(6, text) => told[1] += text.len() as u32 / 200,
                other => panic!("{other:?}"),
            }
        }
        system.asked();
        system.runtime.now += SECOND / 8;
        system.wake();
    }
    // Its text needs a full bucket, which can never fill if small events go first.
    assert!(told[1] >= 8, "{told:?}");
}

#[test]
fn clients_that_ask_without_end_keep_no_model_from_being_verified() {
    let mut system = System::of_two();
    system.log_in("admin", "secret");
    let name = model("tiny");
    system.ask(5, &Request::Load { name });
    let mut frame = Frame::new();
    Request::WhoAmI.write(9, &mut frame);
    for _ in 0..20 {
        // Both rings are always full of requests.
        while system.other.send(&frame).is_ok() {}
        while system.shell.send(&frame).is_ok() {}
        system.wake();
        system.told();
        system.told_to_other();
    }
    assert!(
        matches!(system.asked()[..], [Asked::Load(..)]),
        "it was verified, and inference loads it"
    );
}

#[test]
fn false_evictions_are_violations_and_take_nothing_of_the_egress_cap() {
    let mut system = System::serving();
    let before = system.stats();
    for slot in 0..32 {
        system.say(0, &Report::Evicted { session: slot });
    }
    let after = system.stats();
    assert_eq!(after.violations, before.violations + 32);
    assert_eq!(after.egress_bytes, before.egress_bytes);
}

#[test]
fn what_inference_says_of_audits_own_load_counts_in_the_egress_cap() {
    let mut system = System::boot(&policy());
    let before = system.stats().egress_bytes;
    let failure = Failure::of(ErrorCode::BadModel);
    let detail = b"a long word about it";
    let number = system.own_load;
    system.say(number, &Report::Failed { failure, detail });
    let after = system.stats().egress_bytes;
    assert_eq!(after - before, 8 + 20 + detail.len() as u64);
}

#[test]
fn stops_and_credit_for_one_client_take_no_place_in_inferences_ring_that_is_anothers() {
    let mut system = System::of_two();
    let places = two_clients().clients[0].commands;
    let mut numbers = std::vec::Vec::new();
    for id in 1..=15 {
        system.ask_as_other(id, &infer(100));
        numbers.extend(admitted(&mut system));
    }
    assert_eq!(numbers.len(), 15);
    system.told_to_other();
    // Inference is in a long step: it reads nothing, and all requests are to stop.
    for id in 1..=15 {
        system.ask_as_other(id, &Request::Cancel);
    }
    for id in 1..=places {
        system.infer(id, 5);
        assert_eq!(system.told(), []);
    }
    // It reads, signals, and is told of all of them.
    let mut stops = 0;
    while stops < 15 {
        let asked = system.asked();
        assert!(!asked.is_empty(), "{stops} were asked for");
        let is_stop = |asked: &&Asked| matches!(asked, Asked::Cancel(_));
        stops += asked.iter().filter(is_stop).count();
    }
}

#[test]
fn a_reading_of_the_log_whose_entries_have_all_gone_when_there_is_room_ends_without_later_ones() {
    let mut system = System::of_two();
    system.log_in("admin", "secret");
    // The shell leaves no room for lists.
    for id in 1..=12 {
        system.ask(id, &Request::WhoAmI);
    }
    let last = system.records().len() as u64;
    system.ask(20, &Request::Log(LogQuery::default()));
    for id in 1..=400 {
        system.ask_as_other(id, &infer(1));
        let number = system.admitted();
        system.finished(number, FinishReason::EndOfText, 0);
        system.told_to_other();
    }
    let first = system.records()[0].sequence;
    assert!(first > last + 1, "{first} after {last}");
    let told = system.told_at_last();
    assert!(
        matches!(&told[12..], [Told::LogEnd(20, extent)] if extent.first == extent.next),
        "{:?}",
        &told[12..]
    );
}

#[test]
fn ends_that_are_audits_own_words_leave_the_turns_of_a_clients_requests_as_they_are() {
    let mut system = System::serving_with(&capped(100, 1024));
    let [first, second, lost] = [5, 6, 7].map(|id| {
        system.infer(id, 500);
        system.admitted()
    });
    let texts = [
        (first, 200),
        (first, 200),
        (first, 144),
        (second, 200),
        (second, 250),
        (first, 9),
    ];
    for (number, bytes) in texts {
        system.token(number, &"x".repeat(bytes));
        system.asked();
    }
    // It is the second client's turn, but the cap does not have enough bytes yet.
    system.token(first, "again");
    assert_eq!(system.told().len(), 5);
    assert!(lost > second);
    system.audit.on_fault(FAULT, &mut system.runtime);
    let failed = Told::Failed(7, Failure::of(ErrorCode::InferenceFault));
    assert_eq!(system.told(), [Told::Fault(FAULT, 1), failed]);
    let mut told = std::vec::Vec::new();
    while told.is_empty() {
        on_timer(&mut system);
        told = system.told();
    }
    assert_eq!(told[0], Told::Text(6, "x".repeat(250)));
}
