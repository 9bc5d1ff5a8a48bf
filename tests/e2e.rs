//! The system end to end, on the runtime given by the environment.

use sel4_llm_tests::{Terminal, is_emulated, llmtool_generate, session, session_with_faults};
use std::time::Duration;

const PROMPTS: [&str; 10] = [
    "Once upon a time",
    "One day",
    "The king said",
    "\"Who are you?\" asked the fox.",
    "There was once a poor woodcutter",
    "In the middle of the forest",
    "She opened the door and",
    "Long ago, when wishes still helped,",
    "The wind blew",
    "Ein Märchen: 猫",
];

fn quoted(prompt: &str) -> String {
    format!("\"{}\"", prompt.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn a_prompt_becomes_a_story_and_exit_ends_with_status_0() {
    let session = session("llminfer \"Once upon a time\" --max-tokens 48 --temperature 0\n");
    assert_eq!(session.status, Some(0));
    assert!(
        session.output.contains("\n[48 tokens, "),
        "{}",
        session.output
    );
    assert!(session.generations()[0].len() > 100, "{}", session.output);
}

#[test]
fn the_end_of_input_ends_with_status_0() {
    assert_eq!(session("").status, Some(0));
    assert_eq!(session("llmstats").status, Some(0));
}

#[test]
fn ten_prompts_give_the_text_of_llmtool_greedy_and_seeded() {
    for options in [
        &["--max-tokens", "40", "--temperature", "0"][..],
        &["--max-tokens", "40", "--temperature", "0.8", "--seed", "7"],
    ] {
        let script: String = PROMPTS
            .iter()
            .map(|prompt| format!("llminfer {} {}\n", quoted(prompt), options.join(" ")))
            .collect();
        let session = session(script);
        let texts = session.generations();
        assert_eq!(texts.len(), PROMPTS.len(), "{}", session.output);
        for (prompt, text) in PROMPTS.iter().zip(texts) {
            assert_eq!(
                text.trim_end_matches('\n'),
                llmtool_generate(prompt, options),
                "{prompt}"
            );
        }
    }
}

#[test]
fn bad_input_gets_a_clear_line_and_the_system_goes_on() {
    let long = "x ".repeat(4000);
    for (line, expected) in [
        (
            "llmifer x",
            "no command 'llmifer'; did you mean 'llminfer'?",
        ),
        ("llminfer x --max-token 3", "did you mean '--max-tokens'?"),
        ("llminfer \"\"", "the prompt is empty"),
        ("llminfer \"Once", "the quote \" is not closed"),
        (
            "llminfer x --max-tokens 0",
            "--max-tokens 0 is out of range, 1 to 512 are allowed",
        ),
        (
            "llminfer x --max-tokens 513",
            "--max-tokens 513 is out of range, 1 to 512 are allowed",
        ),
        (
            "llminfer x --temperature 10.5",
            "--temperature 10.5 is out of range, 0 to 10 are",
        ),
        ("llmctl load nothing", "no model 'nothing' in the store"),
        (
            &format!("llminfer \"{long}\""),
            "the model's context has room for 511",
        ),
        (
            &format!("llminfer \"{long}{long}\""),
            "the line has 16011 bytes, at most 8704",
        ),
    ] {
        let script = format!(
            "login admin\nsel4\n{line}\nllminfer \"One day\" --max-tokens 2 --temperature 0\n"
        );
        // At a terminal, such as QEMU's console, an open quote continues on the next line.
        if is_emulated() && expected.starts_with("the quote") {
            continue;
        }
        let session = session(script);
        let error = session
            .output
            .lines()
            .find(|line| line.starts_with("error: "));
        assert!(
            error.is_some_and(|e| e.contains(expected)),
            "{line:.60}: {}",
            session.output
        );
        assert_eq!(
            (session.generations().len(), session.status),
            (1, Some(0)),
            "{line:.60}"
        );
    }
    let mut script = b"llminfer \"not \xff UTF-8\"\n".to_vec();
    script.extend(b"llminfer x --max-tokens 1\n");
    let session = session(script);
    assert!(
        session
            .output
            .contains("error: the prompt is not UTF-8 at byte 4")
    );
}

#[test]
fn models_are_listed_loaded_and_told_apart() {
    let session = session(
        "login admin\nsel4\nllmctl models\nllmctl load tiny\nllmctl load no\nllmctl status\n",
    );
    for part in [
        "* default",
        "  tiny",
        "loaded tiny: 278976 parameters",
        "model        tiny",
        "peak",
    ] {
        assert!(session.output.contains(part), "{part}: {}", session.output);
    }
}

#[test]
fn a_model_that_is_refused_leaves_the_loaded_one_in_service() {
    let infer = "llminfer \"One day\" --max-tokens 12 --temperature 0\n";
    for (name, expected) in [
        ("truncated", "bytes) is damaged: "),
        ("corrupt", "blk.1.ffn_down.weight at offset 79520 overlaps"),
        ("large", "; largest context that fits: "),
    ] {
        let session = session_with_faults(format!(
            "login tester\n{infer}llmctl load {name}\n{infer}llmctl status\n"
        ));
        let output = &session.output;
        let error = output.lines().find(|line| line.starts_with("error: "));
        assert!(
            error.is_some_and(|error| error.contains(expected)),
            "{name}: {output}"
        );
        let [before, after] = session.generations()[..] else {
            panic!("{name}: {output}");
        };
        // The text follows the output of boot and login.
        let before = before.lines().last().expect("a text");
        assert!(before.len() > 10 && after.ends_with(before), "{output}");
        assert!(output.contains("model        default"), "{output}");
        assert_eq!(session.status, Some(0));
    }
}

#[test]
fn a_person_edits_a_line_and_cancels_a_generation_but_not_the_system() {
    let mut terminal = Terminal::start();
    // Backspace, a whole word deleted, an arrow key without an earlier line.
    terminal.type_in("llmctl modelt\x7fs now\x17\x1b[A\r");
    assert!(terminal.expect("llm> ").contains("* default"));

    // Ctrl-C at the prompt drops the line.
    terminal.type_in("llminfer \"forgotten");
    terminal.type_in([0x03]);
    terminal.expect("llm> ");

    // One more Ctrl-C than a shell's terminal would survive, and the emulator's own escape key.
    let first = llmtool_generate(
        "Once upon a time",
        &["--max-tokens", "2", "--temperature", "0"],
    );
    // The simulation may have told the whole story before the key arrives. Each story uses up some of the egress
    // allowance, so one of the next is slow enough.
    let cancelled = (0..8).any(|_| {
        terminal.type_in("llminfer \"Once upon a time\" --max-tokens 500 --temperature 0\r");
        terminal.expect(&first);
        terminal.type_in([0x03]);
        let closing = terminal.expect("llm> ");
        assert!(
            closing.contains("cancelled]") || closing.contains("end of text]"),
            "{closing}"
        );
        closing.contains("cancelled]")
    });
    assert!(cancelled);
    terminal.type_in([0x01]);
    terminal.type_in("llminfer \"Once upon a time\" --max-tokens 4 --temperature 0\r");
    let answer = terminal.expect("--max-tokens reached]");
    assert!(answer.contains(&first), "{answer}");
    terminal.expect("llm> ");

    assert_eq!(terminal.leave(), 0);
}

#[test]
fn a_request_in_the_background_gives_the_text_that_it_gives_in_front() {
    let options = ["--max-tokens", "20", "--temperature", "0"];
    let session = session(format!(
        "llminfer \"One day\" {} --background\nllmctl wait 1\nllmctl wait 1\nllmctl jobs\n",
        options.join(" ")
    ));
    let output = &session.output;
    let text = llmtool_generate("One day", &options);
    // Once while it arrives, and once from what was kept.
    assert_eq!(output.matches(&text).count(), 2, "{output}");
    assert_eq!(output.matches("\n[20 tokens, ").count(), 2, "{output}");
    assert!(
        output.contains("   1  finished, 20 tokens  \"One day\""),
        "{output}"
    );
}

#[test]
fn whoever_sits_at_the_console_ends_it_only_with_the_permission() {
    let mut terminal = Terminal::start();
    for keys in ["exit\r", "\x04", "\x04", "exit\r"] {
        terminal.type_in(keys);
        terminal.expect("cannot log out");
        terminal.expect("llm> ");
    }
    terminal.type_in("llmctl halt\r");
    terminal.expect("you need the permission 'halt'");
    terminal.expect("llm> ");
    // Ctrl-D aborts the login, and logs out a user who is logged in.
    terminal.type_in("login admin\r");
    terminal.expect("passphrase: ");
    terminal.type_in([0x04]);
    terminal.expect("no login: cancelled");
    terminal.expect("llm> ");
    let log_in = |terminal: &mut Terminal| {
        // A passphrase can be tried only once a second, even after a correct one.
        std::thread::sleep(Duration::from_millis(1200));
        terminal.type_in("login admin\r");
        terminal.expect("passphrase: ");
        terminal.type_in("sel4\r");
        terminal.expect("admin@llm> ");
    };
    for keys in ["exit\r", "\x04"] {
        log_in(&mut terminal);
        terminal.type_in(keys);
        terminal.expect("logged out; now guest");
        terminal.expect("llm> ");
    }
    log_in(&mut terminal);
    terminal.type_in("llmctl audit --last 20\r");
    let log = terminal.expect("admin@llm> ");
    assert!(log.contains("refuse by guest"), "{log}");
    assert!(!log.contains("halt by"), "{log}");
    terminal.type_in("llmctl halt\r");
    terminal.expect("halted");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn the_end_of_a_pipe_ends_the_system_after_its_last_line_in_whatever_state() {
    for script in [
        "llminfer \"Once upon a time\" --max-tokens 3 --temperature 0",
        "llminfer x --max-tokens 3 --background\n",
        "login admin\n",
        "login admin\nsel4\nwhoami\n",
        "llmctl status\n\x04llmctl models\n",
        "",
    ] {
        let session = session(script);
        assert_eq!(session.status, Some(0), "{script:?}: {}", session.output);
        let has = |part: &str| session.output.contains(part);
        assert_eq!(
            has("tokens/s"),
            script.starts_with("llminfer \""),
            "{}",
            session.output
        );
        assert_eq!(
            has("admin (owner"),
            script.contains("sel4"),
            "{}",
            session.output
        );
        assert!(!has("* default"), "what follows the byte is not run");
    }
}

#[test]
fn after_a_fault_the_next_prompt_gets_the_same_text_as_before() {
    let infer = "llminfer \"Once upon a time\" --max-tokens 20 --temperature 0\n";
    let script = format!("{infer}llminfer \"!fault-write\"\n{infer}llmstats\n");
    let session = session_with_faults(script);
    let output = &session.output;
    assert!(
        output.contains("inference crashed with a memory fault at address 0x12000000"),
        "{output}"
    );
    assert!(output.contains("inference serves again"), "{output}");
    assert!(
        output.contains("error: inference crashed while handling the request"),
        "{output}"
    );
    assert!(output.contains("1 fault, 1 restart"), "{output}");
    let stories: Vec<&str> = session.generations();
    let [before, after] = stories[..] else {
        panic!("{output}");
    };
    // Shell reports the fault before the second text.
    assert!(before.len() > 20 && after.ends_with(before), "{output}");
    assert_eq!(session.status, Some(0));
}

#[test]
fn an_inference_that_spins_is_restarted_after_its_deadline() {
    let session = session_with_faults("llminfer \"!spin\"\nllminfer x --max-tokens 1\n");
    let output = &session.output;
    assert!(
        output.contains("inference did not answer by its deadline"),
        "{output}"
    );
    assert!(output.contains("inference serves again"), "{output}");
    assert!(output.contains("[1 token, "), "{output}");
}
