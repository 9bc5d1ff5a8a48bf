//! Keys and values of the tokens that the sessions have seen.
//!
//! A session's positions are in blocks of sixteen from a common pool, so that sessions of any length share it without
//! fragmentation. A table per session lists its blocks. Each layer and key head has a plane for keys and one for
//! values, with a part for every block. Attention reads one plane after the other, so it reads memory in order if
//! blocks were allocated in order. A part:
//!
//! ```text
//!   F32, F16   [16 positions][head]                     rows
//!   Q8  keys   [head / 64][16 scales], [head / 4][16][4 bytes]     a tile: a register has four elements of all positions
//!       values [head / 64][16 scales], [head / 16][4][16][4 bytes] tiles: a register has four positions of 16 elements
//! ```
//!
//! In 8 bits a scale serves 64 elements of a head (`SCALED`): Gemma 3 has heads of 256, and a single scale for each
//! cost 0.8 % of perplexity.
//!
//! Attention only ever reads what is stored, even for tokens of the same prefill. So the state after n tokens does not
//! depend on how they were fed, on other sessions, or on where the blocks are.
//!
//! Sessions of one owner that begin with the same tokens and the same adapter can therefore share blocks
//! (`KvCache::share`): whole blocks that are computed and never written again. Such blocks outlive their sessions until
//! their room is needed.

mod prefixes;
mod shape;
mod stored;

pub(crate) use shape::SCALED;
pub use shape::{BLOCK_POSITIONS, KvShape, KvType};
pub(crate) use stored::{CachedLayer, scales, store, value_place};

pub use prefixes::Origin;
#[cfg(test)]
pub(crate) use prefixes::audit::Known;

use crate::arena::{Arena, ArenaError, Mark, Purpose, Span, as_mut};
use prefixes::{Block, Blocks, Lists};

/// The pool has too few blocks left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{needed} positions asked for, {free} left in the KV cache")]
pub struct CacheFull {
    /// Positions in the blocks that were needed.
    pub needed: usize,
    /// Positions in the blocks that are free.
    pub free: usize,
}

/// The pool and the tables of the sessions.
#[derive(Clone, Copy, Debug)]
pub struct KvCache {
    shape: KvShape,
    pool: Span<u8>,
    tables: Span<u16>,
    /// As in [`Blocks`].
    blank: Span<u16>,
    blocks: Span<Block>,
    lists: Span<Lists>,
}

/// A session's table and tokens, and the blocks of all sessions.
struct Parts<'a> {
    /// The number of its blocks, then the blocks.
    table: &'a mut [u16],
    tokens: &'a [u32],
    blocks: Blocks<'a>,
}

impl Parts<'_> {
    /// Number of the session's blocks.
    fn has(&self) -> usize {
        usize::from(self.table[0])
    }

    fn push(&mut self, block: u16) {
        self.table[0] += 1;
        let last = self.has();
        self.table[last] = block;
    }
}

impl KvCache {
    /// A cache with all blocks free.
    ///
    /// # Errors
    /// The arena has no room.
    pub fn new(arena: &mut Arena<'_>, shape: KvShape) -> Result<Self, ArenaError> {
        let blocks = shape.blocks();
        let cache = Self {
            shape,
            pool: arena.alloc(blocks * shape.block_bytes(), Purpose::KvCache)?,
            tables: arena.alloc(shape.sessions * shape.table_len(), Purpose::KvCache)?,
            blank: arena.alloc(1 + blocks, Purpose::KvCache)?,
            blocks: arena.alloc(blocks, Purpose::KvCache)?,
            lists: arena.alloc(1, Purpose::KvCache)?,
        };
        cache.parts(arena, 0, Span::EMPTY).blocks.clear();
        Ok(cache)
    }

    /// The cache's dimensions.
    #[must_use]
    pub const fn shape(&self) -> &KvShape {
        &self.shape
    }

    const fn table(&self, session: usize) -> Span<u16> {
        self.tables
            .part(session * self.shape.table_len(), self.shape.table_len())
    }

    fn parts<'a>(&self, arena: &'a mut Arena<'_>, session: usize, tokens: Span<u32>) -> Parts<'a> {
        let (_, working) = arena.split(Mark::default());
        let [table, tokens, blocks, lists, blank] = working.into_disjoint([
            self.table(session).range(),
            tokens.range(),
            self.blocks.range(),
            self.lists.range(),
            self.blank.range(),
        ]);
        Parts {
            table: as_mut(table),
            tokens: as_mut(tokens),
            blocks: Blocks {
                blocks: as_mut(blocks),
                lists: &mut as_mut(lists)[0],
                blank: as_mut(blank),
            },
        }
    }

    /// Positions in blocks that no session has, including retained prefixes.
    #[must_use]
    pub fn free_positions(&self, arena: &Arena<'_>) -> usize {
        let blank = arena.get(self.blank).first().copied().unwrap_or(0);
        usize::from(blank) * BLOCK_POSITIONS + self.retained_positions(arena)
    }

    /// Positions of retained prefixes: computed for sessions that are gone.
    #[must_use]
    pub fn retained_positions(&self, arena: &Arena<'_>) -> usize {
        let retained = arena.get(self.lists).first().map(Lists::retained);
        retained.unwrap_or(0) * BLOCK_POSITIONS
    }

    /// Positions that `session` has room for.
    ///
    /// # Panics
    /// There is no such session.
    #[must_use]
    pub fn reserved(&self, arena: &Arena<'_>, session: usize) -> usize {
        let count = arena.get(self.table(session)).first().copied();
        usize::from(count.unwrap_or(0)) * BLOCK_POSITIONS
    }

    /// Positions of the blocks that `positions` positions need, at most a context.
    #[must_use]
    pub fn rounded(&self, positions: usize) -> usize {
        positions
            .min(self.shape.context)
            .next_multiple_of(BLOCK_POSITIONS)
    }

    /// Gives `session` room for `positions` positions in all, at most the context; what it has is kept. Blank blocks
    /// are taken first, then those of the prefixes retained longest, whose contents are lost.
    ///
    /// # Errors
    /// The pool has too few blocks; nothing has changed.
    ///
    /// # Panics
    /// There is no such session.
    pub fn reserve(
        &self,
        arena: &mut Arena<'_>,
        session: usize,
        positions: usize,
    ) -> Result<(), CacheFull> {
        let wanted = positions.min(self.shape.context).div_ceil(BLOCK_POSITIONS);
        let mut parts = self.parts(arena, session, Span::EMPTY);
        let has = parts.has();
        let more = wanted.saturating_sub(has);
        let available = parts.blocks.available();
        if more > available {
            return Err(CacheFull {
                needed: more * BLOCK_POSITIONS,
                free: available * BLOCK_POSITIONS,
            });
        }
        for block in core::iter::from_fn(|| parts.blocks.take()).take(more) {
            parts.table[0] += 1;
            let last = usize::from(parts.table[0]);
            parts.table[last] = block;
        }
        // Attention reads them in this order.
        parts.table[1 + has..1 + has + more].sort_unstable();
        Ok(())
    }

    /// Gives a session without blocks those that already hold its `tokens`, because a session of the same origin began
    /// with them: as many as possible, except the last token, whose logits are needed. Whole blocks are shared; a
    /// partial match is copied into a block of the session's own. Returns the number of positions that need no
    /// computation.
    ///
    /// # Panics
    /// There is no such session, or it has blocks.
    pub(crate) fn share(
        &self,
        arena: &mut Arena<'_>,
        session: usize,
        origin: Origin,
        tokens: Span<u32>,
    ) -> usize {
        let mut parts = self.parts(arena, session, tokens);
        assert_eq!(parts.has(), 0, "session {session} has blocks of its own");
        let tokens = parts.tokens;
        let mut wanted = &tokens[..tokens.len().saturating_sub(1)];
        let mut parent = prefixes::NONE;
        while let Some((tokens, rest)) = wanted.split_first_chunk::<BLOCK_POSITIONS>()
            && let Some(block) = parts.blocks.find(parent, origin, tokens)
        {
            parts.blocks.refer(block);
            parts.push(block);
            (parent, wanted) = (block, rest);
        }
        let shared = parts.has() * BLOCK_POSITIONS;
        let Some((from, positions)) = parts.blocks.find_longest(parent, origin, wanted) else {
            return shared;
        };
        // Protects the source from being taken.
        parts.blocks.refer(from);
        let own = parts.blocks.take();
        parts.blocks.give_up(from);
        let Some(own) = own else {
            return shared;
        };
        parts.push(own);
        self.copy(arena, from, own);
        shared + positions
    }

    /// Copies a whole block. What the session has not reached is written before it is read.
    fn copy(&self, arena: &mut Arena<'_>, from: u16, to: u16) {
        let bytes = self.shape.part_bytes();
        let planes = arena
            .get_mut(self.pool)
            .chunks_exact_mut(self.shape.blocks() * bytes);
        for plane in planes {
            let [from, to] = [from, to].map(|block| usize::from(block) * bytes);
            plane.copy_within(from..from + bytes, to);
        }
    }

    /// Call when all `tokens` of a session are computed: its whole blocks can be shared from now on and are not written
    /// any more. If two blocks hold the same, the session keeps the one known first.
    ///
    /// # Panics
    /// There is no such session, or it has fewer positions.
    pub(crate) fn publish(
        &self,
        arena: &mut Arena<'_>,
        session: usize,
        origin: Origin,
        tokens: Span<u32>,
    ) {
        let Parts {
            table,
            tokens,
            mut blocks,
        } = self.parts(arena, session, tokens);
        let whole = tokens.len() / BLOCK_POSITIONS;
        let table = &mut table[1..=whole];
        let unknown = table.iter().rev();
        let unknown = unknown
            .take_while(|&&block| !blocks.is_known(block))
            .count();
        let known = whole - unknown;
        let mut parent = match known {
            0 => prefixes::NONE,
            known => table[known - 1],
        };
        let tokens = tokens.chunks_exact(BLOCK_POSITIONS);
        for (entry, tokens) in table.iter_mut().zip(tokens).skip(known) {
            match blocks.find(parent, origin, tokens) {
                Some(same) => {
                    blocks.refer(same);
                    blocks.give_up(core::mem::replace(entry, same));
                }
                None => blocks.learn(*entry, parent, origin, tokens),
            }
            parent = *entry;
        }
    }

    /// Drops all retained prefixes.
    pub fn forget_retained(&self, arena: &mut Arena<'_>) {
        self.parts(arena, 0, Span::EMPTY).blocks.forget_retained();
    }

    /// Whether only `session` reads the block of one of its positions, so that it may be written.
    ///
    /// # Panics
    /// There is no such session, or it has no such position.
    pub(crate) fn may_write(&self, arena: &Arena<'_>, session: usize, position: usize) -> bool {
        let block = arena.get(self.table(session))[1 + position / BLOCK_POSITIONS];
        arena.get(self.blocks)[usize::from(block)].is_private()
    }

    /// Frees all blocks of `session`.
    ///
    /// # Panics
    /// There is no such session.
    pub fn release(&self, arena: &mut Arena<'_>, session: usize) {
        self.truncate(arena, session, 0);
    }

    /// Frees the blocks of `session` beyond its first `positions` positions.
    ///
    /// # Panics
    /// There is no such session.
    pub fn truncate(&self, arena: &mut Arena<'_>, session: usize, positions: usize) {
        let mut parts = self.parts(arena, session, Span::EMPTY);
        let has = parts.has();
        let kept = positions.div_ceil(BLOCK_POSITIONS).min(has);
        // Last one first: that is the order in which they would be reused, and no block is then retained longer than
        // its predecessor.
        for &block in parts.table[1 + kept..=has].iter().rev() {
            parts.blocks.give_up(block);
        }
        parts.table[0] = kept as u16;
    }

    /// Positions of the whole pool.
    #[must_use]
    pub const fn positions(&self) -> usize {
        self.shape.blocks() * BLOCK_POSITIONS
    }

    /// Locations of the pool and of the tables of all sessions.
    pub(crate) const fn spans(&self) -> (Span<u8>, Span<u16>) {
        (self.pool, self.tables)
    }
}

#[cfg(test)]
impl KvCache {
    /// Checks the invariants ([`Blocks::check`]), and returns the known blocks.
    pub(crate) fn check(&self, arena: &mut Arena<'_>) -> std::vec::Vec<Known> {
        let tables: std::vec::Vec<_> = (0..self.shape.sessions)
            .map(|session| {
                let table = arena.get(self.table(session));
                table[1..=usize::from(table[0])].to_vec()
            })
            .collect();
        self.parts(arena, 0, Span::EMPTY).blocks.check(&tables)
    }

    /// Contents of a block.
    pub(crate) fn content(&self, arena: &Arena<'_>, block: usize) -> std::vec::Vec<u8> {
        let parts = arena.get(self.pool).chunks_exact(self.shape.part_bytes());
        let parts = parts.skip(block).step_by(self.shape.blocks());
        parts.flatten().copied().collect()
    }
}

#[cfg(test)]
mod tests;
