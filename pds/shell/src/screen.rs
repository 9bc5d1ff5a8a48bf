//! What the shell knows about the terminal: its width, and whether it has colours and control sequences.
//!
//! A serial line does not report a resize, so the shell asks the terminal ([`QUESTION`]) at the start and whenever it
//! shows a prompt. The answer arrives as input between keys: late, torn, or never. So it is filtered out here, before
//! anything else sees the input, and nobody waits for it. A terminal that has not answered is treated as
//! [`USUAL_COLUMNS`] wide and without control sequences.
//!
//! The brackets of a paste are filtered out here, too, because they must not be among the keys that Ctrl-C drops: a
//! line of a paste whose start was forgotten would run.

use crate::console::Mode;

/// Asks for the cursor's place at the right edge, and returns to the left one. If the cursor is at the start of a row,
/// nothing of it shows. (ECMA-48: CUF, DSR.)
pub(crate) const QUESTION: &str = "\x1b[999C\x1b[6n\r";

/// Makes the terminal put pastes into brackets (xterm).
pub(crate) const PASTE_ON: &str = "\x1b[?2004h";
/// Ends that.
pub(crate) const PASTE_OFF: &str = "\x1b[?2004l";

/// Represents a line end in a paste. No key of a terminal sends it.
pub(crate) const PASTED_BREAK: u8 = 0x1e;
/// Represents a tab in a paste.
pub(crate) const PASTED_TAB: u8 = 0x1f;

/// Assumed width of a terminal that has not told its own.
pub(crate) const USUAL_COLUMNS: usize = 80;

/// Valid widths. Other answers are ignored: in fewer columns no line could be edited, and xterm's F3 with a modifier
/// looks like an answer below ten.
const COLUMNS: core::ops::RangeInclusive<u16> = 20..=999;

/// Questions to a terminal that answers none of them. Then the shell stops asking, because a dumb terminal would show
/// the questions. Ctrl-L and `color auto` ask again.
const ATTEMPTS: u8 = 3;

/// Longest relevant sequence in bytes: `ESC [ 999 ; 999`.
const SEQUENCE_BYTES: usize = 9;

/// Most bytes that one byte of input can release.
pub(crate) const HELD_BYTES: usize = SEQUENCE_BYTES + 1;

/// The user's choice about colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colour {
    /// As the terminal's capabilities allow.
    Auto,
    On,
    Off,
}

/// State of a paste.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Paste {
    None,
    /// The last byte was a carriage return.
    Goes {
        after_return: bool,
    },
    /// A Ctrl-C has dropped its start, so the rest is dropped, too.
    Dropped,
}

/// The result of a byte of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    None,
    /// The terminal has told a new width.
    NewWidth,
}

/// What is known about the terminal.
#[derive(Debug)]
pub(crate) struct Screen {
    mode: Mode,
    pub(crate) colour: Colour,
    /// The width that it told.
    columns: Option<u16>,
    /// Unanswered questions so far.
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

    /// Width for edited lines.
    pub(crate) fn columns(&self) -> usize {
        self.columns.map_or(USUAL_COLUMNS, usize::from)
    }

    /// Width of the terminal, if it has told it.
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

    /// What to send to the terminal now.
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

    /// Ctrl-C drops the rest of a paste. A second one ends a paste whose end was lost.
    pub(crate) const fn interrupt(&mut self) {
        self.paste = match self.paste {
            Paste::Goes { .. } => Paste::Dropped,
            Paste::None | Paste::Dropped => Paste::None,
        };
    }

    /// Takes a byte of input, and passes those that are keys to `give`: at most [`HELD_BYTES`].
    pub(crate) fn filter(&mut self, byte: u8, give: &mut impl FnMut(u8)) -> Answer {
        // The shell uses these bytes itself.
        let byte = match byte {
            PASTED_BREAK | PASTED_TAB => return Answer::None,
            byte => byte,
        };
        // No answer and no bracket can come.
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

    /// Passes on a byte that is a key, or text of a paste.
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
            // Other control characters are keys, which a paste must not press.
            0..0x20 | 0x7f => {}
            _ => give(byte),
        }
    }
}

/// The width in an answer `row;columns`, if it is one.
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
        // Nobody asked for this, so it is an unknown key.
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
        // An answer in pieces, around another that was torn.
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
