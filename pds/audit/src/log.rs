//! The audit log: fixed-size records in a region that audit alone maps.
//!
//! The region is a ring of records; when it is full, the oldest go. Sequence numbers never repeat,
//! so a gap is visible.

use protocol::limits::MAX_NAME_BYTES;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 128;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// Audit has started.
    Boot = 1,
    /// A model was loaded.
    Load = 2,
    /// A request was admitted; `value` is the length of its prompt.
    Admit = 3,
    /// A request was refused; `code`, `value` and `limit` say why.
    Refuse = 4,
    /// A request was cancelled by its user.
    Cancel = 5,
    /// A request finished; `code` is the reason.
    Finish = 6,
    /// A request failed; `code`, `value` and `limit` say why.
    Fail = 7,
    /// A deadline passed.
    Timeout = 8,
    /// Inference died or was stopped; `code` is the kind, `value` the address, `limit` the
    /// instruction pointer.
    Fault = 9,
    /// Inference serves again; `value` is how long it took in microseconds.
    Recover = 10,
    /// A peer broke the protocol and the message was dropped.
    Violation = 11,
}

/// One record. Fields that its kind has no use for are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Record {
    /// Sequence number, from 1.
    pub sequence: u64,
    /// Microseconds since boot.
    pub time_us: u64,
    /// Depends on the kind.
    pub value: u64,
    /// Depends on the kind.
    pub limit: u64,
    /// [`Kind`].
    pub kind: u16,
    /// Depends on the kind.
    pub code: u16,
    /// Audit's number of the request.
    pub request: u32,
    /// Tokens of the prompt.
    pub prompt_tokens: u32,
    /// Tokens generated.
    pub generated_tokens: u32,
    /// Zero: room for user, session and hashes.
    pub reserved: [u8; 16],
    /// Name of a model, padded with zeros.
    pub name: [u8; MAX_NAME_BYTES],
}

const _: () = assert!(size_of::<Record>() == RECORD_BYTES);

impl Record {
    /// A record of this kind and nothing else.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            sequence: 0,
            time_us: 0,
            value: 0,
            limit: 0,
            kind: kind as u16,
            code: 0,
            request: 0,
            prompt_tokens: 0,
            generated_tokens: 0,
            reserved: [0; 16],
            name: [0; MAX_NAME_BYTES],
        }
    }

    /// With the name of a model, cut at [`MAX_NAME_BYTES`].
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        for (to, from) in self.name.iter_mut().zip(name.bytes()) {
            *to = from;
        }
        self
    }
}

/// The log.
#[derive(Debug)]
pub struct Log<'m> {
    memory: &'m mut [u8],
    /// Records written since boot.
    written: u64,
}

impl<'m> Log<'m> {
    /// An empty log in `memory`; what lay there is overwritten as records come.
    #[must_use]
    pub const fn new(memory: &'m mut [u8]) -> Self {
        Self { memory, written: 0 }
    }

    /// Records that it can hold.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.memory.len() / RECORD_BYTES
    }

    /// Records written since boot.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Appends a record, which gets its sequence number here.
    pub fn append(&mut self, mut record: Record, time_us: u64) {
        let slot = slot(self.written, self.capacity());
        self.written = self.written.saturating_add(1);
        record.sequence = self.written;
        record.time_us = time_us;
        if let Some(bytes) = self.memory.chunks_exact_mut(RECORD_BYTES).nth(slot) {
            bytes.copy_from_slice(record.as_bytes());
        }
    }

    /// The records that are there, the oldest first.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let capacity = self.capacity();
        let kept = self.written.min(capacity as u64);
        (self.written.saturating_sub(kept)..self.written).filter_map(move |index| {
            let bytes = self
                .memory
                .chunks_exact(RECORD_BYTES)
                .nth(slot(index, capacity))?;
            Record::read_from_bytes(bytes).ok()
        })
    }
}

/// Where record number `index`, counted from 0, lies.
fn slot(index: u64, capacity: usize) -> usize {
    // Below the capacity, which is a usize; no capacity, no slot.
    index.checked_rem(capacity as u64).unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_newest_records_stay_and_the_gap_is_visible() {
        let mut memory = [0xAA; 3 * RECORD_BYTES + 7];
        let mut log = Log::new(&mut memory);
        assert_eq!((log.capacity(), log.records().count()), (3, 0));
        for value in 0..5 {
            log.append(
                Record {
                    value,
                    ..Record::new(Kind::Admit)
                }
                .named("default"),
                value * 10,
            );
        }
        let found: Vec<_> = log
            .records()
            .map(|r| (r.sequence, r.value, r.time_us))
            .collect();
        assert_eq!(found, [(3, 2, 20), (4, 3, 30), (5, 4, 40)]);
        assert!(log.records().all(|r| r.name.starts_with(b"default\0")));
    }

    #[test]
    fn a_region_without_room_for_a_record_holds_none() {
        let mut log = Log::new(&mut []);
        log.append(Record::new(Kind::Boot), 1);
        assert_eq!((log.written(), log.records().count()), (1, 0));
    }
}
