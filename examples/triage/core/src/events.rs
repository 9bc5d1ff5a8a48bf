//! The lines in the region `events`. Its writer is not trusted to write lines that can be asked about.

/// Longest line that the model is asked about, in bytes. It bounds the cost of a question, because the budget is
/// reserved by the bytes of the prompt.
pub const MAX_LINE_BYTES: usize = 120;

/// Why the model cannot be asked about a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadLine {
    /// It has more than [`MAX_LINE_BYTES`].
    TooLong,
    /// It is not UTF-8.
    NotText,
}

/// A line of the events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'e> {
    /// Line number from 1, as in an editor; empty lines count, too.
    pub number: u32,
    /// Text of the line.
    pub text: Result<&'e str, BadLine>,
}

/// The non-empty lines, up to the first zero byte or the end of the region.
#[derive(Clone, Debug)]
pub struct Events<'e> {
    rest: &'e [u8],
    number: u32,
}

impl<'e> Events<'e> {
    /// The lines in a region.
    #[must_use]
    pub fn new(region: &'e [u8]) -> Self {
        let rest = region.split(|byte| *byte == 0).next().unwrap_or_default();
        Self { rest, number: 0 }
    }
}

impl<'e> Iterator for Events<'e> {
    type Item = Line<'e>;

    fn next(&mut self) -> Option<Line<'e>> {
        while !self.rest.is_empty() {
            let mut parts = self.rest.splitn(2, |byte| *byte == b'\n');
            let bytes = parts.next().unwrap_or_default().trim_ascii();
            self.rest = parts.next().unwrap_or_default();
            self.number = self.number.saturating_add(1);
            if bytes.is_empty() {
                continue;
            }
            let text = if bytes.len() > MAX_LINE_BYTES {
                Err(BadLine::TooLong)
            } else {
                core::str::from_utf8(bytes).map_err(|_| BadLine::NotText)
            };
            let number = self.number;
            return Some(Line { number, text });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn lines(region: &[u8]) -> Vec<(u32, Result<&str, BadLine>)> {
        let lines = Events::new(region);
        lines.map(|line| (line.number, line.text)).collect()
    }

    #[test]
    fn lines_end_at_the_first_zero_and_keep_their_numbers() {
        assert_eq!(
            lines(b"one\n\n  \n\ttwo\r\nthree\0four\n"),
            [(1, Ok("one")), (4, Ok("two")), (5, Ok("three"))]
        );
        assert_eq!(lines(b"last"), [(1, Ok("last"))]);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\0one"), []);
    }

    #[test]
    fn what_cannot_be_asked_about_is_a_line_all_the_same() {
        let long = [b'x'; MAX_LINE_BYTES + 1];
        assert_eq!(lines(&long), [(1, Err(BadLine::TooLong))]);
        assert_eq!(lines(&long[1..]).len(), 1);
        assert!(lines(&long[1..])[0].1.is_ok());
        assert_eq!(
            lines(b"\xff\xfe\nok"),
            [(1, Err(BadLine::NotText)), (2, Ok("ok"))]
        );
    }
}
