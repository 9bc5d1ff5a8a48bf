//! `test-models [--large | --seed | --bench | --wide | --load | --sizes] DIR`: generates models for tests, which are not
//! checked in.
//!
//! For the test store: valid ones, one that is truncated, one with a wrong shape, one that needs more than the arena,
//! one that differs from another in one bit, and one with a chat template. `make` signs them or not, and packs them
//! with the tiny model. With `--large`: one with 100 M parameters.
//! With `--seed`: gpt2 in the shape with which the project began, for `tests/parity`. With `--bench`: the models for
//! measurements of speed, in Q4_0 and Q8_0. With `--wide`: much like SmolLM2 135M in F16, but with rows that are whole
//! blocks of every format; with `--load`: the same in Q6_K, 98 MB. With `--sizes`: from 1 M to 100 M parameters in Q4_0.

use llm_core::quantize::TensorType;
use llm_core::testing::{Shape, benchmark, chat_model, gpt2, model, seed_shape, wide};
use std::error::Error;
use std::path::PathBuf;

/// ChatML.
const TEMPLATE: &str = include_str!("../../../tools/llmtool/tests/templates/chatml.jinja");

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let (large, directory) = match &arguments[..] {
        [directory] => (false, PathBuf::from(directory)),
        [flag, directory] if flag == "--large" => (true, PathBuf::from(directory)),
        [flag, directory] if flag == "--seed" => {
            let model = gpt2(seed_shape(TensorType::F32)).finish();
            let path = PathBuf::from(directory).join("gpt2-seed-f32.gguf");
            return Ok(std::fs::write(path, model)?);
        }
        [flag, directory] if flag == "--bench" => {
            for (ty, name) in [(TensorType::Q4_0, "q4_0"), (TensorType::Q8_0, "q8_0")] {
                let path = PathBuf::from(directory).join(format!("bench-{name}.gguf"));
                std::fs::write(path, benchmark(ty).finish())?;
            }
            return Ok(());
        }
        [flag, directory] if flag == "--wide" => {
            let path = PathBuf::from(directory).join("wide-f16.gguf");
            return Ok(std::fs::write(path, wide(TensorType::F16).finish())?);
        }
        [flag, directory] if flag == "--load" => {
            let path = PathBuf::from(directory).join("wide-q6_k.gguf");
            return Ok(std::fs::write(path, wide(TensorType::Q6K).finish())?);
        }
        [flag, directory] if flag == "--sizes" => {
            for width in [128, 256, 384, 512, 768] {
                let shape = Shape {
                    width,
                    layers: 4 + width / 64,
                    heads: width / 64,
                    kv_heads: width / 64,
                    feed_forward: 3 * width,
                    context: 256,
                    tied: true,
                    ty: TensorType::Q4_0,
                };
                let path = PathBuf::from(directory).join(format!("width-{width}.gguf"));
                std::fs::write(path, model(shape).finish())?;
            }
            return Ok(());
        }
        _ => {
            return Err(
                "usage: test-models [--large | --seed | --bench | --wide | --load | --sizes] DIR"
                    .into(),
            );
        }
    };
    if large {
        let model = model(Shape {
            width: 768,
            layers: 14,
            heads: 12,
            kv_heads: 12,
            feed_forward: 2048,
            context: 1024,
            tied: true,
            ty: TensorType::Q4_0,
        });
        return Ok(std::fs::write(
            directory.join("default.gguf"),
            model.finish(),
        )?);
    }
    let sound = model(Shape::default()).finish();
    for name in ["small", "unsigned", "wrong-key"] {
        std::fs::write(directory.join(name).with_extension("gguf"), &sound)?;
    }
    // With a separate output matrix: without one, random weights repeat the last token of the scaffold.
    let chat = chat_model(
        Shape {
            context: 512,
            tied: false,
            ..Shape::default()
        },
        TEMPLATE,
    );
    std::fs::write(directory.join("chat.gguf"), chat.finish())?;
    // It gets the signature of the small one.
    let mut altered = sound.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    std::fs::write(directory.join("altered.gguf"), altered)?;
    std::fs::write(directory.join("truncated.gguf"), &sound[..sound.len() / 2])?;

    let mut corrupt = sound;
    let name = b"blk.1.ffn_up.weight";
    let at = corrupt
        .windows(name.len())
        .position(|bytes| bytes == name)
        .ok_or("the model has the tensor")?;
    // The first dimension, after the name and the rank.
    corrupt[at + name.len() + 4] ^= 0x20;
    std::fs::write(directory.join("corrupt.gguf"), &corrupt)?;

    // 6 MiB of weights, and 5 MiB of keys and values for the default context.
    let large = model(Shape {
        width: 512,
        layers: 9,
        heads: 8,
        kv_heads: 8,
        feed_forward: 32,
        context: 512,
        tied: true,
        ty: TensorType::Q4_0,
    });
    std::fs::write(directory.join("large.gguf"), large.finish())?;
    Ok(())
}
