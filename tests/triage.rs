//! The example `triage`, whichever variant of its component runs in it: what it decides is the same on every runtime, since
//! the model's arithmetic is.

use sel4_llm_tests::{Terminal, llmtool_generate, without_sequences};

/// What the component says of the lines of `examples/triage/events.txt`.
const DECISIONS: [&str; 12] = [
    r#"line 1, routine: "The delivery man brought a box of toys." " proud of it.""#,
    r#"line 2, ESCALATE: "The door was open and the dog was gone." " upset. He""#,
    r#"line 3, routine: "The sun was warm and all the children played in the garden." " still and smiled a""#,
    r#"line 4, ESCALATE: "The lamp in the hall was broken." " sad. He had""#,
    r#"line 5, ESCALATE (unclear answer): "Grandma came to visit with a cake." " tired and happy.""#,
    r#"line 6, routine: "They had a party in the garden." " proud of it,""#,
    r#"line 8, ESCALATE: "The kitchen was full of smoke." " cross. He had""#,
    r#"line 9, ESCALATE: "A big storm came and broke the window." " upset. He""#,
    r#"line 10, ESCALATE (unclear answer): "Nobody was at home." " small and very scared""#,
    r#"line 11, ESCALATE (unclear answer): "The big dog barked at the gate." ", very scared.""#,
    r#"line 12, ESCALATE (no answer: QuotaExceeded): "There was a hole in the fence.""#,
    r#"line 13, ESCALATE (no answer: QuotaExceeded): "The wolf was at the door.""#,
];
const END: &str = "triage: all lines decided: 3 routine, 9 escalated";

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
    terminal.type_in("llminfer \"Once upon a time\" --max-tokens 12 --temperature 0\r");
    let options = ["--max-tokens", "12", "--temperature", "0"];
    terminal.expect(
        llmtool_generate("Once upon a time", &options)
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
    terminal.expect("triage: 40 of 210 tokens left (170 used, 0 reserved)");
    terminal.type_in("llmctl budget guest\r");
    terminal.expect("of 20000 tokens left (17 used, 0 reserved)");
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
    terminal.expect("triage: 40 of 210 tokens left (170 used, 0 reserved)");
    terminal.type_in("exit\r");
    assert_eq!(terminal.end(), 0);
}
