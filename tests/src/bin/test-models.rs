//! `test-models DIR`: the models of the test store that are made, and not checked in.
//!
//! One that is cut short, one whose bytes lie about a shape, and one that is whole and needs more
//! than the arena. `make` packs them beside the tiny model.

use llm_core::quantize::TensorType;
use llm_core::testing::{Shape, model};
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = PathBuf::from(std::env::args_os().nth(1).ok_or("usage: test-models DIR")?);
    let sound = model(Shape::default()).finish();
    std::fs::write(directory.join("truncated.gguf"), &sound[..sound.len() / 2])?;

    let mut corrupt = sound;
    let name = b"blk.1.ffn_up.weight";
    let at = corrupt
        .windows(name.len())
        .position(|bytes| bytes == name)
        .ok_or("the model has the tensor")?;
    // Behind the name and the rank: the first dimension.
    corrupt[at + name.len() + 4] ^= 0x20;
    std::fs::write(directory.join("corrupt.gguf"), &corrupt)?;

    // 4 MiB of weights, and 6 MiB of keys and values for the usual context.
    let large = model(Shape {
        width: 512,
        layers: 6,
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
