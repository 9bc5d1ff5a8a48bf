//! Typing: long lines, pastes, quotes, and windows that are resized.

use super::*;

/// A prompt longer than any of the terminals is wide.
const LONG: &str = "Once upon a time there was a little girl named Lily who loved to play in the big garden behind the \
    house, and every morning she went out to see whether the red flowers were still there";

/// `text` without line breaks.
pub(super) fn joined(text: &str) -> String {
    text.replace('\n', "")
}

#[test]
fn a_long_line_stays_in_one_row_while_it_is_typed_and_is_above_whole_when_it_has_run() {
    everywhere(|person, columns, _| {
        let command = format!("llmctl budget \"{LONG}\"");
        let above = person.rows().len();
        person.type_in(&command);
        person.settle();
        let rows = person.rows();
        assert_eq!(rows.len(), above, "one row: {rows:#?}");
        let row = rows.last().expect("a row");
        assert!(
            row.starts_with("llm> <") && row.ends_with("still there\""),
            "{row}"
        );
        assert!(row.len() < columns, "{row}");
        // The beginning of the line, with hidden text marked on the other side.
        person.type_in([0x01]);
        person.settle();
        let row = person.rows().pop().expect("a row");
        assert!(
            row.starts_with("llm> llmctl budget \"Once") && row.ends_with('>'),
            "{row}"
        );
        assert_eq!(person.cursor().1, 5);
        // In the middle, marked on both sides.
        person.type_in("\x06".repeat(90));
        person.settle();
        let row = person.rows().pop().expect("a row");
        assert!(row.starts_with("llm> <") || columns > 100, "{row}");
        assert!(row.ends_with('>'), "{row}");
        person.type_in("\r");
        person.wait_for("error: ");
        person.wait_for_prompt();
        assert!(
            joined(&person.text()).contains(&format!("llm> {command}")),
            "{}",
            person.text()
        );
    });
}

#[test]
fn the_editor_follows_a_window_that_is_resized() {
    let mut person = Person::start(132, Term::Xterm);
    person.resize(40);
    person.ask("whoami");
    person.settle();
    person.type_in(LONG);
    person.settle();
    let row = person.rows().pop().expect("a row");
    assert!(row.starts_with("llm> <") && row.len() < 40, "{row}");
    person.type_in([0x03]);
    person.resize(132);
    person.wait_for_prompt();
    person.ask("whoami");
    person.settle();
    person.type_in(&LONG[..100]);
    person.settle();
    let row = person.rows().pop().expect("a row");
    assert_eq!(row, format!("llm> {}", LONG[..100].trim_end()));
    person.type_in([0x03]);
    person.wait_for_prompt();
    person.leave();
}

#[test]
fn a_paste_is_one_prompt_and_runs_nothing() {
    for columns in [40, 80, 132] {
        let mut person = Person::start(columns, Term::Xterm);
        assert!(person.screen().bracketed_paste());
        person.type_in("llminfer --raw --max-tokens 1 --temperature 0 \"");
        person.paste("One\nTwo\nexit\n");
        person.settle();
        let rows = person.rows();
        assert!(
            rows.last().is_some_and(
                |row| row.contains("One\u{21b5}Two\u{21b5}exit\u{21b5}") || columns == 40
            ),
            "{rows:#?}"
        );
        assert!(!person.text().contains("tokens/s"), "{rows:#?}");
        person.type_in("\"\r");
        person.wait_for("[1 token, ");
        person.wait_for_prompt();
        assert!(
            person.text().contains("\n... Two\n... exit\n... \"\n"),
            "{}",
            person.text()
        );
        // Pasted commands do not run, neither now nor with Enter.
        person.paste("exit\nexit\n");
        person.settle();
        person.type_in("\r");
        person.wait_for("you pasted several commands");
        person.wait_for_prompt();
        person.leave();
    }
}

#[test]
fn a_quote_that_is_open_goes_on_in_the_next_line() {
    everywhere(|person, _, _| {
        person.type_in("llminfer --raw --max-tokens 1 --temperature 0 \"One\r");
        person.settle();
        assert_eq!(person.rows().last().map(String::as_str), Some("..."));
        person.type_in("Two\"\r");
        person.wait_for("[1 token, ");
        person.wait_for_prompt();
        person.type_in("llminfer \"One\r");
        person.settle();
        person.type_in([0x03]);
        person.wait_for_prompt();
        assert!(person.text().ends_with("... ^C\nllm>"), "{}", person.text());
    });
}
