//! A vocabulary in memory, with lookups by number and by spelling.

use super::source::byte_of;
use super::{Decoded, END_OF_GENERATION, Header, SUPPRESSED, TokenType};

/// A vocabulary ready for use.
#[derive(Clone, Copy, Debug)]
pub struct VocabularyView<'t> {
    pub(super) header: Header,
    /// `text[offsets[id]..offsets[id + 1]]` is token `id`.
    pub(super) offsets: &'t [u32],
    /// Bits of `f32`.
    pub(super) scores: &'t [u32],
    /// All ids, sorted by text, then by number.
    pub(super) index: &'t [u32],
    /// [`merge_key`] and rank of each merge, in that order.
    pub(super) merges: &'t [[u32; 2]],
    pub(super) types: &'t [u8],
    pub(super) text: &'t [u8],
}

/// Key of a merge: the token that it makes, and how many of its bytes belong to the left symbol.
pub(super) fn merge_key(token: u32, left: usize) -> u32 {
    // 19 bits and 9: a left symbol is shorter than the token.
    (token << 9) | (left as u32 & 0x1FF)
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

    /// The begin token, if the file asks for it.
    #[must_use]
    pub const fn bos_added(&self) -> Option<u32> {
        if self.header.add_bos {
            self.header.bos
        } else {
            None
        }
    }

    /// A view for text that continues after other text: no space is added before it.
    #[must_use]
    pub const fn continuing(&self) -> Self {
        let mut view = *self;
        view.header.add_space_prefix = false;
        view
    }

    /// The begin token, whether or not texts begin with it.
    #[must_use]
    pub const fn bos(&self) -> Option<u32> {
        self.header.bos
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

    /// The tokens that are never generated, in descending order.
    pub fn suppressed(&self) -> impl Iterator<Item = u32> + use<'t> {
        let types: &[u8] = if self.header.suppresses {
            self.types
        } else {
            &[]
        };
        let suppressed = |(id, flags): (u32, &u8)| (flags & SUPPRESSED != 0).then_some(id);
        let ids = (0..types.len() as u32).rev();
        ids.zip(types.iter().rev()).filter_map(suppressed)
    }

    /// Type of this token.
    #[must_use]
    pub fn token_type(&self, id: u32) -> TokenType {
        self.types
            .get(id as usize)
            .map_or(TokenType::Undefined, |&flags| TokenType::of(flags))
    }

    /// A token as the file spells it; for a text token of byte-level BPE, the bytes that it represents. Empty if there
    /// is no such token.
    #[must_use]
    pub fn piece(&self, id: u32) -> &'t [u8] {
        let id = id as usize;
        id.checked_add(1)
            .and_then(|next| Some((*self.offsets.get(id)?, *self.offsets.get(next)?)))
            .and_then(|(start, end)| self.text.get(start as usize..end as usize))
            .unwrap_or(&[])
    }

    /// The bytes of text that a token represents, at most [`super::MAX_TOKEN_BYTES`]: nothing for a control token, part
    /// of a character for a byte token. `strip_space` drops a leading space, because the first token of a text has one
    /// that the text itself had not.
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

    /// The token with this spelling; the highest id if there are several, as in llama.cpp.
    #[must_use]
    pub fn find(&self, spelling: &[u8]) -> Option<u32> {
        let end = self.index.partition_point(|&id| self.piece(id) <= spelling);
        end.checked_sub(1)
            .and_then(|last| self.index.get(last))
            .copied()
            .filter(|&id| !spelling.is_empty() && self.piece(id) == spelling)
    }

    /// Like [`Self::find`], but only tokens that text may become, so none that steers the model, whatever a
    /// vocabulary's merges could produce.
    pub(super) fn find_text(&self, spelling: &[u8], user_defined: bool) -> Option<u32> {
        self.find(spelling)
            .filter(|&id| self.may_be_text(id, user_defined))
    }

    /// Whether text may become this token. A single byte and white space always may, whatever type a file gives them:
    /// Gemma's vocabulary has line breaks among its user-defined tokens, GPT-NeoX's has runs of spaces.
    pub(super) fn may_be_text(&self, id: u32, user_defined: bool) -> bool {
        match self.token_type(id) {
            TokenType::Control | TokenType::Unknown => false,
            TokenType::UserDefined => {
                let piece = self.piece(id);
                let blank = || core::str::from_utf8(piece).is_ok_and(|text| text.trim().is_empty());
                user_defined || piece.len() == 1 || blank()
            }
            _ => true,
        }
    }

    /// Rank in the list of merges of the one that makes `token` from a left symbol of `left` bytes and the rest.
    pub(super) fn merge_rank(&self, token: u32, left: usize) -> Option<u32> {
        let key = merge_key(token, left);
        let at = self.merges.partition_point(|&[other, _]| other < key);
        self.merges
            .get(at)
            .filter(|&&[other, _]| other == key)
            .map(|&[_, rank]| rank)
    }

    pub(super) fn score(&self, id: u32) -> f32 {
        let bits = self.scores.get(id as usize).copied().unwrap_or(0);
        f32::from_bits(bits)
    }
}
