//! Which files are accepted as models, depending on their keys. Results of models are tested in `backend`.

use super::*;
use crate::kv_cache::KvType;
use crate::testing::{GgufWriter, Shape, gpt2, model};
use std::string::{String, ToString};
use std::vec::Vec;

/// A model of two blocks with 4 heads, 2 for keys and values, and 96 elements in the feed-forward layer.
fn with(change: impl FnOnce(&mut GgufWriter) -> &mut GgufWriter) -> Vec<u8> {
    let mut writer = model(Shape::default());
    change(&mut writer);
    writer.finish()
}

fn config(change: impl FnOnce(&mut GgufWriter) -> &mut GgufWriter) -> Config {
    let file = with(change);
    *Checked::new(&file).expect("a model").config()
}

fn refusal(change: impl FnOnce(&mut GgufWriter) -> &mut GgufWriter) -> String {
    let file = with(change);
    Checked::new(&file).expect_err("refused").to_string()
}

/// Without the keys that the test sets differently.
fn without(keys: &[&str], change: impl FnOnce(&mut GgufWriter) -> &mut GgufWriter) -> Vec<u8> {
    let mut writer = model(Shape::default());
    keys.iter().for_each(|key| writer.remove_key(key));
    change(&mut writer);
    writer.finish()
}

#[test]
fn a_key_below_the_architecture_that_is_not_known_refuses_the_model_by_name() {
    let unknown = refusal(|file| file.f32("llama.attention.temperature", 2.0));
    assert_eq!(
        unknown,
        "the metadata key llama.attention.temperature is not known to the engine, and could change the result"
    );
    // For another architecture, it is a harmless note.
    config(|file| file.f32("mamba.ssm.state_size", 2.0));
    // A key for another norm, or for learned positions.
    let mut writer = gpt2(Shape::default());
    writer.f32("gpt2.rope.freq_base", 10_000.0);
    let error = Checked::new(&writer.finish()).expect_err("no rotation");
    assert!(error.to_string().contains("gpt2.rope.freq_base"), "{error}");
}

#[test]
fn a_key_whose_value_the_forward_pass_cannot_honour_refuses_the_model_by_name() {
    let plain = config(|file| file);
    for key in ["llama.attention.causal", "llama.use_parallel_residual"] {
        let fine = key.ends_with("causal");
        let same = config(|file| file.bool(key, fine));
        assert_eq!(same, plain);
        let other = refusal(|file| file.bool(key, !fine));
        assert_eq!(
            other,
            std::format!("{key} = {} is not supported, only {fine} is", !fine)
        );
    }
    let experts = refusal(|file| file.u32("llama.expert_count", 8));
    assert_eq!(
        experts,
        "llama.expert_count = 8 is not supported, only 0 is"
    );
    let window = refusal(|file| file.u32("llama.attention.sliding_window", 32));
    assert!(
        window.contains("llama.attention.sliding_window"),
        "{window}"
    );
}

#[test]
fn a_factor_without_a_method_scales_positions_linearly() {
    let scale = |change: fn(&mut GgufWriter) -> &mut GgufWriter| {
        config(change).rope.expect("a rotation").angles.scale
    };
    assert_eq!(scale(|file| file), 1.0);
    assert_eq!(scale(|f| f.f32("llama.rope.scaling.factor", 4.0)), 0.25);
    assert_eq!(scale(|f| f.f32("llama.rope.scale_linear", 2.0)), 0.5);
    assert_eq!(
        scale(|f| {
            f.f32("llama.rope.scale_linear", 2.0)
                .f32("llama.rope.scaling.factor", 8.0)
        }),
        0.125,
        "the newer key counts"
    );
    assert_eq!(
        scale(|f| {
            f.str("llama.rope.scaling.type", "linear")
                .f32("llama.rope.scaling.factor", 4.0)
        }),
        0.25
    );
    assert_eq!(
        scale(|f| {
            f.str("llama.rope.scaling.type", "none")
                .f32("llama.rope.scaling.factor", 4.0)
        }),
        1.0
    );
    assert_eq!(scale(|f| f.f32("llama.rope.scaling.factor", 0.0)), 1.0);
    for wrong in [-1.0, f32::NAN, f32::INFINITY, 1e-45] {
        let error = refusal(|f| f.f32("llama.rope.scaling.factor", wrong));
        assert!(error.contains("rope.scaling.factor"), "{error}");
    }
    let su = refusal(|f| f.str("llama.rope.scaling.type", "su"));
    assert_eq!(su, "llama.rope.scaling.type = su is not supported");
}

#[test]
fn numbers_of_each_block_are_read_if_they_are_equal() {
    let keys = [
        "llama.attention.head_count",
        "llama.attention.head_count_kv",
        "llama.feed_forward_length",
    ];
    let values = [4, 2, 96];
    let file = without(&keys, |file| {
        for (key, value) in keys.iter().zip(values) {
            file.i32s(key, &[value; 2]);
        }
        file
    });
    let checked = Checked::new(&file).expect("equal numbers");
    assert_eq!(*checked.config(), config(|file| file));
    for (key, value) in keys.iter().zip(values) {
        let file = without(&[key], |file| file.i32s(key, &[value, value / 2]));
        let error = Checked::new(&file).expect_err("numbers that differ");
        assert_eq!(
            error.to_string(),
            std::format!(
                "{key} is an array of 2 items: only 2 equal ones, one for each block, are supported"
            )
        );
    }
}

#[test]
fn a_vocabulary_too_large_for_the_arena_is_refused_with_what_it_takes() {
    // 262,144 tokens, as in Gemma, for a tiny model.
    let mut tokens: Vec<Vec<u8>> = (0..1 << 18)
        .map(|id| std::format!("token{id}").into_bytes())
        .collect();
    for (token, text) in tokens.iter_mut().zip([&b"<unk>"[..], b"<s>", b"</s>"]) {
        *token = text.to_vec();
    }
    let mut writer = GgufWriter::default();
    writer
        .str("general.architecture", "llama")
        .u32("llama.context_length", 64)
        .u32("llama.embedding_length", 32)
        .u32("llama.block_count", 1)
        .u32("llama.feed_forward_length", 32)
        .u32("llama.attention.head_count", 1)
        .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
        .str("tokenizer.ggml.model", "llama")
        .strings("tokenizer.ggml.tokens", &tokens)
        .f32s("tokenizer.ggml.scores", &std::vec![0.0; tokens.len()]);
    let ty = crate::quantize::TensorType::Q4_0;
    let zeros = std::vec![0.0; 32 << 18];
    writer.tensor("token_embd.weight", ty, &[32, 1 << 18], &zeros);
    for (tensor, rows) in [
        ("attn_norm", 0),
        ("ffn_norm", 0),
        ("attn_q", 32),
        ("attn_k", 32),
        ("attn_v", 32),
        ("attn_output", 32),
        ("ffn_gate", 32),
        ("ffn_up", 32),
        ("ffn_down", 32),
    ] {
        let name = std::format!("blk.0.{tensor}.weight");
        match rows {
            0 => writer.tensor(&name, crate::quantize::TensorType::F32, &[32], &[1.0; 32]),
            rows => writer.tensor(&name, ty, &[32, rows], &zeros[..32 * rows]),
        };
    }
    let ones = [1.0; 32];
    let ty = crate::quantize::TensorType::F32;
    writer.tensor("output_norm.weight", ty, &[32], &ones);
    let file = writer.finish();
    let checked = Checked::new(&file).expect("a model");
    let options = LoadOptions {
        context: 64,
        kv: KvType::Q8,
        sessions: 1,
        positions: Positions::Fill,
        max_prompt_bytes: 64,
        cpu: Cpu::SCALAR,
        workers: 1,
    };
    let mut memory = crate::testing::Memory::new(8 << 20);
    let mut arena = Arena::new(memory.bytes()).expect("aligned");
    let before = arena.usage();
    match Model::load(&checked, &options, &mut arena) {
        Err(LoadError::TooLarge(plan)) => {
            // 13 bytes per token, plus its text.
            let text: usize = tokens.iter().map(Vec::len).sum();
            let table = (13 * tokens.len() + 4 + text).next_multiple_of(64) as u64;
            assert_eq!(plan.vocabulary, table);
            assert!(plan.vocabulary < plan.total() && plan.total() > 8 << 20);
            assert_eq!((plan.capacity, plan.largest_context), (8 << 20, 0));
        }
        other => panic!("loaded, or refused for another reason: {other:?}"),
    }
    assert_eq!(arena.usage(), before);
}

/// The first tokens generated greedily.
fn generated(file: &[u8]) -> Vec<u32> {
    use crate::backend::{LlmBackend as _, TransformerBackend};
    use crate::generate::{GenerateParams, Progress, Prompt, Step, Text, Turn};
    let options = LoadOptions {
        context: 64,
        kv: KvType::F32,
        sessions: 1,
        positions: Positions::Fill,
        max_prompt_bytes: 64,
        cpu: Cpu::SCALAR,
        workers: 1,
    };
    let mut memory = crate::testing::Memory::new(4 << 20);
    let arena = Arena::new(memory.bytes()).expect("aligned");
    let mut backend = TransformerBackend::new(arena, options);
    backend.load(file).expect("a model");
    let params = GenerateParams {
        sampler: crate::sampling::SamplerParams::greedy(),
        max_tokens: 12,
    };
    let started = backend.start(Turn::only(0), Prompt::Text(b"once upon"), &params);
    started.expect("a prompt");
    let mut ids = Vec::new();
    let mut text = Text::new();
    loop {
        match backend.step(&mut text) {
            Progress::Idle => return ids,
            Progress::Session(_, Ok(Step::Token { id })) => ids.push(id),
            Progress::Session(_, Err(error)) => panic!("{error}"),
            _ => {}
        }
    }
}

#[test]
fn a_token_that_the_file_suppresses_is_never_generated() {
    let key = "tokenizer.ggml.suppress_tokens";
    let free = generated(&with(|file| file));
    let seldom = (3..).find(|id| !free.contains(id)).expect("a token") as i32;
    assert_eq!(generated(&with(|file| file.i32s(key, &[seldom]))), free);
    let first: Vec<i32> = free.iter().map(|&id| id as i32).collect();
    let other = generated(&with(|file| file.i32s(key, &first)));
    assert!(!other.is_empty() && other.iter().all(|id| !free.contains(id)));
}
