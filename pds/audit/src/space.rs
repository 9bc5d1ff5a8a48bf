//! Stretches of the region of adapters.

use protocol::adapters::ALIGN;

/// Least room that a training is admitted with (4 KiB): with less, no adapter would fit.
pub(crate) const LEAST_ROOM: usize = 4 << 10;

/// Adjacent bytes of the region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Space {
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
}

impl Space {
    /// Its beginning, and so many bytes at its end, apart; `None` if too little is left for an adapter.
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
