//! What the shell knows of the terminal: how wide it is, and whether it has colours and control sequences.
//!
//! A serial line says nothing of a resize, so the terminal is asked ([`QUESTION`]) at the start and whenever a prompt is
//! shown. The answer comes as input, between what is typed: late, torn, or never. So it is taken out of the input here, before
//! anything else looks at it, and nobody waits for it. A terminal that has not answered is treated as one without control
//! sequences, [`USUAL_COLUMNS`] wide.
//!
//! The brackets of a paste are taken out here, too, because they must not be lost with the keys that a Ctrl-C drops: a line of
//! a paste whose beginning was forgotten would run.

use crate::console::Mode;

/// Asks for the cursor's place at the right edge, and goes back to the left one. With the cursor at the beginning of a row,
/// nothing shows of it. (ECMA-48: CUF, DSR.)
pub(crate) const QUESTION: &str = "\x1b[999C\x1b[6n\r";

/// Has the terminal put pastes into brackets (xterm).
pub(crate) const PASTE_ON: &str = "\x1b[?2004h";
/// Has it not.
pub(crate) const PASTE_OFF: &str = "\x1b[?2004l";

/// Stands in the input for an end of line in a paste. No key of a terminal gives it.
pub(crate) const PASTED_BREAK: u8 = 0x1e;
/// Stands in the input for a tab in a paste.
pub(crate) const PASTED_TAB: u8 = 0x1f;

/// Columns of a terminal that has not said how many it has.
pub(crate) const USUAL_COLUMNS: usize = 80;

/// Columns that a terminal can have. An answer with others is none: with fewer, no line could be edited, and xterm's F3 with a
/// modifier looks like an answer of less than ten.
const COLUMNS: core::ops::RangeInclusive<u16> = 20..=999;

/// Questions after which a terminal that answered none of them is asked no more, since they would show on a dumb one. Ctrl-L
/// and `color auto` ask again.
const ATTEMPTS: u8 = 3;

/// Bytes of a sequence that is looked at: `ESC [ 999 ; 999`.
const SEQUENCE_BYTES: usize = 9;

/// Bytes that one byte of input can set free.
pub(crate) const HELD_BYTES: usize = SEQUENCE_BYTES + 1;

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// What the terminal can do.
    Auto,
    On,
    Off,
}

/// Whether a paste is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paste {
    None,
    /// The last byte was a carriage return.
    Goes {
        after_return: bool,
    },
    /// A Ctrl-C has dropped its beginning, so the rest is dropped, too.
    Dropped,
}

/// What became of a byte of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    None,
    /// The terminal has said how wide it is, and that is news.
    NewWidth,
}

/// What is known of the terminal.
#[derive(Debug)]
pub(crate) struct Screen {
    mode: Mode,
    pub(crate) colour: Colour,
    /// As it has answered.
    columns: Option<u16>,
    /// Questions without an answer so far.
    asked: u8,
    /// Answers that may still come.
    awaited: u8,
    paste: Paste,
    sequence: heapless::Vec<u8, SEQUENCE_BYTES>,
}

impl Screen {
    pub(crate) const fn new(mode: Mode) -> Self {
        Self {
            mode,
            colour: Colour::Auto,
            columns: None,
            asked: 0,
            awaited: 0,
            paste: Paste::None,
            sequence: heapless::Vec::new(),
        }
    }

    /// How wide lines that are edited can be.
    pub(crate) fn columns(&self) -> usize {
        self.columns.map_or(USUAL_COLUMNS, usize::from)
    }

    /// How wide the terminal is, if it has said so.
    pub(crate) fn known_columns(&self) -> Option<usize> {
        self.columns.map(usize::from)
    }

    /// Whether the terminal understands control sequences.
    pub(crate) const fn has_sequences(&self) -> bool {
        self.columns.is_some()
    }

    pub(crate) const fn has_colour(&self) -> bool {
        match self.colour {
            Colour::Off => false,
            Colour::On => !matches!(self.mode, Mode::Plain),
            Colour::Auto => self.has_sequences(),
        }
    }

    /// What to ask the terminal now.
    pub(crate) fn question(&mut self) -> &'static str {
        if self.mode != Mode::Terminal || (!self.has_sequences() && self.asked >= ATTEMPTS) {
            return "";
        }
        self.asked = self.asked.saturating_add(1);
        self.awaited = self.awaited.saturating_add(1);
        QUESTION
    }

    /// Asks again, whatever was answered before.
    pub(crate) const fn ask_again(&mut self) {
        self.asked = 0;
    }

    /// A Ctrl-C: what is left of a paste is dropped; a second one ends a paste whose end was lost.
    pub(crate) const fn interrupt(&mut self) {
        self.paste = match self.paste {
            Paste::Goes { .. } => Paste::Dropped,
            Paste::None | Paste::Dropped => Paste::None,
        };
    }

    /// Takes a byte of input, and gives those that are keys to `give`: at most [`HELD_BYTES`].
    pub(crate) fn filter(&mut self, byte: u8, give: &mut impl FnMut(u8)) -> Answer {
        // A byte of the shell's own.
        let byte = match byte {
            PASTED_BREAK | PASTED_TAB => return Answer::None,
            byte => byte,
        };
        // Nothing was asked, and no paste is in brackets.
        if self.awaited == 0 && !self.has_sequences() {
            give(byte);
            return Answer::None;
        }
        let continues = match *self.sequence {
            [] => byte == 0x1b,
            [_] => byte == b'[',
            _ => byte.is_ascii_digit() || byte == b';',
        };
        if continues && self.sequence.push(byte).is_ok() {
            return Answer::None;
        }
        let held = core::mem::take(&mut self.sequence);
        match (&*held, byte) {
            ([0x1b, b'[', parameters @ ..], b'R') if self.awaited > 0 => {
                if let Some(columns) = columns(parameters) {
                    self.awaited = self.awaited.saturating_sub(1);
                    self.asked = 0;
                    let is_new = self.columns.replace(columns) != Some(columns);
                    return if is_new {
                        Answer::NewWidth
                    } else {
                        Answer::None
                    };
                }
            }
            (b"\x1b[200", b'~') if self.has_sequences() => {
                self.paste = Paste::Goes {
                    after_return: false,
                };
                return Answer::None;
            }
            (b"\x1b[201", b'~') if self.has_sequences() => {
                self.paste = Paste::None;
                return Answer::None;
            }
            _ => {}
        }
        for held in held {
            self.give(held, give);
        }
        // Another sequence may begin where this one was torn.
        if byte == 0x1b {
            let _ = self.sequence.push(byte);
        } else {
            self.give(byte, give);
        }
        Answer::None
    }

    /// Gives a byte that is a key, or text of a paste.
    fn give(&mut self, byte: u8, give: &mut impl FnMut(u8)) {
        let after_return = match &mut self.paste {
            Paste::None => return give(byte),
            Paste::Dropped => return,
            Paste::Goes { after_return } => core::mem::replace(after_return, byte == b'\r'),
        };
        match byte {
            b'\n' if after_return => {}
            b'\r' | b'\n' => give(PASTED_BREAK),
            b'\t' => give(PASTED_TAB),
            // Other control characters are keys, and a paste presses none.
            0..0x20 | 0x7f => {}
            _ => give(byte),
        }
    }
}

/// The columns of an answer `row;columns`, if it is one.
fn columns(parameters: &[u8]) -> Option<u16> {
    let (row, columns) = core::str::from_utf8(parameters).ok()?.split_once(';')?;
    row.parse::<u16>().ok()?;
    columns
        .parse()
        .ok()
        .filter(|columns| COLUMNS.contains(columns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn filtered(screen: &mut Screen, bytes: &[u8]) -> Vec<u8> {
        let mut keys = Vec::new();
        for byte in bytes {
            screen.filter(*byte, &mut |byte| keys.push(byte));
        }
        keys
    }

    fn answered(columns: u16) -> Screen {
        let mut screen = Screen::new(Mode::Terminal);
        assert_eq!(screen.question(), QUESTION);
        let answer = std::format!("\x1b[24;{columns}R");
        assert_eq!(filtered(&mut screen, answer.as_bytes()), b"");
        screen
    }

    #[test]
    fn an_answer_is_taken_out_of_what_is_typed() {
        let mut screen = Screen::new(Mode::Terminal);
        assert!(!screen.has_sequences() && !screen.has_colour() && screen.columns() == 80);
        screen.question();
        assert_eq!(filtered(&mut screen, b"ab\x1b[1;40Rc\x1b[A"), b"abc\x1b[A");
        assert!(screen.has_sequences() && screen.has_colour() && screen.columns() == 40);
        // Nobody has asked for this one: it is a key that is not known.
        assert_eq!(filtered(&mut screen, b"\x1b[1;90R"), b"\x1b[1;90R");
        assert_eq!(screen.columns(), 40);
    }

    #[test]
    fn a_torn_or_wrong_answer_is_none() {
        for bytes in [
            &b"\x1b[24;"[..],
            b"\x1b[24;19R",
            b"\x1b[24;1000R",
            b"\x1b[24;99999999R",
            b"\x1b[;80R",
            b"\x1b[80R",
            b"\x1b[2\x1b[4;8",
            b"\x1b[24;80;3R",
        ] {
            let mut screen = Screen::new(Mode::Terminal);
            screen.question();
            filtered(&mut screen, bytes);
            assert_eq!(screen.known_columns(), None, "{bytes:?}");
        }
        // One that comes in pieces, around another that was torn.
        let mut screen = Screen::new(Mode::Terminal);
        screen.question();
        filtered(&mut screen, b"\x1b[24\x1b[24;");
        filtered(&mut screen, b"132R");
        assert_eq!(screen.columns(), 132);
    }

    #[test]
    fn a_terminal_that_never_answers_is_not_asked_for_ever() {
        let mut screen = Screen::new(Mode::Terminal);
        let asked = (0..9).filter(|_| !screen.question().is_empty()).count();
        assert_eq!(asked, usize::from(ATTEMPTS));
        screen.ask_again();
        assert_eq!(screen.question(), QUESTION);
        for mode in [Mode::Dumb, Mode::Plain] {
            assert_eq!(Screen::new(mode).question(), "");
        }
    }

    #[test]
    fn colours_follow_the_terminal_or_the_user() {
        let mut screen = answered(80);
        screen.colour = Colour::Off;
        assert!(!screen.has_colour());
        let mut screen = Screen::new(Mode::Dumb);
        screen.colour = Colour::On;
        assert!(screen.has_colour() && !screen.has_sequences());
        let mut screen = Screen::new(Mode::Plain);
        screen.colour = Colour::On;
        assert!(!screen.has_colour());
    }

    #[test]
    fn nothing_in_a_paste_is_a_key() {
        let mut screen = answered(80);
        assert_eq!(
            filtered(&mut screen, b"\x1b[200~a\rb\r\nc\n\td\x04\x0c\x1b[201~\r"),
            b"a\x1eb\x1ec\x1e\x1fd\r"
        );
        // Without an answer, no paste was put into brackets.
        let mut screen = Screen::new(Mode::Terminal);
        assert_eq!(filtered(&mut screen, b"\x1b[200~a\r"), b"\x1b[200~a\r");
    }

    #[test]
    fn the_rest_of_a_paste_that_was_interrupted_runs_nothing() {
        let mut screen = answered(80);
        filtered(&mut screen, b"\x1b[200~one\r");
        screen.interrupt();
        assert_eq!(
            filtered(&mut screen, b"two\rthree\r\x1b[201~four\r"),
            b"four\r"
        );
        filtered(&mut screen, b"\x1b[200~one");
        screen.interrupt();
        screen.interrupt();
        assert_eq!(
            filtered(&mut screen, b"two\r"),
            b"two\r",
            "its end was lost"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_give_no_more_than_there_is_room_for(bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), Just(0x1b), Just(b'['), Just(b';'), b'0'..=b'9', Just(b'R'), Just(b'~')], 0..200)
        ) {
            let mut screen = answered(80);
            screen.question();
            for byte in bytes {
                let mut given = 0;
                screen.filter(byte, &mut |_| given += 1);
                prop_assert!(given <= HELD_BYTES);
                prop_assert!((20..=999).contains(&screen.columns()));
            }
        }
    }
}
