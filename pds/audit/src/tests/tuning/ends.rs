//! Trainings that end early, and adapters that are dropped.

use super::system::{file, progress, stopped, trained, tune};
use super::*;

#[test]
fn a_cancel_keeps_nothing_and_costs_what_was_used() {
    let mut system = System::with_adapters();
    let before = system.budget().used;
    let number = system.tunes(5, "a").number;
    system.at(number, progress(0, 0));
    system.at(number, progress(2, 11));
    system.told();
    system.ask(5, &Request::Cancel);
    system.ask(5, &Request::Cancel);
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    // A report may be on its way.
    system.at(number, progress(2, 12));
    system.say(number, &stopped(13));
    let cancelled = Failure::of(ErrorCode::Cancelled);
    assert_eq!(system.end_of(), [Told::Failed(5, cancelled)]);
    assert_eq!(system.budget().used, before + 13);
    assert_eq!(system.adapters_known().len(), 4);
    let record = system.last_record(Kind::Tuned);
    assert_eq!(
        (record.code, record.adapter_sha256, record.value),
        (4, [0; 32], 0)
    );
    assert_eq!((record.prompt_tokens, record.generated_tokens), (13, 2));
    assert_eq!(system.last_record(Kind::Cancel).name, model("a"));
    // One that ends at that very moment is not kept, either.
    let number = system.tunes(6, "a").number;
    system.at(number, progress(0, 0));
    system.sends(number, &file());
    system.ask(6, &Request::Cancel);
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    system.say(number, &Report::Trained(trained(60, file().len())));
    assert_eq!(system.end_of(), [Told::Failed(6, cancelled)]);
    assert_eq!(system.adapters_known().len(), 4);
    assert_eq!(system.runtime.restarts, 0);
    system.tunes_to_the_end(7, "a", &file());
}

#[test]
fn a_training_has_its_own_deadline_and_is_stopped_then() {
    let mut system = System::with_adapters();
    let used = system.budget().used;
    let number = system.tunes(5, "a").number;
    system.at(number, progress(0, 0));
    system.watch(TRAIN_DEADLINE_US - 2 * SECOND);
    assert_eq!(system.asked(), []);
    system.runtime.now += 3 * SECOND;
    system.wake();
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    system.say(number, &stopped(5));
    let told = system.end_of();
    assert!(
        matches!(&told[..], [Told::Failed(5, failure)]
            if failure.code == ErrorCode::Deadline && failure.limit == TRAIN_DEADLINE_US),
        "{told:?}"
    );
    assert_eq!(system.last_record(Kind::Timeout).limit, TRAIN_DEADLINE_US);
    assert_eq!(system.budget().used - used, 5);
    // An inference server that does not obey is restarted, and nothing is charged.
    let number = system.tunes(6, "a").number;
    system.at(number, progress(0, 0));
    system.runtime.now += TRAIN_DEADLINE_US;
    system.wake();
    assert_eq!(system.asked(), [Asked::Cancel(number)]);
    system.watch(WATCHDOG_PERIOD_US);
    assert_eq!(system.runtime.restarts, 1);
    let unresponsive = Failure::of(ErrorCode::Unresponsive);
    assert!(system.end_of().contains(&Told::Failed(6, unresponsive)));
    assert_eq!(system.budget().used - used, 5);
}

#[test]
fn a_restart_in_the_middle_ends_it_with_a_refund_and_leaves_the_rest_as_it_was() {
    let mut system = System::with_adapters();
    let first = system.tunes_to_the_end(5, "first", &file());
    let used = system.budget().used;
    let number = system.tunes(6, "second").number;
    system.at(number, progress(0, 0));
    system.sends(number, &file());
    system.audit.on_fault(FAULT, &mut system.runtime);
    let failed = Told::Failed(6, Failure::of(ErrorCode::InferenceFault));
    assert!(system.end_of().contains(&failed));
    let record = system.last_record(Kind::Fail);
    assert_eq!(
        (record.name, record.train),
        (model("second"), TrainParams::default())
    );
    let budget = system.budget();
    assert_eq!((budget.used, budget.reserved), (used, 0));
    system.join();
    system.loaded(system.own_load);
    let [
        Asked::Adapter {
            number, place: 0, ..
        },
    ] = system.asked()[..]
    else {
        panic!("the first comes back")
    };
    system.say(number, &Report::AdapterLoaded(adapter_loaded()));
    system.told();
    let known = system.adapters_known();
    assert_eq!(known.len(), 5);
    assert_eq!(known[0], (model("first"), AdapterOrigin::Device, true));
    let (exported, end) = system.exports(7, "first");
    assert!(exported == file() && end.sha256 == first.sha256);
    system.tunes_to_the_end(8, "second", &file());
}

#[test]
fn what_is_made_survives_an_inference_that_dies_before_it_has_loaded_it() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    system.makes(number, &file());
    system.audit.on_fault(FAULT, &mut system.runtime);
    let told = system.end_of();
    let tuned = told.iter().find_map(|told| match told {
        Told::Tuned(5, tuned) => Some(*tuned),
        _ => None,
    });
    assert_eq!(tuned.unwrap().not_loaded, Some(ErrorCode::InferenceFault));
    system.join();
    system.loaded(system.own_load);
    system.told();
    assert_eq!(
        system.adapters_known()[0],
        (model("a"), AdapterOrigin::Device, false)
    );
    assert_eq!(system.loads_adapter(6, "a"), 0);
}

#[test]
fn what_does_not_fit_beside_the_model_is_kept_and_its_user_is_told_why_it_is_not_loaded() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    system.makes(number, &file());
    system.fails(number, Failure::over(ErrorCode::AdapterTooLarge, 9, 8));
    let told = system.end_of();
    assert!(
        matches!(&told[..], [Told::Tuned(5, tuned)]
            if tuned.not_loaded == Some(ErrorCode::AdapterTooLarge)),
        "{told:?}"
    );
    assert_eq!(
        system.adapters_known()[0],
        (model("a"), AdapterOrigin::Device, false)
    );
    // It does not fit another model.
    system.ask(
        6,
        &Request::Load {
            name: model("other"),
        },
    );
    system.told_at_last();
    let [Asked::Load(load, ..)] = system.asked()[..] else {
        panic!("a load")
    };
    system.loaded(load);
    system.told();
    let other = Failure::of(ErrorCode::OtherBase);
    system.is_refused(&Request::LoadAdapter { name: model("a") }, other);
}

#[test]
fn examples_that_were_typed_are_data_and_stay_while_they_are_used() {
    let mut system = System::with_adapters();
    let (one, two) = (&b"{\"text\":\"one\"}"[..], &b"{\"text\":\"two\"}"[..]);
    for (id, text, said) in [(5, one, (1, 15)), (6, two, (2, 30))] {
        system.ask(id, &Request::Example { text });
        assert_eq!(system.told(), [Told::Examples(id, said.0, said.1)]);
    }
    let record = system.last_record(Kind::Example);
    assert_eq!(record.prompt_sha256, Hash::from(Sha256::digest(two)));
    assert_eq!((record.prompt_bytes, record.value), (14, 30));
    let log = system.audit.log().iter();
    let texts: Vec<_> = log
        .filter(|entry| entry.record.kind() == Some(Kind::Example))
        .map(|entry| entry.text.to_vec())
        .collect();
    assert_eq!(texts, [one, two], "they can be trained on again");
    let wrong = Failure::over(ErrorCode::BadExample, 2, 0);
    system.is_refused(&Request::Example { text: b"{}\n" }, wrong);
    system.ask(7, &tune("examples", ""));
    let train = system.trains();
    assert_eq!(
        (train.source, train.offset, train.bytes),
        (Source::Device, 0, 30)
    );
    let record = system.last_record(Kind::Tune);
    let data = [one, b"\n", two, b"\n"].concat();
    assert_eq!(record.prompt_sha256, Hash::from(Sha256::digest(&data)));
    assert_eq!((record.code, record.value), (2, 3 * (30 + 3 * 3)));
    assert_eq!(record.name, model("examples"));
    system.ask(8, &Request::DropExamples);
    let training = Failure::of(ErrorCode::Training);
    assert_eq!(system.told(), [Told::Failed(8, training)]);
    system.fails(train.number, Failure::over(ErrorCode::BadData, 2, 0));
    let bad = Failure::over(ErrorCode::BadData, 2, 0);
    assert_eq!(system.told(), [Told::Failed(7, bad)]);
    system.ask(9, &Request::DropExamples);
    assert_eq!(system.told(), [Told::Examples(9, 0, 0)]);
}

#[test]
fn an_adapter_that_is_dropped_is_forgotten_and_so_is_an_export_of_it() {
    let mut policy: Policy = policy();
    policy.egress_bytes_per_second = 500;
    policy.egress_burst_bytes = 1024;
    let mut system = System::with_adapters_and(&policy);
    system.runtime.now += 60 * SECOND;
    system.tunes_to_the_end(5, "a", &file());
    system.runtime.now += 60 * SECOND;
    system.wake();
    // As much as the cap lets pass at once, then more as time passes.
    system.ask(6, &Request::ExportAdapter { name: model("a") });
    let told = system.told();
    assert!(
        matches!(&told[..], [Told::Part(6, 0, bytes)] if bytes.len() == 1016),
        "{told:?}"
    );
    let began = system.runtime.now;
    system.runtime.now = system.runtime.timer.unwrap();
    system.wake();
    assert!(matches!(system.told()[..], [Told::Part(6, 1016, _)]));
    assert!(system.runtime.now - began >= 2 * SECOND);
    system.ask(7, &Request::DropAdapter { name: model("a") });
    assert_eq!(system.asked(), [Asked::DropAdapter(0)]);
    let none = Failure::of(ErrorCode::NoSuchAdapter);
    assert_eq!(system.told(), [Told::Done(7), Told::Failed(6, none)]);
    let record = system.last_record(Kind::DropAdapter);
    assert_eq!((record.name, record.code), (model("a"), 2));
    assert_eq!(system.adapters_known().len(), 4);
    system.runtime.now += 60 * SECOND;
    system.wake();
    system.tunes_to_the_end(8, "a", &file());
    system.ask(9, &Request::ExportAdapter { name: model("a") });
    system.ask(9, &Request::Cancel);
    assert_eq!(system.told_at_last().last(), Some(&Told::Done(9)));
}

#[test]
fn a_client_that_does_not_read_gets_the_newest_progress_alone() {
    let mut system = System::with_adapters();
    let number = system.tunes(5, "a").number;
    let mut fill = 0;
    while system.shell_has_room() {
        fill += 1;
        system.ask(100 + fill, &Request::WhoAmI);
    }
    for step in 0..=9 {
        system.at(number, progress(step, u64::from(step)));
    }
    let told = system.told_at_last();
    let progress: Vec<_> = told
        .iter()
        .filter_map(|told| match told {
            Told::Training(5, training) => Some(training.progress.step),
            _ => None,
        })
        .collect();
    assert_eq!(progress, [9]);
}
