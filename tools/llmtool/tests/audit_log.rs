//! Exports of the audit log, as an auditor handles them. The log is made here as audit makes it, from an engine that
//! runs several sessions at once.

#[path = "audit_log/running.rs"]
mod running;

use std::fs;
use std::path::PathBuf;

use assert_cmd::Command;
use assert_cmd::cargo::cargo_bin_cmd;
use formats::stop::Stops;
use formats::{Choices, Formats};
use llm_core::NUMERICS_VERSION;
use llm_core::arena::Arena;
use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::chat::{Role, SCAFFOLD_KEY, Segment, TEMPLATE_KEY, template_digest};
use llm_core::constrain::{Format, FormatTable};
use llm_core::generate::{FinishReason, GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::gguf::{Gguf, Value};
use llm_core::hash::sha256;
use llm_core::kv_cache::KvType;
use llm_core::simd::Cpu;
use llm_core::transformer::{LoadOptions, Positions};
use llmtool::audit_log::export::entry_hash;
use log_export::{Ending, Line, Opening};
use protocol::error::ErrorCode;
use protocol::hash::Hex;
use protocol::limits::{DEFAULT_CONTEXT_TOKENS, MAX_PARTS_BYTES, MAX_PROMPT_BYTES};
use protocol::name::UserName;
use protocol::record::{Kind, Record};
use protocol::wire::{InferParams, PartKind, PartsWriter, engine};
use running::{Request, conversations, formats, run_on};
use sha2::{Digest, Sha256};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-f32.gguf");

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn llmtool(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("llmtool");
    command.args(arguments);
    command
}

/// What it prints and its messages, of a run that ends with this status.
fn output(arguments: &[&str], status: i32) -> (String, String) {
    let assert = llmtool(arguments).assert().code(status);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let output = assert.get_output();
    (text(&output.stdout), text(&output.stderr))
}

fn write(name: &str, content: impl AsRef<[u8]>) -> String {
    let path = path(name);
    fs::write(&path, content).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn requests_of_sessions_that_ran_at_once_are_reproduced_alone() {
    let mut log = conversations();
    let (export, head) = log.export();
    let file = write("whole.log", export);
    let texts = path("texts.json");
    let arguments = ["replay", &file, "--models", MODELS, "--head", &head];
    for threads in ["1", "2", "3", "4"] {
        let options = ["--texts", texts.to_str().unwrap(), "--threads", threads];
        let (table, _) = output(&[&arguments[..], &options].concat(), 0);
        assert!(
            table.contains("7 requests reproduced, 0 differ, 0 not replayed"),
            "{threads} threads: {table}"
        );
    }
    // What they said is recorded, with the hash of the text alone.
    let texts = fs::read_to_string(texts).unwrap();
    assert_eq!(texts.lines().count(), 7, "{texts}");
    for line in texts.lines() {
        let said: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = said["text"].as_str().unwrap();
        assert_eq!(said["bytes"].as_u64(), Some(text.len() as u64), "{line}");
        let hash = Hex(&sha256(text.as_bytes())).to_string();
        assert_eq!(said["sha256"].as_str(), Some(&*hash), "{line}");
    }

    // Only hashes of prompts: their texts come from a file, and what is not in it is named, with what follows from it.
    let (export, _) = log.without_texts().export();
    let file = write("hashes.log", export);
    let (table, message) = output(&["replay", &file, "--models", MODELS], 1);
    assert!(
        message.contains("0 requests reproduced, 0 differ, 7 not replayed"),
        "{table}"
    );
    let prompts = write(
        "prompts.txt",
        "Once upon a time\n\"Ein M\\u00e4rchen: 猫\\n\\\"zwei\\\"\"\r\nWeiter 😀\nThe end\nThe king said\nHe went\n",
    );
    let arguments = ["replay", &file, "--models", MODELS, "--prompts", &prompts];
    let (table, _) = output(&arguments, 0);
    assert!(
        table.contains("6 requests reproduced, 0 differ, 1 not replayed"),
        "{table}"
    );
    let mut buffer = [0; 100];
    let missing = protocol::wire::completion(&mut buffer, b" and then").unwrap();
    let digest = Hex(&sha256(missing.as_bytes())).to_string();
    assert!(table.contains(&digest), "{table}");

    // Models and prompts of a disk.
    let image = path("models.img");
    let _ = fs::remove_file(&image);
    let image = image.to_str().unwrap();
    output(
        &["disk", "create", image, "--size", "8MiB", "--log-size", "0"],
        0,
    );
    output(&["disk", "add", image, TINY], 0);
    let prompts = ["--as", "prompts/june.txt", "--unsigned"];
    let file_of_prompts = path("prompts.txt");
    let add = ["disk", "add", image, file_of_prompts.to_str().unwrap()];
    output(&[&add[..], &prompts].concat(), 0);
    let (table, _) = output(&["replay", &file, "--models", image], 0);
    assert!(
        table.contains("6 requests reproduced, 0 differ, 1 not replayed"),
        "{table}"
    );
    let (_, message) = output(&["replay", &file], 1);
    assert!(
        message.contains("a log alone, without models; give --models"),
        "{message}"
    );
}

/// The small model with a chat template, and its scaffold.
fn model_that_talks() -> Vec<u8> {
    const TEMPLATE: &str = "{{ messages }}";
    let scaffold = [
        "1", "test", "{bos}", "first", "[", "none", "]\n", "", "none", "<", "none", ">\n", "",
        "none", "{eos}", "-",
    ];
    let digest = String::from_utf8(template_digest(TEMPLATE).to_vec()).unwrap();
    let strings: Vec<String> = std::iter::once(digest)
        .chain(scaffold.map(str::to_owned))
        .collect();
    let file = fs::read(TINY).unwrap();
    let gguf = Gguf::parse(&file).unwrap();
    let mut copy = llmtool::gguf_writer::GgufWriter::with_metadata_of(&gguf);
    copy.set(TEMPLATE_KEY, &Value::String(TEMPLATE.as_bytes()));
    copy.set_strings(SCAFFOLD_KEY, &strings);
    for tensor in gguf.tensors() {
        let dims = &tensor.dims[..tensor.rank];
        copy.tensor(tensor.name, tensor.ty, dims, tensor.data.to_vec());
    }
    copy.finish()
}

#[test]
fn conversations_with_stop_strings_formats_and_choices_are_reproduced() {
    use PartKind::{Assistant, Choice, Stop, System, Text, User};
    // Its length is a byte that is no UTF-8 by itself.
    const LONG: &str = "The king and the queen lived in a castle near the sea. They had a little dog, and the dog had a big \
                        red ball. Every day they played with it in the garden.";
    assert!(LONG.len() >= 0x80);
    let request = |slot, turn, parts: &[(PartKind, &'static str)], format| Request {
        slot,
        turn,
        parts: parts.to_vec(),
        format,
        seed: 3 + u64::from(turn),
        max_tokens: 12,
        cancel_after: None,
    };
    let file = model_that_talks();
    let mut log = run_on(
        &file,
        &[
            vec![
                request(
                    0,
                    1,
                    &[(System, LONG), (User, "a"), (Assistant, "b"), (User, "c")],
                    false,
                ),
                request(
                    1,
                    1,
                    &[(User, "Is it?"), (Choice, "yes"), (Choice, "no")],
                    false,
                ),
                request(
                    2,
                    1,
                    &[(Text, "Once upon"), (Stop, " "), (Stop, "the")],
                    false,
                ),
            ],
            vec![
                request(0, 2, &[(User, "more"), (Stop, "e")], false),
                request(1, 2, &[(User, "Then?")], true),
                request(2, 2, &[(Text, " and")], true),
            ],
        ],
    );
    let reasons: Vec<u16> = log
        .0
        .iter()
        .filter(|(record, _)| record.kind() == Some(Kind::Finish))
        .map(|(record, _)| record.code)
        .collect();
    assert_eq!(reasons.len(), 6);
    assert!(
        reasons.contains(&5),
        "a stop string ended an answer: {reasons:?}"
    );
    let folder = path("talks");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("model.gguf"), &file).unwrap();
    let folder = folder.to_str().unwrap();
    let (export, _) = log.export();
    let exported = write("talks.log", export);
    let image = write("formats.bin", formats());
    let arguments = ["replay", &exported, "--models", folder, "--formats", &image];
    let (table, _) = output(&arguments, 0);
    assert!(
        table.contains("6 requests reproduced, 0 differ, 0 not replayed"),
        "{table}"
    );

    // Without the policy's formats their answers are not computed; without stop strings another answer comes.
    let (table, _) = output(&arguments[..4], 1);
    assert!(
        table.contains("--formats has no format with SHA-256"),
        "{table}"
    );
    let other = format_compiler::compile(format_compiler::Source::Regex("yes|no")).unwrap();
    let other = formats::encode::image([("short", &other)]).unwrap();
    let other = write("other-formats.bin", other);
    let (table, _) = output(
        &["replay", &exported, "--models", folder, "--formats", &other],
        1,
    );
    assert!(
        table.contains("--formats has no format with SHA-256"),
        "{table}"
    );

    // The same from a file of requests, where the log has only hashes.
    let (export, _) = log.without_texts().export();
    let hashes = write("talks-hashes.log", export);
    let requests = write(
        "talks.jsonl",
        r#"{"messages":[{"role":"system","content":"LONG"},{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"}]}
{"prompt":"Is it?","choices":["yes","no"]}
{"prompt":"Once upon","stop":[" ","the"]}
{"prompt":"more","stop":["e"]}
Then?
 and
"#
        .replace("LONG", LONG),
    );
    let arguments = [
        "replay",
        &hashes,
        "--models",
        folder,
        "--formats",
        &image,
        "--prompts",
        &requests,
    ];
    let (table, _) = output(&arguments, 0);
    assert!(
        table.contains("6 requests reproduced, 0 differ, 0 not replayed"),
        "{table}"
    );

    let (shown, _) = output(&["audit", "show", &exported], 0);
    assert!(
        shown.contains(&format!(
            r#" system "{LONG}" user "a" assistant "b" user "c""#
        )),
        "{shown}"
    );
    assert!(
        shown.contains(r#" "Once upon" stop " " stop "the""#),
        "{shown}"
    );
    assert!(shown.contains("stop string"), "{shown}");
}

#[test]
fn a_turn_that_failed_after_text_was_shown_ends_what_can_be_replayed_of_its_session() {
    let mut log = conversations();
    let last = log.0.iter().find(|(record, _)| record.turn == 4).unwrap();
    let session = last.0.session;
    let (failed, _) = log
        .0
        .iter_mut()
        .find(|(record, _)| {
            record.kind() == Some(Kind::Finish) && (record.session, record.turn) == (session, 2)
        })
        .unwrap();
    // As audit writes it: the hash of what was shown, and nobody's count of the prompt's tokens.
    failed.kind = Kind::Fail as u16;
    failed.code = ErrorCode::InferenceFault as u16;
    failed.prompt_tokens = 0;
    assert_ne!(failed.output_sha256, [0; 32]);
    let (export, _) = log.export();
    let file = write("failed.log", export);
    let (table, _) = output(&["replay", &file, "--models", MODELS], 0);
    assert!(
        table.contains("5 requests reproduced, 0 differ, 1 not replayed"),
        "{table}"
    );
    assert!(table.contains("turn 2 of its session failed"), "{table}");
}

#[test]
fn a_log_that_says_something_else_than_the_model_is_seen() {
    let mut log = conversations();
    let second = log
        .0
        .iter_mut()
        .find(|(record, _)| record.kind() == Some(Kind::Finish) && record.session == 1)
        .unwrap();
    second.0.output_sha256[0] ^= 1;
    // The whole chain is forged, so only the replay can detect it.
    let (export, _) = log.export();
    let file = write("forged.log", export);
    let (table, message) = output(&["replay", &file, "--models", MODELS], 1);
    assert!(
        message.contains("5 requests reproduced, 1 differ, 1 not replayed"),
        "{table}{message}"
    );
    assert!(table.contains("DIFFERS: output "), "{table}");
    assert!(
        table.contains("turn 1 of its session was not reproduced"),
        "{table}"
    );

    let empty = path("no-models");
    fs::create_dir_all(&empty).unwrap();
    let (export, _) = conversations().export();
    let file = write("no-models.log", export);
    let (table, _) = output(&["replay", &file, "--models", empty.to_str().unwrap()], 1);
    assert!(table.contains("no model with SHA-256 82ce7221"), "{table}");

    let mut log = conversations();
    for (record, _) in &mut log.0 {
        record.numerics += 1;
    }
    let (export, _) = log.export();
    let file = write("numerics.log", export);
    let (table, _) = output(&["replay", &file, "--models", MODELS], 1);
    let versions = format!(
        "numerics version {}, this tool has {NUMERICS_VERSION}",
        NUMERICS_VERSION + 1
    );
    assert!(table.contains(&versions), "{table}");
}

#[test]
fn what_became_of_an_export_is_said_on_a_line_each() {
    let mut log = conversations();
    let (export, head) = log.export();
    let file = write("sound.log", &export);
    let (said, _) = output(&["audit", "verify", &file], 0);
    assert!(said.contains("entries hold, 1 to "), "{said}");
    assert!(said.contains(&format!("head {head}")), "{said}");
    assert!(said.contains("without --head"), "{said}");
    let (said, _) = output(&["audit", "verify", &file, "--head", &head], 0);
    assert!(said.contains("has the hash of --head"), "{said}");
    let other = "00".repeat(32);
    let (said, _) = output(&["audit", "verify", &file, "--head", &other], 0);
    // The anchor of a log since boot.
    assert!(said.contains("the anchor has the hash of --head"), "{said}");
    let other = "11".repeat(32);
    let (said, _) = output(&["audit", "verify", &file, "--head", &other], 1);
    assert!(said.contains("no entry has the hash 1111"), "{said}");
    output(&["audit", "verify", &file, "--head", "xyz"], 2);

    let from_stdin = llmtool(&["audit", "verify", "-"])
        .write_stdin(export.clone())
        .assert()
        .success();
    assert!(!from_stdin.get_output().stdout.is_empty());

    let (shown, _) = output(&["audit", "show", &file], 0);
    assert!(shown.contains("session 2 turn 1"), "{shown}");
    assert!(
        shown.contains("\"Ein M\\u00e4rchen: \\u732b\\u000a\\\"zwei\\\"\""),
        "{shown}"
    );
    assert!(shown.contains("ContextFull"), "{shown}");

    let changed = export.replacen("\"turn\":2", "\"turn\":3", 1);
    let file = write("changed.log", changed);
    let (said, message) = output(&["audit", "verify", &file], 1);
    assert!(said.contains(" is changed: entry "), "{said}");
    assert!(
        message.contains("the log does not hold: 1 finding"),
        "{message}"
    );
    // Nothing of a log that does not hold is replayed.
    let (said, message) = output(&["replay", &file, "--models", MODELS], 1);
    assert!(!said.contains("reproduced"), "{said}");
    assert!(message.contains("does not hold"), "{message}");
    let filtered = export.replacen("\"filtered\":false", "\"filtered\":true", 1);
    let file = write("filtered.log", filtered);
    let (said, _) = output(&["audit", "verify", &file], 1);
    assert!(said.contains("export without --user"), "{said}");
}
