//! Why a conversation or a scaffold is refused.

use super::{MAX_LITERAL_BYTES, MAX_SCAFFOLD_BYTES, MAX_SEGMENTS};
use crate::gguf::{self, GgufError};
use crate::tokenizer::TokenizeError;

/// Why a conversation is refused. Segments count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// There is none, or there are more than [`MAX_SEGMENTS`].
    #[error("the conversation has {segments} segments, not 1 to {MAX_SEGMENTS}")]
    Segments {
        /// How many.
        segments: usize,
    },
    /// Roles do not follow one another as they must.
    #[error(
        "segment {segment} is {found}'s, but {expected}'s is due: after a system text, if there is one, user and \
         assistant take turns, and the user is last"
    )]
    Order {
        /// Which.
        segment: usize,
        /// Whose it is.
        found: &'static str,
        /// Whose it would have to be.
        expected: &'static str,
    },
    /// A system text in a conversation that is under way.
    #[error("a system text can only begin a conversation, and this one is under way")]
    LateSystem,
    /// The model has no place for a system text.
    #[error("the model's chat template takes no system text: put it into the prompt")]
    NoSystem,
    /// A text of white space alone; templates disagree about these.
    #[error("segment {segment} has no text")]
    Blank {
        /// Which.
        segment: usize,
    },
    /// The model's template does something of its own with texts that have this in them.
    #[error(
        "segment {segment} contains {spelling}, which the model's chat template treats in a way of its own: leave it out"
    )]
    Refused {
        /// Which.
        segment: usize,
        /// What is in it.
        spelling: Label,
    },
    /// The conversation is longer than the buffer for it.
    #[error("the conversation has {bytes} bytes with its scaffold, at most {limit} are allowed")]
    TooLong {
        /// Bytes that it has.
        bytes: usize,
        /// Bytes that fit.
        limit: usize,
    },
    /// The text cannot be tokenized, or has more tokens than fit.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
}

/// The beginning of a text that a file brings, for people: at most [`Self::BYTES`] bytes of whole characters, control
/// characters as `?`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label {
    bytes: [u8; Self::BYTES],
    len: u8,
}

impl Label {
    /// Bytes that are kept.
    pub const BYTES: usize = 32;

    /// The label of this text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let mut label = Self {
            bytes: [0; Self::BYTES],
            len: 0,
        };
        let shown = gguf::name(text);
        let fits = |&end: &usize| shown.is_char_boundary(end);
        let end = (0..=shown.len().min(Self::BYTES)).rev().find(fits);
        let part = shown.as_bytes().get(..end.unwrap_or(0)).unwrap_or(&[]);
        for (place, byte) in label.bytes.iter_mut().zip(part) {
            *place = *byte;
            label.len = label.len.saturating_add(1);
        }
        label
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..self.len.into()).unwrap_or(&[]);
        core::str::from_utf8(bytes).unwrap_or("")
    }
}

impl core::fmt::Display for Label {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl core::fmt::Debug for Label {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Why a scaffold that a file brings is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaffoldError {
    /// The keys are of the wrong type, or one is missing.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// It has too few or too many strings.
    #[error("the file's chat scaffold has {strings} strings, not {least} to {most}")]
    Strings {
        /// How many.
        strings: usize,
        /// At least.
        least: usize,
        /// At most.
        most: usize,
    },
    /// A string is no text, or not one of the words that may stand there.
    #[error("string {at} of the file's chat scaffold is wrong")]
    Wrong {
        /// Which, from 0.
        at: usize,
    },
    /// Its strings are too long.
    #[error(
        "the file's chat scaffold has {bytes} bytes; at most {MAX_LITERAL_BYTES} in a string and {MAX_SCAFFOLD_BYTES} in all \
         are allowed"
    )]
    TooLong {
        /// How many.
        bytes: usize,
    },
    /// It was derived from another template than the file has.
    #[error(
        "the file's chat scaffold was derived from another chat template than the file has: derive it anew with `llmtool chat-template`"
    )]
    OtherTemplate,
}
