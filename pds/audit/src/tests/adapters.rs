//! Adapters: which are loaded, who may load and use them, and what becomes of them.

mod recovery;

use super::harness::*;
use crate::files::FilesEnd;
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::{LOAD_DEADLINE_US, MAX_ADAPTERS, WATCHDOG_PERIOD_US};
use protocol::name::{FormatName, ModelName, SessionName};
use protocol::record::Kind;
use protocol::testing::{TestRegion, completion};
use protocol::wire::client::{AdapterOrigin, Request, Signature};
use protocol::wire::engine::{AdapterLoaded, Report, Source};
use protocol::wire::{AdapterInfo, ArenaUse, FinishReason, InferParams};
use sha2::{Digest, Sha256};
use std::vec::Vec;

/// What inference reports about an adapter that it has loaded.
pub(super) fn adapter_loaded() -> AdapterLoaded {
    AdapterLoaded {
        info: AdapterInfo {
            rank: 4,
            alpha: 8_000_000,
            ..AdapterInfo::default()
        },
        arena: ArenaUse {
            weights: 100,
            adapters: 50,
            ..ArenaUse::default()
        },
        kv_positions: 1024,
    }
}

pub(super) fn base() -> Hash {
    Sha256::digest(b"GGUF default").into()
}

/// A request for text with an adapter.
pub(super) fn infer_with(session: &str, adapter: &str) -> Request<'static> {
    Request::Infer {
        params: InferParams::default(),
        session: SessionName::new(session).unwrap(),
        adapter: ModelName::new(adapter).unwrap(),
        format: FormatName::EMPTY,
        parts: completion(b"once"),
    }
}

impl<F: FilesEnd<TestRegion, TestRegion>> System<F> {
    /// Asks for an adapter and verifies it. Returns inference's command with its number and place.
    pub(super) fn asks_for_adapter(&mut self, id: u32, name: &str) -> (u32, u32) {
        self.ask(id, &Request::LoadAdapter { name: model(name) });
        let told = self.told_at_last();
        assert!(
            told.iter().all(|told| matches!(told, Told::Progress(..))),
            "{told:?}"
        );
        match self.asked()[..] {
            [
                Asked::Adapter {
                    number,
                    place,
                    base: of,
                    ..
                },
            ] => {
                assert_eq!(of, base());
                (number, place)
            }
            ref other => panic!("an adapter, not {other:?}"),
        }
    }

    /// Loads an adapter and returns its place.
    pub(super) fn loads_adapter(&mut self, id: u32, name: &str) -> u32 {
        let (number, place) = self.asks_for_adapter(id, name);
        self.say(number, &Report::AdapterLoaded(adapter_loaded()));
        let info = adapter_loaded().info;
        let loaded = Told::AdapterLoaded(id, model(name), info);
        assert_eq!(self.told(), [loaded]);
        place
    }

    /// The adapters in a list: their names, where they come from, and whether they are loaded.
    pub(super) fn adapters_known(&mut self) -> Vec<(ModelName, AdapterOrigin, bool)> {
        self.ask(950, &Request::Adapters);
        let told = self.told_at_last();
        let list = told.iter().filter_map(|told| match told {
            Told::Adapter(950, entry) => Some((entry.name, entry.origin, entry.loaded)),
            _ => None,
        });
        list.collect()
    }
}

#[test]
fn an_adapter_is_verified_loaded_and_used_by_its_name() {
    let mut system = System::with_adapters();
    let sha256: Hash = Sha256::digest({
        let mut file = b"GGUF moral".to_vec();
        file.resize(10 + crate::work::WORK_BYTES, 1);
        file
    })
    .into();
    system.ask(
        5,
        &Request::LoadAdapter {
            name: model("moral"),
        },
    );
    assert_eq!(system.asked(), [], "it is being verified");
    let told = system.told_at_last();
    assert!(
        matches!(told[..], [Told::Progress(5, _), Told::Progress(5, _)]),
        "{told:?}"
    );
    let [
        Asked::Adapter {
            number,
            place: 0,
            source: Source::Store,
            bytes,
            base: of,
            ..
        },
    ] = system.asked()[..]
    else {
        panic!("a load of an adapter")
    };
    assert_eq!((bytes as usize, of), (10 + crate::work::WORK_BYTES, base()));
    // It cannot be used before inference has it.
    let not_loaded = Failure::of(ErrorCode::AdapterNotLoaded);
    system.is_refused(&infer_with("", "moral"), not_loaded);
    system.say(number, &Report::AdapterLoaded(adapter_loaded()));
    let info = adapter_loaded().info;
    let loaded = Told::AdapterLoaded(5, model("moral"), info);
    assert_eq!(system.told(), std::slice::from_ref(&loaded));
    assert_eq!(system.stats().arena.adapters, 50);
    let record = system.last_record(Kind::Adapter);
    assert_eq!((record.name, record.value), (model("moral"), bytes));
    assert_eq!(
        (record.adapter_sha256, record.model_sha256, record.code),
        (sha256, base(), 1)
    );
    assert_eq!(record.user.as_str(), "admin");
    // Asked for again, it is already there.
    system.ask(
        5,
        &Request::LoadAdapter {
            name: model("moral"),
        },
    );
    assert_eq!(
        (system.told(), system.asked()),
        (std::vec![loaded], std::vec![])
    );

    system.ask(6, &infer_with("", "moral"));
    let number = system.admitted();
    assert_eq!(system.used, 1);
    system.finished(number, FinishReason::EndOfText, 0);
    system.told();
    for kind in [Kind::Admit, Kind::Finish] {
        assert_eq!(system.last_record(kind).adapter_sha256, sha256);
    }
    system.serves(7);
    assert_eq!(
        (system.used, system.last_record(Kind::Finish).adapter_sha256),
        (0, [0; 32])
    );

    system.ask(9, &Request::Adapters);
    let told = system.told_at_last();
    let Told::Adapter(9, first) = &told[0] else {
        panic!("{told:?}")
    };
    assert_eq!(
        (first.sha256, first.base_sha256, first.info),
        (sha256, base(), info)
    );
    let known: Vec<_> = told
        .iter()
        .filter_map(|told| match told {
            Told::Adapter(9, entry) => Some((entry.name, entry.signature, entry.loaded)),
            _ => None,
        })
        .collect();
    let expected = [
        (model("moral"), Signature::Good, true),
        (model("ours"), Signature::Unchecked, false),
        (model("unsigned"), Signature::Missing, false),
        (model("foreign"), Signature::Unchecked, false),
    ];
    assert_eq!(known, expected);
    assert_eq!(told.last(), Some(&Told::Listed(9, 4)));
    // An adapter is not a model.
    system.ask(10, &Request::Models);
    assert_eq!(system.told_at_last().last(), Some(&Told::Listed(10, 2)));
    let none = Failure::of(ErrorCode::NoSuchModel);
    system.is_refused(
        &Request::Load {
            name: model("moral"),
        },
        none,
    );
}

#[test]
fn what_no_trusted_key_has_signed_is_refused_and_what_the_device_has_signed_is_not() {
    let mut system = System::with_adapters();
    for (name, code) in [
        ("unsigned", ErrorCode::Unsigned),
        ("foreign", ErrorCode::BadSignature),
        ("nothing", ErrorCode::NoSuchAdapter),
    ] {
        let request = Request::LoadAdapter { name: model(name) };
        system.is_refused(&request, Failure::of(code));
        assert_eq!(system.last_record(Kind::Refuse).name, model(name));
    }
    assert_eq!(system.loads_adapter(5, "ours"), 0);
    // A signature by another device counts as little as one by an unknown key.
    let mut policy = policy();
    policy.device_key = protocol::policy::DeviceKey([2; 32]);
    let mut system = System::with_adapters_and(&policy);
    let bad = Failure::of(ErrorCode::BadSignature);
    system.is_refused(
        &Request::LoadAdapter {
            name: model("ours"),
        },
        bad,
    );
}

#[test]
fn who_may_not_is_refused() {
    let mut system = System::with_adapters();
    system.loads_adapter(5, "moral");
    system.ask(6, &Request::Logout);
    system.told();
    let name = model("moral");
    let (load, fine_tune) = (2, 4);
    for (request, bit) in [
        (Request::LoadAdapter { name }, load),
        (Request::DropAdapter { name }, load),
        (Request::ExportAdapter { name }, fine_tune),
        (Request::Example { text: b"{}" }, fine_tune),
        (Request::DropExamples, fine_tune),
        (
            Request::FineTune {
                params: Default::default(),
                data: model("tales"),
                adapter: ModelName::EMPTY,
            },
            fine_tune,
        ),
    ] {
        system.is_refused(&request, not_permitted(bit));
    }
    // The user may use adapters that are loaded.
    system.ask(7, &infer_with("", "moral"));
    system.admitted();
    assert_eq!(system.used, 1);
}

#[test]
fn a_session_keeps_the_adapter_that_it_began_with_and_ends_with_it() {
    let mut system = System::with_adapters();
    system.loads_adapter(5, "moral");
    assert_eq!(system.loads_adapter(6, "ours"), 1);
    let turn = |system: &mut System, session: &str, adapter: &str| {
        system.ask(7, &infer_with(session, adapter));
        let number = system.admitted();
        system.finished(number, FinishReason::EndOfText, 0);
        system.told();
        system.used
    };
    assert_eq!(turn(&mut system, "a", "ours"), 2);
    assert_eq!(turn(&mut system, "a", ""), 2);
    assert_eq!(turn(&mut system, "a", "ours"), 2);
    assert_eq!(turn(&mut system, "plain", ""), 0);
    let other = Failure::of(ErrorCode::OtherAdapter);
    for session in ["a", "plain"] {
        system.is_refused(&infer_with(session, "moral"), other);
    }
    let none = Failure::of(ErrorCode::NoSuchAdapter);
    system.is_refused(&infer_with("a", "nothing"), none);
    // It stays while a request uses it.
    system.ask(8, &infer_with("", "ours"));
    let number = system.admitted();
    let drop = Request::DropAdapter {
        name: model("ours"),
    };
    let in_use = Failure::over(ErrorCode::AdapterInUse, 1, 0);
    system.ask(9, &drop);
    assert_eq!(system.told(), [Told::Failed(9, in_use)]);
    system.finished(number, FinishReason::EndOfText, 0);
    system.told();
    system.ask(9, &drop);
    assert_eq!(system.told(), [Told::Done(9)]);
    assert_eq!(system.asked(), [Asked::DropAdapter(1)]);
    let record = system.last_record(Kind::DropAdapter);
    assert_eq!((record.name, record.code), (model("ours"), 1));
    assert_eq!(record.model_sha256, base());
    let lost = Failure::over(ErrorCode::SessionLost, 3, 0);
    system.ask(10, &infer_with("a", ""));
    assert_eq!(system.told(), [Told::Failed(10, lost)]);
    assert_eq!(turn(&mut system, "plain", ""), 0);
    let not_loaded = Failure::of(ErrorCode::AdapterNotLoaded);
    system.is_refused(&infer_with("", "ours"), not_loaded);
    system.is_refused(&drop, not_loaded);
    // The next adapter gets its place.
    assert_eq!(system.loads_adapter(11, "ours"), 1);
}

#[test]
fn an_adapter_that_inference_refuses_is_not_loaded_and_loads_exclude_each_other() {
    let mut system = System::with_adapters();
    let (number, _) = system.asks_for_adapter(5, "moral");
    let in_use = Failure::of(ErrorCode::ModelInUse);
    for request in [
        Request::LoadAdapter {
            name: model("ours"),
        },
        Request::Load {
            name: model("other"),
        },
    ] {
        system.is_refused(&request, in_use);
    }
    let too_large = Failure::over(ErrorCode::AdapterTooLarge, 9, 8);
    system.fails(number, too_large);
    assert_eq!(system.told(), [Told::Failed(5, too_large)]);
    let record = system.last_record(Kind::Fail);
    assert_eq!((record.name, record.code), (model("moral"), 78));
    assert_eq!(system.loads_adapter(6, "ours"), 0);
    // A model that is being loaded counts, too.
    system.ask(
        7,
        &Request::Load {
            name: model("other"),
        },
    );
    let told = system.told_at_last();
    assert!(told.iter().all(|it| matches!(it, Told::Progress(..))));
    system.ask(
        8,
        &Request::LoadAdapter {
            name: model("moral"),
        },
    );
    assert_eq!(system.told(), [Told::Failed(8, in_use)]);
}

#[test]
fn there_are_so_many_places_and_another_model_empties_them() {
    let mut system = System::with_adapters();
    system.loads_adapter(5, "ours");
    // As if other clients used the rest.
    for place in 1..MAX_ADAPTERS {
        let adapter = *system
            .audit
            .monitor_for_tests()
            .places
            .find(model("ours"))
            .unwrap()
            .1;
        let name = model(&std::format!("a{place}"));
        let adapter = crate::places::Adapter { name, ..adapter };
        system.audit.monitor_for_tests().places.fill(place, adapter);
    }
    let full = Failure::over(ErrorCode::TooManyAdapters, 8, 8);
    system.is_refused(
        &Request::LoadAdapter {
            name: model("moral"),
        },
        full,
    );
    system.ask(
        6,
        &Request::Load {
            name: model("other"),
        },
    );
    system.told_at_last();
    let [Asked::Load(number, ..)] = system.asked()[..] else {
        panic!("a load")
    };
    system.loaded(number);
    system.told();
    assert!(system.adapters_known().iter().all(|(_, _, loaded)| !loaded));
    let not_loaded = Failure::of(ErrorCode::AdapterNotLoaded);
    system.is_refused(&infer_with("", "ours"), not_loaded);
}
