use super::*;
use crate::arena::Purpose;
use crate::generate::{FinishReason, Step};
use crate::hash::sha256;
use crate::kv_cache::KvType;
use crate::quantize::TensorType;
use crate::sampling::SamplerParams;
use crate::simd::Cpu;
use crate::testing::{GgufWriter, Memory, Shape, gpt2, model};
use crate::transformer::Positions;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

pub(super) const OPTIONS: LoadOptions = LoadOptions {
    context: 64,
    kv: KvType::F32,
    sessions: 1,
    positions: Positions::Exactly(64),
    max_prompt_bytes: 256,
    cpu: Cpu::SCALAR,
    workers: 1,
};
pub(super) const ARENA: usize = 4 << 20;

/// Rows that suit every weight format, and an arena for them in F32.
const WIDE: Shape = Shape {
    width: 256,
    layers: 1,
    heads: 4,
    kv_heads: 2,
    feed_forward: 256,
    context: 64,
    tied: true,
    ty: TensorType::F32,
};
pub(super) fn with_backend<T>(
    options: LoadOptions,
    run: impl FnOnce(&mut TransformerBackend) -> T,
) -> T {
    let mut memory = Memory::new(ARENA);
    let arena = Arena::new(memory.bytes()).unwrap();
    run(&mut TransformerBackend::new(arena, options))
}

fn greedy(max_tokens: u32) -> GenerateParams {
    GenerateParams {
        sampler: SamplerParams::greedy(),
        max_tokens,
    }
}

/// Runs a generation to its end: ids, text, reason.
fn run(backend: &mut impl LlmBackend) -> (Vec<u32>, String, FinishReason) {
    run_from(backend, 0)
}

/// Like [`run`], after `before` tokens.
fn run_from(backend: &mut impl LlmBackend, before: usize) -> (Vec<u32>, String, FinishReason) {
    let (mut ids, mut shown, mut text) = (Vec::new(), String::new(), Text::new());
    loop {
        let step = match backend.step(&mut text) {
            Progress::Idle | Progress::Training(_) => panic!("a generation is under way"),
            Progress::Evicted(session) => panic!("session {session} is not idle"),
            Progress::Working => continue,
            Progress::Session(0, step) => step.unwrap(),
            Progress::Session(session, _) => panic!("nobody has session {session}"),
        };
        match step {
            Step::Prefill { done, total } => assert!(done <= total),
            Step::Token { id } => {
                ids.push(id);
                shown.push_str(&text);
            }
            Step::Finished {
                reason, generated, ..
            } => {
                assert_eq!(generated as usize, before + ids.len());
                return (ids, shown, reason);
            }
        }
    }
}

fn generate(backend: &mut impl LlmBackend, prompt: &str, params: &GenerateParams) -> Vec<u32> {
    backend
        .start(Turn::only(0), Prompt::Text(prompt.as_bytes()), params)
        .unwrap();
    run(backend).0
}

/// Logits after each of `tokens`, fed in order.
pub(super) fn logits(backend: &mut TransformerBackend, tokens: &[u32]) -> Vec<Vec<f32>> {
    let (model, arena) = backend.parts().unwrap();
    model.reserve(arena, 0, model.context()).unwrap();
    let mut all = Vec::new();
    for (position, &token) in tokens.iter().enumerate() {
        model
            .forward(arena, &mut Alone, &[token], position, true)
            .unwrap();
        all.push(model.logits(arena).to_vec());
    }
    model.release(arena, 0);
    all
}

#[test]
fn every_format_runs_and_stays_close_to_f32() {
    let run = |ty| {
        with_backend(OPTIONS, |backend| {
            backend.load(&model(Shape { ty, ..WIDE }).finish()).unwrap();
            logits(backend, &[1, 270, 261, 44, 260]).pop().unwrap()
        })
    };
    let exact = run(TensorType::F32);
    for ty in TensorType::ALL {
        let least = match ty {
            TensorType::F32 | TensorType::F16 | TensorType::BF16 => 0.9999,
            TensorType::Q8_0 | TensorType::Q8_1 | TensorType::Q6K => 0.999,
            TensorType::Q5_0 | TensorType::Q5_1 | TensorType::Q5K => 0.99,
            TensorType::Q4_0 | TensorType::Q4_1 | TensorType::Q4K => 0.97,
            TensorType::IQ4NL | TensorType::IQ4XS => 0.97,
            TensorType::TQ1_0 | TensorType::TQ2_0 => 0.3,
            TensorType::Q3K => 0.9,
            TensorType::Q2K => 0.7,
        };
        let got = run(ty);
        let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        let cosine = dot(&got, &exact) / (dot(&got, &got) * dot(&exact, &exact)).sqrt();
        assert!(cosine > least, "{ty:?}: {cosine}");
    }
}

#[test]
fn the_plan_is_exact_and_below_it_nothing_is_touched() {
    let file = model(Shape::default()).finish();
    let checked = Checked::new(&file).unwrap();
    let plan = checked.plan(&OPTIONS, ARENA).unwrap();
    let needed = plan.total() as usize;
    let mut memory = Memory::new(needed);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), OPTIONS);
    backend.load(&file).unwrap();
    let usage = backend.usage();
    assert_eq!(usage.current, needed);
    for (purpose, bytes) in [
        (Purpose::Weights, plan.weights),
        (Purpose::KvCache, plan.kv_cache),
        (Purpose::Activations, plan.activations),
        (Purpose::Vocabulary, plan.vocabulary),
    ] {
        assert_eq!(usage.of(purpose) as u64, bytes, "{purpose:?}");
    }

    // A batch of 64 only affects speed: with less room it shrinks to 8, but no further.
    assert_eq!(plan.batch, 64);
    let Err(LoadError::TooLarge(least)) = checked.plan(&OPTIONS, 0) else {
        panic!("it cannot fit")
    };
    assert_eq!((least.batch, least.largest_context), (8, 0));
    let least = least.total() as usize;
    for (capacity, batch) in [(needed - 64, 32), (least + 64, 8), (least, 8)] {
        assert_eq!(checked.plan(&OPTIONS, capacity).unwrap().batch, batch);
        let mut memory = Memory::new(capacity);
        let arena = Arena::new(memory.bytes()).unwrap();
        let mut backend = TransformerBackend::new(arena, OPTIONS);
        backend.load(&file).unwrap();
    }

    let mut memory = Memory::new(least - 64);
    let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), OPTIONS);
    let Err(LoadError::TooLarge(plan)) = backend.load(&file) else {
        panic!("it cannot fit")
    };
    assert_eq!(
        (plan.total() as usize, plan.capacity as usize),
        (least, least - 64)
    );
    assert!(
        plan.largest_context == 48,
        "one block of positions less fits: {plan:?}"
    );
    assert_eq!(backend.usage().peak, 0);
}

/// A larger arena gives a larger pool, up to a context for each session; the batch does not shrink for it.
#[test]
fn the_pool_takes_what_the_arena_has_left() {
    let file = model(Shape::default()).finish();
    let checked = Checked::new(&file).unwrap();
    let fill = LoadOptions {
        sessions: 4,
        positions: Positions::Fill,
        ..OPTIONS
    };
    let exactly = |positions, capacity| {
        let positions = Positions::Exactly(positions);
        checked.plan(&LoadOptions { positions, ..fill }, capacity)
    };
    let one = exactly(64, ARENA).unwrap().total() as usize;
    let all = exactly(4 * 64, ARENA).unwrap().total() as usize;
    let block = (all - one) / 12;
    for capacity in [one, one + block / 2, one + 5 * block, all - 64, all, ARENA] {
        let plan = checked.plan(&fill, capacity).unwrap();
        assert_eq!((plan.batch, plan.context), (64, 64));
        assert!(plan.total() as usize <= capacity);
        let more = plan.positions as usize + 16;
        if more <= 4 * 64 {
            // One more block would shrink the batch, or not fit at all.
            assert!(exactly(more, capacity).is_ok_and(|plan| plan.batch < 64));
        }
        let mut memory = Memory::new(capacity);
        let mut backend = TransformerBackend::new(Arena::new(memory.bytes()).unwrap(), fill);
        let info = backend.load(&file).unwrap();
        assert_eq!(u64::from(info.kv_positions), plan.positions);
        assert_eq!(backend.usage().current as u64, plan.total());
    }
    assert_eq!(checked.plan(&fill, ARENA).unwrap().positions, 4 * 64);
    assert!(matches!(
        checked.plan(&fill, 1000),
        Err(LoadError::TooLarge(plan)) if plan.positions == 64
    ));
}

#[test]
fn a_failed_load_leaves_the_model_in_service() {
    let file = model(Shape::default()).finish();
    with_backend(OPTIONS, |backend| {
        let info = backend.load(&file).unwrap();
        let before = generate(backend, "hello", &greedy(8));
        for cut in [0, 3, 24, 500, file.len() / 2, file.len() - 40] {
            assert!(backend.load(&file[..cut]).is_err(), "{cut} bytes");
        }
        let large = Shape {
            layers: 4,
            feed_forward: 1024,
            ..WIDE
        };
        assert!(matches!(
            backend.load(&model(large).finish()),
            Err(LoadError::TooLarge(_))
        ));
        assert_eq!(backend.model(), Some(&info));
        assert_eq!(generate(backend, "hello", &greedy(8)), before);
    });
}

#[test]
fn loading_again_gives_the_same_bits_whatever_was_there_before() {
    let file = model(Shape::default()).finish();
    let other = model(Shape {
        width: 32,
        kv_heads: 4,
        ty: TensorType::F32,
        ..Shape::default()
    });
    let tokens = [1, 270, 261, 44, 260, 259];
    with_backend(OPTIONS, |backend| {
        backend.load(&file).unwrap();
        let first = logits(backend, &tokens);
        backend.load(&other.finish()).unwrap();
        logits(backend, &tokens);
        backend.load(&file).unwrap();
        assert_eq!(logits(backend, &tokens), first);
    });
}

#[test]
fn what_is_wrong_with_a_model_is_named() {
    let load = |writer: &GgufWriter| {
        with_backend(OPTIONS, |backend| {
            backend.load(&writer.finish()).unwrap_err()
        })
    };
    let base = || model(Shape::default());

    let unknown = load(base().tensor(
        "blk.0.attn_q_norm.weight",
        TensorType::F32,
        &[64],
        &[0.0; 64],
    ));
    assert!(
        matches!(unknown, LoadError::UnknownTensor(name) if name == "blk.0.attn_q_norm.weight")
    );

    let shape = load(base().tensor("output.weight", TensorType::F32, &[32, 64], &[0.0; 2048]));
    assert!(
        matches!(shape, LoadError::Shape { tensor, columns: 32, expected_columns: 64, .. }
        if tensor == "output.weight")
    );

    let mut nan = base();
    nan.last_tensor()[4..8].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(matches!(load(&nan), LoadError::NonFinite(name) if name == "output_norm.weight"));

    let mut writer = GgufWriter::default();
    writer.str("general.architecture", "mamba");
    assert!(matches!(load(&writer), LoadError::Architecture(name) if name == "mamba"));
}

#[test]
fn every_weight_type_and_shape_runs_and_stays_close_to_f32() {
    let tokens = [1, 270, 261, 44, 260, 259, 280];
    for shape in [
        Shape::default(),
        Shape {
            heads: 2,
            kv_heads: 1,
            tied: false,
            ..Shape::default()
        },
        Shape {
            heads: 8,
            kv_heads: 8,
            layers: 1,
            ..Shape::default()
        },
    ] {
        let run = |ty, kv| {
            with_backend(LoadOptions { kv, ..OPTIONS }, |backend| {
                backend
                    .load(&model(Shape { ty, ..shape }).finish())
                    .unwrap();
                logits(backend, &tokens).pop().unwrap()
            })
        };
        let exact = run(TensorType::F32, KvType::F32);
        let cosine = |a: &[f32]| {
            let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
            dot(a, &exact) / (dot(a, a) * dot(&exact, &exact)).sqrt()
        };
        for (ty, kv, least) in [
            (TensorType::F32, KvType::F16, 0.99999),
            (TensorType::F16, KvType::F32, 0.99999),
            (TensorType::Q8_0, KvType::F32, 0.999),
            (TensorType::Q4_0, KvType::F16, 0.95),
            (TensorType::F32, KvType::Q8, 0.999),
        ] {
            let cosine = cosine(&run(ty, kv));
            assert!(cosine > least, "{shape:?} {ty:?} {kv:?}: {cosine}");
        }
    }
}

#[test]
fn a_prompt_of_any_length_gives_what_its_tokens_give_one_by_one() {
    let file = model(Shape::default()).finish();
    with_backend(OPTIONS, |backend| {
        backend.load(&file).unwrap();
        let tokens: Vec<u32> = (0..20).map(|i| 259 + i * 7 % 31).collect();
        for n in 1..=tokens.len() {
            let after = logits(backend, &tokens[..n]).pop().unwrap();
            let best = (0..)
                .zip(&after)
                .max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
            backend
                .start(Turn::only(0), Prompt::Tokens(&tokens[..n]), &greedy(1))
                .unwrap();
            assert_eq!(run(backend).0, [best.unwrap().0], "{n} tokens");
            let (model, arena) = backend.parts().unwrap();
            assert_eq!(model.logits(arena), after, "{n} tokens");
        }
    });
}

#[test]
fn a_generation_ends_at_its_limits() {
    let file = model(Shape::default()).finish();
    with_backend(
        LoadOptions {
            context: 16,
            ..OPTIONS
        },
        |backend| {
            backend.load(&file).unwrap();
            backend
                .start(Turn::only(0), Prompt::Text(b"hello"), &greedy(3))
                .unwrap();
            let (ids, _, reason) = run(backend);
            assert_eq!((ids.len(), reason), (3, FinishReason::MaxTokens));

            backend
                .start(Turn::only(0), Prompt::Text(b"hello"), &greedy(500))
                .unwrap();
            let (ids, _, reason) = run(backend);
            // Begin, the leading space and five letters are seven of sixteen.
            assert_eq!((ids.len(), reason), (9, FinishReason::ContextFull));

            let refused =
                backend.start(Turn::only(0), Prompt::Text(b"abcdefghijklmno"), &greedy(1));
            assert_eq!(
                refused,
                Err(GenerateError::PromptTokens {
                    tokens: 17,
                    limit: 15
                })
            );
            // A vocabulary without the space spells it in three tokens, more than admission reserves.
            let mut spaceless = file.clone();
            let space = "\u{2581}".as_bytes();
            let at = file.windows(3).position(|bytes| bytes == space).unwrap();
            spaceless[at..at + 3].copy_from_slice(b"xyz");
            backend.load(&spaceless).unwrap();
            assert_eq!(
                backend.start(Turn::only(0), Prompt::Text(b"a b"), &greedy(1)),
                Err(GenerateError::PromptTokens {
                    tokens: 9,
                    limit: 5
                })
            );
            backend.load(&file).unwrap();
            assert_eq!(
                backend.start(Turn::only(0), Prompt::Text(&[b'a'; 257]), &greedy(1)),
                Err(GenerateError::PromptBytes {
                    bytes: 257,
                    limit: 256
                })
            );
            assert_eq!(
                backend.start(Turn::only(0), Prompt::Text(b"a\xFF"), &greedy(1)),
                Err(GenerateError::NotUtf8 { offset: 1 })
            );
            assert_eq!(
                backend.start(Turn::only(0), Prompt::Text(b"a"), &greedy(0)),
                Err(GenerateError::NoTokens)
            );
            assert_eq!(backend.step(&mut Text::new()), Progress::Idle);
        },
    );
}

#[test]
fn without_a_model_and_during_a_generation_a_request_is_refused() {
    with_backend(OPTIONS, |backend| {
        assert_eq!(
            backend.start(Turn::only(0), Prompt::Text(b"a"), &greedy(1)),
            Err(GenerateError::NoModel)
        );
        backend.load(&model(Shape::default()).finish()).unwrap();
        backend
            .start(Turn::only(0), Prompt::Text(b"a"), &greedy(1))
            .unwrap();
        assert_eq!(
            backend.start(Turn::only(0), Prompt::Text(b"a"), &greedy(1)),
            Err(GenerateError::Busy)
        );
    });
}

#[test]
fn a_cancel_takes_effect_at_the_next_step() {
    with_backend(OPTIONS, |backend| {
        backend.load(&model(Shape::default()).finish()).unwrap();
        backend
            .start(
                Turn::only(0),
                Prompt::Text(b"some longer prompt"),
                &greedy(40),
            )
            .unwrap();
        let mut text = Text::new();
        assert_eq!(backend.step(&mut text), Progress::Working);
        backend.cancel(0);
        assert!(matches!(
            backend.step(&mut text),
            Progress::Session(
                0,
                Ok(Step::Finished {
                    reason: FinishReason::Cancelled,
                    ..
                })
            )
        ));
        assert_eq!(backend.step(&mut text), Progress::Idle);
    });
}

#[test]
fn overflow_in_the_model_ends_the_request_and_not_the_backend() {
    let mut writer = model(Shape {
        ty: TensorType::F32,
        ..Shape::default()
    });
    writer
        .last_tensor()
        .chunks_mut(4)
        .for_each(|w| w.copy_from_slice(&3e38f32.to_le_bytes()));
    with_backend(OPTIONS, |backend| {
        backend.load(&writer.finish()).unwrap();
        backend
            .start(Turn::only(0), Prompt::Text(b"a"), &greedy(1))
            .unwrap();
        let mut text = Text::new();
        let mut step = || backend.step(&mut text);
        let steps = core::iter::from_fn(|| Some(step()));
        let error = steps.take(100).find(|step| *step != Progress::Working);
        let lost = Progress::Session(0, Err(GenerateError::NonFinite));
        assert_eq!(error, Some(lost));
        assert_eq!(step(), Progress::Idle);
        backend.load(&model(Shape::default()).finish()).unwrap();
        assert_eq!(generate(backend, "a", &greedy(2)).len(), 2);
    });
}

#[test]
fn the_stub_gives_the_prompt_back() {
    let mut stub = StubBackend::default();
    assert_eq!(
        stub.start(Turn::only(0), Prompt::Text(b"abc"), &greedy(2)),
        Err(GenerateError::NoModel)
    );
    stub.load(b"anything").unwrap();
    stub.start(Turn::only(0), Prompt::Text(b"abc"), &greedy(2))
        .unwrap();
    let (_, text, reason) = run(&mut stub);
    assert_eq!((text.as_str(), reason), ("ab", FinishReason::MaxTokens));
    stub.start(Turn::only(0), Prompt::Text(b"abc"), &greedy(9))
        .unwrap();
    let (_, text, reason) = run(&mut stub);
    assert_eq!((text.as_str(), reason), ("abc", FinishReason::EndOfText));
}

#[test]
fn the_stub_rests_without_credit_and_its_end_needs_none() {
    let mut stub = StubBackend::default();
    stub.load(b"anything").unwrap();
    let turn = Turn {
        credit: 2,
        ..Turn::only(0)
    };
    stub.start(turn, Prompt::Text(b"abc"), &greedy(9)).unwrap();
    let (mut shown, mut text) = (String::new(), Text::new());
    for (granted, expected) in [(0, "ab"), (2, "ab"), (1, "ab")] {
        stub.grant(0, granted);
        while let Progress::Session(0, step) = stub.step(&mut text) {
            assert!(matches!(step, Ok(Step::Token { .. })));
            shown.push_str(&text);
        }
        assert_eq!(shown, expected);
    }
    stub.grant(0, 3);
    let (_, text, reason) = run_from(&mut stub, 2);
    assert_eq!((text.as_str(), reason), ("c", FinishReason::EndOfText));
}

/// The division of a prompt into batches does not affect any bit of the result.
#[test]
fn logits_do_not_depend_on_batches() {
    let tokens: Vec<u32> = (0..40).map(|i| 259 + i * 7 % 31).collect();
    for (kv, ty) in [
        (KvType::F32, TensorType::F32),
        (KvType::F16, TensorType::Q8_0),
        (KvType::F16, TensorType::Q4_0),
        (KvType::Q8, TensorType::Q8_0),
    ] {
        let file = model(Shape {
            ty,
            ..Shape::default()
        })
        .finish();
        with_backend(LoadOptions { kv, ..OPTIONS }, |backend| {
            backend.load(&file).unwrap();
            let alone = logits(backend, &tokens);
            for size in [2, 7, 16, 40] {
                let (model, arena) = backend.parts().unwrap();
                model.reserve(arena, 0, tokens.len()).unwrap();
                let mut start = 0;
                for batch in tokens.chunks(size) {
                    model
                        .forward(arena, &mut Alone, batch, start, true)
                        .unwrap();
                    start += batch.len();
                    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
                    assert_eq!(bits(model.logits(arena)), bits(&alone[start - 1]), "{size}");
                }
            }
        });
    }
}

const SEVERAL: LoadOptions = LoadOptions {
    kv: KvType::Q8,
    sessions: 8,
    positions: Positions::Exactly(8 * 64),
    ..OPTIONS
};

/// Each session gets the same output as alone, whatever else runs, starts or is cancelled.
#[test]
fn sessions_do_not_show_in_one_another() {
    let file = model(Shape::default()).finish();
    let prompts = [
        "a",
        "hello there",
        "some longer prompt than that",
        "of",
        "the end.",
        "x y z",
    ];
    let params = |n: usize| GenerateParams {
        sampler: SamplerParams {
            seed: n as u64,
            ..SamplerParams::greedy()
        },
        max_tokens: 5 + 3 * n as u32,
    };
    let alone: Vec<_> = with_backend(SEVERAL, |backend| {
        backend.load(&file).unwrap();
        let one = |(n, prompt): (usize, &&str)| generate(backend, prompt, &params(n));
        prompts.iter().enumerate().map(one).collect()
    });
    for cpu in Cpu::all() {
        with_backend(LoadOptions { cpu, ..SEVERAL }, |backend| {
            backend.load(&file).unwrap();
            let mut waiting = prompts.iter().enumerate().chain([(9, &"to be cancelled")]);
            let (mut of_session, mut ids) = ([None; 8], [const { Vec::new() }; 10]);
            let (mut text, mut steps) = (Text::new(), 0);
            loop {
                // They come one after another, while others are in flight.
                if steps % 3 == 0
                    && let Some((n, prompt)) = waiting.next()
                {
                    let session = of_session.iter().position(Option::is_none).unwrap();
                    let turn = Turn::only(session);
                    backend
                        .start(turn, Prompt::Text(prompt.as_bytes()), &params(n))
                        .unwrap();
                    of_session[session] = Some(n);
                }
                steps += 1;
                match backend.step(&mut text) {
                    Progress::Idle => break,
                    Progress::Working => {}
                    Progress::Training(_) => panic!("nothing is trained"),
                    Progress::Evicted(session) => panic!("session {session} is not idle"),
                    Progress::Session(session, step) => match step.unwrap() {
                        Step::Prefill { .. } => {}
                        Step::Token { id } => {
                            let n: usize = of_session[session].unwrap();
                            ids[n].push(id);
                            if n == 9 && ids[n].len() == 2 {
                                backend.cancel(session);
                            }
                        }
                        Step::Finished { .. } => of_session[session] = None,
                    },
                }
            }
            assert_eq!(of_session, [None; 8]);
            assert_eq!(ids[..6], alone[..], "{}", cpu.name());
            assert_eq!(ids[9].len(), 2, "cancelled after two");
            let (model, arena) = backend.parts().unwrap();
            assert_eq!(model.cache().free_positions(arena), 8 * 64);
        });
    }
}

#[test]
fn a_session_that_ends_in_a_batch_leaves_the_others_in_it() {
    let file = model(Shape::default()).finish();
    with_backend(SEVERAL, |backend| {
        backend.load(&file).unwrap();
        let alone = generate(backend, "the other", &greedy(4));
        backend
            .start(
                Turn::only(0),
                Prompt::Text(b"a longer prompt that is cancelled"),
                &greedy(9),
            )
            .unwrap();
        let other = 3;
        let turn = Turn::only(other);
        backend
            .start(turn, Prompt::Text(b"the other"), &greedy(4))
            .unwrap();
        let mut text = Text::new();
        assert_eq!(
            backend.step(&mut text),
            Progress::Working,
            "a batch is on its way"
        );
        backend.cancel(0);
        let mut ids = Vec::new();
        loop {
            match backend.step(&mut text) {
                Progress::Idle => break,
                Progress::Session(session, Ok(Step::Token { id })) => {
                    assert_eq!(session, other);
                    ids.push(id);
                }
                _ => {}
            }
        }
        assert_eq!(ids, alone);
    });
}

/// A token with a non-finite LayerNorm: only the session that uses it fails.
#[test]
fn a_value_that_is_not_finite_costs_its_own_session_alone() {
    let mut writer = gpt2(Shape {
        ty: TensorType::F32,
        ..Shape::default()
    });
    let output: Vec<f32> = (0..64 * 257).map(|i| (i % 19) as f32 - 9.0).collect();
    writer.tensor("output.weight", TensorType::F32, &[64, 257], &output);
    let bad = 200;
    let row = &mut writer.tensor_bytes("token_embd.weight")[bad * 64 * 4..][..8];
    row[..4].copy_from_slice(&3e38f32.to_le_bytes());
    row[4..].copy_from_slice(&3e38f32.to_le_bytes());
    let file = writer.finish();
    // The good one may have no credit, so that it rests once it has read its prompt beside the bad one.
    for credit in [u32::MAX, 0] {
        one_is_lost(&file, bad as u32, credit);
    }
}

fn one_is_lost(file: &[u8], bad: u32, credit: u32) {
    with_backend(SEVERAL, |backend| {
        backend.load(file).unwrap();
        backend
            .start(Turn::only(0), Prompt::Tokens(&[1, 70, 61]), &greedy(6))
            .unwrap();
        let alone = run(backend).0;
        backend
            .start(Turn::only(0), Prompt::Tokens(&[1, bad]), &greedy(6))
            .unwrap();
        let good = 5;
        let turn = Turn {
            credit,
            ..Turn::only(good)
        };
        backend
            .start(turn, Prompt::Tokens(&[1, 70, 61]), &greedy(6))
            .unwrap();
        let (mut text, mut ids, mut lost) = (Text::new(), Vec::new(), Vec::new());
        let mut rests = 0;
        loop {
            match backend.step(&mut text) {
                Progress::Idle if credit == 0 && rests == 0 => {
                    rests += 1;
                    assert_eq!((ids.len(), lost.len()), (0, 1));
                    backend.grant(good, 6);
                }
                Progress::Idle => break,
                Progress::Session(session, Ok(Step::Token { id })) => {
                    assert_eq!(session, good);
                    ids.push(id);
                }
                Progress::Session(session, Err(error)) => lost.push((session, error)),
                _ => {}
            }
        }
        assert_eq!(lost, [(0, GenerateError::NonFinite)]);
        assert_eq!(ids, alone);
        let gone = backend.start(Turn::next(0), Prompt::Tokens(&[1]), &greedy(1));
        assert_eq!(gone, Err(GenerateError::NothingThere));
    });
}

/// The exact bits that this arithmetic gives. A change needs a new [`NUMERICS_VERSION`].
#[test]
fn the_arithmetic_has_not_changed() {
    for cpu in Cpu::all() {
        check_arithmetic(cpu);
    }
}

fn check_arithmetic(cpu: Cpu) {
    let hash_of = |kv, shape| {
        with_backend(LoadOptions { kv, cpu, ..OPTIONS }, |backend| {
            backend.load(&model(shape).finish()).unwrap();
            let bits: Vec<u8> = logits(backend, &[1, 270, 261, 44, 260, 259, 280])
                .iter()
                .flatten()
                .flat_map(|logit| logit.to_bits().to_le_bytes())
                .collect();
            u64::from_be_bytes(*sha256(&bits).first_chunk().unwrap())
        })
    };
    let hash = |kv, ty| {
        let shape = Shape {
            ty,
            ..Shape::default()
        };
        hash_of(kv, shape)
    };
    // Heads of 128: two scales each in 8 bits.
    let wide_heads = Shape { heads: 2, ..WIDE };
    let found = [
        hash(KvType::F32, TensorType::F32),
        hash(KvType::F16, TensorType::F16),
        hash(KvType::F32, TensorType::Q8_0),
        hash(KvType::F16, TensorType::Q4_0),
        hash(KvType::Q8, TensorType::Q8_0),
        hash_of(KvType::Q8, wide_heads),
    ];
    let others = TensorType::ALL.map(|ty| {
        let file = model(Shape { ty, ..WIDE });
        with_backend(LoadOptions { cpu, ..OPTIONS }, |backend| {
            backend.load(&file.finish()).unwrap();
            let bits: Vec<u8> = logits(backend, &[1, 270, 261, 44, 260])
                .iter()
                .flatten()
                .flat_map(|logit| logit.to_bits().to_le_bytes())
                .collect();
            std::format!(
                "{:08x}",
                u32::from_be_bytes(*sha256(&bits).first_chunk().unwrap())
            )
        })
    });
    assert_eq!(
        others,
        [
            "1387775d", "2e73a0e0", "d0105d90", "e078b0ce", "36fa224f", "ac82a771", "21f87306",
            "bca41174", "bca41174", "2d06c52b", "245a513f", "1641b397", "7e8a0667", "e0416c28",
            "6d421046", "73785e9a", "9d27c6bc", "9d27c6bc",
        ]
    );
    assert_eq!(NUMERICS_VERSION, 2);
    assert_eq!(
        found.map(|hash| std::format!("{hash:016x}")),
        [
            "632cdd8776215bc6",
            "cbabf4c88849739d",
            "5c39e1db7ca1a283",
            "3593de8de21668fb",
            "acfa6fdaacc1c26b",
            "35eb3783897ca3e3",
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_change_of_a_file_is_loaded_or_refused(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        head_only in any::<bool>(),
    ) {
        let mut file = model(Shape { layers: 1, ..Shape::default() }).finish();
        let range = if head_only { 600 } else { file.len() };
        for (index, byte) in changes {
            file[index.index(range)] = byte;
        }
        with_backend(OPTIONS, |backend| {
            if backend.load(&file).is_ok() && backend.start(Turn::only(0), Prompt::Text(b"ab"), &greedy(3)).is_ok() {
                let mut text = Text::new();
                while backend.step(&mut text) != Progress::Idle {}
            }
        });
    }
}
