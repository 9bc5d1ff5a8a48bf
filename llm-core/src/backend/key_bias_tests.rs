//! Keys with large biases, in an 8-bit cache.

use super::tests::{ARENA, OPTIONS, logits, with_backend};
use super::*;
use crate::arena::Purpose;
use crate::kv_cache::KvType;
use crate::quantize::TensorType;
use crate::simd::Cpu;
use crate::testing::{GgufWriter, Shape, model};
use crate::transformer::Checked;
use crate::transformer::LoadOptions;
use std::format;
use std::vec::Vec;

const SHAPE: Shape = Shape {
    width: 64,
    layers: 2,
    heads: 4,
    kv_heads: 2,
    feed_forward: 96,
    context: 64,
    tied: true,
    ty: TensorType::F32,
};

/// Each key head has this bias in an element of its slowest pair.
pub(super) fn biased(bias: f32) -> GgufWriter {
    let mut writer = model(SHAPE);
    let mut values = [0.0; 32];
    values[14] = bias;
    values[16 + 15] = -bias;
    for layer in 0..SHAPE.layers {
        let name = format!("blk.{layer}.attn_k.bias");
        writer.tensor(&name, TensorType::F32, &[32], &values);
    }
    writer
}

/// Logits after forty tokens.
fn run(file: &[u8], options: LoadOptions) -> Vec<Vec<f32>> {
    let tokens: Vec<u32> = (0..40).map(|i| 259 + i * 7 % 31).collect();
    with_backend(options, |backend| {
        backend.load(file).unwrap();
        logits(backend, &tokens)
    })
}

/// The largest difference, relative to the largest logit.
fn difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    let (a, b) = (a.iter().flatten(), b.iter().flatten());
    let largest = a.clone().fold(0.0f32, |most, x| most.max(x.abs()));
    a.zip(b)
        .fold(0.0f32, |most, (a, b)| most.max((a - b).abs()))
        / largest
}

#[test]
fn eight_bits_lose_no_more_to_large_biases_than_without_them() {
    let difference_of_caches = |bias: f32| {
        let file = biased(bias).finish();
        let [q8, f32] =
            [KvType::Q8, KvType::F32].map(|kv| run(&file, LoadOptions { kv, ..OPTIONS }));
        difference(&f32, &q8)
    };
    let without = difference_of_caches(0.0);
    for bias in [3.0, 10.0, 300.0, 1000.0] {
        let with = difference_of_caches(bias);
        assert!(
            with < 2.0 * without + 0.01,
            "{bias}: {with}, {without} without it"
        );
    }
}

#[test]
fn every_cpu_gives_the_same_bits_with_large_biases() {
    let file = biased(500.0).finish();
    let options = |cpu| LoadOptions {
        kv: KvType::Q8,
        cpu,
        ..OPTIONS
    };
    let bits = |cpu| -> Vec<u32> {
        let logits = run(&file, options(cpu));
        logits.iter().flatten().map(|x| x.to_bits()).collect()
    };
    let expected = bits(Cpu::SCALAR);
    for cpu in Cpu::all() {
        assert!(bits(cpu) == expected, "{}", cpu.name());
    }
}

#[test]
fn what_large_biases_take_is_in_the_plan() {
    let file = biased(500.0).finish();
    let plain = model(SHAPE).finish();
    let cache = |file: &[u8], kv| {
        let checked = Checked::new(file).unwrap();
        let plan = checked.plan(&LoadOptions { kv, ..OPTIONS }, ARENA).unwrap();
        plan.kv_cache
    };
    // 32 values for each of two layers, and cosine and sine of eight pairs at 64 positions.
    let more = (2 * 32 + 8 * 2 * 64) * 4;
    assert_eq!(cache(&file, KvType::Q8), cache(&plain, KvType::Q8) + more);
    assert_eq!(cache(&file, KvType::F16), cache(&plain, KvType::F16));
    with_backend(
        LoadOptions {
            kv: KvType::Q8,
            ..OPTIONS
        },
        |backend| {
            backend.load(&file).unwrap();
            let (_, arena) = backend.parts().unwrap();
            let used = arena.usage().of(Purpose::KvCache) as u64;
            assert_eq!(used, cache(&file, KvType::Q8));
        },
    );
}
