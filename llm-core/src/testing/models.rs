//! Small models with random weights.

use super::writer::GgufWriter;
use crate::quantize::TensorType;
use alloc::string::ToString;
use alloc::vec::Vec;
use alloc::{format, vec};

/// Shape of a synthetic model.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Width of the residual stream.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Width of the feed-forward layer.
    pub feed_forward: usize,
    /// Context.
    pub context: usize,
    /// Whether the output matrix is the embedding.
    pub tied: bool,
    /// Type of the matrices.
    pub ty: TensorType,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            width: 64,
            layers: 2,
            heads: 4,
            kv_heads: 2,
            feed_forward: 96,
            context: 64,
            tied: true,
            ty: TensorType::Q8_0,
        }
    }
}

/// Letters of the synthetic vocabulary, in addition to the 256 bytes and the three special tokens.
const LETTERS: &str = "▁abcdefghijklmnopqrstuvwxyz.,!?";

/// A llama model with pseudo-random weights and a vocabulary of bytes and letters. Equal shapes give equal files.
#[must_use]
pub fn model(shape: Shape) -> GgufWriter {
    model_with_words(shape, 0, &[])
}

/// Like [`model`], with the control tokens of ChatML and this chat template.
#[must_use]
pub fn chat_model(shape: Shape, template: &str) -> GgufWriter {
    let mut writer = model_with_words(shape, 0, &["<|im_start|>", "<|im_end|>"]);
    writer.str("tokenizer.chat_template", template);
    writer
}

/// The model for speed measurements: 15.7 M parameters, 6 blocks of width 384 with 6 heads, a feed-forward layer of
/// 1536, 4096 tokens.
#[must_use]
pub fn benchmark(ty: TensorType) -> GgufWriter {
    let shape = Shape {
        width: 384,
        layers: 6,
        heads: 6,
        kv_heads: 6,
        feed_forward: 1536,
        context: 1024,
        tied: true,
        ty,
    };
    model_with_vocabulary(shape, 4096)
}

/// Like [`benchmark`], for formats in blocks of 256: 119 M parameters, 30 blocks of width 512 with 8 heads, half as many
/// key heads, a feed-forward layer of 1536, 49152 tokens. Similar to SmolLM2 135M, which is 576 wide.
#[must_use]
pub fn wide(ty: TensorType) -> GgufWriter {
    let shape = Shape {
        width: 512,
        layers: 30,
        heads: 8,
        kv_heads: 4,
        feed_forward: 1536,
        context: 1024,
        tied: true,
        ty,
    };
    model_with_vocabulary(shape, 49152)
}

/// Like [`model`], extended to `tokens` tokens.
pub(crate) fn model_with_vocabulary(shape: Shape, tokens: usize) -> GgufWriter {
    model_with_words(shape, tokens - 3 - 256 - LETTERS.chars().count(), &[])
}

/// Like [`model`], with additional tokens: words of letters and digits, and control tokens.
fn model_with_words(shape: Shape, words: usize, controls: &[&str]) -> GgufWriter {
    let mut writer = GgufWriter::default();
    let Shape {
        width,
        layers,
        heads,
        kv_heads,
        feed_forward,
        ..
    } = shape;
    writer
        .str("general.architecture", "llama")
        .str("general.name", "synthetic")
        .u32("llama.context_length", shape.context as u32)
        .u32("llama.embedding_length", width as u32)
        .u32("llama.block_count", layers as u32)
        .u32("llama.feed_forward_length", feed_forward as u32)
        .u32("llama.attention.head_count", heads as u32)
        .u32("llama.attention.head_count_kv", kv_heads as u32)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5);
    let vocabulary = spm_vocabulary(&mut writer, words, controls);
    let mut state = 1u32;
    let mut random = |n: usize, scale: f32| -> Vec<f32> {
        (0..n)
            .map(|_| {
                // Numerical Recipes' linear congruential generator is good enough for weights.
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
            })
            .collect()
    };
    let head = width / heads;
    let ones = vec![1.0; width];
    let deviation = 1.5 / libm::sqrtf(width as f32);
    writer.tensor(
        "token_embd.weight",
        shape.ty,
        &[width, vocabulary],
        &random(width * vocabulary, 1.0),
    );
    for layer in 0..layers {
        let name = |tensor| format!("blk.{layer}.{tensor}.weight");
        writer.tensor(&name("attn_norm"), TensorType::F32, &[width], &ones);
        writer.tensor(&name("ffn_norm"), TensorType::F32, &[width], &ones);
        for (tensor, columns, rows) in [
            ("attn_q", width, heads * head),
            ("attn_k", width, kv_heads * head),
            ("attn_v", width, kv_heads * head),
            ("attn_output", heads * head, width),
            ("ffn_gate", width, feed_forward),
            ("ffn_up", width, feed_forward),
            ("ffn_down", feed_forward, width),
        ] {
            writer.tensor(
                &name(tensor),
                shape.ty,
                &[columns, rows],
                &random(columns * rows, deviation),
            );
        }
    }
    writer.tensor("output_norm.weight", TensorType::F32, &[width], &ones);
    if !shape.tied {
        writer.tensor(
            "output.weight",
            shape.ty,
            &[width, vocabulary],
            &random(width * vocabulary, 1.0),
        );
    }
    writer
}

/// Writes a vocabulary of bytes, letters, `words` words of digits, and control tokens; returns its number of tokens.
pub(super) fn spm_vocabulary(writer: &mut GgufWriter, words: usize, controls: &[&str]) -> usize {
    let mut tokens: Vec<Vec<u8>> = [&b"<unk>"[..], b"<s>", b"</s>"]
        .map(<[u8]>::to_vec)
        .to_vec();
    tokens.extend((0..=255u8).map(|byte| format!("<0x{byte:02X}>").into_bytes()));
    tokens.extend(
        LETTERS
            .chars()
            .map(|letter| letter.to_string().into_bytes()),
    );
    tokens.extend((0..words).map(|word| format!("w{word}").into_bytes()));
    let text = tokens.len();
    tokens.extend(controls.iter().map(|control| control.as_bytes().to_vec()));
    let vocabulary = tokens.len();
    let kinds: Vec<i32> = (0..vocabulary)
        .map(|id| {
            if id == 0 {
                2
            } else if id < 3 || id >= text {
                3
            } else if id < 259 {
                6
            } else {
                1
            }
        })
        .collect();
    writer
        .str("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", &tokens)
        .f32s("tokenizer.ggml.scores", &vec![0.0; vocabulary])
        .i32s("tokenizer.ggml.token_type", &kinds)
        .u32("tokenizer.ggml.bos_token_id", 1)
        .u32("tokenizer.ggml.eos_token_id", 2)
        .u32("tokenizer.ggml.unknown_token_id", 0)
        .bool("tokenizer.ggml.add_bos_token", true)
        .bool("tokenizer.ggml.add_eos_token", false)
        .bool("tokenizer.ggml.add_space_prefix", true);
    vocabulary
}

/// A gpt2 model of byte tokens with pseudo-random weights; the shape's `kv_heads` are ignored. Equal shapes give equal
/// files.
#[must_use]
pub fn gpt2(shape: Shape) -> GgufWriter {
    let mut writer = GgufWriter::default();
    let Shape {
        width,
        layers,
        heads,
        feed_forward,
        context,
        ..
    } = shape;
    let tokens: Vec<Vec<u8>> = (0..=255u8)
        .map(|byte| byte_character(byte).to_string().into_bytes())
        .chain([b"<|endoftext|>".to_vec()])
        .collect();
    let vocabulary = tokens.len();
    let kinds: Vec<i32> = (0..vocabulary)
        .map(|id| if id == 256 { 3 } else { 1 })
        .collect();
    writer
        .str("general.architecture", "gpt2")
        .str("general.name", "synthetic")
        .u32("gpt2.context_length", context as u32)
        .u32("gpt2.embedding_length", width as u32)
        .u32("gpt2.block_count", layers as u32)
        .u32("gpt2.feed_forward_length", feed_forward as u32)
        .u32("gpt2.attention.head_count", heads as u32)
        .f32("gpt2.attention.layer_norm_epsilon", 1e-5)
        .str("tokenizer.ggml.model", "gpt2")
        .str("tokenizer.ggml.pre", "gpt-2")
        .strings("tokenizer.ggml.tokens", &tokens)
        .i32s("tokenizer.ggml.token_type", &kinds)
        .strings("tokenizer.ggml.merges", &[b"a b".to_vec()])
        .u32("tokenizer.ggml.bos_token_id", 256)
        .u32("tokenizer.ggml.eos_token_id", 256);
    let mut state = 7u32;
    let mut random = |n: usize, scale: f32| -> Vec<f32> {
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
            })
            .collect()
    };
    let deviation = 1.5 / libm::sqrtf(width as f32);
    let float = TensorType::F32;
    writer.tensor(
        "token_embd.weight",
        shape.ty,
        &[width, vocabulary],
        &random(width * vocabulary, 1.0),
    );
    writer.tensor(
        "position_embd.weight",
        float,
        &[width, context],
        &random(width * context, 0.3),
    );
    for layer in 0..layers {
        let name = |tensor, part| format!("blk.{layer}.{tensor}.{part}");
        for norm in ["attn_norm", "ffn_norm"] {
            let weight: Vec<f32> = random(width, 0.2).iter().map(|w| 1.0 + w).collect();
            writer.tensor(&name(norm, "weight"), float, &[width], &weight);
            writer.tensor(&name(norm, "bias"), float, &[width], &random(width, 0.1));
        }
        for (tensor, columns, rows) in [
            ("attn_qkv", width, 3 * width),
            ("attn_output", width, width),
            ("ffn_up", width, feed_forward),
            ("ffn_down", feed_forward, width),
        ] {
            let weights = random(columns * rows, deviation);
            writer.tensor(
                &name(tensor, "weight"),
                shape.ty,
                &[columns, rows],
                &weights,
            );
            writer.tensor(&name(tensor, "bias"), float, &[rows], &random(rows, 0.1));
        }
    }
    let weight: Vec<f32> = random(width, 0.2).iter().map(|w| 1.0 + w).collect();
    writer.tensor("output_norm.weight", float, &[width], &weight);
    writer.tensor("output_norm.bias", float, &[width], &random(width, 0.1));
    if !shape.tied {
        writer.tensor(
            "output.weight",
            shape.ty,
            &[width, vocabulary],
            &random(width * vocabulary, deviation),
        );
    }
    writer
}

/// The shape that this project began with: gpt2 with 6 layers, 384 wide, 6 heads, and a feed-forward layer of four
/// times the width.
#[must_use]
pub const fn seed_shape(ty: TensorType) -> Shape {
    Shape {
        width: 384,
        layers: 6,
        heads: 6,
        kv_heads: 6,
        feed_forward: 4 * 384,
        context: 128,
        tied: false,
        ty,
    }
}

/// The character that represents a byte in files of byte-level BPE.
#[must_use]
pub fn byte_character(byte: u8) -> char {
    let printable = |byte: u8| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    if printable(byte) {
        return char::from(byte);
    }
    let before = (0..byte).filter(|&byte| !printable(byte)).count();
    char::from_u32(0x100 + before as u32).unwrap_or('?')
}
