//! Compares a published instruct model with llama.cpp: the ids of ten questions rendered by its chat template, and of
//! the answers. `tests/chat/smollm2.json` has llama.cpp's results (`make_chat.py` there says how they were made, and
//! where the model is); the folder named by `SEL4_LLM_REAL` has the model and its copy in F32. With the copy, every
//! token must be the same. With the published file, llama.cpp rounds activations differently, so a choice may differ if
//! its two best tokens are closer than llama.cpp's own results for two batch sizes.

use std::fs;
use std::path::{Path, PathBuf};

use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::chat::{Role, Segment, Template};
use llm_core::generate::{GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::hash::sha256;
use llm_core::kv_cache::KvType;
use llm_core::sampling::SamplerParams;
use llm_core::transformer::Checked;
use llmtool::engine::{Memory, Runner, load_options};
use llmtool::vocabulary::HostVocabulary;
use serde::Deserialize;
use workers::Threads;

#[derive(Deserialize)]
struct References {
    #[serde(rename = "Q4_1")]
    published: Reference,
    #[serde(rename = "F32")]
    exact: Reference,
}

#[derive(Deserialize)]
struct Reference {
    sha256: String,
    answers: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    question: String,
    prompt: Vec<u32>,
    tokens: Vec<u32>,
    /// The margin of llama.cpp's best logit over its second best, for each token.
    gaps: Vec<f32>,
}

const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/chat/smollm2.json");

/// Largest difference of a logit between llama.cpp's batch sizes 1 and 24 for this file (`docs/models.md`).
const NOISE: f32 = 1.27;

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

fn references() -> References {
    serde_json::from_slice(&fs::read(REFERENCE).expect("the reference")).expect("JSON")
}

/// The model of this type; `None` if it is not there.
fn model(ty: &str, sha256_of_reference: &str) -> Option<(PathBuf, Vec<u8>)> {
    let Some(folder) = std::env::var_os("SEL4_LLM_REAL") else {
        println!("SKIPPED: SEL4_LLM_REAL names no folder with the model");
        return None;
    };
    let path = Path::new(&folder).join(format!("SmolLM2-135M-Instruct.{ty}.gguf"));
    let Ok(file) = fs::read(&path) else {
        println!("SKIPPED: {} is not there", path.display());
        return None;
    };
    let digest = sha256(&file);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, sha256_of_reference, "another model");
    Some((path, file))
}

#[test]
fn ten_questions_and_their_answers_have_the_ids_of_llama_cpp() {
    let reference = references().published;
    let Some((path, file)) = model("Q4_1", &reference.sha256) else {
        return;
    };
    let checked = Checked::new(&file).expect("sound");
    let template = Template::of(checked.gguf()).expect("sound");
    let scaffold = template.scaffold().expect("known");
    assert_eq!(scaffold.name, "SmolLM2");
    let vocabulary = HostVocabulary::load(&path, checked.gguf()).expect("loaded");
    let options = load_options(512, KvType::F32);
    let mut memory = Memory::for_model(&checked, &options).expect("memory");
    let mut runner =
        Runner::load(&checked, &options, Threads::new(1).unwrap(), &mut memory).expect("loaded");
    assert_eq!(reference.answers.len(), 10);
    let (mut same, mut steps) = (0, 0);
    for answer in &reference.answers {
        let said = [Segment::new(Role::User, &answer.question)];
        let prompt = vocabulary.converse(&scaffold, &said).expect("encoded");
        assert_eq!(prompt, answer.prompt, "{}", answer.question);
        let mut fed = 0;
        let mut logits = Vec::new();
        for &token in &prompt {
            logits = runner.feed(token, fed).expect("fed").to_vec();
            fed += 1;
        }
        for (&token, &gap) in answer.tokens.iter().zip(&answer.gaps) {
            steps += 1;
            let ours = argmax(&logits);
            same += usize::from(ours == token);
            assert!(ours == token || gap <= NOISE, "{}", answer.question);
            logits = runner.feed(token, fed).expect("fed").to_vec();
            fed += 1;
        }
    }
    println!("{same} of {steps} tokens of the answers are the same");
    assert!(20 * same >= 19 * steps);

    // The same as requests: the engine renders the conversation, and its answer is llama.cpp's up to a choice that is
    // within the noise.
    let mut whole = 0;
    for (answer, ids) in reference.answers.iter().zip(answers(&file, &reference)) {
        let mut steps = ids.iter().zip(&answer.tokens).zip(&answer.gaps);
        match steps.find(|((ours, theirs), _)| ours != theirs) {
            Some((_, gap)) => assert!(*gap <= NOISE, "{}", answer.question),
            None => {
                assert_eq!(ids, answer.tokens, "{}", answer.question);
                whole += 1;
            }
        }
    }
    println!("{whole} of 10 answers are the same from the first token to the last");
}

#[test]
fn with_exact_weights_the_answers_are_those_of_llama_cpp_to_the_last_token() {
    let reference = references().exact;
    let Some((_, file)) = model("F32", &reference.sha256) else {
        return;
    };
    assert_eq!(reference.answers.len(), 10);
    for (answer, ids) in reference.answers.iter().zip(answers(&file, &reference)) {
        assert_eq!(ids, answer.tokens, "{}", answer.question);
    }
}

/// The engine's answers to the questions as requests, after rendering each into llama.cpp's ids.
fn answers(file: &[u8], reference: &Reference) -> Vec<Vec<u32>> {
    let checked = Checked::new(file).expect("sound");
    let options = load_options(512, KvType::F32);
    let mut memory = Memory::for_model(&checked, &options).expect("memory");
    let mut backend = TransformerBackend::new(memory.arena().expect("an arena"), options);
    let info = backend.load(file).expect("loaded");
    let name = info.template.expect("a template").name;
    assert_eq!(name.as_str(), "SmolLM2");
    let answer = |answer: &Answer| {
        let said = [Segment::new(Role::User, &answer.question)];
        let params = GenerateParams {
            sampler: SamplerParams::greedy(),
            max_tokens: answer.tokens.len() as u32,
        };
        let started = backend.start(Turn::only(0), Prompt::Segments(&said), &params);
        assert_eq!(
            started,
            Ok(answer.prompt.len() as u32),
            "{}",
            answer.question
        );
        ids(&mut backend)
    };
    reference.answers.iter().map(answer).collect()
}

/// The tokens of the request in flight.
fn ids(backend: &mut TransformerBackend<'_>) -> Vec<u32> {
    let (mut ids, mut text) = (Vec::new(), Text::new());
    loop {
        match backend.step(&mut text) {
            Progress::Session(_, Ok(Step::Token { id })) => ids.push(id),
            Progress::Session(_, Ok(Step::Finished { .. })) => return ids,
            Progress::Working | Progress::Session(_, Ok(Step::Prefill { .. })) => {}
            other => panic!("{other:?}"),
        }
    }
}
