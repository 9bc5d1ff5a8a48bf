//! An example for fine-tuning, written as the line of JSON that audit stores.

use core::fmt::{self, Write as _};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_EXAMPLE_BYTES;
use safe_text::json::{Compact, Object};

/// What the model shall learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Example<'e> {
    /// A whole text.
    Text(&'e str),
    /// An answer to a prompt.
    Answer {
        /// The prompt.
        prompt: &'e str,
        /// The answer, including its leading space or line feed.
        answer: &'e str,
    },
}

impl Example<'_> {
    /// Writes the line into `buffer`. [`MAX_EXAMPLE_BYTES`] suffice for every valid example.
    ///
    /// # Errors
    /// It has more bytes than the buffer holds or audit accepts.
    pub fn line<'b>(&self, buffer: &'b mut [u8]) -> Result<&'b str, Failure> {
        let limit = buffer.len().min(MAX_EXAMPLE_BYTES);
        let mut line = Line {
            buffer,
            written: 0,
            wanted: 0,
        };
        // Writing never fails: text that does not fit is only counted.
        let _ = write!(line, "{self}");
        if line.wanted > limit {
            let (value, limit) = (line.wanted as u64, limit as u64);
            return Err(Failure::over(ErrorCode::ExampleBytes, value, limit));
        }
        let Line {
            buffer, written, ..
        } = line;
        let bytes = buffer.get(..written).unwrap_or(&[]);
        // Only whole strings were copied, so this is UTF-8.
        Ok(core::str::from_utf8(bytes).unwrap_or(""))
    }
}

/// Formats as the line of JSON.
impl fmt::Display for Example<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut object = Object::new(f);
        match self {
            Self::Text(text) => object.member("text", Compact(text)),
            Self::Answer { prompt, answer } => object
                .member("prompt", Compact(prompt))
                .member("answer", Compact(answer)),
        }
        .finish()
    }
}

/// A buffer that holds only whole strings, up to the first that does not fit.
struct Line<'b> {
    buffer: &'b mut [u8],
    written: usize,
    wanted: usize,
}

impl fmt::Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // After one string that did not fit, no other is written: a truncated line is better than one with a gap.
        let end = self.wanted.saturating_add(text.len());
        let is_whole = self.wanted == self.written;
        if is_whole && let Some(room) = self.buffer.get_mut(self.written..end) {
            room.copy_from_slice(text.as_bytes());
            self.written = end;
        }
        self.wanted = end;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_json_whatever_the_text_is() {
        let mut buffer = [0; 200];
        let pair = Example::Answer {
            prompt: "a \"b\" \\",
            answer: "\n\tc\u{1}\r é🦊",
        };
        assert_eq!(
            pair.line(&mut buffer),
            Ok(r#"{"prompt":"a \"b\" \\","answer":"\n\tc\u0001\r é🦊"}"#)
        );
        let text = Example::Text("");
        assert_eq!(text.line(&mut buffer), Ok(r#"{"text":""}"#));
    }

    #[test]
    fn what_has_no_room_is_refused_with_what_it_needs() {
        let example = Example::Text("wolf");
        let mut buffer = [0; 15];
        assert_eq!(example.line(&mut buffer), Ok(r#"{"text":"wolf"}"#));
        let mut buffer = [0; 14];
        let refused = Failure::over(ErrorCode::ExampleBytes, 15, 14);
        assert_eq!(example.line(&mut buffer), Err(refused));
        let mut buffer = [0; MAX_EXAMPLE_BYTES + 100];
        let long = [b'a'; MAX_EXAMPLE_BYTES - 10];
        let long = core::str::from_utf8(&long).unwrap();
        let (bytes, limit) = (MAX_EXAMPLE_BYTES as u64 + 1, MAX_EXAMPLE_BYTES as u64);
        let refused = Failure::over(ErrorCode::ExampleBytes, bytes, limit);
        assert_eq!(Example::Text(long).line(&mut buffer), Err(refused));
        assert!(Example::Text(&long[1..]).line(&mut buffer).is_ok());
    }
}
