//! Adapters: what models compute with them, and the files that training produces.

use super::model::{Engine, GPT2, NARROW, options};
use super::{Case, Machine};
use crate::bits::Bits;
use alloc::vec::Vec;
use llm_core::arena::Arena;
use llm_core::backend::LlmBackend;
use llm_core::generate::{Progress, Text};
use llm_core::kv_cache::KvType;
use llm_core::quantize::TensorType;
use llm_core::testing::{AdapterShape, Shape, adapter, family, gpt2, model};
use llm_core::transformer::training::{Targets, TrainParams};
use llm_core::transformer::{LoadOptions, Positions, Token};

/// Cases with adapters and with training.
pub const CASES: &[Case] = &[
    Case::model("adapter_f32_llama_q8_0", |c, b| {
        adapted(c, &llama(), TensorType::F32, b)
    }),
    Case::model("adapter_f16_gpt2_f32", |c, b| {
        adapted(c, &gpt2_in(TensorType::F32), TensorType::F16, b)
    }),
    Case::model("adapter_bf16_gemma3_q8_0", |c, b| {
        adapted(c, &of_family("gemma3"), TensorType::BF16, b)
    }),
    Case::model("training_llama_q8_0_attention", |c, b| {
        trained(c, &llama(), Targets::Attention, b)
    }),
    Case::model("training_llama_q4_k_all", |c, b| {
        let shape = Shape {
            width: 256,
            layers: 1,
            feed_forward: 256,
            ty: TensorType::Q4K,
            ..NARROW
        };
        trained(c, &model(shape).finish(), Targets::All, b);
    }),
    Case::model("training_gpt2_f32_all", |c, b| {
        trained(c, &gpt2_in(TensorType::F32), Targets::All, b)
    }),
    Case::model("training_gemma2_q8_0_all", |c, b| {
        trained(c, &of_family("gemma2"), Targets::All, b)
    }),
    Case::model("training_olmo2_q8_0_all", |c, b| {
        trained(c, &of_family("olmo2"), Targets::All, b)
    }),
];

/// Stands in for the SHA-256 of the base model.
const BASE: [u8; 32] = [0x5A; 32];

/// A prompt with an answer, a text, and a prompt with an answer that spans several cache blocks.
const DATA: &str = "\
{\"prompt\": \"the king\", \"answer\": \" was sad.\"}
{\"text\": \"once upon a time\"}
{\"prompt\": \"a fox met a bear and a mole\", \"answer\": \" and ran, ran, ran!\"}
";

fn llama() -> Vec<u8> {
    model(NARROW).finish()
}

fn gpt2_in(ty: TensorType) -> Vec<u8> {
    gpt2(Shape { ty, ..GPT2 }).finish()
}

fn of_family(name: &str) -> Vec<u8> {
    family(name, NARROW).finish()
}

fn with_backend(machine: &Machine, file: &[u8], run: impl FnOnce(&mut Engine<'_>)) {
    let mut memory = machine.memory(6 << 20);
    let arena = Arena::new((*memory).as_mut()).expect("aligned");
    let options = LoadOptions {
        positions: Positions::Fill,
        ..options(machine, KvType::Q8)
    };
    let mut backend = Engine::with_team(arena, options, machine.team());
    backend.load(file).expect("room for it");
    run(&mut backend);
}

/// Logits of two tokens after a prompt, in one session without an adapter and two with one each, in the same batches.
fn adapted(machine: &Machine, file: &[u8], ty: TensorType, bits: &mut Bits) {
    with_backend(machine, file, |backend| {
        for (place, rank, attention) in [(0, 4, false), (1, 3, true)] {
            let shape = AdapterShape {
                rank,
                attention,
                ty,
                seed: place as u32 + 1,
                ..AdapterShape::default()
            };
            let bytes = adapter(file, shape).finish();
            let loaded = backend.load_adapter(place, &bytes, &BASE);
            loaded.expect("an adapter of this model");
        }
        let (model, arena, team) = backend.parts_with_team().expect("a model");
        let sessions = [None, Some(0), Some(1)];
        for session in 0..sessions.len() {
            model.reserve(arena, session, 8).expect("positions");
        }
        let batches = [0..6u32, 6..7, 7..8];
        for positions in batches {
            let mut tokens = Vec::new();
            for (session, adapter) in sessions.into_iter().enumerate() {
                tokens.extend(positions.clone().map(|position| Token {
                    id: (position * position * 7 + 3) % 250,
                    session: session as u16,
                    position,
                    logits: position + 1 == positions.end,
                    adapter,
                }));
            }
            let mut batch = model.begin(arena, &tokens);
            model.finish(arena, team, &mut batch).expect("finite");
            for output in 0..sessions.len() {
                bits.floats(model.logits_of(arena, output));
            }
        }
    });
}

/// The file that training produces, and its final report.
fn trained(machine: &Machine, file: &[u8], targets: Targets, bits: &mut Bits) {
    let params = TrainParams {
        rank: 3,
        alpha: 6_500_000,
        epochs: 2,
        rate: 5_000_000,
        targets,
        seed: 11,
        base: BASE,
    };
    with_backend(machine, file, |backend| {
        let plan = backend.train(DATA.as_bytes(), &params).expect("room");
        bits.number(u64::from(plan.steps));
        let mut text = Text::new();
        loop {
            let Progress::Training(progress) = backend.step(&mut text) else {
                panic!("a training is under way");
            };
            let progress = progress.expect("finite");
            if progress.over {
                bits.number(progress.tokens);
                bits.floats(&[progress.loss]);
                break;
            }
        }
        bits.bytes(backend.made(0));
    });
}
