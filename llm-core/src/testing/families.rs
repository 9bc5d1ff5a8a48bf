//! Models of any family, generated from its description.

use super::models::spm_vocabulary;
use super::{GgufWriter, Shape};
use crate::quantize::TensorType;
use crate::transformer::{Family, Gate, HeadNorm, NormKind, NormPlaces};
use alloc::format;
use alloc::vec::Vec;

/// Positions that blocks with a window attend to.
const WINDOW: u32 = 8;

/// A model of the named family, which must use RoPE, with pseudo-random weights and a vocabulary of bytes and letters.
/// If the family has a window, it is 8 positions in the first of every two blocks. Equal arguments give equal files.
///
/// # Panics
/// There is no such family.
#[must_use]
pub fn family(name: &str, shape: Shape) -> GgufWriter {
    let family = Family::named(name).expect("a family");
    let mut writer = GgufWriter::default();
    write_keys(&mut writer, family, shape);
    let vocabulary = spm_vocabulary(&mut writer, 0, &[]);
    let mut weights = Weights {
        writer,
        ty: shape.ty,
        state: 11,
    };
    let width = shape.width;
    weights.matrix("token_embd.weight", width, vocabulary);
    for layer in 0..shape.layers {
        write_block(&mut weights, family, shape, layer);
    }
    weights.norm(
        "output_norm",
        &[width],
        family.block.norm == NormKind::Layer,
    );
    if !shape.tied {
        weights.matrix("output.weight", width, vocabulary);
    }
    weights.writer
}

fn write_keys(writer: &mut GgufWriter, family: &Family, shape: Shape) {
    let key = |key: &str| format!("{}.{key}", family.name);
    let epsilon = match family.block.norm {
        NormKind::Rms => "attention.layer_norm_rms_epsilon",
        NormKind::Layer => "attention.layer_norm_epsilon",
    };
    writer
        .str("general.architecture", family.name)
        .u32(&key("context_length"), shape.context as u32)
        .u32(&key("embedding_length"), shape.width as u32)
        .u32(&key("block_count"), shape.layers as u32)
        .u32(&key("feed_forward_length"), shape.feed_forward as u32)
        .u32(&key("attention.head_count"), shape.heads as u32)
        .u32(&key("attention.head_count_kv"), shape.kv_heads as u32)
        .f32(&key(epsilon), 1e-5);
    if family.reads("attention.sliding_window") {
        writer
            .u32(&key("attention.sliding_window"), WINDOW)
            .u32(&key("attention.sliding_window_pattern"), 2);
    }
    if family.reads("use_parallel_residual") {
        writer.bool(&key("use_parallel_residual"), true);
    }
    for (name, scale) in [
        ("logit_scale", 0.5),
        ("residual_scale", 0.7),
        ("embedding_scale", 3.0),
    ] {
        if family.reads(name) {
            writer.f32(&key(name), scale);
        }
    }
}

fn write_block(weights: &mut Weights, family: &Family, shape: Shape, layer: usize) {
    let block = family.block;
    let name = |tensor: &str| format!("blk.{layer}.{tensor}");
    let (width, inner) = (shape.width, shape.feed_forward);
    let head = width / shape.heads;
    let keys = shape.kv_heads * head;
    let bias = block.norm == NormKind::Layer;
    if block.places != NormPlaces::After {
        weights.norm(&name("attn_norm"), &[width], bias);
        weights.norm(&name("ffn_norm"), &[width], bias);
    }
    if block.places != NormPlaces::Before {
        weights.norm(&name("post_attention_norm"), &[width], bias);
        weights.norm(&name("post_ffw_norm"), &[width], bias);
    }
    for (tensor, heads) in [
        ("attn_q_norm", shape.heads),
        ("attn_k_norm", shape.kv_heads),
    ] {
        match block.heads {
            HeadNorm::None => {}
            HeadNorm::PerHead => weights.norm(&name(tensor), &[head], false),
            HeadNorm::EachHead => weights.norm(&name(tensor), &[head, heads], false),
            HeadNorm::Whole => weights.norm(&name(tensor), &[head * heads], false),
        }
    }
    let up = match block.gate {
        Gate::InUp => 2 * inner,
        Gate::Own | Gate::None => inner,
    };
    for (tensor, columns, rows) in [
        ("attn_q", width, width),
        ("attn_k", width, keys),
        ("attn_v", width, keys),
        ("attn_output", width, width),
        ("ffn_up", width, up),
        ("ffn_down", inner, width),
    ] {
        weights.matrix(&format!("{}.weight", name(tensor)), columns, rows);
    }
    if block.gate == Gate::Own {
        weights.matrix(&name("ffn_gate.weight"), width, inner);
    }
}

struct Weights {
    writer: GgufWriter,
    ty: TensorType,
    state: u32,
}

impl Weights {
    fn random(&mut self, n: usize, scale: f32) -> Vec<f32> {
        let mut next = || {
            let state = self.state.wrapping_mul(1_664_525);
            self.state = state.wrapping_add(1_013_904_223);
            ((self.state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
        };
        (0..n).map(|_| next()).collect()
    }

    fn matrix(&mut self, name: &str, columns: usize, rows: usize) {
        let scale = match name {
            "token_embd.weight" => 1.0,
            _ => 1.5 / libm::sqrtf(columns as f32),
        };
        let values = self.random(columns * rows, scale);
        self.writer.tensor(name, self.ty, &[columns, rows], &values);
    }

    fn norm(&mut self, name: &str, dims: &[usize], bias: bool) {
        let len = dims.iter().product();
        let weight: Vec<f32> = self.random(len, 0.3).iter().map(|w| 1.0 + w).collect();
        let float = TensorType::F32;
        self.writer
            .tensor(&format!("{name}.weight"), float, dims, &weight);
        if bias {
            let bias = self.random(len, 0.2);
            self.writer
                .tensor(&format!("{name}.bias"), float, dims, &bias);
        }
    }
}
