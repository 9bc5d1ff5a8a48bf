//! The tokens of a vocabulary by the first byte of their spelling.

use crate::tokenizer::{ESCAPED_SPACE, TokenType, VocabularyView};

/// In [`Firsts::bytes`]: no token.
const NONE: u32 = u32::MAX;

/// Where the tokens are in the index that begin with each byte, and which tokens stand for single bytes. It is made once
/// for a vocabulary, since finding this out anew for each token that is chosen would cost more than the choice.
#[derive(Debug)]
pub(super) struct Firsts {
    /// In the index, the first token of each first byte; the next begins where one ends.
    starts: [u32; 257],
    /// The token `<0xNN>` of each byte, or [`NONE`].
    bytes: [u32; 256],
    /// In the index, the tokens that begin with a space which is spelled `▁`: the first, and behind the last.
    spaces: (u32, u32),
    /// Whether a byte has two such tokens, so that [`Self::bytes`] has not all of them.
    is_ambiguous: bool,
}

impl Firsts {
    /// Of a vocabulary without tokens.
    pub(super) const EMPTY: Self = Self {
        starts: [0; 257],
        bytes: [NONE; 256],
        spaces: (0, 0),
        is_ambiguous: false,
    };

    /// Fills it in for this vocabulary.
    pub(super) fn fill(&mut self, view: &VocabularyView<'_>) {
        *self = Self::EMPTY;
        let index = view.by_spelling();
        for &id in index {
            match view.piece(id).first() {
                Some(first) => self.starts[usize::from(*first) + 1] += 1,
                // They are spelled with nothing, and so come first.
                None => self.starts[0] += 1,
            }
            if view.token_type(id) == TokenType::Byte
                && let Some(byte) = view.decode(id, false).next()
            {
                let place = &mut self.bytes[usize::from(byte)];
                self.is_ambiguous |= *place != NONE;
                *place = id;
            }
        }
        if view.escapes() {
            let before = |id: u32| view.piece(id) < &ESCAPED_SPACE[..];
            let start = index.partition_point(|id| before(*id)) as u32;
            let spaces = view.beginning_with(&ESCAPED_SPACE).len() as u32;
            self.spaces = (start, start + spaces);
        }
        let mut before = 0;
        for start in &mut self.starts {
            before += *start;
            *start = before;
        }
    }

    /// The tokens that are spelled with this byte at the beginning, in the order of the index.
    pub(super) fn run<'t>(&self, view: &VocabularyView<'t>, byte: u8) -> &'t [u32] {
        let at = usize::from(byte);
        within(view, self.starts[at], self.starts[at + 1])
    }

    /// The tokens of text that begin with a space, where that is spelled `▁`; they are among those of its first byte.
    pub(super) fn spaces<'t>(&self, view: &VocabularyView<'t>) -> &'t [u32] {
        within(view, self.spaces.0, self.spaces.1)
    }

    /// The token that stands for a single byte, if there is one.
    pub(super) fn of_byte(&self, byte: u8) -> Option<u32> {
        let id = self.bytes[usize::from(byte)];
        (id != NONE).then_some(id)
    }

    /// Whether a byte has two tokens, so that [`Self::of_byte`] misses some.
    pub(super) const fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }
}

/// A part of the index.
fn within<'t>(view: &VocabularyView<'t>, start: u32, end: u32) -> &'t [u32] {
    let index = view.by_spelling();
    index.get(start as usize..end as usize).unwrap_or(&[])
}
