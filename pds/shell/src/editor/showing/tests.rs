use super::*;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

/// A terminal: its contents and its cursor. Writing into the last column fails the test.
struct Terminal {
    rows: Vec<Vec<char>>,
    columns: usize,
    cursor: usize,
    has_sequences: bool,
    /// An incomplete control sequence.
    sequence: String,
}

impl Terminal {
    fn new(row: Row) -> Self {
        Self {
            rows: std::vec![std::vec!['.'; row.indent]],
            columns: row.columns,
            cursor: row.indent,
            has_sequences: row.has_sequences,
            sequence: String::new(),
        }
    }

    fn row(&mut self) -> &mut Vec<char> {
        self.rows.last_mut().unwrap()
    }

    fn put(&mut self, character: char) {
        // A wide character takes a second cell, which is empty.
        let width = width_of(character);
        for cell in core::iter::once(character).chain(['\0'; 2]).take(width) {
            let cursor = self.cursor;
            let row = self.row();
            row.resize(row.len().max(cursor + 1), ' ');
            row[cursor] = cell;
            self.cursor += 1;
        }
        assert!(self.cursor < self.columns, "a row is full");
    }

    fn end_sequence(&mut self) {
        assert!(self.has_sequences, "it has none");
        let sequence = core::mem::take(&mut self.sequence);
        let (number, last) = sequence[2..].split_at(sequence.len() - 3);
        let cursor = self.cursor;
        match last {
            "D" => self.cursor -= number.parse::<usize>().unwrap(),
            "K" => self.row().truncate(cursor),
            other => panic!("{other:?}"),
        }
    }

    /// The last row after the prompt.
    fn shown(&self, indent: usize) -> String {
        let row = self.rows.last().unwrap().iter().skip(indent);
        let shown: String = row.filter(|cell| **cell != '\0').collect();
        shown.trim_end().into()
    }
}

impl Write for Terminal {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            if self.sequence.is_empty() && character != '\x1b' {
                match character {
                    '\x08' => self.cursor -= 1,
                    '\n' => {
                        self.rows.push(Vec::new());
                        self.cursor = 0;
                    }
                    _ => self.put(character),
                }
                continue;
            }
            self.sequence.push(character);
            if character.is_ascii_alphabetic() {
                self.end_sequence();
            }
        }
        Ok(())
    }
}

fn row(columns: usize) -> Row {
    Row {
        columns,
        indent: 5,
        has_sequences: true,
    }
}

fn new(columns: usize) -> (Editor, Terminal) {
    let mut editor = Editor::new();
    editor.begin(row(columns));
    (editor, Terminal::new(row(columns)))
}

#[test]
fn a_terminal_shows_the_line_and_the_cursor() {
    let (mut editor, mut terminal) = new(80);
    for text in ["猫", "a", "\u{9b}", "ÿ"] {
        editor.insert(text.as_bytes());
        editor.draw_typed(text.len(), &mut terminal).unwrap();
    }
    assert_eq!(
        (terminal.shown(5).as_str(), terminal.cursor),
        ("猫a\u{fffd}ÿ", 10)
    );
    editor.home();
    editor.draw(&mut terminal).unwrap();
    editor.insert(b"xy");
    editor.draw_typed(2, &mut terminal).unwrap();
    assert_eq!(
        (terminal.shown(5).as_str(), terminal.cursor),
        ("xy猫a\u{fffd}ÿ", 7)
    );
    editor.right();
    editor.backspace();
    editor.draw(&mut terminal).unwrap();
    assert_eq!(
        (terminal.shown(5).as_str(), terminal.cursor),
        ("xya\u{fffd}ÿ", 7)
    );
}

#[test]
fn hidden_text_is_marked_and_the_whole_line_is_left_behind() {
    let (mut editor, mut terminal) = new(40);
    let line: String = ('a'..='z').cycle().take(100).collect();
    for character in line.bytes() {
        editor.insert(&[character]);
        editor.draw_typed(1, &mut terminal).unwrap();
    }
    let shown = terminal.shown(5);
    assert!(shown.starts_with('<') && shown.ends_with("stuv"), "{shown}");
    editor.home();
    editor.draw(&mut terminal).unwrap();
    let shown = terminal.shown(5);
    assert!(
        shown.starts_with("abcdef") && shown.ends_with('>'),
        "{shown}"
    );
    assert_eq!(terminal.cursor, 5);
    for _ in 0..50 {
        editor.right();
        editor.draw(&mut terminal).unwrap();
    }
    let shown = terminal.shown(5);
    assert!(shown.starts_with('<') && shown.ends_with('>'), "{shown}");
    editor.leave("... ", &mut terminal).unwrap();
    let all: String = terminal.rows.concat().into_iter().collect();
    assert_eq!(all, std::format!(".....{line}"));
    assert_eq!(terminal.rows.len(), 3);
}

#[test]
fn ends_of_lines_show_as_marks_and_are_left_as_rows() {
    let (mut editor, mut terminal) = new(80);
    for text in ["say \"one", "\n", "two\""] {
        editor.insert(text.as_bytes());
        editor.draw_typed(text.len(), &mut terminal).unwrap();
    }
    assert_eq!(terminal.shown(5), "say \"one\u{21b5}two\"");
    editor.leave("... ", &mut terminal).unwrap();
    let rows: Vec<String> = terminal
        .rows
        .iter()
        .map(|row| row.iter().collect())
        .collect();
    assert_eq!(rows, [".....say \"one", "... two\""]);
}

#[test]
fn what_stands_on_rows_above_is_not_edited() {
    let (mut editor, _) = new(80);
    editor.insert(b"say \"one");
    editor.go_on();
    editor.begin(row(80));
    editor.insert(b"two");
    for key in [
        Editor::kill_to_start,
        Editor::backspace,
        Editor::left,
        Editor::kill_word,
    ] {
        key(&mut editor);
        assert_eq!(editor.bytes(), b"say \"one\n");
    }
    editor.word_left();
    editor.home();
    editor.insert(b"x");
    assert_eq!(editor.bytes(), b"say \"one\nx");
    editor.clear();
    assert!(!editor.is_continued());
}

proptest! {
    #[test]
    fn what_shows_is_the_window_of_the_line_whatever_was_typed(
        columns in 20usize..=200,
        indent in 0usize..=10,
        has_sequences: bool,
        steps in prop::collection::vec((0u8..16, "[ -~é猫\u{301}]{0,9}"), 0..60)
    ) {
        let row = Row { columns, indent, has_sequences };
        let (mut editor, mut terminal) = (Editor::new(), Terminal::new(row));
        editor.begin(row);
        for (key, text) in steps {
            match key {
                0 => editor.left(),
                1 => editor.right(),
                2 => editor.home(),
                3 => editor.end(),
                4 => editor.backspace(),
                5 => editor.delete(),
                6 => editor.word_left(),
                7 => editor.word_right(),
                8 => editor.kill_word(),
                9 => editor.kill_to_end(),
                10 => editor.insert(b"\xff"),
                11 => editor.insert(b"\n"),
                _ => editor.insert(text.as_bytes()),
            }
            if key > 11 {
                editor.draw_typed(text.len(), &mut terminal).unwrap();
            } else {
                editor.draw(&mut terminal).unwrap();
            }
            prop_assert_eq!(terminal.rows.len(), 1);
            let lead = usize::from(editor.window.left > 0);
            let before = super::columns(&editor.bytes()[editor.window.left..editor.cursor]);
            prop_assert_eq!(terminal.cursor, indent + before + lead);
            let shown = terminal.shown(indent);
            let text = |bytes: &[u8]| -> String {
                let shown = units(bytes).map(|(_, c)| c).filter(|c| width_of(*c) > 0);
                shown.collect()
            };
            let window = text(&editor.bytes()[editor.window.left..]);
            if lead > 0 {
                prop_assert!(shown.starts_with(MORE_LEFT), "{shown}");
            }
            let inner = &shown[lead..];
            if editor.window.has_more {
                let inner = inner.strip_suffix(MORE_RIGHT).unwrap();
                prop_assert!(window.starts_with(inner.trim_end()), "{window:?} {inner:?}");
            } else {
                prop_assert_eq!(window.trim_end(), inner);
            }
        }
        editor.leave("... ", &mut terminal).unwrap();
        // A row of a dumb terminal is cleared by writing spaces.
        let is_shown = |c: &char| !matches!(c, '\0' | ' ');
        let all: String = terminal.rows.concat().into_iter().filter(is_shown).collect();
        let line: String = units(editor.bytes())
            .map(|(_, c)| c)
            .filter(|c| width_of(*c) > 0)
            .flat_map(|c| if c == super::super::units::LINE_BREAK { "... ".chars().collect() } else { std::vec![c] })
            .collect();
        let line: String = line.chars().filter(is_shown).collect();
        prop_assert_eq!(all, std::format!("{}{line}", ".".repeat(indent)));
    }
}
