//! What can be wrong with training data.

use llm_core::transformer::training::MAX_DATA_BYTES;

/// Why training data cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DataError {
    /// There is too much.
    #[error("{bytes} bytes of data, at most {MAX_DATA_BYTES} can be used: take fewer examples")]
    TooLong {
        /// Its size in bytes.
        bytes: usize,
    },
    /// It is not UTF-8.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// The line, from 1.
        line: usize,
    },
    /// A JSON line is not an example.
    #[error(
        "line {line} is not an example: {reason}; a line is {{\"prompt\": \"…\", \"answer\": \"…\"}} or {{\"text\": \"…\"}}"
    )]
    Example {
        /// The line, from 1.
        line: usize,
        /// The JSON parser's message.
        reason: String,
    },
    /// There are no examples.
    #[error("there is no example in it")]
    Empty,
}
