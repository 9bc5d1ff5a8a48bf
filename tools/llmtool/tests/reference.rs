//! Compares the engine with llama.cpp: `tests/reference/` has llama.cpp's results (`make_reference.py` there says how),
//! and the engine computes the same from the same weights, with the same tokens, and keys and values in F32.

use std::fs;
use std::path::PathBuf;

use llm_core::gguf::Gguf;
use llm_core::hash::sha256;
use llm_core::kv_cache::KvType;
use llm_core::quantize::TensorType;
use llm_core::tokenizer::EncodeOptions;
use llm_core::transformer::Checked;
use llmtool::convert::convert;
use llmtool::engine::{Memory, Runner, load_options};
use llmtool::recipe::Recipe;
use llmtool::vocabulary::HostVocabulary;
use serde::Deserialize;
use workers::Threads;

/// Largest allowed difference of a logit, as a share of the range of all logits.
const TOLERANCE: f32 = 1e-3;

#[derive(Deserialize)]
struct Reference {
    model: String,
    sha256: String,
    prompt: Prompt,
    greedy: Vec<Greedy>,
}

#[derive(Deserialize)]
struct Prompt {
    text: String,
    tokens: Vec<u32>,
    positions: Vec<usize>,
}

#[derive(Deserialize)]
struct Greedy {
    text: String,
    tokens: Vec<u32>,
    /// Best id, its logit, second best id, its logit.
    steps: Vec<(u32, f32, u32, f32)>,
}

fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Largest difference from a reference, as a share of the range of its logits.
#[derive(Default)]
struct Worst(f32);

impl Worst {
    fn take(&mut self, ours: f32, theirs: f32, range: f32) {
        let share = (ours - theirs).abs() / range;
        assert!(share.is_finite());
        self.0 = self.0.max(share);
    }
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

/// Compares the engine with the reference `name`.
fn compare(name: &str) {
    let folder = repository().join("tests/reference");
    let json = fs::read(folder.join(format!("{name}.json"))).expect("the reference");
    let reference: Reference = serde_json::from_slice(&json).expect("the reference is JSON");
    let rows: Vec<f32> = fs::read(folder.join(format!("{name}.f32")))
        .expect("the reference's logits")
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let shipped = fs::read(repository().join("models").join(&reference.model)).expect("the model");
    let digest: String = sha256(&shipped)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        digest, reference.sha256,
        "models/{} has changed: run tests/reference/make_reference.py",
        reference.model
    );

    // The weights as given to llama.cpp.
    let gguf = Gguf::parse(&shipped).unwrap();
    let targets = Recipe::uniform(TensorType::F32).targets(&gguf);
    let weights = convert(&gguf, &targets, None, &mut |_, _| {}).unwrap();
    let checked = Checked::new(&weights).unwrap();
    let options = load_options(512, KvType::F32);
    let mut memory = Memory::for_model(&checked, &options).unwrap();
    let mut runner =
        Runner::load(&checked, &options, Threads::new(1).unwrap(), &mut memory).unwrap();
    let vocabulary = HostVocabulary::load("model".as_ref(), checked.gguf()).unwrap();
    let tokenize = |text: &str| {
        let options = EncodeOptions {
            add_special: true,
            parse_special: false,
            parse_user_defined: true,
        };
        vocabulary.encode(text.as_bytes(), options).unwrap()
    };

    let (low, high) = rows
        .iter()
        .fold((f32::MAX, f32::MIN), |(low, high), &logit| {
            (low.min(logit), high.max(logit))
        });
    let range = high - low;
    let mut worst = Worst::default();

    // All logits of one prompt.
    let Prompt {
        text,
        tokens,
        positions,
    } = &reference.prompt;
    assert_eq!(tokens.len(), 32);
    assert_eq!(tokenize(text)[..32], tokens[..]);
    runner.check(tokens).unwrap();
    let mut rows = rows.chunks_exact(checked.config().vocabulary);
    for (position, &token) in tokens.iter().enumerate() {
        let ours = runner.feed(token, position).unwrap();
        if positions.contains(&position) {
            let theirs = rows.next().expect("a row for each position");
            for (&ours, &theirs) in ours.iter().zip(theirs) {
                worst.take(ours, theirs, range);
            }
        }
    }
    assert!(rows.next().is_none());
    let worst_of_prompt = worst.0;

    // The two best logits along the reference's own tokens.
    let (mut compared, mut close) = (0, 0);
    assert_eq!(reference.greedy.len(), 20);
    for greedy in &reference.greedy {
        assert_eq!(tokenize(&greedy.text), greedy.tokens, "{:?}", greedy.text);
        assert_eq!(greedy.steps.len(), 64);
        let steps = greedy.steps.iter();
        let (last, prompt) = greedy.tokens.split_last().unwrap();
        for (position, &token) in prompt.iter().enumerate() {
            runner.feed(token, position).unwrap();
        }
        let mut token = *last;
        for (position, &(best, first, next_best, second)) in (prompt.len()..).zip(steps) {
            let ours = runner.feed(token, position).unwrap();
            worst.take(ours[best as usize], first, range);
            worst.take(ours[next_best as usize], second, range);
            if first - second > 2.0 * TOLERANCE * range {
                assert_eq!(argmax(ours), best, "{:?} at {position}", greedy.text);
                compared += 1;
            } else {
                close += 1;
            }
            token = best;
        }
    }
    println!(
        "{name}: range {range:.2}, largest difference {:.2e} of it (32-token prompt {:.2e}); \
         same choice in {compared} steps, {close} too close to tell",
        worst.0, worst_of_prompt
    );
    assert!(
        worst.0 <= TOLERANCE,
        "differs by {:e} of the range",
        worst.0
    );
}

#[test]
fn the_tiny_model_agrees_with_llama_cpp() {
    compare("tiny-f32");
}

#[test]
fn the_default_model_agrees_with_llama_cpp() {
    compare("default");
}
