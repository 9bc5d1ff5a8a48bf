//! Queues of bytes: input that waits for the running command, and output that waits for the console.
//!
//! A byte is overwritten when it is taken, because it may belong to a passphrase.

use zeroize::Zeroize as _;

/// A queue of at most `N` bytes.
#[derive(Debug)]
pub(crate) struct Queue<const N: usize> {
    /// Zeros outside the waiting bytes.
    bytes: [u8; N],
    /// Index of the oldest byte.
    first: usize,
    /// Number of waiting bytes.
    len: usize,
}

impl<const N: usize> Queue<N> {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; N],
            first: 0,
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// How many more bytes fit.
    pub(crate) const fn room(&self) -> usize {
        N.saturating_sub(self.len)
    }

    /// Queues a byte. Returns false and drops it if the queue is full.
    pub(crate) fn push(&mut self, byte: u8) -> bool {
        let place = self.after(self.len);
        match self.bytes.get_mut(place) {
            Some(free) if self.len < N => {
                *free = byte;
                self.len = self.len.saturating_add(1);
                true
            }
            _ => false,
        }
    }

    /// The byte that [`Self::pop`] would return.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.front().first().copied()
    }

    pub(crate) fn pop(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.drop_front(1);
        Some(byte)
    }

    /// The oldest bytes, as far as they are contiguous; empty if none wait.
    pub(crate) fn front(&self) -> &[u8] {
        let end = self.first.saturating_add(self.len).min(N);
        self.bytes.get(self.first..end).unwrap_or(&[])
    }

    /// Drops this many bytes of [`Self::front`].
    pub(crate) fn drop_front(&mut self, many: usize) {
        let many = many.min(self.front().len());
        let end = self.first.saturating_add(many);
        if let Some(taken) = self.bytes.get_mut(self.first..end) {
            taken.zeroize();
        }
        self.len = self.len.saturating_sub(many);
        // An empty queue starts again at 0, so the next bytes are contiguous.
        self.first = if self.len == 0 { 0 } else { self.after(many) };
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.zeroize();
        (self.first, self.len) = (0, 0);
    }

    /// The index this many after the first.
    const fn after(&self, many: usize) -> usize {
        let sum = self.first.saturating_add(many);
        if sum >= N { sum.saturating_sub(N) } else { sum }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_their_order_and_leave_nothing_behind() {
        const BYTES: usize = 1000;
        let mut queue = Queue::<BYTES>::new();
        // More than once around the end of the ring.
        let (mut pushed, mut popped) = (0u8, 0u8);
        for _ in 0..5 {
            while queue.room() > 0 {
                assert!(queue.push(pushed));
                pushed = pushed.wrapping_add(1);
            }
            assert!(!queue.push(0xff));
            for _ in 0..BYTES - 100 {
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
