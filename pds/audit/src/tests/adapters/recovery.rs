//! Adapters after a restart of inference.

use super::*;

#[test]
fn after_a_restart_adapters_come_back_before_the_system_serves_and_one_that_fails_is_left_out() {
    let mut system = System::with_adapters();
    system.loads_adapter(5, "moral");
    system.loads_adapter(6, "ours");
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.join();
    system.told();
    assert!(system.adapters_known().iter().all(|(_, _, loaded)| !loaded));
    // Requests without an adapter wait in the ring as always; those with one would overtake it.
    let in_use = Failure::of(ErrorCode::ModelInUse);
    system.is_refused(&infer_with("", "moral"), in_use);
    system.is_refused(
        &Request::DropAdapter {
            name: model("moral"),
        },
        in_use,
    );
    system.loaded(system.own_load);
    assert_eq!(system.told(), [], "it does not serve yet");
    let [
        Asked::Adapter {
            number, place: 0, ..
        },
    ] = system.asked()[..]
    else {
        panic!("an adapter")
    };
    system.fails(number, Failure::of(ErrorCode::AdapterTooLarge));
    assert_eq!(system.told(), []);
    let record = system.last_record(Kind::Fail);
    assert_eq!((record.name, record.code), (model("moral"), 78));
    let [
        Asked::Adapter {
            number, place: 1, ..
        },
    ] = system.asked()[..]
    else {
        panic!("an adapter")
    };
    system.say(number, &Report::AdapterLoaded(adapter_loaded()));
    assert_eq!(system.told(), [Told::Recovered(1)]);
    assert_eq!(system.last_record(Kind::Adapter).name, model("ours"));
    let loaded: Vec<_> = system
        .adapters_known()
        .into_iter()
        .filter_map(|(name, _, loaded)| loaded.then_some(name))
        .collect();
    assert_eq!(loaded, [model("ours")]);
    system.ask(9, &infer_with("", "ours"));
    system.admitted();
    assert_eq!(system.used, 2);
}

#[test]
fn an_inference_that_does_not_bring_adapters_back_in_time_is_restarted() {
    let mut system = System::with_adapters();
    system.loads_adapter(5, "moral");
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.join();
    system.loaded(system.own_load);
    assert!(matches!(system.asked()[..], [Asked::Adapter { .. }]));
    system.watch(LOAD_DEADLINE_US + WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 2);
    // What the previous training reported must not count for the next.
    system.join();
    system.loaded(system.own_load);
    let asked = system.asked();
    assert!(matches!(asked[..], [Asked::Adapter { .. }]), "{asked:?}");
}

#[test]
fn what_nobody_has_asked_for_is_a_breach() {
    let mut system = System::with_adapters();
    system.infer(5, 5);
    let number = system.admitted();
    system.say(number, &Report::AdapterLoaded(adapter_loaded()));
    assert_eq!(system.runtime.restarts, 1);
}
