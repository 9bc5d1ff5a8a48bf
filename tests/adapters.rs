//! Adapters end to end, on the runtime that the environment names: trained at the console, used, exported, and the same on
//! the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sel4_llm_tests::{Session, session_with_faults};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PROMPT: &str = "The fox lost his way in the dark wood.";

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Runs `llmtool`, which must succeed; what it prints.
fn llmtool(arguments: &[&str]) -> String {
    let program = std::env::var("SEL4_LLM_LLMTOOL").expect("run this through make");
    let output = Command::new(program)
        .args(arguments)
        .current_dir(ROOT)
        .output()
        .expect("llmtool starts");
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn as_tester(script: &str) -> Session {
    session_with_faults(format!("login tester\n{script}exit\n"))
}

/// The file of what was exported, which the device has signed.
fn import(session: &Session, folder: &Path) -> PathBuf {
    let (log, adapter) = (folder.join("console.log"), folder.join("adapter.gguf"));
    fs::write(&log, session.output.replace('\n', "\r\n")).unwrap();
    let said = llmtool(&[
        "adapter",
        "import",
        log.to_str().unwrap(),
        "--key",
        "build/keys/device.pub.pem",
        "-o",
        adapter.to_str().unwrap(),
    ]);
    assert!(said.contains("signed by the device"), "{said}");
    adapter
}

#[test]
fn an_adapter_is_trained_used_and_exported_and_the_host_says_the_same_with_it() {
    let infer = |options: &str| {
        format!("llminfer \"{PROMPT}\" --max-tokens 24 --temperature 0 {options}\n")
    };
    let session = as_tester(&format!(
        "llmfinetune feelings --adapter moods --rank 2 --epochs 2 --rate 1e-2\nllmctl adapters\n{}{}\
         llmctl adapter export moods\nllmctl audit verify\n",
        infer("--adapter moods"),
        infer(""),
    ));
    let output = &session.output;
    for part in [
        "made the adapter moods: 16 steps, ",
        "it is loaded: llminfer",
        "* moods (",
        "made here, rank 2",
        "are unbroken",
    ] {
        assert!(output.contains(part), "{part}: {output}");
    }
    let folder = folder("adapters");
    let adapter = import(&session, &folder);
    let generate = |adapter: Option<&Path>| {
        let mut arguments = vec![
            "generate",
            "-m",
            "models/tiny-f32.gguf",
            "-p",
            PROMPT,
            "--max-tokens",
            "24",
            "--temperature",
            "0",
        ];
        if let Some(adapter) = adapter {
            arguments.extend(["--lora", adapter.to_str().unwrap()]);
        }
        llmtool(&arguments)
    };
    let texts = session.generations();
    assert_eq!(texts.len(), 2, "{output}");
    let (with, without) = (generate(Some(&adapter)), generate(None));
    // What was printed before the first is no part of it.
    for (text, expected) in texts.iter().zip([&with, &without]) {
        let text = text.trim_end_matches('\n');
        assert!(
            text.ends_with(expected.trim_end_matches('\n')),
            "{text}: {expected}"
        );
    }
    assert_ne!(with, without, "it has learnt something");
}

#[test]
fn the_same_data_and_seed_give_the_same_adapter_also_from_lines_that_were_typed() {
    let data = fs::read_to_string(format!("{ROOT}/tests/data/feelings.jsonl")).unwrap();
    let mut script = String::from("llmfinetune feelings --adapter stored --rank 2 --epochs 1\n");
    for line in data.lines() {
        let example: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |member: &str| example[member].as_str().unwrap().to_owned();
        script += &format!(
            "llmfinetune --example \"{}\" --answer \"{}\"\n",
            text("prompt"),
            text("answer")
        );
    }
    script += "llmfinetune examples --adapter typed --rank 2 --epochs 1\n";
    script +=
        "llmctl adapter export stored\nllmctl adapter drop stored\nllmctl adapter export typed\n";
    let session = as_tester(&script);
    let output = &session.output;
    assert!(output.contains("8 examples, "), "{output}");
    assert!(output.contains("dropped stored"), "{output}");
    let hashes: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("SHA-256: "))
        .collect();
    assert_eq!(hashes.len(), 2, "{output}");
    assert_eq!(hashes[0], hashes[1]);
}

#[test]
fn what_cannot_be_trained_or_loaded_is_one_clear_line_and_nothing_is_lost() {
    for (line, expected) in [
        (
            "llmfinetune broken",
            "error: the data cannot be used: line 2 ",
        ),
        (
            "llmfinetune nothing",
            "error: no data 'nothing' in the store",
        ),
        (
            "llmfinetune examples",
            "error: the data 'examples' hold no examples",
        ),
        (
            "llmfinetune feelings --rank 0",
            "error: --rank 0 is out of range, 1 to 64 are allowed",
        ),
        (
            "llmfinetune feelings --rank 65",
            "error: --rank 65 is out of range, 1 to 64 are allowed",
        ),
        (
            "llmfinetune feelings --rate 2",
            "error: --rate 2 is out of range",
        ),
        ("llmctl adapter load nothing", "error: no adapter 'nothing'"),
        ("llmctl adapter drop nothing", "error: no adapter 'nothing'"),
        (
            "llmctl adapter export nothing",
            "error: no adapter 'nothing'",
        ),
        (
            "llminfer x --adapter nothing",
            "error: no adapter 'nothing'",
        ),
    ] {
        let session = as_tester(&format!(
            "{line}\nllminfer \"One day\" --max-tokens 4 --temperature 0\n"
        ));
        let output = &session.output;
        assert!(output.contains(expected), "{line}: {output}");
        assert!(output.contains("\n[4 tokens, "), "{line}: {output}");
    }
    let session = session_with_faults("llmfinetune feelings\nllmfinetune --example a\nexit\n");
    let refusals = session
        .output
        .matches("you need the permission 'fine-tune'");
    assert_eq!(refusals.count(), 2, "{}", session.output);
}
