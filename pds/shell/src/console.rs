//! The console as a place to write to: ends of lines, colour.

use core::fmt::{self, Display, Formatter};

/// What the shell needs from its runtime.
pub trait Port {
    /// Tells audit to look at its ring.
    fn notify_audit(&mut self);
    /// Writes to the console.
    fn write(&mut self, bytes: &[u8]);
    /// The next byte of the console, if there is one. The end of the input is byte 0x04.
    fn read(&mut self) -> Option<u8>;
    /// All that was typed before an end of the input (0x04) is done, and what that ends has ended: a conversation, a login.
    /// A runtime whose input is over for good can end now; on a terminal it was Ctrl-D, and somebody types on.
    fn input_done(&mut self);
    /// Ends the system, which audit has allowed.
    fn halt(&mut self);
}

/// What is at the other end of the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A terminal in raw mode: the shell echoes, prompts, edits lines, has colours, and ends lines with `\r\n`.
    Terminal,
    /// A pipe: lines come in, text goes out.
    Plain,
}

/// The console as a place to format to.
pub(crate) struct Console<'p, P> {
    pub(crate) port: &'p mut P,
    pub(crate) mode: Mode,
}

impl<P: Port> fmt::Write for Console<'_, P> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive('\n') {
            match part.strip_suffix('\n') {
                Some(line) if self.mode == Mode::Terminal => {
                    self.port.write(line.as_bytes());
                    self.port.write(b"\r\n");
                }
                _ => self.port.write(part.as_bytes()),
            }
        }
        Ok(())
    }
}

/// Bytes of text that the console gets at once.
const PIECE_BYTES: usize = 128;

/// Characters of a text, which the console gets by the piece and not one by one.
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

    /// Writes what is left; the last character of all.
    pub(crate) fn finish(mut self) -> Option<char> {
        self.write();
        self.last
    }

    fn write(&mut self) {
        // The console never fails.
        let _ = fmt::Write::write_str(&mut self.console, &self.piece);
        self.piece.clear();
    }
}

/// Empties the screen and goes to its upper left corner.
pub(crate) const CLEAR_SCREEN: &str = "\x1b[H\x1b[J";

/// How a text stands out on a terminal. On a pipe it doesn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// Something went wrong.
    Error,
    /// Something happened that nobody asked for now.
    Notice,
    /// About a text, not part of it.
    Aside,
    /// Where to type.
    Prompt,
}

/// A text in a style.
pub(crate) struct Styled<T> {
    pub(crate) mode: Mode,
    pub(crate) style: Style,
    pub(crate) text: T,
}

impl<T: Display> Display for Styled<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.mode == Mode::Plain {
            return self.text.fmt(f);
        }
        // ECMA-48, Select Graphic Rendition: red, yellow, faint, bold.
        let code = match self.style {
            Style::Error => 31,
            Style::Notice => 33,
            Style::Aside => 2,
            Style::Prompt => 1,
        };
        write!(f, "\x1b[{code}m{}\x1b[0m", self.text)
    }
}
