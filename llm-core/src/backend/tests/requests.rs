//! Prompts, generations and their ends, with the transformer and with the stub.

use super::*;
use crate::transformer::LoadOptions;

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
