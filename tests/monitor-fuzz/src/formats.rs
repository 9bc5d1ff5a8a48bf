//! The format of an answer in the simplest form: a list of words, or of stop strings.
//!
//! Audit walks automata byte by byte; here the whole text is compared with each word.

use formats::Formats;
use formats::encode::{Encoded, image, words};
use protocol::hash::Hash;
use protocol::name::FormatName;
use protocol::wire::Parts;
use protocol::wire::client::FormatEntry;
use sha2::{Digest as _, Sha256};

/// The formats of all policies that have any, with their words.
pub const FORMATS: [(&str, &[&str]); 3] = [
    ("verdict", &["yes", "no", "not yet"]),
    ("letters", &["a", "ab", "abcb", "b", "cabcab"]),
    ("umlauts", &["\u{fc}", "u", "\u{fc}\u{f6}", "\u{732b}"]),
];

/// The region, and its formats as listed for a client that may use none of them.
///
/// # Panics
/// The words are not a valid format.
#[must_use]
pub fn compiled() -> (Vec<u8>, Vec<FormatEntry>) {
    let encoded = FORMATS.map(|(name, list)| {
        let list: Vec<&[u8]> = list.iter().map(|word| word.as_bytes()).collect();
        (name, Encoded::new(&words(&list)).expect("a format"))
    });
    let image = image(encoded.iter().map(|(name, one)| (*name, one))).expect("an image");
    let read = Formats::read(&image).expect("the image just made");
    let listed = read.iter().map(|named| FormatEntry {
        name: FormatName::new(named.name).unwrap_or_default(),
        states: named.dfa.states() as u32,
        bytes: named.table.len() as u32,
        allowed: false,
        sha256: Sha256::digest(named.table).into(),
    });
    let listed = listed.collect();
    (image, listed)
}

/// The hash of a request's choices.
#[must_use]
pub fn sha256_of(parts: &Parts<'_>) -> Hash {
    let list: Vec<&str> = parts.choices().collect();
    Sha256::digest(list.join("\n")).into()
}

/// The format of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Answer {
    /// Any text.
    #[default]
    Free,
    /// One of these words.
    Words(Vec<Vec<u8>>),
    /// Any text without these stop strings.
    Stops(Vec<Vec<u8>>),
}

impl Answer {
    /// The format of the answer to this request, if it is admitted.
    #[must_use]
    pub fn of(format: FormatName, parts: &Parts<'_>) -> Self {
        let bytes = |list: &mut dyn Iterator<Item = &str>| -> Vec<Vec<u8>> {
            list.map(|text| text.as_bytes().to_vec()).collect()
        };
        let (choices, stops) = (bytes(&mut parts.choices()), bytes(&mut parts.stops()));
        let named = FORMATS.iter().find(|(name, _)| *name == format.as_str());
        match named {
            Some((_, words)) => Self::Words(bytes(&mut words.iter().copied())),
            None if !choices.is_empty() => Self::Words(choices),
            None if !stops.is_empty() => Self::Stops(stops),
            None => Self::Free,
        }
    }

    /// Whether only words may be told.
    #[must_use]
    pub const fn is_bound(&self) -> bool {
        matches!(self, Self::Words(_))
    }

    /// Whether an answer may begin with this text.
    #[must_use]
    pub fn may_begin(&self, text: &[u8]) -> bool {
        let contains = |stop: &Vec<u8>| text.windows(stop.len()).any(|window| window == stop);
        match self {
            Self::Free => true,
            Self::Words(words) => words.iter().any(|word| word.starts_with(text)),
            Self::Stops(stops) => !stops.iter().any(contains),
        }
    }

    /// Whether this may be a complete answer, given that it may be a beginning.
    #[must_use]
    pub fn may_end(&self, text: &[u8]) -> bool {
        match self {
            Self::Words(words) => words.iter().any(|word| word == text),
            Self::Free | Self::Stops(_) => true,
        }
    }

    /// Number of bytes at the end that may become a stop string.
    #[must_use]
    pub fn held(&self, text: &[u8]) -> usize {
        let Self::Stops(stops) = self else {
            return 0;
        };
        let begins = |len: &usize| {
            let end = &text[text.len() - len..];
            stops
                .iter()
                .any(|stop| stop.len() > *len && stop.starts_with(end))
        };
        (0..=text.len()).rev().find(begins).unwrap_or(0)
    }
}
