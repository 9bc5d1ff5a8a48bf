//! The training data: either a text whose examples are separated by blank lines, or one JSON object per line.
//!
//! A prompt is tokenized exactly like a request's. An answer is tokenized as a model would generate it, with nothing
//! added before it, and is followed by the end token. Plain text gets no end token, because it may be a passage of a
//! longer text: a model taught to stop after any passage loses its flow.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

use super::json::{self, Text};
use super::{MAX_DATA_BYTES, TrainError};
use crate::tokenizer::{Cell, EncodeOptions, TokenizeError, VocabularyView};
use zerocopy::IntoBytes;

/// Maximum number of tokens of an example beyond one per byte: one at its beginning, one at its end, and a leading
/// space.
const EXTRA_TOKENS: usize = 3;

/// An example in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source<'d> {
    /// Its first line, from 1.
    line: u32,
    /// Its size in the data, in bytes.
    bytes: usize,
    kind: Kind<'d>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind<'d> {
    Text(Words<'d>),
    Answered { prompt: Text<'d>, answer: Text<'d> },
}

/// A text as written in the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Words<'d> {
    Plain(&'d [u8]),
    Escaped(Text<'d>),
}

/// The size of the examples in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) examples: usize,
    pub(super) tokens: usize,
    pub(super) longest: usize,
}

/// Tokenizes text.
pub(super) struct Tokens<'t> {
    pub(super) vocabulary: VocabularyView<'t>,
    /// Scratch: cells for a text, followed by its bytes if it contains escapes.
    pub(super) cells: &'t mut [Cell],
    /// Maximum number of tokens of an example.
    pub(super) context: usize,
}

/// Counts the examples of `data` and their tokens.
///
/// # Errors
/// The first error in the data.
pub(super) fn count(data: &[u8], tokens: &mut Tokens<'_>) -> Result<Count, TrainError> {
    if data.len() > MAX_DATA_BYTES {
        return Err(TrainError::TooLong { bytes: data.len() });
    }
    if let Err(error) = core::str::from_utf8(data) {
        let before = data.get(..error.valid_up_to()).unwrap_or(&[]);
        return Err(TrainError::NotUtf8 {
            line: 1 + lines_in(before),
        });
    }
    let mut count = Count::default();
    each(data, |source| {
        let [len, _] = tokens.encode(&source, &mut [])?;
        count.examples += 1;
        count.tokens += len;
        count.longest = count.longest.max(len);
        Ok(())
    })?;
    match count.examples {
        0 => Err(TrainError::Empty),
        _ => Ok(count),
    }
}

/// Writes the tokens of all examples of `data`, which must have been counted, one after the other; and for each example
/// its end, and the index of the first token that it teaches.
///
/// # Errors
/// See [`count`].
pub(super) fn fill(
    data: &[u8],
    tokens: &mut Tokens<'_>,
    mut ids: &mut [u32],
    examples: &mut [[u32; 2]],
) -> Result<(), TrainError> {
    let mut end = 0;
    let mut examples = examples.iter_mut();
    each(data, |source| {
        let [len, first] = tokens.encode(&source, ids)?;
        end += len as u32;
        if let Some(example) = examples.next() {
            *example = [end, first as u32];
        }
        ids = core::mem::take(&mut ids)
            .split_at_mut_checked(len)
            .map_or(&mut [], |(_, rest)| rest);
        Ok(())
    })
}

/// The line in which a byte first occurs.
fn line_of(data: &[u8], byte: u8) -> u32 {
    let text = data.split(|other| *other == byte).next();
    lines_in(text.unwrap_or(&[])).saturating_add(1)
}

/// Number of line ends in `text`.
fn lines_in(text: &[u8]) -> u32 {
    text.iter().filter(|byte| **byte == b'\n').count() as u32
}

/// Passes each example of `data` to `take`.
fn each<'d>(
    data: &'d [u8],
    mut take: impl FnMut(Source<'d>) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    // Some editors write a byte order mark at the beginning.
    let data = data.strip_prefix("\u{feff}".as_bytes()).unwrap_or(data);
    let mut marks = data.iter().filter(|byte| !byte.is_ascii_whitespace());
    let first = marks.next();
    if first == Some(&b'[') && marks.next() == Some(&b'{') {
        let what =
            "it begins an array: each line has one object, without brackets or commas around it";
        return Err(TrainError::Malformed {
            line: line_of(data, b'['),
            what,
        });
    }
    let is_json = first == Some(&b'{');
    let mut line = 0;
    // The start of the current run of non-blank lines, and its line number.
    let mut open: Option<(usize, u32)> = None;
    let mut at = 0_usize;
    for text in data.split_inclusive(|byte| *byte == b'\n') {
        line += 1;
        let start = at;
        at = at.saturating_add(text.len());
        let is_blank = text.trim_ascii().is_empty();
        if is_json {
            if !is_blank {
                take(object(text.trim_ascii(), line)?)?;
            }
        } else if !is_blank {
            open.get_or_insert((start, line));
        } else if let Some((from, line)) = open.take() {
            take(plain(data.get(from..start).unwrap_or(&[]), line))?;
        }
    }
    match open {
        Some((from, line)) => take(plain(data.get(from..).unwrap_or(&[]), line)),
        None => Ok(()),
    }
}

/// A plain-text example, without its last line end.
fn plain(text: &[u8], line: u32) -> Source<'_> {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    Source {
        line,
        bytes: text.len(),
        kind: Kind::Text(Words::Plain(text)),
    }
}

/// The example of a line of JSON.
fn object(text: &[u8], line: u32) -> Result<Source<'_>, TrainError> {
    let malformed = |what| TrainError::Malformed { line, what };
    let (mut prompt, mut answer, mut whole) = (None, None, None);
    json::members(text, |key, value| {
        let member = match () {
            () if key.is("prompt") => &mut prompt,
            () if key.is("answer") => &mut answer,
            () if key.is("text") => &mut whole,
            () => return Err("it has a member that is not called prompt, answer or text"),
        };
        match member.replace(value) {
            None => Ok(()),
            Some(_) => Err("it has a member twice"),
        }
    })
    .map_err(malformed)?;
    let kind = match (prompt, answer, whole) {
        (Some(prompt), Some(answer), None) => Kind::Answered { prompt, answer },
        (None, None, Some(text)) => Kind::Text(Words::Escaped(text)),
        _ => return Err(malformed("it has neither prompt and answer nor text alone")),
    };
    Ok(Source {
        line,
        bytes: text.len(),
        kind,
    })
}

impl Tokens<'_> {
    /// Tokenizes an example, writing to `to` if it has room. Returns the number of tokens, and the index of the first
    /// one that it teaches.
    fn encode(&mut self, source: &Source<'_>, to: &mut [u32]) -> Result<[usize; 2], TrainError> {
        let line = source.line;
        let (mut len, first) = match source.kind {
            Kind::Text(words) => (self.words(&words, true, line, to)?, 1),
            Kind::Answered { prompt, answer } => {
                let prompt = self.words(&Words::Escaped(prompt), true, line, to)?;
                let rest = to.get_mut(prompt..).unwrap_or(&mut []);
                let answer = self.words(&Words::Escaped(answer), false, line, rest)?;
                (prompt.saturating_add(answer), prompt.max(1))
            }
        };
        let ends = matches!(source.kind, Kind::Answered { .. });
        if let Some(end) = self.vocabulary.eos().filter(|_| ends) {
            if let Some(to) = to.get_mut(len) {
                *to = end;
            }
            len = len.saturating_add(1);
        }
        if len <= first {
            let what = "it has nothing to learn";
            return Err(TrainError::Malformed { line, what });
        }
        if len > source.bytes.saturating_add(EXTRA_TOKENS) {
            let what = "it has more tokens than bytes";
            return Err(TrainError::Malformed { line, what });
        }
        match len > self.context {
            true => Err(TrainError::Context {
                line,
                tokens: len,
                limit: self.context,
            }),
            false => Ok([len, first]),
        }
    }

    /// Tokenizes a text, either at the beginning or after another.
    fn words(
        &mut self,
        words: &Words<'_>,
        begins: bool,
        line: u32,
        to: &mut [u32],
    ) -> Result<usize, TrainError> {
        let cells = self.cells.len();
        let (text, scratch) = match words {
            Words::Plain(text) => (*text, &mut *self.cells),
            Words::Escaped(text) => {
                // The bytes of unescaped text are after the cells.
                let room = text.len().div_ceil(size_of::<Cell>());
                let at = cells.saturating_sub(room);
                let (cells, bytes) = self.cells.split_at_mut(at);
                (text.write(bytes.as_mut_bytes()), cells)
            }
        };
        let longest = match words {
            Words::Plain(_) => cells.saturating_sub(1),
            // A text needs one cell per byte plus one, and a cell for each sixteen bytes.
            Words::Escaped(_) => cells.saturating_sub(2) / 17 * 16,
        };
        let bytes = match words {
            Words::Plain(text) => text.len(),
            Words::Escaped(text) => text.len(),
        };
        if bytes > longest {
            return Err(TrainError::TextTooLong {
                line,
                bytes,
                limit: longest,
            });
        }
        let vocabulary = match begins {
            true => self.vocabulary,
            false => self.vocabulary.continuing(),
        };
        let options = EncodeOptions {
            add_special: begins,
            parse_special: false,
            parse_user_defined: true,
        };
        match vocabulary.encode(text, options, scratch, to) {
            Ok(tokens) | Err(TokenizeError::TooManyTokens { tokens, .. }) => Ok(tokens),
            Err(TokenizeError::NoByteToken { byte }) => Err(TrainError::NoToken { line, byte }),
            Err(TokenizeError::NotUtf8 { .. }) => Err(TrainError::NotUtf8 { line }),
            Err(TokenizeError::ScratchTooSmall { .. }) => Err(TrainError::TextTooLong {
                line,
                bytes,
                limit: longest,
            }),
        }
    }
}
