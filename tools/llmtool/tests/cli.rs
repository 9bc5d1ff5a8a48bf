//! `llmtool` as a person runs it.

use std::fs;
use std::io::Read;
use std::process::{Command as Process, Stdio};

use assert_cmd::cargo::cargo_bin;

mod tool;

use tool::{DEFAULT, TINY, failure, fresh, llmtool, output};

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
    assert!(generate("--max-tokens", "0").contains("give 1 to 512"));
    assert!(generate("--max-tokens", "513").contains("give 1 to 512"));
    assert!(generate("--temperature", "hot").contains("not a decimal number"));
    assert!(generate("--temperature", "11").contains("more than 10"));
    assert!(generate("--top-p", "1.5").contains("more than 1"));
    assert!(generate("--kv", "f64").contains("f16, f32"));
}

#[test]
fn a_prompt_without_its_option_is_told_where_it_belongs() {
    let said = failure(&["generate", TINY, "-p", "Once", "upon"], 2);
    assert!(
        said.contains("'upon'") && said.contains("-p \"Once upon a time\""),
        "{said}"
    );
    let said = failure(&["generate", TINY, "--frob"], 2);
    assert!(!said.contains("in quotes after -p"), "{said}");
}

#[test]
fn help_is_as_wide_as_the_terminal_and_no_wider_than_can_be_read() {
    for command in [
        "inspect", "generate", "quantize", "policy", "audit", "system",
    ] {
        let widest = |columns: &str| {
            let said = llmtool(&[command, "--help"])
                .env("COLUMNS", columns)
                .assert();
            let said = String::from_utf8(said.success().get_output().stdout.clone()).unwrap();
            // clap never wraps the line of the usage.
            said.lines()
                .filter(|line| !line.starts_with("Usage: "))
                .map(|line| line.chars().count())
                .max()
                .unwrap_or(0)
        };
        assert!(widest("60") <= 60, "{command}");
        let wide = widest("300");
        assert!(wide > 80 && wide <= 100, "{command}: {wide}");
    }
}

#[test]
fn bad_files_and_prompts_get_one_line_that_says_why() {
    let one_line = |arguments: &[&str], part: &str| {
        let message = failure(arguments, 1);
        assert_eq!(message.lines().count(), 1, "{message}");
        assert!(message.contains(part), "{message}");
    };
    one_line(
        &["inspect", "/no/such.gguf"],
        "cannot read /no/such.gguf: there is no such file; check its name and folder",
    );
    let folder = env!("CARGO_TARGET_TMPDIR");
    one_line(&["inspect", folder], "it is a folder; name a file in it");
    let below = format!("{TINY}/x.gguf");
    one_line(&["inspect", &below], "is a file and no folder");
    let quantize = |output| ["quantize", "-m", TINY, "-o", output, "--type", "Q8_0"];
    one_line(
        &quantize("/no/such/x.gguf"),
        "cannot write /no/such/x.gguf: there is no such folder; make it first, or name another",
    );
    one_line(&quantize(folder), "cannot write");
    let policy = fresh("wrong.toml");
    fs::write(&policy, "[roles]\nreader = [\n").unwrap();
    one_line(&["policy", &policy], "wrong.toml:2: ");
    fs::write(&policy, b"# \n\xFF").unwrap();
    one_line(
        &["policy", &policy],
        "wrong.toml:2: not UTF-8: save it as UTF-8",
    );
    one_line(
        &["sign", "--key", TINY, TINY],
        "give the .key.pem that `llmtool keygen` has made",
    );
    one_line(
        &["verify", "--key", TINY, TINY],
        "give the .pub.pem that `llmtool keygen` has made",
    );
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
    assert!(
        message.contains("not a valid name for a file of the store"),
        "{message}"
    );
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
    for wrong in ["0", "65"] {
        let message = failure(&["bench", TINY, "-t", wrong], 2);
        assert!(message.contains("1 to 64 threads"), "{message}");
    }
    let message = failure(&["bench", TINY, "--cpu", "z80"], 2);
    assert!(message.contains("this CPU has scalar"), "{message}");
}

#[test]
fn the_number_of_threads_changes_no_logit_and_no_text() {
    let logits = |threads: &str| {
        let arguments = ["logits", DEFAULT, "--tokens", "1,300,41,7,900,12", "--all"];
        output(&[&arguments[..], &["-t", threads]].concat())
    };
    let text = |threads: &str| {
        let arguments = ["generate", DEFAULT, "--raw", "-p", "Once upon a time", "-n"];
        output(&[&arguments[..], &["24", "--threads", threads]].concat())
    };
    let (one, said) = (logits("1"), text("1"));
    for threads in ["2", "3", "4"] {
        assert!(logits(threads) == one, "logits of {threads} threads");
        assert_eq!(text(threads), said, "{threads} threads");
    }
}
