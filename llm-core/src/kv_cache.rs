//! Keys and values of the tokens that the sessions have seen.
//!
//! A session's positions lie in blocks of sixteen, which come from one pool, so that sessions of any
//! length share it without fragments; a table per session says which blocks it has. Each layer and key head
//! has a plane for keys and one for values with a part for every block, so that attention, which reads one plane
//! after the other, reads memory in order where blocks were handed out in order. A part:
//!
//! ```text
//!   F32, F16   [16 positions][head]                     rows
//!   Q8  keys   [head / 64][16 scales], [head / 4][16][4 bytes]     a tile: a register has four elements of all positions
//!       values [head / 64][16 scales], [head / 16][4][16][4 bytes] tiles: a register has four positions of 16 elements
//! ```
//!
//! In 8 bits a scale serves 64 elements of a head (`SCALED`): Gemma 3 has heads of 256, and one scale for all of them cost
//! 0.8 % of perplexity.
//!
//! What is stored is all that attention ever reads, also for tokens of the same prefill, so the state
//! after n tokens does not depend on how they were fed, on other sessions, or on where the blocks lie.
//!
//! So sessions of one owner that begin with the same tokens, with the same adapter, can have the same blocks in their tables
//! (`KvCache::share`): whole blocks that have been computed, which nobody writes any more. Such blocks outlive their
//! sessions until their room is needed.

mod prefixes;

pub use prefixes::Origin;
#[cfg(test)]
pub(crate) use prefixes::audit::Known;

use crate::arena::{Arena, ArenaError, Mark, Plain, Purpose, Span, as_mut, bytes_of};
use crate::quantize::{NonFinite, ZERO_BLOCK, max_magnitude, round_to_i8};
use half::f16;
use prefixes::{Block, Blocks, Lists};
use zerocopy::FromBytes;

/// Positions of a block.
pub const BLOCK_POSITIONS: usize = 16;

/// Elements of a head that share a scale in 8 bits; the last ones of a head may be fewer.
pub(crate) const SCALED: usize = 64;

/// Bytes of the scales of [`SCALED`] elements in a block: one f32 for each position.
const SCALES: usize = BLOCK_POSITIONS * size_of::<f32>();

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvType {
    /// IEEE binary32: exact, for comparisons.
    F32,
    /// IEEE binary16, rounded to nearest even.
    F16,
    /// Eight bits, −127…127, with a scale in f32 for each position and 64 elements of a head.
    Q8,
}

impl KvType {
    /// Bytes of the keys of one head and position.
    #[must_use]
    pub const fn bytes(self, head_size: usize) -> usize {
        match self {
            Self::F32 => head_size * 4,
            Self::F16 => head_size * 2,
            Self::Q8 => head_size.next_multiple_of(16) + 4 * head_size.div_ceil(SCALED),
        }
    }
}

/// What a cache is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// How keys and values are stored.
    pub ty: KvType,
    /// Blocks of the model.
    pub layers: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_size: usize,
    /// Most positions of a session.
    pub context: usize,
    /// Sessions at once.
    pub sessions: usize,
    /// Positions that all sessions share.
    pub positions: usize,
}

impl KvShape {
    /// Bytes of the keys, or of the values, of one head in a block: whole cache lines.
    #[inline]
    pub(crate) const fn part_bytes(&self) -> usize {
        (BLOCK_POSITIONS * self.ty.bytes(self.head_size)).next_multiple_of(64)
    }

    #[inline]
    const fn block_bytes(&self) -> usize {
        2 * self.layers * self.kv_heads * self.part_bytes()
    }

    /// Blocks of the pool.
    #[inline]
    const fn blocks(&self) -> usize {
        self.positions.div_ceil(BLOCK_POSITIONS)
    }

    /// Words of a session's table: how many blocks it has, then which.
    const fn table_len(&self) -> usize {
        1 + self.context.div_ceil(BLOCK_POSITIONS)
    }

    /// Bytes in the arena; `None` if that overflows, or if there are more blocks than a table can name.
    #[must_use]
    pub const fn bytes(&self) -> Option<usize> {
        if self.blocks() > u16::MAX as usize {
            return None;
        }
        let (Some(pool), Some(tables)) = (
            self.block_bytes().checked_mul(self.blocks()),
            self.table_len().checked_mul(self.sessions),
        ) else {
            return None;
        };
        let (Some(pool), Some(tables), Some(blank), Some(blocks), Some(lists)) = (
            bytes_of::<u8>(pool),
            bytes_of::<u16>(tables),
            bytes_of::<u16>(1 + self.blocks()),
            bytes_of::<Block>(self.blocks()),
            bytes_of::<Lists>(1),
        ) else {
            return None;
        };
        pool.checked_add(tables + blank + blocks + lists)
    }
}

/// The pool has too few blocks left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{needed} positions asked for, {free} left in the KV cache")]
pub struct CacheFull {
    /// Positions that more blocks were needed for, whole blocks.
    pub needed: usize,
    /// Positions in free blocks.
    pub free: usize,
}

/// The pool and its tables.
#[derive(Clone, Copy, Debug)]
pub struct KvCache {
    shape: KvShape,
    pool: Span<u8>,
    tables: Span<u16>,
    /// As [`Blocks`] has them.
    blank: Span<u16>,
    blocks: Span<Block>,
    lists: Span<Lists>,
}

/// A session's table, its tokens, and the blocks of all.
struct Parts<'a> {
    /// How many blocks it has, then which.
    table: &'a mut [u16],
    tokens: &'a [u32],
    blocks: Blocks<'a>,
}

impl Parts<'_> {
    /// How many blocks the session has.
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
    /// A cache whose blocks are all free.
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

    /// What it was made for.
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

    /// Positions in blocks that no session has, those of retained prefixes included.
    #[must_use]
    pub fn free_positions(&self, arena: &Arena<'_>) -> usize {
        let blank = arena.get(self.blank).first().copied().unwrap_or(0);
        usize::from(blank) * BLOCK_POSITIONS + self.retained_positions(arena)
    }

    /// Positions of prefixes that no session has: what was computed for sessions that are gone.
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

    /// Positions of the blocks in which so many positions lie, at most a context.
    #[must_use]
    pub fn rounded(&self, positions: usize) -> usize {
        positions
            .min(self.shape.context)
            .next_multiple_of(BLOCK_POSITIONS)
    }

    /// Gives `session` room for `positions` positions in all, at most the context; what it has is kept. Blocks that nothing is
    /// known of come first, then those of the prefixes that have been retained for the longest, whose content is lost.
    ///
    /// # Errors
    /// The pool has too little; nothing has changed.
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

    /// Gives a session that has no blocks those that hold its `tokens` already, because a session of the same origin began
    /// with the same ones: as many as can be, without the last token, whose logits somebody wants. Whole blocks are shared;
    /// what another block begins with is copied into one of the session's own. Positions that need not be computed.
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
        // It must not be the one that is taken.
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

    /// Copies what a block holds, all of it: what a session has not reached is not read before it is written.
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

    /// All `tokens` of a session have been computed: its whole blocks can be shared from now on and are not written any more.
    /// Of two blocks that hold the same, the session keeps the one that was known before.
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

    /// Forgets what is known of blocks that no session has.
    pub fn forget_retained(&self, arena: &mut Arena<'_>) {
        self.parts(arena, 0, Span::EMPTY).blocks.forget_retained();
    }

    /// Whether nobody but `session` reads the block of one of its positions, so that it may be written.
    ///
    /// # Panics
    /// There is no such session, or it has no such position.
    pub(crate) fn may_write(&self, arena: &Arena<'_>, session: usize, position: usize) -> bool {
        let block = arena.get(self.table(session))[1 + position / BLOCK_POSITIONS];
        arena.get(self.blocks)[usize::from(block)].is_private()
    }

    /// Takes all blocks of `session` back.
    ///
    /// # Panics
    /// There is no such session.
    pub fn release(&self, arena: &mut Arena<'_>, session: usize) {
        self.truncate(arena, session, 0);
    }

    /// Takes back the blocks of `session` that its first `positions` positions do not need.
    ///
    /// # Panics
    /// There is no such session.
    pub fn truncate(&self, arena: &mut Arena<'_>, session: usize, positions: usize) {
        let mut parts = self.parts(arena, session, Span::EMPTY);
        let has = parts.has();
        let kept = positions.div_ceil(BLOCK_POSITIONS).min(has);
        // The last one first: in the order in which they would be taken again, and so that no block is retained for longer
        // than the one before it.
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

    /// Where pool and table of `session` lie.
    pub(crate) const fn spans(&self, session: usize) -> (Span<u8>, Span<u16>) {
        (self.pool, self.table(session))
    }
}

#[cfg(test)]
impl KvCache {
    /// Checks the books ([`Blocks::check`]); the known blocks.
    pub(crate) fn check(&self, arena: &mut Arena<'_>) -> std::vec::Vec<Known> {
        let tables: std::vec::Vec<_> = (0..self.shape.sessions)
            .map(|session| {
                let table = arena.get(self.table(session));
                table[1..=usize::from(table[0])].to_vec()
            })
            .collect();
        self.parts(arena, 0, Span::EMPTY).blocks.check(&tables)
    }

    /// What a block holds.
    pub(crate) fn content(&self, arena: &Arena<'_>, block: usize) -> std::vec::Vec<u8> {
        let parts = arena.get(self.pool).chunks_exact(self.shape.part_bytes());
        let parts = parts.skip(block).step_by(self.shape.blocks());
        parts.flatten().copied().collect()
    }
}

/// What one layer of one session has in the cache, to read.
#[derive(Clone, Copy)]
pub(crate) struct CachedLayer<'a> {
    pub(crate) shape: &'a KvShape,
    pub(crate) pool: &'a [u8],
    /// As [`KvCache::spans`] has it.
    pub(crate) table: &'a [u16],
    pub(crate) layer: usize,
}

impl<'a> CachedLayer<'a> {
    /// What a key head has there.
    #[inline(always)]
    pub(crate) fn head(&self, head: usize) -> CachedHead<'a> {
        let plane = 2 * (self.layer * self.shape.kv_heads + head);
        let bytes = self.shape.part_bytes();
        let planes = &self.pool[plane * self.shape.blocks() * bytes..];
        let (keys, values) = planes.split_at(self.shape.blocks() * bytes);
        CachedHead {
            keys,
            values,
            table: &self.table[1..],
            bytes,
        }
    }
}

/// The keys and values of one head.
#[derive(Clone, Copy)]
pub(crate) struct CachedHead<'a> {
    keys: &'a [u8],
    values: &'a [u8],
    table: &'a [u16],
    bytes: usize,
}

impl<'a> CachedHead<'a> {
    /// Keys in the session's block `index`.
    #[inline(always)]
    pub(crate) fn keys(&self, index: usize) -> &'a [u8] {
        let start = usize::from(self.table[index]) * self.bytes;
        &self.keys[start..start + self.bytes]
    }

    /// Values in the session's block `index`.
    #[inline(always)]
    pub(crate) fn values(&self, index: usize) -> &'a [u8] {
        let start = usize::from(self.table[index]) * self.bytes;
        &self.values[start..start + self.bytes]
    }
}

/// Stores the keys and values of one position in one layer.
///
/// # Errors
/// A value is not finite, or not in f16.
#[inline(always)]
pub(crate) fn store(
    shape: &KvShape,
    pool: &mut [u8],
    table: &[u16],
    layer: usize,
    position: usize,
    [key, value]: [&[f32]; 2],
) -> Result<(), NonFinite> {
    let (index, slot) = (position / BLOCK_POSITIONS, position % BLOCK_POSITIONS);
    let heads = key
        .chunks_exact(shape.head_size)
        .zip(value.chunks_exact(shape.head_size));
    for (head, (key, value)) in heads.enumerate() {
        let (bytes, blocks) = (shape.part_bytes(), shape.blocks());
        let plane = 2 * (layer * shape.kv_heads + head);
        let part = (plane * blocks + usize::from(table[1 + index])) * bytes;
        let (keys, values) = pool[part..].split_at_mut(blocks * bytes);
        let (keys, values) = (&mut keys[..bytes], &mut values[..bytes]);
        match shape.ty {
            KvType::F32 => {
                store_rows(keys, slot, key, |x| x)?;
                store_rows(values, slot, value, |x| x)?;
            }
            KvType::F16 => {
                store_rows(keys, slot, key, f16::from_f32)?;
                store_rows(values, slot, value, f16::from_f32)?;
            }
            KvType::Q8 => {
                quantize_head(key, keys, slot, |i| {
                    (i / 4 * BLOCK_POSITIONS + slot) * 4 + i % 4
                })?;
                quantize_head(value, values, slot, |i| value_place(slot, i))?;
            }
        }
    }
    Ok(())
}

#[inline(always)]
fn store_rows<T: Plain + Into<f32>>(
    part: &mut [u8],
    slot: usize,
    from: &[f32],
    narrow: impl Fn(f32) -> T,
) -> Result<(), NonFinite> {
    max_magnitude(from)?;
    let bytes = size_of_val(from) / size_of::<f32>() * size_of::<T>();
    let row = as_mut::<T>(&mut part[slot * bytes..(slot + 1) * bytes]);
    for (to, from) in row.iter_mut().zip(from) {
        *to = narrow(*from);
        if !(*to).into().is_finite() {
            return Err(NonFinite);
        }
    }
    Ok(())
}

/// q = round(x · 127 / max |x|), scale max |x| / 127, for each [`SCALED`] elements; those that are nearly zero are zero.
#[inline(always)]
fn quantize_head(
    x: &[f32],
    part: &mut [u8],
    slot: usize,
    place: impl Fn(usize) -> usize,
) -> Result<(), NonFinite> {
    let (scales, codes) = part.split_at_mut(x.len().div_ceil(SCALED) * SCALES);
    let groups = x.chunks(SCALED).zip(scales.chunks_exact_mut(SCALES));
    for (group, (x, scales)) in groups.enumerate() {
        let max = max_magnitude(x)?;
        let (scale, inverse) = match max < ZERO_BLOCK {
            true => (0.0, 0.0),
            false => (max / 127.0, 127.0 / max),
        };
        scales[slot * 4..slot * 4 + 4].copy_from_slice(&scale.to_ne_bytes());
        for (i, x) in x.iter().enumerate() {
            codes[place(group * SCALED + i)] = round_to_i8(x * inverse) as u8;
        }
    }
    Ok(())
}

/// Where element `i` of the values of a position lies, behind the scales.
#[inline(always)]
pub(crate) const fn value_place(slot: usize, i: usize) -> usize {
    ((i / 16 * 4 + slot / 4) * 16 + i % 16) * 4 + slot % 4
}

/// The scales of keys or values in 8 bits, sixteen for each [`SCALED`] elements of a head, and what follows.
#[inline(always)]
pub(crate) fn scales(part: &[u8], head_size: usize) -> (&[[f32; BLOCK_POSITIONS]], &[u8]) {
    let (scales, rest) = part.split_at(head_size.div_ceil(SCALED) * SCALES);
    let scales = <[[f32; BLOCK_POSITIONS]]>::ref_from_bytes(scales);
    (scales.expect("parts of a block are aligned"), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Memory;
    use proptest::prelude::*;
    use std::collections::{BTreeSet, HashMap};
    use std::vec::Vec;

    const SHAPE: KvShape = KvShape {
        ty: KvType::Q8,
        layers: 2,
        kv_heads: 2,
        head_size: 20,
        context: 100,
        sessions: 5,
        positions: 20 * BLOCK_POSITIONS,
    };

    #[test]
    fn a_cache_has_the_bytes_that_were_planned() {
        for ty in [KvType::F32, KvType::F16, KvType::Q8] {
            let shape = KvShape { ty, ..SHAPE };
            let mut memory = Memory::new(1 << 20);
            let mut arena = Arena::new(memory.bytes()).unwrap();
            KvCache::new(&mut arena, shape).unwrap();
            assert_eq!(Some(arena.usage().current), shape.bytes(), "{ty:?}");
        }
        let huge = KvShape {
            positions: 1 << 21,
            ..SHAPE
        };
        assert_eq!(huge.bytes(), None);
    }

    #[test]
    fn eight_bits_are_within_half_a_step_and_the_ends_are_reached() {
        let shape = KvShape {
            ty: KvType::Q8,
            layers: 1,
            kv_heads: 1,
            head_size: 8,
            ..SHAPE
        };
        let mut pool = std::vec![0; shape.blocks() * shape.block_bytes() + 64];
        let shift = pool.as_ptr().align_offset(64);
        let pool = &mut pool[shift..];
        let key = [-3.0, 3.0, 0.1, 0.0, 1.5, 2.9, -0.01, 1.0];
        store(&shape, pool, &[1, 0], 0, 5, [&key, &key]).unwrap();
        let (keys, values) = pool.split_at(shape.blocks() * shape.part_bytes());
        for (place, part) in [(0, keys), (1, values)] {
            let (scales, bytes) = scales(part, 8);
            assert_eq!(scales[0][5], 3.0 / 127.0);
            for (i, x) in key.iter().enumerate() {
                let at = if place == 0 {
                    (i / 4 * 16 + 5) * 4 + i % 4
                } else {
                    value_place(5, i)
                };
                let back = f32::from(bytes[at] as i8) * scales[0][5];
                assert!((back - x).abs() <= 3.0 / 254.0 + 1e-6, "{x} {back}");
            }
            assert_eq!(bytes.iter().filter(|&&q| q as i8 == -127).count(), 1);
        }
        let bad = [1.0, f32::NAN, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(
            store(&shape, pool, &[1, 0], 0, 5, [&bad, &key]),
            Err(NonFinite)
        );
        let large = KvShape {
            ty: KvType::F16,
            ..shape
        };
        let mut pool = std::vec![0; large.blocks() * large.block_bytes() + 64];
        let shift = pool.as_ptr().align_offset(64);
        let result = store(&large, &mut pool[shift..], &[1, 0], 0, 0, [&key, &[1e5; 8]]);
        assert_eq!(result, Err(NonFinite), "f16 ends at 65504");
    }

    /// Tokens that sessions begin with: those of two numbers have as many blocks in common as their digits in base 4, from the
    /// last on, are equal, and half a block more if the next ones are both even or both odd.
    fn tokens(number: u32, len: usize) -> Vec<u32> {
        let digits = (0..len / BLOCK_POSITIONS + 1).map(|n| number >> (2 * n) & 3);
        let blocks = digits.flat_map(|digit| {
            (0..BLOCK_POSITIONS as u32).map(move |n| {
                let digit = if n < 8 { digit & 1 } else { digit };
                digit << 8 | n
            })
        });
        blocks.take(len).collect()
    }

    /// How many tokens two rows begin with alike.
    fn in_common(a: &[u32], b: &[u32]) -> usize {
        a.iter().zip(b).take_while(|(a, b)| a == b).count()
    }

    /// What the pool holds for the last of these tokens, as if a model had made it.
    fn row(origin: Origin, tokens: &[u32]) -> [f32; 40] {
        let start = origin.adapter.map_or(7, u32::from);
        let hash = tokens.iter().fold(start, |hash, token| {
            (hash ^ token).wrapping_mul(0x9e37_79b1).rotate_left(13)
        });
        core::array::from_fn(|n| (hash >> (n % 24) & 0xff) as f32 - 128.0)
    }

    #[derive(Clone, Debug)]
    enum Act {
        /// A session begins anew, and takes what is there.
        Begin {
            session: usize,
            origin: Origin,
            number: u32,
            len: usize,
        },
        /// So many tokens of it are computed.
        Compute {
            session: usize,
            tokens: usize,
        },
        Truncate {
            session: usize,
            positions: usize,
        },
        ForgetRetained,
    }

    fn act() -> impl Strategy<Value = Act> {
        let session = 0..SHAPE.sessions;
        let adapter = prop_oneof![3 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(3))];
        let origin = (0u32..2, adapter).prop_map(|(owner, adapter)| Origin { owner, adapter });
        prop_oneof![
            4 => (session.clone(), origin, 0u32..256, 1usize..=100).prop_map(
                |(session, origin, number, len)| Act::Begin { session, origin, number, len }
            ),
            6 => (session.clone(), 1usize..80)
                .prop_map(|(session, tokens)| Act::Compute { session, tokens }),
            2 => (session, 0usize..100)
                .prop_map(|(session, positions)| Act::Truncate { session, positions }),
            1 => Just(Act::ForgetRetained),
        ]
    }

    /// A session of the play.
    #[derive(Clone, Debug)]
    struct Player {
        origin: Origin,
        tokens: Vec<u32>,
        position: usize,
    }

    /// Plays, and checks the books after each act. Positions that were shared, and how often a retained block was lost.
    fn play(acts: Vec<Act>) -> (usize, usize) {
        let mut memory = Memory::new(1 << 20);
        let mut arena = Arena::new(memory.bytes()).unwrap();
        let cache = KvCache::new(&mut arena, SHAPE).unwrap();
        let span = arena.alloc::<u32>(SHAPE.context, Purpose::Other).unwrap();
        let mut players: Vec<Option<Player>> = std::vec![None; SHAPE.sessions];
        let (mut contents, mut shared, mut lost) = (HashMap::new(), 0, 0);
        for act in acts {
            let before = cache.check(&mut arena);
            match act {
                Act::Begin {
                    session,
                    origin,
                    number,
                    len,
                } => {
                    cache.release(&mut arena, session);
                    players[session] = None;
                    let tokens = tokens(number, len);
                    arena.get_mut(span)[..len].copy_from_slice(&tokens);
                    let free = cache.free_positions(&arena);
                    let got = cache.share(&mut arena, session, origin, span.part(0, len));
                    let is_there = |positions: usize| {
                        before.iter().any(|known| {
                            (known.owner, known.adapter) == (origin.owner, origin.adapter)
                                && known.tokens == tokens[..positions]
                        })
                    };
                    let whole = (0..len).step_by(BLOCK_POSITIONS).skip(1);
                    let whole = whole.take_while(|&positions| is_there(positions)).last();
                    let whole = whole.unwrap_or(0);
                    let of_next = before.iter().filter(|known| {
                        (known.owner, known.adapter) == (origin.owner, origin.adapter)
                            && known.tokens.len() == whole + BLOCK_POSITIONS
                    });
                    let longest = of_next.map(|known| in_common(&known.tokens, &tokens[..len - 1]));
                    let longest = longest.max().filter(|&longest| longest > whole);
                    // With no block left there is none to copy to.
                    if got != whole || free > 2 * BLOCK_POSITIONS {
                        assert_eq!(got, longest.unwrap_or(whole));
                    }
                    shared += got;
                    match cache.reserve(&mut arena, session, len) {
                        Ok(()) => {
                            players[session] = Some(Player {
                                origin,
                                tokens,
                                position: got,
                            });
                        }
                        Err(full) => {
                            assert!(full.free < full.needed);
                            cache.release(&mut arena, session);
                        }
                    }
                }
                Act::Compute { session, tokens } => {
                    let Some(player) = &mut players[session] else {
                        continue;
                    };
                    let end = player.tokens.len().min(player.position + tokens);
                    for position in player.position..end {
                        assert!(cache.may_write(&arena, session, position));
                        let row = row(player.origin, &player.tokens[..=position]);
                        let table = arena.get(cache.table(session)).to_vec();
                        for layer in 0..SHAPE.layers {
                            let pool = arena.get_mut(cache.pool);
                            store(&SHAPE, pool, &table, layer, position, [&row, &row]).unwrap();
                        }
                    }
                    player.position = end;
                    arena.get_mut(span)[..end].copy_from_slice(&player.tokens[..end]);
                    cache.publish(&mut arena, session, player.origin, span.part(0, end));
                }
                Act::Truncate { session, positions } => {
                    cache.truncate(&mut arena, session, positions);
                    let has = cache.reserved(&arena, session);
                    if let Some(player) = &mut players[session] {
                        player.tokens.truncate(has);
                        player.position = player.position.min(has);
                    }
                }
                Act::ForgetRetained => {
                    cache.forget_retained(&mut arena);
                    assert_eq!(cache.retained_positions(&arena), 0);
                }
            }
            let after = cache.check(&mut arena);
            let is_gone = |known: &&Known| {
                !after
                    .iter()
                    .any(|after| after.block == known.block && after.tokens == known.tokens)
            };
            let gone: Vec<_> = before.iter().filter(is_gone).collect();
            lost += usize::from(!gone.is_empty());
            // What was computed for others with these tokens is the same: so nobody wrote there since.
            for known in after {
                let content = cache.content(&arena, usize::from(known.block));
                let first = contents.entry((known.adapter, known.tokens));
                assert_eq!(*first.or_insert_with(|| content.clone()), content);
            }
            let distinct: BTreeSet<u16> = (0..SHAPE.sessions)
                .flat_map(|session| {
                    let table = arena.get(cache.table(session));
                    table[1..=usize::from(table[0])].to_vec()
                })
                .collect();
            let free = (SHAPE.blocks() - distinct.len()) * BLOCK_POSITIONS;
            assert_eq!(cache.free_positions(&arena), free);
        }
        for session in 0..SHAPE.sessions {
            cache.release(&mut arena, session);
        }
        assert_eq!(cache.free_positions(&arena), cache.positions());
        cache.forget_retained(&mut arena);
        assert_eq!(cache.check(&mut arena), []);
        assert_eq!(cache.free_positions(&arena), cache.positions());
        (shared, lost)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// Any order of beginnings, computed tokens and ends: a session takes exactly what is known of its own owner, adapter
        /// and tokens, no block is lost or given up twice, and none is written once it is known.
        #[test]
        fn blocks_are_shared_by_those_who_may_and_written_by_nobody(
            acts in prop::collection::vec(act(), 1..120)
        ) {
            play(acts);
        }
    }

    /// The property would be hollow if nothing were shared, and no room ever needed.
    #[test]
    fn the_plays_share_blocks_and_lose_retained_ones() {
        use proptest::strategy::ValueTree as _;
        let mut runner = proptest::test_runner::TestRunner::deterministic();
        let mut plays = [0; 2];
        for _ in 0..20 {
            let acts = prop::collection::vec(act(), 100..120);
            let (shared, lost) = play(acts.new_tree(&mut runner).unwrap().current());
            plays[0] += usize::from(shared > 0);
            plays[1] += usize::from(lost > 0);
        }
        assert!(plays.iter().all(|&plays| plays >= 15), "{plays:?} of 20");
    }

    /// Four blocks of two prefixes: the one that was given up last stays the longest, and a block longer than those behind it.
    #[test]
    fn what_was_given_up_first_goes_first_and_a_block_after_those_behind_it() {
        let mut memory = Memory::new(1 << 20);
        let mut arena = Arena::new(memory.bytes()).unwrap();
        let shape = KvShape {
            positions: 6 * BLOCK_POSITIONS,
            ..SHAPE
        };
        let cache = KvCache::new(&mut arena, shape).unwrap();
        let span = arena.alloc::<u32>(SHAPE.context, Purpose::Other).unwrap();
        let origin = Origin {
            owner: 4,
            adapter: None,
        };
        for number in [1, 2] {
            arena.get_mut(span)[..32].copy_from_slice(&tokens(number, 32));
            assert_eq!(cache.share(&mut arena, 0, origin, span.part(0, 32)), 0);
            cache.reserve(&mut arena, 0, 32).unwrap();
            cache.publish(&mut arena, 0, origin, span.part(0, 32));
            cache.release(&mut arena, 0);
        }
        let mut left = Vec::new();
        for blocks in 2..=6 {
            cache
                .reserve(&mut arena, 1, blocks * BLOCK_POSITIONS)
                .unwrap();
            left.push(
                cache
                    .check(&mut arena)
                    .iter()
                    .map(|known| known.tokens.clone())
                    .collect::<BTreeSet<_>>(),
            );
        }
        let set = |rows: &[(u32, usize)]| -> BTreeSet<_> {
            rows.iter()
                .map(|&(number, len)| tokens(number, len))
                .collect()
        };
        assert_eq!(
            left,
            [
                set(&[(1, 16), (1, 32), (2, 16), (2, 32)]),
                set(&[(1, 16), (2, 16), (2, 32)]),
                set(&[(2, 16), (2, 32)]),
                set(&[(2, 16)]),
                set(&[]),
            ]
        );
        // The last token is never taken: somebody wants its logits.
        cache.release(&mut arena, 1);
        arena.get_mut(span)[..17].copy_from_slice(&tokens(1, 17));
        cache.reserve(&mut arena, 0, 17).unwrap();
        cache.publish(&mut arena, 0, origin, span.part(0, 17));
        for (len, shared) in [(1, 0), (15, 14), (16, 15), (17, 16), (18, 16)] {
            arena.get_mut(span)[..len].copy_from_slice(&tokens(1, len));
            assert_eq!(
                cache.share(&mut arena, 2, origin, span.part(0, len)),
                shared
            );
            cache.release(&mut arena, 2);
        }
        for other in [
            Origin { owner: 5, ..origin },
            Origin {
                adapter: Some(0),
                ..origin
            },
        ] {
            assert_eq!(cache.share(&mut arena, 2, other, span.part(0, 18)), 0);
        }
    }
}
