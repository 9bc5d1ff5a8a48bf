//! The shape of a cache: its size, and where its parts are.

use super::prefixes::{Block, Lists};
use crate::arena::bytes_of;
use core::ops::Range;

/// Positions of a block.
pub const BLOCK_POSITIONS: usize = 16;

/// Elements of a head that share a scale in 8 bits; the last group of a head may be smaller.
pub(crate) const SCALED: usize = 64;

/// Bytes of the scales of [`SCALED`] elements in a block: one f32 for each position.
pub(super) const SCALES: usize = BLOCK_POSITIONS * size_of::<f32>();

/// Storage type of keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvType {
    /// IEEE binary32: exact, for comparisons.
    F32,
    /// IEEE binary16, rounded to nearest even.
    F16,
    /// Eight bits, −127…127, with an f32 scale per position and 64 elements of a head.
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

/// Dimensions of a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KvShape {
    /// Storage type of keys and values.
    pub ty: KvType,
    /// Blocks of the model.
    pub layers: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of a head.
    pub head_size: usize,
    /// Maximum number of positions of a session.
    pub context: usize,
    /// Number of sessions.
    pub sessions: usize,
    /// Positions that all sessions share.
    pub positions: usize,
}

impl KvShape {
    /// Bytes of one head's keys, or values, in a block: whole cache lines.
    #[inline]
    pub(crate) const fn part_bytes(&self) -> usize {
        (BLOCK_POSITIONS * self.ty.bytes(self.head_size)).next_multiple_of(64)
    }

    #[inline]
    pub(super) const fn block_bytes(&self) -> usize {
        2 * self.layers * self.kv_heads * self.part_bytes()
    }

    /// Number of blocks in the pool.
    #[inline]
    pub(super) const fn blocks(&self) -> usize {
        self.positions.div_ceil(BLOCK_POSITIONS)
    }

    /// The bytes of a layer's keys and values in the pool.
    #[inline]
    pub(crate) const fn planes(&self, layer: usize) -> Range<usize> {
        let bytes = 2 * self.kv_heads * self.blocks() * self.part_bytes();
        layer * bytes..(layer + 1) * bytes
    }

    /// The table of a session in those of all sessions.
    #[inline]
    pub(crate) fn table_of<'a>(&self, tables: &'a [u16], session: usize) -> &'a [u16] {
        &tables[session * self.table_len()..][..self.table_len()]
    }

    /// Words of a session's table: the number of its blocks, then the blocks.
    pub(super) const fn table_len(&self) -> usize {
        1 + self.context.div_ceil(BLOCK_POSITIONS)
    }

    /// Size in the arena in bytes; `None` if that overflows, or if there are more blocks than a table can name.
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
