//! Compares every format and architecture with llama.cpp: `tests/parity/` has small models made by other tools, and
//! llama.cpp's results for them (`make_parity.py` there says how).
//!
//! Quantised models are compared as they are. Both sides quantise activations, but llama.cpp rounds differently, so
//! logits are compared by their direction, and choices only if they are clear.

use std::fs;
use std::path::PathBuf;

use llm_core::hash::sha256;
use llm_core::kv_cache::KvType;
use llm_core::quantize::TensorType;
use llm_core::testing::{gpt2, seed_shape};
use llm_core::tokenizer::EncodeOptions;
use llm_core::transformer::Checked;
use llmtool::engine::{Memory, Runner, load_options};
use llmtool::vocabulary::HostVocabulary;
use serde::Deserialize;
use workers::Threads;

/// For quantised models: share of the range within which a choice is not clear.
const QUANTISED: f32 = 5e-3;

#[derive(Deserialize)]
struct Reference {
    model: String,
    sha256: String,
    /// Largest difference as a share of the range of the logits (F32, F16, BF16).
    tolerance: Option<f32>,
    /// Minimum cosine of the logits (quantised).
    cosine: Option<f64>,
    prompt: Prompt,
    texts: Vec<Text>,
    greedy: Vec<Greedy>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    tokens: Vec<u32>,
}

#[derive(Deserialize)]
struct Prompt {
    tokens: Vec<u32>,
    positions: Vec<usize>,
}

#[derive(Deserialize)]
struct Greedy {
    tokens: Vec<u32>,
    /// Best id, its logit, second best id, its logit.
    steps: Vec<(u32, f32, u32, f32)>,
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/parity"))
}

/// The likeliest token; the lowest of equals.
fn argmax(logits: &[f32]) -> u32 {
    let mut best = 0;
    for (id, &logit) in logits.iter().enumerate() {
        if logit > logits[best] {
            best = id;
        }
    }
    best as u32
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
        products.sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

fn compare(name: &str) {
    let json = fs::read(folder().join(format!("{name}.json"))).expect("the reference");
    let reference: Reference = serde_json::from_slice(&json).expect("the reference is JSON");
    let rows: Vec<f32> = fs::read(folder().join(format!("{name}.f32")))
        .expect("the reference's logits")
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let file = if name == "gpt2-seed-f32" {
        // 42 MB, so it is made here instead.
        gpt2(seed_shape(TensorType::F32)).finish()
    } else {
        fs::read(folder().join("models").join(&reference.model)).expect("the model")
    };
    let digest: String = sha256(&file).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(digest, reference.sha256, "run make_parity.py");

    let checked = Checked::new(&file).unwrap();
    let options = load_options(512, KvType::F32);
    let mut memory = Memory::for_model(&checked, &options).unwrap();
    let mut runner =
        Runner::load(&checked, &options, Threads::new(1).unwrap(), &mut memory).unwrap();
    let vocabulary = HostVocabulary::load("model".as_ref(), checked.gguf()).unwrap();
    assert_eq!(reference.texts.len(), 5);
    for Text { text, tokens } in &reference.texts {
        let options = EncodeOptions {
            add_special: true,
            parse_special: false,
            parse_user_defined: true,
        };
        assert_eq!(
            vocabulary.encode(text.as_bytes(), options).unwrap(),
            *tokens,
            "{text:?}"
        );
    }
    let (low, high) = rows.iter().fold((f32::MAX, f32::MIN), |(low, high), &x| {
        (low.min(x), high.max(x))
    });
    let range = high - low;
    assert!(range > 1.0);

    let mut rows = rows.chunks_exact(checked.config().vocabulary);
    let (mut worst, mut least) = (0.0f32, 1.0f64);
    for (position, &token) in reference.prompt.tokens.iter().enumerate() {
        let ours = runner.feed(token, position).unwrap();
        if reference.prompt.positions.contains(&position) {
            let theirs = rows.next().expect("a row for each position");
            for (ours, theirs) in ours.iter().zip(theirs) {
                worst = worst.max((ours - theirs).abs() / range);
            }
            least = least.min(cosine(ours, theirs));
        }
    }
    assert!(rows.next().is_none());

    let tolerance = reference.tolerance.unwrap_or(QUANTISED);
    let (mut same, mut close) = (0, 0);
    assert_eq!(reference.greedy.len(), 4);
    for greedy in &reference.greedy {
        assert_eq!(greedy.steps.len(), 64);
        let (last, prompt) = greedy.tokens.split_last().unwrap();
        for (position, &token) in prompt.iter().enumerate() {
            runner.feed(token, position).unwrap();
        }
        let mut token = *last;
        for (position, &(best, first, _, second)) in (prompt.len()..).zip(&greedy.steps) {
            let ours = argmax(runner.feed(token, position).unwrap());
            if first - second > 2.0 * tolerance * range {
                assert_eq!(ours, best, "{name} at {position}");
                same += 1;
            } else {
                close += 1;
            }
            token = best;
        }
    }
    println!(
        "{name}: largest difference {worst:.1e} of the range {range:.1}, least cosine {least:.6}; \
         same choice in {same} steps, {close} too close to tell"
    );
    if let Some(tolerance) = reference.tolerance {
        assert!(worst <= tolerance, "{name} differs by {worst:e}");
    }
    if let Some(cosine) = reference.cosine {
        assert!(least >= cosine, "{name}: cosine {least}");
    }
    assert!(reference.tolerance.is_some() || reference.cosine.is_some());
}

macro_rules! models {
    ($($test:ident: $name:literal,)*) => {
        $(
            #[test]
            fn $test() {
                compare($name);
            }
        )*

        #[test]
        fn no_reference_is_left_out() {
            let listed = [$($name),*];
            let models = fs::read_dir(folder().join("models")).unwrap();
            let found: Vec<_> = models.map(|entry| entry.unwrap().path()).collect();
            // One is made by its test.
            assert_eq!(found.len() + 1, listed.len());
            for path in found {
                let stem = path.file_stem().unwrap().to_str().unwrap();
                assert!(listed.contains(&stem), "{stem}");
            }
        }
    };
}

models! {
    llama_f32_mha: "llama-f32-mha",
    llama_f32_gqa: "llama-f32-gqa",
    llama_f32_bias: "llama-f32-bias",
    llama_f16_head128: "llama-f16-head128",
    llama_bf16: "llama-bf16",
    llama_q4_0: "llama-q4_0",
    llama_q4_1: "llama-q4_1",
    llama_q5_0: "llama-q5_0",
    llama_q5_1: "llama-q5_1",
    llama_q8_0: "llama-q8_0",
    llama_q2_k: "llama-q2_k",
    llama_q3_k: "llama-q3_k",
    llama_q4_k: "llama-q4_k",
    llama_q5_k: "llama-q5_k",
    llama_q6_k: "llama-q6_k",
    gpt2_f32: "gpt2-f32",
    gpt2_seed_f32: "gpt2-seed-f32",
    gpt2_head64_q8_0: "gpt2-head64-q8_0",
    gpt2_q4_k: "gpt2-q4_k",
    qwen2_f32: "qwen2-f32",
    qwen3_f32: "qwen3-f32",
    gemma2_f32: "gemma2-f32",
    gemma3_f32: "gemma3-f32",
    gptneox_f32: "gptneox-f32",
    gptneox_f32_sequential: "gptneox-f32-sequential",
    phi3_f32: "phi3-f32",
    phi3_f32_short: "phi3-f32-short",
    phi3_f32_long: "phi3-f32-long",
    olmo2_f32: "olmo2-f32",
    olmo2_f32_window: "olmo2-f32-window",
    smollm3_f32: "smollm3-f32",
    granite_f32: "granite-f32",
    stablelm_f32: "stablelm-f32",
    stablelm_f32_shared: "stablelm-f32-shared",
    llama_f32_yarn: "llama-f32-yarn",
    llama_f32_freqs: "llama-f32-freqs",
    llama_f32_long: "llama-f32-long",
}
