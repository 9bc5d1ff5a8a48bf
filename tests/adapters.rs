//! Adapters end to end, on the runtime given by the environment: trained at the console, used, exported, and reproduced
//! on the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sel4_llm_tests::console::mark;
use sel4_llm_tests::{Session, Terminal, session_with_faults};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const PROMPT: &str = "The fox lost his way in the dark wood.";

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Runs `llmtool`, which must succeed, and returns its output.
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

fn infer(options: &str) -> String {
    format!("llminfer \"{PROMPT}\" --max-tokens 24 --temperature 0 {options}")
}

/// The text of [`infer`] within its output.
fn text(said: &str) -> &str {
    let text = said.rsplit_once("\n[24 tokens, ");
    text.unwrap_or_else(|| panic!("no text: {said}")).0
}

/// Runs commands one after the other and returns the output of each.
fn answers(commands: &[String]) -> Vec<String> {
    let mut script = format!("login tester\n{}", mark(0));
    for (number, command) in (1..).zip(commands) {
        script += &format!("{command}\n{}", mark(number));
    }
    let session = session_with_faults(script);
    let numbers = 1..=commands.len();
    numbers.map(|number| session.before(number)).collect()
}

fn as_tester(script: &str) -> Session {
    session_with_faults(format!("login tester\n{script}"))
}

/// The exported file, signed by the device.
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
    let session = as_tester(&format!(
        "llmfinetune feelings --adapter moods --rank 2 --epochs 2 --rate 1e-2\nllmctl adapters\n{}{}\
         llmctl adapter export moods\nllmctl audit verify\n",
        infer("--adapter moods") + "\n",
        infer("") + "\n",
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
    // Output before the first is ignored.
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
            "error: the data 'examples' contains no examples",
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
    let session = session_with_faults("llmfinetune feelings\nllmfinetune --example a\n");
    let refusals = session
        .output
        .matches("you need the permission 'fine-tune'");
    assert_eq!(refusals.count(), 2, "{}", session.output);
}

/// The number at the beginning of an output line.
fn number(output: &str) -> f64 {
    let number = output.split_whitespace().next().expect("a number");
    number.parse().expect("a number")
}

#[test]
fn a_hundred_examples_teach_a_task_that_the_model_could_not_do_and_it_tells_tales_as_before() {
    let folder = folder("tasks");
    let model = "models/default.gguf";
    let bits = |lora: &[&str]| {
        let mut arguments = vec![
            "perplexity",
            model,
            "-f",
            "tools/finetune/held-out.txt",
            "--bits-per-byte",
        ];
        arguments.extend(lora);
        number(&llmtool(&arguments))
    };
    let before = bits(&[]);
    for (task, options) in [("feelings", &[][..]), ("morals", &["--alpha", "6"])] {
        let python = Command::new("python3")
            .args(["tools/finetune/tasks.py", task, "--split", "test"])
            .current_dir(ROOT)
            .output()
            .expect("python3 starts");
        assert!(python.status.success());
        let (data, held_out) = (
            format!("tools/finetune/{task}.jsonl"),
            folder.join("test.jsonl"),
        );
        fs::write(&held_out, &python.stdout).unwrap();
        let (held_out, adapter) = (
            held_out.to_str().unwrap(),
            folder.join(format!("{task}.gguf")),
        );
        let adapter = adapter.to_str().unwrap();
        let mut arguments = vec!["finetune", model, &data, "-o", adapter, "--arena", "8MiB"];
        arguments.extend(options);
        llmtool(&arguments);
        assert!(fs::metadata(adapter).unwrap().len() < 1_000_000);
        let base = number(&llmtool(&["score", model, held_out]));
        let taught = number(&llmtool(&["score", model, held_out, "--lora", adapter]));
        assert!(
            taught >= base + 50.0,
            "{task}: {base}, then {taught} of 100"
        );
        let after = bits(&["--lora", adapter]);
        assert!(
            after <= 1.03 * before,
            "{task}: {before}, then {after} bits per byte"
        );
    }
}

#[test]
fn a_fault_in_the_middle_of_a_training_costs_nothing_and_leaves_base_and_adapters_as_they_were() {
    let train = |name| format!("llmfinetune feelings --adapter {name} --rank 2 --epochs 2");
    let commands = [
        train("first") + " --rate 1e-2",
        infer("--adapter first"),
        infer(""),
        "llminfer \"!fault-training\" --max-tokens 1".to_owned(),
        "llmctl budget".to_owned(),
        train("second"),
        "llmctl budget".to_owned(),
        // Waits until inference is back in service, which a notice reports, possibly in the middle of the text.
        infer(""),
        infer(""),
        infer("--adapter first"),
        "llmctl adapters".to_owned(),
        "llmstats".to_owned(),
        // The next one runs to its end.
        train("second"),
        "llmctl audit verify".to_owned(),
    ];
    let answers = answers(&commands);
    let all = answers.join("----\n");
    let [
        first,
        with,
        without,
        _,
        before,
        second,
        after,
        _,
        again_without,
        again_with,
        adapters,
        stats,
        third,
        log,
    ] = &answers[..]
    else {
        panic!("{all}");
    };
    assert!(first.contains("made the adapter first: "), "{all}");
    let died = "error: inference crashed while handling the request";
    assert!(second.contains(died), "{all}");
    let used = |budget: &str| budget.split(['(', ')']).nth(1).map(str::to_owned);
    assert!(
        used(before).is_some_and(|used| used.contains(" used, 0 reserved")),
        "{all}"
    );
    assert_eq!(used(before), used(after), "{all}");
    assert_eq!(
        (text(with), text(without)),
        (text(again_with), text(again_without)),
        "{all}"
    );
    assert_ne!(text(with), text(without), "the adapter does something");
    let is_alone = adapters.contains("* first (") && adapters.contains("\n1 adapter; ");
    assert!(is_alone, "nothing half made: {all}");
    assert!(stats.contains("1 fault, 1 restart"), "{all}");
    assert!(third.contains("made the adapter second: "), "{all}");
    assert!(log.contains("are unbroken"), "{all}");
}

#[test]
fn ctrl_c_in_the_middle_of_a_training_keeps_nothing() {
    let mut terminal = Terminal::start_of("SEL4_LLM_RUN_INJECT");
    let mut command = |line: &str| {
        terminal.type_in(format!("{line}\r"));
        terminal.expect("\n");
        terminal.expect("llm> ")
    };
    command("login tester");
    let alone = command(&infer(""));
    terminal.type_in("llmfinetune feelings --epochs 100\r");
    // The beginning, and some updates later.
    terminal.expect("step 0 of 800");
    terminal.expect(" of 800");
    terminal.type_in([0x03]);
    let said = terminal.expect("llm> ");
    assert!(
        said.contains("^C: the fine-tuning has ended, and nothing of it is kept"),
        "{said}"
    );
    let mut command = |line: &str| {
        terminal.type_in(format!("{line}\r"));
        terminal.expect("\n");
        terminal.expect("llm> ")
    };
    let adapters = command("llmctl adapters");
    assert!(adapters.contains("0 adapters"), "{adapters}");
    let until_closing = |said: &str| said.split("[24 tokens").next().map(str::to_owned);
    let again = command(&infer(""));
    assert!(again.contains("[24 tokens"), "{again}");
    assert_eq!(until_closing(&alone), until_closing(&again));
    let made = command("llmfinetune feelings --epochs 1 --rank 1");
    assert!(
        made.contains("made the adapter feelings: 8 steps"),
        "{made}"
    );
}

#[test]
fn llmtool_replays_trainings_and_what_was_generated_with_their_adapters() {
    let commands = [
        "llmfinetune feelings --adapter moods --rank 2 --epochs 2 --rate 1e-2",
        "llmfinetune --example \"The old king wept. The feeling is\" --answer \" grief\"",
        "llmfinetune --example \"A whole text, which ends well.\"",
        "llmfinetune examples --adapter typed --targets all --epochs 1 --seed 9",
        "llminfer \"The wolf\" --adapter moods --session s --max-tokens 9 --seed 3",
        "llminfer \" and\" --session s --max-tokens 9 --adapter moods",
        "llminfer \"The wolf\" --adapter typed --max-tokens 9 --temperature 0",
        "llminfer \"The wolf\" --max-tokens 9 --temperature 0",
        "llmctl audit --json",
    ]
    .map(str::to_owned);
    let answers = answers(&commands);
    let [.., export] = &answers[..] else {
        panic!("{answers:?}");
    };
    let (said, status) = sel4_llm_tests::llmtool(&["audit", "verify"], export);
    assert_eq!(status, Some(0), "{said}\n{answers:?}");
    let replay = ["replay", "--models", "build/store-test"];
    let data = ["--data", "tests/data/feelings.jsonl"];
    let (said, status) = sel4_llm_tests::llmtool(&[&replay[..], &data].concat(), export);
    assert!(
        status == Some(0) && said.contains("6 requests reproduced, 0 differ, 0 not replayed"),
        "{said}\n{answers:?}"
    );
    let adapters = said.lines().filter(|line| line.contains(" adapter "));
    assert_eq!(
        adapters.filter(|line| line.ends_with("reproduced")).count(),
        2,
        "{said}"
    );

    // Without the data, neither the first training nor the text generated with it can be repeated; the second is all in
    // the log.
    let (said, _) = sel4_llm_tests::llmtool(&replay, export);
    assert!(
        said.contains("neither --models nor --data has its data"),
        "{said}"
    );
    assert!(
        said.contains("3 requests reproduced, 0 differ, 3 not replayed"),
        "{said}"
    );
}
