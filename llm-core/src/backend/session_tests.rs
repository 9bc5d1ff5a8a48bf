//! Sessions compared with a reference model: for each, a row of tokens that is run alone.

use super::*;
use crate::arena::Arena;
use crate::generate::{FinishReason, Step};
use crate::kv_cache::{BLOCK_POSITIONS, Known};
use crate::sampling::SamplerParams;
use crate::simd::Cpu;
use crate::testing::{GgufWriter, Memory, Shape, family, model};
use crate::tokenizer::{Cell, EncodeOptions, scratch_cells};
use crate::transformer::Checked;
use crate::transformer::LoadOptions;
use crate::transformer::{MAX_SESSIONS, Positions};
use proptest::prelude::*;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

mod credit;
mod interleaving;

pub(super) use interleaving::{Act, Contents, PLAYERS, PROMPTS};

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
