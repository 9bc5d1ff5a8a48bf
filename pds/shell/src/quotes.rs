//! Quotes, escapes and comments of a line, read one byte at a time. Splitting, completion and continuation of lines all
//! use this, so nothing else knows the rules.

/// State of the reader before the next byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before, between or after words.
    Gap,
    /// In a word, outside quotes.
    Word,
    /// In a quote that this byte opened and will close.
    Quote(u8),
    /// In `"…"`, after a backslash.
    Escape,
    /// After a `#`, up to the end of the line.
    Comment,
}

/// The meaning of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// It separates words, and completes a word before it.
    Space,
    /// It adds no text: a quote, the backslash of an escape, part of a comment.
    Sign,
    /// The word gets this byte.
    Text(u8),
    /// The word gets a backslash, which was not an escape, and this byte.
    Backslash(u8),
}

/// Reads a line.
///
/// Words are separated by spaces, tabs and line ends. `"…"` and `'…'` keep them together. Inside `"…"`, `\"`, `\\` and
/// `
/// ` stand for a quote, a backslash and a line feed. A `#` at the start of a word makes the rest of the line a comment.
#[derive(Clone, Debug)]
pub(crate) struct Reader(Place);

impl Reader {
    pub(crate) const fn new() -> Self {
        Self(Place::Gap)
    }

    /// Takes the next byte.
    pub(crate) const fn read(&mut self, byte: u8) -> Piece {
        let (place, piece) = match (self.0, byte) {
            (Place::Gap | Place::Word, b' ' | b'\t' | b'\n') | (Place::Comment, b'\n') => {
                (Place::Gap, Piece::Space)
            }
            (Place::Gap, b'#') | (Place::Comment, _) => (Place::Comment, Piece::Sign),
            (Place::Gap | Place::Word, b'"' | b'\'') => (Place::Quote(byte), Piece::Sign),
            (Place::Gap | Place::Word, _) => (Place::Word, Piece::Text(byte)),
            (Place::Quote(b'"'), b'\\') => (Place::Escape, Piece::Sign),
            (Place::Quote(quote), _) if byte == quote => (Place::Word, Piece::Sign),
            (Place::Quote(_), _) => (self.0, Piece::Text(byte)),
            (Place::Escape, b'n') => (Place::Quote(b'"'), Piece::Text(b'\n')),
            (Place::Escape, b'"' | b'\\') => (Place::Quote(b'"'), Piece::Text(byte)),
            (Place::Escape, _) => (Place::Quote(b'"'), Piece::Backslash(byte)),
        };
        self.0 = place;
        piece
    }

    /// Whether a word has begun and is not complete.
    pub(crate) const fn is_in_word(&self) -> bool {
        !matches!(self.0, Place::Gap | Place::Comment)
    }

    /// Whether the next byte belongs to a comment.
    const fn is_in_comment(&self) -> bool {
        matches!(self.0, Place::Comment)
    }

    /// The open quote.
    pub(crate) const fn open_quote(&self) -> Option<u8> {
        match self.0 {
            Place::Quote(quote) => Some(quote),
            Place::Escape => Some(b'"'),
            Place::Gap | Place::Word | Place::Comment => None,
        }
    }
}

/// The state at the end of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Words; the last one begins here. It is empty after a space.
    Word(usize),
    /// An open quote.
    Quote,
    /// A comment.
    Comment,
}

/// The state at the end of a line.
pub(crate) fn end(line: &[u8]) -> End {
    let mut reader = Reader::new();
    let mut start = None;
    for (at, byte) in line.iter().enumerate() {
        reader.read(*byte);
        start = start.or(Some(at)).filter(|_| reader.is_in_word());
    }
    match reader.open_quote() {
        Some(_) => End::Quote,
        None if reader.is_in_comment() => End::Comment,
        None => End::Word(start.unwrap_or(line.len())),
    }
}

/// The words of a line as they were typed, with their quotes.
pub(crate) fn typed_words(line: &[u8]) -> impl Iterator<Item = &[u8]> + Clone {
    let mut reader = Reader::new();
    let is_outside = move |byte: &u8| {
        reader.read(*byte);
        !reader.is_in_word()
    };
    line.split(is_outside).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_comment_opens_no_quote_and_a_quote_no_comment() {
        for closed in ["help # it's", "a 'b # c'", "a#'b'", "# \"\na", "\"a\\\\\""] {
            assert_ne!(end(closed.as_bytes()), End::Quote, "{closed}");
        }
        for open in ["llminfer 'a # b", "a#'b", "# x\n\"y", "x \"a\\\"", "\"a\\"] {
            assert_eq!(end(open.as_bytes()), End::Quote, "{open}");
        }
        assert_eq!(end(b"a # b"), End::Comment);
    }

    #[test]
    fn the_last_word_begins_behind_the_last_space_that_is_in_no_quote() {
        for (line, start) in [("", 0), ("a", 0), ("a ", 2), ("a bc", 2), ("a \"b c\"d", 2)] {
            assert_eq!(end(line.as_bytes()), End::Word(start), "{line}");
        }
    }

    #[test]
    fn words_as_they_were_typed_have_their_quotes() {
        let words: Vec<&[u8]> = typed_words(b" a \"b c\"d '' # e\nf").collect();
        assert_eq!(words, [&b"a"[..], b"\"b c\"d", b"''", b"f"]);
    }
}
