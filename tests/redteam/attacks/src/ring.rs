//! Messages and indices that no honest end of a ring would write, straight into the region.

use crate::place::{AUDIT_RING, OWN_RING};
use core::sync::atomic::{Ordering, fence};
use protocol::VERSION;
use protocol::ring::{Frame, PAYLOAD_WORDS, REGION_BYTES, SLOTS};
use protocol::wire::engine::Report;

const EPOCH_WORD: usize = 1;
const HEAD_WORD: usize = 2;
const TAIL_WORD: usize = 3;
const FIRST_SLOT_WORD: usize = 8;

fn load(base: usize, word: usize) -> u64 {
    // SAFETY: a word of a region that `system.xml` lets this domain read; callers stay within it.
    unsafe { core::ptr::read_volatile((base as *const u64).wrapping_add(word)) }
}

fn store(word: usize, value: u64) {
    // SAFETY: a word of the one region that `system.xml` lets this domain write; callers stay within it.
    unsafe { core::ptr::write_volatile((OWN_RING as *mut u64).wrapping_add(word), value) }
}

const fn slot(index: u32) -> usize {
    FIRST_SLOT_WORD + (index as usize % SLOTS) * (2 + PAYLOAD_WORDS)
}

/// The end of the rings as whoever owns the region can see and write it.
pub(crate) struct Forger {
    pub(crate) epoch: u32,
    pub(crate) head: u32,
}

impl Forger {
    pub(crate) fn new() -> Self {
        Self {
            epoch: load(AUDIT_RING, EPOCH_WORD) as u32,
            head: load(OWN_RING, HEAD_WORD) as u32,
        }
    }

    /// Number of the request that was received last: the one whose prompt this is.
    pub(crate) fn request(&self) -> u32 {
        let tail = load(OWN_RING, TAIL_WORD) as u32;
        load(AUDIT_RING, slot(tail.wrapping_sub(1)) + 1) as u32
    }

    /// A message as an honest end would write it.
    pub(crate) fn forge(&mut self, request: u32, report: &Report<'_>) {
        let mut frame = Frame::<PAYLOAD_WORDS>::new();
        report.write(request, &mut frame);
        let header = frame.header();
        let first = u64::from(VERSION) << 48 | u64::from(header.kind) << 32 | header.len as u64;
        self.put(first, self.epoch, request, frame.payload());
    }

    /// A message with this first word (version, kind, length) and this epoch.
    pub(crate) fn put(&mut self, first: u64, epoch: u32, request: u32, payload: &[u8]) {
        let at = slot(self.head);
        store(at, first);
        store(at + 1, u64::from(epoch) << 32 | u64::from(request));
        for (index, bytes) in payload.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..bytes.len()].copy_from_slice(bytes);
            store(at + 2 + index, u64::from_le_bytes(word));
        }
        self.head = self.head.wrapping_add(1);
        self.publish(self.epoch, self.head);
    }

    pub(crate) fn publish(&self, epoch: u32, head: u32) {
        fence(Ordering::SeqCst);
        store(HEAD_WORD, u64::from(epoch) << 32 | u64::from(head));
    }

    /// A tail that gives audit's ring more room than it has.
    pub(crate) fn publish_tail(&self, tail: u32) {
        store(TAIL_WORD, u64::from(self.epoch) << 32 | u64::from(tail));
    }

    /// Whether audit has read all that is there.
    pub(crate) fn is_read(&self) -> bool {
        load(AUDIT_RING, TAIL_WORD) == u64::from(self.epoch) << 32 | u64::from(self.head)
    }
}

/// Any bytes, everywhere (SplitMix64).
pub(crate) fn scribble(seed: u64) {
    let mut state = seed;
    for word in 0..REGION_BYTES / 8 {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        store(word, mixed ^ (mixed >> 27));
    }
}
