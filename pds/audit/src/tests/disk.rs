//! Models on a disk: how they are listed and loaded, and that inference can read nothing unverified.

mod adapters;
mod dice;
mod saving;
mod world;

use super::harness::*;

use crate::JournalMemory;
use crate::files::{ANSWER_US, Files};
use crate::models::tests::{sign, signed};
use crate::work::{PAUSE_US, WORK_BYTES};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_TRANSFER_BYTES;

use protocol::policy::{LogFailure, Policy};
use protocol::region::ReadWords as _;
use protocol::ring::Frame;
use protocol::testing::{TestEndpoint, TestRegion, endpoints};
use protocol::wire::client::{Request, Signature};
use protocol::wire::files::{Answer, Ask, FilesError, Volume};
use std::boxed::Box;
use std::collections::BTreeMap;
use std::format;
use std::string::{String, ToString as _};
use std::vec;
use std::vec::Vec;
use world::{Misdeed, World};
use zerocopy::IntoBytes as _;

#[test]
fn the_models_of_the_disk_are_listed_behind_those_of_the_store() {
    let mut world = World::new();
    world.put(&format!("{}.gguf", "x".repeat(60)), b"GGUF", None);
    world.put("with blank.gguf", b"GGUF", None);
    world.system.ask(5, &Request::Models);
    let told = world.settle();
    let listed: Vec<_> = told
        .iter()
        .filter_map(|told| match told {
            Told::Model(5, entry) => Some((entry.name.as_str().to_string(), entry.signature)),
            _ => None,
        })
        .collect();
    let on_disk: Vec<_> = listed
        .iter()
        .filter(|(name, _)| name.starts_with("disk/"))
        .map(|(name, signature)| (name.as_str(), *signature))
        .collect();
    assert_eq!(listed.len() - on_disk.len(), 4);
    assert_eq!(
        on_disk,
        [
            ("disk/foreign", Signature::Unchecked),
            ("disk/large", Signature::Unchecked),
            ("disk/more/two", Signature::Unchecked),
            ("disk/one", Signature::Unchecked),
            ("disk/unsigned", Signature::Missing),
        ]
    );
    let skipped = Failure::over(ErrorCode::FilesSkipped, 2, 0);
    assert_eq!(told.last(), Some(&Told::Failed(5, skipped)));
    // The disk is listed anew each time.
    world.disk.clear();
    world.put("new.gguf", b"GGUF", None);
    world.system.ask(6, &Request::Models);
    let told = world.settle();
    assert_eq!(told.last(), Some(&Told::Listed(6, 5)));
}

#[test]
fn a_model_of_the_disk_is_verified_before_inference_can_read_a_byte_of_it() {
    let mut world = World::new();
    let file = world.disk["one.gguf"].clone();
    world.system.ask(
        5,
        &Request::Load {
            name: model("disk/one"),
        },
    );
    // All but the last answer.
    while world.reads < 1 + file.len().div_ceil(8192) {
        assert!(world.look());
        assert_eq!(world.system.asked(), []);
        assert!(
            world
                .slot(0)
                .iter()
                .chain(&world.slot(1))
                .all(|byte| *byte == 0)
        );
    }
    assert_eq!(world.staging.load(0).to_ne_bytes()[..], file[..8]);
    world.settle();
    let asked = world.system.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(world.slot(0)[..file.len()], file[..]);
}

#[test]
fn models_take_turns_in_the_slots_and_the_one_in_service_stays_as_it_is() {
    let mut world = World::new();
    let (one, two) = (
        world.disk["one.gguf"].clone(),
        world.disk["more/two.gguf"].clone(),
    );
    world.settle();
    for round in 0..50 {
        // The user's share of the log refills with time.
        world.system.runtime.now += 600 * SECOND;
        world.loads(10 + 4 * round, "one", &one, 0);
        world.loads(11 + 4 * round, "disk/more/two.gguf", &two, 1);
        assert_eq!(world.slot(0)[..one.len()], one[..]);
    }
    // To the store and back.
    world.system.ask(
        990,
        &Request::Load {
            name: model("default"),
        },
    );
    world.settle();
    let asked = world.system.asked();
    let [Asked::Load(number, ..)] = asked[..] else {
        panic!("{asked:?}");
    };
    world.system.loaded(number);
    world.settle();
    world.loads(991, "disk/one", &one, 0);
    // A restart loads it again, from its slot.
    world.system.runtime.restarts = 0;
    world
        .system
        .say(77, &protocol::wire::engine::Report::Evicted { session: 3 });
    let fault = protocol::wire::Fault {
        kind: protocol::wire::FaultKind::Memory,
        ip: 0,
        address: 0,
    };
    let System { audit, runtime, .. } = &mut world.system;
    audit.on_fault(fault, runtime);
    assert!(world.system.inference.follow());
    let asked = world.system.asked();
    let expected = (world.store_bytes, one.len() as u64);
    assert!(
        matches!(asked[..], [Asked::Load(_, at, bytes)] if (at, bytes) == expected),
        "{asked:?}"
    );
}

#[test]
fn what_is_wrong_with_a_model_of_the_disk_is_said_and_the_slots_stay_as_they_are() {
    let mut world = World::new();
    let one = world.disk["one.gguf"].clone();
    world.loads(5, "disk/one", &one, 0);
    for (n, (name, code)) in [
        ("disk/unsigned", ErrorCode::Unsigned),
        ("disk/foreign", ErrorCode::BadSignature),
        ("disk/nothing", ErrorCode::NoSuchFile),
        ("nothing", ErrorCode::NoSuchFile),
        ("disk/large", ErrorCode::FileTooLarge),
        ("disk/adapters/..", ErrorCode::NoSuchFile),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(world.fails(20 + n as u32, name).code, code, "{name}");
    }
    world.disk.insert("one.gguf.sig".into(), vec![1; 63]);
    assert_eq!(world.fails(40, "disk/one").code, ErrorCode::BadSignature);
    let long = "x".repeat(60);
    assert_eq!(world.fails(41, &long).code, ErrorCode::NameLength);
    // The model in service is the same.
    let current = world.system.audit.monitor_for_tests().current_name();
    assert_eq!(current, Some(model("disk/one")));
}

#[test]
fn whatever_files_does_a_load_ends_with_one_error_and_leaves_the_slots_alone() {
    for (misdeed, code) in [
        (Misdeed::OtherBytes(0), ErrorCode::BadSignature),
        (Misdeed::OtherBytes(19_999), ErrorCode::BadSignature),
        (Misdeed::Shrinks, ErrorCode::FileChanged),
        (Misdeed::Endless, ErrorCode::FileTooLarge),
        (Misdeed::Breaks(0), ErrorCode::DiskFailed),
        (Misdeed::Breaks(8192), ErrorCode::DiskFailed),
        (Misdeed::Nonsense, ErrorCode::FilesBreach),
    ] {
        let mut world = World::new();
        world.settle();
        world.misdeed = misdeed;
        assert_eq!(world.fails(5, "disk/one").code, code, "{misdeed:?}");
        // It does not end the link.
        world.misdeed = Misdeed::None;
        let one = world.disk["one.gguf"].clone();
        world.loads(6, "disk/one", &one, 0);
    }
}

#[test]
fn a_silent_files_is_given_up_and_the_system_serves_on() {
    let mut world = World::new();
    world.settle();
    world.system.ask(
        5,
        &Request::Load {
            name: model("disk/one"),
        },
    );
    assert!(world.look());
    world.misdeed = Misdeed::Silence;
    let before = [world.slot(0), world.slot(1)];
    world.system.runtime.now += ANSWER_US;
    world.system.wake();
    let told = world.settle();
    let failure = world.failed(5, &told, before);
    assert_eq!(failure.code, ErrorCode::FilesSilent);
    // The link is given up for good, and questions fail at once.
    world.misdeed = Misdeed::None;
    assert_eq!(world.fails(6, "disk/one").code, ErrorCode::FilesSilent);
    world.system.ask(7, &Request::Models);
    let told = world.settle();
    assert!(
        matches!(told.last(), Some(Told::Failed(7, failure)) if failure.code == ErrorCode::FilesSilent)
    );
    assert_eq!(told.len(), 5, "the store's are listed");
    world.system.infer(8, 5);
    world.system.admitted();
}

#[test]
fn without_a_disk_the_store_is_there_and_a_disk_that_comes_later_is_found() {
    let mut world = World::with(Misdeed::NoDisk);
    world.settle();
    world.system.ask(5, &Request::Models);
    let told = world.settle();
    let none = Failure::of(ErrorCode::NoDisk);
    assert_eq!(told.last(), Some(&Told::Failed(5, none)));
    assert_eq!(world.fails(6, "disk/one"), none);
    assert_eq!(world.fails(7, "mistyped").code, ErrorCode::NoSuchModel);
    world.misdeed = Misdeed::None;
    let one = world.disk["one.gguf"].clone();
    world.loads(8, "disk/one", &one, 0);
}

#[test]
fn a_load_that_is_cancelled_or_overtaken_by_a_restart_leaves_nothing() {
    let mut world = World::new();
    world.settle();
    let before = [world.slot(0), world.slot(1)];
    world.system.ask(
        5,
        &Request::Load {
            name: model("disk/one"),
        },
    );
    assert!(world.look() && world.look() && world.look());
    world.system.ask(5, &Request::Cancel);
    let told = world.settle();
    assert_eq!(world.failed(5, &told, before).code, ErrorCode::Cancelled);
    // The answer to the cancelled load is not taken for the next.
    world.system.ask(
        6,
        &Request::Load {
            name: model("disk/one"),
        },
    );
    world.system.ask(6, &Request::Cancel);
    let two = world.disk["more/two.gguf"].clone();
    world.loads(7, "disk/more/two", &two, 0);
    // While a model is read for a client, others can generate; while inference loads it, they cannot.
    world.system.ask(
        8,
        &Request::Load {
            name: model("disk/one"),
        },
    );
    world.look();
    world.system.infer(9, 5);
    let number = world.system.admitted();
    let told = world.settle();
    let busy = Failure::of(ErrorCode::ModelInUse);
    assert!(told.contains(&Told::Failed(8, busy)), "{told:?}");
    world
        .system
        .finished(number, protocol::wire::FinishReason::EndOfText, 0);
}

#[test]
fn only_who_may_load_has_files_asked_for_a_model() {
    let mut world = World::new();
    world.settle();
    world.system.ask(5, &Request::Logout);
    world.settle();
    world.system.ask(
        6,
        &Request::Load {
            name: model("disk/one"),
        },
    );
    assert!(!world.look());
    let told = world.settle();
    assert!(
        matches!(told[..], [Told::Failed(6, failure)] if failure.code == ErrorCode::NotPermitted)
    );
}

#[test]
fn whatever_clients_ask_files_is_asked_for_one_list_and_one_load_at_a_time() {
    let mut world = World::new();
    world.settle();
    for id in 5..8 {
        world.system.ask(id, &Request::Models);
        world.system.ask(
            id + 10,
            &Request::Load {
                name: model("disk/one"),
            },
        );
    }
    let mut frame = Frame::new();
    let mut asked = Vec::new();
    while world.files.receive(&mut frame) == Ok(true) {
        asked.push(matches!(Ask::parse(&frame), Ok(Ask::List)));
    }
    assert_eq!(asked, [true, false]);
}

/// A world in which all parts of a file of twice the work of a wake-up wait in the ring.
fn with_parts_that_wait() -> World {
    let mut world = World::new();
    world.settle();
    world.system.ask(
        5,
        &Request::Load {
            name: model("disk/more/two"),
        },
    );
    // The signature is opened and read, and the file is opened.
    for _ in 0..3 {
        assert!(world.look());
    }
    while world.answer() {}
    assert_eq!(world.reads, 1 + 2 * WORK_BYTES / MAX_TRANSFER_BYTES);
    assert_eq!(world.staging.load(0), 0);
    world
}

#[test]
fn a_wake_up_hashes_no_more_of_a_file_than_its_limit_and_the_rest_is_next() {
    let mut world = with_parts_that_wait();
    let file = world.disk["more/two.gguf"].clone();
    world.system.wake();
    let staged = |world: &World, at: usize| world.staging.load(at / 8).to_ne_bytes();
    assert_eq!(
        staged(&world, WORK_BYTES - 8),
        file[WORK_BYTES - 8..WORK_BYTES]
    );
    assert_eq!(staged(&world, WORK_BYTES), [0; 8]);
    // It comes back for the rest by itself.
    let at = world.system.runtime.timer.unwrap();
    assert!(at <= world.system.runtime.now + PAUSE_US);
    world.system.runtime.now = at;
    world.system.wake();
    assert_eq!(staged(&world, file.len() - 8), file[file.len() - 8..]);
    world.settle();
    assert_eq!(world.system.asked().len(), 1);
}

#[test]
fn a_request_does_not_wait_for_the_parts_of_a_file() {
    let mut world = with_parts_that_wait();
    world.system.ask(6, &Request::Stats { watch: false });
    let told = world.system.told();
    assert!(matches!(told[..], [Told::Stats(6, ..)]), "{told:?}");
    // Some of the file was read in the same wake-up.
    assert_ne!(world.staging.load(0), 0);
}
