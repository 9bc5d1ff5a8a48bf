//! Synthetic adapters.

use super::GgufWriter;
use crate::gguf::{Gguf, TensorInfo};
use crate::quantize::TensorType;
use alloc::format;
use alloc::vec::Vec;

/// Parameters of a synthetic adapter.
#[derive(Clone, Copy, Debug)]
pub struct AdapterShape {
    /// Rank of all its matrices.
    pub rank: usize,
    /// α.
    pub alpha: f32,
    /// Only queries, keys, values and output of attention; otherwise every matrix that can be adapted.
    pub attention: bool,
    /// Type of its tensors; F16 if rows are not whole blocks, as in llama.cpp's converter.
    pub ty: TensorType,
    /// Seed of its values.
    pub seed: u32,
}

impl Default for AdapterShape {
    fn default() -> Self {
        Self {
            rank: 4,
            alpha: 8.0,
            attention: false,
            ty: TensorType::F32,
            seed: 1,
        }
    }
}

/// An adapter with pseudo-random values and a clear effect on the model in `base`. Equal shapes give equal files.
///
/// # Panics
/// `base` is not a GGUF file of a model.
#[must_use]
pub fn adapter(base: &[u8], shape: AdapterShape) -> GgufWriter {
    let gguf = Gguf::parse(base).expect("a GGUF file");
    let architecture = gguf.str_of("general.architecture").expect("a model");
    let mut writer = GgufWriter::default();
    writer
        .str("general.type", "adapter")
        .str("general.architecture", architecture)
        .str("adapter.type", "lora")
        .f32("adapter.lora.alpha", shape.alpha);
    let mut state = shape.seed;
    let mut random = |n: usize, scale: f32| -> Vec<f32> {
        (0..n)
            .map(|_| {
                // The same generator as for the weights of models.
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
            })
            .collect()
    };
    let adapted = |tensor: &TensorInfo<'_>| {
        let name = tensor.name;
        let matrix = tensor.rank == 2 && name.ends_with(".weight") && !name.contains("norm");
        let block = name.starts_with("blk.") || name == "output.weight";
        matrix && block && (!shape.attention || name.contains("attn"))
    };
    for tensor in gguf.tensors().filter(adapted) {
        let (columns, rows) = (tensor.columns() as usize, tensor.rows() as usize);
        let ty = |columns| match shape.ty.row_bytes(columns) {
            Some(_) => shape.ty,
            None => TensorType::F16,
        };
        let a = random(shape.rank * columns, 1.5 / libm::sqrtf(columns as f32));
        let b = random(rows * shape.rank, 0.5);
        let name = |half: &str| format!("{}.lora_{half}", tensor.name);
        writer
            .tensor(&name("a"), ty(columns), &[columns, shape.rank], &a)
            .tensor(&name("b"), ty(shape.rank), &[shape.rank, rows], &b);
    }
    writer
}
