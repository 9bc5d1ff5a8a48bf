//! The example `triage`, whichever variant of its component runs in it: what it decides is the same on every runtime, since
//! the model's arithmetic is.

use sel4_llm_tests::{Terminal, llmtool_generate_with, without_sequences};

/// What the component says of the lines of `examples/triage/events.txt`.
const DECISIONS: [&str; 14] = [
    r#"line 1, routine: "The west door was left open." " log\n""#,
    r#"line 2, ESCALATE: "The east door was left open." " warn\n""#,
    r#"line 3, routine: "The roof sensor reports smoke." " log\n""#,
    r#"line 4, ESCALATE: "The garage sensor reports smoke." " alarm\n""#,
    r#"line 5, routine: "User ben failed to log in nine times." " log\n""#,
    r#"line 6, ESCALATE: "User carla failed to log in nine times." " warn\n""#,
    r#"line 8, ESCALATE: "User anna logged in at the first try." " alarm\n""#,
    r#"line 9, routine: "User carla logged in at the first try." " log\n""#,
    r#"line 10, ESCALATE: "It is 52 degrees and rising, says the lab temperature." " alarm\n""#,
    r#"line 11, routine: "The store temperature is 52 degrees and rising." " log\n""#,
    r#"line 12, routine: "Link red: is down." " log\n""#,
    r#"line 13, ESCALATE: "Link gold: is down." " alarm\n""#,
    r#"line 14, ESCALATE (no answer: QuotaExceeded): "The kitchen sensor saw motion.""#,
    r#"line 15, ESCALATE (no answer: QuotaExceeded): "The cellar door was opened with a badge.""#,
];
const END: &str = "triage: all lines decided: 6 routine, 8 escalated";
/// What the shell asks the same model, which expects notes before it.
const LINE: &str = "> The lab sensor reports smoke.";

/// Whether all decisions are there, each once and in their order.
fn check(shown: &str) {
    let shown = without_sequences(shown);
    let mut rest = &*shown;
    for decision in DECISIONS {
        assert_eq!(shown.matches(decision).count(), 1, "{decision} in {shown}");
        let (_, after) = rest.split_once(decision).unwrap_or_else(|| {
            panic!("{decision} not after the one before it in {shown}");
        });
        rest = after;
    }
}

fn log_in(terminal: &mut Terminal) {
    terminal.type_in("login admin\r");
    terminal.expect("passphrase:");
    terminal.type_in("sel4\r");
    terminal.expect("logged in as admin");
    terminal.expect("llm> ");
}

#[test]
fn each_line_is_decided_and_the_shell_beside_it_works_as_in_the_main_system() {
    let mut terminal = Terminal::launch("SEL4_LLM_EXAMPLE");
    check(&terminal.expect(END));
    terminal.type_in(&format!(
        "llminfer \"{LINE}\" --max-tokens 3 --temperature 0\r"
    ));
    let options = ["--max-tokens", "3", "--temperature", "0"];
    terminal.expect(
        llmtool_generate_with("models/triage.gguf", LINE, &options)
            .replace('\n', "\r\n")
            .as_str(),
    );
    terminal.expect("--max-tokens reached");
    terminal.expect("llm> ");
    // Who the component is, nobody else can be.
    terminal.type_in("login triage\r");
    terminal.expect("that user is another client's own");
    terminal.expect("llm> ");
    log_in(&mut terminal);
    // Each asked for its own, and each is on record.
    terminal.type_in("llmctl budget triage\r");
    terminal.expect("triage: 341 of 2000 tokens left (1659 used, 0 reserved)");
    terminal.type_in("llmctl budget guest\r");
    terminal.expect("of 20000 tokens left (11 used, 0 reserved)");
    terminal.type_in("llmctl audit --user triage\r");
    terminal.expect("admit by triage");
    terminal.expect("refuse by triage");
    terminal.type_in("llmctl audit verify\r");
    terminal.expect(" are unbroken");
    terminal.type_in("exit\r");
    assert_eq!(terminal.end(), 0);
}

#[test]
fn an_inference_that_dies_under_a_question_changes_no_decision() {
    let mut terminal = Terminal::launch("SEL4_LLM_EXAMPLE_INJECT");
    // The boot. The shell takes what is typed now, and asks as soon as the component does.
    terminal.expect("verifying");
    terminal.type_in("llminfer \"!fault-write\"\r");
    check(&terminal.expect(END));
    log_in(&mut terminal);
    terminal.type_in("llmctl status\r");
    terminal.expect("restarts     1");
    terminal.type_in("llmctl budget triage\r");
    terminal.expect("triage: 341 of 2000 tokens left (1659 used, 0 reserved)");
    terminal.type_in("exit\r");
    assert_eq!(terminal.end(), 0);
}
