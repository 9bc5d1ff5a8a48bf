//! The expected results of acts.

use super::*;

/// A request in the reference model.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) keep: bool,
    pub(super) credit: u32,
    pub(super) params: GenerateParams,
    pub(super) prompt_tokens: u32,
    /// Tokens of the session before generation.
    pub(super) row: Vec<u32>,
    pub(super) ids: Vec<u32>,
    pub(super) shown: String,
    pub(super) cancelled: bool,
}

impl Expected {
    pub(super) fn rests(&self) -> bool {
        self.ids.len() >= self.credit as usize
    }

    /// Positions for the whole turn, in whole blocks.
    pub(super) fn wanted(&self) -> usize {
        let tokens = self.row.len() + self.params.max_tokens as usize;
        tokens.min(CONTEXT).next_multiple_of(BLOCK_POSITIONS)
    }
}

/// Contents of shared cache blocks when first seen, by key.
#[derive(Default)]
pub(in crate::backend) struct Contents(pub(super) HashMap<(Option<u8>, Vec<u32>), u64>);

impl Contents {
    /// Checks that the cache's accounting adds up, and that each shareable block still holds what it held when first
    /// seen, whoever computed it, so nobody writes there.
    pub(in crate::backend) fn check(&mut self, backend: &mut TransformerBackend) {
        let (model, arena) = backend.parts().unwrap();
        for known in model.cache().check(arena) {
            let content = model.cache().content(arena, usize::from(known.block));
            let mut hasher = DefaultHasher::new();
            content.hash(&mut hasher);
            let held = hasher.finish();
            let first = self.0.entry((known.adapter, known.tokens)).or_insert(held);
            assert_eq!(*first, held, "block {} was written", known.block);
        }
    }
}

/// The longest prefix of a session's tokens that the cache has for it: its length in whole blocks, its total length, and
/// the positions of those whole blocks that no session refers to.
pub(super) fn in_cache(known: &[Known], owner: u32, row: &[u32]) -> [usize; 3] {
    let row = &row[..row.len() - 1];
    let of_owner = || {
        known
            .iter()
            .filter(|known| known.owner == owner && known.adapter.is_none())
    };
    let is_there = |positions: usize| of_owner().any(|known| known.tokens == row[..positions]);
    let whole = (0..=row.len()).step_by(BLOCK_POSITIONS).skip(1);
    let whole = whole.take_while(|&positions| is_there(positions)).last();
    let whole = whole.unwrap_or(0);
    let next = of_owner().filter(|known| known.tokens.len() == whole + BLOCK_POSITIONS);
    let alike = next.map(|known| {
        let tokens = known.tokens.iter().zip(row);
        tokens.take_while(|(its, token)| its == token).count()
    });
    let retained = of_owner().filter(|known| {
        known.references == 0 && known.tokens.len() <= whole && row.starts_with(&known.tokens)
    });
    [
        whole,
        alike.max().unwrap_or(0).max(whole),
        retained.count() * BLOCK_POSITIONS,
    ]
}

/// A session: its tokens and its request.
#[derive(Debug, Default)]
pub(super) struct Player {
    pub(super) owner: u32,
    pub(super) row: Vec<u32>,
    pub(super) request: Option<Expected>,
    /// The request has its room.
    pub(super) running: bool,
    /// When it became idle or began to rest.
    pub(super) still_since: usize,
}

impl Player {
    pub(super) fn rests(&self) -> bool {
        self.request.as_ref().is_some_and(Expected::rests)
    }
}
