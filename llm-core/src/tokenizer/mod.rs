//! Text to token ids and back, as llama.cpp's `llm_tokenizer_spm` and `llm_tokenizer_bpe` do it.
//!
//! *SentencePiece BPE with byte fallback* (`tokenizer.ggml.model` = `llama`). A text `c_1 … c_n` of
//! characters (a space is written `▁`) is a chain of symbols. Of all pairs of neighbours whose
//! concatenation is in the vocabulary, the one with the highest score (the leftmost of equals) becomes
//! one symbol, until no pair is left. A symbol that is no token becomes one token `<0xNN>` per byte.
//!
//! *Byte-level BPE* (`gpt2`). A text is cut into words (`pre`); a word's bytes are a chain of symbols,
//! and of all pairs of neighbours that the file's list of merges has, the one that comes first in it
//! (the leftmost of equals) becomes one symbol. Files spell bytes as characters; the table here has
//! the bytes themselves. A merge that makes no token is left out (llama.cpp would make the symbol and
//! then spell it byte by byte).
//!
//! Before either, the text is cut at special tokens. Sources: Kudo and Richardson, *SentencePiece*
//! (2018); Radford et al., *Language Models are Unsupervised Multitask Learners* (2019);
//! `src/llama-vocab.cpp` of llama.cpp.
//!
//! Everything is in one table of 32-bit words ([`Requirements`]), which lies in the arena; a lookup is
//! a binary search in it. The highest-scored pair is the root of a tournament tree over the text's
//! bytes, kept in the caller's scratch [`Cell`]s, so a text of `n` bytes costs `O(n log n)` whatever it
//! holds: 8 KiB of one letter are as cheap as prose. For each length that special tokens have, it
//! costs a lookup a byte more.

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
mod encode;
mod error;
mod merge;
mod pre;
mod source;

pub use decode::{Decoded, Utf8Stream};
pub use error::{TokenizeError, VocabularyError};

use pre::PreTokenizer;
use source::{Source, byte_of, split_table};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::arena::{Arena, Purpose, Span};
use crate::gguf::Gguf;

/// Longest token in bytes. A token event on the wire has room for this many
/// (`protocol::limits::MAX_PIECE_BYTES`), and a lookup copies this many to the stack; tokens of
/// SentencePiece models have at most about 50.
pub const MAX_TOKEN_BYTES: usize = 256;

/// Most tokens of a vocabulary; the largest known has this many.
pub const MAX_TOKENS: usize = 1 << 18;

/// Most merges of a vocabulary.
pub const MAX_MERGES: usize = 1 << 19;

/// Tokens that a text may have beyond one for each byte: one at its beginning or end, and an added space.
/// `generate` refuses a prompt that has more.
pub const EXTRA_PROMPT_TOKENS: usize = 2;

/// `▁` (U+2581), which stands for a space inside tokens.
const ESCAPED_SPACE: [u8; 3] = [0xE2, 0x96, 0x81];

/// What a token is, by `tokenizer.ggml.token_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum TokenType {
    /// A number that the format does not define; never printed.
    Undefined = 0,
    /// Text.
    Normal = 1,
    /// Stands for what the vocabulary cannot express.
    Unknown = 2,
    /// Steers the model, for example the beginning of text; never printed.
    Control = 3,
    /// Text that is cut out before anything else.
    UserDefined = 4,
    /// Never used.
    Unused = 5,
    /// One byte, written `<0xNN>`.
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
}

/// In a token's type byte: generation ends at this token.
const END_OF_GENERATION: u8 = 0x80;

/// Size of a vocabulary, known before anything is allocated for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requirements {
    /// Number of tokens.
    pub tokens: usize,
    /// Bytes of all tokens together.
    pub text_bytes: usize,
    /// Number of scores: one a token, or none.
    pub scores: usize,
    /// Number of merges.
    pub merges: usize,
}

impl Requirements {
    /// 32-bit words of the table: offsets, scores, the sorted index and two for each merge, then a
    /// byte for each type, then the text.
    #[must_use]
    pub const fn words(&self) -> usize {
        // Cannot overflow: at most 2^18 tokens, 2^19 merges and 2^26 bytes of text.
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

/// What a vocabulary's table does not hold: sizes, the tokens with a role, the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Size of the table.
    pub requirements: Requirements,
    /// `None`: SentencePiece.
    pre: Option<PreTokenizer>,
    bos: Option<u32>,
    eos: Option<u32>,
    eot: Option<u32>,
    unknown: Option<u32>,
    add_bos: bool,
    add_eos: bool,
    add_space_prefix: bool,
    longest: usize,
    /// Lengths that user-defined tokens have.
    user_lengths: Lengths,
    /// Lengths that control and unknown tokens have.
    control_lengths: Lengths,
}

impl Header {
    /// Checks the vocabulary of `gguf` and writes its table to the beginning of `table`.
    ///
    /// # Errors
    /// What [`Vocabulary::check`] finds, or a table that is too small.
    pub fn fill(gguf: &Gguf<'_>, table: &mut [u32]) -> Result<Self, VocabularyError> {
        let source = Source::open(gguf)?;
        let requirements = source.check()?;
        let words = table.len();
        let needed = requirements.words();
        let parts = table
            .get_mut(..needed)
            .and_then(|table| split_table(requirements, table))
            .ok_or(VocabularyError::TableTooSmall { words, needed })?;
        source.fill(requirements, parts)
    }

    /// The vocabulary whose table [`Self::fill`] wrote.
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
    /// Checks all of the vocabulary and says how much room it needs. [`Self::load`] then fails only
    /// for want of room.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(gguf: &Gguf<'_>) -> Result<Requirements, VocabularyError> {
        Source::open(gguf)?.check()
    }

    /// Copies the vocabulary into the arena.
    ///
    /// # Errors
    /// What [`Self::check`] finds, or the arena has no room.
    pub fn load(gguf: &Gguf<'_>, arena: &mut Arena<'_>) -> Result<Self, VocabularyError> {
        let requirements = Self::check(gguf)?;
        let table = arena.alloc::<u32>(requirements.words(), Purpose::Vocabulary)?;
        let header = Header::fill(gguf, arena.get_mut(table))?;
        Ok(Self { header, table })
    }

    /// Where in the arena its table lies.
    #[must_use]
    pub const fn table(&self) -> Span<u32> {
        self.table
    }

    /// Its sizes and rules.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The vocabulary, given what the arena holds at [`Self::table`].
    #[must_use]
    pub fn view<'t>(&self, table: &'t [u32]) -> VocabularyView<'t> {
        self.header.view(table)
    }
}

/// What to do besides splitting text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Add the tokens for the beginning and end of text where the file asks for them.
    pub add_special: bool,
    /// Turn the spelling of control tokens, such as `</s>`, into those tokens. Leave it off for text
    /// from outside: who writes a prompt should not be able to write control tokens.
    pub parse_special: bool,
}

/// Scratch of [`VocabularyView::encode`]: one per byte of text. Its content means nothing between
/// calls.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Cell {
    /// Bytes of the symbol that begins here.
    len: u32,
    /// Where the symbol before it begins.
    prev: u32,
    /// The token that this symbol and the next would make, or the rank of that merge; before that, the
    /// special token that begins here.
    token: u32,
    /// Node of the tournament tree over all cells; has nothing to do with this cell's symbol.
    winner: u32,
}

/// In [`Cell::token`] and [`Cell::prev`]: there is none.
const NONE: u32 = u32::MAX;

/// In [`Cell::token`]: inside a special token.
const INSIDE: u32 = u32::MAX - 1;

/// Cells that [`VocabularyView::encode`] needs for a text of this many bytes.
#[must_use]
pub const fn scratch_cells(text_bytes: usize) -> usize {
    // One more for the space in front.
    text_bytes.saturating_add(1)
}

/// A vocabulary that can be used.
#[derive(Clone, Copy, Debug)]
pub struct VocabularyView<'t> {
    header: Header,
    /// `text[offsets[id]..offsets[id + 1]]` is token `id`.
    offsets: &'t [u32],
    /// Bits of `f32`.
    scores: &'t [u32],
    /// All ids in the order of their text, then of their number.
    index: &'t [u32],
    /// [`merge_key`] and rank of each merge, in that order.
    merges: &'t [[u32; 2]],
    types: &'t [u8],
    text: &'t [u8],
}

/// What a merge is found by: the token that it makes, and how many of its bytes are the left symbol's.
fn merge_key(token: u32, left: usize) -> u32 {
    // 18 bits and 8: a left symbol is shorter than the token.
    (token << 8) | (left as u32 & 0xFF)
}

impl<'t> VocabularyView<'t> {
    /// Number of tokens.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "an empty vocabulary is refused"
    )]
    pub const fn len(&self) -> usize {
        self.header.requirements.tokens
    }

    /// The token that texts begin with, if the file asks for it.
    #[must_use]
    pub const fn bos_added(&self) -> Option<u32> {
        if self.header.add_bos {
            self.header.bos
        } else {
            None
        }
    }

    /// The token for the end of text.
    #[must_use]
    pub const fn eos(&self) -> Option<u32> {
        self.header.eos
    }

    /// Whether generation ends at this token.
    #[must_use]
    pub fn is_eog(&self, id: u32) -> bool {
        self.types
            .get(id as usize)
            .is_some_and(|flags| flags & END_OF_GENERATION != 0)
    }

    /// What this token is.
    #[must_use]
    pub fn token_type(&self, id: u32) -> TokenType {
        self.types
            .get(id as usize)
            .map_or(TokenType::Undefined, |flags| {
                TokenType::from_number(u32::from(flags & !END_OF_GENERATION))
            })
    }

    /// A token as the file spells it, a text token of byte-level BPE as the bytes that it stands for;
    /// empty if there is no such token.
    #[must_use]
    pub fn piece(&self, id: u32) -> &'t [u8] {
        let id = id as usize;
        id.checked_add(1)
            .and_then(|next| Some((*self.offsets.get(id)?, *self.offsets.get(next)?)))
            .and_then(|(start, end)| self.text.get(start as usize..end as usize))
            .unwrap_or(&[])
    }

    /// The bytes of text that a token stands for, at most [`MAX_TOKEN_BYTES`]: nothing for a control
    /// token, part of a character for a byte token. `strip_space` drops a space in front, as the first
    /// token of a text has one that the text had not.
    #[must_use]
    pub fn decode(&self, id: u32, strip_space: bool) -> Decoded<'t> {
        let piece = self.piece(id);
        let mut decoded = match self.token_type(id) {
            TokenType::Normal => Decoded {
                rest: piece,
                escaped: self.header.pre.is_none(),
                byte: None,
            },
            TokenType::UserDefined => Decoded {
                rest: piece,
                escaped: false,
                byte: None,
            },
            TokenType::Byte => Decoded {
                rest: &[],
                escaped: false,
                byte: byte_of(piece),
            },
            TokenType::Control | TokenType::Unknown | TokenType::Unused | TokenType::Undefined => {
                Decoded {
                    rest: &[],
                    escaped: false,
                    byte: None,
                }
            }
        };
        if strip_space && self.header.add_space_prefix {
            let mut without = decoded.clone();
            if without.next() == Some(b' ') {
                decoded = without;
            }
        }
        decoded
    }

    /// The token that is spelled so; the highest id where several are, as in llama.cpp.
    #[must_use]
    pub fn find(&self, spelling: &[u8]) -> Option<u32> {
        let end = self.index.partition_point(|&id| self.piece(id) <= spelling);
        end.checked_sub(1)
            .and_then(|last| self.index.get(last))
            .copied()
            .filter(|&id| !spelling.is_empty() && self.piece(id) == spelling)
    }

    /// As [`Self::find`], but only what text may become: nothing that steers the model, whatever a vocabulary can be made to
    /// merge.
    fn find_text(&self, spelling: &[u8]) -> Option<u32> {
        self.find(spelling)
            .filter(|&id| !matches!(self.token_type(id), TokenType::Control | TokenType::Unknown))
    }

    /// Where in the list of merges the one stands that makes `token` from a left symbol of `left`
    /// bytes and the rest.
    fn merge_rank(&self, token: u32, left: usize) -> Option<u32> {
        let key = merge_key(token, left);
        let at = self.merges.partition_point(|&[other, _]| other < key);
        self.merges
            .get(at)
            .filter(|&&[other, _]| other == key)
            .map(|&[_, rank]| rank)
    }

    fn score(&self, id: u32) -> f32 {
        let bits = self.scores.get(id as usize).copied().unwrap_or(0);
        f32::from_bits(bits)
    }
}

/// A set of token lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Lengths([u64; MAX_TOKEN_BYTES / 64 + 1]);

impl Lengths {
    fn insert(&mut self, len: usize) {
        if let Some(word) = self.0.get_mut(len >> 6) {
            *word |= 1 << (len & 63);
        }
    }

    fn contains(&self, len: usize) -> bool {
        self.0
            .get(len >> 6)
            .is_some_and(|word| word & (1 << (len & 63)) != 0)
    }
}

/// The first `len` items and the rest; all and nothing if there are fewer.
fn split<T>(items: &[T], len: usize) -> (&[T], &[T]) {
    items.split_at_checked(len).unwrap_or((items, &[]))
}

#[cfg(test)]
mod tests;
