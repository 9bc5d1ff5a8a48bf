//! Compares adapters with llama.cpp, and checks what the commands say about them: `tests/parity/lora` has small
//! adapters for the models of `tests/parity`, and llama.cpp's results with them (`make_lora.py` there says how).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use llm_core::hash::sha256;
use llm_core::kv_cache::KvType;
use llm_core::transformer::Checked;
use llmtool::adapter::{self, Adapter};
use llmtool::engine::{Memory, Runner, load_options};
use serde::Deserialize;
use workers::Threads;

#[derive(Deserialize)]
struct Reference {
    base: String,
    sha256: String,
    rank: u32,
    alpha: f32,
    /// The share of their range by which llama.cpp's own logits differ when it computes them in another way, which
    /// `lora_noise.py` names.
    noise: BTreeMap<String, f32>,
    tokens: Vec<u32>,
    positions: Vec<usize>,
}

/// Largest allowed difference of a logit, as a multiple of llama.cpp's own noise.
const NOISES: f32 = 2.0;

fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/parity"))
}

fn lora(name: &str) -> PathBuf {
    folder().join("lora").join(format!("{name}.gguf"))
}

fn compare(name: &str) {
    let json = fs::read(lora(name).with_extension("json")).expect("the reference");
    let reference: Reference = serde_json::from_slice(&json).expect("the reference is JSON");
    let expected: Vec<f32> = fs::read(lora(name).with_extension("f32"))
        .expect("the reference's logits")
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    let digest = sha256(&fs::read(lora(name)).expect("the adapter"));
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, reference.sha256, "run make_lora.py");

    let base = fs::read(folder().join("models").join(&reference.base)).expect("the model");
    let checked = Checked::new(&base).unwrap();
    let adapter = Adapter::read(lora(name), 1.0).unwrap();
    let info = adapter.file().unwrap().info();
    assert_eq!((info.rank, info.alpha), (reference.rank, reference.alpha));
    let options = load_options(128, KvType::F32);
    let bytes = adapter::bytes([&adapter], &checked, &base).unwrap();
    let mut memory = Memory::with_adapters(&checked, &options, bytes).unwrap();
    let mut runner =
        Runner::load(&checked, &options, Threads::new(1).unwrap(), &mut memory).unwrap();
    runner.load_adapter(&adapter, &base).unwrap();

    let (low, high) = expected
        .iter()
        .fold((f32::MAX, f32::MIN), |(low, high), &x| {
            (low.min(x), high.max(x))
        });
    let mut rows = expected.chunks_exact(checked.config().vocabulary);
    let (mut worst, mut compared) = (0.0f32, 0);
    for (position, &token) in reference.tokens.iter().enumerate() {
        let logits = runner.feed(token, position).unwrap();
        if reference.positions.contains(&position) {
            let row = rows.next().expect("a row for every position");
            let differences = logits.iter().zip(row).map(|(a, b)| (a - b).abs());
            worst = differences.fold(worst, f32::max);
            compared += 1;
        }
    }
    assert_eq!(compared, reference.positions.len());
    let share = worst / (high - low);
    let noise = reference.noise.into_values().fold(0.0, f32::max);
    eprintln!("{name}: {share:.1e} of the range; llama.cpp's own noise: {noise:.1e}");
    assert!(share <= NOISES * noise, "{name}: {share:e}, {noise:e}");
}

#[test]
fn adapters_of_a_llama_give_llama_cpps_logits() {
    for kind in ["attention", "all", "alpha"] {
        compare(&format!("llama-f32-gqa-{kind}"));
    }
}

#[test]
fn adapters_of_a_qwen2_give_llama_cpps_logits() {
    for kind in ["attention", "all", "alpha"] {
        compare(&format!("qwen2-f32-{kind}"));
    }
}

#[test]
fn adapters_of_a_gpt2_give_llama_cpps_logits() {
    for kind in ["attention", "all", "alpha"] {
        compare(&format!("gpt2-f32-{kind}"));
    }
}

/// Arguments of the training run that made an adapter, in its reference.
#[derive(Deserialize)]
struct Trained {
    base: String,
    training: Vec<String>,
}

#[test]
fn adapters_that_finetune_makes_give_llama_cpps_logits() {
    for base in ["llama-f32-gqa", "qwen2-f32", "gpt2-f32"] {
        let name = format!("{base}-trained");
        compare(&name);
        // They must be what this build makes, so that its own files are compared.
        let json = fs::read(lora(&name).with_extension("json")).expect("the reference");
        let reference: Trained = serde_json::from_slice(&json).expect("the reference is JSON");
        let out = std::env::temp_dir().join(format!("{name}-{}.gguf", std::process::id()));
        let model = folder().join("models").join(&reference.base);
        let data = folder().join("trained.jsonl");
        let files = [&model, &data].map(|path| path.display().to_string());
        let written = out.display().to_string();
        let mut arguments = vec!["finetune", &files[0], &files[1], "-o", &written];
        arguments.extend(reference.training.iter().map(String::as_str));
        let output = llmtool(&arguments);
        assert!(output.status.success(), "{output:?}");
        let made = fs::read(&out).expect("an adapter");
        fs::remove_file(&out).expect("it was there");
        assert!(
            made == fs::read(lora(&name)).expect("the adapter"),
            "{name}"
        );
    }
}

fn llmtool(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_llmtool"))
        .args(arguments)
        .output()
        .expect("llmtool runs")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn complained(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn model(name: &str) -> String {
    let path = folder().join("models").join(format!("{name}.gguf"));
    path.display().to_string()
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn generate_continues_with_the_adapter_that_is_asked_for() {
    let base = model("llama-f32-gqa");
    let lora = path(&lora("llama-f32-gqa-all"));
    let generate = |more: &[&str]| {
        let mut arguments = vec![
            "generate",
            "-m",
            &base,
            "-p",
            "once upon",
            "--temp",
            "0",
            "-n",
            "20",
        ];
        arguments.extend(more);
        let output = llmtool(&arguments);
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let plain = generate(&[]);
    let adapted = generate(&["--lora", &lora]);
    assert_ne!(plain, adapted);
    assert_eq!(generate(&["--lora-scaled", &lora, "1.0"]), adapted);
    assert_eq!(generate(&["--lora-scaled", &lora, "0"]), plain);
}

#[test]
fn logits_and_wcet_count_an_adapter_in() {
    let base = model("gpt2-f32");
    let lora = path(&lora("gpt2-f32-attention"));
    let logits = |more: &[&str]| {
        let mut arguments = vec!["logits", "-m", &base, "--tokens", "1,2,3"];
        arguments.extend(more);
        said(&llmtool(&arguments))
    };
    assert_ne!(logits(&[]), logits(&["--lora", &lora]));
    let macs = |more: &[&str]| -> u64 {
        let mut arguments = vec!["wcet", "-m", &base];
        arguments.extend(more);
        let said = said(&llmtool(&arguments));
        let line = said.lines().nth(1).expect("the first position");
        let column = line.split_whitespace().nth(1).expect("a column");
        column.parse().expect("a number")
    };
    // Rank 4, two blocks: 48 columns and 144 rows of attn_qkv, 48 and 48 of attn_output.
    let more = 2 * 4 * (48 + 144 + 48 + 48);
    assert_eq!(macs(&["--lora", &lora]), macs(&[]) + more);
}

#[test]
fn inspect_describes_an_adapter_and_plans_it_beside_its_base() {
    let base = model("llama-f32-gqa");
    let lora = path(&lora("llama-f32-gqa-attention"));
    let alone = said(&llmtool(&["inspect", &lora]));
    for part in [
        "LoRA of rank 4, alpha 4",
        "the architecture llama",
        "for 8 matrices",
    ] {
        assert!(alone.contains(part), "{alone}");
    }
    let beside = said(&llmtool(&["inspect", &lora, "--base", &base]));
    for part in ["fits", "of the arena", "MACs for each token"] {
        assert!(beside.contains(part), "{beside}");
    }
    let planned = llmtool(&["inspect", &base, "--lora", &lora, "--lora", &lora]);
    assert!(planned.status.success());
    let line = |text: &str, label: &str| {
        let line = text.lines().find(|line| line.trim().starts_with(label));
        line.map(str::to_owned)
    };
    assert!(line(&said(&planned), "adapters").is_some());
    let without = said(&llmtool(&["inspect", &base]));
    assert_eq!(line(&without, "adapters"), None);
    assert_ne!(line(&said(&planned), "total"), line(&without, "total"));
}

#[test]
fn what_is_no_adapter_for_the_model_is_refused_with_the_files_name() {
    let base = model("llama-f32-gqa");
    let other = path(&lora("qwen2-f32-all"));
    let generate =
        |lora: &str| complained(&llmtool(&["generate", &base, "-p", "a", "--lora", lora]));
    let error = generate(&other);
    assert!(
        error.contains(
            "qwen2-f32-all.gguf: it was made for the architecture qwen2, the model is a llama"
        ),
        "{error}"
    );
    let error = generate(&base);
    assert!(error.contains("general.type is"), "{error}");
    let error = complained(&llmtool(&["inspect", &other, "--base", &base]));
    assert!(error.contains("the architecture qwen2"), "{error}");
    let error = complained(&llmtool(&["inspect", &base, "--base", &base]));
    assert!(error.contains("--base is for adapters"), "{error}");
    let error = complained(&llmtool(&["inspect", &other, "--lora", &other]));
    assert!(error.contains("--lora is for models"), "{error}");
    let error = complained(&llmtool(&[
        "generate",
        &base,
        "-p",
        "a",
        "--lora-scaled",
        &other,
        "much",
    ]));
    assert!(error.contains("\"much\" is not a number"), "{error}");
    let one = path(&lora("llama-f32-gqa-all"));
    let nine = ["--lora", &one].repeat(9);
    let mut arguments = vec!["inspect", &base];
    arguments.extend(nine);
    let error = complained(&llmtool(&arguments));
    assert!(error.contains("at most 8"), "{error}");
}
