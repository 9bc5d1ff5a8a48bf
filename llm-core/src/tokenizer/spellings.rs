//! A quick filter for special tokens in text: two checks per position, and few need a lookup.

use super::MAX_TOKEN_BYTES;

/// For a group of tokens: their lengths, and their first and last bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spellings {
    lengths: [u64; MAX_TOKEN_BYTES / 64 + 1],
    first: [u64; 4],
    last: [u64; 4],
}

impl Spellings {
    pub(super) fn insert(&mut self, token: &[u8]) {
        if let (Some(&first), Some(&last)) = (token.first(), token.last()) {
            insert(&mut self.lengths, token.len());
            insert(&mut self.first, first.into());
            insert(&mut self.last, last.into());
        }
    }

    /// Whether a token has this length.
    pub(super) fn has_length(&self, len: usize) -> bool {
        contains(&self.lengths, len)
    }

    /// Whether `text` could be a token.
    pub(super) fn may_have(&self, text: &[u8]) -> bool {
        let has = |set: &[u64], byte: Option<&u8>| {
            byte.is_some_and(|&byte| contains(set, usize::from(byte)))
        };
        has(&self.last, text.last())
            && has(&self.first, text.first())
            && self.has_length(text.len())
    }
}

fn insert(set: &mut [u64], item: usize) {
    if let Some(word) = set.get_mut(item >> 6) {
        *word |= 1 << (item & 63);
    }
}

fn contains(set: &[u64], item: usize) -> bool {
    set.get(item >> 6)
        .is_some_and(|word| word & (1 << (item & 63)) != 0)
}
