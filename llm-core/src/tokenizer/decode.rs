//! Converts tokens to bytes, and bytes to characters.

use super::ESCAPED_SPACE;

/// The bytes of a token's text.
#[derive(Clone, Debug)]
pub struct Decoded<'t> {
    pub(super) rest: &'t [u8],
    pub(super) escaped: bool,
    pub(super) byte: Option<u8>,
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if let Some(byte) = self.byte.take() {
            return Some(byte);
        }
        if let Some(rest) = self
            .rest
            .strip_prefix(&ESCAPED_SPACE)
            .filter(|_| self.escaped)
        {
            self.rest = rest;
            return Some(b' ');
        }
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }
}

/// Decodes UTF-8 from a stream of bytes. A character comes out with its last byte; at most three bytes are held back.
/// Invalid UTF-8 becomes U+FFFD, one for each longest part that could have begun a character, as in
/// [`String::from_utf8_lossy`](https://doc.rust-lang.org/std/string/struct.String.html#method.from_utf8_lossy).
#[derive(Clone, Debug, Default)]
pub struct Utf8Stream {
    held: heapless::Vec<u8, 4>,
}

impl Utf8Stream {
    /// An empty stream.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            held: heapless::Vec::new(),
        }
    }

    /// Takes the next byte.
    pub fn push(&mut self, byte: u8, sink: &mut impl FnMut(char)) {
        // Cannot fail: at most three bytes are held between calls.
        let _ = self.held.push(byte);
        match core::str::from_utf8(&self.held) {
            Ok(text) => {
                text.chars().for_each(&mut *sink);
                self.held.clear();
            }
            Err(error) if error.error_len().is_none() => {}
            Err(_) => {
                // The held bytes could have begun a character, so it is this byte that does not fit; it may begin
                // another.
                let alone = self.held.len() == 1;
                self.held.clear();
                sink(char::REPLACEMENT_CHARACTER);
                if !alone {
                    self.push_first(byte, sink);
                }
            }
        }
    }

    /// Ends the text: an incomplete character becomes U+FFFD.
    pub fn finish(&mut self, sink: &mut impl FnMut(char)) {
        if !self.held.is_empty() {
            self.held.clear();
            sink(char::REPLACEMENT_CHARACTER);
        }
    }

    /// Takes a byte while none is held.
    fn push_first(&mut self, byte: u8, sink: &mut impl FnMut(char)) {
        match core::str::from_utf8(&[byte]) {
            Ok(_) => sink(char::from(byte)),
            Err(error) if error.error_len().is_none() => {
                let _ = self.held.push(byte);
            }
            Err(_) => sink(char::REPLACEMENT_CHARACTER),
        }
    }
}
