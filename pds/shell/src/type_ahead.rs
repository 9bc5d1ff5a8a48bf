//! Input that waits for the command under way.
//!
//! When the queue is full, nothing more is read, and the UART or the pipe holds the sender back, so no script is too
//! long. A byte is overwritten when it is taken: it may be one of a passphrase.

use crate::MAX_LINE_BYTES;
use zeroize::Zeroize as _;

/// Bytes that are read before the command under way is done: two lines of the greatest length.
const TYPE_AHEAD_BYTES: usize = 2 * MAX_LINE_BYTES;

#[derive(Debug)]
pub(crate) struct TypeAhead {
    /// Zeros where nothing waits.
    bytes: [u8; TYPE_AHEAD_BYTES],
    /// Place of the byte that waits longest.
    first: usize,
    /// How many wait.
    len: usize,
}

impl TypeAhead {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; TYPE_AHEAD_BYTES],
            first: 0,
            len: 0,
        }
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.len >= TYPE_AHEAD_BYTES
    }

    /// Queues a byte; a full queue drops it, so look first.
    pub(crate) fn push(&mut self, byte: u8) {
        if self.is_full() {
            return;
        }
        let place = after(self.first, self.len);
        if let Some(free) = self.bytes.get_mut(place) {
            *free = byte;
            self.len = self.len.saturating_add(1);
        }
    }

    /// The byte that [`Self::pop`] would give.
    pub(crate) fn peek(&self) -> Option<u8> {
        let waits = self.len > 0;
        self.bytes.get(self.first).copied().filter(|_| waits)
    }

    pub(crate) fn pop(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        if let Some(taken) = self.bytes.get_mut(self.first) {
            taken.zeroize();
        }
        self.first = after(self.first, 1);
        self.len = self.len.saturating_sub(1);
        Some(byte)
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.zeroize();
        (self.first, self.len) = (0, 0);
    }
}

/// The place so many after `place`, in a ring.
const fn after(place: usize, many: usize) -> usize {
    let sum = place.saturating_add(many);
    if sum >= TYPE_AHEAD_BYTES {
        sum.saturating_sub(TYPE_AHEAD_BYTES)
    } else {
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_their_order_and_leave_nothing_behind() {
        let mut queue = TypeAhead::new();
        // Around the end of the ring more than once.
        let (mut pushed, mut popped) = (0u8, 0u8);
        for _ in 0..5 {
            while !queue.is_full() {
                queue.push(pushed);
                pushed = pushed.wrapping_add(1);
            }
            queue.push(0xff);
            for _ in 0..TYPE_AHEAD_BYTES - 100 {
                assert_eq!(queue.peek(), Some(popped));
                assert_eq!(queue.pop(), Some(popped));
                popped = popped.wrapping_add(1);
            }
        }
        while queue.pop().is_some() {}
        assert_eq!((queue.peek(), queue.pop()), (None, None));
        assert!(queue.bytes.iter().all(|byte| *byte == 0));
        queue.push(7);
        queue.clear();
        assert_eq!(queue.pop(), None);
        assert!(queue.bytes.iter().all(|byte| *byte == 0));
    }
}
