//! The console as something to write to: line ends, colour, rows.

use core::fmt::{self, Display, Formatter, Write};
use unicode_width::UnicodeWidthChar as _;

/// The console as the shell's code sees it. [`crate::transmit`] puts a queue before the runtime's console, so a write
/// takes all bytes and never waits.
pub(crate) trait Port {
    /// Tells audit to look at its ring.
    fn notify_audit(&mut self);
    /// Writes to the console.
    fn write(&mut self, bytes: &[u8]);
    /// Whether so little is waiting to be written that more may be said. Anything longer than a line waits for this.
    fn has_room(&mut self) -> bool;
    /// Drops everything that has not been written. Returns whether there was anything.
    fn drop_unwritten(&mut self) -> bool;
    /// The next byte of the console, if there is one. The end of the input is byte 0x04.
    fn read(&mut self) -> Option<u8>;
    /// Everything typed before an end of the input (0x04) has been done, and so has the end of a conversation or login
    /// that follows from it. A runtime whose input is over for good can end now. On a terminal it was Ctrl-D, and the
    /// user may type on.
    fn input_done(&mut self);
    /// Ends the system, once the output is written. Audit has allowed it.
    fn halt(&mut self);
}

/// The kind of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A terminal in raw mode: the shell echoes, prompts, edits lines, and ends lines with `\r
    /// `. It asks for the terminal's width, and if the terminal answers, uses colours and control sequences.
    Terminal,
    /// A terminal that is known to lack control sequences: as above, but it is asked nothing.
    Dumb,
    /// A pipe: lines come in, text goes out.
    Plain,
}

/// The console as a formatter's target.
pub(crate) struct Console<'p, P> {
    pub(crate) port: &'p mut P,
    pub(crate) mode: Mode,
}

impl<P: Port> fmt::Write for Console<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive('\n') {
            match part.strip_suffix('\n') {
                Some(line) if self.mode != Mode::Plain => {
                    self.port.write(line.as_bytes());
                    self.port.write(b"\r\n");
                }
                _ => self.port.write(part.as_bytes()),
            }
        }
        Ok(())
    }
}

/// Longest word in bytes that is moved to the next row whole. The terminal breaks longer ones.
const WORD_BYTES: usize = 128;

/// Extra indent of continuation rows, in columns.
const HANGING: usize = 2;

/// Wraps text into rows of a terminal, broken between words.
///
/// A continuation row is aligned with the second column of a table, which begins after two spaces. If that would leave
/// less than half of the width, the text begins in a new row.
pub(crate) struct Wrapped<W> {
    out: W,
    columns: usize,
    column: usize,
    /// Column where continuation rows begin.
    hang: usize,
    /// Spaces before the word.
    spaces: usize,
    /// The line has only spaces so far.
    at_start: bool,
    /// The second column of a table has begun.
    in_text: bool,
    word: heapless::String<WORD_BYTES>,
    word_columns: usize,
    in_sequence: bool,
}

impl<W: Write> Wrapped<W> {
    /// The last column stays empty, because terminals differ in what a character there does.
    pub(crate) const fn new(out: W, columns: usize) -> Self {
        Self {
            out,
            columns: columns.saturating_sub(1),
            column: 0,
            hang: 0,
            spaces: 0,
            at_start: true,
            in_text: false,
            word: heapless::String::new(),
            word_columns: 0,
            in_sequence: false,
        }
    }

    /// Writes the current word, which is complete.
    pub(crate) fn end_word(&mut self) -> fmt::Result {
        if self.word.is_empty() {
            return Ok(());
        }
        let end = self
            .column
            .saturating_add(self.spaces)
            .saturating_add(self.word_columns);
        let mut is_far = false;
        if self.at_start {
            self.hang = self.spaces.saturating_add(HANGING);
        } else if self.spaces > 1 && !self.in_text {
            self.in_text = true;
            let column = self.column.saturating_add(self.spaces);
            is_far = column > self.columns / 2;
            self.hang = if is_far { 2 * HANGING } else { column };
        }
        if self.hang > self.columns / 2 {
            self.hang = HANGING;
        }
        let is_full = end > self.columns && !self.at_start;
        if (is_far || is_full) && self.word_columns > 0 {
            self.out.write_char('\n')?;
            self.spaces = self.hang;
            self.column = 0;
        }
        for _ in 0..self.spaces {
            self.out.write_char(' ')?;
        }
        self.out.write_str(&self.word)?;
        let columns = self.spaces.saturating_add(self.word_columns);
        self.column = self.column.saturating_add(columns);
        self.at_start &= self.word_columns == 0;
        self.word.clear();
        (self.word_columns, self.spaces) = (0, 0);
        Ok(())
    }
}

impl<W: Write> Write for Wrapped<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            match character {
                '\n' => {
                    self.end_word()?;
                    self.out.write_char('\n')?;
                    (self.column, self.spaces) = (0, 0);
                    (self.at_start, self.in_text) = (true, false);
                }
                ' ' if !self.in_sequence => {
                    self.end_word()?;
                    self.spaces = self.spaces.saturating_add(1);
                }
                _ => {
                    // The shell's own sequences take no columns. Those of others never get here.
                    let was_in_sequence = self.in_sequence;
                    self.in_sequence = match character {
                        '\x1b' => true,
                        '[' => was_in_sequence,
                        _ => was_in_sequence && !character.is_ascii_alphabetic(),
                    };
                    let width = if was_in_sequence || self.in_sequence {
                        0
                    } else {
                        character.width().unwrap_or(0)
                    };
                    if self.word.push(character).is_err() {
                        self.end_word()?;
                        let _ = self.word.push(character);
                    }
                    self.word_columns = self.word_columns.saturating_add(width);
                }
            }
        }
        Ok(())
    }
}

/// Writes a line. If the terminal has told its width, the line is wrapped between words.
pub(crate) fn write_line<P: Port>(
    mut console: Console<'_, P>,
    columns: Option<usize>,
    text: impl Display,
) {
    // Writing to the console never fails.
    let _ = match columns {
        Some(columns) => writeln!(Wrapped::new(console, columns), "{text}"),
        None => writeln!(console, "{text}"),
    };
}

/// Bytes of text that are written to the console at once.
const PIECE_BYTES: usize = 128;

/// Collects characters of a text and writes them to the console in pieces.
pub(crate) struct Pieces<'p, P> {
    console: Console<'p, P>,
    piece: heapless::String<PIECE_BYTES>,
    last: Option<char>,
}

impl<'p, P: Port> Pieces<'p, P> {
    pub(crate) const fn new(console: Console<'p, P>) -> Self {
        Self {
            console,
            piece: heapless::String::new(),
            last: None,
        }
    }

    pub(crate) fn push(&mut self, character: char) {
        self.last = Some(character);
        if self.piece.push(character).is_err() {
            self.write();
            let _ = self.piece.push(character);
        }
    }

    /// Writes the rest. Returns the last character of the text.
    pub(crate) fn finish(mut self) -> Option<char> {
        self.write();
        self.last
    }

    fn write(&mut self) {
        // Writing to the console never fails.
        let _ = fmt::Write::write_str(&mut self.console, &self.piece);
        self.piece.clear();
    }
}

/// Resets colour and emphasis.
pub(crate) const PLAIN: &str = "\x1b[0m";

/// Clears the screen and moves the cursor to its upper left corner.
pub(crate) const CLEAR_SCREEN: &str = "\x1b[H\x1b[J";

/// Emphasis of a text on a terminal with colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Something went wrong.
    Error,
    /// Something happened without a command.
    Notice,
    /// A remark about a text, which is not part of it.
    Aside,
    /// The prompt.
    Prompt,
}

/// A text in a style.
pub(crate) struct Styled<T> {
    /// Whether the terminal has colours.
    pub(crate) colour: bool,
    pub(crate) style: Style,
    pub(crate) text: T,
}

impl<T: Display> Display for Styled<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if !self.colour {
            return self.text.fmt(f);
        }
        // ECMA-48, Select Graphic Rendition: red, yellow, faint, bold.
        let code = match self.style {
            Style::Error => 31,
            Style::Notice => 33,
            Style::Aside => 2,
            Style::Prompt => 1,
        };
        write!(f, "\x1b[{code}m{}{PLAIN}", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn wrapped(text: &str, columns: usize) -> String {
        let mut out = String::new();
        let mut wrapped = Wrapped::new(&mut out, columns);
        wrapped.write_str(text).unwrap();
        wrapped.end_word().unwrap();
        out
    }

    #[test]
    fn rows_end_between_words_and_a_table_keeps_its_column() {
        assert_eq!(
            wrapped("one two three four\n", 11),
            "one two\n  three\n  four\n"
        );
        assert_eq!(
            wrapped(" --seed N   what the choice begins with\n", 30),
            " --seed N   what the choice\n            begins with\n"
        );
        assert_eq!(
            wrapped("\x1b[31mred is no word\x1b[0m\n", 12),
            "\x1b[31mred is no\n  word\x1b[0m\n",
            "a sequence takes no columns"
        );
        assert_eq!(wrapped("  a  b\n", 80), "  a  b\n");
        assert_eq!(
            wrapped("llminfer PROMPT   generate text for it  now\n", 21),
            "llminfer PROMPT\n    generate text\n    for it  now\n",
            "a text that would begin too far right begins in a row of its own"
        );
    }

    proptest! {
        #[test]
        fn no_row_is_too_long_and_nothing_is_lost(
            words in prop::collection::vec("[a-z猫]{1,9}", 1..40), columns in 20usize..200
        ) {
            let text = words.join(" ");
            let shown = wrapped(&text, columns);
            for row in shown.lines() {
                let width: usize = row.chars().filter_map(|c| c.width()).sum();
                prop_assert!(width < columns, "{row:?}");
            }
            let again: Vec<&str> = shown.split_whitespace().collect();
            prop_assert_eq!(again, words);
        }
    }
}
