//! The tokens of a vocabulary by the first byte of their spelling.

use crate::tokenizer::{ESCAPED_SPACE, TokenType, VocabularyView};

/// In [`Firsts::bytes`]: no token.
const NONE: u32 = u32::MAX;

/// Where the tokens that begin with each byte are in the index, and which tokens stand for single bytes. It is computed
/// once per vocabulary, because computing it for each chosen token would cost more than the choice.
#[derive(Debug)]
pub(super) struct Firsts {
    /// For each byte, the index of the first token that begins with it; each run ends where the next begins.
    starts: [u32; 257],
    /// The token `<0xNN>` of each byte, or [`NONE`].
    bytes: [u32; 256],
    /// Range in the index of the tokens that begin with a space spelled `▁`.
    spaces: (u32, u32),
    /// Whether some byte has two such tokens, in which case [`Self::bytes`] is incomplete.
    is_ambiguous: bool,
}

impl Firsts {
    /// The table of an empty vocabulary.
    pub(super) const EMPTY: Self = Self {
        starts: [0; 257],
        bytes: [NONE; 256],
        spaces: (0, 0),
        is_ambiguous: false,
    };

    /// Fills in the table for a vocabulary.
    pub(super) fn fill(&mut self, view: &VocabularyView<'_>) {
        *self = Self::EMPTY;
        let index = view.by_spelling();
        for &id in index {
            match view.piece(id).first() {
                Some(first) => self.starts[usize::from(*first) + 1] += 1,
                // These have an empty spelling, so they come first.
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

    /// The tokens whose spelling begins with this byte, in index order.
    pub(super) fn run<'t>(&self, view: &VocabularyView<'t>, byte: u8) -> &'t [u32] {
        let at = usize::from(byte);
        within(view, self.starts[at], self.starts[at + 1])
    }

    /// The text tokens that begin with a space spelled `▁`; they are also in the run of that byte.
    pub(super) fn spaces<'t>(&self, view: &VocabularyView<'t>) -> &'t [u32] {
        within(view, self.spaces.0, self.spaces.1)
    }

    /// The token for a single byte, if there is one.
    pub(super) fn of_byte(&self, byte: u8) -> Option<u32> {
        let id = self.bytes[usize::from(byte)];
        (id != NONE).then_some(id)
    }

    /// Whether some byte has two tokens, so that [`Self::of_byte`] misses one.
    pub(super) const fn is_ambiguous(&self) -> bool {
        self.is_ambiguous
    }
}

/// A range of the index.
fn within<'t>(view: &VocabularyView<'t>, start: u32, end: u32) -> &'t [u32] {
    let index = view.by_spelling();
    index.get(start as usize..end as usize).unwrap_or(&[])
}
