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

use crate::arena::{Arena, ArenaError, Plain, Purpose, Span, as_mut, bytes_of};
use crate::quantize::{NonFinite, ZERO_BLOCK, max_magnitude, round_to_i8};
use half::f16;
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
        let (Some(pool), Some(tables), Some(free)) = (
            self.block_bytes().checked_mul(self.blocks()),
            self.table_len().checked_mul(self.sessions),
            bytes_of::<u16>(1 + self.blocks()),
        ) else {
            return None;
        };
        match (bytes_of::<u8>(pool), bytes_of::<u16>(tables)) {
            (Some(pool), Some(tables)) => pool.checked_add(tables + free),
            _ => None,
        }
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
    /// How many blocks are free, then which: the last one is taken first.
    free: Span<u16>,
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
            free: arena.alloc(1 + blocks, Purpose::KvCache)?,
        };
        let [count, free @ ..] = arena.get_mut(cache.free) else {
            return Ok(cache);
        };
        *count = blocks as u16;
        for (block, number) in free.iter_mut().rev().zip(0..) {
            *block = number;
        }
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

    /// Positions in free blocks.
    #[must_use]
    pub fn free_positions(&self, arena: &Arena<'_>) -> usize {
        let count = arena.get(self.free).first().copied().unwrap_or(0);
        usize::from(count) * BLOCK_POSITIONS
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

    /// Gives `session` room for `positions` positions in all, at most the context; what it has is kept.
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
        let has = self.reserved(arena, session) / BLOCK_POSITIONS;
        let more = wanted.saturating_sub(has);
        let free = self.free_positions(arena) / BLOCK_POSITIONS;
        if more > free {
            return Err(CacheFull {
                needed: more * BLOCK_POSITIONS,
                free: free * BLOCK_POSITIONS,
            });
        }
        for n in 0..more {
            let block = arena.get(self.free)[free - n];
            let table = arena.get_mut(self.table(session));
            table[1 + has + n] = block;
            table[0] += 1;
        }
        arena.get_mut(self.free)[0] -= more as u16;
        Ok(())
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
        let has = self.reserved(arena, session) / BLOCK_POSITIONS;
        let kept = positions.div_ceil(BLOCK_POSITIONS).min(has);
        // In the order in which they would be taken again.
        for n in (kept..has).rev() {
            let block = arena.get(self.table(session))[1 + n];
            let free = arena.get_mut(self.free);
            free[0] += 1;
            free[usize::from(free[0])] = block;
        }
        arena.get_mut(self.table(session))[0] = kept as u16;
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
    use std::collections::BTreeSet;
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

    proptest! {
        /// Any order of reservations and truncations: no block is lost, none has two owners.
        #[test]
        fn blocks_have_one_owner(
            steps in prop::collection::vec((0usize..5, 0usize..120, any::<bool>()), 1..80)
        ) {
            let mut memory = Memory::new(1 << 20);
            let mut arena = Arena::new(memory.bytes()).unwrap();
            let cache = KvCache::new(&mut arena, SHAPE).unwrap();
            for (session, positions, less) in steps {
                if less {
                    let before = cache.reserved(&arena, session);
                    cache.truncate(&mut arena, session, positions);
                    let wanted = positions.next_multiple_of(BLOCK_POSITIONS);
                    prop_assert_eq!(cache.reserved(&arena, session), before.min(wanted));
                } else {
                    let before = (cache.reserved(&arena, session), cache.free_positions(&arena));
                    match cache.reserve(&mut arena, session, positions) {
                        Ok(()) => {
                            let wanted = positions.min(SHAPE.context);
                            prop_assert!(cache.reserved(&arena, session) >= wanted);
                        }
                        Err(full) => {
                            prop_assert_eq!(full.free, before.1);
                            prop_assert_eq!(cache.reserved(&arena, session), before.0);
                        }
                    }
                }
                let mut owned = Vec::new();
                for session in 0..SHAPE.sessions {
                    let table = arena.get(cache.table(session));
                    owned.extend(&table[1..=usize::from(table[0])]);
                }
                let free = arena.get(cache.free);
                owned.extend(&free[1..=usize::from(free[0])]);
                let distinct: BTreeSet<u16> = owned.iter().copied().collect();
                prop_assert_eq!(distinct.len(), owned.len());
                prop_assert_eq!(owned.len(), SHAPE.blocks());
            }
        }
    }
}
