//! The common prefix of an owner's requests is computed once, with the same bits as alone, and reveals nothing to
//! others.

use super::key_bias_tests::biased;
use super::session_tests::{OPTIONS, alone, reserved, sampled, with_model};
use super::*;
use crate::arena::Arena;
use crate::generate::Step;
use crate::kv_cache::{BLOCK_POSITIONS, Origin};
use crate::simd::Cpu;
use crate::team::Alone;
use crate::testing::{AdapterShape, GgufWriter, Memory, Shape, adapter, family, gpt2, model};
use crate::transformer::Checked;
use crate::transformer::LoadOptions;
use crate::transformer::Model;
use crate::transformer::{FAMILIES, MAX_BATCH, Positions, Token, Work};
use std::string::String;
use std::vec;
use std::vec::Vec;

const KV_TYPES: [KvType; 3] = [KvType::F32, KvType::F16, KvType::Q8];

const BASE: [u8; 32] = [7; 32];

/// Tokens of the synthetic vocabulary; rows of two seeds differ everywhere.
fn row(seed: u32, len: usize) -> Vec<u32> {
    (0..len as u32)
        .map(|n| 10 + (seed * 50 + n * n % 47) % 200)
        .collect()
}

/// Runs the tokens of `rows` from where each session stands to its end, a few at a time, and returns the logits after
/// each, bit for bit.
fn run(
    model: &Model,
    arena: &mut Arena<'_>,
    adapter: Option<u8>,
    rows: &[(usize, &[u32], usize)],
    at_once: usize,
) -> Vec<Vec<Vec<u32>>> {
    let mut got = vec![Vec::new(); rows.len()];
    let mut done: Vec<usize> = rows.iter().map(|&(.., from)| from).collect();
    loop {
        let mut tokens: heapless::Vec<Token, MAX_BATCH> = heapless::Vec::new();
        for (&(session, row, _), done) in rows.iter().zip(&mut done) {
            for _ in 0..at_once {
                if let Some(&id) = row.get(*done) {
                    let position = *done as u32;
                    let session = session as u16;
                    let token = Token {
                        id,
                        session,
                        position,
                        logits: true,
                        adapter,
                    };
                    tokens.push(token).unwrap();
                    *done += 1;
                }
            }
        }
        if tokens.is_empty() {
            return got;
        }
        let mut batch = model.begin(arena, &tokens);
        model.finish(arena, &mut Alone, &mut batch).unwrap();
        for (token, output) in batch.tokens() {
            let logits = model.logits_of(arena, output.unwrap());
            let bits = logits.iter().map(|x| x.to_bits()).collect();
            let n = rows
                .iter()
                .position(|row| row.0 == usize::from(token.session));
            got[n.unwrap()].push(bits);
        }
    }
}

/// Two sessions that share 40 of 60 tokens and 48 of them get the same logits as alone.
fn check_logits(file: &[u8], kv: KvType, adapter_file: Option<&[u8]>, name: &str) {
    let options = LoadOptions {
        kv,
        sessions: 16,
        cpu: Cpu::detect(),
        ..OPTIONS
    };
    let mut memory = Memory::new(4 << 20);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options);
    backend.load(file).unwrap();
    let adapter = adapter_file.map(|file| {
        backend.load_adapter(3, file, &BASE).unwrap();
        3
    });
    let (model, arena) = backend.parts().unwrap();
    let (first, mut second) = (row(1, 60), row(2, 60));
    second[..40].copy_from_slice(&first[..40]);
    let rows = [&first[..], &second[..]];
    let expected = rows.map(|row| {
        model.reserve(arena, 0, 60).unwrap();
        let got = run(model, arena, adapter, &[(0, row, 0)], 1);
        model.release(arena, 0);
        got
    });
    assert_eq!(model.cache().retained_positions(arena), 0);

    let origin = Origin { owner: 9, adapter };
    let put = |arena: &mut Arena<'_>, session: usize, row: &[u32]| {
        model.tokenizing(arena, session).tokens[..60].copy_from_slice(row);
    };
    // A batch has at most 16 tokens with logits here.
    put(arena, 5, &first);
    model.reserve(arena, 5, 60).unwrap();
    assert_eq!(
        run(model, arena, adapter, &[(5, &first[..], 0)], 16),
        expected[0]
    );
    model.publish(arena, 5, origin, 60);
    let shared = [(1, &first, 48), (2, &second, 40)].map(|(session, row, positions)| {
        put(arena, session, row);
        assert_eq!(model.share(arena, session, origin, 60), positions);
        model.reserve(arena, session, 60).unwrap();
        (session, &row[..], positions)
    });
    for (n, got) in run(model, arena, adapter, &shared, 5)
        .into_iter()
        .enumerate()
    {
        let from = shared[n].2;
        assert!(got == expected[n][0][from..], "{name} {kv:?}, row {n}");
    }
    // The same after the session that computed them is gone.
    for session in [5, 1, 2] {
        model.publish(arena, session, origin, 60);
        model.release(arena, session);
    }
    put(arena, 0, &second);
    assert_eq!(model.share(arena, 0, origin, 60), 48);
    model.reserve(arena, 0, 60).unwrap();
    let got = run(model, arena, adapter, &[(0, &second[..], 48)], 12);
    assert!(got[0] == expected[1][0][48..], "{name} {kv:?}, retained");
}

#[test]
fn logits_behind_a_shared_prefix_have_the_bits_that_they_have_alone_in_every_family() {
    let files = FAMILIES.iter().map(|family_| match family_.name {
        "gpt2" => ("gpt2", gpt2(Shape::default())),
        name => (name, family(name, Shape::default())),
    });
    let files: Vec<(&str, GgufWriter)> = files.chain([("biased", biased(500.0))]).collect();
    for kv in KV_TYPES {
        for (name, file) in &files {
            check_logits(&file.finish(), kv, None, name);
        }
    }
}

#[test]
fn logits_behind_a_shared_prefix_have_the_bits_that_they_have_alone_with_an_adapter() {
    let base = model(Shape::default()).finish();
    let adapter = adapter(&base, AdapterShape::default()).finish();
    for kv in KV_TYPES {
        check_logits(&base, kv, Some(&adapter), "llama with an adapter");
    }
}

/// Cost of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Took {
    ids: Vec<u32>,
    steps: usize,
    computed: u64,
    reused: u64,
    prompt_tokens: u32,
    /// Tokens done after the first batch.
    first: Option<u32>,
}

/// Runs the only request to its end.
fn request(
    backend: &mut TransformerBackend,
    turn: Turn,
    prompt: &[u32],
    params: &GenerateParams,
) -> Took {
    let before = backend.occupancy();
    backend.start(turn, Prompt::Tokens(prompt), params).unwrap();
    let (mut ids, mut steps, mut first, mut text) = (Vec::new(), 0, None, Text::new());
    loop {
        steps += 1;
        match backend.step(&mut text) {
            Progress::Working => {}
            Progress::Session(_, Ok(Step::Prefill { done, .. })) => {
                first.get_or_insert(done);
            }
            Progress::Session(_, Ok(Step::Token { id })) => ids.push(id),
            Progress::Session(_, Ok(Step::Finished { prompt_tokens, .. })) => {
                let after = backend.occupancy();
                let computed = after.computed - before.computed;
                let reused = after.reused - before.reused;
                return Took {
                    ids,
                    steps,
                    computed,
                    reused,
                    prompt_tokens,
                    first,
                };
            }
            other => panic!("{other:?}"),
        }
    }
}

fn of(owner: u32, session: usize) -> Turn {
    Turn {
        owner,
        ..Turn::only(session)
    }
}

#[test]
fn the_same_request_of_another_owner_costs_what_it_costs_the_first() {
    for kv in KV_TYPES {
        with_model(LoadOptions { kv, ..OPTIONS }, |backend| {
            let (prompt, params) = (row(1, 50), sampled(3, 6));
            let expected = alone(kv, &prompt, &params).0;
            let first = request(backend, of(1, 0), &prompt, &params);
            // The last generated token goes through the model only if another follows.
            assert_eq!((first.computed, first.reused), (50 + 5, 0));
            let other = request(backend, of(2, 1), &prompt, &params);
            assert_eq!(other, first, "to the step");
            for owner in [1, 2] {
                let again = request(backend, of(owner, 2), &prompt, &params);
                assert_eq!((again.computed, again.reused), (2 + 5, 48));
                assert_eq!((&again.ids, again.prompt_tokens), (&expected, 50));
            }
            let third = request(backend, of(3, 0), &prompt, &params);
            assert_eq!(third, first);
            assert_eq!(first.ids, expected);
        });
    }
}

/// An owner's prefix is reused while the session that computed it runs, rests, waits, or is kept.
#[test]
fn a_prefix_is_shared_with_sessions_that_are_there() {
    with_model(OPTIONS, |backend| {
        let (prompt, params) = (row(1, 50), sampled(3, 9));
        let rests = Turn {
            credit: 2,
            keep: true,
            ..of(1, 0)
        };
        backend
            .start(rests, Prompt::Tokens(&prompt), &params)
            .unwrap();
        let mut text = Text::new();
        while backend.step(&mut text) != Progress::Idle {}
        let took = request(backend, of(1, 1), &prompt, &params);
        assert_eq!(took.reused, 48);
        assert_eq!(took.ids, alone(KvType::Q8, &prompt, &params).0);
        // Other tokens after the same prefix, and others within the first block.
        let mut longer = prompt[..33].to_vec();
        longer.extend(row(2, 20));
        assert_eq!(request(backend, of(1, 1), &longer, &params).reused, 33);
        let mut other = prompt.clone();
        other[3] += 1;
        let took = request(backend, of(1, 1), &other, &params);
        assert_eq!(took.reused, 3);
        assert_eq!(took.ids, alone(KvType::Q8, &other, &params).0);
        // Its own prefix, after it lost its room and its owner asks for all of it again.
        backend.grant(0, 9);
        while backend.step(&mut text) != Progress::Idle {}
        backend.forget(0).unwrap();
        assert_eq!(request(backend, of(1, 0), &prompt, &params).reused, 48);
    });
}

/// Retained prefixes fill the cache. A request that wants all of it begins at once, and no idle session is evicted for
/// it.
#[test]
fn prefixes_that_nobody_has_give_way_at_once_and_before_any_session() {
    let options = LoadOptions {
        positions: Positions::Exactly(8 * BLOCK_POSITIONS),
        ..OPTIONS
    };
    with_model(options, |backend| {
        for seed in 0..5 {
            request(backend, of(seed, 0), &row(seed, 40), &sampled(1, 1));
        }
        let occupancy = backend.occupancy();
        assert_eq!((occupancy.free, occupancy.retained), (8 * 16, 7 * 16));
        let kept = Turn {
            keep: true,
            ..of(1, 1)
        };
        request(backend, kept, &row(6, 40), &sampled(1, 1));
        assert_eq!(reserved(backend, 1), 3 * BLOCK_POSITIONS);
        // Five blocks are free, and all of them hold prefixes.
        assert_eq!(backend.occupancy().retained, 5 * 16);
        // `request` fails if anybody is evicted, or if there is a step in which nobody begins.
        let params = sampled(1, 24);
        backend
            .start(of(2, 2), Prompt::Tokens(&row(7, 40)), &params)
            .unwrap();
        backend.step(&mut Text::new());
        assert!(backend.is_running(2));
        assert_eq!(reserved(backend, 1), 3 * BLOCK_POSITIONS);
        assert_eq!(backend.occupancy().retained, 16);
    });
}

/// Anything that recomputes keys and values, or could change them for the same tokens, invalidates prefixes.
#[test]
fn prefixes_go_with_the_model_the_adapters_and_a_reset() {
    let base = model(Shape::default()).finish();
    let [one, other] = [1, 2].map(|seed| {
        let shape = AdapterShape {
            seed,
            ..AdapterShape::default()
        };
        adapter(&base, shape).finish()
    });
    let mut memory = Memory::new(4 << 20);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), OPTIONS);
    let backend = &mut backend;
    backend.load(&base).unwrap();
    let (prompt, params) = (row(1, 50), sampled(3, 6));
    let with = |adapter: Option<u8>| Turn {
        adapter,
        ..of(1, 0)
    };
    let without = request(backend, with(None), &prompt, &params);
    assert!(backend.occupancy().retained > 0);

    backend.load_adapter(2, &one, &BASE).unwrap();
    assert_eq!(backend.occupancy().retained, 0);
    assert_eq!(request(backend, with(None), &prompt, &params).reused, 0);
    let took = request(backend, with(Some(2)), &prompt, &params);
    assert_eq!(took.reused, 0, "not what was computed without it");
    assert_eq!(request(backend, with(Some(2)), &prompt, &params).reused, 48);
    assert_eq!(request(backend, with(None), &prompt, &params).reused, 48);

    // Another adapter in the same place.
    backend.drop_adapter(2).unwrap();
    assert_eq!(backend.occupancy().retained, 0);
    backend.load_adapter(2, &other, &BASE).unwrap();
    let replaced = request(backend, with(Some(2)), &prompt, &params);
    assert_eq!(replaced.reused, 0);
    assert_ne!(replaced.ids, took.ids);
    let again = request(backend, with(Some(2)), &prompt, &params);
    assert_eq!((again.reused, again.ids), (48, replaced.ids));

    backend.reset();
    let occupancy = backend.occupancy();
    assert_eq!(
        (occupancy.retained, occupancy.computed, occupancy.reused),
        (0, 0, 0)
    );
    assert_eq!(request(backend, with(None), &prompt, &params), without);
    backend.load(&base).unwrap();
    assert_eq!(backend.occupancy().retained, 0);
    assert_eq!(request(backend, with(None), &prompt, &params), without);
}

/// Cost of a request of `positions` positions from `first`, with logits from `prompt` on.
fn work(checked: &Checked<'_>, first: usize, prompt: usize, positions: usize) -> u64 {
    let mut work = Work::default();
    for position in first..positions {
        work += checked.work(position, KvType::Q8, position + 1 >= prompt);
    }
    work.multiply_accumulates
}

/// Triage's case: a system segment of 200 tokens, then an event, and an answer of two tokens, in sessions that are not
/// kept.
#[test]
fn after_a_prefix_of_two_hundred_tokens_the_second_request_costs_less_than_a_fifth() {
    let file = std::fs::read("../models/default.gguf").unwrap();
    let checked = Checked::new(&file).unwrap();
    let options = LoadOptions {
        context: 512,
        cpu: Cpu::detect(),
        ..OPTIONS
    };
    let mut memory = Memory::new(64 << 20);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), options);
    backend.load(&file).unwrap();
    let tokens = |text: &str, len: usize, backend: &mut TransformerBackend| {
        let text: String = core::iter::repeat_n(text, 40).collect::<Vec<_>>().join(" ");
        let mut ids = super::session_tests::tokenize(backend, &text, false);
        ids.truncate(len);
        assert_eq!(ids.len(), len);
        ids
    };
    let system = tokens(
        "You watch a house and say what is to be done. ",
        200,
        &mut backend,
    );
    let params = sampled(1, 2);
    let mut took = Vec::new();
    for event in [
        "The door of the shed is open. ",
        "It is 31 degrees in the hall. ",
    ] {
        let mut prompt = system.clone();
        prompt.extend(tokens(event, 24, &mut backend));
        let start = std::time::Instant::now();
        let got = request(&mut backend, of(4, 0), &prompt, &params);
        took.push((got, start.elapsed()));
    }
    let [(first, first_time), (second, second_time)] = &took[..] else {
        unreachable!()
    };
    assert_eq!((first.computed, first.reused), (225, 0));
    assert_eq!((second.computed, second.reused), (25, 200));
    assert_eq!(first.prompt_tokens, second.prompt_tokens);
    let [all, rest] = [0, 200].map(|from| work(&checked, from, 224, 225));
    std::eprintln!(
        "the first: {all} multiply-accumulates, {} steps, {first_time:?}; the second: {rest}, {}, {second_time:?}",
        first.steps,
        second.steps
    );
    assert!(rest * 5 < all, "{rest} of {all} multiply-accumulates");
    assert!(
        second.steps * 5 < first.steps,
        "{} of {} steps",
        second.steps,
        first.steps
    );
}
