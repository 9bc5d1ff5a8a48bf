//! Deadlines: when inference is asked to stop, and when it is restarted.

use super::harness::*;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{
    CONTROL_DEADLINE_US, INFERENCE_DEADLINE_US, LOAD_DEADLINE_US, STOP_GRACE_US, WATCHDOG_PERIOD_US,
};
use protocol::record::Kind;
use protocol::region::{ReadWords as _, WriteWords as _};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::Request;
use protocol::wire::engine::Report;
use protocol::wire::{Fault, FaultKind, FinishReason};

#[test]
fn at_the_deadline_inference_is_asked_to_stop_and_if_it_does_it_lives() {
    let mut system = System::timeless();
    system.infer_in(5, "tale", 5);
    let number = system.admitted();
    system.token(number, "a");
    let deadline = system.runtime.now + INFERENCE_DEADLINE_US;
    assert_eq!(system.runtime.timer, Some(deadline));
    system.runtime.now = deadline - 1;
    system.audit.on_timer(&mut system.runtime);
    assert_eq!(system.asked(), []);
    system.runtime.now = deadline;
    system.audit.on_timer(&mut system.runtime);
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    assert_eq!(system.runtime.timer, Some(deadline + STOP_GRACE_US));
    system.runtime.now = deadline + STOP_GRACE_US - 1;
    system.finished(number, FinishReason::Cancelled, 1);
    let took = INFERENCE_DEADLINE_US + STOP_GRACE_US - 1;
    let failure = Failure::over(ErrorCode::Deadline, took, INFERENCE_DEADLINE_US);
    let told = system.told();
    assert_eq!(told, [Told::Text(5, "a".into()), Told::Failed(5, failure)]);
    assert_eq!((system.runtime.restarts, system.stats().timeouts), (0, 1));
    // It is charged for the counted tokens, and its session can go on.
    assert_eq!(system.budget().used, 4);
    let record = system.last_record(Kind::Fail);
    assert_eq!(
        (record.code, record.generated_tokens),
        (ErrorCode::Deadline as u16, 1)
    );
    assert_ne!(record.output_sha256, [0; 32]);
    assert_eq!(
        system.last_record(Kind::Timeout).limit,
        INFERENCE_DEADLINE_US
    );
    system.infer_in(6, "tale", 5);
    assert!(matches!(
        system.asked()[..],
        [Asked::Infer { fresh: false, .. }]
    ));
}

#[test]
fn an_inference_that_spins_is_restarted_by_the_watchdog_alone() {
    for after_us in [1, 100_000, 249_999, 250_001, 500_000, 999_999] {
        is_restarted_by_the_watchdog(after_us);
    }
}

fn is_restarted_by_the_watchdog(after_us: u64) {
    let mut system = System::serving();
    system.infer(5, 5);
    system.admitted();
    // The generic timer is disarmed: only the watchdog wakes audit, at its own times.
    let began = system.runtime.now;
    system.watch(after_us);
    while system.runtime.restarts == 0 {
        system.watch(WATCHDOG_PERIOD_US);
        assert!(system.runtime.now < began + 2 * INFERENCE_DEADLINE_US);
    }
    let late = system.runtime.now - began - INFERENCE_DEADLINE_US;
    // One tick asks it to stop; the first after the grace period restarts it.
    assert!(late <= 2 * WATCHDOG_PERIOD_US, "{late}");
    let unresponsive = Fault {
        kind: FaultKind::Unresponsive,
        ip: 0,
        address: 0,
    };
    let failed = Told::Failed(5, Failure::of(ErrorCode::Unresponsive));
    assert_eq!(system.told()[..2], [Told::Fault(unresponsive, 1), failed]);
    let budget = system.budget();
    assert_eq!((budget.used, budget.reserved), (0, 0));
    system.join();
    system.loaded(system.own_load);
    assert_eq!(system.told(), [Told::Recovered(1)]);
    system.serves(6);
}

#[test]
fn an_inference_with_workers_is_lent_the_clock_as_long_as_it_has_work() {
    let mut system = System::serving();
    let signals_within = |system: &mut System, us: u64| {
        let before = system.runtime.to_inference;
        let until = system.runtime.now + us;
        while let Some(at) = system.runtime.timer.filter(|at| *at <= until) {
            system.runtime.now = at;
            system.audit.on_timer(&mut system.runtime);
        }
        system.runtime.now = until;
        system.runtime.to_inference - before
    };
    system.infer(5, 5);
    let number = system.admitted();
    assert_eq!(signals_within(&mut system, SECOND), 0, "it has no workers");
    system.runtime.has_workers = true;
    system.wake();
    let signals = signals_within(&mut system, 2 * SECOND);
    assert!((7..=8).contains(&signals), "{signals}");
    system.finished(number, FinishReason::EndOfText, 0);
    system.told_at_last();
    assert_eq!(
        signals_within(&mut system, 2 * SECOND),
        0,
        "it has nothing to do"
    );
}

#[test]
fn what_waits_behind_a_load_has_the_loads_time() {
    let mut system = System::serving();
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.told();
    system.join();
    // A question has 10 s, a load 30 s.
    system.runtime.now += SECOND;
    system.ask(5, &Request::Status);
    let [Asked::Status(number)] = system.asked()[..] else {
        panic!("a question")
    };
    system.watch(25 * SECOND);
    assert_eq!(system.runtime.restarts, 1);
    system.loaded(system.own_load);
    system.say(number, &Report::Holdings(holdings()));
    let told = system.told_at_last();
    assert!(matches!(told.last(), Some(Told::Status(5, _))), "{told:?}");
    // A load that does not end is noticed at its own deadline.
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.join();
    system.ask(6, &Request::Status);
    system.watch(LOAD_DEADLINE_US - SECOND);
    assert_eq!(system.runtime.restarts, 2);
    system.watch(2 * SECOND);
    assert_eq!(system.runtime.restarts, 3);
}

#[test]
fn a_question_or_a_load_that_is_never_answered_ends_in_a_restart() {
    let mut system = System::serving();
    system.ask(5, &Request::Status);
    system.watch(CONTROL_DEADLINE_US + WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 1);
    let told = system.told();
    let failed = Told::Failed(5, Failure::of(ErrorCode::Unresponsive));
    assert!(told.contains(&failed), "{told:?}");
    // The load that follows is not answered, either.
    system.watch(LOAD_DEADLINE_US + WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 2);
}

#[test]
fn an_inference_that_takes_no_commands_is_restarted() {
    const TAIL: usize = 3;
    let mut system = System::serving();
    let honest = system.inference_region.load(TAIL);
    let impossible = 1 << 32 | 5000;
    system.inference_region.publish(TAIL, impossible);
    system.watch(LOAD_DEADLINE_US - WATCHDOG_PERIOD_US);
    // Nothing can be asked of it, so no request's deadline would reveal the hang.
    system.ask(1, &Request::Status);
    let busy = Failure::over(ErrorCode::Busy, SLOTS as u64, SLOTS as u64);
    assert_eq!(system.told(), [Told::Failed(1, busy)]);
    assert_eq!(system.runtime.restarts, 0);
    // It reads once, so the time starts over.
    system.inference_region.publish(TAIL, honest);
    system.watch(WATCHDOG_PERIOD_US);
    system.inference_region.publish(TAIL, impossible);
    system.watch(LOAD_DEADLINE_US);
    assert_eq!(system.runtime.restarts, 0);
    system.watch(WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 1);
    let record = system.last_record(Kind::Fault);
    assert_eq!(record.code, FaultKind::Unresponsive as u16);
    system.told_at_last();
    system.join();
    system.loaded(system.own_load);
    assert_eq!(system.told(), [Told::Recovered(1)]);
    system.serves(2);
}

#[test]
fn an_inference_whose_ring_is_filled_again_each_time_it_takes_a_command_is_not_restarted() {
    let mut system = System::serving();
    let (mut frame, mut id) = (Frame::new(), 0);
    for _ in 0..2 * LOAD_DEADLINE_US / SECOND {
        // The shell always has one more question than there are places.
        while system.shell.free() > 0 {
            id += 1;
            Request::Status.write(id, &mut frame);
            system.shell.send(&frame).unwrap();
        }
        system.wake();
        system.told();
        if system.inference.receive(&mut frame).unwrap() {
            let number = frame.header().request;
            system.say(number, &Report::Holdings(holdings()));
        }
        system.watch(SECOND / 16);
        system.told();
    }
    let faults = system.records().into_iter();
    let faults = faults.filter(|record| record.kind() == Some(Kind::Fault));
    assert_eq!(faults.count(), system.runtime.restarts);
    assert_eq!(system.runtime.restarts, 0);
}

#[test]
fn a_console_that_stands_still_is_no_reason_to_restart_inference() {
    let mut system = System::serving();
    system.infer(5, 100);
    let number = system.admitted();
    let mut sent = 0;
    // The shell does not read: inference pauses when its credit is used up.
    while system.generate(number, &mut sent, b"x") {}
    assert!(sent < 100);
    while system.asked() != [Asked::Cancel(number)] {
        system.watch(WATCHDOG_PERIOD_US);
    }
    system.finished(number, FinishReason::Cancelled, sent);
    system.watch(10 * WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 0);
    // It reads again: all of the text is there, and the end.
    let told = system.told_at_last();
    let text = |told: &Told| match told {
        Told::Text(5, text) => text.len(),
        _ => 0,
    };
    assert_eq!(told.iter().map(text).sum::<usize>(), sent as usize);
    assert!(
        matches!(told.last(), Some(Told::Failed(5, f)) if f.code == ErrorCode::Deadline),
        "{told:?}"
    );
    system.serves(6);
}

#[test]
fn an_inference_that_does_not_stop_is_restarted_also_while_the_console_stands_still() {
    let mut system = System::serving();
    system.infer(5, 100);
    let number = system.admitted();
    let mut sent = 0;
    while system.generate(number, &mut sent, b"x") {}
    let began = system.runtime.now;
    while system.runtime.restarts == 0 {
        system.watch(WATCHDOG_PERIOD_US);
        assert!(system.runtime.now < began + 2 * INFERENCE_DEADLINE_US);
    }
    // Nothing was lost for the shell.
    let told = system.told_at_last();
    let failed = Told::Failed(5, Failure::of(ErrorCode::Unresponsive));
    assert_eq!(told.last(), Some(&failed), "{told:?}");
}

#[test]
fn a_stop_that_found_no_room_is_sent_when_there_is_and_its_grace_begins_then() {
    const TAIL: usize = 3;
    let mut system = System::timeless();
    system.infer(1, 5);
    let number = system.admitted();
    system.watch(INFERENCE_DEADLINE_US - WATCHDOG_PERIOD_US);
    let honest = system.inference_region.load(TAIL);
    system.inference_region.publish(TAIL, 1 << 32 | 5000);
    system.watch(WATCHDOG_PERIOD_US);
    assert_eq!(system.last_record(Kind::Timeout).request, number);
    assert_eq!((system.asked().len(), system.runtime.restarts), (0, 0));
    // Longer than the grace period, but not long enough for a restart for not reading the command ring.
    system.watch(2 * WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 0);
    system.inference_region.publish(TAIL, honest);
    system.wake();
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    assert_eq!(
        system.runtime.timer,
        Some(system.runtime.now + STOP_GRACE_US)
    );
    system.runtime.now += STOP_GRACE_US;
    system.wake();
    assert_eq!(system.runtime.restarts, 1);
}

#[test]
fn a_question_that_is_not_answered_ends_in_a_restart_also_while_the_console_stands_still() {
    let mut system = System::serving();
    system.infer(5, 100);
    let number = system.admitted();
    system.ask(6, &Request::Status);
    assert_eq!(system.asked().len(), 1);
    let mut sent = 0;
    while system.generate(number, &mut sent, b"x") {}
    system.watch(CONTROL_DEADLINE_US - WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 0);
    system.watch(2 * WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 1);
}
