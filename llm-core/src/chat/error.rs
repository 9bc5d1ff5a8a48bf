//! Why a conversation or a scaffold is refused.

use super::{MAX_LITERAL_BYTES, MAX_SCAFFOLD_BYTES, MAX_SEGMENTS};
use crate::gguf::{self, GgufError};
use crate::tokenizer::TokenizeError;

/// Why a conversation is refused. Segments count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChatError {
    /// There are no segments, or more than [`MAX_SEGMENTS`].
    #[error("the conversation has {segments} segments, not 1 to {MAX_SEGMENTS}")]
    Segments {
        /// Number of segments.
        segments: usize,
    },
    /// The roles are not in the required order.
    #[error(
        "segment {segment} is {found}'s, but {expected}'s is due: after a system text, if there is one, user and \
         assistant take turns, and the user is last"
    )]
    Order {
        /// Number of the segment.
        segment: usize,
        /// The role it has.
        found: &'static str,
        /// The role it must have.
        expected: &'static str,
    },
    /// A system text in a conversation that has already begun.
    #[error("a system text can only begin a conversation, and this one is under way")]
    LateSystem,
    /// The model has no place for a system text.
    #[error("the model's chat template takes no system text: put it into the prompt")]
    NoSystem,
    /// A text of only white space; templates disagree about these.
    #[error("segment {segment} has no text")]
    Blank {
        /// Number of the segment.
        segment: usize,
    },
    /// The model's template treats texts that contain this specially.
    #[error(
        "segment {segment} contains {spelling}, which the model's chat template treats specially: leave it out"
    )]
    Refused {
        /// Number of the segment.
        segment: usize,
        /// The text in question.
        spelling: Label,
    },
    /// The conversation is longer than the buffer for it.
    #[error("the conversation has {bytes} bytes with its scaffold, at most {limit} are allowed")]
    TooLong {
        /// Size of the conversation in bytes.
        bytes: usize,
        /// Size of the buffer in bytes.
        limit: usize,
    },
    /// The text cannot be tokenized, or has too many tokens.
    #[error(transparent)]
    Tokenize(#[from] TokenizeError),
}

/// The beginning of a text from a file, for people: at most [`Self::BYTES`] bytes of whole characters, with control
/// characters shown as `?`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label {
    bytes: [u8; Self::BYTES],
    len: u8,
}

impl Label {
    /// Maximum size in bytes.
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

/// Why a file's scaffold is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScaffoldError {
    /// A key is missing or of the wrong type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// It has too few or too many strings.
    #[error("the file's chat scaffold has {strings} strings, not {least} to {most}")]
    Strings {
        /// Number of strings.
        strings: usize,
        /// Minimum.
        least: usize,
        /// Maximum.
        most: usize,
    },
    /// A string is not UTF-8, or not one of the allowed words.
    #[error("string {at} of the file's chat scaffold is wrong")]
    Wrong {
        /// Its index, from 0.
        at: usize,
    },
    /// Its strings are too long.
    #[error(
        "the file's chat scaffold has {bytes} bytes; at most {MAX_LITERAL_BYTES} in a string and {MAX_SCAFFOLD_BYTES} in all \
         are allowed"
    )]
    TooLong {
        /// Their total size in bytes.
        bytes: usize,
    },
    /// It was derived from a template other than the file's.
    #[error(
        "the file's chat scaffold was derived from another chat template than the file has: derive it anew with `llmtool chat-template`"
    )]
    OtherTemplate,
}
