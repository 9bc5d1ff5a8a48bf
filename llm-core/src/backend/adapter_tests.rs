//! Sessions with adapters that come and go while requests are in flight.

mod interleaving;

use super::session_tests::{OPTIONS, PROMPTS, sampled};
use super::*;
use crate::arena::Arena;
use crate::arena::Purpose;
use crate::generate::Step;
use crate::testing::{AdapterShape, Memory, Shape, adapter, model};
use crate::transformer::AdapterFile;
use crate::transformer::Checked;
use crate::transformer::LoadOptions;
use crate::transformer::{MAX_ADAPTERS, Positions};
use proptest::prelude::*;
use std::string::String;
use std::vec;
use std::vec::Vec;

const BASE: [u8; 32] = [7; 32];

fn base() -> Vec<u8> {
    model(Shape::default()).finish()
}

/// Adapters that differ in rank and effect.
fn adapters() -> Vec<Vec<u8>> {
    let base = base();
    let shape = |n: usize| AdapterShape {
        rank: [3, 8, 1, 16, 2, 5, 4, 7][n],
        seed: n as u32 + 1,
        attention: n % 2 == 1,
        ..AdapterShape::default()
    };
    (0..MAX_ADAPTERS)
        .map(|n| adapter(&base, shape(n)).finish())
        .collect()
}

fn with_backend<T>(
    bytes: usize,
    options: LoadOptions,
    run: impl FnOnce(&mut TransformerBackend<'_>) -> T,
) -> T {
    let mut memory = Memory::new(bytes);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options);
    backend.load(&base()).unwrap();
    run(&mut backend)
}

fn turn(session: usize, adapter: Option<u8>) -> Turn {
    Turn {
        adapter,
        ..Turn::first(session)
    }
}

/// Output of each session: tokens, text, and whether it has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Got {
    ids: Vec<u32>,
    shown: String,
    ended: bool,
}

fn step(backend: &mut TransformerBackend<'_>, got: &mut [Got]) -> bool {
    let mut text = Text::new();
    match backend.step(&mut text) {
        Progress::Idle => return false,
        // An evicted session must have ended.
        Progress::Evicted(n) => assert!(got[n].ended),
        Progress::Working | Progress::Session(_, Ok(Step::Prefill { .. })) => {}
        Progress::Session(n, Ok(Step::Token { id })) => {
            got[n].ids.push(id);
            got[n].shown.push_str(&text);
        }
        Progress::Session(n, Ok(Step::Finished { .. })) => got[n].ended = true,
        other => panic!("{other:?}"),
    }
    true
}

/// What a prompt and adapter give to an undisturbed request.
fn alone(prompt: &str, adapter: Option<u8>, params: &GenerateParams) -> Got {
    with_backend(4 << 20, OPTIONS, |backend| {
        let adapters = adapters();
        let place = adapter.map(|n| {
            backend
                .load_adapter(5, &adapters[usize::from(n)], &BASE)
                .unwrap();
            5
        });
        backend
            .start(turn(0, place), Prompt::Text(prompt.as_bytes()), params)
            .unwrap();
        let mut got = [Got::default()];
        while step(backend, &mut got) {}
        got[0].clone()
    })
}

#[test]
fn a_session_keeps_the_adapter_that_it_began_with() {
    with_backend(4 << 20, OPTIONS, |backend| {
        let adapters = adapters();
        for place in [0, 3] {
            backend
                .load_adapter(place, &adapters[place], &BASE)
                .unwrap();
        }
        let mut got = [Got::default()];
        let params = sampled(1, 5);
        backend
            .start(turn(0, Some(3)), Prompt::Text(b"hello"), &params)
            .unwrap();
        while step(backend, &mut got) {}
        for other in [None, Some(0)] {
            let next = Turn {
                fresh: false,
                ..turn(0, other)
            };
            assert_eq!(
                backend.start(next, Prompt::Text(b"more"), &params),
                Err(GenerateError::OtherAdapter)
            );
        }
        for missing in [1, 8, 255] {
            let next = Turn {
                fresh: false,
                ..turn(0, Some(missing))
            };
            let adapter = usize::from(missing);
            assert_eq!(
                backend.start(next, Prompt::Text(b"more"), &params),
                Err(GenerateError::NoSuchAdapter { adapter })
            );
        }
        // The session is unchanged, and continues.
        let next = Turn {
            fresh: false,
            ..turn(0, Some(3))
        };
        backend.start(next, Prompt::Text(b"more"), &params).unwrap();
        while step(backend, &mut got) {}
        assert_eq!(got[0].ids.len(), 10);
        // A fresh turn may start with any adapter.
        backend
            .start(turn(0, None), Prompt::Text(b"hello"), &params)
            .unwrap();
        let mut fresh = [Got::default()];
        while step(backend, &mut fresh) {}
        assert_eq!(fresh[0], alone("hello", None, &params));
    });
}

#[test]
fn an_adapter_in_use_is_not_dropped_and_idle_sessions_go_with_theirs() {
    with_backend(4 << 20, OPTIONS, |backend| {
        let adapters = adapters();
        backend.load_adapter(2, &adapters[2], &BASE).unwrap();
        let (params, mut got) = (sampled(1, 5), vec![Got::default(); 3]);
        for (n, adapter) in [None, Some(2)].into_iter().enumerate() {
            backend
                .start(turn(n, adapter), Prompt::Text(b"hello"), &params)
                .unwrap();
        }
        while step(backend, &mut got) {}
        // A resting request uses it, too.
        let rests = Turn {
            credit: 0,
            ..turn(2, Some(2))
        };
        backend
            .start(rests, Prompt::Text(b"hello"), &params)
            .unwrap();
        assert_eq!(backend.drop_adapter(2), Err(AdapterError::Busy));
        backend.cancel(2);
        while step(backend, &mut got) {}
        backend.drop_adapter(2).unwrap();
        assert_eq!(backend.drop_adapter(2), Err(AdapterError::NoSuchAdapter(2)));
        backend.load_adapter(2, &adapters[2], &BASE).unwrap();
        let next = |session, adapter| Turn {
            fresh: false,
            ..turn(session, adapter)
        };
        assert_eq!(
            backend.start(next(1, Some(2)), Prompt::Text(b"more"), &params),
            Err(GenerateError::NothingThere)
        );
        backend
            .start(next(0, None), Prompt::Text(b"more"), &params)
            .unwrap();
        while step(backend, &mut got) {}
        assert_eq!(got[0].ids.len(), 10);
    });
}

#[test]
fn without_a_model_there_are_no_adapters_and_another_model_has_none() {
    let adapters = adapters();
    let mut memory = Memory::new(4 << 20);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), OPTIONS);
    assert_eq!(
        backend.load_adapter(0, &adapters[0], &BASE),
        Err(AdapterError::NoModel)
    );
    assert_eq!(backend.drop_adapter(0), Err(AdapterError::NoModel));
    backend.load(&base()).unwrap();
    let alone = backend.usage().current;
    backend.load_adapter(0, &adapters[0], &BASE).unwrap();
    assert!(backend.usage().of(Purpose::Adapters) > 0);
    backend.load(&base()).unwrap();
    assert_eq!(backend.usage().of(Purpose::Adapters), 0);
    assert_eq!(backend.usage().current, alone);
    assert_eq!(backend.drop_adapter(0), Err(AdapterError::NoSuchAdapter(0)));
}

#[test]
fn a_ninth_adapter_and_one_in_a_taken_place_are_refused() {
    with_backend(4 << 20, OPTIONS, |backend| {
        let adapters = adapters();
        for (place, file) in adapters.iter().enumerate() {
            backend.load_adapter(place, file, &BASE).unwrap();
        }
        assert_eq!(
            backend.load_adapter(MAX_ADAPTERS, &adapters[0], &BASE),
            Err(AdapterError::NoSuchAdapter(MAX_ADAPTERS))
        );
        assert_eq!(
            backend.load_adapter(0, &adapters[0], &BASE),
            Err(AdapterError::Taken(0))
        );
    });
}

/// The arena is so small that an adapter takes positions from the pool; one that would leave less than a context is
/// refused.
#[test]
fn adapters_take_the_room_of_the_pool_and_no_more_than_leaves_one_context() {
    let file = base();
    let checked = Checked::new(&file).unwrap();
    let Err(LoadError::TooLarge(least)) = checked.plan(&OPTIONS, 0) else {
        panic!("nothing fits nothing");
    };
    let adapters = adapters();
    let size = AdapterFile::read(&adapters[3])
        .and_then(|file| file.check(&checked.base(), None))
        .unwrap();
    let bytes = (least.total() + size.info.bytes) as usize;
    with_backend(bytes, OPTIONS, |backend| {
        let before = *backend.model().unwrap();
        let params = sampled(1, 5);
        let mut got = vec![Got::default(); 1];
        backend
            .start(turn(0, None), Prompt::Text(b"hello"), &params)
            .unwrap();
        let info = backend.load_adapter(3, &adapters[3], &BASE).unwrap();
        assert_eq!((info, info.rank), (size.info, 16));
        let after = *backend.model().unwrap();
        assert_eq!(after.kv_positions, after.context);
        assert!(before.kv_positions > after.kv_positions);
        assert_eq!(backend.occupancy().positions, after.kv_positions as usize);
        let usage = backend.usage();
        let refused = backend.load_adapter(0, &adapters[0], &BASE);
        assert!(matches!(refused, Err(AdapterError::TooLarge(_))));
        assert_eq!(backend.usage(), usage);
        while step(backend, &mut got) {}
        assert_eq!(got[0], alone("hello", None, &params));
        backend.drop_adapter(3).unwrap();
        assert_eq!(*backend.model().unwrap(), before);
    });
}

/// Training of any size is placed between adapters and buffers and leaves again; sessions do not notice.
#[test]
fn the_room_of_a_training_comes_and_goes_and_requests_go_on() {
    with_backend(4 << 20, OPTIONS, |backend| {
        let adapters = adapters();
        backend.load_adapter(1, &adapters[1], &BASE).unwrap();
        let params = sampled(1, 12);
        let expected = alone("hello there", Some(1), &params);
        backend
            .start(turn(4, Some(1)), Prompt::Text(b"hello there"), &params)
            .unwrap();
        let mut got = vec![Got::default(); 5];
        let before = backend.usage().current;
        for bytes in [64, 1 << 20, 0, 100 * 64] {
            for _ in 0..9 {
                step(backend, &mut got);
            }
            let (model, _) = backend.loaded.as_mut().unwrap();
            let span = model.rearrange(&mut backend.arena, bytes, true, |arena| {
                arena.alloc::<u8>(bytes as usize, Purpose::Training)
            });
            backend.arena.get_mut(span.unwrap()).fill(0xFF);
            backend.scheduler.displace_all();
            assert_eq!(backend.usage().of(Purpose::Training) as u64, bytes);
            let refused = backend.load_adapter(0, &adapters[0], &BASE);
            match bytes {
                0 => {
                    refused.unwrap();
                    backend.drop_adapter(0).unwrap();
                }
                _ => {
                    assert_eq!(refused, Err(AdapterError::Training));
                    let (model, _) = backend.loaded.as_mut().unwrap();
                    let refused = model.drop_adapter(&mut backend.arena, 1);
                    assert_eq!(refused, Err(AdapterError::Training));
                }
            }
        }
        while step(backend, &mut got) {}
        assert_eq!(got[4], expected);
        // Training alone: no buffers, no pool; what sessions hold stays.
        let (model, _) = backend.loaded.as_mut().unwrap();
        let most = model
            .plan_with(model.plan().adapters, 0, false)
            .map(|plan| plan.capacity - plan.total())
            .unwrap()
            & !63;
        let refused = model.rearrange(&mut backend.arena, most, true, |_| Ok(()));
        assert!(refused.is_err(), "not beside requests");
        let span = model.rearrange(&mut backend.arena, most, false, |arena| {
            arena.alloc::<u8>(most as usize, Purpose::Training)
        });
        backend.arena.get_mut(span.unwrap()).fill(0xFF);
        backend.scheduler.displace_all();
        assert_eq!(
            backend.start(turn(0, None), Prompt::Text(b"hello"), &params),
            Err(GenerateError::Training)
        );
        assert_eq!(backend.step(&mut Text::new()), Progress::Idle);
        assert_eq!(backend.occupancy().positions, 0);
        let (model, _) = backend.loaded.as_mut().unwrap();
        model
            .rearrange(&mut backend.arena, 0, true, |_| Ok(()))
            .unwrap();
        backend.scheduler.displace_all();
        assert_eq!(backend.usage().current, before);
        let next = Turn {
            fresh: false,
            ..turn(4, Some(1))
        };
        backend
            .start(next, Prompt::Text(b"and more"), &params)
            .unwrap();
        while step(backend, &mut got) {}
        assert_eq!(got[4].ids.len(), 24);
    });
}
