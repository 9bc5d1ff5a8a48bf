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
