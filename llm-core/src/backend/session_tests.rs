//! Sessions compared with a reference model: for each, a row of tokens that is run alone.

use super::*;
use crate::generate::{FinishReason, Step};
use crate::kv_cache::{BLOCK_POSITIONS, Known};
use crate::sampling::SamplerParams;
use crate::simd::Cpu;
use crate::testing::{GgufWriter, Memory, Shape, family, model};
use crate::tokenizer::{Cell, EncodeOptions, scratch_cells};
use crate::transformer::{MAX_SESSIONS, Positions};
use proptest::prelude::*;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

const CONTEXT: usize = 64;

pub(super) const OPTIONS: LoadOptions = LoadOptions {
    context: CONTEXT,
    kv: KvType::Q8,
    sessions: MAX_SESSIONS,
    positions: Positions::Fill,
    max_prompt_bytes: 256,
    cpu: Cpu::SCALAR,
    workers: 1,
};

/// Configuration under test.
#[derive(Clone, Copy, Debug)]
struct Subject {
    kv: KvType,
    /// gemma3 (sliding window, head norms and two RoPE tables) instead of llama.
    windowed: bool,
}

impl Subject {
    fn file(self) -> GgufWriter {
        match self.windowed {
            true => family("gemma3", Shape::default()),
            false => model(Shape::default()),
        }
    }
}

pub(super) fn with_model<T>(
    options: LoadOptions,
    run: impl FnOnce(&mut TransformerBackend) -> T,
) -> T {
    with_file(&model(Shape::default()), options, run)
}

fn with_file<T>(
    file: &GgufWriter,
    options: LoadOptions,
    run: impl FnOnce(&mut TransformerBackend) -> T,
) -> T {
    let mut memory = Memory::new(4 << 20);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options);
    backend.load(&file.finish()).unwrap();
    run(&mut backend)
}

pub(super) fn sampled(seed: u64, max_tokens: u32) -> GenerateParams {
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
pub(super) type Generated = (Vec<u32>, String, FinishReason);

/// Continuation of `row` in one turn, on a backend with nothing else to do.
pub(super) fn alone(kv: KvType, row: &[u32], params: &GenerateParams) -> Generated {
    let windowed = false;
    alone_on(Subject { kv, windowed }, row, params)
}

fn alone_on(subject: Subject, row: &[u32], params: &GenerateParams) -> Generated {
    let options = LoadOptions {
        kv: subject.kv,
        sessions: 1,
        ..OPTIONS
    };
    with_file(&subject.file(), options, |backend| {
        backend
            .start(Turn::only(0), Prompt::Tokens(row), params)
            .unwrap();
        to_end(backend, 0)
    })
}

/// Steps until the only request, that of `session`, is over.
fn to_end(backend: &mut TransformerBackend, session: usize) -> Generated {
    let (mut ids, mut shown, mut text) = (Vec::new(), String::new(), Text::new());
    loop {
        match backend.step(&mut text) {
            Progress::Idle => panic!("a generation is under way"),
            Progress::Working => {}
            Progress::Evicted(other) => assert_ne!(other, session),
            Progress::Training(_) => panic!("nothing is trained"),
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

pub(super) fn tokenize(backend: &mut TransformerBackend, prompt: &str, fresh: bool) -> Vec<u32> {
    let (model, arena) = backend.parts().unwrap();
    let vocabulary = *model.vocabulary();
    let options = EncodeOptions {
        add_special: fresh,
        parse_special: false,
        parse_user_defined: true,
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

pub(super) fn reserved(backend: &mut TransformerBackend, session: usize) -> usize {
    let (model, arena) = backend.parts().unwrap();
    model.cache().reserved(arena, session)
}

#[test]
fn a_session_goes_on_where_it_stands() {
    with_model(OPTIONS, |backend| {
        let mut row = tokenize(backend, "hello there", true);
        let params = sampled(1, 9);
        backend
            .start(Turn::first(7), Prompt::Text(b"hello there"), &params)
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
            backend.start(Turn::next(7), Prompt::Text(more.as_bytes()), &params),
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
    // The batch is eight tokens, so a prompt takes several.
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
        .start(Turn::first(0), Prompt::Text(&[b'a'; 30]), &sampled(1, 1))
        .unwrap();
    assert_eq!(first_batch(&mut backend), (8, 32));
    to_end(&mut backend, 0);
    backend
        .start(Turn::next(0), Prompt::Text(&[b'b'; 20]), &sampled(1, 1))
        .unwrap();
    // The last generated token has not been through the model.
    assert_eq!(first_batch(&mut backend), (32 + 8, 32 + 1 + 21));
}

#[test]
fn an_idle_session_holds_blocks_for_its_tokens_alone() {
    with_model(OPTIONS, |backend| {
        let before = backend.occupancy();
        assert_eq!((before.running, before.waiting), (0, 0));
        backend
            .start(Turn::first(0), Prompt::Text(b"a"), &sampled(1, 60))
            .unwrap();
        let mut text = Text::new();
        backend.step(&mut text);
        assert_eq!(backend.occupancy().free, before.positions - CONTEXT);
        assert_eq!(backend.occupancy().running, 1);
        backend.cancel(0);
        let (ids, _, reason) = to_end(backend, 0);
        assert_eq!((ids.len(), reason), (0, FinishReason::Cancelled));
        assert_eq!(backend.occupancy().free, before.positions - 16);
        // It continues with what it has.
        backend
            .start(Turn::next(0), Prompt::Text(b"b"), &sampled(1, 10))
            .unwrap();
        to_end(backend, 0);
        assert_eq!(backend.occupancy().free, before.positions - 16);
        backend.forget(0).unwrap();
        let after = backend.occupancy();
        assert_eq!(
            (after.free, after.running, after.waiting),
            (before.free, 0, 0)
        );
    });
}

#[test]
fn what_a_session_cannot_take_is_refused_and_it_stays_as_it_was() {
    with_model(OPTIONS, |backend| {
        let go = |backend: &mut TransformerBackend, turn, prompt: &[u8]| {
            backend.start(turn, Prompt::Text(prompt), &sampled(3, 4))
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
        // One token less than the context is too many; two less leaves room for one.
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

/// A waiting request needs blocks held only by a session whose own request waits behind it.
#[test]
fn requests_that_wait_do_not_wait_for_one_another() {
    let options = LoadOptions {
        positions: Positions::Exactly(CONTEXT),
        ..OPTIONS
    };
    with_model(options, |backend| {
        let mut row = tokenize(backend, "hello there", true);
        backend
            .start(Turn::first(0), Prompt::Text(b"hello there"), &sampled(1, 4))
            .unwrap();
        row.extend(to_end(backend, 0).0);
        assert!(reserved(backend, 0) > 0);
        backend
            .start(Turn::only(1), Prompt::Text(b"first"), &sampled(2, 60))
            .unwrap();
        row.extend(tokenize(backend, "again", false));
        backend
            .start(Turn::next(0), Prompt::Text(b"again"), &sampled(3, 4))
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

/// Steps until there is nothing to do; returns prompt progress, tokens and ends.
fn to_rest(backend: &mut TransformerBackend) -> Vec<(usize, Step)> {
    let (mut steps, mut text) = (Vec::new(), Text::new());
    loop {
        match backend.step(&mut text) {
            Progress::Idle => return steps,
            Progress::Working => {}
            Progress::Session(n, step) => steps.push((n, step.unwrap())),
            other @ (Progress::Evicted(_) | Progress::Training(_)) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_session_without_credit_rests_until_it_is_granted_some() {
    with_model(OPTIONS, |backend| {
        let params = sampled(5, 9);
        let expected = alone(KvType::Q8, &tokenize(backend, "hello there", true), &params);
        let turn = Turn {
            credit: 0,
            ..Turn::first(2)
        };
        let total = backend
            .start(turn, Prompt::Text(b"hello there"), &params)
            .unwrap();
        assert_eq!(to_rest(backend), []);
        assert_eq!(reserved(backend, 2), 0, "it needs no room yet");
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
        // These sessions do not exist, or have no request.
        backend.grant(2, 9);
        backend.grant(usize::MAX, 9);
        assert_eq!(to_rest(backend), []);
        // The credit was only for that turn.
        let turn = Turn {
            fresh: false,
            ..turn
        };
        backend.start(turn, Prompt::Text(b"more"), &params).unwrap();
        assert_eq!(to_rest(backend), []);
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

/// A pool for only one session.
const ONE: LoadOptions = LoadOptions {
    positions: Positions::Exactly(CONTEXT),
    ..OPTIONS
};

fn with_credit(turn: Turn, credit: u32) -> Turn {
    Turn { credit, ..turn }
}

/// Steps until the request of `session` has its room.
fn until_running(backend: &mut TransformerBackend, session: usize) -> Vec<Progress> {
    let (mut steps, mut text) = (Vec::new(), Text::new());
    while !backend.is_running(session) {
        steps.push(backend.step(&mut text));
        assert_ne!(
            steps.last(),
            Some(&Progress::Idle),
            "{session} waits for nobody"
        );
    }
    steps
}

/// The tokens generated for `session`.
fn tokens_of(steps: &[(usize, Step)], session: usize) -> Vec<u32> {
    let token = |&(n, step): &(usize, Step)| match step {
        Step::Token { id } if n == session => Some(id),
        _ => None,
    };
    steps.iter().filter_map(token).collect()
}

#[test]
fn a_request_takes_the_room_of_one_that_rests_which_goes_on_as_if_nothing_had_been() {
    for kv in [KvType::F32, KvType::Q8] {
        with_model(LoadOptions { kv, ..ONE }, |backend| {
            // The penalty counts the prompt and the earlier tokens; the sampler has drawn three times.
            let params = sampled(6, 40);
            let expected = alone(kv, &tokenize(backend, "hello", true), &params);
            let other = alone(kv, &tokenize(backend, "other", true), &sampled(7, 50));
            let turn = with_credit(Turn::first(0), 3);
            backend
                .start(turn, Prompt::Text(b"hello"), &params)
                .unwrap();
            let mut ids = tokens_of(&to_rest(backend), 0);
            assert_eq!((ids.len(), reserved(backend, 0) > 0), (3, true));

            backend
                .start(Turn::only(1), Prompt::Text(b"other"), &sampled(7, 50))
                .unwrap();
            let steps = to_rest(backend);
            assert_eq!(tokens_of(&steps, 1), other.0);
            assert!(matches!(
                steps.last(),
                Some((1, Step::Finished { reason, .. })) if *reason == other.2
            ));
            assert_eq!(tokens_of(&steps, 0), []);
            assert_eq!(reserved(backend, 0), 0);
            let occupancy = backend.occupancy();
            assert_eq!((occupancy.running, occupancy.waiting), (0, 1));
            assert_eq!(occupancy.free, occupancy.positions);

            backend.grant(0, 40);
            let steps = to_rest(backend);
            ids.extend(tokens_of(&steps, 0));
            assert_eq!(ids, expected.0);
            assert!(matches!(
                steps.last(),
                Some((0, Step::Finished { reason, .. })) if *reason == expected.2
            ));
        });
    }
}

#[test]
fn a_request_whose_room_was_taken_can_be_cancelled_and_its_session_goes_on() {
    with_model(ONE, |backend| {
        let mut row = tokenize(backend, "hello", true);
        let turn = with_credit(Turn::first(0), 2);
        let prompt_tokens = backend
            .start(turn, Prompt::Text(b"hello"), &sampled(6, 50))
            .unwrap();
        row.extend(tokens_of(&to_rest(backend), 0));
        backend
            .start(Turn::only(1), Prompt::Text(b"other"), &sampled(7, 50))
            .unwrap();
        // It waits for a request at work. None of its own room can be taken, so credit makes no difference.
        until_running(backend, 1);
        backend.grant(0, 3);
        let occupancy = backend.occupancy();
        assert_eq!((occupancy.running, occupancy.waiting), (1, 1));
        backend.cancel(0);
        let end = Step::Finished {
            reason: FinishReason::Cancelled,
            prompt_tokens,
            generated: 2,
        };
        assert_eq!(to_rest(backend)[0], (0, end));
        row.extend(tokenize(backend, "more", false));
        let params = sampled(8, 9);
        backend
            .start(Turn::next(0), Prompt::Text(b"more"), &params)
            .unwrap();
        assert_eq!(to_end(backend, 0), alone(KvType::Q8, &row, &params));
    });
}

/// Four blocks: an idle session has one, two resting requests have one each.
#[test]
fn only_as_many_that_rest_give_room_as_must_the_longest_first_and_idle_sessions_before() {
    // A prompt of at most one block, including what is generated.
    let run = |needed: u32| {
        with_model(ONE, |backend| {
            backend
                .start(Turn::first(0), Prompt::Text(b"a"), &sampled(1, 4))
                .unwrap();
            to_end(backend, 0);
            for (n, credit) in [(2, 1), (1, 1)] {
                let turn = with_credit(Turn::first(n), credit);
                backend
                    .start(turn, Prompt::Text(b"a"), &sampled(1, 12))
                    .unwrap();
                to_rest(backend);
            }
            assert_eq!(
                [0, 1, 2].map(|n| reserved(backend, n)),
                [BLOCK_POSITIONS; 3]
            );
            let turn = with_credit(Turn::only(3), 1);
            backend
                .start(turn, Prompt::Text(b"a"), &sampled(1, needed))
                .unwrap();
            let steps = until_running(backend, 3);
            let evicted = steps.contains(&Progress::Evicted(0));
            (evicted, [1, 2].map(|n| backend.is_running(n)))
        })
    };
    assert_eq!(run(12), (false, [true, true]));
    assert_eq!(run(28), (true, [true, true]));
    assert_eq!(run(44), (true, [true, false]));
    assert_eq!(run(60), (true, [false, false]));
}

/// Four blocks, of which three sessions waiting for their next turns hold one each.
#[test]
fn what_waiting_sessions_hold_is_taken_first_from_whoever_is_served_last() {
    let run = |needed: u32| {
        with_model(ONE, |backend| {
            for n in 0..3 {
                backend
                    .start(Turn::first(n), Prompt::Text(b"a"), &sampled(1, 4))
                    .unwrap();
                to_end(backend, n);
            }
            backend
                .start(Turn::only(4), Prompt::Text(b"a"), &sampled(1, needed))
                .unwrap();
            for (n, credit) in [(2, 9), (0, 9), (1, 0)] {
                let turn = with_credit(Turn::next(n), credit);
                backend
                    .start(turn, Prompt::Text(b"b"), &sampled(1, 60))
                    .unwrap();
            }
            until_running(backend, 4);
            [2, 0, 1].map(|n| reserved(backend, n) > 0)
        })
    };
    assert_eq!(run(12), [true, true, true]);
    // The one without credit gives way first, then the last in the queue.
    assert_eq!(run(28), [true, true, false]);
    assert_eq!(run(44), [true, false, false]);
    assert_eq!(run(60), [false, false, false]);
}

/// The worst that clients can do to each other's cache: each grant makes the other's session recompute.
#[test]
fn two_that_rest_in_turn_take_each_others_room_at_most_once_a_grant() {
    with_model(ONE, |backend| {
        let params = [sampled(1, 30), sampled(2, 25)];
        let prompts = ["hello there", "x y z"];
        let mut taken = [0; 2];
        let (mut grants, mut text) = ([0u32; 2], Text::new());
        let (mut got, mut ended) = ([Vec::new(), Vec::new()], [None; 2]);
        for (n, prompt) in prompts.iter().enumerate() {
            let turn = with_credit(Turn::only(n), 0);
            backend
                .start(turn, Prompt::Text(prompt.as_bytes()), &params[n])
                .unwrap();
        }
        while ended.contains(&None) {
            for n in 0..2 {
                grants[n] += u32::from(ended[n].is_none());
                backend.grant(n, grants[n]);
                loop {
                    let running = [0, 1].map(|n| backend.is_running(n));
                    let progress = backend.step(&mut text);
                    for other in 0..2 {
                        let ends = ended[other].is_some();
                        let is_taken = running[other] && !backend.is_running(other) && !ends;
                        let finishes = matches!(
                            progress,
                            Progress::Session(of, Ok(Step::Finished { .. })) if of == other
                        );
                        taken[other] += u32::from(is_taken && !finishes);
                    }
                    match progress {
                        Progress::Idle => break,
                        Progress::Session(of, Ok(Step::Token { id })) => got[of].push(id),
                        Progress::Session(of, Ok(Step::Finished { reason, .. })) => {
                            ended[of] = Some(reason);
                        }
                        Progress::Working | Progress::Session(_, Ok(_)) => {}
                        other => panic!("{other:?}"),
                    }
                }
                assert_eq!(
                    got[n].len(),
                    grants[n] as usize,
                    "{n} has what it was granted"
                );
            }
        }
        for n in 0..2 {
            let row = tokenize(backend, prompts[n], true);
            let expected = alone(KvType::Q8, &row, &params[n]);
            assert_eq!((&got[n], ended[n]), (&expected.0, Some(expected.2)));
            assert!(
                taken[n] > 0 && taken[n] < grants[n],
                "{taken:?} of {grants:?}"
            );
        }
    });
}

/// As many sessions as possible, two turns each, in lockstep.
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
                    backend
                        .start(turn, Prompt::Text(prompt.as_bytes()), &params(n))
                        .unwrap();
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

/// Sessions in the property test; the pool is for fewer.
pub(super) const PLAYERS: usize = 6;

pub(super) const PROMPTS: [&str; 6] = [
    "a",
    "hello there",
    "of the end.",
    "x y z",
    "longer than the others are",
    "longer than the others, too",
];

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a few dozen of them, in a test")]
pub(super) enum Act {
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

/// Either little, so that many rest, or more than is ever needed.
fn credit() -> impl Strategy<Value = u32> {
    prop_oneof![3 => 0u32..12, 1 => 12u32..40, 1 => Just(u32::MAX)]
}

/// One of three owners, of which one asks more often.
fn owner() -> impl Strategy<Value = u32> {
    prop_oneof![3 => Just(0), 1 => Just(1), 1 => Just(u32::MAX)]
}

pub(super) fn act() -> impl Strategy<Value = Act> {
    let session = 0..PLAYERS;
    prop_oneof![
        4 => (
            session.clone(), owner(), any::<bool>(), any::<bool>(), credit(), 0..PROMPTS.len(), 1u32..40, 0u64..3,
        ).prop_map(
            |(session, owner, fresh, keep, credit, prompt, max_tokens, seed)| {
                let turn = Turn { owner, fresh, keep: keep || fresh, credit, ..Turn::first(session) };
                Act::Start { turn, prompt, max_tokens, seed }
            }
        ),
        4 => (session.clone(), credit()).prop_map(|(session, tokens)| Act::Grant(session, tokens)),
        1 => session.clone().prop_map(Act::Cancel),
        1 => session.prop_map(Act::Forget),
        6 => (1usize..60).prop_map(Act::Steps),
    ]
}

/// A request in the reference model.
#[derive(Debug)]
struct Expected {
    keep: bool,
    credit: u32,
    params: GenerateParams,
    prompt_tokens: u32,
    /// Tokens of the session before generation.
    row: Vec<u32>,
    ids: Vec<u32>,
    shown: String,
    cancelled: bool,
}

impl Expected {
    fn rests(&self) -> bool {
        self.ids.len() >= self.credit as usize
    }

    /// Positions for the whole turn, in whole blocks.
    fn wanted(&self) -> usize {
        let tokens = self.row.len() + self.params.max_tokens as usize;
        tokens.min(CONTEXT).next_multiple_of(BLOCK_POSITIONS)
    }
}

/// Contents of shared cache blocks when first seen, by key.
#[derive(Default)]
pub(super) struct Contents(HashMap<(Option<u8>, Vec<u32>), u64>);

impl Contents {
    /// Checks that the cache's accounting adds up, and that each shareable block still holds what it held when first
    /// seen, whoever computed it, so nobody writes there.
    pub(super) fn check(&mut self, backend: &mut TransformerBackend) {
        let (model, arena) = backend.parts().unwrap();
        for known in model.cache().check(arena) {
            let content = model.cache().content(arena, usize::from(known.block));
            let mut hasher = DefaultHasher::new();
            content.hash(&mut hasher);
            let held = hasher.finish();
            let first = self.0.entry((known.adapter, known.tokens)).or_insert(held);
            assert_eq!(*first, held, "block {} was written", known.block);
        }
    }
}

/// Length of the longest prefix of a session's tokens that the cache has for it: in whole blocks, and in total.
fn in_cache(known: &[Known], owner: u32, row: &[u32]) -> [usize; 2] {
    let row = &row[..row.len() - 1];
    let of_owner = || {
        known
            .iter()
            .filter(|known| known.owner == owner && known.adapter.is_none())
    };
    let is_there = |positions: usize| of_owner().any(|known| known.tokens == row[..positions]);
    let whole = (0..=row.len()).step_by(BLOCK_POSITIONS).skip(1);
    let whole = whole.take_while(|&positions| is_there(positions)).last();
    let whole = whole.unwrap_or(0);
    let next = of_owner().filter(|known| known.tokens.len() == whole + BLOCK_POSITIONS);
    let alike = next.map(|known| {
        let tokens = known.tokens.iter().zip(row);
        tokens.take_while(|(its, token)| its == token).count()
    });
    [whole, alike.max().unwrap_or(0).max(whole)]
}

/// A session: its tokens and its request.
#[derive(Debug, Default)]
struct Player {
    owner: u32,
    row: Vec<u32>,
    request: Option<Expected>,
    /// The request has its room.
    running: bool,
    /// When it became idle or began to rest.
    still_since: usize,
}

impl Player {
    fn rests(&self) -> bool {
        self.request.as_ref().is_some_and(Expected::rests)
    }
}

#[derive(Default)]
struct World {
    players: [Player; PLAYERS],
    /// Sessions whose requests have credit but no room, in order of arrival or of being granted credit.
    queue: Vec<usize>,
    time: usize,
    /// Results of earlier runs alone.
    known: HashMap<(Vec<u32>, u32, u64), Generated>,
    evicted: usize,
    /// How often all requests rested.
    rests: usize,
    /// How often a resting request lost its room.
    taken: usize,
    contents: Contents,
    /// Tokens that needed no computation.
    reused: u64,
}

impl World {
    fn grant(&mut self, backend: &mut TransformerBackend, session: usize, tokens: u32) {
        backend.grant(session, tokens);
        let player = &mut self.players[session];
        let rested = player.rests();
        if let Some(request) = &mut player.request {
            request.credit = request.credit.max(tokens);
        }
        if rested && !player.rests() && !player.running {
            self.queue.push(session);
        }
    }

    fn requests(&self) -> impl Iterator<Item = usize> {
        (0..PLAYERS).filter(|&n| self.players[n].request.is_some())
    }

    /// Positions that the whole turn of `n` needs.
    fn wanted(&self, n: usize) -> usize {
        self.players[n].request.as_ref().unwrap().wanted()
    }

    /// Nothing is left to do: no request has credit, and none is at its end.
    fn rest(&mut self) {
        let any = self.requests().next().is_some();
        self.rests += usize::from(any);
        assert_eq!(self.queue, [], "they wait for nobody");
        for n in self.requests() {
            let (row, request) = (&self.players[n].row, self.players[n].request.as_ref());
            let request = request.unwrap();
            assert!(request.rests(), "{n} could go on");
            assert!(request.ids.len() < request.params.max_tokens as usize);
            assert!(row.len() < CONTEXT && !request.cancelled);
        }
    }

    /// Which requests began in a step, and which lost their room. `ended` came to its end in it. `before`: positions
    /// that each had.
    fn transitions(
        &mut self,
        backend: &TransformerBackend,
        before: &[usize],
        ended: Option<usize>,
        evicts: bool,
    ) {
        let running: Vec<bool> = (0..PLAYERS).map(|n| backend.is_running(n)).collect();
        let has = |n: usize| self.players[n].running && ended != Some(n);
        let (taken, kept): (Vec<_>, Vec<_>) =
            (0..PLAYERS).filter(|&n| has(n)).partition(|&n| !running[n]);
        let begun = (0..PLAYERS).filter(|&n| !self.players[n].running && running[n]);
        let begun = begun.count();
        assert!(
            self.queue[..begun].iter().all(|&n| running[n]),
            "none overtakes"
        );

        // Of those that gave up their room, even the one that rested last was needed.
        if let Some(&last) = taken.iter().max_by_key(|&&n| self.players[n].still_since) {
            for &n in &taken {
                assert!(self.players[n].rests(), "{n} has credit and loses its room");
            }
            for &n in kept.iter().filter(|&&n| self.players[n].rests()) {
                assert!(self.players[n].still_since > self.players[last].still_since);
            }
            let held: usize = kept.iter().map(|&n| before[n]).sum::<usize>() + before[last];
            let ahead = |place: usize| {
                self.queue[..place]
                    .iter()
                    .map(|&n| self.wanted(n))
                    .sum::<usize>()
            };
            let positions = backend.occupancy().positions;
            let places = begun + usize::from(evicts);
            assert!(
                (0..places).any(|n| held + ahead(n) + self.wanted(self.queue[n]) > positions),
                "{last} gave its room for nobody"
            );
        }
        self.taken += taken.len();
        self.queue.drain(..begun);
        for (player, running) in self.players.iter_mut().zip(running) {
            player.running = running;
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
        let player = &mut self.players[turn.session];
        if !turn.fresh && player.request.is_none() && !player.row.is_empty() {
            let other = Turn {
                owner: player.owner ^ 1,
                ..turn
            };
            let refused = backend.start(other, Prompt::Text(prompt.as_bytes()), &params);
            assert_eq!(refused, Err(GenerateError::NothingThere));
        }
        let owner = match turn.fresh {
            true => turn.owner,
            false => player.owner,
        };
        let turn = Turn { owner, ..turn };
        let got = backend.start(turn, Prompt::Text(prompt.as_bytes()), &params);
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
            player.owner = owner;
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
            if turn.credit > 0 {
                self.queue.push(turn.session);
            }
        }
    }

    /// One step, and everything that must hold after it. True if there is more to do.
    fn step(&mut self, backend: &mut TransformerBackend, subject: Subject) -> bool {
        let before: Vec<usize> = (0..PLAYERS).map(|n| reserved(backend, n)).collect();
        let rested: Vec<bool> = self.players.iter().map(Player::rests).collect();
        let ran: Vec<bool> = self.players.iter().map(|player| player.running).collect();
        let (model, arena) = backend.parts().unwrap();
        let known = model.cache().check(arena);
        let has_free = model.cache().free_positions(arena);
        let mut text = Text::new();
        let progress = backend.step(&mut text);
        let ended = match progress {
            Progress::Session(n, Ok(Step::Finished { .. })) => Some(n),
            _ => None,
        };
        let evicts = matches!(progress, Progress::Evicted(_));
        // A request that begins with nothing in the cache reuses what its owner has there, unless another that begins
        // needed the room. One that had something may have lost it in this step.
        let begun: Vec<usize> = (0..PLAYERS)
            .filter(|&n| !ran[n] && backend.is_running(n))
            .collect();
        let spared = begun.iter().map(|&n| {
            let player = &self.players[n];
            in_cache(&known, player.owner, &player.row).map(|positions| positions as u64)
        });
        let spared: Vec<[u64; 2]> = spared.collect();
        let reused = backend.occupancy().reused - self.reused;
        self.reused += reused;
        let most: u64 = spared.iter().map(|[_, all]| all).sum();
        assert!(reused <= most, "{reused} of {most}");
        if let ([n], [[whole, all]]) = (&begun[..], &spared[..]) {
            let had_some = before[*n] > 0;
            // The block to copy from may be the only one left to copy to.
            let scarce = *whole == reused && has_free < 2 * BLOCK_POSITIONS;
            assert!(reused == *all || scarce || had_some && reused == 0);
        }
        self.transitions(backend, &before, ended, evicts);
        match progress {
            Progress::Training(_) => panic!("nothing is trained"),
            Progress::Idle => {
                self.rest();
                return false;
            }
            Progress::Working | Progress::Session(_, Ok(Step::Prefill { .. })) => {}
            Progress::Session(n, Ok(Step::Token { id })) => {
                let player = &mut self.players[n];
                assert!(player.running, "{n} has no room");
                let request = player.request.as_mut().unwrap();
                request.ids.push(id);
                request.shown.push_str(&text);
                let generated = request.ids.len() as u32;
                assert!(generated <= request.credit, "{n} goes beyond its credit");
                player.row.push(id);
                if player.rests() {
                    player.still_since = self.time;
                    self.time += 1;
                }
            }
            Progress::Session(
                n,
                Ok(Step::Finished {
                    reason,
                    prompt_tokens,
                    generated,
                }),
            ) => self.finish(n, reason, [prompt_tokens, generated], subject),
            Progress::Session(n, Err(error)) => panic!("{n}: {error}"),
            Progress::Evicted(n) => {
                self.evicted += 1;
                let idle = (0..PLAYERS)
                    .filter(|&n| self.players[n].request.is_none() && before[n] > 0)
                    .min_by_key(|&n| self.players[n].still_since);
                assert_eq!(Some(n), idle, "the longest idle");
                // It gives its room to the first waiting request, alone or together with other idle sessions.
                let running = (0..PLAYERS).filter(|&n| self.players[n].running);
                let taken: usize = running.map(|n| reserved(backend, n)).sum();
                let wanted = self.wanted(self.queue[0]);
                assert!(wanted + taken <= backend.occupancy().positions);
                self.players[n].row.clear();
            }
        }
        // If waiting requests were considered, the first waits for no resting one.
        if let (Some(&first), None, false) = (self.queue.first(), ended, evicts) {
            let at_work = (0..PLAYERS).filter(|&n| self.players[n].running && !rested[n]);
            let taken: usize = at_work.map(|n| reserved(backend, n)).sum();
            assert!(
                self.wanted(first) + taken > backend.occupancy().positions,
                "{first} has credit and waits for one that rests"
            );
        }
        self.check(backend);
        true
    }

    fn finish(&mut self, n: usize, reason: FinishReason, counts: [u32; 2], subject: Subject) {
        let player = &mut self.players[n];
        let request = player.request.take().unwrap();
        assert_eq!(counts, [request.prompt_tokens, request.ids.len() as u32]);
        let params = request.params;
        let key = (request.row, params.max_tokens, params.sampler.seed);
        let expected = self
            .known
            .entry(key)
            .or_insert_with_key(|(row, ..)| alone_on(subject, row, &params));
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
        player.still_since = self.time;
        self.time += 1;
        self.queue.retain(|&of| of != n);
    }

    fn check(&mut self, backend: &mut TransformerBackend) {
        self.contents.check(backend);
        let occupancy = backend.occupancy();
        let running = self.requests().filter(|&n| self.players[n].running);
        assert_eq!(occupancy.running, running.count());
        let requests = self.requests().count();
        assert_eq!(occupancy.running + occupancy.waiting, requests);
        let held: usize = (0..PLAYERS).map(|n| reserved(backend, n)).sum();
        assert_eq!(
            held + occupancy.free,
            occupancy.positions,
            "no block is lost"
        );
        for n in self.requests().filter(|&n| self.players[n].running) {
            assert!(reserved(backend, n) >= self.wanted(n), "{n} is cut short");
        }
        for (n, player) in self.players.iter().enumerate() {
            let has = reserved(backend, n);
            assert!(!player.row.is_empty() || has == 0, "{n} holds what it lost");
        }
    }
}

/// Plays `acts`, runs everything to its end, and forgets everything. Returns how often sessions were evicted, all
/// rested, and a resting one lost its room, and how many tokens were reused from the cache.
fn play(subject: Subject, positions: usize, acts: Vec<Act>) -> [usize; 4] {
    let options = LoadOptions {
        kv: subject.kv,
        sessions: PLAYERS,
        positions: Positions::Exactly(positions),
        ..OPTIONS
    };
    with_file(&subject.file(), options, |backend| {
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
                        if !world.step(backend, subject) {
                            break;
                        }
                    }
                }
            }
            world.check(backend);
        }
        let rests = world.rests;
        for steps in 0.. {
            assert!(steps < 20_000, "somebody waits for ever: {:?}", world.queue);
            if world.step(backend, subject) {
                continue;
            }
            // All rest. Some get a few more tokens, so that they take each other's room.
            let requests: Vec<usize> = world.requests().collect();
            if requests.is_empty() {
                break;
            }
            for n in [steps, steps / 3].map(|n| requests[n % requests.len()]) {
                let request = world.players[n].request.as_ref().unwrap();
                let tokens = (request.ids.len() + 1 + steps % 5) as u32;
                world.grant(backend, n, tokens);
            }
        }
        for n in 0..PLAYERS {
            backend.forget(n).unwrap();
        }
        let occupancy = backend.occupancy();
        assert_eq!(occupancy.free, occupancy.positions);
        world.check(backend);
        let (model, arena) = backend.parts().unwrap();
        assert_eq!(model.cache().free_positions(arena), occupancy.positions);
        backend.reset();
        assert_eq!(backend.occupancy().retained, 0);
        [world.evicted, rests, world.taken, world.reused as usize]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Any interleaving of turns, credit, rests, cancels and evictions gives each session the same output as alone.
    /// Requests are served in order and never cut short. None exceeds its credit, rests with credit left, or waits with
    /// credit for a resting one. Nothing is taken from a request with credit or without need, and no cache block is
    /// lost. Prefixes are shared as far as they exist, only among sessions of one owner, and never written.
    #[test]
    fn any_interleaving_gives_each_session_what_it_gets_alone(
        acts in prop::collection::vec(act(), 1..40),
        kv in prop::sample::select(vec![KvType::F32, KvType::F16, KvType::Q8]),
        windowed in any::<bool>(),
        pool in 4usize..=10,
    ) {
        play(Subject { kv, windowed }, pool * 16, acts);
    }
}

/// The property would be vacuous if nothing were ever evicted or shared, or no request ever rested or lost its room
/// that way.
#[test]
fn the_interleavings_have_evictions_and_rests_in_them() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    const SUBJECT: Subject = Subject {
        kv: KvType::Q8,
        windowed: false,
    };
    let mut runner = TestRunner::deterministic();
    let mut plays = [0; 4];
    for _ in 0..36 {
        let acts = prop::collection::vec(act(), 30..40);
        let acts = acts.new_tree(&mut runner).unwrap().current();
        for (plays, count) in plays.iter_mut().zip(play(SUBJECT, CONTEXT, acts)) {
            *plays += usize::from(count > 0);
        }
    }
    assert!(
        plays.iter().all(|&plays| plays >= 8),
        "evictions, rests, room taken, and blocks shared in {plays:?} of 36"
    );
}
