//! Writes messages and indices that no honest end would, directly into the ring's region.

use crate::place::{
    AUDIT_RING, FILES_QUESTIONS, FILES_RING, MALLORY_EVENTS, MALLORY_RING, OWN_RING, SHELL_EVENTS,
    SHELL_RING,
};
use core::sync::atomic::{Ordering, fence};
use protocol::VERSION;
use protocol::ring::{Frame, PAYLOAD_WORDS, REGION_BYTES, SLOTS};
use protocol::wire::engine::Report;

const VERSION_WORD: usize = 0;
const EPOCH_WORD: usize = 1;
const HEAD_WORD: usize = 2;
const TAIL_WORD: usize = 3;
/// Number of words before the first slot: version, epoch, indices.
const FIRST_SLOT_WORD: usize = 8;

fn load(base: usize, word: usize) -> u64 {
    // SAFETY: a word of a region that `system.xml` lets this domain read; callers stay within it.
    unsafe { core::ptr::read_volatile((base as *const u64).wrapping_add(word)) }
}

fn store(base: usize, word: usize, value: u64) {
    // SAFETY: a word of the one region that `system.xml` lets this domain write; callers stay within it.
    unsafe { core::ptr::write_volatile((base as *mut u64).wrapping_add(word), value) }
}

const fn slot(index: u32) -> usize {
    FIRST_SLOT_WORD + (index as usize % SLOTS) * (2 + PAYLOAD_WORDS)
}

/// A ring's end, as its owner can read and write it.
pub struct Forger {
    own: usize,
    audits: usize,
    /// The epoch that audit has set.
    pub epoch: u32,
    /// Number of messages sent in it.
    pub head: u32,
}

/// The words before the slots.
pub type Indices = [u64; FIRST_SLOT_WORD];

impl Forger {
    /// Inference's end; only inference maps these regions.
    #[must_use]
    pub fn of_inference() -> Self {
        Self::new(OWN_RING, AUDIT_RING)
    }

    /// The shell's end; only the shell maps these regions.
    #[must_use]
    pub fn of_shell() -> Self {
        Self::new(SHELL_RING, SHELL_EVENTS)
    }

    /// The hostile client's end; only it maps these regions.
    #[must_use]
    pub fn of_mallory() -> Self {
        Self::new(MALLORY_RING, MALLORY_EVENTS)
    }

    /// The end of files with audit; only files maps these regions.
    #[must_use]
    pub fn of_files() -> Self {
        Self::new(FILES_RING, FILES_QUESTIONS)
    }

    fn new(own: usize, audits: usize) -> Self {
        Self {
            own,
            audits,
            epoch: load(audits, EPOCH_WORD) as u32,
            head: load(own, HEAD_WORD) as u32,
        }
    }

    /// The indices that the honest end has written.
    #[must_use]
    pub fn indices(&self) -> Indices {
        core::array::from_fn(|word| load(self.own, word))
    }

    /// Restores the honest end's indices.
    pub fn restore(&self, indices: &Indices) {
        fence(Ordering::SeqCst);
        for (word, value) in indices.iter().enumerate() {
            store(self.own, word, *value);
        }
    }

    /// Number of the latest request: the one with the attack's prompt.
    pub fn request(&self) -> u32 {
        let tail = load(self.own, TAIL_WORD) as u32;
        load(self.audits, slot(tail.wrapping_sub(1)) + 1) as u32
    }

    /// Sends a message as an honest end would.
    pub fn forge(&mut self, request: u32, report: &Report<'_>) {
        let mut frame = Frame::<PAYLOAD_WORDS>::new();
        report.write(request, &mut frame);
        let header = frame.header();
        let first = u64::from(VERSION) << 48 | u64::from(header.kind) << 32 | header.len as u64;
        self.put(first, self.epoch, request, frame.payload());
    }

    /// Writes a message with this first word (version, kind, length) and this epoch.
    pub fn put(&mut self, first: u64, epoch: u32, request: u32, payload: &[u8]) {
        let at = slot(self.head);
        store(self.own, at, first);
        store(
            self.own,
            at + 1,
            u64::from(epoch) << 32 | u64::from(request),
        );
        for (index, bytes) in payload.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            store(self.own, at + 2 + index, u64::from_le_bytes(word));
        }
        self.head = self.head.wrapping_add(1);
        self.publish(self.epoch, self.head);
    }

    /// Publishes a head index of this epoch, whichever it is.
    pub fn publish(&self, epoch: u32, head: u32) {
        fence(Ordering::SeqCst);
        store(
            self.own,
            HEAD_WORD,
            u64::from(epoch) << 32 | u64::from(head),
        );
    }

    /// Publishes another protocol version. All versions have the version in the same word.
    pub fn publish_version(&self, version: u64) {
        fence(Ordering::SeqCst);
        store(self.own, VERSION_WORD, version);
    }

    /// Publishes a tail index that gives audit's ring more room than it has.
    pub fn publish_tail(&self, tail: u32) {
        store(
            self.own,
            TAIL_WORD,
            u64::from(self.epoch) << 32 | u64::from(tail),
        );
    }

    /// Whether audit has read everything.
    pub fn is_read(&self) -> bool {
        load(self.audits, TAIL_WORD) == u64::from(self.epoch) << 32 | u64::from(self.head)
    }
}

impl Forger {
    /// Fills the region with random bytes (SplitMix64).
    pub fn scribble(&self, seed: u64) {
        let mut state = seed;
        for word in 0..REGION_BYTES / 8 {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            store(self.own, word, mixed ^ (mixed >> 27));
        }
    }
}
