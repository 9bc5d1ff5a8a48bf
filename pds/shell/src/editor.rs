//! The line that is being typed, and how it shows on a terminal.
//!
//! Why not a crate: `noline` has neither completion nor a way to stop in the middle of a line for an answer of another
//! domain (it reads from a blocking or async port), and `embedded-cli` knows neither Home, End nor the control keys,
//! and completes only words that were fixed at build time.
//!
//! The line may be longer than the terminal is wide, which the shell cannot know over a serial line: it shows a window
//! of it in one row of [`COLUMNS`]. The column is never counted across rows, so no terminal's way to wrap matters.

use crate::MAX_LINE_BYTES;
use core::fmt::{self, Write};
use safe_text::is_safe;
use unicode_width::UnicodeWidthChar as _;
use zeroize::Zeroize as _;

/// Columns of the narrowest usual terminal.
const COLUMNS: usize = 80;

/// The line, its cursor and its window.
#[derive(Debug)]
pub(crate) struct Editor {
    bytes: heapless::Vec<u8, MAX_LINE_BYTES>,
    /// Byte before which the next one goes.
    cursor: usize,
    /// Bytes that found no room.
    lost: usize,
    /// First byte that shows.
    left: usize,
    /// Columns from there to the cursor, as the terminal has it.
    column: usize,
    /// Columns that the prompt takes.
    indent: usize,
}

impl Editor {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: heapless::Vec::new(),
            cursor: 0,
            lost: 0,
            left: 0,
            column: 0,
            indent: 0,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn before_cursor(&self) -> &[u8] {
        self.bytes.get(..self.cursor).unwrap_or(&[])
    }

    fn after_cursor(&self) -> &[u8] {
        self.bytes.get(self.cursor..).unwrap_or(&[])
    }

    /// Length that the line would have had, if it is too long.
    pub(crate) const fn too_long(&self) -> Option<usize> {
        if self.lost > 0 {
            Some(MAX_LINE_BYTES.saturating_add(self.lost))
        } else {
            None
        }
    }

    /// Empties the line.
    pub(crate) fn clear(&mut self) {
        self.truncate(0);
        (self.cursor, self.lost, self.left, self.column) = (0, 0, 0, 0);
    }

    /// Puts `line` in place of the line, the cursor at its end.
    pub(crate) fn set(&mut self, line: &[u8]) {
        self.truncate(0);
        let _ = self.bytes.extend_from_slice(line);
        (self.cursor, self.lost) = (self.bytes.len(), 0);
    }

    // ---- Keys -------------------------------------------------------------------------------------

    /// Puts `text` before the cursor.
    pub(crate) fn insert(&mut self, text: &[u8]) {
        if self.bytes.extend_from_slice(text).is_err() {
            self.lost = self.lost.saturating_add(text.len());
            return;
        }
        if let Some(rest) = self.bytes.get_mut(self.cursor..) {
            rest.rotate_right(text.len().min(rest.len()));
        }
        self.cursor = self.cursor.saturating_add(text.len());
    }

    pub(crate) fn left(&mut self) {
        self.cursor = self.cursor.saturating_sub(last_unit(self.before_cursor()));
    }

    pub(crate) fn right(&mut self) {
        let (len, _) = first_unit(self.after_cursor()).unwrap_or((0, ' '));
        self.cursor = self.cursor.saturating_add(len);
    }

    pub(crate) const fn home(&mut self) {
        self.cursor = 0;
    }

    pub(crate) fn end(&mut self) {
        self.cursor = self.bytes.len();
    }

    pub(crate) fn word_left(&mut self) {
        self.cursor = word_start(self.before_cursor());
    }

    pub(crate) fn word_right(&mut self) {
        let after = self.after_cursor();
        let spaces = after.iter().take_while(|byte| **byte == b' ').count();
        let word = after
            .iter()
            .skip(spaces)
            .take_while(|byte| **byte != b' ')
            .count();
        self.cursor = self.cursor.saturating_add(spaces).saturating_add(word);
    }

    pub(crate) fn backspace(&mut self) {
        if self.lost > 0 {
            self.lost = self.lost.saturating_sub(1);
            return;
        }
        self.remove_to(self.cursor.saturating_sub(last_unit(self.before_cursor())));
    }

    pub(crate) fn delete(&mut self) {
        let end = self.cursor;
        self.right();
        self.remove_to(end);
    }

    pub(crate) fn kill_to_start(&mut self) {
        self.remove_to(0);
    }

    pub(crate) fn kill_to_end(&mut self) {
        self.truncate(self.cursor);
        self.lost = 0;
    }

    /// The spaces before the cursor, and the word before them.
    pub(crate) fn kill_word(&mut self) {
        self.remove_to(word_start(self.before_cursor()));
    }

    /// Removes what lies between `start` and the cursor.
    fn remove_to(&mut self, start: usize) {
        let removed = self.cursor.saturating_sub(start);
        if let Some(rest) = self.bytes.get_mut(start..) {
            rest.rotate_left(removed.min(rest.len()));
        }
        self.truncate(self.bytes.len().saturating_sub(removed));
        self.cursor = start;
        self.lost = 0;
    }

    /// Shortens the line. What goes is overwritten: it may have been of a passphrase.
    fn truncate(&mut self, len: usize) {
        if let Some(rest) = self.bytes.get_mut(len..) {
            rest.zeroize();
        }
        self.bytes.truncate(len);
    }

    // ---- Showing ----------------------------------------------------------------------------------

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

/// Where the word that ends `before` begins, spaces after it included.
fn word_start(before: &[u8]) -> usize {
    let kept = |bytes: &[u8], space: bool| {
        let other = |byte: &u8| (*byte == b' ') != space;
        bytes
            .iter()
            .rposition(other)
            .map_or(0, |last| last.saturating_add(1))
    };
    let before_spaces = kept(before, true);
    kept(before.get(..before_spaces).unwrap_or(&[]), false)
}

/// Where the text that takes `columns` at the end of `bytes` begins.
fn back_by(bytes: &[u8], mut columns: usize) -> usize {
    let mut start = bytes.len();
    loop {
        let before = bytes.get(..start).unwrap_or(&[]);
        let len = last_unit(before);
        let unit = before.get(start.saturating_sub(len)..).unwrap_or(&[]);
        let width = self::columns(unit);
        if len == 0 || width > columns {
            return start;
        }
        columns = columns.saturating_sub(width);
        start = start.saturating_sub(len);
    }
}

/// Length of the last character, or 1 for a byte that belongs to none.
fn last_unit(bytes: &[u8]) -> usize {
    let is_character = |len: &usize| {
        let start = bytes.len().checked_sub(*len);
        let tail = start.and_then(|start| bytes.get(start..));
        tail.is_some_and(|tail| core::str::from_utf8(tail).is_ok())
    };
    (1..=4)
        .find(is_character)
        .unwrap_or(usize::from(!bytes.is_empty()))
}

/// Length of the first character, or 1 for a byte that belongs to none, and what shows for it.
fn first_unit(bytes: &[u8]) -> Option<(usize, char)> {
    let character = |len: usize| {
        let text = core::str::from_utf8(bytes.get(..len)?).ok()?;
        Some((len, text.chars().next()?))
    };
    let (len, character) = match (1..=4).find_map(character) {
        Some(found) => found,
        None => bytes.first().map(|_| (1, char::REPLACEMENT_CHARACTER))?,
    };
    let shown = match character {
        '\t' => ' ',
        _ if is_safe(character) => character,
        _ => char::REPLACEMENT_CHARACTER,
    };
    Some((len, shown))
}

fn units(mut bytes: &[u8]) -> impl Iterator<Item = (usize, char)> {
    core::iter::from_fn(move || {
        let unit = first_unit(bytes)?;
        bytes = bytes.get(unit.0..)?;
        Some(unit)
    })
}

fn width_of(character: char) -> usize {
    character.width().unwrap_or(1)
}

fn columns(bytes: &[u8]) -> usize {
    units(bytes).fold(0, |sum: usize, (_, shown)| {
        sum.saturating_add(width_of(shown))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    type Key = fn(&mut Editor);

    fn edited(text: &str, keys: &[Key]) -> (String, usize) {
        let mut editor = Editor::new();
        editor.insert(text.as_bytes());
        for key in keys {
            key(&mut editor);
        }
        (
            String::from_utf8_lossy(editor.bytes()).into_owned(),
            editor.before_cursor().len(),
        )
    }

    #[test]
    fn keys_move_and_remove_whole_characters() {
        let left: Key = Editor::left;
        for (text, keys, line, cursor) in [
            ("aé猫", vec![Editor::backspace as Key], "aé", 3),
            ("aé猫", vec![left, left, Editor::backspace], "é猫", 0),
            ("aé猫", vec![left, left, Editor::delete], "a猫", 1),
            ("aé", vec![Editor::delete], "aé", 3),
            (
                "ab",
                vec![Editor::home, Editor::right, Editor::kill_to_end],
                "a",
                1,
            ),
            ("aé b", vec![left, Editor::kill_to_start], "b", 0),
            ("a é  ", vec![Editor::kill_word], "a ", 2),
            ("a b", vec![Editor::kill_word, Editor::kill_word], "", 0),
            (
                "ab cd",
                vec![Editor::word_left, Editor::kill_to_end],
                "ab ",
                3,
            ),
            (
                "ab cd",
                vec![Editor::home, Editor::word_right, Editor::kill_to_start],
                " cd",
                0,
            ),
            (
                "",
                vec![Editor::backspace, left, Editor::right, Editor::kill_word],
                "",
                0,
            ),
        ] {
            assert_eq!(edited(text, &keys), (line.into(), cursor), "{text}");
        }
    }

    #[test]
    fn text_goes_in_where_the_cursor_is() {
        let mut editor = Editor::new();
        editor.insert(b"ad");
        editor.left();
        editor.insert("é".as_bytes());
        editor.insert(b"c");
        assert_eq!(editor.bytes(), "aécd".as_bytes());
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_to_its_end() {
        let mut editor = Editor::new();
        for _ in 0..MAX_LINE_BYTES + 3 {
            editor.insert(b"x");
        }
        assert_eq!(editor.too_long(), Some(MAX_LINE_BYTES + 3));
        editor.backspace();
        assert_eq!(editor.too_long(), Some(MAX_LINE_BYTES + 2));
        editor.kill_word();
        assert_eq!((editor.too_long(), editor.bytes().len()), (None, 0));
    }

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
