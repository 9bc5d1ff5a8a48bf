//! Compares published models with llama.cpp. They are too large for the repository: the folder named by `SEL4_LLM_REAL`
//! has them, and llama.cpp's results (`tests/parity/make_real.py`).

use std::fs;
use std::path::Path;

use llm_core::kv_cache::KvType;
use llm_core::transformer::Checked;
use llmtool::engine::{Memory, Runner, load_options};
use serde::Deserialize;
use workers::Threads;

#[derive(Deserialize)]
struct Reference {
    /// Largest difference of a logit between llama.cpp's batch sizes 1 and 24.
    noise: f32,
    prompts: Vec<Prompt>,
}

#[derive(Deserialize)]
struct Prompt {
    text: String,
    tokens: Vec<u32>,
    /// Best id, its logit, second best id, its logit.
    steps: Vec<(u32, f32, u32, f32)>,
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

fn compare(model: &Path) {
    let name = model.file_name().unwrap().to_str().unwrap();
    let json = fs::read(model.with_extension("real.json")).expect("what llama.cpp computed");
    let reference: Reference = serde_json::from_slice(&json).expect("JSON");
    let file = fs::read(model).unwrap();
    let checked = Checked::new(&file).unwrap();
    let options = load_options(256, KvType::F32);
    let mut memory = Memory::for_model(&checked, &options).unwrap();
    let mut runner =
        Runner::load(&checked, &options, Threads::new(1).unwrap(), &mut memory).unwrap();
    let (mut clear, mut same, mut worst) = (0, 0, 0.0f32);
    for prompt in &reference.prompts {
        let (last, before) = prompt.tokens.split_last().unwrap();
        for (position, &token) in before.iter().enumerate() {
            runner.feed(token, position).unwrap();
        }
        let mut token = *last;
        for (position, &(best, first, other, second)) in (before.len()..).zip(&prompt.steps) {
            let logits = runner.feed(token, position).unwrap();
            for (id, theirs) in [(best, first), (other, second)] {
                worst = worst.max((logits[id as usize] - theirs).abs());
            }
            let ours = argmax(logits);
            if first - second > reference.noise {
                let text = &prompt.text;
                assert_eq!(ours, best, "{name} at {position} of {text:?}");
                clear += 1;
            }
            same += usize::from(ours == best);
            token = best;
        }
    }
    let steps: usize = reference.prompts.iter().map(|p| p.steps.len()).sum();
    println!(
        "{name}: the same token in {same} of {steps} steps, in all {clear} whose two best differ by more than \
         {:.4} (llama.cpp's batch of 1 against its batch of 24); the two best logits differ by up to {worst:.4}",
        reference.noise
    );
    assert!(clear * 3 > steps, "hardly a step is clear");
}

#[test]
fn published_models_choose_what_llama_cpp_chooses() {
    let Some(folder) = std::env::var_os("SEL4_LLM_REAL") else {
        println!("SKIPPED: SEL4_LLM_REAL names no folder of published models");
        return;
    };
    let entries = fs::read_dir(folder).expect("the folder");
    let mut models: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    models.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "gguf")
    });
    assert!(!models.is_empty());
    models.iter().for_each(|model| compare(model));
}
