//! Whole models: logits of every position, and generations whose sessions go on.

use super::Case;
use crate::bits::Bits;
use alloc::vec::Vec;
use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::generate::{GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::kv_cache::KvType;
use llm_core::quantize::TensorType;
use llm_core::sampling::SamplerParams;
use llm_core::simd::Cpu;
use llm_core::testing::{Memory, Shape, family, gpt2, model};
use llm_core::transformer::{Checked, LoadOptions, Model, Positions};

/// See the module.
pub const CASES: &[Case] = &[
    Case::on("llama_f32_kv_f32", |c, b| {
        llama(c, NARROW, TensorType::F32, KvType::F32, b)
    }),
    Case::on("llama_f16_kv_f16", |c, b| {
        llama(c, NARROW, TensorType::F16, KvType::F16, b)
    }),
    Case::on("llama_q8_0_kv_q8", |c, b| {
        llama(c, NARROW, TensorType::Q8_0, KvType::Q8, b)
    }),
    Case::on("llama_q4_0_kv_f16", |c, b| {
        llama(c, NARROW, TensorType::Q4_0, KvType::F16, b)
    }),
    Case::on("llama_q4_k_kv_q8", |c, b| {
        llama(c, WIDE, TensorType::Q4K, KvType::Q8, b)
    }),
    Case::on("gpt2_q8_0_kv_q8", |c, b| {
        let file = gpt2(Shape {
            ty: TensorType::Q8_0,
            ..GPT2
        })
        .finish();
        logits(c, &file, KvType::Q8, b);
    }),
    Case::on("gpt2_f32_kv_f32", |c, b| {
        let file = gpt2(Shape {
            ty: TensorType::F32,
            ..GPT2
        })
        .finish();
        logits(c, &file, KvType::F32, b);
    }),
    Case::on("gemma2_f32_kv_f16", |c, b| {
        of_family(c, "gemma2", TensorType::F32, KvType::F16, b)
    }),
    Case::on("gemma3_q8_0_kv_q8", |c, b| {
        of_family(c, "gemma3", TensorType::Q8_0, KvType::Q8, b)
    }),
    Case::on("gptneox_q4_0_kv_q8", |c, b| {
        of_family(c, "gptneox", TensorType::Q4_0, KvType::Q8, b)
    }),
    Case::on("olmo2_q8_0_kv_f16", |c, b| {
        of_family(c, "olmo2", TensorType::Q8_0, KvType::F16, b)
    }),
    Case::on("granite_f32_kv_f32", |c, b| {
        of_family(c, "granite", TensorType::F32, KvType::F32, b)
    }),
    Case::on("generation_greedy", |c, b| {
        generation(c, SamplerParams::greedy(), b)
    }),
    Case::on("generation_sampled", |c, b| generation(c, SAMPLED, b)),
];

/// In the place of a count of tokens.
const REFUSED: u64 = u64::MAX;

pub(super) const NARROW: Shape = Shape {
    width: 64,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    feed_forward: 96,
    context: 64,
    tied: true,
    ty: TensorType::Q8_0,
};

/// Rows of the k-quants are whole blocks of 256.
const WIDE: Shape = Shape {
    width: 256,
    layers: 1,
    feed_forward: 256,
    ..NARROW
};

pub(super) const GPT2: Shape = Shape {
    feed_forward: 256,
    tied: false,
    ..NARROW
};

const SAMPLED: SamplerParams = SamplerParams {
    seed: 42,
    temperature: 5_000_000,
    top_k: 40,
    top_p: 950_000,
    min_p: 20_000,
    repeat_penalty: 1_100_000,
    repeat_last_n: 32,
};

pub(super) const fn options(cpu: Cpu, kv: KvType) -> LoadOptions {
    LoadOptions {
        context: 64,
        kv,
        sessions: 3,
        positions: Positions::Exactly(192),
        max_prompt_bytes: 256,
        cpu,
    }
}

fn of_family(cpu: Cpu, name: &str, ty: TensorType, kv: KvType, bits: &mut Bits) {
    let shape = Shape { ty, ..NARROW };
    logits(cpu, &family(name, shape).finish(), kv, bits);
}

fn llama(cpu: Cpu, shape: Shape, ty: TensorType, kv: KvType, bits: &mut Bits) {
    logits(cpu, &model(Shape { ty, ..shape }).finish(), kv, bits);
}

/// A prompt in one batch, then tokens one by one, across a boundary of the cache's blocks.
fn logits(cpu: Cpu, file: &[u8], kv: KvType, bits: &mut Bits) {
    let mut memory = Memory::new(4 << 20);
    let mut arena = Arena::new(memory.bytes()).expect("aligned");
    let checked = Checked::new(file).expect("a sound model");
    let model = Model::load(&checked, &options(cpu, kv), &mut arena).expect("room for it");
    let ids: Vec<u32> = (0..20).map(|n| (n * n * 7 + 3) % 250).collect();
    model.reserve(&mut arena, 0, ids.len()).expect("positions");
    let (prompt, rest) = ids.split_at(6);
    model.forward(&mut arena, prompt, 0, true).expect("finite");
    bits.floats(model.logits(&arena));
    for (n, id) in rest.iter().enumerate() {
        let start = prompt.len() + n;
        model
            .forward(&mut arena, &[*id], start, true)
            .expect("finite");
        bits.floats(model.logits(&arena));
    }
}

/// Two sessions beside each other: one goes on twice; a request of the other is cancelled, then the session is
/// forgotten and cannot go on.
fn generation(cpu: Cpu, sampler: SamplerParams, bits: &mut Bits) {
    let mut memory = Memory::new(4 << 20);
    let arena = Arena::new(memory.bytes()).expect("aligned");
    let mut backend = TransformerBackend::new(arena, options(cpu, KvType::Q8));
    // With an output matrix of its own: where it is the embedding, these weights repeat one token for ever.
    let file = model(Shape {
        tied: false,
        ..NARROW
    });
    backend.load(&file.finish()).expect("room for it");
    let params = GenerateParams {
        sampler,
        max_tokens: 8,
    };
    let start = |backend: &mut TransformerBackend<'_>, turn, prompt: &str, bits: &mut Bits| {
        let answer = backend.start(turn, Prompt::Text(prompt.as_bytes()), &params);
        bits.number(answer.map_or(REFUSED, u64::from));
    };
    start(&mut backend, Turn::first(0), "once upon a time", bits);
    start(&mut backend, Turn::first(1), "the king, é", bits);
    run(&mut backend, bits);
    start(&mut backend, Turn::next(0), " and then", bits);
    run(&mut backend, bits);
    start(&mut backend, Turn::next(1), "!", bits);
    backend.cancel(1);
    run(&mut backend, bits);
    start(&mut backend, Turn::next(0), "?", bits);
    run(&mut backend, bits);
    backend.forget(1).expect("it is idle");
    start(&mut backend, Turn::next(1), "?", bits);
    start(&mut backend, Turn::only(2), "", bits);
    run(&mut backend, bits);
}

/// Everything that comes of what is under way. How many steps a prompt takes is left out: that may change.
fn run(backend: &mut TransformerBackend<'_>, bits: &mut Bits) {
    let mut text = Text::new();
    loop {
        let (session, step) = match backend.step(&mut text) {
            Progress::Idle => return,
            Progress::Working | Progress::Training(_) => continue,
            Progress::Session(session, step) => (session, step.expect("finite")),
            Progress::Evicted(session) => {
                panic!("session {session} was evicted from a cache that has room")
            }
        };
        match step {
            Step::Prefill { .. } => {}
            Step::Token { id } => {
                bits.ids(&[session as u32, id]);
                bits.bytes(text.as_bytes());
            }
            Step::Finished {
                reason,
                prompt_tokens,
                generated,
            } => bits.ids(&[session as u32, reason as u32, prompt_tokens, generated]),
        }
    }
}
