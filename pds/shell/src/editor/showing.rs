//! The line on a terminal.
//!
//! It may be longer than the terminal is wide, which the shell cannot know over a serial line: it shows a window of it in
//! one row of [`COLUMNS`]. The column is never counted across rows, so no terminal's way to wrap matters.

use super::Editor;
use super::units::{back_by, columns, units, width_of};
use core::fmt::{self, Write};

/// Columns of the narrowest usual terminal.
const COLUMNS: usize = 80;

impl Editor {
    /// The terminal's cursor stands behind a new prompt of `indent` columns; nothing of the line shows yet.
    pub(crate) const fn begin(&mut self, indent: usize) {
        self.indent = indent;
        (self.left, self.column) = (0, 0);
    }

    /// Shows the `typed` bytes that were put in last; all that they changed, if they do not end the line.
    pub(crate) fn draw_typed(&mut self, typed: usize, out: &mut impl Write) -> fmt::Result {
        let start = self.cursor.saturating_sub(typed);
        let text = self.bytes.get(start..self.cursor).unwrap_or(&[]);
        let column = self.column.saturating_add(columns(text));
        if self.cursor < self.bytes.len() || start < self.left || column >= self.width() {
            return self.draw(out);
        }
        self.column = column;
        units(text).try_for_each(|(_, shown)| out.write_char(shown))
    }

    /// Shows the line anew, from where the terminal's cursor stands.
    pub(crate) fn draw(&mut self, out: &mut impl Write) -> fmt::Result {
        if self.column > 0 {
            write!(out, "\x1b[{}D", self.column)?;
        }
        self.scroll();
        let mut drawn: usize = 0;
        for (_, shown) in units(self.bytes.get(self.left..).unwrap_or(&[])) {
            let after = drawn.saturating_add(width_of(shown));
            if after >= self.width() {
                break;
            }
            out.write_char(shown)?;
            drawn = after;
        }
        out.write_str("\x1b[K")?;
        self.column = columns(self.bytes.get(self.left..self.cursor).unwrap_or(&[]));
        let back = drawn.saturating_sub(self.column);
        if back > 0 {
            write!(out, "\x1b[{back}D")?;
        }
        Ok(())
    }

    const fn width(&self) -> usize {
        // Wide enough for a wide character, whatever the prompt.
        let width = COLUMNS.saturating_sub(self.indent);
        if width < 16 { 16 } else { width }
    }

    /// Moves the window so that the cursor is in it.
    fn scroll(&mut self) {
        let width = self.width();
        if self.cursor < self.left {
            self.left = back_by(self.before_cursor(), width / 4);
        }
        let shown = self.bytes.get(self.left..self.cursor).unwrap_or(&[]);
        // Not the whole line: a long one is typed in steps that each look at a window.
        if shown.len() >= width && columns(shown) >= width.saturating_sub(1) {
            self.left = back_by(self.before_cursor(), width.saturating_sub(width / 4));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    /// A terminal of one row: what it shows, and where its cursor is.
    #[derive(Default)]
    struct Row {
        cells: Vec<char>,
        cursor: usize,
        longest: usize,
        /// A control sequence that is not complete.
        sequence: String,
    }

    impl Row {
        fn put(&mut self, character: char) {
            // A wide character takes a second cell, which is empty.
            let width = width_of(character);
            for cell in core::iter::once(character).chain(['\0'; 2]).take(width) {
                self.cells
                    .resize(self.cells.len().max(self.cursor + 1), ' ');
                self.cells[self.cursor] = cell;
                self.cursor += 1;
            }
            self.longest = self.longest.max(self.cursor);
        }

        fn end_sequence(&mut self) {
            let sequence = core::mem::take(&mut self.sequence);
            let (number, last) = sequence[2..].split_at(sequence.len() - 3);
            match last {
                "D" => self.cursor -= number.parse::<usize>().unwrap(),
                "K" => self.cells.truncate(self.cursor),
                other => panic!("{other:?}"),
            }
        }
    }

    impl Write for Row {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for character in text.chars() {
                if self.sequence.is_empty() && character != '\x1b' {
                    self.put(character);
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

    fn shown(row: &Row) -> String {
        row.cells.iter().filter(|cell| **cell != '\0').collect()
    }

    #[test]
    fn a_terminal_shows_the_line_and_the_cursor() {
        let (mut editor, mut row) = (Editor::new(), Row::default());
        editor.begin(5);
        for text in ["猫", "a", "\u{9b}", "ÿ"] {
            editor.insert(text.as_bytes());
            editor.draw_typed(text.len(), &mut row).unwrap();
        }
        assert_eq!((shown(&row).as_str(), row.cursor), ("猫a\u{fffd}ÿ", 5));
        editor.home();
        editor.draw(&mut row).unwrap();
        editor.insert(b"xy");
        editor.draw_typed(2, &mut row).unwrap();
        assert_eq!((shown(&row).as_str(), row.cursor), ("xy猫a\u{fffd}ÿ", 2));
        editor.right();
        editor.backspace();
        editor.draw(&mut row).unwrap();
        assert_eq!((shown(&row).as_str(), row.cursor), ("xya\u{fffd}ÿ", 2));
    }

    #[test]
    fn a_window_of_a_long_line_follows_the_cursor() {
        let (mut editor, mut row) = (Editor::new(), Row::default());
        editor.begin(5);
        for i in 0..200u8 {
            editor.insert(&[b'a' + i % 26]);
            editor.draw_typed(1, &mut row).unwrap();
        }
        assert!(row.longest < 75, "one row: {}", row.longest);
        assert!(shown(&row).ends_with("opqr"), "{}", shown(&row));
        editor.home();
        editor.draw(&mut row).unwrap();
        assert!(shown(&row).starts_with("abcdef") && row.cursor == 0);
    }

    proptest! {
        #[test]
        fn what_shows_is_the_window_of_the_line_whatever_was_typed(
            steps in prop::collection::vec((0u8..14, "[ -~é猫\u{301}]{0,9}"), 0..60)
        ) {
            let (mut editor, mut row) = (Editor::new(), Row::default());
            editor.begin(60);
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
                    _ => editor.insert(text.as_bytes()),
                }
                if key > 10 {
                    editor.draw_typed(text.len(), &mut row).unwrap();
                } else {
                    editor.draw(&mut row).unwrap();
                }
                let window = &editor.bytes()[editor.left..];
                let before = columns(&editor.bytes()[editor.left..editor.cursor]);
                prop_assert_eq!(row.cursor, before);
                let line: String = units(window).map(|(_, c)| c).filter(|c| width_of(*c) > 0).collect();
                prop_assert!(line.starts_with(&shown(&row)), "{line:?} {:?}", shown(&row));
                prop_assert!(row.longest <= editor.width());
            }
        }
    }
}
