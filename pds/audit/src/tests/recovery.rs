//! Deadlines, faults, restarts.

mod limits;

use super::harness::*;
use crate::ControlError;
use protocol::error::{ErrorCode, Failure};
use protocol::record::Kind;
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::Request;
use protocol::wire::engine::Report;
use protocol::wire::{Fault, FaultKind, FinishReason};
use sha2::Digest as _;
use std::vec::Vec;

#[test]
fn a_life_that_ends_cannot_speak_for_the_next() {
    let mut system = System::serving();
    system.infer(5, 9);
    let number = system.admitted();
    // A helper that counts: epochs as well as requests, the next of which will be the load of the model.
    system.inference.lead(system.inference.epoch() + 1);
    let lie = Report::Failed {
        failure: Failure::of(ErrorCode::BadModel),
        detail: b"",
    };
    let mut frame = Frame::new();
    lie.write(number + 1, &mut frame);
    system.inference.send(&frame).unwrap();
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.wake();
    let failed = Told::Failed(5, Failure::of(ErrorCode::InferenceFault));
    assert_eq!(system.told(), [Told::Fault(FAULT, 1), failed]);
    system.join();
    system.loaded(system.own_load);
    assert_eq!(system.told(), [Told::Recovered(1)]);
    assert_eq!(system.stats().violations, 0);
    system.serves(6);
}

#[test]
fn a_console_that_stands_still_at_boot_is_told_that_it_may_begin_when_it_reads() {
    let mut system = System::boot(&policy());
    for id in 1..=12 {
        system.ask(id, &Request::WhoAmI);
    }
    // Each run fails over its load until audit stops trying; the notices fill the ring.
    for _ in 0..6 {
        system.audit.on_fault(FAULT, &mut system.runtime);
    }
    assert_eq!(system.runtime.stops, 1);
    let ready = |told: &[Told]| {
        let ready = told.iter().filter(|told| matches!(told, Told::Ready(_)));
        ready.count()
    };
    let first = system.told();
    assert_eq!(ready(&first), 0, "{first:?}");
    assert_eq!(ready(&system.told_at_last()), 1);
}

#[test]
fn a_fault_ends_its_requests_with_a_refund_and_inference_serves_again() {
    let mut system = System::serving();
    system.infer_in(5, "tale", 9);
    let old = system.admitted();
    system.token(old, "a");
    system.audit.on_fault(FAULT, &mut system.runtime);
    assert_eq!(system.runtime.restarts, 1);
    let failure = Failure::of(ErrorCode::InferenceFault);
    let told = system.told_at_last();
    let failed = Told::Failed(5, failure);
    assert_eq!(
        told,
        [Told::Text(5, "a".into()), Told::Fault(FAULT, 1), failed]
    );
    let budget = system.budget();
    assert_eq!((budget.used, budget.reserved), (0, 0));
    let record = system.last_record(Kind::Fault);
    assert_eq!((record.value, record.limit), (FAULT.address, FAULT.ip));
    // Text that was shown is on record.
    let shown = sha2::Sha256::digest([&1u32.to_le_bytes()[..], &1u32.to_le_bytes(), b"a"].concat());
    assert_eq!(system.last_record(Kind::Fail).output_sha256, shown[..]);
    // What the old run still sends belongs to another epoch.
    let mut frame = Frame::new();
    let ghost = Report::Token {
        id: 1,
        text: b"ghost",
    };
    ghost.write(old, &mut frame);
    let _ = system.inference.send(&frame);
    system.wake();
    assert_eq!(system.told(), []);
    // A prompt that arrives before the model is loaded again waits in the ring behind the load.
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
    assert_eq!(system.last_record(Kind::Recover).limit, 1);
    // The conversation is gone, and its user is told.
    system.infer_in(7, "tale", 5);
    let lost = Failure::over(ErrorCode::SessionLost, 1, 0);
    assert_eq!(system.told(), [Told::Failed(7, lost)]);
}

#[test]
fn whoever_breaks_the_protocol_is_restarted() {
    let breaches: [fn(&mut System, u32); 8] = [
        |system, number| (0..6).for_each(|_| system.token(number, "x")),
        |system, number| system.finished(number, FinishReason::EndOfText, 3),
        |system, number| {
            let lie = Report::Finished {
                reason: FinishReason::EndOfText,
                prompt_tokens: 7,
                generated_tokens: 0,
            };
            system.say(number, &lie);
        },
        |system, number| system.say(number, &Report::Loaded(loaded())),
        |system, number| system.say(number, &Report::Holdings(holdings())),
        // Reasons that only audit may give.
        |system, number| system.fails(number, Failure::of(ErrorCode::Deadline)),
        |system, number| system.fails(number, Failure::of(ErrorCode::QuotaExceeded)),
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
        let failed = Told::Failed(5, Failure::of(ErrorCode::ProtocolViolation));
        assert_eq!(told.last(), Some(&failed), "{told:?}");
        assert_eq!((system.runtime.restarts, system.stats().violations), (1, 1));
        assert_eq!(system.budget().reserved, 0);
        system.join();
        system.loaded(system.own_load);
        assert_eq!(system.told(), [Told::Recovered(1)]);
        system.serves(6);
    }
}

#[test]
fn an_inference_whose_memory_is_corrupt_says_so_and_is_restarted_as_after_a_fault() {
    let mut system = System::serving();
    system.infer(5, 5);
    let number = system.admitted();
    system.token(number, "a");
    system.say(0, &Report::Corrupt);
    let fault = Fault {
        kind: FaultKind::Corruption,
        ip: 0,
        address: 0,
    };
    let failed = Told::Failed(5, Failure::of(ErrorCode::InferenceFault));
    let told = system.told_at_last();
    assert_eq!(
        told,
        [Told::Text(5, "a".into()), Told::Fault(fault, 1), failed]
    );
    let stats = system.stats();
    assert_eq!((system.runtime.restarts, stats.faults), (1, 1));
    assert_eq!(stats.violations, 0);
    let budget = system.budget();
    assert_eq!((budget.used, budget.reserved), (0, 0));
    let record = system.last_record(Kind::Fault);
    assert_eq!(record.code, FaultKind::Corruption as u16);
    system.join();
    system.loaded(system.own_load);
    assert_eq!(system.told(), [Told::Recovered(1)]);
    system.serves(6);
}

#[test]
fn whoever_always_says_that_its_memory_is_corrupt_is_stopped_as_after_other_faults() {
    let mut policy = policy();
    policy.max_restarts = 2;
    let mut system = System::serving_with(&policy);
    for restarts in [1, 2, 2] {
        system.say(0, &Report::Corrupt);
        assert_eq!(system.runtime.restarts, restarts);
        if system.inference.follow() {
            system.say(0, &Report::Ready);
        }
    }
    assert_eq!(system.runtime.stops, 1);
}

#[test]
fn an_answer_to_what_is_over_is_counted_and_dropped() {
    let mut system = System::serving();
    system.token(12345, "ghost");
    assert_eq!(system.told(), []);
    assert_eq!((system.runtime.restarts, system.stats().violations), (0, 1));
}

#[test]
fn a_fault_is_told_even_if_the_shell_had_no_room_for_it() {
    let mut system = System::of_admin();
    let mut numbers = Vec::new();
    for id in 1..=10 {
        system.infer(id, 100);
        numbers.push(system.admitted());
    }
    for number in numbers {
        (0..2).for_each(|_| system.token(number, "x"));
        if system.inference.free() < 4 {
            break;
        }
    }
    system.audit.on_fault(FAULT, &mut system.runtime);
    let told = system.told_at_last();
    let failed = told.iter().filter(|t| matches!(t, Told::Failed(..)));
    assert_eq!(failed.count(), 10, "{told:?}");
    let faults = told.iter().filter(|t| **t == Told::Fault(FAULT, 1));
    assert_eq!(faults.count(), 1);
}

#[test]
fn a_load_by_a_user_that_a_fault_interrupts_ends_or_goes_on() {
    // While audit verifies it, inference is not involved.
    let mut system = System::of_admin();
    system.ask(
        5,
        &Request::Load {
            name: model("tiny"),
        },
    );
    system.audit.on_fault(FAULT, &mut system.runtime);
    let told = system.told_at_last();
    assert!(told.contains(&Told::Fault(FAULT, 1)));
    assert!(system.inference.follow());
    system.say(0, &Report::Ready);
    let asked = system.asked();
    let [Asked::Load(own, ..), Asked::Load(theirs, ..)] = asked[..] else {
        panic!("{asked:?}, {told:?}")
    };
    system.loaded(own);
    system.loaded(theirs);
    let told = system.told_at_last();
    assert!(told.contains(&Told::Recovered(1)), "{told:?}");
    assert!(
        told.iter().any(|t| matches!(t, Told::Loaded(5, _))),
        "{told:?}"
    );
    // Once inference has it, it ends with inference.
    system.ask(
        6,
        &Request::Load {
            name: model("default"),
        },
    );
    system.told_at_last();
    system.audit.on_fault(FAULT, &mut system.runtime);
    let told = system.told_at_last();
    let failed = Told::Failed(6, Failure::of(ErrorCode::InferenceFault));
    assert!(told.contains(&failed), "{told:?}");
}

#[test]
fn a_load_that_is_being_verified_ends_when_audit_stops_trying() {
    let mut policy = policy();
    policy.max_restarts = 1;
    let mut system = System::serving_with(&policy);
    system.log_in("admin", "secret");
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.told_at_last();
    system.join();
    system.loaded(system.own_load);
    system.told_at_last();
    system.ask(
        5,
        &Request::Load {
            name: model("tiny"),
        },
    );
    system.audit.on_fault(FAULT, &mut system.runtime);
    let exhausted = Failure::over(ErrorCode::RestartsExhausted, 1, 60 * SECOND);
    let told = system.told_at_last();
    assert!(told.contains(&Told::Failed(5, exhausted)), "{told:?}");
    assert!(told.contains(&Told::Failed(0, exhausted)), "{told:?}");
}

#[test]
fn a_token_beyond_the_credit_is_a_breach() {
    let mut system = System::serving();
    system.infer(5, 512);
    let number = system.admitted();
    let mut sent = 0;
    while system.generate(number, &mut sent, b"x") {}
    assert_eq!(system.runtime.restarts, 0);
    system.token(number, "one more");
    assert_eq!(system.runtime.restarts, 1);
    let told = system.told_at_last();
    let failed = Told::Failed(5, Failure::of(ErrorCode::ProtocolViolation));
    assert!(told.contains(&failed), "{told:?}");
    let leaked = |told: &Told| matches!(told, Told::Text(_, text) if text.contains("one"));
    assert!(!told.iter().any(leaked));
}

#[test]
fn faults_that_a_client_has_not_been_told_of_are_counted_in_the_next_it_is_told_of() {
    let mut system = System::serving();
    // Its ring is full, so it is told nothing.
    for id in 1..=SLOTS as u32 {
        system.ask(id, &Request::WhoAmI);
    }
    for _ in 0..3 {
        system.audit.on_fault(FAULT, &mut system.runtime);
        system.join();
        system.loaded(system.own_load);
    }
    let told = system.told_at_last();
    let told: Vec<_> = told[SLOTS..].to_vec();
    assert_eq!(told, [Told::Fault(FAULT, 3), Told::Recovered(3)]);
}

#[test]
fn the_end_of_a_recovery_is_told_before_what_the_new_life_says() {
    let mut system = System::serving();
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.told();
    system.join();
    system.infer(5, 5);
    let number = system.admitted();
    // Both are in the ring when audit wakes up.
    let mut frame = Frame::new();
    Report::Loaded(loaded()).write(system.own_load, &mut frame);
    system.inference.send(&frame).unwrap();
    system.token(number, "a");
    let told = system.told();
    assert!(
        matches!(told[..], [Told::Recovered(1), Told::Text(5, _)]),
        "{told:?}"
    );
}
