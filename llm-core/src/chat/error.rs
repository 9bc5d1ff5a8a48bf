//! Why a conversation or a scaffold is refused.

use super::{MAX_LITERAL_BYTES, MAX_REFUSED, MAX_SCAFFOLD_BYTES, MAX_SEGMENTS};
use crate::gguf::{GgufError, Name};
use crate::tokenizer::TokenizeError;

/// Why a conversation is refused. Segments count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
        spelling: Name,
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
    /// It refuses too many spellings.
    #[error("the chat scaffold refuses {spellings} spellings, at most {MAX_REFUSED} are allowed")]
    TooManyRefused {
        /// How many.
        spellings: usize,
    },
    /// It was derived from another template than the file has.
    #[error(
        "the file's chat scaffold was derived from another chat template than the file has: derive it anew with `llmtool chat-template`"
    )]
    OtherTemplate,
}
