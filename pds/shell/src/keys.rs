//! Decodes bytes of the console into keys: characters, and the sequences that terminals send for other keys (ECMA-48,
//! xterm).

use crate::screen::{PASTED_BREAK, PASTED_TAB};
use safe_text::Utf8Stream;
use zeroize::Zeroize as _;

/// Ctrl-C.
pub(crate) const INTERRUPT: u8 = 0x03;
/// Ctrl-D, which also ends the input of a pipe.
pub(crate) const END_OF_INPUT: u8 = 0x04;

/// Bytes of one character. If it is not UTF-8, the bytes up to where that showed.
pub(crate) type Typed = heapless::Vec<u8, 4>;

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Typed(Typed),
    Enter,
    EndOfInput,
    Tab,
    Left,
    Right,
    Up,
    Down,
    Home,
    End,
    WordLeft,
    WordRight,
    Backspace,
    Delete,
    KillToEnd,
    KillToStart,
    KillWord,
    ClearScreen,
}

/// Bytes of a sequence's parameters that are kept. No known key has more.
const PARAMETERS: usize = 4;

#[derive(Clone, Debug)]
enum Escape {
    Outside,
    Begun,
    /// After `ESC O`.
    Single,
    /// After `ESC [`.
    Sequence(heapless::Vec<u8, PARAMETERS>),
}

/// Decoder state inside a character or a sequence.
#[derive(Debug)]
pub(crate) struct Keys {
    typed: Utf8Stream,
    escape: Escape,
    after_return: bool,
}

impl Keys {
    pub(crate) const fn new() -> Self {
        Self {
            typed: Utf8Stream::new(),
            escape: Escape::Outside,
            after_return: false,
        }
    }

    /// Takes a byte, and passes the keys that it completes to `press`: at most two.
    pub(crate) fn push(&mut self, byte: u8, press: &mut impl FnMut(Key)) {
        let after_return = core::mem::replace(&mut self.after_return, byte == b'\r');
        if byte < 0x80 {
            self.flush(press);
        }
        // These end a truncated sequence, so no line is lost in it.
        if matches!(byte, b'\r' | b'\n' | END_OF_INPUT) {
            self.escape = Escape::Outside;
        }
        match &mut self.escape {
            Escape::Outside => {}
            Escape::Begun => {
                self.escape = match byte {
                    b'[' => Escape::Sequence(heapless::Vec::new()),
                    b'O' => Escape::Single,
                    _ => Escape::Outside,
                };
                match byte {
                    b'b' => press(Key::WordLeft),
                    b'f' => press(Key::WordRight),
                    _ => {}
                }
                return;
            }
            Escape::Single => {
                self.escape = Escape::Outside;
                if let Some(key) = sequence(&[], byte) {
                    press(key);
                }
                return;
            }
            Escape::Sequence(parameters) => {
                if (0x40..=0x7e).contains(&byte) {
                    let key = sequence(parameters, byte);
                    self.escape = Escape::Outside;
                    if let Some(key) = key {
                        press(key);
                    }
                } else {
                    // A sequence with more is not a known key.
                    let _ = parameters.push(byte);
                }
                return;
            }
        }
        let key = match byte {
            0x1b => {
                self.escape = Escape::Begun;
                return;
            }
            // A terminal sends \r, a file \n, and some both.
            b'\n' if after_return => return,
            b'\r' | b'\n' => Key::Enter,
            END_OF_INPUT => Key::EndOfInput,
            b'\t' => Key::Tab,
            0x01 => Key::Home,
            0x02 => Key::Left,
            0x05 => Key::End,
            0x06 => Key::Right,
            0x08 | 0x7f => Key::Backspace,
            0x0b => Key::KillToEnd,
            0x0c => Key::ClearScreen,
            0x0e => Key::Down,
            0x10 => Key::Up,
            0x15 => Key::KillToStart,
            0x17 => Key::KillWord,
            PASTED_BREAK => return press(Key::Typed(text(b"\n"))),
            PASTED_TAB => return press(Key::Typed(text(b"\t"))),
            0x20..=0x7e | 0x80..=0xff => return self.push_text(byte, press),
            _ => return,
        };
        press(key);
    }

    fn push_text(&mut self, byte: u8, press: &mut impl FnMut(Key)) {
        self.typed
            .push(byte, &mut |unit| press(Key::Typed(text(unit.bytes))));
        self.forget();
    }

    fn flush(&mut self, press: &mut impl FnMut(Key)) {
        self.typed
            .finish(&mut |unit| press(Key::Typed(text(unit.bytes))));
        self.forget();
    }

    /// What was typed may have been a passphrase.
    fn forget(&mut self) {
        if self.typed.is_empty() {
            self.typed.zeroize();
        }
    }
}

/// At most four bytes.
fn text(bytes: &[u8]) -> Typed {
    // They fit.
    Typed::from_slice(bytes).unwrap_or_default()
}

fn sequence(parameters: &[u8], last: u8) -> Option<Key> {
    // `1;5C` means Ctrl and a key; 3 means Alt.
    let word = matches!(parameters, [_, b';', b'3' | b'5']);
    Some(match (last, parameters) {
        (b'A', _) => Key::Up,
        (b'B', _) => Key::Down,
        (b'C', _) if word => Key::WordRight,
        (b'D', _) if word => Key::WordLeft,
        (b'C', _) => Key::Right,
        (b'D', _) => Key::Left,
        (b'H', _) | (b'~', b"1" | b"7") => Key::Home,
        (b'F', _) | (b'~', b"4" | b"8") => Key::End,
        (b'~', b"3") => Key::Delete,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn press(bytes: &[u8]) -> Vec<Key> {
        let (mut keys, mut pressed) = (Keys::new(), Vec::new());
        for byte in bytes {
            keys.push(*byte, &mut |key| pressed.push(key));
        }
        pressed
    }

    fn typed(bytes: &[u8]) -> Key {
        Key::Typed(Typed::from_slice(bytes).unwrap())
    }

    #[test]
    fn lines_end_with_either_or_both_ends_of_line() {
        let ends = |bytes: &[u8]| {
            press(bytes)
                .iter()
                .filter(|key| **key == Key::Enter)
                .count()
        };
        assert_eq!(
            (ends(b"a\r"), ends(b"a\n"), ends(b"a\r\n"), ends(b"a\n\n")),
            (1, 1, 1, 2)
        );
    }

    #[test]
    fn keys_of_usual_terminals_are_known() {
        for (bytes, key) in [
            (&b"\x1b[A"[..], Key::Up),
            (b"\x1bOB", Key::Down),
            (b"\x1b[C", Key::Right),
            (b"\x1b[D", Key::Left),
            (b"\x1b[1;5C", Key::WordRight),
            (b"\x1b[1;5D", Key::WordLeft),
            (b"\x1bb", Key::WordLeft),
            (b"\x1b[H", Key::Home),
            (b"\x1bOH", Key::Home),
            (b"\x1b[1~", Key::Home),
            (b"\x1b[F", Key::End),
            (b"\x1b[4~", Key::End),
            (b"\x1b[3~", Key::Delete),
            (b"\x01", Key::Home),
            (b"\x05", Key::End),
            (b"\x0b", Key::KillToEnd),
            (b"\x15", Key::KillToStart),
            (b"\x17", Key::KillWord),
            (b"\x0c", Key::ClearScreen),
            (b"\t", Key::Tab),
            (b"\x7f", Key::Backspace),
            (b"\x04", Key::EndOfInput),
        ] {
            assert_eq!(press(bytes), [key], "{bytes:?}");
        }
    }

    #[test]
    fn sequences_that_are_not_known_do_not_end_up_in_the_line() {
        assert_eq!(
            press(b"a\x1b[200~b\x1b[1;2;3;4;5xc\x1bzd\x07\x1d\x00"),
            [typed(b"a"), typed(b"b"), typed(b"c"), typed(b"d")]
        );
        assert_eq!(
            press(b"\x1b[12\r"),
            [Key::Enter],
            "nor hide the end of a line"
        );
    }

    #[test]
    fn a_character_is_one_key_and_broken_bytes_are_kept() {
        assert_eq!(
            press("a\u{e9}\u{1f98a}".as_bytes()),
            [
                typed(b"a"),
                typed(b"\xc3\xa9"),
                typed("\u{1f98a}".as_bytes())
            ]
        );
        assert_eq!(
            press(b"\xff\xc3x"),
            [typed(b"\xff"), typed(b"\xc3"), typed(b"x")]
        );
        assert_eq!(
            press(b"\xe2\x98\xc3\xa9"),
            [typed(b"\xe2\x98"), typed(b"\xc3\xa9")]
        );
        assert_eq!(press(b"\xc3\r"), [typed(b"\xc3"), Key::Enter]);
    }
}
