//! Sessions against a model of them: a row of tokens each, run alone.

use super::*;
use crate::generate::{FinishReason, Step};
use crate::sampling::SamplerParams;
use crate::simd::Cpu;
use crate::testing::{Memory, Shape, model};
use crate::tokenizer::{Cell, EncodeOptions, scratch_cells};
use crate::transformer::{MAX_SESSIONS, Positions};
use proptest::prelude::*;
use std::collections::HashMap;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

const CONTEXT: usize = 64;

const OPTIONS: LoadOptions = LoadOptions {
    context: CONTEXT,
    kv: KvType::Q8,
    sessions: MAX_SESSIONS,
    positions: Positions::Fill,
    max_prompt_bytes: 256,
    cpu: Cpu::SCALAR,
};

fn with_model<T>(options: LoadOptions, run: impl FnOnce(&mut TransformerBackend) -> T) -> T {
    let mut memory = Memory::new(4 << 20);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options);
    backend.load(&model(Shape::default()).finish()).unwrap();
    run(&mut backend)
}

fn sampled(seed: u64, max_tokens: u32) -> GenerateParams {
    GenerateParams {
        sampler: SamplerParams {
            seed,
            temperature: 900_000,
            top_k: 40,
            top_p: 950_000,
            min_p: 0,
            repeat_penalty: 1_200_000,
            repeat_last_n: 64,
        },
        max_tokens,
    }
}

/// Token ids, text and end of a generation.
type Generated = (Vec<u32>, String, FinishReason);

/// What `row` is continued with on a backend that has nothing else, in one turn.
fn alone(kv: KvType, row: &[u32], params: &GenerateParams) -> Generated {
    let options = LoadOptions {
        kv,
        sessions: 1,
        ..OPTIONS
    };
    with_model(options, |backend| {
        backend.start_tokens(Turn::only(0), row, params).unwrap();
        to_end(backend, 0)
    })
}

/// Steps until the request of `session` is over; nobody else has one.
fn to_end(backend: &mut TransformerBackend, session: usize) -> Generated {
    let (mut ids, mut shown, mut text) = (Vec::new(), String::new(), Text::new());
    loop {
        match backend.step(&mut text) {
            Progress::Idle => panic!("a generation is under way"),
            Progress::Working => {}
            Progress::Evicted(other) => assert_ne!(other, session),
            Progress::Session(of, step) => {
                assert_eq!(of, session);
                match step.unwrap() {
                    Step::Prefill { .. } => {}
                    Step::Token { id } => {
                        ids.push(id);
                        shown.push_str(&text);
                    }
                    Step::Finished { reason, .. } => return (ids, shown, reason),
                }
            }
        }
    }
}

fn tokenize(backend: &mut TransformerBackend, prompt: &str, fresh: bool) -> Vec<u32> {
    let (model, arena) = backend.parts().unwrap();
    let vocabulary = *model.vocabulary();
    let options = EncodeOptions {
        add_special: fresh,
        parse_special: false,
    };
    let mut cells = vec![Cell::default(); scratch_cells(prompt.len())];
    let mut ids = vec![0; prompt.len() + 2];
    let view = vocabulary.view(arena.get(vocabulary.table()));
    let count = view
        .encode(prompt.as_bytes(), options, &mut cells, &mut ids)
        .unwrap();
    ids.truncate(count);
    ids
}

fn reserved(backend: &mut TransformerBackend, session: usize) -> usize {
    let (model, arena) = backend.parts().unwrap();
    model.cache().reserved(arena, session)
}

#[test]
fn a_session_goes_on_where_it_stands() {
    with_model(OPTIONS, |backend| {
        let mut row = tokenize(backend, "hello there", true);
        let params = sampled(1, 9);
        backend
            .start(Turn::first(7), b"hello there", &params)
            .unwrap();
        let first = to_end(backend, 7);
        assert_eq!(first, alone(KvType::Q8, &row, &params));
        row.extend(first.0);

        let more = "and more";
        let prompt = tokenize(backend, more, false);
        let count = prompt.len() as u32;
        row.extend(prompt);
        let params = sampled(2, 6);
        assert_eq!(
            backend.start(Turn::next(7), more.as_bytes(), &params),
            Ok(count)
        );
        assert_eq!(to_end(backend, 7), alone(KvType::Q8, &row, &params));
    });
}

#[test]
fn only_new_tokens_go_through_the_model_again() {
    let small = LoadOptions {
        positions: Positions::Exactly(CONTEXT),
        ..OPTIONS
    };
    // The batch is eight tokens, so that a prompt takes several.
    let file = model(Shape::default()).finish();
    let checked = Checked::new(&file).unwrap();
    let mut least = checked.plan(&small, 0).unwrap_err();
    let LoadError::TooLarge(plan) = &mut least else {
        panic!("{least}")
    };
    let mut memory = Memory::new(plan.total() as usize);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), small);
    backend.load(&file).unwrap();
    let first_batch = |backend: &mut TransformerBackend| {
        let mut text = Text::new();
        loop {
            if let Progress::Session(_, Ok(Step::Prefill { done, total })) = backend.step(&mut text)
            {
                break (done, total);
            }
        }
    };
    backend
        .start(Turn::first(0), &[b'a'; 30], &sampled(1, 1))
        .unwrap();
    assert_eq!(first_batch(&mut backend), (8, 32));
    to_end(&mut backend, 0);
    backend
        .start(Turn::next(0), &[b'b'; 20], &sampled(1, 1))
        .unwrap();
    // The token that was generated last has not been through it.
    assert_eq!(first_batch(&mut backend), (32 + 8, 32 + 1 + 21));
}

#[test]
fn an_idle_session_holds_blocks_for_its_tokens_alone() {
    with_model(OPTIONS, |backend| {
        let before = backend.occupancy();
        assert_eq!((before.running, before.waiting), (0, 0));
        backend
            .start(Turn::first(0), b"a", &sampled(1, 60))
            .unwrap();
        let mut text = Text::new();
        backend.step(&mut text);
        assert_eq!(backend.occupancy().free, before.positions - CONTEXT);
        assert_eq!(backend.occupancy().running, 1);
        backend.cancel(0);
        let (ids, _, reason) = to_end(backend, 0);
        assert_eq!((ids.len(), reason), (0, FinishReason::Cancelled));
        assert_eq!(backend.occupancy().free, before.positions - 16);
        // It goes on with what it has.
        backend.start(Turn::next(0), b"b", &sampled(1, 10)).unwrap();
        to_end(backend, 0);
        assert_eq!(backend.occupancy().free, before.positions - 16);
        backend.forget(0).unwrap();
        assert_eq!(backend.occupancy(), before);
    });
}

#[test]
fn what_a_session_cannot_take_is_refused_and_it_stays_as_it_was() {
    with_model(OPTIONS, |backend| {
        let go = |backend: &mut TransformerBackend, turn, prompt: &[u8]| {
            backend.start(turn, prompt, &sampled(3, 4))
        };
        assert_eq!(
            go(backend, Turn::next(3), b"a"),
            Err(GenerateError::NothingThere)
        );
        assert_eq!(
            go(backend, Turn::first(32), b"a"),
            Err(GenerateError::NoSuchSession {
                session: 32,
                limit: 32
            })
        );
        assert_eq!(
            backend.forget(32),
            Err(GenerateError::NoSuchSession {
                session: 32,
                limit: 32
            })
        );
        let mut row = tokenize(backend, "hello", true);
        go(backend, Turn::first(3), b"hello").unwrap();
        assert_eq!(go(backend, Turn::first(3), b"a"), Err(GenerateError::Busy));
        assert_eq!(backend.forget(3), Err(GenerateError::Busy));
        row.extend(to_end(backend, 3).0);
        for (prompt, error) in [
            (&[b'a'; 60][..], {
                GenerateError::ContextFull {
                    tokens: row.len() + 61,
                    limit: CONTEXT,
                }
            }),
            (&[b'a'; 257], {
                GenerateError::PromptBytes {
                    bytes: 257,
                    limit: 256,
                }
            }),
            (b"a\xFF", GenerateError::NotUtf8 { offset: 1 }),
            (b"", GenerateError::EmptyPrompt),
        ] {
            assert_eq!(go(backend, Turn::next(3), prompt), Err(error));
        }
        // One token less than the context is too many; two less leave room for one.
        let room = CONTEXT - row.len();
        assert!(matches!(
            go(backend, Turn::next(3), &vec![b'a'; room - 1]),
            Err(GenerateError::ContextFull {
                tokens: CONTEXT,
                ..
            })
        ));
        let prompt = "a".repeat(room - 2);
        row.extend(tokenize(backend, &prompt, false));
        go(backend, Turn::next(3), prompt.as_bytes()).unwrap();
        let last = to_end(backend, 3);
        assert_eq!(last, alone(KvType::Q8, &row, &sampled(3, 4)));
        assert_eq!((last.0.len(), last.2), (1, FinishReason::ContextFull));
        assert_eq!(
            go(backend, Turn::next(3), b"a"),
            Err(GenerateError::ContextFull {
                tokens: CONTEXT + 2,
                limit: CONTEXT
            })
        );
    });
}

/// A request that waits needs blocks which only a session holds whose own request waits behind it.
#[test]
fn requests_that_wait_do_not_wait_for_one_another() {
    let options = LoadOptions {
        positions: Positions::Exactly(CONTEXT),
        ..OPTIONS
    };
    with_model(options, |backend| {
        let mut row = tokenize(backend, "hello there", true);
        backend
            .start(Turn::first(0), b"hello there", &sampled(1, 4))
            .unwrap();
        row.extend(to_end(backend, 0).0);
        assert!(reserved(backend, 0) > 0);
        backend
            .start(Turn::only(1), b"first", &sampled(2, 60))
            .unwrap();
        row.extend(tokenize(backend, "again", false));
        backend
            .start(Turn::next(0), b"again", &sampled(3, 4))
            .unwrap();
        let (mut text, mut ended, mut ids) = (Text::new(), Vec::new(), Vec::new());
        while ended.len() < 2 {
            match backend.step(&mut text) {
                Progress::Session(0, Ok(Step::Token { id })) => ids.push(id),
                Progress::Session(n, Ok(Step::Finished { .. })) => ended.push(n),
                Progress::Working | Progress::Session(_, Ok(_)) => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(ended, [1, 0], "in the order of their arrival");
        assert_eq!(ids, alone(KvType::Q8, &row, &sampled(3, 4)).0);
    });
}

/// Steps until there is nothing to do. What came: how far prompts were read, tokens, ends.
fn to_rest(backend: &mut TransformerBackend) -> Vec<(usize, Step)> {
    let (mut steps, mut text) = (Vec::new(), Text::new());
    loop {
        match backend.step(&mut text) {
            Progress::Idle => return steps,
            Progress::Working => {}
            Progress::Session(n, step) => steps.push((n, step.unwrap())),
            other @ Progress::Evicted(_) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_session_without_credit_reads_its_prompt_and_rests_until_it_is_granted_some() {
    with_model(OPTIONS, |backend| {
        let params = sampled(5, 9);
        let expected = alone(KvType::Q8, &tokenize(backend, "hello there", true), &params);
        let turn = Turn {
            credit: 0,
            ..Turn::first(2)
        };
        let total = backend.start(turn, b"hello there", &params).unwrap();
        // The last token would bring the logits of the next.
        let done = total - 1;
        assert_eq!(to_rest(backend), [(2, Step::Prefill { done, total })]);
        let mut got = Vec::new();
        for (granted, tokens) in [(0, 0), (1, 1), (1, 0), (0, 0), (4, 3), (3, 0), (9, 5)] {
            backend.grant(2, granted);
            let mut steps = to_rest(backend);
            if granted == 9 {
                let end = Step::Finished {
                    reason: FinishReason::MaxTokens,
                    prompt_tokens: total,
                    generated: 9,
                };
                assert_eq!(steps.pop(), Some((2, end)), "the end needs no credit");
            }
            assert_eq!(steps.len(), tokens, "{granted} granted");
            got.extend(steps.into_iter().map(|(_, step)| match step {
                Step::Token { id } => id,
                other => panic!("{other:?}"),
            }));
        }
        assert_eq!(got, expected.0);
        // Nobody has these, or they have no request.
        backend.grant(2, 9);
        backend.grant(usize::MAX, 9);
        assert_eq!(to_rest(backend), []);
        // What was granted was for that turn alone.
        let turn = Turn {
            fresh: false,
            ..turn
        };
        backend.start(turn, b"more", &params).unwrap();
        assert!(matches!(to_rest(backend)[..], [(2, Step::Prefill { .. })]));
        backend.cancel(2);
        assert!(matches!(
            to_rest(backend)[..],
            [(
                2,
                Step::Finished {
                    reason: FinishReason::Cancelled,
                    generated: 0,
                    ..
                }
            )]
        ));
    });
}

/// Room that a session which rests has is its own: who waits for it waits, and nothing is tried over and over.
#[test]
fn a_request_waits_for_the_room_of_one_that_rests_and_both_can_be_cancelled() {
    let options = LoadOptions {
        positions: Positions::Exactly(CONTEXT),
        ..OPTIONS
    };
    with_model(options, |backend| {
        let resting = Turn {
            credit: 2,
            ..Turn::first(0)
        };
        let cancelled = |prompt_tokens, generated| Step::Finished {
            reason: FinishReason::Cancelled,
            prompt_tokens,
            generated,
        };
        let row = tokenize(backend, "waits", true);
        let expected = alone(KvType::Q8, &row, &sampled(7, 6)).0;
        for ends_first in [0, 1] {
            let first = backend.start(resting, b"hello", &sampled(6, 60)).unwrap();
            let second = backend
                .start(Turn::only(1), b"waits", &sampled(7, 6))
                .unwrap();
            let steps = to_rest(backend);
            assert!(steps.iter().all(|(n, _)| *n == 0), "{steps:?}");
            let occupancy = backend.occupancy();
            assert_eq!((occupancy.running, occupancy.waiting), (1, 1));
            backend.cancel(ends_first);
            if ends_first == 1 {
                assert_eq!(to_rest(backend), [(1, cancelled(second, 0))]);
                backend.cancel(0);
                assert_eq!(to_rest(backend), [(0, cancelled(first, 2))]);
                continue;
            }
            let mut steps = to_rest(backend);
            assert_eq!(steps.remove(0), (0, cancelled(first, 2)));
            let tokens = steps.iter().filter_map(|(n, step)| match step {
                Step::Token { id } => Some((*n, *id)),
                _ => None,
            });
            assert!(tokens.eq(expected.iter().map(|id| (1, *id))));
        }
    });
}

/// All there can be, two turns each, in lockstep.
#[test]
fn thirty_two_sessions_at_once_each_get_what_they_get_alone() {
    for kv in [KvType::F32, KvType::Q8] {
        with_model(LoadOptions { kv, ..OPTIONS }, |backend| {
            assert_eq!(backend.occupancy().positions, MAX_SESSIONS * CONTEXT);
            let mut rows = vec![Vec::new(); MAX_SESSIONS];
            for turn in 0..2 {
                let params = |n: usize| sampled(100 * turn + n as u64, 12);
                for (n, row) in rows.iter_mut().enumerate() {
                    let prompt = format!("{} say {}", char::from(b'a' + n as u8 % 26), n % 10);
                    row.extend(tokenize(backend, &prompt, turn == 0));
                    let turn = if turn == 0 {
                        Turn::first(n)
                    } else {
                        Turn::next(n)
                    };
                    backend.start(turn, prompt.as_bytes(), &params(n)).unwrap();
                }
                let mut got = vec![(Vec::new(), String::new()); MAX_SESSIONS];
                let mut reasons = [None; MAX_SESSIONS];
                let (mut text, mut most) = (Text::new(), 0);
                while reasons.contains(&None) {
                    let Progress::Session(n, step) = backend.step(&mut text) else {
                        continue;
                    };
                    most = most.max(backend.occupancy().running);
                    match step.unwrap() {
                        Step::Prefill { .. } => {}
                        Step::Token { id } => {
                            got[n].0.push(id);
                            got[n].1.push_str(&text);
                        }
                        Step::Finished { reason, .. } => reasons[n] = Some(reason),
                    }
                    let unfinished = || (0..MAX_SESSIONS).filter(|&n| reasons[n].is_none());
                    let counts = || unfinished().map(|n| got[n].0.len());
                    let (least, most) = (counts().min(), counts().max());
                    assert!(
                        most <= least.map(|least| least + 1),
                        "one token each, then the next"
                    );
                }
                assert_eq!(most, MAX_SESSIONS);
                for (n, (ids, shown)) in got.into_iter().enumerate() {
                    let expected = alone(kv, &rows[n], &params(n));
                    rows[n].extend(&ids);
                    assert_eq!((ids, shown, reasons[n].unwrap()), expected, "{kv:?} {n}");
                }
            }
        });
    }
}

/// Sessions that the property plays with; a pool for fewer.
const PLAYERS: usize = 6;

const PROMPTS: [&str; 5] = [
    "a",
    "hello there",
    "of the end.",
    "x y z",
    "longer than the others are",
];

#[derive(Clone, Debug)]
enum Act {
    Start {
        turn: Turn,
        prompt: usize,
        max_tokens: u32,
        seed: u64,
    },
    Grant(usize, u32),
    Cancel(usize),
    Forget(usize),
    Steps(usize),
}

/// Little, so that many rest, or more than is ever needed.
fn credit() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0u32..12, 1 => 12u32..40, 1 => Just(u32::MAX)]
}

fn act() -> impl Strategy<Value = Act> {
    let session = 0..PLAYERS;
    prop_oneof![
        4 => (
            session.clone(), any::<bool>(), any::<bool>(), credit(), 0..PROMPTS.len(), 1u32..40, 0u64..3,
        ).prop_map(
            |(session, fresh, keep, credit, prompt, max_tokens, seed)| {
                let turn = Turn { session, fresh, keep: keep || fresh, credit };
                Act::Start { turn, prompt, max_tokens, seed }
            }
        ),
        4 => (session.clone(), credit()).prop_map(|(session, tokens)| Act::Grant(session, tokens)),
        1 => session.clone().prop_map(Act::Cancel),
        1 => session.prop_map(Act::Forget),
        6 => (1usize..60).prop_map(Act::Steps),
    ]
}

/// A request as the model sees it.
#[derive(Debug)]
struct Expected {
    keep: bool,
    credit: u32,
    params: GenerateParams,
    prompt_tokens: u32,
    /// Tokens of the session before anything is generated.
    row: Vec<u32>,
    ids: Vec<u32>,
    shown: String,
    cancelled: bool,
}

/// What a session is: its tokens, and its request.
#[derive(Debug, Default)]
struct Player {
    row: Vec<u32>,
    request: Option<Expected>,
    /// When it became idle.
    idle_since: usize,
}

#[derive(Default)]
struct World {
    players: [Player; PLAYERS],
    /// Sessions with a request, in the order of arrival.
    arrivals: Vec<usize>,
    time: usize,
    /// What was run alone before.
    known: HashMap<(Vec<u32>, u32, u64), Generated>,
    evicted: usize,
    /// How often everybody rested or waited for one that does.
    rests: usize,
}

impl World {
    fn grant(&mut self, backend: &mut TransformerBackend, session: usize, tokens: u32) {
        backend.grant(session, tokens);
        if let Some(request) = &mut self.players[session].request {
            request.credit = request.credit.max(tokens);
        }
    }

    /// Nothing is left to do: each that has its room is out of credit and has not come to its end, and the others wait
    /// for it.
    fn rest(&mut self, backend: &TransformerBackend) {
        let running = backend.occupancy().running;
        assert!(
            running > 0 || self.arrivals.is_empty(),
            "{:?} wait for nobody",
            self.arrivals
        );
        self.rests += usize::from(running > 0);
        for &n in &self.arrivals[..running] {
            let (row, request) = (&self.players[n].row, self.players[n].request.as_ref());
            let request = request.unwrap();
            let generated = request.ids.len() as u32;
            assert!(generated >= request.credit, "{n} could go on");
            assert!(generated < request.params.max_tokens && row.len() < CONTEXT);
            assert!(!request.cancelled);
        }
    }

    fn start(
        &mut self,
        backend: &mut TransformerBackend,
        turn: Turn,
        prompt: &str,
        params: GenerateParams,
    ) {
        let ids = tokenize(backend, prompt, turn.fresh);
        let got = backend.start(turn, prompt.as_bytes(), &params);
        let player = &mut self.players[turn.session];
        let tokens = player.row.len() + ids.len();
        if player.request.is_some() {
            assert_eq!(got, Err(GenerateError::Busy));
        } else if !turn.fresh && player.row.is_empty() {
            assert_eq!(got, Err(GenerateError::NothingThere));
        } else if !turn.fresh && tokens >= CONTEXT {
            let limit = CONTEXT;
            assert_eq!(got, Err(GenerateError::ContextFull { tokens, limit }));
        } else {
            let prompt_tokens = ids.len() as u32;
            assert_eq!(got, Ok(prompt_tokens));
            if turn.fresh {
                player.row.clear();
            }
            player.row.extend(ids);
            player.request = Some(Expected {
                keep: turn.keep,
                credit: turn.credit,
                params,
                prompt_tokens,
                row: player.row.clone(),
                ids: Vec::new(),
                shown: String::new(),
                cancelled: false,
            });
            self.arrivals.push(turn.session);
        }
    }

    /// One step, and everything that must hold after it. True if there is more to do.
    fn step(&mut self, backend: &mut TransformerBackend, kv: KvType) -> bool {
        let before: Vec<usize> = (0..PLAYERS).map(|n| reserved(backend, n)).collect();
        let running = backend.occupancy().running;
        let mut text = Text::new();
        match backend.step(&mut text) {
            Progress::Idle => {
                self.rest(backend);
                return false;
            }
            Progress::Working | Progress::Session(_, Ok(Step::Prefill { .. })) => {}
            Progress::Session(n, Ok(Step::Token { id })) => {
                let request = self.players[n].request.as_mut().unwrap();
                request.ids.push(id);
                request.shown.push_str(&text);
                let generated = request.ids.len() as u32;
                assert!(generated <= request.credit, "{n} goes beyond its credit");
                self.players[n].row.push(id);
                let place = self.arrivals.iter().position(|&of| of == n).unwrap();
                let running = backend.occupancy().running;
                assert!(place < running, "{n} overtakes: {:?}", self.arrivals);
            }
            Progress::Session(
                n,
                Ok(Step::Finished {
                    reason,
                    prompt_tokens,
                    generated,
                }),
            ) => self.finish(n, reason, [prompt_tokens, generated], kv),
            Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
            Progress::Evicted(n) => {
                self.evicted += 1;
                let idle = (0..PLAYERS)
                    .filter(|&n| self.players[n].request.is_none() && before[n] > 0)
                    .min_by_key(|&n| self.players[n].idle_since);
                assert_eq!(Some(n), idle, "the longest idle");
                // It gives the first that waits its room, now or with others that are idle.
                let first = self.arrivals[running];
                let request = self.players[first].request.as_ref().unwrap();
                let wanted = request.row.len() + request.params.max_tokens as usize;
                let wanted = wanted.min(CONTEXT).next_multiple_of(16);
                let taken: usize = self.arrivals[..running].iter().map(|&n| before[n]).sum();
                assert!(wanted + taken <= backend.occupancy().positions);
                self.players[n].row.clear();
            }
        }
        self.check(backend);
        true
    }

    fn finish(&mut self, n: usize, reason: FinishReason, counts: [u32; 2], kv: KvType) {
        let player = &mut self.players[n];
        let request = player.request.take().unwrap();
        assert_eq!(counts, [request.prompt_tokens, request.ids.len() as u32]);
        let params = request.params;
        let key = (request.row, params.max_tokens, params.sampler.seed);
        let expected = self
            .known
            .entry(key)
            .or_insert_with_key(|(row, ..)| alone(kv, row, &params));
        if reason == FinishReason::Cancelled {
            assert!(request.cancelled);
            assert!(expected.0.starts_with(&request.ids));
            assert!(expected.1.starts_with(&request.shown));
        } else {
            assert_eq!((request.ids, request.shown, reason), *expected);
        }
        if !request.keep {
            player.row.clear();
        }
        player.idle_since = self.time;
        self.time += 1;
        self.arrivals.retain(|&of| of != n);
    }

    fn check(&self, backend: &mut TransformerBackend) {
        let occupancy = backend.occupancy();
        assert_eq!(occupancy.running + occupancy.waiting, self.arrivals.len());
        let held: usize = (0..PLAYERS).map(|n| reserved(backend, n)).sum();
        assert_eq!(
            held + occupancy.free,
            occupancy.positions,
            "no block is lost"
        );
        for &n in &self.arrivals[..occupancy.running] {
            let request = self.players[n].request.as_ref().unwrap();
            let wanted = request.row.len() + request.params.max_tokens as usize;
            assert!(
                reserved(backend, n) >= wanted.min(CONTEXT),
                "{n} is cut short"
            );
        }
        for (n, player) in self.players.iter().enumerate() {
            let has = reserved(backend, n);
            assert!(!player.row.is_empty() || has == 0, "{n} holds what it lost");
        }
    }
}

/// Plays `acts`, lets everything come to its end, and forgets everything. How many sessions were evicted, and how often
/// all rested.
fn play(kv: KvType, positions: usize, acts: Vec<Act>) -> (usize, usize) {
    let options = LoadOptions {
        kv,
        sessions: PLAYERS,
        positions: Positions::Exactly(positions),
        ..OPTIONS
    };
    with_model(options, |backend| {
        let mut world = World::default();
        for act in acts {
            match act {
                Act::Start {
                    turn,
                    prompt,
                    max_tokens,
                    seed,
                } => world.start(backend, turn, PROMPTS[prompt], sampled(seed, max_tokens)),
                Act::Grant(n, tokens) => world.grant(backend, n, tokens),
                Act::Cancel(n) => {
                    backend.cancel(n);
                    if let Some(request) = &mut world.players[n].request {
                        request.cancelled = true;
                    }
                }
                Act::Forget(n) => {
                    let got = backend.forget(n);
                    if world.players[n].request.is_some() {
                        assert_eq!(got, Err(GenerateError::Busy));
                    } else {
                        assert_eq!(got, Ok(()));
                        world.players[n].row.clear();
                    }
                }
                Act::Steps(count) => {
                    for _ in 0..count {
                        if !world.step(backend, kv) {
                            break;
                        }
                    }
                }
            }
            world.check(backend);
        }
        let rests = world.rests;
        for steps in 0u32.. {
            assert!(
                steps < 10_000,
                "somebody waits for ever: {:?}",
                world.arrivals
            );
            if world.step(backend, kv) {
                continue;
            }
            // The first of all has its room, so it rests; it is granted a few tokens more.
            let Some(&first) = world.arrivals.first() else {
                break;
            };
            let request = world.players[first].request.as_ref().unwrap();
            let tokens = request.ids.len() as u32 + 1 + steps % 5;
            world.grant(backend, first, tokens);
        }
        for n in 0..PLAYERS {
            backend.forget(n).unwrap();
        }
        let occupancy = backend.occupancy();
        assert_eq!(occupancy.free, occupancy.positions);
        (world.evicted, rests)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any interleaving of turns, credit, rests, cancels and evictions gives each session what it gets alone. Requests
    /// are served in order and never cut short, none goes beyond its credit, none rests that has some, and no block of
    /// the cache is lost.
    #[test]
    fn any_interleaving_gives_each_session_what_it_gets_alone(
        acts in prop::collection::vec(act(), 1..40),
        exact in any::<bool>(),
        pool in 4usize..=10,
    ) {
        let kv = if exact { KvType::F32 } else { KvType::Q8 };
        play(kv, pool * 16, acts);
    }
}

/// The property would be hollow if nothing were ever evicted, or nobody ever rested.
#[test]
fn the_interleavings_have_evictions_and_rests_in_them() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut evicted, mut rested) = (0, 0);
    for _ in 0..12 {
        let acts = prop::collection::vec(act(), 30..40);
        let acts = acts.new_tree(&mut runner).unwrap().current();
        let (evictions, rests) = play(KvType::Q8, CONTEXT, acts);
        evicted += usize::from(evictions > 0);
        rested += usize::from(rests > 0);
    }
    assert!(
        evicted >= 6 && rested >= 6,
        "evictions in {evicted} of 12, rests in {rested}"
    );
}
