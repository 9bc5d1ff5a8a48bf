//! The line being typed, and what keys do to it.
//!
//! A line can contain line breaks: those of a paste, and those inside an open quote. Anything before the last of the
//! latter is on rows above, and can no longer be edited.
//!
//! Why not a crate: `noline` has no completion, and cannot stop in the middle of a line for an answer of another
//! domain, because it reads from a blocking or async port. `embedded-cli` knows neither Home, End nor the control keys,
//! and completes only words that were fixed at build time.

use crate::MAX_LINE_BYTES;
pub(crate) use showing::Row;
use showing::Window;
use units::{first_unit, last_unit, word_start};
use zeroize::Zeroize as _;

mod showing;
mod units;

/// The line, its cursor and its window.
#[derive(Debug)]
pub(crate) struct Editor {
    bytes: heapless::Vec<u8, MAX_LINE_BYTES>,
    /// Offset of the cursor in bytes.
    cursor: usize,
    /// Bytes that did not fit.
    lost: usize,
    /// Bytes that are on rows above.
    entered: usize,
    window: Window,
}

impl Editor {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: heapless::Vec::new(),
            cursor: 0,
            lost: 0,
            entered: 0,
            window: Window::new(),
        }
    }

    /// Whether the line has rows above.
    pub(crate) const fn is_continued(&self) -> bool {
        self.entered > 0
    }

    /// Ends the current row of a line that continues.
    pub(crate) fn go_on(&mut self) {
        self.end();
        self.insert(b"\n");
        self.entered = self.bytes.len();
        self.window.left = self.entered;
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn before_cursor(&self) -> &[u8] {
        self.bytes.get(..self.cursor).unwrap_or(&[])
    }

    /// The editable text before the cursor.
    fn editable(&self) -> &[u8] {
        self.bytes.get(self.entered..self.cursor).unwrap_or(&[])
    }

    fn after_cursor(&self) -> &[u8] {
        self.bytes.get(self.cursor..).unwrap_or(&[])
    }

    /// The length that the line would have had, if it is too long.
    pub(crate) const fn too_long(&self) -> Option<usize> {
        if self.lost > 0 {
            Some(MAX_LINE_BYTES.saturating_add(self.lost))
        } else {
            None
        }
    }

    /// Whether the line can have another row.
    pub(crate) fn has_room(&self) -> bool {
        self.lost == 0 && !self.bytes.is_full()
    }

    /// Empties the line.
    pub(crate) fn clear(&mut self) {
        self.truncate(0);
        (self.cursor, self.lost, self.entered) = (0, 0, 0);
        self.window.left = 0;
    }

    /// Replaces the line, with the cursor at its end.
    pub(crate) fn set(&mut self, line: &[u8]) {
        self.truncate(0);
        let _ = self.bytes.extend_from_slice(line);
        (self.cursor, self.lost) = (self.bytes.len(), 0);
    }

    // ---- Keys -------------------------------------------------------------------------------------

    /// Inserts `text` at the cursor.
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
        self.cursor = self.cursor.saturating_sub(last_unit(self.editable()));
    }

    pub(crate) fn right(&mut self) {
        let (len, _) = first_unit(self.after_cursor()).unwrap_or((0, ' '));
        self.cursor = self.cursor.saturating_add(len);
    }

    pub(crate) const fn home(&mut self) {
        self.cursor = self.entered;
    }

    pub(crate) fn end(&mut self) {
        self.cursor = self.bytes.len();
    }

    pub(crate) fn word_left(&mut self) {
        self.cursor = self.start_of_word();
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
        self.remove_to(self.cursor.saturating_sub(last_unit(self.editable())));
    }

    pub(crate) fn delete(&mut self) {
        let end = self.cursor;
        self.right();
        self.remove_to(end);
    }

    pub(crate) fn kill_to_start(&mut self) {
        self.remove_to(self.entered);
    }

    pub(crate) fn kill_to_end(&mut self) {
        self.truncate(self.cursor);
        self.lost = 0;
    }

    /// Deletes the spaces before the cursor, and the word before them.
    pub(crate) fn kill_word(&mut self) {
        self.remove_to(self.start_of_word());
    }

    fn start_of_word(&self) -> usize {
        self.entered.saturating_add(word_start(self.editable()))
    }

    /// Deletes the text from `start` to the cursor.
    fn remove_to(&mut self, start: usize) {
        let removed = self.cursor.saturating_sub(start);
        if let Some(rest) = self.bytes.get_mut(start..) {
            rest.rotate_left(removed.min(rest.len()));
        }
        self.truncate(self.bytes.len().saturating_sub(removed));
        self.cursor = start;
        self.lost = 0;
    }

    /// Shortens the line, and overwrites the deleted bytes: they may have been part of a passphrase.
    fn truncate(&mut self, len: usize) {
        if let Some(rest) = self.bytes.get_mut(len..) {
            rest.zeroize();
        }
        self.bytes.truncate(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;
    use std::vec;

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
}
