//! Turns an adapter's file into lines of text: see [`protocol::armour`].

use base64ct::{Base64, Encoding as _};
use protocol::armour::{COLUMNS, LINE_BYTES};

/// The part of an adapter's file that was not printed yet.
#[derive(Debug)]
pub(crate) struct Armour {
    /// Bytes that do not fill a line yet.
    rest: heapless::Vec<u8, LINE_BYTES>,
    /// Bytes received.
    pub(crate) bytes: u64,
    pub(crate) has_begun: bool,
}

impl Armour {
    pub(crate) const fn new() -> Self {
        Self {
            rest: heapless::Vec::new(),
            bytes: 0,
            has_begun: false,
        }
    }

    /// Takes more of the file, and passes each full line to `line`.
    pub(crate) fn push(&mut self, bytes: &[u8], line: &mut dyn FnMut(&str)) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        for byte in bytes {
            // There is room, because full lines were taken out.
            let _ = self.rest.push(*byte);
            if self.rest.is_full() {
                self.finish(line);
            }
        }
    }

    /// Passes the last line to `line`, if there is one.
    pub(crate) fn finish(&mut self, line: &mut dyn FnMut(&str)) {
        let mut text = [0; COLUMNS];
        if !self.rest.is_empty() {
            // The text of a full line fits in the buffer.
            line(Base64::encode(&self.rest, &mut text).unwrap_or(""));
        }
        self.rest.clear();
    }
}
