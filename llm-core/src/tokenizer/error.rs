//! Why a vocabulary or a text is refused.

use super::{MAX_MERGES, MAX_TOKEN_BYTES, MAX_TOKENS};
use crate::arena::ArenaError;
use crate::gguf::{GgufError, KeyError, Name};

/// Why a file's vocabulary is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VocabularyError {
    /// A key is missing or of the wrong type.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// A key of the tokenizer is unknown, or has an unsupported value.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// `tokenizer.ggml.model` is neither `llama` nor `gpt2`.
    #[error("tokenizer.ggml.model = {model} is not supported (llama and gpt2 are)")]
    UnsupportedTokenizer {
        /// The name in the file.
        model: Name,
    },
    /// `tokenizer.ggml.pre` names a pre-tokenizer that the engine does not support.
    #[error("tokenizer.ggml.pre = {pre} is not supported (docs/models.md lists those that are)")]
    UnsupportedPreTokenizer {
        /// The name in the file.
        pre: Name,
    },
    /// There are more merges than [`MAX_MERGES`].
    #[error("the vocabulary has {merges} merges, at most {MAX_MERGES} are supported")]
    TooManyMerges {
        /// Number of merges.
        merges: usize,
    },
    /// There are no tokens, or more than [`MAX_TOKENS`].
    #[error("the vocabulary has {tokens} tokens, not 1 to {MAX_TOKENS}")]
    BadSize {
        /// Number of tokens.
        tokens: usize,
    },
    /// An array belonging to the tokens has another length.
    #[error("{key} has {len} items for {tokens} tokens")]
    LengthMismatch {
        /// The array.
        key: Name,
        /// Its length.
        len: usize,
        /// Number of tokens.
        tokens: usize,
    },
    /// A token has more than [`MAX_TOKEN_BYTES`].
    #[error("token {id} has {bytes} bytes, but at most {MAX_TOKEN_BYTES} are supported")]
    TokenTooLong {
        /// The token.
        id: u32,
        /// Its length.
        bytes: usize,
    },
    /// Two tokens have the same spelling, so text could mean either.
    #[error("the tokens {other} and {id} have the same text")]
    DuplicateToken {
        /// The later one.
        id: u32,
        /// The earlier one.
        other: u32,
    },
    /// The tokens were crafted so that telling them apart would take very long.
    #[error("token {id} has the same hash as many others: the file was made to load slowly")]
    EqualHashes {
        /// The token.
        id: u32,
    },
    /// The list of suppressed tokens might name all tokens.
    #[error(
        "tokenizer.ggml.suppress_tokens has {suppressed} items for {tokens} tokens: none might be left"
    )]
    TooManySuppressed {
        /// Length of the list.
        suppressed: usize,
        /// Number of tokens.
        tokens: usize,
    },
    /// A score is infinite or not a number.
    #[error("token {id} has a score that is not finite")]
    BadScore {
        /// The token.
        id: u32,
    },
    /// A token of type byte is not spelled `<0xNN>`.
    #[error("token {id} has type byte, but is not written as <0x00> to <0xFF>")]
    BadByteToken {
        /// The token.
        id: u32,
    },
    /// Text must begin or end with a token that the file does not name.
    #[error("the vocabulary asks for {key}, but has no such token")]
    MissingSpecialToken {
        /// The key that would name it.
        key: &'static str,
    },
    /// The arena has no room.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// The table is smaller than [`Requirements::words`](super::Requirements::words).
    #[error("the vocabulary needs a table of {needed} words, got {words}")]
    TableTooSmall {
        /// Words given.
        words: usize,
        /// Words needed.
        needed: usize,
    },
}

/// Why a text cannot be tokenized.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenizeError {
    /// The text is not UTF-8.
    #[error("the text is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Offset of the first invalid byte.
        offset: usize,
    },
    /// The text has more tokens than fit the output.
    #[error("the text has {tokens} tokens, but at most {limit} fit")]
    TooManyTokens {
        /// Tokens of the text.
        tokens: usize,
        /// Size of the output in tokens.
        limit: usize,
    },
    /// There are fewer cells than [`scratch_cells`](super::scratch_cells).
    #[error("tokenizing needs {needed} cells of scratch, got {cells}")]
    ScratchTooSmall {
        /// Cells given.
        cells: usize,
        /// Cells needed.
        needed: usize,
    },
    /// The vocabulary has neither a token for a byte nor an unknown token.
    #[error("the vocabulary has no token for the byte {byte:#04x}")]
    NoByteToken {
        /// The byte.
        byte: u8,
    },
}
