//! Turns untrusted bytes into text that is safe on a terminal and hides nothing from the reader ([`Sanitiser`]), or
//! into JSON in visible ASCII ([`json`]). Under both is [`Utf8Stream`], the one decoder of UTF-8 that arrives in pieces.
//!
//! [`Sanitiser`] treats characters as follows.
//!
//! **Dropped**: all C0 and C1 controls except newline and tab, and DEL. So no 7-bit or 8-bit escape sequence gets
//! through, nor a carriage return that would overwrite a line. The remainder of a sequence is shown as text.
//!
//! **Shown as U+FFFD**: invalid UTF-8, and characters that a terminal would not show ([`is_hidden`]). Invisible text
//! can carry something the reader should know about (a message to whoever copies the text, a second prompt, more bits
//! than the answer seems to have), and can make two texts that look alike differ. A test compares the first two of
//! these groups with Unicode's own tables:
//!
//! - every code point that Unicode calls default-ignorable: soft hyphen, zero-width space and joiners, word joiner,
//!   marks, embeddings, overrides and isolates of direction, invisible operators, Hangul fillers, Khmer inherent
//!   vowels, Mongolian and other variation selectors (U+FE00 to U+FE0F, U+E0100 to U+E01EF), the byte order mark,
//!   shorthand and musical format controls, tags, and the range reserved for more of them (U+E0000 to U+E0FFF);
//! - every other format character (category Cf) without a visible form: interlinear annotation, Egyptian hieroglyph
//!   joiners. Those drawn around numbers (Prepended_Concatenation_Mark) pass;
//! - line and paragraph separators, which terminals treat differently, and the Khitan filler.
//!
//! Joiners and selectors have legitimate uses: some scripts need them to look right, and emoji are composed with them.
//! They are replaced anyway, everywhere. Their presence is invisible, so a rule that permits one where it could be
//! useful would permit a hidden bit there. The cost is how those scripts look on a serial console, which seldom has a
//! font for them.
//!
//! Not covered: visible characters that resemble others (letters of different scripts, kinds of spaces), and marks
//! stacked onto a letter.

#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

#[cfg(test)]
extern crate std;

pub mod json;
mod utf8;

pub use utf8::{Unit, Utf8Stream};

/// Converts a stream of untrusted bytes to safe characters. It holds the state for a character that is split across
/// calls.
#[derive(Clone, Debug, Default)]
pub struct Sanitiser(Utf8Stream);

impl Sanitiser {
    /// A converter at the start of a stream.
    #[must_use]
    pub const fn new() -> Self {
        Self(Utf8Stream::new())
    }

    /// Takes `bytes` and passes the complete safe characters to `write`.
    pub fn push(&mut self, bytes: &[u8], write: &mut impl FnMut(char)) {
        for &byte in bytes {
            self.0.push(byte, &mut |unit| {
                let character = unit.or_replacement();
                if is_hidden(character) {
                    write(char::REPLACEMENT_CHARACTER);
                } else if is_safe(character) {
                    write(character);
                }
            });
        }
    }

    /// Ends the stream; an incomplete character is replaced.
    pub fn finish(&mut self, write: &mut impl FnMut(char)) {
        self.0.finish(&mut |unit| write(unit.or_replacement()));
    }
}

/// Whether a character from outside may reach the terminal as it is.
#[must_use]
pub const fn is_safe(character: char) -> bool {
    let is_control = matches!(character, '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}'..='\u{9f}');
    !is_control && !is_hidden(character)
}

/// Whether a terminal would show nothing, or something else, for a character; see the module.
#[must_use]
pub const fn is_hidden(character: char) -> bool {
    matches!(character,
        // Soft hyphen, combining grapheme joiner.
        '\u{ad}' | '\u{34f}'
        // Direction marks, embeddings, overrides and isolates, including zero-width space and joiners, and line and
        // paragraph separators.
        | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        // Word joiner, invisible operators, isolates, deprecated controls.
        | '\u{2060}'..='\u{206f}'
        // Hangul fillers; Khmer inherent vowels; Khitan filler.
        | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}'
        | '\u{17b4}' | '\u{17b5}' | '\u{16fe4}'
        // Variation selectors: Mongolian with its vowel separator, all others in two blocks, the second with the tags.
        | '\u{180b}'..='\u{180f}' | '\u{fe00}'..='\u{fe0f}' | '\u{e0000}'..='\u{e0fff}'
        // Byte order mark; reserved code points, and interlinear annotation.
        | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
        // Controls of hieroglyphs, shorthand and musical notation.
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}')
}

/// The longest prefix of at most `max` bytes that does not split a character.
#[must_use]
pub fn beginning(text: &[u8], max: usize) -> &[u8] {
    let Some(cut) = text.get(..max) else {
        return text;
    };
    match core::str::from_utf8(cut) {
        // The last character was incomplete.
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
            "31m\u{fffd}txt\u{fffd}"
        );
    }

    /// All characters of a Unicode class, in regular expression syntax.
    fn class(pattern: &str) -> impl Iterator<Item = char> {
        let hir = regex_syntax::Parser::new().parse(pattern).unwrap();
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) =
            hir.into_kind()
        else {
            panic!("{pattern} is no class")
        };
        let ranges: Vec<_> = class.ranges().to_vec();
        ranges
            .into_iter()
            .flat_map(|range| range.start()..=range.end())
    }

    fn shown(character: char) -> String {
        let mut bytes = [0; 4];
        sanitise(&[character.encode_utf8(&mut bytes).as_bytes()])
    }

    #[test]
    fn what_unicode_calls_ignorable_or_format_is_shown_as_a_replacement() {
        for pattern in [
            r"\p{Default_Ignorable_Code_Point}",
            r"[\p{Cf}--\p{Prepended_Concatenation_Mark}]",
            r"[\p{Zl}\p{Zp}]",
        ] {
            let mut count = 0;
            for character in class(pattern) {
                assert!(is_hidden(character) && !is_safe(character), "{character:?}");
                assert_eq!(shown(character), "\u{fffd}", "{character:?} of {pattern}");
                count += 1;
            }
            assert!(count > 1, "{pattern} has characters");
        }
    }

    #[test]
    fn every_hidden_range_is_shown_from_its_first_to_its_last_character() {
        let ranges = [
            '\u{ad}'..='\u{ad}',
            '\u{34f}'..='\u{34f}',
            '\u{61c}'..='\u{61c}',
            '\u{115f}'..='\u{1160}',
            '\u{17b4}'..='\u{17b5}',
            '\u{180b}'..='\u{180f}',
            '\u{200b}'..='\u{200f}',
            '\u{2028}'..='\u{202e}',
            '\u{2060}'..='\u{206f}',
            '\u{3164}'..='\u{3164}',
            '\u{fe00}'..='\u{fe0f}',
            '\u{feff}'..='\u{feff}',
            '\u{ffa0}'..='\u{ffa0}',
            '\u{fff0}'..='\u{fffb}',
            '\u{13430}'..='\u{1343f}',
            '\u{16fe4}'..='\u{16fe4}',
            '\u{1bca0}'..='\u{1bca3}',
            '\u{1d173}'..='\u{1d17a}',
            '\u{e0000}'..='\u{e0fff}',
        ];
        let hidden = |character: char| ranges.iter().any(|range| range.contains(&character));
        for character in '\0'..=char::MAX {
            let expected = if hidden(character) {
                "\u{fffd}".into()
            } else if character.is_control() && !matches!(character, '\n' | '\t') {
                String::new()
            } else {
                String::from(character)
            };
            assert_eq!(shown(character), expected, "{character:?}");
        }
    }

    #[test]
    fn letters_numbers_signs_and_marks_pass() {
        for character in
            class(r"[\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}--\p{Default_Ignorable_Code_Point}]")
        {
            assert!(
                is_safe(character) || character == '\u{16fe4}',
                "{character:?}"
            );
        }
        assert!(class(r"\p{Prepended_Concatenation_Mark}").all(is_safe));
    }

    #[test]
    fn texts_that_differ_in_what_does_not_show_look_different() {
        for hidden in [
            "ad\u{200b}min",
            "admin\u{fe0f}",
            "adm\u{e0061}in",
            "\u{feff}admin",
        ] {
            let text = sanitise(&[hidden.as_bytes()]);
            assert_eq!(text.matches('\u{fffd}').count(), 1, "{text:?}");
        }
    }

    #[test]
    fn an_escape_cannot_be_smuggled_across_pieces() {
        assert_eq!(sanitise(&[b"\xc2", b"\x9b", b"31m"]), "31m");
        assert_eq!(sanitise(&[b"\xe2\x80", b"\xae", b"abc"]), "\u{fffd}abc");
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
