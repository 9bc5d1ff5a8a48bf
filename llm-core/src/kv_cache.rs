//! Keys and values of the tokens that a session has seen.
//!
//! Per layer a matrix K and a matrix V of shape \[context, kv_heads · head_size\], row p for
//! position p. What is stored is all that attention ever reads, also for tokens of the same
//! prefill, so the state after n tokens does not depend on how they were fed.

use crate::arena::{Arena, ArenaError, Purpose, Span, bytes_of};
use half::f16;

/// How keys and values are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvType {
    /// IEEE binary32: exact, for comparisons.
    F32,
    /// IEEE binary16, rounded to nearest even.
    F16,
}

impl KvType {
    /// Bytes of one element.
    #[must_use]
    pub const fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }
}

/// Where the keys or the values of all layers lie.
#[derive(Clone, Copy, Debug)]
enum Store {
    F32(Span<f32>),
    F16(Span<f16>),
}

/// One session's cache.
#[derive(Clone, Copy, Debug)]
pub struct KvCache {
    keys: Store,
    values: Store,
    context: usize,
    /// Elements of one position in one layer.
    width: usize,
}

/// The K or V row of one layer and position.
#[derive(Clone, Debug)]
pub(crate) enum RowSpan {
    F32(Span<f32>),
    F16(Span<f16>),
}

impl KvCache {
    /// Bytes in the arena for `layers` layers, `context` positions of `width` elements; `None` if
    /// that overflows.
    #[must_use]
    pub const fn bytes(ty: KvType, layers: usize, context: usize, width: usize) -> Option<usize> {
        let Some(positions) = layers.checked_mul(context) else {
            return None;
        };
        let Some(elements) = positions.checked_mul(width) else {
            return None;
        };
        let bytes = match ty {
            KvType::F32 => bytes_of::<f32>(elements),
            KvType::F16 => bytes_of::<f16>(elements),
        };
        match bytes {
            Some(bytes) => bytes.checked_mul(2),
            None => None,
        }
    }

    /// An empty cache.
    ///
    /// # Errors
    /// The arena has no room.
    pub fn new(
        arena: &mut Arena<'_>,
        ty: KvType,
        layers: usize,
        context: usize,
        width: usize,
    ) -> Result<Self, ArenaError> {
        let elements = layers * context * width;
        let mut store = || {
            Ok(match ty {
                KvType::F32 => Store::F32(arena.alloc(elements, Purpose::KvCache)?),
                KvType::F16 => Store::F16(arena.alloc(elements, Purpose::KvCache)?),
            })
        };
        Ok(Self {
            keys: store()?,
            values: store()?,
            context,
            width,
        })
    }

    /// Positions that it holds.
    #[must_use]
    pub const fn context(&self) -> usize {
        self.context
    }

    /// The rows of `layer` from position 0 up to `positions`, keys and values.
    pub(crate) fn rows(&self, layer: usize, positions: usize) -> (RowSpan, RowSpan) {
        let (start, len) = (layer * self.context * self.width, positions * self.width);
        (self.keys.part(start, len), self.values.part(start, len))
    }
}

impl Store {
    fn part(&self, start: usize, len: usize) -> RowSpan {
        match self {
            Self::F32(span) => RowSpan::F32(span.part(start, len)),
            Self::F16(span) => RowSpan::F16(span.part(start, len)),
        }
    }
}

impl RowSpan {
    pub(crate) fn range(&self) -> core::ops::Range<usize> {
        match self {
            Self::F32(span) => span.range(),
            Self::F16(span) => span.range(),
        }
    }
}
