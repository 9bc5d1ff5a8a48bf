//! The same bits everywhere: the simulation and every board that can be emulated here run one script, and must print
//! the same texts and keep the same log.
//!
//! `SEL4_LLM_SAME` lists their names, separated by spaces; `SEL4_LLM_SAME_NAME` is the command that starts the one
//! called NAME. Times in a log differ even between two runs on one machine, and so do the hashes of the chain, which
//! cover them; both are left out. Everything else is compared to the bit: the texts and, in the log, the hashes of the
//! model, prompts and answers, and of an adapter that each system trains itself.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use sel4_llm_tests::console::{mark, text_and_closing};
use sel4_llm_tests::{Session, llmtool, session_of};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Commands whose whole output is compared: texts of models, and output without times.
const COMMANDS: [&str; 12] = [
    "llminfer \"Once upon a time\" --max-tokens 40 --temperature 0",
    "llminfer \"\\\"Who are you?\\\" asked the fox.\" --max-tokens 40 --temperature 0.8 --seed 7",
    "llminfer \"Ein Märchen: 猫\" --max-tokens 30 --temperature 1.5 --top-k 0 --seed 18446744073709551615",
    "llminfer \"The wind blew\" --max-tokens 24 --session tale --repeat-penalty 1.3 --seed 5",
    "llminfer \" and then\" --max-tokens 24 --session tale --min-p 0 --top-p 1 --seed 6",
    "llminfer \"The king said\" --choices \"yes,no,perhaps\" --temperature 0",
    "llmctl load nothing",
    "llmctl load tiny",
    "llminfer \"One day\" --max-tokens 60 --temperature 0.8 --seed 11",
    "llmfinetune --example \"The old king wept. The feeling is\" --answer \" grief\"",
    "llmfinetune examples --adapter typed --rank 2 --epochs 2 --seed 9",
    "llminfer \"The old king\" --adapter typed --max-tokens 20 --temperature 0",
];

/// Members of an entry that contain times, or depend on members that do.
const TIMES: [&str; 4] = ["time_us", "latency_us", "first_token_us", "previous"];

/// The output of a system, in the form in which it is compared.
struct Said {
    texts: Vec<String>,
    log: Vec<String>,
}

fn ask(name: &str) -> Said {
    let mut script = format!("login admin\nsel4\n{}", mark(0));
    for (number, command) in (1..).zip(COMMANDS) {
        script += &format!("{command}\n{}", mark(number));
    }
    let last = COMMANDS.len() + 1;
    script += &format!("llmctl audit --json\n{}", mark(last));
    let session = session_of(&format!("SEL4_LLM_SAME_{name}"), script);
    assert_eq!(session.status, Some(0), "{name}: {}", session.output);
    let export = session.before(last);
    let (verdict, status) = llmtool(&["audit", "verify"], &export);
    assert_eq!(status, Some(0), "{name}: {verdict}");
    Said {
        texts: (1..last).map(|number| text(&session, number)).collect(),
        log: entries(&export),
    }
}

/// A command's output without the times in a closing line.
fn text(session: &Session, number: usize) -> String {
    let said = session.before(number);
    match text_and_closing(&said) {
        Some((text, closing)) if closing.starts_with('[') => {
            let tokens = closing.split(',').next().unwrap_or_default();
            let end = closing.rsplit(", ").next().unwrap_or_default();
            format!("{text}\n{tokens}, {end}")
        }
        _ => without_seconds(&said),
    }
}

/// The output without progress. Numbers with a decimal point are times in messages of long commands.
fn without_seconds(said: &str) -> String {
    let is_time = |word: &str| {
        word.contains('.')
            && word
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let words = |line: &str| -> String {
        let kept = line
            .split(' ')
            .map(|word| if is_time(word) { "…" } else { word });
        kept.collect::<Vec<_>>().join(" ")
    };
    // A terminal gets a moving bar; a pipe, which the simulation writes to, gets one line of text; a command that ends
    // at once prints neither.
    let is_progress = |line: &&str| {
        let mut works = ["verifying ", "loading ", "training ", "fine-tuning: "].iter();
        works.any(|work| line.starts_with(work))
    };
    let lines = said.lines().filter(|line| !is_progress(line));
    lines.map(words).collect::<Vec<_>>().join("\n")
}

/// The entries of an export without the parts that depend on the time.
fn entries(export: &str) -> Vec<String> {
    let lines = export.lines().filter(|line| line.contains("\"sequence\""));
    lines
        .map(|line| {
            let mut entry: BTreeMap<String, Value> =
                serde_json::from_str(line).expect("an entry is JSON");
            for time in TIMES {
                entry.remove(time);
            }
            serde_json::to_string(&entry).expect("it was JSON")
        })
        .collect()
}

fn digest(lines: &[String]) -> String {
    let hash = Sha256::digest(lines.join("\n").as_bytes());
    hash[..8].iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[test]
fn every_board_and_the_simulation_give_the_same_texts_and_keep_the_same_log() {
    let names = std::env::var("SEL4_LLM_SAME").expect("run this through make same-texts");
    let names: Vec<&str> = names.split_whitespace().collect();
    let mut first: Option<(&str, Said)> = None;
    for name in &names {
        let said = ask(name);
        let (texts, log) = (digest(&said.texts), digest(&said.log));
        println!(
            "{name}: {} answers {texts}, {} entries of the log {log}",
            said.texts.len(),
            said.log.len()
        );
        assert!(said.log.len() > COMMANDS.len(), "{:#?}", said.log);
        let Some((other, expected)) = &first else {
            first = Some((name, said));
            continue;
        };
        for (number, (ours, theirs)) in said.texts.iter().zip(&expected.texts).enumerate() {
            assert_eq!(ours, theirs, "{}: {name} and {other}", COMMANDS[number]);
        }
        for (ours, theirs) in said.log.iter().zip(&expected.log) {
            assert_eq!(ours, theirs, "the logs of {name} and {other}");
        }
        assert_eq!(said.log.len(), expected.log.len(), "{name} and {other}");
    }
    println!("the same texts and the same log on: {}", names.join(", "));
}
