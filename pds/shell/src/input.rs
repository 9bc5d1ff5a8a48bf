//! Bytes of the console become lines.
//!
//! Input goes through two stages. What arrives is queued ([`TypeAhead`]) until the command before it
//! is done; when the queue is full, nothing more is read, and the UART or the pipe holds the sender
//! back, so no script is too long. Then a [`Line`] is edited together from it.

use protocol::limits::MAX_PROMPT_BYTES;

/// Longest line in bytes: the longest prompt with its command and options.
pub(crate) const MAX_LINE_BYTES: usize = MAX_PROMPT_BYTES + 512;

/// Bytes that are read before the command under way is done: two lines of the greatest length.
const TYPE_AHEAD_BYTES: usize = 2 * MAX_LINE_BYTES;

/// Ctrl-C.
pub(crate) const INTERRUPT: u8 = 0x03;
/// Ctrl-D, and what ends the input of a pipe.
pub(crate) const END_OF_INPUT: u8 = 0x04;

/// Input that waits for the command under way.
#[derive(Debug, Default)]
pub(crate) struct TypeAhead {
    bytes: heapless::Deque<u8, TYPE_AHEAD_BYTES>,
}

impl TypeAhead {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: heapless::Deque::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.is_full()
    }

    /// Queues a byte; a full queue drops it, so look first.
    pub(crate) fn push(&mut self, byte: u8) {
        let _ = self.bytes.push_back(byte);
    }

    pub(crate) fn pop(&mut self) -> Option<u8> {
        self.bytes.pop_front()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}

/// What a byte did to the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// Nothing that shows.
    None,
    /// The byte was added.
    Added(u8),
    /// So many columns at the end went.
    Erased(usize),
    /// The line is complete.
    Complete,
    /// The input is over.
    EndOfInput,
}

/// The line that is being typed.
#[derive(Debug)]
pub(crate) struct Line {
    bytes: heapless::Vec<u8, MAX_LINE_BYTES>,
    /// Bytes that found no room.
    lost: usize,
    after_return: bool,
    escape: Escape,
}

/// Where in an escape sequence of the terminal (an arrow key, say) the input is. There is no
/// cursor to move yet; the sequence must not end up in the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Escape {
    Outside,
    Begun,
    Sequence,
}

impl Line {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: heapless::Vec::new(),
            lost: 0,
            after_return: false,
            escape: Escape::Outside,
        }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Length that the line would have had, if it is too long.
    pub(crate) const fn too_long(&self) -> Option<usize> {
        if self.lost > 0 {
            Some(MAX_LINE_BYTES.saturating_add(self.lost))
        } else {
            None
        }
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.lost = 0;
    }

    pub(crate) fn push(&mut self, byte: u8) -> Edit {
        let after_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        match (self.escape, byte) {
            (_, b'\r' | b'\n' | END_OF_INPUT) => self.escape = Escape::Outside,
            (Escape::Outside, 0x1b) => {
                self.escape = Escape::Begun;
                return Edit::None;
            }
            (Escape::Begun, b'[' | b'O') => {
                self.escape = Escape::Sequence;
                return Edit::None;
            }
            (Escape::Begun, _) => {
                self.escape = Escape::Outside;
                return Edit::None;
            }
            (Escape::Sequence, _) => {
                if (0x40..=0x7e).contains(&byte) {
                    self.escape = Escape::Outside;
                }
                return Edit::None;
            }
            (Escape::Outside, _) => {}
        }
        match byte {
            // A terminal sends \r, a file \n, and some both.
            b'\n' if after_return => Edit::None,
            b'\r' | b'\n' => Edit::Complete,
            END_OF_INPUT => Edit::EndOfInput,
            0x08 | 0x7f => self.erase_character(),
            0x15 => {
                let columns = characters(&self.bytes);
                self.clear();
                Edit::Erased(columns)
            }
            0x17 => self.erase_word(),
            b'\t' | 0x20..=0x7e | 0x80..=0xff => {
                if self.bytes.push(byte).is_err() {
                    self.lost = self.lost.saturating_add(1);
                    return Edit::None;
                }
                Edit::Added(byte)
            }
            _ => Edit::None,
        }
    }

    /// The spaces at the end, and the word before them.
    fn erase_word(&mut self) -> Edit {
        let kept = |bytes: &[u8], space: bool| {
            let other = |byte: &u8| (*byte == b' ') != space;
            bytes
                .iter()
                .rposition(other)
                .map_or(0, |last| last.saturating_add(1))
        };
        let before_spaces = kept(&self.bytes, true);
        let word = kept(self.bytes.get(..before_spaces).unwrap_or(&[]), false);
        let columns = characters(self.bytes.get(word..).unwrap_or(&[]));
        self.bytes.truncate(word);
        self.lost = 0;
        if columns > 0 {
            Edit::Erased(columns)
        } else {
            Edit::None
        }
    }

    fn erase_character(&mut self) -> Edit {
        if self.lost > 0 {
            self.lost = self.lost.saturating_sub(1);
            return Edit::None;
        }
        while let Some(byte) = self.bytes.pop() {
            if is_first(byte) {
                return Edit::Erased(1);
            }
        }
        Edit::None
    }
}

/// Whether a byte begins a character of UTF-8.
const fn is_first(byte: u8) -> bool {
    byte & 0xC0 != 0x80
}

fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| is_first(**byte)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn type_in(bytes: &[u8]) -> (Line, Vec<Edit>) {
        let mut line = Line::new();
        let edits = bytes.iter().map(|byte| line.push(*byte)).collect();
        (line, edits)
    }

    #[test]
    fn lines_end_with_either_or_both_ends_of_line() {
        let ends = |bytes: &[u8]| {
            type_in(bytes)
                .1
                .into_iter()
                .filter(|edit| *edit == Edit::Complete)
                .count()
        };
        assert_eq!(
            (ends(b"a\r"), ends(b"a\n"), ends(b"a\r\n"), ends(b"a\n\n")),
            (1, 1, 1, 2)
        );
    }

    #[test]
    fn erasing_takes_whole_characters() {
        let (line, edits) = type_in("aé\u{7f}".as_bytes());
        assert_eq!(
            (line.bytes(), edits.last()),
            (&b"a"[..], Some(&Edit::Erased(1)))
        );
        let (line, edits) = type_in("aé\u{15}".as_bytes());
        assert_eq!(
            (line.bytes(), edits.last()),
            (&b""[..], Some(&Edit::Erased(2)))
        );
        assert_eq!(type_in(b"\x7f").1, [Edit::None]);
        for (typed, left, columns) in [
            ("a é  \u{17}", "a ", 3),
            ("aé\u{17}", "", 2),
            ("a b\u{17}\u{17}", "", 2),
        ] {
            let (line, edits) = type_in(typed.as_bytes());
            assert_eq!(line.bytes(), left.as_bytes());
            assert_eq!(edits.last(), Some(&Edit::Erased(columns)));
        }
        assert_eq!(type_in(b"\x17").1, [Edit::None]);
    }

    #[test]
    fn keys_of_the_terminal_do_not_end_up_in_the_line() {
        assert_eq!(
            type_in(b"a\x1b[Ab\x1bOPc\x1b[1;5Cd\x01\x07").0.bytes(),
            b"abcd"
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_counted_to_its_end() {
        let mut long = Vec::from([b'x'; MAX_LINE_BYTES + 3]);
        long.push(b'\r');
        let (line, edits) = type_in(&long);
        assert_eq!(line.too_long(), Some(MAX_LINE_BYTES + 3));
        assert_eq!(edits.last(), Some(&Edit::Complete));
    }

    #[test]
    fn the_end_of_input_leaves_the_line_that_is_not_ended() {
        let (line, edits) = type_in(b"a\x04");
        assert_eq!(
            (line.bytes(), edits.last()),
            (&b"a"[..], Some(&Edit::EndOfInput))
        );
    }
}
