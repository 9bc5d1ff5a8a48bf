//! Converts text to token ids and back, as llama.cpp's `llm_tokenizer_spm` and `llm_tokenizer_bpe` do.
//!
//! *SentencePiece BPE with byte fallback* (`tokenizer.ggml.model` = `llama`). A text `c_1 … c_n` of
//! characters (a space is written `▁`) is a chain of symbols. Of all pairs of neighbours whose
//! concatenation is in the vocabulary, the one with the highest score (the leftmost of equals) becomes one symbol,
//! until no pair is left. A symbol that is not a token becomes one token `<0xNN>` per byte.
//!
//! *Byte-level BPE* (`gpt2`). A text is cut into words (`pre`). A word's bytes are a chain of symbols, and of all
//! neighbouring pairs in the file's list of merges, the one listed first (the leftmost of equals) becomes one symbol.
//! Files spell bytes as characters; the table here has the bytes themselves. A merge that makes no token is ignored
//! (llama.cpp would make the symbol and then spell it byte by byte).
//!
//! Before either, the text is cut at special tokens. Sources: Kudo and Richardson, *SentencePiece*
//! (2018); Radford et al., *Language Models are Unsupervised Multitask Learners* (2019);
//! `src/llama-vocab.cpp` of llama.cpp.
//!
//! Everything is in one table of 32-bit words ([`Requirements`]) in the arena; a lookup is a binary search in it. The
//! highest-scored pair is the root of a tournament tree over the text's bytes, kept in the caller's scratch [`Cell`]s.
//! So a text of `n` bytes costs `O(n log n)` whatever it contains: 8 KiB of one letter are as cheap as prose. Each
//! length that special tokens have costs another pass over the bytes, with a lookup where one could begin and end.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

mod decode;
mod duplicates;
mod encode;
mod error;
mod keys;
mod merge;
mod pre;
mod source;
mod special;
mod spelled;
mod spellings;
mod view;

pub(crate) use encode::{Author, Script, ScriptPlace, mark_author};

pub use decode::Decoded;
pub use error::{TokenizeError, VocabularyError};
pub(crate) use spelled::Spelled;
pub use view::VocabularyView;

use pre::PreTokenizer;
use source::{Source, split_table};
use spellings::Spellings;
use view::merge_key;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::arena::{Arena, Purpose, Span};
use crate::gguf::Gguf;

/// Longest token in bytes: GPT-NeoX, Command R and Aquila have one of 512 spaces. A lookup copies this many to the
/// stack. A token event on the wire has room for half of it (`protocol::limits::MAX_PIECE_BYTES`).
pub const MAX_TOKEN_BYTES: usize = 512;

/// Maximum number of tokens in a vocabulary, twice as many as the largest known one has (Gemma's 262,144).
pub const MAX_TOKENS: usize = 1 << 19;

/// Maximum number of merges in a vocabulary. The largest known one has 514,906.
pub const MAX_MERGES: usize = 1 << 19;

/// Maximum number of tokens of a text beyond one per byte: one at its beginning or end, and an added space. `generate`
/// refuses a prompt that has more.
pub const EXTRA_PROMPT_TOKENS: usize = 2;

/// `▁` (U+2581), which stands for a space inside tokens.
pub(crate) const ESCAPED_SPACE: [u8; 3] = [0xE2, 0x96, 0x81];

/// Type of a token, from `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenType {
    /// A number that the format does not define. Never printed.
    Undefined = 0,
    /// Text.
    Normal = 1,
    /// Represents what the vocabulary cannot express.
    Unknown = 2,
    /// Steers the model, for example the beginning of text. Never printed.
    Control = 3,
    /// Text that is matched before anything else.
    UserDefined = 4,
    /// Never used.
    Unused = 5,
    /// One byte, spelled `<0xNN>`.
    Byte = 6,
}

impl TokenType {
    const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Normal,
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Undefined,
        }
    }

    /// The type in a token's type byte.
    const fn of(flags: u8) -> Self {
        Self::from_number((flags & TYPE) as u32)
    }
}

/// In a token's type byte: the type.
const TYPE: u8 = 0x07;

/// In a token's type byte: generation ends at this token.
const END_OF_GENERATION: u8 = 0x80;

/// In a token's type byte: the token is never generated.
const SUPPRESSED: u8 = 0x40;

/// In a special token's type byte: it absorbs white space before it.
const STRIPS_BEFORE: u8 = 0x20;

/// In a special token's type byte: it absorbs white space after it.
const STRIPS_BEHIND: u8 = 0x10;

/// Size of a vocabulary, known before memory is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// Number of tokens.
    pub tokens: usize,
    /// Bytes of all tokens together.
    pub text_bytes: usize,
    /// Number of scores: one per token, or none.
    pub scores: usize,
    /// Number of merges.
    pub merges: usize,
}

impl Requirements {
    /// 32-bit words of the table: offsets, scores, the sorted index and two per merge; then a byte per type, then the
    /// text.
    #[must_use]
    pub const fn words(&self) -> usize {
        // Cannot overflow: at most 2^19 tokens, 2^19 merges and 2^28 bytes of text.
        let numbers = self
            .tokens
            .saturating_mul(2)
            .saturating_add(1)
            .saturating_add(self.scores)
            .saturating_add(self.merges.saturating_mul(2));
        let bytes = self.tokens.saturating_add(self.text_bytes);
        numbers.saturating_add(bytes.div_ceil(4))
    }

    /// Size of the table in bytes.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.words().saturating_mul(4)
    }
}

/// The parts of a vocabulary outside its table: sizes, tokens with a role, rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Size of the table.
    pub requirements: Requirements,
    /// `None` for SentencePiece.
    pre: Option<PreTokenizer>,
    bos: Option<u32>,
    eos: Option<u32>,
    unknown: Option<u32>,
    add_bos: bool,
    add_eos: bool,
    add_space_prefix: bool,
    /// Whether some tokens are never generated.
    suppresses: bool,
    longest: usize,
    /// Spellings of user-defined tokens.
    user: Spellings,
    /// Spellings of control and unknown tokens.
    control: Spellings,
}

impl Header {
    /// Writes the table of the vocabulary of `gguf`, which [`Vocabulary::check`] has checked, to the beginning of
    /// `table`. If two tokens are the same after all, the later one counts.
    ///
    /// # Errors
    /// Any error of [`Vocabulary::check`], or the table is too small.
    pub fn fill(gguf: &Gguf<'_>, table: &mut [u32]) -> Result<Self, VocabularyError> {
        let source = Source::open(gguf)?;
        let requirements = source.measure()?;
        let words = table.len();
        let needed = requirements.words();
        let parts = table
            .get_mut(..needed)
            .and_then(|table| split_table(requirements, table))
            .ok_or(VocabularyError::TableTooSmall { words, needed })?;
        source.fill(requirements, parts)
    }

    /// The vocabulary over a table written by [`Self::fill`].
    #[must_use]
    pub fn view<'t>(&self, table: &'t [u32]) -> VocabularyView<'t> {
        let Requirements {
            tokens,
            text_bytes,
            scores,
            merges,
        } = self.requirements;
        let (offsets, rest) = split(table, tokens.saturating_add(1));
        let (scores, rest) = split(rest, scores);
        let (index, rest) = split(rest, tokens);
        let (merges, rest) = split(rest, merges.saturating_mul(2));
        let (types, rest) = split(rest.as_bytes(), tokens);
        let (text, _) = split(rest, text_bytes);
        VocabularyView {
            header: *self,
            offsets,
            scores,
            index,
            merges: merges.as_chunks().0,
            types,
            text,
        }
    }
}

/// A vocabulary in the arena.
#[derive(Clone, Copy, Debug)]
pub struct Vocabulary {
    header: Header,
    table: Span<u32>,
}

impl Vocabulary {
    /// Checks the whole vocabulary and returns its size. After that, [`Self::load`] fails only for lack of room.
    ///
    /// # Errors
    /// The first error.
    pub fn check(gguf: &Gguf<'_>) -> Result<Requirements, VocabularyError> {
        Source::open(gguf)?.check()
    }

    /// An upper bound on the length of the begin and end tokens in bytes.
    ///
    /// # Errors
    /// Like [`Self::check`].
    pub(crate) fn longest_marker(gguf: &Gguf<'_>) -> Result<usize, VocabularyError> {
        Source::open(gguf)?.longest_marker()
    }

    /// Copies the vocabulary, which [`Self::check`] has checked, into the arena. If two tokens are the same after all,
    /// the later one counts.
    ///
    /// # Errors
    /// Any error of [`Self::check`], or the arena has no room.
    pub fn load(gguf: &Gguf<'_>, arena: &mut Arena<'_>) -> Result<Self, VocabularyError> {
        let requirements = Source::open(gguf)?.measure()?;
        let table = arena.alloc::<u32>(requirements.words(), Purpose::Vocabulary)?;
        let header = Header::fill(gguf, arena.get_mut(table))?;
        Ok(Self { header, table })
    }

    /// Location of its table in the arena.
    #[must_use]
    pub const fn table(&self) -> Span<u32> {
        self.table
    }

    /// Its sizes and rules.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The vocabulary, given the contents of [`Self::table`].
    #[must_use]
    pub fn view<'t>(&self, table: &'t [u32]) -> VocabularyView<'t> {
        self.header.view(table)
    }
}

/// Options for encoding text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Add the tokens for the beginning and end of text if the file asks for them.
    pub add_special: bool,
    /// Convert the spelling of control tokens, such as `</s>`, to those tokens. Leave it off for text from outside: the
    /// author of a prompt must not be able to write control tokens.
    pub parse_special: bool,
    /// Convert the spelling of user-defined tokens, such as `<table>`, to those tokens, as llama.cpp does in all texts.
    /// If it is off, the only user-defined tokens are white space and single bytes, however the pieces merge.
    pub parse_user_defined: bool,
}

/// Scratch of [`VocabularyView::encode`]: one per byte of text. Its contents mean nothing between calls.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Cell {
    /// Length in bytes of the symbol that begins here.
    len: u32,
    /// Beginning of the previous symbol.
    prev: u32,
    /// The token that this symbol and the next would make, or the rank of that merge. Before merging: the special token
    /// that begins here.
    token: u32,
    /// A node of the tournament tree over all cells, unrelated to this cell's symbol. Before merging: the author of the
    /// byte.
    winner: u32,
}

/// In [`Cell::token`] and [`Cell::prev`]: none.
const NONE: u32 = u32::MAX;

/// In [`Cell::token`]: inside a special token.
const INSIDE: u32 = u32::MAX - 1;

/// Cells that [`VocabularyView::encode`] needs for a text of this many bytes.
#[must_use]
pub const fn scratch_cells(text_bytes: usize) -> usize {
    // One extra for the leading space.
    text_bytes.saturating_add(1)
}

/// The first `len` items and the rest, or all and nothing if there are fewer.
fn split<T>(items: &[T], len: usize) -> (&[T], &[T]) {
    items.split_at_checked(len).unwrap_or((items, &[]))
}

#[cfg(test)]
mod role_tests;
#[cfg(test)]
mod tests;
