//! Contiguous parts of the region of adapters.

use protocol::adapters::ALIGN;

/// The least room with which a training is admitted (4 KiB). No adapter is smaller.
pub(crate) const LEAST_ROOM: usize = 4 << 10;

/// Contiguous bytes of the region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
}

impl Space {
    /// Splits off this many bytes at the end; `None` if the rest is too short for an adapter.
    pub(crate) fn split_end(self, bytes: usize) -> Option<(Self, Self)> {
        let offset = self.end().checked_sub(bytes)?;
        let offset = offset.saturating_sub(offset % ALIGN);
        let left = offset.checked_sub(self.offset)?;
        let begin = Self {
            bytes: left,
            ..self
        };
        (left >= LEAST_ROOM).then_some((begin, Self { offset, bytes }))
    }

    pub(crate) const fn end(self) -> usize {
        self.offset.saturating_add(self.bytes)
    }
}
