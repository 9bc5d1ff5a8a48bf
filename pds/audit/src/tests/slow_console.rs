//! A console that reads slowly or asks for much at once delays only itself.

use super::harness::*;
use crate::work::WORK_BYTES;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::INFERENCE_DEADLINE_US;
use protocol::name::{FormatName, ModelName, SessionName, UserName};
use protocol::record::{Kind, RECORD_BYTES};
use protocol::ring::Frame;
use protocol::testing::completion;
use protocol::wire::client::{Event, LogQuery, Request};
use protocol::wire::{FinishReason, InferParams};
use std::vec;
use std::vec::Vec;

/// The shell writes a request into its ring without signalling.
fn put(system: &mut System, id: u32, request: &Request<'_>) {
    let mut frame = Frame::new();
    request.write(id, &mut frame);
    system.shell.send(&frame).unwrap();
}

fn whole_log() -> Request<'static> {
    Request::Log(LogQuery::default())
}

/// Counts the restarts while a console prints lines of the log, taking `line_us` for each and signalling after every
/// 16, as the shell does. The listing begins this long before the deadline of a request, and inference stops 5 ms after
/// it is asked to.
fn restarts_beside_a_listing(line_us: u64, lead_us: u64) -> usize {
    let mut system = System::of_admin();
    for id in 1..200 {
        system.serves(id);
    }
    system.runtime.takes_us = 0;
    system.infer(300, 5);
    let number = system.admitted();
    let deadline = system.runtime.now + INFERENCE_DEADLINE_US;
    system.watch(INFERENCE_DEADLINE_US - 2 * SECOND);
    system.runtime.now = deadline - lead_us;
    system.ask(301, &whole_log());
    let (mut in_a_row, mut stopped) = (0, false);
    let mut frame = Frame::new();
    let mut tick = deadline - 300_000;
    let mut line = system.runtime.now + line_us;
    while system.runtime.now < deadline + 2 * SECOND && system.runtime.restarts == 0 {
        let stops = if stopped { u64::MAX } else { deadline + 5_000 };
        let timer = system.runtime.timer.unwrap_or(u64::MAX);
        let next = timer.min(tick).min(line).min(stops);
        system.runtime.now = system.runtime.now.max(next);
        if next == stops {
            assert!(system.asked().contains(&Asked::Cancel(number)));
            stopped = true;
            system.finished(number, FinishReason::Cancelled, 0);
        } else if next == line {
            line = system.runtime.now + line_us;
            let printed = system.shell.receive(&mut frame).unwrap();
            in_a_row += 1;
            if !printed || in_a_row == 16 {
                in_a_row = 0;
                if system.shell.take_owed_signal() {
                    system.wake();
                }
            }
        } else if next == tick {
            tick += SECOND;
            system.audit.on_watchdog(&mut system.runtime);
        } else {
            system.audit.on_timer(&mut system.runtime);
        }
    }
    system.runtime.restarts
}

#[test]
fn a_listing_on_a_slow_console_leaves_room_for_what_inference_has_to_say() {
    for line_us in [2_000, 20_000, 35_000, 70_000] {
        for lead_us in [50_000, 400_000, 710_000, 1_000_000] {
            let restarts = restarts_beside_a_listing(line_us, lead_us);
            assert_eq!(restarts, 0, "{line_us} us a line, {lead_us} us before");
        }
    }
}

#[test]
fn a_check_of_the_log_is_cancelled_before_it_is_over() {
    let mut system = System::of_admin();
    for id in 1..200 {
        system.serves(id);
    }
    system.ask(500, &Request::VerifyLog);
    assert_eq!(system.told(), []);
    put(&mut system, 500, &Request::Cancel);
    put(&mut system, 501, &Request::WhoAmI);
    system.wake();
    let told = system.told();
    assert!(
        matches!(told[..], [Told::Done(500), Told::User(501, _)]),
        "{told:?}"
    );
}

#[test]
fn a_reading_hashes_no_more_in_a_wake_up_than_a_wake_up_may() {
    let mut policy = policy();
    policy.users[0].budget_tokens = 1 << 40;
    policy.roles[0].max_sessions = 32;
    let mut system = System::serving_with(&policy);
    let prompt = vec![b'p'; 8192];
    for id in 1..29 {
        let (params, session) = (InferParams::default(), SessionName::EMPTY);
        let prompt = &prompt[..];
        system.ask(
            id,
            &Request::Infer {
                params,
                session,
                adapter: ModelName::EMPTY,
                format: FormatName::EMPTY,
                parts: completion(prompt),
            },
        );
        system.admitted();
    }
    system.log_in("admin", "secret");
    system.ask(500, &whole_log());
    let mut frame = Frame::new();
    loop {
        let mut hashed = Vec::new();
        while system.shell.receive(&mut frame).unwrap() {
            if let Ok(Event::Record { text, .. }) = Event::parse(&frame) {
                hashed.push(RECORD_BYTES + text.len());
            }
        }
        if hashed.is_empty() {
            break;
        }
        let last = hashed.pop().unwrap_or(0);
        let before: usize = hashed.iter().sum();
        assert!(before <= WORK_BYTES, "{before} bytes, then {last}");
        let _ = system.shell.take_owed_signal();
        system.runtime.now += 1_000;
        system.wake();
    }
}

#[test]
fn a_wrong_passphrase_is_on_record_with_the_name_also_if_the_share_is_used_up() {
    let mut policy = policy();
    policy.keep_prompts = 0;
    policy.roles[0].log_bytes_per_hour = 64 << 10;
    policy.users[0].budget_tokens = 1 << 40;
    let mut system = System::serving_with(&policy);
    let used_up = Failure::of(ErrorCode::LogShare).code;
    loop {
        system.infer(1, 5);
        if matches!(system.told()[..], [Told::Failed(1, failure)] if failure.code == used_up) {
            break;
        }
        let number = system.admitted();
        system.finished(number, FinishReason::EndOfText, 0);
        system.told();
    }
    // Closes use the rest, a little at a time.
    for _ in 0..3 {
        let user = UserName::new("admin").unwrap();
        let passphrase = Some(&b"wrong"[..]);
        system.ask(2, &Request::Login { user, passphrase });
        let told = system.told();
        assert!(
            matches!(told[..], [Told::Failed(2, f)] if f.code == ErrorCode::LoginFailed),
            "{told:?}"
        );
        let record = system.last_record(Kind::LoginFailed);
        assert_eq!((record.name, record.count), (model("admin"), 1));
        system.runtime.now += 10 * SECOND;
    }
}

#[test]
fn after_a_reset_nobody_is_told_that_audit_has_stopped_trying() {
    let mut system = System::of_admin();
    for _ in 0..policy().max_restarts {
        system.audit.on_fault(FAULT, &mut system.runtime);
        system.join();
        system.loaded(system.own_load);
        system.told();
    }
    // In one wake-up: one breach too many, and a reset.
    let mut frame = Frame::new();
    frame.begin(0x7777, 1);
    frame.finish(0);
    system.inference.send(&frame).unwrap();
    put(&mut system, 700, &Request::Reset);
    system.wake();
    let told = system.told();
    assert!(told.contains(&Told::Done(700)), "{told:?}");
    assert!(
        !told.iter().any(|t| matches!(t, Told::Failed(0, _))),
        "{told:?}"
    );
}

#[test]
fn what_is_refused_again_and_again_keeps_what_the_newest_said_and_permissions_apart() {
    let mut system = System::serving();
    for _ in 0..5 {
        system.ask(1, &Request::Reset);
        system.ask(2, &Request::VerifyLog);
        system.told();
    }
    system.watch(2 * SECOND);
    let refusals: Vec<_> = system
        .records()
        .into_iter()
        .filter(|record| record.kind() == Some(Kind::Refuse))
        .map(|record| (record.value, record.count))
        .collect();
    assert_eq!(refusals, [(32, 1), (16, 1), (16, 4), (32, 4)]);
}
