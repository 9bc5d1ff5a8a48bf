//! Compares every tensor's gradient with finite differences of a loss that a reference computes in f64.

use super::adapted::Slot;
use super::reference::{Low, Reference};
use super::*;
use crate::gguf::Gguf;
use crate::kv_cache::KvType;
use crate::quantize::TensorType;
use crate::simd::Cpu;
use crate::testing::{GgufWriter, Memory, Shape, family, gpt2};
use crate::transformer::{Checked, FAMILIES, LoadOptions, Positions};
use std::string::{String, ToString};
use std::vec::Vec;

const SHAPE: Shape = Shape {
    width: 32,
    layers: 2,
    heads: 2,
    kv_heads: 1,
    feed_forward: 48,
    context: 64,
    tied: true,
    ty: TensorType::F32,
};

const OPTIONS: LoadOptions = LoadOptions {
    context: 64,
    kv: KvType::F32,
    sessions: 1,
    positions: Positions::Fill,
    max_prompt_bytes: 256,
    cpu: Cpu::SCALAR,
    workers: 1,
};

const PARAMS: TrainParams = TrainParams {
    rank: 3,
    alpha: 5_000_000,
    epochs: 1,
    rate: 1_000_000,
    targets: Targets::All,
    seed: 7,
    base: [0xAB; 32],
};

/// Gradients of one example, before its update.
pub(super) struct Gradients {
    pub(super) parameters: Vec<f32>,
    pub(super) gradients: Vec<f32>,
    pub(super) loss: f64,
    pub(super) tokens: Vec<u32>,
    pub(super) first: usize,
    pub(super) adapted: Adapted,
}

/// The engine's gradients for the first example of `data`, with chunks of `chunk` tokens, after `change` has modified
/// the initial adapter.
pub(super) fn gradients(
    file: &[u8],
    options: &LoadOptions,
    (data, params): (&str, &TrainParams),
    chunk: usize,
    work: u64,
    change: impl Fn(&mut [f32]),
) -> Gradients {
    let checked = Checked::new(file).expect("a model");
    let mut memory = Memory::new(file.len() + (16 << 20));
    let mut arena = Arena::new(memory.bytes()).expect("aligned");
    let model = Model::load(&checked, options, &mut arena).expect("room");
    let mut draft = Draft::read(&model, &mut arena, data.as_bytes(), params).expect("data");
    draft.sizes.chunk = chunk;
    let memory = draft.take(&model.config, &mut arena).expect("room");
    let mut training = draft
        .begin(memory, &model, &mut arena, false)
        .expect("data");
    while training.stage != Stage::Begin {
        training.go_on(&model, &mut arena, 1).expect("finite");
    }
    change(arena.get_mut(training.area.parameters));
    while training.stage != Stage::Update {
        training.go_on(&model, &mut arena, work).expect("finite");
    }
    let parameters = arena.get(training.area.parameters).to_vec();
    let Example {
        start,
        positions,
        first,
    } = training.example;
    Gradients {
        gradients: arena.get(training.area.moments)[..parameters.len()].to_vec(),
        loss: training.loss / training.example.taught() as f64,
        tokens: arena.get(training.area.tokens)[start..=start + positions].to_vec(),
        first: first + 1,
        adapted: training.adapted.clone(),
        parameters,
    }
}

/// Values for B in place of zeros; A keeps its own.
pub(super) fn not_zero(parameters: &mut [f32]) {
    let mut state = 99u32;
    for x in parameters {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if *x == 0.0 {
            *x = ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * 0.3;
        }
    }
}

pub(super) const SLOTS: [(Slot, &str); 7] = [
    (Slot::Query, "q"),
    (Slot::Key, "k"),
    (Slot::Value, "v"),
    (Slot::Output, "output"),
    (Slot::Gate, "gate"),
    (Slot::Up, "up"),
    (Slot::Down, "down"),
];

/// Checks that gradients of `file` agree with finite differences.
fn agree(name: &str, file: &[u8], options: &LoadOptions, data: &str) {
    let got = gradients(file, options, (data, &PARAMS), 8, u64::MAX, not_zero);
    let checked = Checked::new(file).expect("a model");
    let reference = Reference {
        config: *checked.config(),
        gguf: Gguf::parse(file).expect("a file"),
        scale: f64::from(PARAMS.alpha() / PARAMS.rank as f32),
    };
    let rank = PARAMS.rank as usize;
    let parameters: Vec<f64> = got.parameters.iter().map(|x| f64::from(*x)).collect();
    let loss = |parameters: &[f64]| {
        let adapters = |layer: usize, name: &str| {
            let (slot, _) = SLOTS.into_iter().find(|(_, of)| *of == name)?;
            let pair = got.adapted.pair(layer, slot)?;
            Some(Low {
                a: parameters[pair.a..][..rank * pair.columns].to_vec(),
                b: parameters[pair.b..][..rank * pair.rows].to_vec(),
            })
        };
        reference.loss(&got.tokens, got.first, &adapters).0
    };
    let expected = loss(&parameters);
    assert!(
        (got.loss - expected).abs() < 2e-5 * expected,
        "{name}: loss {} is not {expected}",
        got.loss
    );
    let difference = |change: &dyn Fn(&mut [f64], f64)| {
        let h = 1e-4;
        let at = |h: f64| {
            let mut changed = parameters.clone();
            change(&mut changed, h);
            loss(&changed)
        };
        // Fourth-order differences.
        (8.0 * (at(h) - at(-h)) - (at(2.0 * h) - at(-2.0 * h))) / (12.0 * h)
    };
    for layer in 0..SHAPE.layers {
        for (slot, of) in SLOTS {
            let Some(pair) = got.adapted.pair(layer, slot) else {
                continue;
            };
            for (half, from, len) in [
                ("A", pair.a, rank * pair.columns),
                ("B", pair.b, rank * pair.rows),
            ] {
                let gradient: Vec<f64> = got.gradients[from..][..len]
                    .iter()
                    .map(|g| f64::from(*g))
                    .collect();
                let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
                let what = std::format!("{name}: block {layer}, {half} of {of}");
                assert!(norm > 1e-6, "{what} has no gradient: {norm}");
                // Along the gradient, where the slope is its norm.
                let slope = difference(&|parameters, h| {
                    for (x, g) in parameters[from..][..len].iter_mut().zip(&gradient) {
                        *x += h * g / norm;
                    }
                });
                assert!(
                    (slope / norm - 1.0).abs() < 1e-3,
                    "{what}: {norm}, not {slope}"
                );
                // And for some of its elements, including the largest.
                let largest =
                    (0..len).max_by(|a, b| gradient[*a].abs().total_cmp(&gradient[*b].abs()));
                for element in [largest.unwrap_or(0), len / 3, len - 1] {
                    let slope = difference(&|parameters, h| parameters[from + element] += h);
                    let scale = slope.abs().max(norm / (len as f64).sqrt() / 10.0);
                    let error = (gradient[element] - slope).abs() / scale;
                    assert!(
                        error < 1e-3,
                        "{what}, element {element}: {}, not {slope}",
                        gradient[element]
                    );
                }
            }
        }
    }
}

const ANSWERED: &str = r#"{"prompt": "abc de", "answer": " xyz, abc?"}"#;
const TEXT: &str = "hello, it is me. a b";

fn model(name: &str, shape: Shape) -> GgufWriter {
    match name {
        "gpt2" => gpt2(shape),
        name => family(name, shape),
    }
}

#[test]
#[cfg_attr(
    target_arch = "aarch64",
    ignore = "minutes in an emulator; that every CPU has the same bits is another test's"
)]
fn gradients_are_those_of_the_loss_in_every_family() {
    for family in FAMILIES {
        let file = model(family.name, SHAPE).finish();
        agree(family.name, &file, &OPTIONS, ANSWERED);
    }
}

#[test]
fn gradients_of_texts_and_of_untied_models_are_those_of_the_loss() {
    let shape = Shape {
        tied: false,
        ..SHAPE
    };
    for name in ["llama", "gemma2", "granite"] {
        let file = model(name, shape).finish();
        agree(name, &file, &OPTIONS, TEXT);
    }
}

/// `count` numbers of roughly this size.
fn some(count: usize, size: f32) -> Vec<f32> {
    (0..count)
        .map(|n| size * ((n * n % 13) as f32 / 6.0 - 1.0))
        .collect()
}

#[test]
#[cfg_attr(
    target_arch = "aarch64",
    ignore = "minutes in an emulator; that every CPU has the same bits is another test's"
)]
fn gradients_of_shared_blocks_with_a_norm_for_each_head_are_those_of_the_loss() {
    let mut writer = family("stablelm", SHAPE);
    for layer in 0..SHAPE.layers {
        for part in ["weight", "bias"] {
            writer.remove_tensor(&std::format!("blk.{layer}.ffn_norm.{part}"));
        }
        for (tensor, heads) in [("attn_q_norm", 2), ("attn_k_norm", 1)] {
            let name = std::format!("blk.{layer}.{tensor}.weight");
            let weight: Vec<f32> = some(16 * heads, 0.3).iter().map(|w| 1.0 + w).collect();
            writer.tensor(&name, TensorType::F32, &[16, heads], &weight);
        }
    }
    let file = writer.finish();
    let block = Checked::new(&file).expect("a model").config().block;
    assert_eq!(block.residual, crate::transformer::Residual::Shared);
    assert_eq!(block.heads, crate::transformer::HeadNorm::EachHead);
    agree("stablelm", &file, &OPTIONS, ANSWERED);
}

/// Biases, including those of keys that an 8-bit cache takes out of the weights.
#[test]
#[cfg_attr(
    target_arch = "aarch64",
    ignore = "minutes in an emulator; that every CPU has the same bits is another test's"
)]
fn gradients_of_models_with_large_key_biases_are_those_of_the_loss() {
    let mut writer = family("qwen2", SHAPE);
    for layer in 0..SHAPE.layers {
        for (tensor, rows, size) in [
            ("attn_q", 32, 0.5),
            ("attn_k", 16, 9.0),
            ("attn_v", 16, 0.5),
        ] {
            let name = std::format!("blk.{layer}.{tensor}.bias");
            writer.tensor(&name, TensorType::F32, &[rows], &some(rows, size));
        }
    }
    let file = writer.finish();
    for kv in [KvType::F32, KvType::Q8] {
        let options = LoadOptions { kv, ..OPTIONS };
        agree("qwen2", &file, &options, ANSWERED);
    }
}

#[test]
fn gradients_have_the_same_bits_on_every_cpu_with_every_chunk_and_step() {
    let quantised = Shape {
        width: 64,
        feed_forward: 96,
        heads: 4,
        kv_heads: 2,
        ty: TensorType::Q8_0,
        ..SHAPE
    };
    let mut long = String::new();
    (0..8).for_each(|n| long.push_str(&n.to_string().repeat(5)));
    for (name, shape) in [
        ("llama", quantised),
        ("llama", SHAPE),
        ("gemma3", quantised),
        ("olmo2", quantised),
        ("gpt2", quantised),
    ] {
        let file = model(name, shape).finish();
        let bits = |cpu, chunk, work| {
            let options = LoadOptions { cpu, ..OPTIONS };
            let got = gradients(&file, &options, (&long, &PARAMS), chunk, work, not_zero);
            let gradients: Vec<u32> = got.gradients.iter().map(|x| x.to_bits()).collect();
            (gradients, got.loss.to_bits())
        };
        let expected = bits(Cpu::SCALAR, 16, u64::MAX);
        for cpu in Cpu::all() {
            for (chunk, work) in [(8, 1), (64, 100_000), (32, u64::MAX)] {
                let got = bits(cpu, chunk, work);
                assert!(
                    got == expected,
                    "{name} {:?} {} {chunk} {work}",
                    shape.ty,
                    cpu.name()
                );
            }
        }
    }
}
