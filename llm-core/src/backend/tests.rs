use super::*;
use crate::arena::Arena;
use crate::arena::Purpose;
use crate::generate::{FinishReason, Step};
use crate::hash::sha256;
use crate::kv_cache::KvType;
use crate::quantize::TensorType;
use crate::sampling::SamplerParams;
use crate::simd::Cpu;
use crate::team::Alone;
use crate::testing::{GgufWriter, Memory, Shape, gpt2, model};
use crate::transformer::Checked;
use crate::transformer::LoadOptions;
use crate::transformer::Positions;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

mod arithmetic;
mod batches;
mod requests;

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
