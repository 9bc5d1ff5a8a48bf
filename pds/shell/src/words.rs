//! Splits a line into words, resolving quotes and escapes.

use crate::MAX_LINE_BYTES;
use crate::command::CommandError;
use crate::quotes::{Piece, Reader};
use zeroize::Zeroize as _;

/// Most words of a line. A command with all of its options has fewer.
pub(crate) const MAX_WORDS: usize = 48;

/// A line split into words.
#[derive(Debug)]
pub(crate) struct Words {
    text: heapless::Vec<u8, MAX_LINE_BYTES>,
    /// Where each word ends in `text`.
    ends: heapless::Vec<usize, MAX_WORDS>,
}

impl Words {
    pub(crate) const fn new() -> Self {
        Self {
            text: heapless::Vec::new(),
            ends: heapless::Vec::new(),
        }
    }

    /// Splits `line`, by the rules of [`Reader`]. Line ends around the words are ignored, but after a word only a quote
    /// may continue on another line.
    pub(crate) fn split(&mut self, line: &[u8]) -> Result<(), CommandError<'static>> {
        self.wipe();
        let mut reader = Reader::new();
        let mut has_ended = false;
        for byte in line {
            let was_in_word = reader.is_in_word();
            match reader.read(*byte) {
                Piece::Sign => {}
                Piece::Text(byte) => self.push(byte),
                Piece::Backslash(byte) => {
                    self.push(b'\\');
                    self.push(byte);
                }
                Piece::Space => {
                    if was_in_word {
                        self.end_word()?;
                    }
                    has_ended |= *byte == b'\n' && !self.ends.is_empty();
                }
            }
            // A paste with several lines: it is unclear which of them was meant to run.
            if has_ended && reader.is_in_word() {
                return Err(CommandError::ManyLines);
            }
        }
        match reader.open_quote() {
            Some(quote) => Err(CommandError::Unterminated(char::from(quote))),
            None if reader.is_in_word() => self.end_word(),
            None => Ok(()),
        }
    }

    /// Takes the line as one word.
    pub(crate) fn take_whole(&mut self, line: &[u8]) {
        self.wipe();
        line.iter().for_each(|byte| self.push(*byte));
        // The first word fits.
        let _ = self.end_word();
    }

    /// Makes this a copy of `other`.
    pub(crate) fn copy(&mut self, other: &Self) {
        self.wipe();
        // Both have the same capacity.
        let _ = self.text.extend_from_slice(&other.text);
        let _ = self.ends.extend_from_slice(&other.ends);
    }

    /// Forgets the line and overwrites it, because a passphrase may have been typed in place of a command.
    pub(crate) fn wipe(&mut self) {
        self.text.as_mut_slice().zeroize();
        self.text.clear();
        self.ends.clear();
    }

    fn push(&mut self, byte: u8) {
        // It fits: the buffer is as long as a line, and the words are no longer than the line.
        let _ = self.text.push(byte);
    }

    fn end_word(&mut self) -> Result<(), CommandError<'static>> {
        self.ends
            .push(self.text.len())
            .map_err(|_| CommandError::TooManyWords)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().filter_map(move |&end| {
            let word = self.text.get(start..end);
            start = end;
            word
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    fn split(line: &str) -> Vec<String> {
        let mut words = Words::new();
        words.split(line.as_bytes()).unwrap();
        words
            .iter()
            .map(|word| String::from_utf8_lossy(word).to_string())
            .collect()
    }

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(
            split("  a  \"b c\" 'd \"e' f\"g\"h "),
            ["a", "b c", "d \"e", "fgh"]
        );
        assert_eq!(
            split(r#""a\"b\\c\nd\e" 'x\n' """#),
            ["a\"b\\c\nd\\e", "x\\n", ""]
        );
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("Höhle"), ["Höhle"]);
        assert_eq!(split("\n a 'b\nc'\n\n"), ["a", "b\nc"]);
        assert_eq!(split("a b#c '#d' # it's over"), ["a", "b#c", "#d"]);
        assert_eq!(split("# all of it"), [""; 0]);
        let mut words = Words::new();
        let error = words.split(b"# why\nwhoami # who\nexit");
        assert_eq!(error, Err(CommandError::ManyLines));
        let error = words.split(b"whoami\nexit");
        assert_eq!(error, Err(CommandError::ManyLines));
    }
}
