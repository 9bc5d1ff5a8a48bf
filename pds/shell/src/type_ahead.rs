//! Input that waits for the command under way.
//!
//! When the queue is full, nothing more is read, and the UART or the pipe holds the sender back, so no script is too
//! long.

use crate::MAX_LINE_BYTES;

/// Bytes that are read before the command under way is done: two lines of the greatest length.
const TYPE_AHEAD_BYTES: usize = 2 * MAX_LINE_BYTES;

#[derive(Debug)]
pub(crate) struct TypeAhead {
    bytes: heapless::Deque<u8, TYPE_AHEAD_BYTES>,
}

impl TypeAhead {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: heapless::Deque::new(),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.is_full()
    }

    /// Queues a byte; a full queue drops it, so look first.
    pub(crate) fn push(&mut self, byte: u8) {
        let _ = self.bytes.push_back(byte);
    }

    /// The byte that [`Self::pop`] would give.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.front().copied()
    }

    pub(crate) fn pop(&mut self) -> Option<u8> {
        self.bytes.pop_front()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }
}
