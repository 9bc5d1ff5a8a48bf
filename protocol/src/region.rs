//! Word access to memory that another protection domain can read or write.
//!
//! This module contains the only loads and stores that touch shared memory. Everything above it works on private
//! copies.
//!
//! The rule: read shared memory with relaxed loads of 8 bytes and an acquire fence, and publish with a release store
//! (an acquire *load* from a read-only mapping is undefined in Rust). There is no read-modify-write, and no reference
//! to shared data outlives one access.

/// Memory of `words()` 8-byte words that this domain may read.
///
/// An index out of range reads 0. Callers check sizes once, when a ring is created.
pub trait ReadWords {
    /// Size in 8-byte words.
    fn words(&self) -> usize;
    /// Relaxed load.
    fn load(&self, index: usize) -> u64;
    /// Orders the loads before it before everything after it.
    fn acquire_fence(&self);
}

/// Memory in which a trusted peer designates parts, and leaves each alone while it is read.
pub trait ReadParts {
    /// `bytes` bytes from `offset`, if they exist. Only for a part that the writer has designated, and only until the
    /// writer is told that it is no longer read.
    fn part(&self, offset: u64, bytes: u64) -> Option<&[u8]>;
}

/// Memory that nobody writes.
impl ReadParts for &[u8] {
    fn part(&self, offset: u64, bytes: u64) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        let end = usize::try_from(offset.checked_add(bytes)?).ok()?;
        self.get(start..end)
    }
}

/// Memory that only this domain may write.
pub trait WriteWords: ReadWords {
    /// Relaxed store; out of range does nothing.
    fn store(&self, index: usize, value: u64);
    /// Release store: a reader that sees `value` after an acquire fence also sees everything stored before it.
    fn publish(&self, index: usize, value: u64);
    /// Orders the stores before it before the stores after it.
    fn release_fence(&self);
}

#[cfg(not(loom))]
pub use mapped::{PartsRegion, ReadOnlyRegion, ReadWriteRegion};

#[cfg(not(loom))]
#[allow(unsafe_code)]
mod mapped {
    use super::{ReadParts, ReadWords, WriteWords};
    use core::ptr::NonNull;
    use core::sync::atomic::{AtomicU64, Ordering, fence};

    /// A mapping that this domain may read and a peer may write at any time.
    #[derive(Debug)]
    pub struct ReadOnlyRegion {
        start: NonNull<u64>,
        words: usize,
    }

    // SAFETY: the region is plain memory, accessed only with atomic loads.
    unsafe impl Send for ReadOnlyRegion {}

    impl ReadOnlyRegion {
        /// The region of `bytes` bytes at `start`.
        ///
        /// # Safety
        /// `start` is 8-byte aligned, and `bytes` bytes from it stay mapped readable for the life of the program.
        /// Nothing in this domain creates a reference to them.
        #[must_use]
        pub const unsafe fn new(start: NonNull<u64>, bytes: usize) -> Self {
            Self {
                start,
                words: bytes / 8,
            }
        }

        fn word(&self, index: usize) -> Option<&AtomicU64> {
            if index >= self.words {
                return None;
            }
            // SAFETY: index < words, so the address lies in the mapping (`new`).
            let address = unsafe { self.start.as_ptr().add(index) };
            // SAFETY: aligned and mapped (`new`), and AtomicU64 has the layout of u64. Every access of this domain to
            // the region goes through an atomic made here. Only relaxed `load` is called on it: for eight bytes that is
            // a plain load on x86_64 and aarch64, which `core::sync::atomic` allows on read-only memory. The reference
            // ends with the access, because callers are private and use it in one expression.
            Some(unsafe { &*address.cast::<AtomicU64>() })
        }
    }

    impl ReadWords for ReadOnlyRegion {
        fn words(&self) -> usize {
            self.words
        }

        fn load(&self, index: usize) -> u64 {
            self.word(index)
                .map_or(0, |word| word.load(Ordering::Relaxed))
        }

        fn acquire_fence(&self) {
            fence(Ordering::Acquire);
        }
    }

    /// A mapping that this domain may read, in which a trusted peer designates parts and leaves them alone.
    #[derive(Debug)]
    pub struct PartsRegion {
        start: NonNull<u8>,
        bytes: usize,
    }

    // SAFETY: it is only read, and nobody writes what is being read (`new`).
    unsafe impl Send for PartsRegion {}
    // SAFETY: as above; readers share it.
    unsafe impl Sync for PartsRegion {}

    impl PartsRegion {
        /// The region of `bytes` bytes at `start`.
        ///
        /// # Safety
        /// `bytes` bytes from `start` stay mapped readable for the life of the program. [`ReadParts::part`] is called
        /// only with parts designated by the one domain that writes the region, and its result is no longer used once
        /// that domain is told so. The writer is trusted not to write a designated part before that. For the region of
        /// adapters, the writer is audit: a command designates a part, and the first report that answers the command
        /// releases it.
        #[must_use]
        pub const unsafe fn new(start: NonNull<u8>, bytes: usize) -> Self {
            Self { start, bytes }
        }
    }

    impl ReadParts for PartsRegion {
        fn part(&self, offset: u64, bytes: u64) -> Option<&[u8]> {
            let start = usize::try_from(offset).ok()?;
            let len = usize::try_from(bytes).ok()?;
            if start.checked_add(len)? > self.bytes {
                return None;
            }
            // SAFETY: start <= bytes, so the address lies in the mapping or at its end (`new`).
            let address = unsafe { self.start.as_ptr().add(start) };
            // SAFETY: `len` bytes from there are mapped (`new`) and initialized (the kernel's zeros, or what was
            // written). Nobody writes them while the slice is used (`new`). Bytes need no alignment.
            Some(unsafe { core::slice::from_raw_parts(address, len) })
        }
    }

    /// A mapping that only this domain may write.
    #[derive(Debug)]
    pub struct ReadWriteRegion(ReadOnlyRegion);

    impl ReadWriteRegion {
        /// The region of `bytes` bytes at `start`.
        ///
        /// # Safety
        /// As for [`ReadOnlyRegion::new`], and the mapping is writable.
        #[must_use]
        pub const unsafe fn new(start: NonNull<u64>, bytes: usize) -> Self {
            // SAFETY: the caller's promise.
            Self(unsafe { ReadOnlyRegion::new(start, bytes) })
        }
    }

    impl ReadWords for ReadWriteRegion {
        fn words(&self) -> usize {
            self.0.words
        }

        fn load(&self, index: usize) -> u64 {
            self.0.load(index)
        }

        fn acquire_fence(&self) {
            self.0.acquire_fence();
        }
    }

    impl WriteWords for ReadWriteRegion {
        fn store(&self, index: usize, value: u64) {
            if let Some(word) = self.0.word(index) {
                word.store(value, Ordering::Relaxed);
            }
        }

        fn publish(&self, index: usize, value: u64) {
            if let Some(word) = self.0.word(index) {
                word.store(value, Ordering::Release);
            }
        }

        fn release_fence(&self) {
            fence(Ordering::Release);
        }
    }
}

#[cfg(all(test, not(loom)))]
#[allow(unsafe_code)]
mod tests {
    extern crate std;
    use super::*;
    use crate::ring::{Endpoint, Frame, REGION_BYTES};
    use core::ptr::NonNull;
    use std::vec;

    #[test]
    fn messages_pass_over_mapped_memory() {
        let mut memory = [vec![0u64; REGION_BYTES / 8], vec![0u64; REGION_BYTES / 8]];
        let [a, b] = memory.each_mut().map(|words| NonNull::from(&mut words[0]));
        // SAFETY: all of that memory, which is borrowed for the whole test and accessed only through the regions.
        let region = |start| unsafe { ReadOnlyRegion::new(start, REGION_BYTES) };
        // SAFETY: as above.
        let own = |start| unsafe { ReadWriteRegion::new(start, REGION_BYTES) };
        let mut audit = Endpoint::<_, _>::new(region(b), own(a)).unwrap();
        let mut peer = Endpoint::<_, _>::new(region(a), own(b)).unwrap();
        audit.lead(1);
        assert!(peer.follow());
        let mut frame = Frame::new();
        frame.begin(3, 5)[..4].copy_from_slice(b"over");
        frame.finish(4);
        audit.send(&frame).unwrap();
        let mut received = Frame::new();
        assert_eq!(peer.receive(&mut received), Ok(true));
        assert_eq!(
            (received.header(), received.payload()),
            (frame.header(), &b"over"[..])
        );
        assert_eq!(peer.receive(&mut received), Ok(false));
    }

    #[test]
    fn a_part_is_what_lies_there_and_there_is_none_behind_the_end() {
        let memory = [1u8, 2, 3, 4];
        let start = NonNull::from(&memory[0]);
        // SAFETY: all of that memory, which lives for the whole test and is never written.
        let region = unsafe { PartsRegion::new(start, 4) };
        let parts: [&dyn ReadParts; 2] = [&region, &&memory[..]];
        for parts in parts {
            assert_eq!(parts.part(1, 2), Some(&[2, 3][..]));
            assert_eq!(parts.part(4, 0), Some(&[][..]));
            for (offset, bytes) in [(4, 1), (5, 0), (0, 5), (u64::MAX, 1), (1, u64::MAX)] {
                assert_eq!(parts.part(offset, bytes), None);
            }
        }
    }

    #[test]
    fn words_out_of_range_read_zero_and_are_not_written() {
        let mut memory = [7u64; 4];
        let start = NonNull::from(&mut memory[0]);
        // SAFETY: two of the four words, which are borrowed for the whole test.
        let region = unsafe { ReadWriteRegion::new(start, 16) };
        region.store(1, 9);
        region.store(2, 9);
        region.publish(3, 9);
        assert_eq!((region.load(1), region.load(2), region.words()), (9, 0, 2));
        assert_eq!(memory, [7, 9, 7, 7]);
    }
}
