//! UTF-8 that arrives byte by byte.
//!
//! The crate `utf8parse` does nearly this, but drops the byte that breaks a character off, which may begin another.

/// A character, or bytes that are not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit<'b> {
    /// The character; `None` if the bytes are invalid.
    pub character: Option<char>,
    /// Its bytes, from one to four.
    pub bytes: &'b [u8],
}

impl Unit<'_> {
    /// The character, or U+FFFD for invalid bytes.
    #[must_use]
    pub fn or_replacement(self) -> char {
        self.character.unwrap_or(char::REPLACEMENT_CHARACTER)
    }
}

/// Divides a stream of bytes into characters. A character comes out with its last byte; at most three bytes are held
/// back. Invalid bytes come out in the longest parts that could have begun a character, so that replacing each part gives
/// the same text as
/// [`String::from_utf8_lossy`](https://doc.rust-lang.org/std/string/struct.String.html#method.from_utf8_lossy).
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    held: [u8; 4],
    len: usize,
}

impl Utf8Stream {
    /// A stream of which nothing has arrived.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            held: [0; 4],
            len: 0,
        }
    }

    /// Whether no byte is held back.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the next byte.
    #[inline]
    pub fn push(&mut self, byte: u8, sink: &mut impl FnMut(Unit<'_>)) {
        // ASCII, which is most text, is complete in itself.
        if self.len == 0 && byte.is_ascii() {
            return sink(Unit {
                character: Some(char::from(byte)),
                bytes: &[byte],
            });
        }
        self.push_to_held(byte, sink);
    }

    fn push_to_held(&mut self, byte: u8, sink: &mut impl FnMut(Unit<'_>)) {
        let before = self.len;
        // There is room: four bytes are either complete or invalid.
        if let Some(room) = self.held.get_mut(before) {
            *room = byte;
            self.len = before.saturating_add(1);
        }
        let held = self.held.get(..self.len).unwrap_or(&[]);
        let (character, bytes) = match core::str::from_utf8(held) {
            Ok(text) => (text.chars().next(), held),
            Err(error) if error.error_len().is_none() => return,
            Err(_) if before == 0 => (None, held),
            // The bytes before could have begun a character, so it is the last one that does not fit.
            Err(_) => (None, held.get(..before).unwrap_or(held)),
        };
        let is_taken = bytes.len() == self.len;
        sink(Unit { character, bytes });
        self.len = 0;
        if !is_taken {
            // It may begin another. Nothing is held now, so this goes no deeper.
            self.push(byte, sink);
        }
    }

    /// Ends the stream. What is held back comes out as invalid.
    pub fn finish(&mut self, sink: &mut impl FnMut(Unit<'_>)) {
        let held = self.held.get(..self.len).unwrap_or(&[]);
        if !held.is_empty() {
            sink(Unit {
                character: None,
                bytes: held,
            });
        }
        self.len = 0;
    }
}

/// Secrets are typed, too.
#[cfg(feature = "zeroize")]
impl zeroize::Zeroize for Utf8Stream {
    fn zeroize(&mut self) {
        self.held.zeroize();
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::String;
    use std::vec::Vec;

    proptest! {
        #[test]
        fn any_bytes_are_streamed_as_the_standard_library_reads_them_and_none_is_lost(
            bytes in prop::collection::vec(
                prop_oneof![any::<u8>(), 0x80_u8..0xC0, 0xE0_u8..0xF8, Just(b'a')],
                0..24,
            ),
        ) {
            let (mut text, mut all) = (String::new(), Vec::new());
            let mut take = |unit: Unit<'_>| {
                text.push(unit.or_replacement());
                all.extend_from_slice(unit.bytes);
            };
            let mut stream = Utf8Stream::new();
            for &byte in &bytes {
                stream.push(byte, &mut take);
            }
            stream.finish(&mut take);
            prop_assert!(stream.is_empty());
            prop_assert_eq!(text, String::from_utf8_lossy(&bytes));
            prop_assert_eq!(all, bytes);
        }
    }
}
