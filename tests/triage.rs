//! The example `triage`, for any variant of its component: its decisions are the same on every runtime, because the
//! model's arithmetic is.

use std::collections::BTreeMap;
use std::time::Duration;

use sel4_llm_tests::export::Joined;
use sel4_llm_tests::{Terminal, llmtool_generate_with, without_sequences};

/// The component's input lines, with the correct decision for each but the last two, for which no budget is left.
const EVENTS: &str = include_str!("../examples/triage/events.txt");
const RIGHT: &str = include_str!("../examples/triage/right.txt");
const STANDING: &str = include_str!("../examples/triage/standing.txt");
const MODEL: &str = "models/triage.gguf";

/// Number of events judged.
const JUDGED: usize = 500;
/// Number judged correctly.
const JUDGED_RIGHT: usize = 496;
/// Tokens that they cost altogether, and what the policy grants.
const USED: u64 = 112_074;
const BUDGET: u64 = 112_600;
const END: &str = "triage: all lines decided: 281 routine, 221 escalated";
const CLASSES: &str = "ignore,log,warn,alarm";

/// Time limit for all events, on an emulator on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

/// Waits until all lines are decided, and returns the output up to then.
fn decided(terminal: &mut Terminal) -> String {
    without_sequences(&terminal.expect_within(END, PATIENCE))
}

/// What follows `before` on the one line that contains it.
fn after<'s>(shown: &'s str, before: &str) -> &'s str {
    let mut parts = shown.split(before).skip(1);
    match (parts.next(), parts.next()) {
        (Some(rest), None) => rest.lines().next().unwrap_or_default(),
        (found, _) => panic!("{before:?} is there {}", found.map_or("not", |_| "twice")),
    }
}

/// The answer to each judged line, from 1; each line is decided once, according to its answer.
fn answers(shown: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(EVENTS.lines()).take(JUDGED) {
        let decision = after(shown, &format!("line {number}, "));
        let (verdict, said) = decision.split_once(": ").expect(decision);
        let quoted = said.strip_prefix(&format!("{line:?} \"")).expect(decision);
        let answer = quoted.trim_end().strip_suffix('"').expect(decision);
        let expected = match answer {
            "ignore" | "log" => "routine",
            "warn" | "alarm" => "ESCALATE",
            _ => panic!("an answer that is no class: {decision}"),
        };
        assert_eq!(verdict, expected, "{decision}");
        found.push(answer);
    }
    // The budget is used up.
    for (number, line) in (1..).zip(EVENTS.lines()).skip(JUDGED + 1) {
        let decision = after(shown, &format!("line {number}, "));
        let expected = format!("ESCALATE (no answer: QuotaExceeded): {line:?}");
        assert_eq!(decision.trim_end(), expected);
    }
    found
}

fn judged_right(answers: &[&str]) -> usize {
    assert_eq!(RIGHT.lines().count(), JUDGED);
    let pairs = answers.iter().zip(RIGHT.lines());
    pairs.filter(|(answer, right)| *answer == right).count()
}

fn log_in(terminal: &mut Terminal) {
    terminal.type_in("login admin\r");
    terminal.expect("passphrase:");
    terminal.type_in("sel4\r");
    terminal.expect("logged in as admin");
    terminal.expect("llm> ");
}

/// The remaining budget of the component's user.
fn budget() -> String {
    let left = BUDGET - USED;
    format!("triage: {left} of {BUDGET} tokens left ({USED} used, 0 reserved)")
}

#[test]
fn five_hundred_events_get_five_hundred_answers_of_the_format_and_all_is_on_record() {
    let mut terminal = Terminal::launch("SEL4_LLM_EXAMPLE");
    let shown = decided(&mut terminal);
    let answers = answers(&shown);
    assert_eq!(answers.len(), JUDGED);
    assert_eq!(judged_right(&answers), JUDGED_RIGHT);
    const { assert!(100 * JUDGED_RIGHT >= 97 * JUDGED) };

    // The fixed text has some 190 tokens and is paid for only once.
    let times = after(&shown, "the first answer took ");
    let mut numbers = times.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.find_map(|text| text.parse::<u64>().ok()).unwrap();
    let (first, others, each) = (number(), number(), number());
    assert_eq!(others, JUDGED as u64 - 1);
    // In the emulator a later answer takes at most a fifth of the first. In the simulation this model is so fast that
    // messages take as long, and their times depend on how busy the machine is.
    let in_emulator = std::env::var("SEL4_LLM_EXAMPLE").is_ok_and(|run| run.contains("qemu"));
    assert!(
        if in_emulator {
            5 * each < first
        } else {
            each < first
        },
        "{times}"
    );

    // The shell, which has had its prompt since boot, asks the same model and gets the same as the tool.
    let line = "The lab sensor reports smoke.";
    terminal.type_in(format!(
        "llminfer \"{line}\" --system \"You watch a site.\" --format triage --max-tokens 4 --temperature 0\r"
    ));
    let options = ["--system", "You watch a site.", "--choices", CLASSES];
    let options = [&options[..], &["-n", "4", "--temperature", "0"]].concat();
    terminal.expect(llmtool_generate_with(MODEL, line, &options).as_str());
    terminal.expect("llm> ");
    // Nobody else can log in as the component's user.
    terminal.type_in("login triage\r");
    terminal.expect("that user belongs to another client");
    terminal.expect("llm> ");
    log_in(&mut terminal);

    // Each asked for its own, and each is logged.
    terminal.type_in("llmctl budget triage\r");
    terminal.expect(budget().as_str());
    terminal.expect("llm> ");
    terminal.type_in("llmctl audit verify\r");
    terminal.expect(" are unbroken");
    terminal.expect("llm> ");
    terminal.type_in("llmctl audit --json\r");
    let export = terminal.expect_within("\"filtered\":false}", PATIENCE);
    let mut log = Joined::default();
    log.add(&without_sequences(&export)).unwrap();
    let of_triage = |event| log.of(event).filter(|entry| entry.user == "triage");
    assert_eq!(of_triage("admit").count(), JUDGED);
    // A repeated refusal is counted, and logged less and less often.
    assert!((1..=2).contains(&of_triage("refuse").count()));
    assert_eq!(of_triage("fail").count(), 0);
    assert_eq!(log.charged("triage"), USED);
    let ends = log.ends().unwrap();
    let ends = ends.values().filter(|entry| entry.user == "triage");
    assert_eq!(ends.count(), JUDGED);
    // The log has the hash of each answer.
    let mut hashes = BTreeMap::new();
    for (entry, answer) in of_triage("finish").zip(&answers) {
        assert_eq!(entry.generated_tokens, 1, "a class is one token");
        let hash = hashes.entry(*answer).or_insert(&entry.output_sha256);
        assert_eq!(*hash, &entry.output_sha256, "{answer}");
    }
    assert_eq!(hashes.len(), 4);
    assert_eq!(terminal.leave(), 0);
}

#[test]
fn an_inference_that_dies_under_a_question_changes_no_decision() {
    let mut terminal = Terminal::launch("SEL4_LLM_EXAMPLE_INJECT");
    // During boot. The shell accepts typing now, and asks at the same time as the component.
    terminal.expect("verifying");
    terminal.type_in("llminfer \"!fault-write\" --raw\r");
    let shown = decided(&mut terminal);
    assert_eq!(judged_right(&answers(&shown)), JUDGED_RIGHT);
    log_in(&mut terminal);
    terminal.type_in("llmctl status\r");
    terminal.expect("restarts     1");
    terminal.type_in("llmctl budget triage\r");
    terminal.expect(budget().as_str());
    assert_eq!(terminal.leave(), 0);
}

#[test]
fn a_sample_of_the_answers_is_what_the_tool_says() {
    let mut right = 0;
    let sample = EVENTS.lines().zip(RIGHT.lines()).step_by(20);
    let count = sample.clone().count();
    for (line, expected) in sample {
        let options = ["--system", STANDING.trim_end(), "--choices", CLASSES];
        let options = [&options[..], &["-n", "4", "--temperature", "0"]].concat();
        let answer = llmtool_generate_with(MODEL, line, &options);
        assert!(CLASSES.split(',').any(|class| class == answer), "{answer}");
        right += usize::from(answer == expected);
    }
    assert!(100 * right >= 90 * count, "{right} of {count}");
}
