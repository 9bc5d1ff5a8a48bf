//! `llmtool` as a person runs it.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};

use assert_cmd::Command;
use assert_cmd::cargo::{cargo_bin, cargo_bin_cmd};
use llm_core::gguf::Gguf;
use llm_core::testing::{self, Shape};
use llmtool::imatrix::Imatrix;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/tiny-f32.gguf");
const DEFAULT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/default.gguf");

fn llmtool(arguments: &[&str]) -> Command {
    let mut command = cargo_bin_cmd!("llmtool");
    command.args(arguments);
    command
}

/// Runs what should work and returns what it prints.
fn output(arguments: &[&str]) -> String {
    let assert = llmtool(arguments).assert().success();
    String::from_utf8(assert.get_output().stdout.clone()).unwrap()
}

/// Runs what should fail with this status and returns its message.
fn failure(arguments: &[&str], status: i32) -> String {
    let assert = llmtool(arguments).assert().code(status);
    assert!(assert.get_output().stdout.is_empty());
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

/// A path for a file of this name, which is not there yet.
fn fresh(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_file(&path);
    path.into_os_string().into_string().unwrap()
}

#[test]
fn help_teaches_with_examples() {
    for command in [
        "inspect",
        "tokenize",
        "generate",
        "logits",
        "perplexity",
        "imatrix",
        "bench",
        "quantize",
        "pack",
        "policy",
        "passphrase",
        "keygen",
        "sign",
        "verify",
        "audit",
        "replay",
    ] {
        let help = output(&[command, "--help"]);
        assert!(help.contains("Examples:"), "{command}");
        assert!(help.contains(&format!("llmtool {command}")), "{command}");
    }
    assert!(output(&["generate", "--help"]).contains("[default: 0.8]"));
}

#[test]
fn inspect_says_what_the_model_is_and_what_it_needs() {
    let text = output(&["inspect", TINY, "--tensors", "--metadata"]);
    assert!(text.contains("architecture  llama"), "{text}");
    assert!(text.contains("vocabulary    2048 tokens"));
    assert!(text.contains("runs          in an arena of 8.00 MiB"));
    // All that there can be: 32 contexts of 512.
    assert!(text.contains("share keys and values of 16384 tokens"));
    assert!(text.contains("token_embd.weight"));
    assert!(text.contains("tokenizer.ggml.bos_token_id"));
    let text = output(&["inspect", TINY, "--arena", "64KiB"]);
    assert!(text.contains("too large"), "{text}");
    // The lines of system.xml, in whole pages, and larger for more conversations.
    let arena = |sessions: &str| -> u64 {
        let text = output(&["inspect", "-m", TINY, "-c", "128", "--sessions", sessions]);
        let line = text
            .lines()
            .find(|line| line.contains("name=\"arena\""))
            .unwrap();
        let size = line
            .split("size=\"0x")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        assert!(line.contains("page_size=\"0x1000\""), "{line}");
        assert!(
            text.contains("<memory_region name=\"model_store\""),
            "{text}"
        );
        u64::from_str_radix(size, 16).unwrap()
    };
    assert!(arena("1").is_multiple_of(0x1000));
    assert!(arena("4") > arena("1"));
}

#[test]
fn tokens_are_printed_as_ids_or_with_what_they_stand_for() {
    let ids = output(&["tokenize", "-m", TINY, "--ids", "-p", "Once upon a time"]);
    assert_eq!(ids.split_whitespace().next(), Some("1"));
    let bare = output(&[
        "tokenize",
        TINY,
        "--ids",
        "--no-special",
        "-p",
        "Once upon a time",
    ]);
    assert_eq!(ids.trim(), format!("1 {}", bare.trim()));
    let from_stdin = llmtool(&["tokenize", "-m", TINY, "--ids", "-f", "-"])
        .write_stdin("Once upon a time")
        .assert()
        .success();
    assert_eq!(from_stdin.get_output().stdout, ids.as_bytes());
    assert!(output(&["tokenize", "-m", TINY, "-p", "Once"]).contains("Control"));
}

#[test]
fn generation_is_repeatable_and_depends_on_the_seed() {
    let generate = |options: &[&str]| {
        let mut arguments = vec!["generate", "-m", TINY, "-p", "Once upon a time"];
        arguments.extend(["-n", "24"]);
        arguments.extend(options);
        output(&arguments)
    };
    let greedy = generate(&["--temp", "0"]);
    assert!(greedy.len() > 10);
    assert_eq!(greedy, generate(&["--temp", "0", "-s", "9"]));
    let seven = generate(&["--seed", "7"]);
    assert_eq!(seven, generate(&["--seed", "7", "--temperature", ".8"]));
    assert_ne!(seven, generate(&["--seed", "8"]));
    // A seed that nobody gave is said, and gives the same again.
    let assert = llmtool(&["generate", TINY, "-p", "Once", "-n", "8", "-s", "-1"])
        .assert()
        .success();
    let said = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
    assert_eq!(said.matches("tokens/s").count(), 2, "{said}");
    let seed = said
        .split("seed ")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    let again = output(&["generate", TINY, "-p", "Once", "-n", "8", "-s", seed]);
    assert_eq!(again.as_bytes(), assert.get_output().stdout);
}

#[test]
fn values_out_of_range_are_refused_with_the_limit() {
    let generate =
        |option: &str, value: &str| failure(&["generate", TINY, "-p", "x", option, value], 2);
    assert!(generate("--max-tokens", "0").contains("1..=512"));
    assert!(generate("--max-tokens", "513").contains("1..=512"));
    assert!(generate("--temperature", "hot").contains("not a decimal number"));
    assert!(generate("--temperature", "11").contains("more than 10"));
    assert!(generate("--top-p", "1.5").contains("more than 1"));
    assert!(generate("--kv", "f64").contains("f16, f32"));
}

#[test]
fn bad_files_and_prompts_get_one_line_that_says_why() {
    let one_line = |arguments: &[&str], part: &str| {
        let message = failure(arguments, 1);
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(part), "{message}");
    };
    one_line(&["inspect", "/no/such.gguf"], "cannot read /no/such.gguf");
    one_line(&["inspect", env!("CARGO_MANIFEST_PATH")], "not a GGUF file");
    let whole = fs::read(TINY).unwrap();
    let cut = fresh("cut.gguf");
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    one_line(&["generate", "-m", &cut, "-p", "x"], "cut off");
    let long = "word ".repeat(600);
    one_line(&["generate", "-m", TINY, "-p", &long], "at most 511");
    one_line(
        &["logits", "--model", TINY, "--tokens", "1,99999"],
        "token 99999",
    );
    let not_utf8 = llmtool(&["generate", "-m", TINY, "-p", "-"])
        .write_stdin(b"\xFF\xFE".to_vec())
        .assert()
        .code(1);
    let message = String::from_utf8_lossy(&not_utf8.get_output().stderr).into_owned();
    assert!(message.contains("not UTF-8 at byte 0"), "{message}");
}

#[test]
fn logits_are_json_with_a_row_for_each_position() {
    let text = output(&[
        "logits", "--model", TINY, "--kv", "f32", "--tokens", "1,5,9", "--all",
    ]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["tokens"], serde_json::json!([1, 5, 9]));
    assert_eq!(json["positions"], serde_json::json!([0, 1, 2]));
    assert_eq!(json["logits"][2].as_array().unwrap().len(), 2048);
    let last = output(&[
        "logits", "--model", TINY, "--kv", "f32", "--tokens", "1,5,9",
    ]);
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["logits"][0], json["logits"][2]);
    let help = failure(&["logits", "--model", TINY], 2);
    assert!(help.contains("--prompt"), "{help}");
}

#[test]
fn quantized_files_run_and_turn_into_f32_without_loss() {
    for ty in ["q8_0", "q4_0", "f16"] {
        let (small, wide, again) = (
            fresh(&format!("{ty}.gguf")),
            fresh(&format!("{ty}-f32.gguf")),
            fresh(&format!("{ty}-again.gguf")),
        );
        output(&["quantize", TINY, &small, ty, "--pure"]);
        assert!(fs::metadata(&small).unwrap().len() < fs::metadata(TINY).unwrap().len());
        output(&["generate", "-m", &small, "-p", "The king", "-n", "4"]);
        output(&["quantize", "-m", &small, "-o", &wide, "--type", "f32"]);
        output(&["quantize", &wide, &again, ty, "--pure"]);
        if ty != "q4_0" {
            // Q4_0 takes its scale from a value that it may store as another.
            assert!(
                fs::read(&small).unwrap() == fs::read(&again).unwrap(),
                "{ty}"
            );
        }
        let inspected = output(&["inspect", &wide, "--metadata"]);
        assert!(!inspected.contains("general.quantization_version"));
    }
    let same = fresh("same.gguf");
    output(&["quantize", TINY, &same, "--type", "f32"]);
    assert!(fs::read(TINY).unwrap() == fs::read(same).unwrap());
}

/// A model whose rows are no whole number of blocks of 256.
fn narrow() -> Vec<u8> {
    testing::model(Shape {
        width: 96,
        heads: 3,
        kv_heads: 3,
        feed_forward: 256,
        ..Shape::default()
    })
    .finish()
}

#[test]
fn rows_that_are_no_whole_blocks_fall_back_and_it_is_said() {
    let (narrow_file, out) = (fresh("narrow.gguf"), fresh("narrow-q4_k.gguf"));
    fs::write(&narrow_file, narrow()).unwrap();
    let said = output(&["quantize", &narrow_file, &out, "Q4_K_S", "--pure"]);
    assert!(said.contains("no whole number of blocks of 256"), "{said}");
    assert!(
        said.contains("Q5_0 in place of Q4_K (rows of 96)"),
        "{said}"
    );
    let tensors = output(&["inspect", &out, "--tensors"]);
    for (name, ty) in [
        ("blk.0.attn_q.weight", "Q5_0"),
        ("blk.0.ffn_down.weight", "Q4_K"),
    ] {
        let line = tensors.lines().find(|line| line.contains(name));
        assert!(line.is_some_and(|line| line.contains(ty)), "{tensors}");
    }
    // What was quantised before is said, too, unless the caller knows.
    let again = fresh("narrow-again.gguf");
    let warned = |options: &[&str]| {
        let mut command = vec!["quantize", &out, &again, "Q8_0"];
        command.extend(options);
        let assert = llmtool(&command).assert().success();
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    };
    assert!(warned(&[]).contains("have been quantised before"));
    assert_eq!(warned(&["--allow-requantize"]), "");
}

#[test]
fn a_file_that_is_read_is_not_written_over() {
    let (model, link) = (fresh("precious.gguf"), fresh("link.gguf"));
    fs::copy(TINY, &model).unwrap();
    std::os::unix::fs::symlink(&model, &link).unwrap();
    for out in [&model, &link] {
        let message = failure(&["quantize", "-m", &model, "-o", out, "--type", "q8_0"], 1);
        assert!(message.contains("is read, too"), "{message}");
        let message = failure(&["pack", &model, "-o", out, "--unsigned"], 1);
        assert!(message.contains("is read, too"), "{message}");
    }
    assert!(fs::read(&model).unwrap() == fs::read(TINY).unwrap());
}

#[test]
fn a_model_that_cannot_run_is_refused_before_anything_is_written() {
    let (model, out) = (fresh("strange.gguf"), fresh("strange-out"));
    let mut writer = testing::model(Shape::default());
    writer.u32("llama.some_new_thing", 7);
    fs::write(&model, writer.finish()).unwrap();
    let key = fresh("strange-key");
    let _ = fs::remove_file(format!("{key}.key.pem"));
    let _ = fs::remove_file(format!("{key}.pub.pem"));
    output(&["keygen", &key]);
    let key = format!("{key}.key.pem");
    let signature = format!("{model}.sig");
    let _ = fs::remove_file(&signature);
    for arguments in [
        &["quantize", &model, &out, "Q8_0"][..],
        &["pack", &model, "-o", &out, "--unsigned"],
        &["sign", "--key", &key, &model],
    ] {
        let message = failure(arguments, 1);
        assert!(message.contains("llama.some_new_thing"), "{message}");
        assert!(message.contains(&model), "{message}");
    }
    assert!(fs::metadata(&out).is_err() && fs::metadata(&signature).is_err());
    output(&["sign", "--key", &key, &model, "--force"]);
    assert!(fs::metadata(&signature).is_ok());
    // What is in it is shown, and that it does not run.
    let assert = llmtool(&["inspect", &model]).assert().code(1);
    let shown = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
    assert!(
        shown.contains("cannot run") && shown.contains("architecture  llama"),
        "{shown}"
    );
}

#[test]
fn an_importance_matrix_is_made_read_and_changes_what_is_quantised() {
    let text = fresh("calibration.txt");
    fs::write(&text, "Once upon a time there was a king. ".repeat(40)).unwrap();
    let imatrix = fresh("tiny.imatrix.gguf");
    let said = output(&[
        "imatrix", "-m", TINY, "-f", &text, "-o", &imatrix, "-c", "64",
    ]);
    assert!(said.contains("chunks of 64 tokens"), "{said}");
    let read = Imatrix::read(imatrix.as_ref()).unwrap();
    assert!(!read.is_empty() && read.of("token_embd.weight").is_none());
    let columns = read.of("blk.0.attn_q.weight").unwrap();
    assert!(columns.iter().all(|&mean| mean > 0.0));
    // What it is multiplied with is the same for queries, keys and values.
    assert_eq!(Some(columns), read.of("blk.0.attn_v.weight"));

    // A matrix of queries, keys and values in one is seen once a token, and the output matrix if that is asked for.
    let shape = Shape {
        tied: false,
        ..Shape::default()
    };
    for (name, file, tensor) in [
        ("fused", testing::gpt2(shape), "blk.1.attn_qkv.weight"),
        ("untied", testing::model(shape), "output.weight"),
    ] {
        let (other, written) = (fresh(&format!("{name}.gguf")), fresh(&format!("{name}.im")));
        fs::write(&other, file.finish()).unwrap();
        let mut command = vec!["imatrix", &other, "-f", &text, "-o", &written, "-c", "32"];
        let option = ["--process-output", "--chunks", "3"];
        command.extend(option);
        output(&command);
        let bytes = fs::read(&written).unwrap();
        let gguf = Gguf::parse(&bytes).unwrap();
        let count = gguf.tensor(&format!("{tensor}.counts")).unwrap();
        assert_eq!(count.data, 96.0f32.to_le_bytes(), "{name}");
    }

    let (plain, better) = (fresh("without.gguf"), fresh("with.gguf"));
    output(&["quantize", TINY, &plain, "Q4_0"]);
    let said = output(&["quantize", TINY, &better, "Q4_0", "--imatrix", &imatrix]);
    assert!(said.contains("not in the importance matrix"), "{said}");
    assert_eq!(
        fs::metadata(&plain).unwrap().len().div_ceil(4096),
        fs::metadata(&better).unwrap().len().div_ceil(4096)
    );
    let metadata = output(&["inspect", &better, "--metadata"]);
    assert!(
        metadata.contains("quantize.imatrix.chunks_count"),
        "{metadata}"
    );
    let divergence = |model: &str| -> f64 {
        let command = [
            "perplexity",
            model,
            "-f",
            &text,
            "-c",
            "64",
            "--against",
            TINY,
        ];
        let line = output(&command);
        line.split_whitespace().nth(3).unwrap().parse().unwrap()
    };
    assert!(divergence(&better) < divergence(&plain));

    for (content, part) in [
        (b"\x07\0\0\0old".to_vec(), "old .dat format"),
        (fs::read(TINY).unwrap(), "no importance matrix"),
    ] {
        let wrong = fresh("wrong.imatrix");
        fs::write(&wrong, content).unwrap();
        let message = failure(&["quantize", TINY, &plain, "Q4_0", "--imatrix", &wrong], 1);
        assert!(
            message.contains(part) && message.contains(&wrong),
            "{message}"
        );
    }
}

#[test]
fn recipes_and_fitting_choose_types() {
    let (mixed, fitted) = (fresh("mixed.gguf"), fresh("fitted.gguf"));
    let model = DEFAULT;
    output(&[
        "quantize",
        model,
        &mixed,
        "--recipe",
        "ffn_down=q6_k,*=q4_k",
    ]);
    let tensors = output(&["inspect", &mixed, "--tensors"]);
    for (name, ty) in [
        ("blk.0.ffn_down.weight", "Q6_K"),
        ("blk.0.ffn_up.weight", "Q4_K"),
    ] {
        let line = tensors.lines().find(|line| line.contains(name)).unwrap();
        assert!(line.contains(ty), "{line}");
    }
    let message = failure(
        &["quantize", model, &mixed, "--recipe", "ffn=q4_k,*=q4_k"],
        2,
    );
    assert!(message.contains("no kind 'ffn'"), "{message}");

    for arena in ["4MiB", "5MiB"] {
        let table = output(&["quantize", model, &fitted, "--fit", arena]);
        assert!(
            table.contains("ffn_down") && table.contains("KV cache"),
            "{table}"
        );
        let inspected = output(&["inspect", &fitted, "--arena", arena]);
        assert!(
            inspected.contains("runs          in an arena"),
            "{inspected}"
        );
    }
    let message = failure(&["quantize", model, &fitted, "--fit", "1MiB"], 1);
    assert!(message.contains("in the smallest types"), "{message}");
}

#[test]
fn archives_are_plain_tar_and_the_same_for_the_same_files() {
    let (first, second) = (fresh("first.tar"), fresh("second.tar"));
    let renamed = format!("default={TINY}");
    let table = output(&["pack", &renamed, TINY, "-o", &first]);
    assert!(table.contains("% of a store of 8.00 MiB"), "{table}");
    output(&["pack", "-m", &renamed, "-m", TINY, "-o", &second]);
    assert!(fs::read(&first).unwrap() == fs::read(&second).unwrap());

    let mut archive = tar::Archive::new(fs::File::open(&first).unwrap());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        names.push(entry.path().unwrap().to_string_lossy().into_owned());
        assert_eq!(entry.header().mtime().unwrap(), 0);
        assert_eq!(entry.header().uid().unwrap(), 0);
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let file = if names.last().unwrap().ends_with(".sig") {
            format!("{TINY}.sig")
        } else {
            TINY.to_owned()
        };
        assert!(content == fs::read(file).unwrap());
    }
    let expected = [
        "default.gguf",
        "default.gguf.sig",
        "tiny-f32.gguf",
        "tiny-f32.gguf.sig",
    ];
    assert_eq!(names, expected);
    if let Ok(listed) = Process::new("tar").args(["tf", &first]).output() {
        let listed = String::from_utf8(listed.stdout).unwrap();
        assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
    }
}

#[test]
fn what_does_not_fit_the_store_is_not_packed() {
    let out = fresh("refused.tar");
    let refused = |arguments: &[&str], part: &str| {
        let mut all = vec!["pack", "-o", &out];
        all.extend(arguments);
        let message = failure(&all, 1);
        assert!(message.contains(part), "{message}");
        assert!(fs::metadata(&out).is_err(), "nothing is written");
    };
    refused(&[TINY, "--store-size", "1MiB"], "the store has 1048576");
    refused(&[TINY, TINY], "two files would be called tiny-f32");
    refused(
        &[concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")],
        "not a GGUF file",
    );
    let message = failure(&["pack", "-o", &out, "na me=x.gguf"], 2);
    assert!(message.contains("no name for a model"), "{message}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = Process::new(cargo_bin!("llmtool"))
        .args(["generate", "-m", TINY, "-p", "Once", "-n", "200"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{message}");
    assert!(!message.contains("panicked"));
}

#[test]
fn a_text_is_measured_and_work_and_speed_are_printed() {
    let text = fresh("text.txt");
    fs::write(&text, "Once upon a time there was a king. ".repeat(40)).unwrap();
    let measured = output(&["perplexity", TINY, "-f", &text, "-c", "64"]);
    assert!(measured.starts_with("PPL = "), "{measured}");
    let measured_plain = measured.clone();
    let value = |line: &str, at: usize| -> f64 {
        line.split_whitespace().nth(at).unwrap().parse().unwrap()
    };
    // A text that repeats itself is easy, and no model foresees it for nothing.
    assert!((1.0..100.0).contains(&value(&measured, 2)), "{measured}");
    let bits = output(&["perplexity", TINY, "-f", &text, "--bits-per-byte"]);
    assert!((0.0..4.0).contains(&value(&bits, 0)), "{bits}");
    let with = |options: &[&str]| {
        let mut command = vec!["perplexity", TINY, "-f", &text, "-c", "64"];
        command.extend(options);
        output(&command)
    };
    let same = with(&["--against", TINY]);
    assert!(
        same.starts_with("KL divergence = 0.00000 +/- 0.00000 nats, same choice 100.00 %"),
        "{same}"
    );
    assert!(same.contains("(+0.00 %)"), "{same}");
    let coarse = fresh("coarse.gguf");
    output(&["quantize", TINY, &coarse, "--type", "q4_0", "--pure"]);
    let measured = output(&[
        "perplexity",
        &coarse,
        "-f",
        &text,
        "--ctx-size",
        "64",
        "--against",
        TINY,
    ]);
    let divergence: f64 = value(&measured, 3);
    assert!(divergence > 0.0005 && divergence < 1.0, "{measured}");
    let other = failure(
        &[
            "perplexity",
            TINY,
            "-f",
            &text,
            "-c",
            "64",
            "--against",
            DEFAULT,
        ],
        1,
    );
    assert!(other.contains("different vocabularies"), "{other}");
    // A separator that does not occur changes nothing; a text of documents has their ends for tokens.
    assert_eq!(with(&["--separator", "<|end|>"]), measured_plain);
    fs::write(
        &text,
        "Once upon a time there was a king.\n<|end|>\n".repeat(40),
    )
    .unwrap();
    let bytes = fs::metadata(&text).unwrap().len();
    let plain = with(&["--bits-per-byte"]);
    let cut = with(&["--bits-per-byte", "--separator", "<|end|>"]);
    assert!(cut.contains(&format!("{bytes} bytes")), "{cut}");
    let tokens = |line: &str| -> usize { line.split(['(', ' ']).nth(5).unwrap().parse().unwrap() };
    assert!(tokens(&cut) < tokens(&plain), "{cut} {plain}");
    fs::write(&text, "Once upon a time there was a king. ".repeat(40)).unwrap();

    let message = failure(&["perplexity", TINY, "-f", &text, "-c", "512"], 1);
    assert!(message.contains("at least 1024 are needed"), "{message}");

    let table = output(&["wcet", TINY, "--context", "64"]);
    let macs = |position: &str| -> u64 {
        let line = table.lines().find(|line| line.trim().starts_with(position));
        value(line.unwrap(), 1) as u64
    };
    // Attention alone grows with the position: two products for each element of the queries.
    assert!(macs("63 ") > macs("0 "), "{table}");
    assert_eq!((macs("63 ") - macs("0 ")) % 63, 0, "{table}");

    let json = output(&["bench", TINY, "--runs", "1", "--context", "64", "--json"]);
    let figures: serde_json::Value = serde_json::from_str(&json).unwrap();
    let figures = figures.as_array().unwrap();
    // Load, prefill, decode, two positions, several sessions.
    assert_eq!(figures.len(), 6);
    assert!(
        figures
            .iter()
            .all(|figure| figure["value"].as_f64().unwrap() > 0.0)
    );
    let json = output(&[
        "bench", TINY, "-r", "1", "-c", "64", "-p", "16", "-n", "8", "--json",
    ]);
    assert!(json.contains("prefill of 16 tokens") && json.contains("decode of 8 tokens"));
    let message = failure(&["bench", TINY, "-t", "4"], 2);
    assert!(message.contains("one thread for now"), "{message}");
    let message = failure(&["bench", TINY, "--cpu", "z80"], 2);
    assert!(message.contains("this CPU has scalar"), "{message}");
}
