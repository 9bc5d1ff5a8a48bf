//! Drawing the line on a terminal.
//!
//! The line may be wider than the terminal. While it is typed, one row shows a window of it, with a mark if more is
//! hidden ([`MORE_LEFT`], [`MORE_RIGHT`]). When it is run, all of it is written, in as many rows as needed, so it can
//! be read afterwards. No row reaches the last column, because terminals differ in what a character there does.

use super::Editor;
use super::units::{back_by, columns, first_unit, units, width_of};
use core::fmt::{self, Write};

/// Mark for hidden text to the left.
const MORE_LEFT: char = '<';
/// Mark for hidden text to the right.
const MORE_RIGHT: char = '>';

/// Fewest columns of a window: two marks, a wide character and the cursor.
const FEWEST: usize = 6;

/// The place for the line on the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Columns of the terminal.
    pub(crate) columns: usize,
    /// Columns of the prompt.
    pub(crate) indent: usize,
    /// Whether the terminal understands control sequences. Otherwise it has only a backspace.
    pub(crate) has_sequences: bool,
}

/// The visible part of the line.
#[derive(Debug)]
pub(super) struct Window {
    /// As in [`Row`]. A copied `Row` would bring padding bytes along, and the tests search the shell's memory for
    /// traces of passphrases.
    columns: usize,
    indent: usize,
    has_sequences: bool,
    /// First visible byte.
    pub(super) left: usize,
    /// Columns from the start of the window to the terminal's cursor.
    column: usize,
    /// Columns that show something.
    drawn: usize,
    /// Text is hidden to the right.
    has_more: bool,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self {
            columns: 0,
            indent: 0,
            has_sequences: false,
            left: 0,
            column: 0,
            drawn: 0,
            has_more: false,
        }
    }

    const fn width(&self) -> usize {
        let width = self.columns.saturating_sub(self.indent).saturating_sub(1);
        if width < FEWEST { FEWEST } else { width }
    }

    /// Moves the terminal's cursor back.
    fn back(&self, columns: usize, out: &mut impl Write) -> fmt::Result {
        match columns {
            0 => Ok(()),
            _ if self.has_sequences => write!(out, "\x1b[{columns}D"),
            _ => (0..columns).try_for_each(|_| out.write_char('\x08')),
        }
    }

    /// Clears the window from the terminal's cursor, at `column`, to its end.
    fn erase_from(&self, column: usize, out: &mut impl Write) -> fmt::Result {
        if self.has_sequences {
            return out.write_str("\x1b[K");
        }
        let stale = self.drawn.saturating_sub(column);
        (0..stale).try_for_each(|_| out.write_char(' '))?;
        self.back(stale, out)
    }
}

impl Editor {
    /// The terminal's cursor is after a new prompt, and nothing of the line shows yet.
    pub(crate) const fn begin(&mut self, row: Row) {
        let window = &mut self.window;
        (window.columns, window.indent) = (row.columns, row.indent);
        window.has_sequences = row.has_sequences;
        window.left = self.entered;
        (window.column, window.drawn) = (0, 0);
        window.has_more = false;
    }

    /// Columns for text in a window that begins at `left`: the last one is for the cursor or a mark.
    const fn room(&self, left: usize) -> usize {
        let lead = if left > self.entered { 2 } else { 1 };
        self.window.width().saturating_sub(lead)
    }

    /// Draws the last `typed` bytes after they were inserted, and the rest of the line if they are not at its end.
    pub(crate) fn draw_typed(&mut self, typed: usize, out: &mut impl Write) -> fmt::Result {
        let start = self.cursor.saturating_sub(typed);
        let text = self.bytes.get(start..self.cursor).unwrap_or(&[]);
        let column = self.window.column.saturating_add(columns(text));
        let is_hidden = start < self.window.left || column >= self.window.width();
        if self.cursor < self.bytes.len() || is_hidden || self.window.has_more {
            return self.draw(out);
        }
        (self.window.column, self.window.drawn) = (column, column);
        units(text).try_for_each(|(_, shown)| out.write_char(shown))
    }

    /// Draws the line again, from the terminal's cursor.
    pub(crate) fn draw(&mut self, out: &mut impl Write) -> fmt::Result {
        self.window.back(self.window.column, out)?;
        self.scroll();
        let left = self.window.left;
        let (mut drawn, room) = (0, self.room(left));
        let lead = usize::from(left > self.entered);
        if lead > 0 {
            out.write_char(MORE_LEFT)?;
        }
        self.window.has_more = false;
        for (_, shown) in units(self.bytes.get(left..).unwrap_or(&[])) {
            let after = width_of(shown).saturating_add(drawn);
            if after > room {
                self.window.has_more = true;
                break;
            }
            out.write_char(shown)?;
            drawn = after;
        }
        drawn = drawn.saturating_add(lead);
        if self.window.has_more {
            out.write_char(MORE_RIGHT)?;
            drawn = drawn.saturating_add(1);
        }
        self.window.erase_from(drawn, out)?;
        self.window.drawn = drawn;
        let before = columns(self.bytes.get(left..self.cursor).unwrap_or(&[]));
        self.window.column = before.saturating_add(lead);
        self.window
            .back(drawn.saturating_sub(self.window.column), out)
    }

    /// Moves the window so that it contains the cursor.
    fn scroll(&mut self) {
        let (start, whole) = (self.entered, self.room(self.entered));
        let line = self.bytes.get(start..).unwrap_or(&[]);
        // This avoids measuring a whole long line at each key: a character has at most four bytes.
        if line.len() <= whole.saturating_mul(4) && columns(line) <= whole {
            self.window.left = start;
            return;
        }
        let left = self.window.left;
        let at_cursor = first_unit(self.after_cursor()).map_or(0, |(_, shown)| width_of(shown));
        let shown = self.bytes.get(left..self.cursor).unwrap_or(&[]);
        let is_left_of_it = self.cursor < left || (self.cursor == left && left > start);
        let room = self.room(left);
        let is_right_of_it = || {
            shown.len().saturating_add(at_cursor) > room
                && columns(shown).saturating_add(at_cursor) > room
        };
        let before = self.editable();
        if is_left_of_it {
            self.window.left = start.saturating_add(back_by(before, room / 4));
        } else if is_right_of_it() {
            // Includes the columns for the character under the cursor.
            let columns = room.saturating_sub(room / 4).saturating_sub(2);
            self.window.left = start.saturating_add(back_by(before, columns));
        }
    }

    /// Leaves the whole line on the terminal, with the cursor after it. `go_on` is shown at the start of each row after
    /// a line break.
    pub(crate) fn leave(&mut self, go_on: &str, out: &mut impl Write) -> fmt::Result {
        let line = self.bytes.get(self.entered..).unwrap_or(&[]);
        let is_whole =
            self.window.left == self.entered && !self.window.has_more && !line.contains(&b'\n');
        if is_whole {
            let is_at_end = self.cursor == self.bytes.len();
            self.cursor = self.bytes.len();
            return if is_at_end { Ok(()) } else { self.draw(out) };
        }
        self.window.back(self.window.column, out)?;
        self.window.erase_from(0, out)?;
        let last = self.window.columns.saturating_sub(1);
        let mut column = self.window.indent;
        for (_, shown) in units(line) {
            if shown == super::units::LINE_BREAK {
                write!(out, "\n{go_on}")?;
                column = go_on.len();
                continue;
            }
            let after = column.saturating_add(width_of(shown));
            if after > last {
                out.write_char('\n')?;
                column = width_of(shown);
            } else {
                column = after;
            }
            out.write_char(shown)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
}
