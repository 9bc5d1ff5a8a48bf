//! Untrusted bytes become text that is safe on a terminal.
//!
//! Dropped are: all controls of C0 and C1 but newline and tab (so no escape sequence, in 7 or 8
//! bits, and no carriage return that would overwrite a line), DEL, and the characters that change
//! the direction or the visibility of other text. Bytes that are no UTF-8 become U+FFFD.

/// What stands for bytes that are no UTF-8.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Turns a stream of untrusted bytes into safe characters. A character may be split across calls:
/// the state is here.
#[derive(Clone, Debug, Default)]
pub struct Sanitiser {
    /// The beginning of a character that is not complete yet.
    held: [u8; 4],
    len: usize,
}

impl Sanitiser {
    /// One at its start.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            held: [0; 4],
            len: 0,
        }
    }

    /// Takes `bytes` and gives the safe characters that are complete to `write`.
    pub fn push(&mut self, bytes: &[u8], write: &mut impl FnMut(char)) {
        for &byte in bytes {
            self.push_byte(byte, write);
        }
    }

    /// Ends the stream: what is held back will not be completed.
    pub fn finish(&mut self, write: &mut impl FnMut(char)) {
        if self.len > 0 {
            self.len = 0;
            write(REPLACEMENT);
        }
    }

    fn push_byte(&mut self, byte: u8, write: &mut impl FnMut(char)) {
        if let Some(room) = self.held.get_mut(self.len) {
            *room = byte;
            self.len = self.len.saturating_add(1);
        }
        let held = self.held.get(..self.len).unwrap_or(&[]);
        match core::str::from_utf8(held) {
            Ok(text) => {
                let complete = text.chars().next();
                self.len = 0;
                if let Some(character) = complete.filter(|character| is_safe(*character)) {
                    write(character);
                }
            }
            // It may become a character.
            Err(error) if error.error_len().is_none() => {}
            Err(_) => {
                // The last byte broke what was held; it may begin a character of its own.
                let alone = self.len == 1;
                self.len = 0;
                write(REPLACEMENT);
                if !alone {
                    self.push_byte(byte, write);
                }
            }
        }
    }
}

/// Whether a character from outside may reach the terminal.
#[must_use]
pub const fn is_safe(character: char) -> bool {
    !matches!(character,
        '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        // Marks, embeddings, overrides and isolates of direction.
        | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        // Line and paragraph separators, and invisible tags.
        | '\u{2028}' | '\u{2029}' | '\u{e0000}'..='\u{e007f}')
}

/// The beginning of a text, at most `max` bytes of it, that cuts no character in two.
#[must_use]
pub fn beginning(text: &[u8], max: usize) -> &[u8] {
    let Some(cut) = text.get(..max) else {
        return text;
    };
    match core::str::from_utf8(cut) {
        // A character was not complete.
        Err(error) if error.error_len().is_none() => cut.get(..error.valid_up_to()).unwrap_or(cut),
        _ => cut,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    fn sanitise(pieces: &[&[u8]]) -> String {
        let (mut sanitiser, mut text) = (Sanitiser::new(), String::new());
        for piece in pieces {
            sanitiser.push(piece, &mut |character| text.push(character));
        }
        sanitiser.finish(&mut |character| text.push(character));
        text
    }

    #[test]
    fn text_passes_and_controls_do_not() {
        assert_eq!(
            sanitise(&["One day,\n\tthe fox -- \u{e9}\u{2603}\u{1f98a}".as_bytes()]),
            "One day,\n\tthe fox -- \u{e9}\u{2603}\u{1f98a}"
        );
        assert_eq!(
            sanitise(&[b"\x1b[2J\x1b]0;title\x07\x01halt\rover\x7f\x08"]),
            "[2J]0;titlehaltover"
        );
        assert_eq!(
            sanitise(&["\u{9b}31m\u{202e}txt\u{2028}".as_bytes()]),
            "31mtxt"
        );
    }

    #[test]
    fn an_escape_cannot_be_smuggled_across_pieces() {
        assert_eq!(sanitise(&[b"\xc2", b"\x9b", b"31m"]), "31m");
        assert_eq!(sanitise(&[b"\xe2\x80", b"\xae", b"abc"]), "abc");
        assert_eq!(sanitise(&[b"\xe2", b"\x1b[0m"]), "\u{fffd}[0m");
    }

    #[test]
    fn bytes_that_are_no_utf8_are_replaced() {
        assert_eq!(
            sanitise(&[b"a\xffb\xc0\xaf\xed\xa0\x80"])
                .chars()
                .filter(|c| *c == '\u{fffd}')
                .count(),
            6
        );
        assert_eq!(sanitise(&[b"\xf0\x9f\x98"]), "\u{fffd}");
        assert_eq!(sanitise(&[b"\x9b"]), "\u{fffd}");
    }

    #[test]
    fn a_beginning_cuts_no_character_in_two() {
        let text = "a\u{e9}\u{732b}".as_bytes();
        let lens: Vec<usize> = (0..8).map(|max| beginning(text, max).len()).collect();
        assert_eq!(lens, [0, 1, 1, 3, 3, 3, 6, 6]);
        assert_eq!(
            beginning(b"\xff\xc3x", 2),
            b"\xff\xc3",
            "what is no text stays"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same_safe_text(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..8), 0..20)
        ) {
            let split: Vec<&[u8]> = pieces.iter().map(Vec::as_slice).collect();
            let text = sanitise(&split);
            prop_assert!(text.chars().all(is_safe));
            prop_assert_eq!(&text, &sanitise(&[&pieces.concat()]));
        }

        #[test]
        fn safe_text_is_unchanged(text: String) {
            let safe: String = text.chars().filter(|character| is_safe(*character)).collect();
            prop_assert_eq!(sanitise(&[safe.as_bytes()]), safe);
        }
    }
}
