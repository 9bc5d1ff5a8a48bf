//! Several clients on one engine: the output of each does not depend on the others, and none starves.

use super::session_tests::{
    Act, Contents, Generated, OPTIONS, PLAYERS, PROMPTS, alone, reserved, sampled, tokenize,
    with_model,
};
use super::*;
use crate::generate::{FinishReason, MAX_CLIENTS, Step};
use crate::kv_cache::BLOCK_POSITIONS;
use crate::transformer::LoadOptions;
use crate::transformer::Positions;
use proptest::prelude::*;
use std::collections::HashMap;
use std::string::String;
use std::vec::Vec;

const KV: KvType = KvType::Q8;

/// Positions of the cache: ten blocks.
const CACHE: usize = 10 * BLOCK_POSITIONS;

fn with_clients<T>(positions: usize, run: impl FnOnce(&mut TransformerBackend) -> T) -> T {
    let options = LoadOptions {
        kv: KV,
        positions: Positions::Exactly(positions),
        ..OPTIONS
    };
    with_model(options, run)
}

fn of(client: usize, turn: Turn) -> Turn {
    Turn { client, ..turn }
}

/// Steps until a session's request is over. Returns its ids and text, how many tokens other sessions got meanwhile, and
/// which sessions lost their room in the cache.
fn watch(backend: &mut TransformerBackend, session: usize) -> (Generated, usize, Vec<usize>) {
    let (mut ids, mut shown, mut others, mut lost) = (Vec::new(), String::new(), 0, Vec::new());
    let mut text = Text::new();
    for _ in 0..50_000 {
        let running: Vec<bool> = (0..PLAYERS).map(|n| backend.is_running(n)).collect();
        match backend.step(&mut text) {
            Progress::Session(n, Ok(Step::Token { id })) if n == session => {
                ids.push(id);
                shown.push_str(&text);
            }
            Progress::Session(_, Ok(Step::Token { .. })) => others += 1,
            Progress::Session(n, Ok(Step::Finished { reason, .. })) if n == session => {
                return ((ids, shown, reason), others, lost);
            }
            Progress::Session(_, Ok(Step::Finished { .. })) => continue,
            Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
            Progress::Idle => panic!("{session} waits for nobody"),
            _ => {}
        }
        lost.extend((0..PLAYERS).filter(|&n| running[n] && !backend.is_running(n)));
    }
    panic!("{session} does not end");
}

#[test]
fn who_has_many_requests_delays_one_of_another_client_by_no_more_than_its_part() {
    with_clients(CACHE, |backend| {
        let many = sampled(1, 30);
        for n in 0..5 {
            let turn = of(0, Turn::only(n));
            backend
                .start(turn, Prompt::Text(b"hello there"), &many)
                .unwrap();
        }
        // They fill the cache, and some wait.
        let mut text = Text::new();
        while backend.occupancy().running < 3 {
            backend.step(&mut text);
        }
        assert!(backend.occupancy().waiting > 0);

        let params = sampled(7, 12);
        let ids = tokenize(backend, "x y z", true);
        backend
            .start(of(1, Turn::only(5)), Prompt::Text(b"x y z"), &params)
            .unwrap();
        let (got, others, lost) = watch(backend, 5);
        assert_eq!(got, alone(KV, &ids, &params));
        // Its own tokens, those of its prompt, the other client's lead, and the batch in flight.
        let part = got.0.len() + ids.len() + 16 + 3;
        assert!(
            others <= part,
            "{others} tokens of the other, {part} are its part"
        );
        assert!(others >= got.0.len(), "the other goes on: {others}");
        assert!(!lost.is_empty(), "it took room of the other's");

        // Sessions that lost their room get the same output as when alone.
        let ids = tokenize(backend, "hello there", true);
        let expected = alone(KV, &ids, &many);
        for n in lost {
            let (got, _, again) = watch(backend, n);
            assert!(expected.1.ends_with(&got.1) && expected.2 == got.2, "{n}");
            assert_eq!(again, [], "nobody displaces now");
        }
    });
}

#[test]
fn an_idle_conversation_outlives_another_client_that_wants_the_whole_cache() {
    with_clients(CACHE, |backend| {
        let params = sampled(3, 4);
        let first = of(1, Turn::first(5));
        backend
            .start(first, Prompt::Text(b"hello there"), &params)
            .unwrap();
        watch(backend, 5);
        let held = reserved(backend, 5);
        assert!(held > 0);
        // More requests than sessions, twenty times.
        for round in 0..20 {
            for n in 0..5 {
                let turn = of(0, Turn::only(n));
                // Some are in flight.
                let _ = backend.start(
                    turn,
                    Prompt::Text(b"longer than the others are"),
                    &sampled(round, 39),
                );
            }
            watch(backend, round as usize % 5);
        }
        assert_eq!(reserved(backend, 5), held);
        let next = of(1, Turn::next(5));
        backend.start(next, Prompt::Text(b"more"), &params).unwrap();
        watch(backend, 5);
    });
}

#[test]
fn a_client_that_there_is_not_is_refused() {
    with_clients(CACHE, |backend| {
        let turn = of(MAX_CLIENTS, Turn::only(0));
        let limit = MAX_CLIENTS;
        assert_eq!(
            backend.start(turn, Prompt::Text(b"a"), &sampled(1, 1)),
            Err(GenerateError::NoSuchClient {
                client: limit,
                limit
            })
        );
    });
}

/// Long requests in quick succession, so that the cache runs short.
fn act() -> impl Strategy<Value = Act> {
    let session = 0..PLAYERS;
    prop_oneof![
        6 => (session.clone(), 0u8..4, any::<bool>(), 0..PROMPTS.len(), 10u32..40, 0u64..3).prop_map(
            |(session, next, keep, prompt, max_tokens, seed)| {
                let turn = match next {
                    0 => Turn::next(session),
                    _ => Turn { keep, ..Turn::first(session) },
                };
                Act::Start { turn, prompt, max_tokens, seed }
            }
        ),
        1 => session.clone().prop_map(Act::Cancel),
        1 => session.prop_map(Act::Forget),
        4 => (1usize..20).prop_map(Act::Steps),
    ]
}

/// A request in flight.
struct Expected {
    row: Vec<u32>,
    params: GenerateParams,
    ids: Vec<u32>,
    shown: String,
    keep: bool,
    cancelled: bool,
}

/// Plays `acts`, in which session `n` belongs to client `n` modulo `clients` and to owner `n` modulo 2, and runs
/// everything to its end. Returns how often a request at work lost its room.
fn play(positions: usize, clients: usize, acts: Vec<Act>) -> usize {
    with_clients(positions, |backend| {
        let mut rows: Vec<Vec<u32>> = std::vec![Vec::new(); PLAYERS];
        let mut requests: HashMap<usize, Expected> = HashMap::new();
        let (mut displaced, mut contents) = (0, Contents::default());
        let mut step = |backend: &mut TransformerBackend,
                        rows: &mut Vec<Vec<u32>>,
                        requests: &mut HashMap<usize, Expected>| {
            let mut text = Text::new();
            let at_work = |backend: &TransformerBackend| {
                let of = |n: &usize| backend.is_running(*n);
                (0..PLAYERS).filter(of).collect::<Vec<_>>()
            };
            let before = at_work(backend);
            let progress = backend.step(&mut text);
            let after = at_work(backend);
            let ended = matches!(progress, Progress::Session(_, Ok(Step::Finished { .. })));
            displaced += usize::from(!ended && before.iter().any(|n| !after.contains(n)));
            match progress {
                Progress::Training(_) => panic!("nothing is trained"),
                Progress::Idle => {
                    assert!(requests.is_empty(), "they wait for nobody");
                    return false;
                }
                Progress::Session(n, Ok(Step::Token { id })) => {
                    let request = requests.get_mut(&n).unwrap();
                    request.ids.push(id);
                    request.shown.push_str(&text);
                    rows[n].push(id);
                }
                Progress::Session(n, Ok(Step::Finished { reason, .. })) => {
                    let request = requests.remove(&n).unwrap();
                    let expected = alone(KV, &request.row, &request.params);
                    match reason {
                        FinishReason::Cancelled => {
                            assert!(request.cancelled);
                            assert!(expected.0.starts_with(&request.ids));
                        }
                        _ => assert_eq!((request.ids, request.shown, reason), expected),
                    }
                    if !request.keep {
                        rows[n].clear();
                    }
                }
                Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
                Progress::Evicted(n) => {
                    assert!(!requests.contains_key(&n));
                    rows[n].clear();
                }
                Progress::Working | Progress::Session(_, Ok(Step::Prefill { .. })) => {}
            }
            let held: usize = (0..PLAYERS).map(|n| reserved(backend, n)).sum();
            let occupancy = backend.occupancy();
            assert_eq!(
                held + occupancy.free,
                occupancy.positions,
                "no block is lost"
            );
            contents.check(backend);
            true
        };
        for act in acts {
            match act {
                Act::Start {
                    turn,
                    prompt,
                    max_tokens,
                    seed,
                } => {
                    let session = turn.session;
                    let turn = Turn {
                        credit: u32::MAX,
                        owner: session as u32 % 2,
                        ..of(session % clients, turn)
                    };
                    let ids = tokenize(backend, PROMPTS[prompt], turn.fresh);
                    let params = sampled(seed, max_tokens);
                    if backend
                        .start(turn, Prompt::Text(PROMPTS[prompt].as_bytes()), &params)
                        .is_err()
                    {
                        continue;
                    }
                    if turn.fresh {
                        rows[session].clear();
                    }
                    rows[session].extend(ids);
                    let row = rows[session].clone();
                    let (ids, shown) = (Vec::new(), String::new());
                    let keep = turn.keep;
                    requests.insert(
                        session,
                        Expected {
                            row,
                            params,
                            ids,
                            shown,
                            keep,
                            cancelled: false,
                        },
                    );
                }
                Act::Cancel(n) => {
                    backend.cancel(n);
                    if let Some(request) = requests.get_mut(&n) {
                        request.cancelled = true;
                    }
                }
                Act::Forget(n) => {
                    if backend.forget(n).is_ok() {
                        rows[n].clear();
                    }
                }
                Act::Grant(..) => {}
                Act::Steps(count) => {
                    for _ in 0..count {
                        if !step(backend, &mut rows, &mut requests) {
                            break;
                        }
                    }
                }
            }
        }
        for steps in 0.. {
            assert!(steps < 50_000, "somebody waits for ever");
            if !step(backend, &mut rows, &mut requests) {
                break;
            }
        }
        displaced
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each session gets the same output as when alone, and an end, whoever takes its room.
    #[test]
    fn sessions_of_any_clients_get_what_they_get_alone(
        acts in prop::collection::vec(act(), 1..40),
        clients in 2..=MAX_CLIENTS,
        pool in 4usize..=10,
    ) {
        play(pool * BLOCK_POSITIONS, clients, acts);
    }
}

/// The property would be vacuous if no request at work ever lost its room.
#[test]
fn the_interleavings_have_requests_in_them_that_lose_their_room() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut displaced = 0;
    for _ in 0..36 {
        let acts = prop::collection::vec(act(), 30..40);
        let acts = acts.new_tree(&mut runner).unwrap().current();
        displaced += usize::from(play(8 * BLOCK_POSITIONS, 2, acts) > 0);
    }
    assert!(displaced >= 6, "in {displaced} of 36");
}
