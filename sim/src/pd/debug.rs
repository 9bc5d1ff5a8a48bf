//! A domain's debug output. It stands for the console of a debug kernel, and writes nothing if there is none.

use crate::description::Debug;
use rustix::stdio::stderr;
use std::fmt;

/// Longest line in bytes; a longer one is broken.
const LINE_BYTES: usize = 256;

/// Lines on standard error, each prefixed with the domain's name, if the system was started with `--debug`. It never
/// allocates once it is made.
#[derive(Debug)]
pub struct DebugOutput {
    how: Option<Debug>,
    line: Vec<u8>,
    /// Bytes of the prefix: the name and the separator.
    prefix: usize,
}

impl DebugOutput {
    pub(super) fn new(domain: &str, how: Option<Debug>) -> Self {
        let mut line = Vec::with_capacity(domain.len() + 2 + LINE_BYTES + 2);
        line.extend(domain.bytes().chain(*b": "));
        let prefix = line.len();
        Self { how, line, prefix }
    }

    /// Writes a byte. A line is written as a whole, at its end.
    pub fn put(&mut self, byte: u8) {
        match byte {
            b'\n' => self.flush(),
            b'\r' => {}
            // A terminal obeys control characters, both ASCII's and those that UTF-8 encodes with 0xc2.
            0..0x20 | 0x7f => self.append(b'?'),
            0x80..0xa0 if self.line.last() == Some(&0xc2) => self.append(b'?'),
            _ => self.append(byte),
        }
    }

    fn append(&mut self, byte: u8) {
        self.line.push(byte);
        if self.line.len() >= self.prefix + LINE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if let Some(Debug { raw }) = self.how {
            let end: &[u8] = if raw { b"\r\n" } else { b"\n" };
            self.line.extend_from_slice(end);
            // If standard error is gone, nobody is left to tell.
            let _ = rustix::io::write(stderr(), &self.line);
        }
        self.line.truncate(self.prefix);
    }
}

impl fmt::Write for DebugOutput {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.put(byte));
        Ok(())
    }
}
