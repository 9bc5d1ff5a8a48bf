//! Models: which are loaded, and which are not.

use super::harness::*;
use crate::work::{GAP_US, PAUSE_US, WORK_BYTES};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::CLIENT_COMMANDS;
use protocol::name::UserName;
use protocol::record::Kind;
use protocol::wire::FinishReason;
use protocol::wire::client::{LogQuery, Request, Signature, Stage};
use sha2::{Digest, Sha256};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;
use zerocopy::IntoBytes as _;

#[test]
fn the_system_is_ready_when_the_first_load_has_ended_well_or_not() {
    let mut system = System::boot(&policy());
    assert!(matches!(system.told()[..], [Told::Progress(0, _)]));
    system.fails(system.own_load, Failure::of(ErrorCode::ModelTooLarge));
    let failed = Told::Failed(0, Failure::of(ErrorCode::ModelTooLarge));
    assert_eq!(system.told(), [failed, Told::Ready("guest".into())]);
    system.infer(1, 5);
    let none = Failure::of(ErrorCode::NoModel);
    assert_eq!(system.told(), [Told::Failed(1, none)]);

    let mut system = System::new(policy().as_bytes(), vec![]);
    let failed = Told::Failed(0, Failure::over(ErrorCode::BadStore, 0, 0));
    assert_eq!(system.told(), [failed, Told::Ready("guest".into())]);
    assert!(system.inference.follow());
    assert_eq!(system.asked(), []);
}

#[test]
fn a_model_is_verified_in_slices_before_inference_is_told() {
    let mut system = System::of_admin();
    system.ask(
        5,
        &Request::Load {
            name: model("tiny"),
        },
    );
    assert_eq!(system.asked(), [], "it is being verified");
    // A second load has to wait.
    system.ask(
        6,
        &Request::Load {
            name: model("tiny"),
        },
    );
    let told = system.told_at_last();
    assert!(told.contains(&Told::Failed(6, Failure::of(ErrorCode::ModelInUse))));
    let stages: Vec<_> = told
        .iter()
        .filter_map(|t| match t {
            Told::Progress(5, p) => Some((p.stage, p.done)),
            _ => None,
        })
        .collect();
    // A slice, less the cost of handling the request.
    let (stage, done) = stages[0];
    assert_eq!(stage, Stage::Verifying);
    assert!((WORK_BYTES as u64 * 3 / 4..=WORK_BYTES as u64).contains(&done));
    assert_eq!(stages.last(), Some(&(Stage::Loading, 0)));
    let [Asked::Load(number, _, bytes)] = system.asked()[..] else {
        panic!("a load")
    };
    assert_eq!(bytes, 3 * WORK_BYTES as u64 + 5);
    // Sessions would end with the load.
    system.infer(7, 5);
    let in_use = Failure::of(ErrorCode::ModelInUse);
    assert_eq!(system.told(), [Told::Failed(7, in_use)]);
    system.loaded(number);
    let sha256: [u8; 32] = Sha256::digest(vec![7; bytes as usize]).into();
    let told = system.told();
    assert!(
        matches!(&told[..], [Told::Loaded(5, info)] if info.sha256 == sha256),
        "{told:?}"
    );
    let record = system.last_record(Kind::Load);
    assert_eq!((record.name, record.model_sha256), (model("tiny"), sha256));
    assert_eq!(record.user.as_str(), "admin");
    system.serves(8);
    assert_eq!(system.last_record(Kind::Finish).model_sha256, sha256);

    system.ask(9, &Request::Models);
    let told = system.told_at_last();
    let known: Vec<_> = told
        .iter()
        .filter_map(|t| match t {
            Told::Model(9, m) => Some((m.name, m.loaded, m.signature)),
            _ => None,
        })
        .collect();
    assert_eq!(
        known,
        [
            (model("default"), false, Signature::Good),
            (model("tiny"), true, Signature::Good),
            (model("unsigned"), false, Signature::Missing),
            (model("foreign"), false, Signature::Unchecked),
        ]
    );
}

#[test]
fn unsigned_wrongly_signed_and_missing_models_are_refused_and_written_down() {
    let mut system = System::of_admin();
    for (name, code) in [
        ("unsigned", ErrorCode::Unsigned),
        ("foreign", ErrorCode::BadSignature),
        ("nothing", ErrorCode::NoSuchModel),
    ] {
        system.is_refused(&Request::Load { name: model(name) }, Failure::of(code));
        assert_eq!(system.last_record(Kind::Refuse).name, model(name));
    }
    system.serves(8);
}

#[test]
fn a_model_that_inference_refuses_leaves_the_loaded_one_and_its_sessions() {
    let mut system = System::of_admin();
    system.ask(
        5,
        &Request::Load {
            name: model("tiny"),
        },
    );
    system.told_at_last();
    let [Asked::Load(number, ..)] = system.asked()[..] else {
        panic!("a load")
    };
    system.fails(number, Failure::over(ErrorCode::ModelTooLarge, 9, 8));
    let failed = Told::Failed(5, Failure::over(ErrorCode::ModelTooLarge, 9, 8));
    assert_eq!(system.told(), [failed]);
    assert_eq!(system.last_record(Kind::Fail).name, model("tiny"));
    system.serves(6);
    assert_eq!(system.stats().refused, 0);
}

#[test]
fn a_store_whose_default_model_is_not_signed_serves_none() {
    let store = crate::models::tests::signed();
    let at = store.windows(4).position(|w| w == b"GGUF").unwrap();
    let mut altered = store;
    altered[at] ^= 1;
    let mut system = System::new(policy().as_bytes(), altered);
    let failed = Told::Failed(0, Failure::of(ErrorCode::BadSignature));
    assert_eq!(system.told_at_last(), [failed, Told::Ready("guest".into())]);
    let record = system.last_record(Kind::Refuse);
    assert_eq!(
        (record.code, record.name),
        (ErrorCode::BadSignature as u16, model("default"))
    );
    assert!(system.inference.follow());
    assert_eq!(system.asked(), []);
}

#[test]
fn another_model_ends_the_sessions() {
    let mut system = System::of_admin();
    system.infer_in(1, "tale", 5);
    let number = system.admitted();
    system.finished(number, protocol::wire::FinishReason::EndOfText, 0);
    system.told();
    system.ask(
        5,
        &Request::Load {
            name: model("tiny"),
        },
    );
    system.told_at_last();
    let [Asked::Load(number, ..)] = system.asked()[..] else {
        panic!("a load")
    };
    system.loaded(number);
    system.told();
    system.infer_in(6, "tale", 5);
    let lost = Failure::over(ErrorCode::SessionLost, 1, 0);
    assert_eq!(system.told(), [Told::Failed(6, lost)]);
}

#[test]
fn a_verified_model_that_finds_no_room_in_the_ring_is_refused_and_can_be_loaded_later() {
    let mut system = System::of_admin();
    let load = Request::Load {
        name: model("tiny"),
    };
    // Inference does not look at its ring.
    for id in 10..10 + CLIENT_COMMANDS as u32 {
        system.ask(id, &Request::Status);
    }
    system.ask(5, &load);
    let slots = CLIENT_COMMANDS as u64;
    let busy = Failure::over(ErrorCode::Busy, slots, slots);
    assert!(system.told_at_last().contains(&Told::Failed(5, busy)));
    let record = system.last_record(Kind::Refuse);
    assert_eq!((record.name, record.value), (model("tiny"), slots));
    assert_eq!(system.asked().len(), CLIENT_COMMANDS);
    system.ask(6, &load);
    system.told_at_last();
    assert!(matches!(system.asked()[..], [Asked::Load(..)]));
}

#[test]
fn a_load_is_written_down_under_who_asked_for_it() {
    let mut system = System::of_admin();
    system.ask(
        5,
        &Request::Load {
            name: model("tiny"),
        },
    );
    system.ask(6, &Request::Logout);
    system.told_at_last();
    let [Asked::Load(number, ..)] = system.asked()[..] else {
        panic!("a load")
    };
    system.loaded(number);
    assert_eq!(system.last_record(Kind::Load).user.as_str(), "admin");
}

fn load(name: &str) -> Request<'static> {
    Request::Load { name: model(name) }
}

#[test]
fn a_load_is_refused_before_anything_is_hashed_while_text_is_generated() {
    let mut system = System::of_admin();
    system.infer_in(1, "tale", 5);
    let number = system.admitted();
    let in_use = Failure::of(ErrorCode::ModelInUse);
    system.ask(5, &load("tiny"));
    assert_eq!(system.told(), [Told::Failed(5, in_use)]);
    // Nothing happens unprompted.
    assert!(system.runtime.timer > Some(system.runtime.now + SECOND));
    system.finished(number, FinishReason::EndOfText, 0);
    system.told();
    // A request that arrives while the file is verified goes first.
    system.ask(6, &load("tiny"));
    system.infer_in(7, "tale", 5);
    let told = system.told_at_last();
    assert!(told.contains(&Told::Failed(6, in_use)), "{told:?}");
    let number = system.admitted();
    system.finished(number, FinishReason::EndOfText, 0);
    assert!(matches!(system.told()[..], [Told::Finished(7, _)]));
}

#[test]
fn no_text_is_admitted_while_inference_loads_a_users_model_and_it_is_loaded_once() {
    let mut system = System::of_admin();
    system.ask(5, &load("tiny"));
    system.told_at_last();
    let [Asked::Load(number, ..)] = system.asked()[..] else {
        panic!("a load")
    };
    // The sessions would belong to another model.
    system.infer_in(1, "tale", 5);
    let in_use = Failure::of(ErrorCode::ModelInUse);
    assert_eq!(system.told(), [Told::Failed(1, in_use)]);
    system.loaded(number);
    assert!(matches!(system.told()[..], [Told::Loaded(5, _)]));
    system.loaded(number);
    assert_eq!((system.stats().violations, system.runtime.restarts), (1, 0));
}

#[test]
fn a_load_that_is_being_verified_ends_at_once_when_it_is_cancelled() {
    let mut system = System::of_admin();
    system.ask(5, &load("tiny"));
    system.told();
    system.ask(5, &Request::Cancel);
    let cancelled = Failure::of(ErrorCode::Cancelled);
    assert_eq!(system.told().last(), Some(&Told::Failed(5, cancelled)));
    let record = system.last_record(Kind::Cancel);
    assert_eq!(
        (record.name, record.user),
        (model("tiny"), UserName::new("admin").unwrap())
    );
    assert_eq!(system.told_at_last(), []);
    assert_eq!(system.asked(), []);
    // Its number is free, and another load may begin.
    system.ask(5, &load("tiny"));
    system.told_at_last();
    assert!(matches!(system.asked()[..], [Asked::Load(..)]));
}

#[test]
fn the_refusal_of_a_load_waits_for_room_in_the_shells_ring() {
    let mut system = System::of_admin();
    system.ask(5, &load("foreign"));
    // The shell does not read, so audit's events fill its ring.
    system.ask(
        6,
        &Request::Log(LogQuery {
            follow: true,
            ..LogQuery::default()
        }),
    );
    for id in 7..40 {
        system.audit.on_fault(FAULT, &mut system.runtime);
        let _ = system.inference.follow();
        system.runtime.now += SECOND;
        system.ask_if_there_is_room(id, &Request::WhoAmI);
    }
    let told = system.told_at_last();
    let refused = told.iter().filter(|t| matches!(t, Told::Failed(5, _)));
    assert_eq!(refused.count(), 1, "{told:?}");
    assert!(
        told.iter().any(|t| matches!(t, Told::Fault(..))),
        "{told:?}"
    );
    // Including that it stopped trying, which no request asks for.
    assert!(
        told.iter()
            .any(|t| matches!(t, Told::Failed(0, f) if f.code == ErrorCode::RestartsExhausted)),
        "{told:?}"
    );
}

#[test]
fn a_wake_up_that_verifies_ends_before_the_next_is_asked_for() {
    let mut system = System::of_admin();
    // A slice takes 1.5 ms.
    system.runtime.takes_us = 1_500;
    system.ask(5, &load("tiny"));
    let mut wake_ups = 0;
    while system.asked().is_empty() {
        let (now, at) = (system.runtime.now, system.runtime.timer.unwrap());
        assert!(
            now < at + system.runtime.takes_us,
            "armed at {at}, it was {now}"
        );
        assert!(
            at + system.runtime.takes_us >= now + PAUSE_US,
            "others get to run"
        );
        system.runtime.now = at;
        system.audit.on_timer(&mut system.runtime);
        wake_ups += 1;
    }
    assert!(wake_ups >= 3);
}

#[test]
fn others_get_to_run_as_long_as_a_slice_took_but_no_longer_than_a_millisecond() {
    for (takes_us, pause_us) in [(50, GAP_US), (400, 400), (5_000, PAUSE_US)] {
        let mut system = System::of_admin();
        system.ask(5, &load("tiny"));
        assert!(system.asked().is_empty(), "it takes more than one wake-up");
        system.runtime.takes_us = takes_us;
        system.runtime.now = system.runtime.timer.unwrap();
        system.audit.on_timer(&mut system.runtime);
        assert!(system.asked().is_empty(), "nor are two enough");
        // The clock has advanced once more since audit armed the timer.
        let armed = system.runtime.now - takes_us;
        let at = system.runtime.timer.unwrap();
        assert_eq!(at - armed, pause_us, "after {takes_us} us");
    }
}

#[test]
fn after_a_fault_no_request_overtakes_the_load_of_a_model_whose_verdict_is_forgotten() {
    let names: Vec<String> = (0..17).map(|n| format!("m{n}")).collect();
    let names: Vec<&str> = core::iter::once("default")
        .chain(names.iter().map(String::as_str))
        .collect();
    let mut system = System::new(policy().as_bytes(), crate::models::tests::signed_as(&names));
    system.join();
    system.loaded(system.own_load);
    system.told();
    system.log_in("admin", "secret");
    // More verdicts than are kept: none of these models is loaded.
    for name in &names[1..] {
        system.ask(5, &load(name));
        system.told_at_last();
        let [Asked::Load(number, ..)] = system.asked()[..] else {
            panic!("a load")
        };
        system.fails(number, Failure::of(ErrorCode::ModelTooLarge));
        system.told();
    }
    system.audit.on_fault(FAULT, &mut system.runtime);
    system.infer(6, 5);
    assert!(system.inference.follow());
    let asked = system.asked();
    assert!(
        matches!(asked[..], [Asked::Load(..), Asked::Infer { .. }]),
        "{asked:?}"
    );
}
