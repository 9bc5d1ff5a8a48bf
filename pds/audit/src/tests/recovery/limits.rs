//! Limits of restarts, and restarts that the kernel refuses.

use super::*;

#[test]
fn audit_stops_trying_after_too_many_restarts_until_an_admin_resets_it() {
    let mut system = System::serving();
    for restart in 1..=5 {
        system.audit.on_fault(FAULT, &mut system.runtime);
        system.told_at_last();
        assert_eq!(system.runtime.restarts, restart);
        system.join();
        system.loaded(system.own_load);
        system.told_at_last();
        system.serves(100 + restart as u32);
    }
    system.infer(6, 5);
    system.audit.on_fault(FAULT, &mut system.runtime);
    assert_eq!((system.runtime.restarts, system.runtime.stops), (5, 1));
    let exhausted = Failure::over(ErrorCode::RestartsExhausted, 5, 60 * SECOND);
    let told = system.told_at_last();
    assert!(told.contains(&Told::Failed(0, exhausted)), "{told:?}");
    assert!(told.contains(&Told::Failed(6, Failure::of(ErrorCode::InferenceFault))));
    assert_eq!(system.stats().stopped, 1);
    assert_eq!(system.last_record(Kind::Stop).value, 5);
    system.ask(7, &Request::Status);
    assert_eq!(system.told(), [Told::Failed(7, exhausted)]);
    system.infer(8, 1);
    assert_eq!(system.told(), [Told::Failed(8, exhausted)]);
    // Neither time nor a fault message, which may be forged, helps.
    system.watch(600 * SECOND);
    system.audit.on_fault(FAULT, &mut system.runtime);
    assert_eq!(system.runtime.restarts, 5);
    system.told_at_last();
    system.log_in("admin", "secret");
    // What the old run had not read.
    system.asked();
    let load = Request::Load {
        name: model("tiny"),
    };
    system.is_refused(&load, exhausted);
    system.ask(9, &Request::Reset);
    let told = system.told_at_last();
    assert_eq!(told[0], Told::Done(9));
    assert_eq!(system.runtime.restarts, 6);
    assert_eq!(system.last_record(Kind::Reset).user.as_str(), "admin");
    system.join();
    system.loaded(system.own_load);
    let told = system.told_at_last();
    assert!(told.contains(&Told::Recovered(6)), "{told:?}");
    system.serves(10);
    // In service, a reset only clears the count.
    system.ask(11, &Request::Reset);
    assert_eq!(
        (system.told(), system.runtime.restarts),
        (std::vec![Told::Done(11)], 6)
    );
}

#[test]
fn a_restart_that_the_kernel_refuses_is_told_recorded_and_leaves_inference_unheard() {
    for (error, value) in [(ControlError::NotStopped, 1), (ControlError::NotStarted, 2)] {
        let mut system = System::serving();
        system.infer(6, 5);
        system.runtime.refuses = Some(error);
        system.audit.on_fault(FAULT, &mut system.runtime);
        let refused = Failure::over(ErrorCode::ControlRefused, value, 0);
        let told = system.told_at_last();
        assert!(told.contains(&Told::Failed(0, refused)), "{told:?}");
        assert!(told.contains(&Told::Failed(6, Failure::of(ErrorCode::InferenceFault))));
        let record = system.last_record(Kind::Stop);
        assert_eq!(
            (record.code, record.value),
            (ErrorCode::ControlRefused as u16, value)
        );
        assert_eq!(system.stats().stopped, 1);
        // If it keeps running all the same, nobody hears it, and nothing more is asked of it.
        system.asked();
        system.watch(600 * SECOND);
        system.infer(8, 1);
        assert_eq!(system.told_at_last(), [Told::Failed(8, refused)]);
        assert_eq!(system.asked(), []);
        assert_eq!((system.runtime.restarts, system.runtime.stops), (1, 0));
        // Until an admin asks to try again, and the kernel complies.
        system.log_in("admin", "secret");
        system.runtime.refuses = None;
        system.ask(9, &Request::Reset);
        assert_eq!(system.told_at_last()[0], Told::Done(9));
        system.join();
        system.loaded(system.own_load);
        system.told_at_last();
        system.serves(10);
    }
}

#[test]
fn a_stop_that_the_kernel_refuses_is_told_and_recorded() {
    let mut system = System::serving();
    for _ in 0..5 {
        system.audit.on_fault(FAULT, &mut system.runtime);
        system.told_at_last();
    }
    system.runtime.refuses = Some(ControlError::NotStopped);
    system.audit.on_fault(FAULT, &mut system.runtime);
    assert_eq!((system.runtime.restarts, system.runtime.stops), (5, 1));
    let refused = Failure::over(ErrorCode::ControlRefused, 1, 0);
    let told = system.told_at_last();
    assert!(told.contains(&Told::Failed(0, refused)), "{told:?}");
    let record = system.last_record(Kind::Stop);
    assert_eq!(record.code, ErrorCode::ControlRefused as u16);
}

#[test]
fn restarts_that_are_far_apart_are_no_reason_to_stop() {
    let mut system = System::serving();
    for restart in 1..=20 {
        system.audit.on_fault(FAULT, &mut system.runtime);
        system.told_at_last();
        assert_eq!(system.runtime.restarts, restart);
        system.join();
        system.loaded(system.own_load);
        system.told_at_last();
        system.runtime.now += 13 * SECOND;
    }
    assert_eq!(system.runtime.stops, 0);
}

#[test]
fn a_model_that_kills_inference_at_boot_ends_in_a_shell_that_says_so() {
    let mut system = System::boot(&policy());
    for _ in 0..6 {
        system.audit.on_fault(FAULT, &mut system.runtime);
    }
    assert_eq!((system.runtime.restarts, system.runtime.stops), (5, 1));
    let told = system.told_at_last();
    assert!(told.contains(&Told::Ready("guest".into())), "{told:?}");
}
