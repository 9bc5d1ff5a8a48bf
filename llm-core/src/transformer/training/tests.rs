//! Complete training jobs, from the data to the file, as a backend runs them.

use super::params::{MAX_ALPHA, MAX_RATE};
use super::*;
use crate::backend::{LlmBackend, TransformerBackend};
use crate::generate::{GenerateError, GenerateParams, Progress, Prompt, Step, Text, Turn};
use crate::kv_cache::KvType;
use crate::quantize::TensorType;
use crate::sampling::SamplerParams;
use crate::simd::Cpu;
use crate::testing::{Memory as Bytes, Shape, family, gpt2, model};
use crate::transformer::{AdapterError, LoadOptions, Positions};
use std::format;
use std::string::String;
use std::vec::Vec;

const BASE: [u8; 32] = [0xAB; 32];

const OPTIONS: LoadOptions = LoadOptions {
    context: 64,
    kv: KvType::Q8,
    sessions: 2,
    positions: Positions::Fill,
    max_prompt_bytes: 256,
    cpu: Cpu::SCALAR,
    workers: 1,
};

const PARAMS: TrainParams = TrainParams {
    rank: 4,
    alpha: 8_000_000,
    epochs: 4,
    rate: 10_000_000,
    targets: Targets::All,
    seed: 3,
    base: BASE,
};

const DATA: &str = "\
{\"prompt\": \"abc\", \"answer\": \"xyz\"}

{\"prompt\": \"def\", \"answer\": \"uvw, a\"}
{\"text\": \"hello, it is me\"}
";

const ARENA: usize = 2 << 20;

fn backend<'m>(file: &[u8], options: LoadOptions, memory: &'m mut Bytes) -> TransformerBackend<'m> {
    let arena = Arena::new(memory.bytes()).expect("aligned");
    let mut backend = TransformerBackend::new(arena, options);
    backend.load(file).expect("a model");
    backend
}

/// Continues to the end, or to the first error.
fn finish(backend: &mut TransformerBackend<'_>) -> Result<Vec<TrainProgress>, TrainError> {
    let mut all = Vec::new();
    let mut text = Text::new();
    loop {
        match backend.step(&mut text) {
            Progress::Training(progress) => {
                let progress = progress?;
                all.push(progress);
                if progress.over {
                    return Ok(all);
                }
            }
            // It may have ended while a request was running.
            Progress::Idle if !backend.made(0).is_empty() => return Ok(all),
            Progress::Idle => panic!("a training is under way"),
            _ => {}
        }
    }
}

/// The model's answer to a prompt, with an optional adapter.
fn says(backend: &mut TransformerBackend<'_>, prompt: &str, adapter: Option<u8>) -> String {
    let turn = Turn {
        adapter,
        ..Turn::only(0)
    };
    let params = GenerateParams {
        max_tokens: 8,
        sampler: SamplerParams::greedy(),
    };
    backend
        .start(turn, Prompt::Text(prompt.as_bytes()), &params)
        .expect("a request");
    let mut said = String::new();
    let mut text = Text::new();
    loop {
        match backend.step(&mut text) {
            Progress::Session(0, Ok(Step::Finished { .. })) => return said,
            Progress::Session(0, Ok(Step::Token { .. })) => {
                said.push_str(core::str::from_utf8(text.as_bytes()).expect("text"));
            }
            Progress::Session(_, Err(error)) => panic!("{error}"),
            _ => {}
        }
    }
}

fn tiny() -> Vec<u8> {
    model(Shape::default()).finish()
}

#[test]
fn a_model_learns_its_answers_and_the_file_is_an_adapter_for_it() {
    let file = tiny();
    let mut memory = Bytes::new(ARENA);
    let mut backend = backend(&file, OPTIONS, &mut memory);
    let before = says(&mut backend, "abc", None);
    assert_ne!(before, "xyz");
    let params = TrainParams {
        epochs: 60,
        ..PARAMS
    };
    let plan = backend.train(DATA.as_bytes(), &params).expect("a training");
    assert_eq!((plan.examples, plan.steps, plan.alone), (3, 180, false));
    // Begin, a leading space and end: ▁abc and xyz are four and three.
    assert_eq!(plan.longest, 17);
    let steps = finish(&mut backend).expect("an adapter");
    let last = *steps.last().expect("steps");
    let losses: Vec<f32> = steps
        .iter()
        .filter(|p| p.step > 0)
        .map(|p| p.loss)
        .collect();
    assert!(
        losses[0] > 3.0 && last.loss < 0.2,
        "{} to {}",
        losses[0],
        last.loss
    );
    assert_eq!(
        (last.step, last.steps, last.tokens),
        (180, 180, plan.tokens)
    );
    let made = backend.made(0).to_vec();
    assert_eq!(made.len() as u64, last.made);
    assert_eq!(backend.made(100), &made[100..]);
    assert_eq!(backend.made(made.len()), &[] as &[u8]);
    // Until the result is taken, its memory is not given to others.
    let refused = backend.load_adapter(0, &made, &BASE);
    assert_eq!(refused, Err(AdapterError::Training));
    assert_eq!(
        backend.train(DATA.as_bytes(), &PARAMS),
        Err(TrainError::Busy)
    );
    backend.end_training();
    assert_eq!(backend.made(0), &[] as &[u8]);
    let info = backend.load_adapter(3, &made, &BASE).expect("an adapter");
    assert_eq!((info.rank, info.alpha, info.matrices), (4, 8.0, 14));
    assert_eq!(says(&mut backend, "abc", Some(3)), "xyz");
    assert_eq!(says(&mut backend, "def", Some(3)), "uvw, a");
    assert_eq!(says(&mut backend, "abc", None), before);
    let other = backend.load_adapter(4, &made, &[0; 32]);
    assert_eq!(other, Err(AdapterError::OtherBase));
}

/// The adapter that results from training in an arena of this size, interleaved with requests if there is a prompt.
fn made(
    file: &[u8],
    options: LoadOptions,
    params: &TrainParams,
    arena: usize,
    prompt: Option<&str>,
) -> (TrainPlan, Vec<u8>) {
    let mut memory = Bytes::new(arena);
    let mut backend = backend(file, options, &mut memory);
    let plan = backend.train(DATA.as_bytes(), params).expect("a training");
    if let Some(prompt) = prompt {
        let said = says(&mut backend, prompt, None);
        assert!(!said.is_empty());
    }
    finish(&mut backend).expect("an adapter");
    (plan, backend.made(0).to_vec())
}

/// Size of the smallest arena that fits training, found by bisection.
fn least(file: &[u8]) -> usize {
    let fits = |lines: usize| {
        let mut memory = Bytes::new(lines * 64);
        let arena = Arena::new(memory.bytes()).expect("aligned");
        let mut backend = TransformerBackend::new(arena, OPTIONS);
        backend.load(file).is_ok() && backend.train(DATA.as_bytes(), &PARAMS).is_ok()
    };
    let (mut no, mut yes) = (0, ARENA / 64);
    while yes - no > 1 {
        let middle = usize::midpoint(no, yes);
        match fits(middle) {
            true => yes = middle,
            false => no = middle,
        }
    }
    yes * 64
}

#[test]
fn the_file_is_the_same_on_every_cpu_in_any_memory_and_beside_requests() {
    for file in [
        tiny(),
        gpt2(Shape::default()).finish(),
        family(
            "phi3",
            Shape {
                ty: TensorType::F32,
                ..Shape::default()
            },
        )
        .finish(),
    ] {
        let (plan, expected) = made(&file, OPTIONS, &PARAMS, ARENA, None);
        assert!(!plan.alone);
        for cpu in Cpu::all() {
            let options = LoadOptions { cpu, ..OPTIONS };
            let (_, got) = made(&file, options, &PARAMS, ARENA, Some("hello"));
            assert!(got == expected, "{}", cpu.name());
        }
        let other = TrainParams { seed: 4, ..PARAMS };
        assert_ne!(made(&file, OPTIONS, &other, ARENA, None).1, expected);
    }
    // In as little memory as possible.
    let file = tiny();
    let (_, expected) = made(&file, OPTIONS, &PARAMS, ARENA, None);
    let (plan, got) = made(&file, OPTIONS, &PARAMS, least(&file), None);
    assert!(plan.alone);
    assert!(got == expected);
}

#[test]
fn a_training_that_is_ended_leaves_nothing_and_texts_are_those_without_it() {
    let file = tiny();
    let mut memory = Bytes::new(ARENA);
    let mut backend = backend(&file, OPTIONS, &mut memory);
    let (before, said) = (backend.usage().current, says(&mut backend, "hello", None));
    backend.train(DATA.as_bytes(), &PARAMS).expect("a training");
    assert_eq!(says(&mut backend, "hello", None), said);
    backend.end_training();
    assert_eq!(backend.usage().current, before);
    assert_eq!(says(&mut backend, "hello", None), said);
    backend.train(DATA.as_bytes(), &PARAMS).expect("again");
    backend.reset();
    assert_eq!(backend.usage().current, before);
    assert_eq!(backend.step(&mut Text::new()), Progress::Idle);
    backend.train(DATA.as_bytes(), &PARAMS).expect("again");
    backend.load(&file).expect("a model");
    assert_eq!(backend.usage().current, before);
    assert_eq!(backend.step(&mut Text::new()), Progress::Idle);
}

#[test]
fn a_training_without_room_for_requests_refuses_them_and_is_refused_beside_them() {
    let file = tiny();
    // There is room for either, besides the model.
    let mut memory = Bytes::new(least(&file));
    let mut backend = backend(&file, OPTIONS, &mut memory);
    let params = GenerateParams {
        max_tokens: 4,
        sampler: SamplerParams::greedy(),
    };
    let said = says(&mut backend, "hello", None);
    backend
        .start(Turn::only(0), Prompt::Text(b"hello"), &params)
        .expect("a request");
    assert_eq!(
        backend.train(DATA.as_bytes(), &PARAMS),
        Err(TrainError::Requests { requests: 1 })
    );
    backend.cancel(0);
    while backend.step(&mut Text::new()) != Progress::Idle {}
    let plan = backend.train(DATA.as_bytes(), &PARAMS).expect("a training");
    assert!(plan.alone);
    let refused = backend.start(Turn::only(0), Prompt::Text(b"hello"), &params);
    assert_eq!(refused, Err(GenerateError::Training));
    finish(&mut backend).expect("an adapter");
    backend.end_training();
    assert_eq!(says(&mut backend, "hello", None), said);
}

#[test]
fn parameters_out_of_range_are_refused_by_name() {
    let file = tiny();
    let mut memory = Bytes::new(ARENA);
    let mut backend = backend(&file, OPTIONS, &mut memory);
    for (params, message) in [
        (
            TrainParams { rank: 0, ..PARAMS },
            "the rank is 0, not 1 to 64",
        ),
        (
            TrainParams { rank: 65, ..PARAMS },
            "the rank is 65, not 1 to 64",
        ),
        (
            TrainParams { alpha: 0, ..PARAMS },
            "alpha is 0, not above 0, up to 1024",
        ),
        (
            TrainParams {
                alpha: 1_024_000_001,
                ..PARAMS
            },
            "alpha is 1024.000001, not above 0, up to 1024",
        ),
        (
            TrainParams {
                epochs: 0,
                ..PARAMS
            },
            "the number of epochs is 0, not 1 to 1000",
        ),
        (
            TrainParams { rate: 0, ..PARAMS },
            "the rate is 0, not above 0, up to 1",
        ),
        (
            TrainParams {
                rate: 1_500_000_000,
                ..PARAMS
            },
            "the rate is 1.5, not above 0, up to 1",
        ),
    ] {
        let error = backend.train(DATA.as_bytes(), &params).expect_err(message);
        assert_eq!(format!("{error}"), message);
    }
}

#[test]
fn too_little_memory_is_said_with_what_would_fit() {
    let file = tiny();
    let mut memory = Bytes::new(300 << 10);
    let mut backend = backend(&file, OPTIONS, &mut memory);
    let before = says(&mut backend, "hello", None);
    let params = TrainParams { rank: 64, ..PARAMS };
    let error = backend
        .train(DATA.as_bytes(), &params)
        .expect_err("too large");
    let TrainError::Memory {
        needed,
        free,
        tokens,
        rank,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert!(needed > free && tokens == 17, "{error:?}");
    assert_eq!(says(&mut backend, "hello", None), before);
    assert!((1..64).contains(&rank), "{error:?}");
    let params = TrainParams {
        rank: rank + 1,
        ..PARAMS
    };
    assert!(backend.train(DATA.as_bytes(), &params).is_err());
    let params = TrainParams { rank, ..PARAMS };
    backend
        .train(DATA.as_bytes(), &params)
        .expect("what would fit");
}

#[test]
fn values_that_are_not_finite_end_a_training_and_nothing_else() {
    let file = tiny();
    let mut memory = Bytes::new(ARENA);
    let mut backend = backend(&file, OPTIONS, &mut memory);
    let (before, said) = (backend.usage().current, says(&mut backend, "hello", None));
    let params = TrainParams {
        rate: MAX_RATE,
        alpha: MAX_ALPHA,
        epochs: 1000,
        ..PARAMS
    };
    backend.train(DATA.as_bytes(), &params).expect("a training");
    // As if the learning rate had caused it.
    let adapter = backend.training_mut().expect("a training").area.parameters;
    let (_, arena) = backend.parts().expect("a model");
    arena.get_mut(adapter).fill(f32::MAX);
    let error = finish(&mut backend).expect_err("too much");
    assert!(matches!(error, TrainError::NonFinite { .. }), "{error}");
    assert_eq!(backend.usage().current, before);
    assert_eq!(says(&mut backend, "hello", None), said);
}

#[test]
fn no_model_and_no_examples_are_refused() {
    let mut memory = Bytes::new(ARENA);
    let arena = Arena::new(memory.bytes()).expect("aligned");
    let mut backend = TransformerBackend::new(arena, OPTIONS);
    assert_eq!(backend.train(b"a", &PARAMS), Err(TrainError::NoModel));
    backend.end_training();
    backend.load(&tiny()).expect("a model");
    for data in ["", "\n \n\r\n"] {
        assert_eq!(
            backend.train(data.as_bytes(), &PARAMS),
            Err(TrainError::Empty)
        );
    }
}
