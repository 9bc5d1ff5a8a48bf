//! Small models and aligned memory for tests, including those of other crates (feature `testing`). They need a heap,
//! but no operating system.

pub mod kernels;

mod adapters;
mod families;

pub use adapters::{AdapterShape, adapter};
pub use families::family;

use crate::quantize::{NonFinite, TensorType, quantize_row};
use crate::team::{Team, Work};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Zeroed memory aligned to 64 bytes, as an arena requires.
pub struct Memory {
    lines: Vec<Line>,
    bytes: usize,
}

impl Memory {
    /// Allocates `bytes` zeros.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            lines: vec![Line([0; 64]); bytes.div_ceil(64)],
            bytes,
        }
    }

    /// The memory.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.lines.as_mut_bytes()[..self.bytes]
    }
}

impl AsMut<[u8]> for Memory {
    fn as_mut(&mut self) -> &mut [u8] {
        self.bytes()
    }
}

/// So that a test can choose a team at run time.
impl Team for Box<dyn Team> {
    fn workers(&self) -> usize {
        (**self).workers()
    }

    fn least_work(&self) -> u64 {
        (**self).least_work()
    }

    fn run(&mut self, work: Work<'_>) -> Result<(), NonFinite> {
        (**self).run(work)
    }
}

/// Writes GGUF files, version 3.
#[derive(Clone, Default)]
pub struct GgufWriter {
    keys: Vec<Vec<u8>>,
    tensors: Vec<(String, TensorType, Vec<usize>, Vec<u8>)>,
}

impl GgufWriter {
    fn key(&mut self, key: &str, ty: u32, value: &[u8]) -> &mut Self {
        let mut bytes = string(key.as_bytes());
        bytes.extend(ty.to_le_bytes());
        bytes.extend(value);
        self.keys.push(bytes);
        self
    }

    /// Removes a key.
    pub fn remove_key(&mut self, key: &str) {
        let key = string(key.as_bytes());
        self.keys.retain(|entry| !entry.starts_with(&key));
    }

    /// A u32.
    pub fn u32(&mut self, key: &str, value: u32) -> &mut Self {
        self.key(key, 4, &value.to_le_bytes())
    }

    /// An f32.
    pub fn f32(&mut self, key: &str, value: f32) -> &mut Self {
        self.key(key, 6, &value.to_le_bytes())
    }

    /// A bool.
    pub fn bool(&mut self, key: &str, value: bool) -> &mut Self {
        self.key(key, 7, &[u8::from(value)])
    }

    /// A string.
    pub fn str(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key, 8, &string(value.as_bytes()))
    }

    fn array(&mut self, key: &str, ty: u32, count: usize, items: &[u8]) -> &mut Self {
        let mut value = ty.to_le_bytes().to_vec();
        value.extend((count as u64).to_le_bytes());
        value.extend(items);
        self.key(key, 9, &value)
    }

    /// An array of strings.
    pub fn strings(&mut self, key: &str, values: &[Vec<u8>]) -> &mut Self {
        let items: Vec<u8> = values.iter().flat_map(|value| string(value)).collect();
        self.array(key, 8, values.len(), &items)
    }

    /// An array of f32.
    pub fn f32s(&mut self, key: &str, values: &[f32]) -> &mut Self {
        self.array(key, 6, values.len(), values.as_bytes())
    }

    /// An array of i32.
    pub fn i32s(&mut self, key: &str, values: &[i32]) -> &mut Self {
        self.array(key, 5, values.len(), values.as_bytes())
    }

    /// A tensor; `dims[0]` is the length of its rows.
    ///
    /// # Panics
    /// The type cannot hold the values.
    pub fn tensor(
        &mut self,
        name: &str,
        ty: TensorType,
        dims: &[usize],
        values: &[f32],
    ) -> &mut Self {
        let columns = dims[0];
        let stride = ty.row_bytes(columns).expect("whole blocks");
        let mut data = vec![0; stride * values.len() / columns];
        for (row, out) in values.chunks(columns).zip(data.chunks_mut(stride)) {
            quantize_row(ty, row, out).expect("values that the type can hold");
        }
        self.tensors
            .push((name.to_string(), ty, dims.to_vec(), data));
        self
    }

    /// Removes a tensor.
    pub fn remove_tensor(&mut self, name: &str) -> &mut Self {
        self.tensors.retain(|tensor| tensor.0 != name);
        self
    }

    /// Bytes of the last tensor, for corrupting them.
    ///
    /// # Panics
    /// There is no tensor.
    pub fn last_tensor(&mut self) -> &mut Vec<u8> {
        &mut self.tensors.last_mut().expect("a tensor").3
    }

    /// Bytes of a tensor, for corrupting them.
    ///
    /// # Panics
    /// There is no tensor of that name.
    pub fn tensor_bytes(&mut self, name: &str) -> &mut Vec<u8> {
        let tensor = self.tensors.iter_mut().find(|tensor| tensor.0 == name);
        &mut tensor.expect("a tensor").3
    }

    /// The file.
    #[must_use]
    pub fn finish(&self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.keys.len() as u64).to_le_bytes());
        self.keys.iter().for_each(|key| file.extend(key));
        let mut offset = 0;
        for (name, ty, dims, data) in &self.tensors {
            file.extend(string(name.as_bytes()));
            file.extend((dims.len() as u32).to_le_bytes());
            dims.iter()
                .for_each(|&dim| file.extend((dim as u64).to_le_bytes()));
            file.extend(ty.to_ggml().to_le_bytes());
            file.extend((offset as u64).to_le_bytes());
            offset += data.len().next_multiple_of(32);
        }
        for (.., data) in &self.tensors {
            file.resize(file.len().next_multiple_of(32), 0);
            file.extend(data);
        }
        file.resize(file.len().next_multiple_of(32), 0);
        file
    }
}

fn string(text: &[u8]) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend(text);
    bytes
}

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
fn spm_vocabulary(writer: &mut GgufWriter, words: usize, controls: &[&str]) -> usize {
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
