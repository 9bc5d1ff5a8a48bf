//! Finds tokens by the beginning of their text.
//!
//! The index of a vocabulary is sorted by spelling, so tokens with a common beginning are adjacent.

use super::view::VocabularyView;
use super::{END_OF_GENERATION, ESCAPED_SPACE, SUPPRESSED, TokenType};

impl<'t> VocabularyView<'t> {
    /// All tokens, sorted by spelling.
    pub(crate) const fn by_spelling(&self) -> &'t [u32] {
        self.index
    }

    /// The tokens whose spelling begins with `prefix`.
    pub(crate) fn beginning_with(&self, prefix: &[u8]) -> &'t [u32] {
        beginning_with(self, self.index, prefix)
    }

    /// Whether text tokens spell a space as `▁`.
    pub(crate) const fn escapes(&self) -> bool {
        self.header.pre.is_none()
    }

    /// Whether a token is never generated.
    pub(crate) fn is_suppressed(&self, id: u32) -> bool {
        self.types
            .get(id as usize)
            .is_none_or(|flags| flags & SUPPRESSED != 0)
    }

    /// The tokens at which generation ends.
    pub(crate) fn ends(&self) -> impl Iterator<Item = u32> + use<'t> {
        const LENGTH: usize = 64;
        // Few tokens are ends, so most are skipped in chunks without a branch for each.
        let chunks = (0u32..).step_by(LENGTH).zip(self.types.chunks(LENGTH));
        chunks
            .filter(|(_, types)| {
                types.iter().fold(0, |all, flags| all | flags) & END_OF_GENERATION != 0
            })
            .flat_map(|(first, types)| (first..).zip(types))
            .filter(|(_, flags)| *flags & END_OF_GENERATION != 0)
            .map(|(id, _)| id)
    }

    /// The text of a token as the file spells it, if the token's bytes are the same and it does not represent a single
    /// byte.
    pub(crate) fn verbatim(&self, id: u32) -> Option<&'t [u8]> {
        match self.token_type(id) {
            TokenType::UserDefined => Some(self.piece(id)),
            TokenType::Normal if !self.escapes() => Some(self.piece(id)),
            _ => None,
        }
    }
}

/// Of some tokens of the index, those whose spelling begins with `prefix`.
fn beginning_with<'t>(view: &VocabularyView<'t>, tokens: &'t [u32], prefix: &[u8]) -> &'t [u32] {
    let start = tokens.partition_point(|&id| view.piece(id) < prefix);
    let from = tokens.get(start..).unwrap_or(&[]);
    let length = from.partition_point(|&id| view.piece(id).starts_with(prefix));
    from.get(..length).unwrap_or(&[])
}

/// Longest text that is looked up byte by byte.
const MAX_TEXT: usize = 32;

/// The tokens that match a text which grows byte by byte. User-defined tokens spelled with a space where others have
/// `▁` are not found.
pub(crate) struct Spelled<'t> {
    view: VocabularyView<'t>,
    /// Tokens that begin with the text.
    tokens: &'t [u32],
    /// The text as the file would spell it.
    spelling: heapless::Vec<u8, { 3 * MAX_TEXT }>,
    text: heapless::Vec<u8, MAX_TEXT>,
}

impl<'t> Spelled<'t> {
    /// The empty text.
    pub(crate) const fn new(view: VocabularyView<'t>) -> Self {
        Self {
            tokens: view.index,
            view,
            spelling: heapless::Vec::new(),
            text: heapless::Vec::new(),
        }
    }

    /// Adds a byte; `None` if no token begins that way.
    pub(crate) fn push(&mut self, byte: u8) -> Option<()> {
        self.text.push(byte).ok()?;
        let spelled: &[u8] = match byte {
            b' ' if self.view.escapes() => &ESCAPED_SPACE,
            _ => &[byte],
        };
        self.spelling.extend_from_slice(spelled).ok()?;
        self.tokens = beginning_with(&self.view, self.tokens, &self.spelling);
        (self.text.len() == 1 || !self.tokens.is_empty()).then_some(())
    }

    /// Whether a token that may be generated is exactly this text.
    pub(crate) fn is_token(&self) -> bool {
        let may = |id: u32| !self.view.is_suppressed(id) && !self.view.is_eog(id);
        let stands_for_it = |id: u32| self.view.decode(id, false).eq(self.text.iter().copied());
        let same = self.tokens.iter().copied();
        let mut same = same.take_while(|&id| self.view.piece(id).len() == self.spelling.len());
        let byte = match *self.text {
            [byte] => Some(byte),
            _ => None,
        };
        same.any(|id| may(id) && stands_for_it(id))
            || byte.is_some_and(|byte| self.byte_token(byte, may))
    }

    fn byte_token(&self, byte: u8, may: impl Fn(u32) -> bool) -> bool {
        let digit =
            |value: u8| char::from_digit(u32::from(value), 16).map_or(0, |digit| digit as u8);
        let (high, low) = (digit(byte >> 4), digit(byte & 15));
        [
            [high, low],
            [high.to_ascii_uppercase(), low.to_ascii_uppercase()],
        ]
        .into_iter()
        .any(|[high, low]| {
            let token = self.view.find(&[b'<', b'0', b'x', high, low, b'>']);
            token.is_some_and(|id| self.view.token_type(id) == TokenType::Byte && may(id))
        })
    }
}
