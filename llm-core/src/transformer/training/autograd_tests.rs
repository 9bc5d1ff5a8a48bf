//! Compares gradients of a model shaped like the default one with those of PyTorch's autograd in f64
//! (`tests/reference/make_gradients.py`, which has the same generator of weights).

use super::adapted::Slot;
use super::gradient_tests::{Gradients, SLOTS, gradients};
use super::*;
use crate::kv_cache::KvType;
use crate::quantize::TensorType;
use crate::simd::Cpu;
use crate::testing::{GgufWriter, Shape, model_with_vocabulary};
use crate::transformer::{LoadOptions, Positions};
use std::format;
use std::vec::Vec;

const REFERENCE: &str = include_str!("../../../../tests/reference/gradients.txt");

const SHAPE: Shape = Shape {
    width: 256,
    layers: 6,
    heads: 4,
    kv_heads: 2,
    feed_forward: 768,
    context: 64,
    tied: true,
    ty: TensorType::F32,
};

const VOCABULARY: usize = 4096;

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
    rank: 4,
    alpha: 8_000_000,
    epochs: 1,
    rate: 1_000_000,
    targets: Targets::All,
    seed: 1,
    base: [0; 32],
};

const DATA: &str = "{\"prompt\": \"the king w3805 w12 saw w999 fly, w2718.\", \
                    \"answer\": \" w314 w1500 fox! w2999\"}";

/// The linear congruential generator of Numerical Recipes; its upper 24 bits are a number from −1 to 1.
struct Generator(u32);

impl Generator {
    fn fill(&mut self, to: &mut [f32], scale: f32) {
        for to in to {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *to = ((self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale;
        }
    }
}

/// Replaces the weights in a model's file.
struct Weights {
    writer: GgufWriter,
    generator: Generator,
}

impl Weights {
    fn put(&mut self, name: &str, dims: &[usize], scale: f32, around: f32) {
        let mut values = std::vec![0.0; dims.iter().product()];
        self.generator.fill(&mut values, scale);
        if around != 0.0 {
            values.iter_mut().for_each(|value| *value += around);
        }
        let writer = self.writer.remove_tensor(name);
        writer.tensor(name, TensorType::F32, dims, &values);
    }
}

fn file() -> Vec<u8> {
    let mut weights = Weights {
        writer: model_with_vocabulary(SHAPE, VOCABULARY),
        generator: Generator(1),
    };
    let Shape {
        width,
        feed_forward,
        ..
    } = SHAPE;
    let keys = width / SHAPE.heads * SHAPE.kv_heads;
    let matrix = 1.5 / libm::sqrtf(width as f32);
    weights.put("token_embd.weight", &[width, VOCABULARY], 0.125, 0.0);
    for layer in 0..SHAPE.layers {
        let name = |tensor| format!("blk.{layer}.{tensor}.weight");
        weights.put(&name("attn_norm"), &[width], 0.2, 1.0);
        weights.put(&name("ffn_norm"), &[width], 0.2, 1.0);
        for (tensor, columns, rows) in [
            ("attn_q", width, width),
            ("attn_k", width, keys),
            ("attn_v", width, keys),
            ("attn_output", width, width),
            ("ffn_gate", width, feed_forward),
            ("ffn_up", width, feed_forward),
            ("ffn_down", feed_forward, width),
        ] {
            weights.put(&name(tensor), &[columns, rows], matrix, 0.0);
        }
    }
    weights.put("output_norm.weight", &[width], 0.2, 1.0);
    weights.writer.finish()
}

/// The rest of the line that begins with a word.
fn line(word: &str) -> impl Iterator<Item = &'static str> {
    let lines = REFERENCE.lines().map(str::split_whitespace);
    let mut found = lines.filter_map(|mut words| (words.next() == Some(word)).then_some(words));
    found.next().expect("a line of the reference")
}

fn number<T: core::str::FromStr>(word: Option<&str>) -> T {
    let number = word.and_then(|word| word.parse().ok());
    number.expect("a number of the reference")
}

/// A tensor of the reference: the norm of its gradient, the largest magnitude, and some elements with their indices.
struct Expected {
    layer: usize,
    slot: Slot,
    /// Whether this is A.
    down: bool,
    norm: f64,
    largest: f64,
    elements: Vec<(usize, f64)>,
}

fn expected() -> Vec<Expected> {
    let tensors = REFERENCE.lines().skip(4).map(|line| {
        let mut words = line.split_whitespace();
        let layer = number(words.next());
        let name = words.next();
        let slot = SLOTS.into_iter().find(|(_, of)| Some(*of) == name);
        let (slot, _) = slot.expect("a matrix");
        Expected {
            layer,
            slot,
            down: words.next() == Some("a"),
            norm: number(words.next()),
            largest: number(words.next()),
            elements: words
                .map(|word| {
                    let (place, value) = word.split_once(':').expect("a place and a value");
                    (number(Some(place)), number(Some(value)))
                })
                .collect(),
        }
    });
    tensors.collect()
}

/// The largest difference of an element, relative to the tensor's largest element.
fn compare(got: &Gradients, expected: &Expected) -> f64 {
    let pair = got.adapted.pair(expected.layer, expected.slot);
    let pair = pair.expect("an adapter");
    let rank = PARAMS.rank as usize;
    let gradient = match expected.down {
        true => &got.gradients[pair.a..][..rank * pair.columns],
        false => &got.gradients[pair.b..][..rank * pair.rows],
    };
    let squares: f64 = gradient.iter().map(|g| f64::from(*g).powi(2)).sum();
    let norm = (squares.sqrt() / expected.norm - 1.0).abs();
    let elements = expected.elements.iter();
    let differences = elements.map(|&(place, value)| {
        let difference = f64::from(gradient[place]) - value;
        difference.abs() / expected.largest
    });
    differences.fold(norm, f64::max)
}

#[test]
#[cfg_attr(
    target_arch = "aarch64",
    ignore = "minutes in an emulator; that every CPU has the same bits is another test's"
)]
fn gradients_in_the_default_models_shape_are_those_of_pytorch() {
    let got = gradients(
        &file(),
        &OPTIONS,
        (DATA, &PARAMS),
        16,
        u64::MAX,
        |parameters| Generator(2).fill(parameters, 0.125),
    );
    let tokens: Vec<u32> = line("tokens").map(|word| number(Some(word))).collect();
    assert_eq!(got.tokens, tokens);
    assert_eq!(got.first, number::<usize>(line("first").next()));
    let loss: f64 = number(line("loss").next());
    assert!(
        (got.loss / loss - 1.0).abs() < 1e-5,
        "the loss is {}, PyTorch's {loss}",
        got.loss
    );
    let expected = expected();
    // A and B of seven matrices in six blocks.
    assert_eq!(expected.len(), 2 * 7 * 6);
    let mut worst = 0.0f64;
    for tensor in &expected {
        let error = compare(&got, tensor);
        let (layer, slot, down) = (tensor.layer, tensor.slot, tensor.down);
        assert!(
            error < 1e-3,
            "block {layer}, {slot:?}, A {down}: {error:.1e} of the largest element"
        );
        worst = worst.max(error);
    }
    std::println!("largest difference: {worst:.1e} of a tensor's largest element");
}
