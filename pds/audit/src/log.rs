//! The audit log: a chain of entries in a region that only audit maps.
//!
//! The region is a ring of entries of varying length, each contiguous. When it is full, the oldest entries are dropped.
//! The oldest remaining entry holds the hash of its predecessor; that hash is the anchor, so the gap is visible and the
//! rest can still be checked. See [`protocol::record`] for what an entry is.

use protocol::hash::Hash;
use protocol::record::{RECORD_BYTES, Record};
use protocol::wire::client::LogExtent;
use sha2::{Digest, Sha256};

/// Entries are aligned to this many bytes.
const ALIGN: usize = 8;

/// The log in memory; see the module.
#[derive(Debug)]
pub struct Log<'m> {
    memory: &'m mut [u8],
    /// Position of the oldest entry.
    oldest: usize,
    /// Position of the next entry.
    next: usize,
    /// Where the last entry before the wrap ends, if newer entries lie before the oldest.
    wrapped_at: Option<usize>,
    /// Number of entries in the region.
    entries: u64,
    /// Sequence number of the newest entry; the first has 1.
    written: u64,
    /// Hash of the newest entry.
    head: Hash,
}

/// A reader's position. If the entry there is dropped, the reader goes on with the oldest.
#[derive(Clone, Copy, Debug)]
pub struct Cursor {
    sequence: u64,
    at: usize,
}

impl Cursor {
    /// A cursor at an entry that is no longer in the region, or not there yet.
    pub(crate) const fn before(sequence: u64) -> Self {
        Self { sequence, at: 0 }
    }

    /// Sequence number of the entry to read next, unless it is dropped first.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.sequence
    }
}

/// An entry: a record and its text.
#[derive(Clone, Copy, Debug)]
pub struct LogEntry<'l> {
    /// Its record.
    pub record: Record,
    /// Its text.
    pub text: &'l [u8],
}

/// SHA-256 of an entry.
#[must_use]
pub fn hash(record: &Record, text: &[u8]) -> Hash {
    Sha256::new_with_prefix(record.to_bytes())
        .chain_update(text)
        .finalize()
        .into()
}

impl<'m> Log<'m> {
    /// An empty log in `memory`, whose old contents are overwritten as entries arrive.
    #[must_use]
    pub const fn new(memory: &'m mut [u8]) -> Self {
        Self {
            memory,
            oldest: 0,
            next: 0,
            wrapped_at: None,
            entries: 0,
            written: 0,
            head: [0; 32],
        }
    }

    /// Sequence number of the newest entry.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Makes the log, which must be empty, continue after this entry of a log stored elsewhere.
    pub(crate) const fn follow(&mut self, sequence: u64, head: Hash) {
        (self.written, self.head) = (sequence, head);
    }

    /// The range of entries in the region.
    #[must_use]
    pub fn extent(&self) -> LogExtent {
        let oldest = self.entry(self.oldest).filter(|_| self.entries > 0);
        LogExtent {
            first: self.first(),
            next: self.written.saturating_add(1),
            anchor: oldest.map_or(self.head, |entry| entry.record.previous),
            head: self.head,
        }
    }

    /// Sequence number of the oldest entry; of the next one if the region is empty.
    pub(crate) const fn first(&self) -> u64 {
        self.written.saturating_sub(self.entries).saturating_add(1)
    }

    /// Appends an entry and gives it its sequence number, time and link. Text too long even for the empty region is
    /// left out, and the record says so.
    pub fn append(&mut self, mut record: Record, text: &[u8], time_us: u64) {
        let text = match room(text.len()) {
            Some(bytes) if bytes <= self.memory.len() => text,
            _ => &[],
        };
        self.written = self.written.saturating_add(1);
        record.sequence = self.written;
        record.time_us = time_us;
        record.previous = self.head;
        record.text_bytes = u32::try_from(text.len()).unwrap_or(0);
        self.head = hash(&record, text);
        self.write(&record, text);
    }

    fn write(&mut self, record: &Record, text: &[u8]) {
        let Some(bytes) = room(text.len()).filter(|bytes| *bytes <= self.memory.len()) else {
            // Not even a record fits: the chain goes on, but nothing is kept.
            return;
        };
        let at = self.make_room(bytes);
        let end = at.saturating_add(bytes);
        if let Some((to, rest)) = self
            .memory
            .get_mut(at..end)
            .and_then(|entry| entry.split_at_mut_checked(RECORD_BYTES))
        {
            to.copy_from_slice(&record.to_bytes());
            for (to, from) in rest.iter_mut().zip(text) {
                *to = *from;
            }
        }
        self.next = end;
        self.entries = self.entries.saturating_add(1);
    }

    /// Drops the oldest entries until `bytes` contiguous bytes are free, and returns their position.
    fn make_room(&mut self, bytes: usize) -> usize {
        loop {
            if self.entries == 0 {
                (self.oldest, self.next, self.wrapped_at) = (0, 0, None);
                return 0;
            }
            let end = self.next.saturating_add(bytes);
            match self.wrapped_at {
                // Free: from the newest to the end of the memory, and from its start to the oldest.
                None if end <= self.memory.len() => return self.next,
                None if bytes <= self.oldest => {
                    self.wrapped_at = Some(self.next);
                    self.next = 0;
                    return 0;
                }
                // Free: from the newest to the oldest.
                Some(_) if end <= self.oldest => return self.next,
                _ => self.forget_oldest(),
            }
        }
    }

    fn forget_oldest(&mut self) {
        let Some(entry) = self.entry(self.oldest) else {
            // Only audit writes the region, so this does not happen; an empty log is consistent in any case.
            self.entries = 0;
            return;
        };
        self.oldest = self.after(self.oldest, &entry);
        self.entries = self.entries.saturating_sub(1);
        if self.wrapped_at == Some(self.oldest) {
            (self.oldest, self.wrapped_at) = (0, None);
        }
    }

    const fn after(&self, at: usize, entry: &LogEntry<'_>) -> usize {
        match room(entry.text.len()) {
            Some(bytes) => at.saturating_add(bytes),
            None => self.memory.len(),
        }
    }

    fn entry(&self, at: usize) -> Option<LogEntry<'_>> {
        let (record, rest) = Record::read_prefix(self.memory.get(at..)?)?;
        let text = rest.get(..record.text_bytes as usize)?;
        Some(LogEntry { record, text })
    }

    /// The place of the oldest entry.
    #[must_use]
    pub const fn cursor(&self) -> Cursor {
        Cursor {
            sequence: self.first(),
            at: self.oldest,
        }
    }

    /// Reads the entry at the cursor and moves the cursor on; `None` at the end.
    pub fn read(&self, cursor: &mut Cursor) -> Option<LogEntry<'_>> {
        // Also if the oldest is next: it may not lie where its predecessor ended.
        if cursor.sequence <= self.first() {
            *cursor = Cursor {
                sequence: self.first(),
                at: self.oldest,
            };
        }
        if cursor.sequence > self.written {
            return None;
        }
        if self.wrapped_at == Some(cursor.at) {
            cursor.at = 0;
        }
        let entry = self.entry(cursor.at)?;
        cursor.at = self.after(cursor.at, &entry);
        cursor.sequence = cursor.sequence.saturating_add(1);
        Some(entry)
    }

    /// The entries in the region, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = LogEntry<'_>> {
        let mut cursor = self.cursor();
        core::iter::from_fn(move || self.read(&mut cursor))
    }
}

/// A check of the chain. It is spread over several wake-ups, because hashing the whole region takes long.
#[derive(Clone, Copy, Debug)]
pub struct Verification {
    cursor: Cursor,
    extent: LogExtent,
    expected: Hash,
}

impl Verification {
    /// A check of the entries now in the region.
    #[must_use]
    pub fn new(log: &Log<'_>) -> Self {
        let extent = log.extent();
        Self {
            cursor: log.cursor(),
            extent,
            expected: extent.anchor,
        }
    }

    /// Checks entries until `bytes` is used up, which it counts down, or until the end. When done, returns the range
    /// checked and the sequence number of the first entry that breaks the chain, or 0.
    pub fn step(&mut self, log: &Log<'_>, bytes: &mut usize) -> Option<(LogExtent, u64)> {
        while *bytes > 0 {
            if self.cursor.sequence >= self.extent.next {
                let whole = self.expected == self.extent.head;
                let last = self.extent.next.saturating_sub(1);
                return Some((self.extent, if whole { 0 } else { last }));
            }
            if self.cursor.sequence < log.first() {
                // Entries were dropped meanwhile: the check goes on with the remaining ones.
                let now = log.extent();
                if now.first >= self.extent.next {
                    // All entries of the range were dropped.
                    self.extent.first = self.extent.next;
                    self.extent.anchor = self.extent.head;
                    return Some((self.extent, 0));
                }
                self.extent.first = now.first;
                self.extent.anchor = now.anchor;
                self.expected = now.anchor;
            }
            let sequence = self.cursor.sequence.max(log.first());
            let Some(LogEntry { record, text }) = log.read(&mut self.cursor) else {
                return Some((self.extent, sequence));
            };
            if record.previous != self.expected || record.sequence != sequence {
                return Some((self.extent, sequence));
            }
            self.expected = hash(&record, text);
            let hashed = RECORD_BYTES.saturating_add(text.len());
            *bytes = bytes.saturating_sub(hashed);
        }
        None
    }
}

/// Size of an entry with this much text.
const fn room(text: usize) -> Option<usize> {
    match RECORD_BYTES.checked_add(text) {
        Some(bytes) => bytes.checked_next_multiple_of(ALIGN),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use protocol::record::Kind;
    use std::vec;
    use std::vec::Vec;

    fn verify(log: &Log<'_>) -> u64 {
        let mut verification = Verification::new(log);
        loop {
            if let Some((_, broken_at)) = verification.step(log, &mut 1) {
                return broken_at;
            }
        }
    }

    #[test]
    fn the_newest_entries_stay_and_the_gap_is_visible() {
        let mut memory = [0xAA; 3 * RECORD_BYTES + 7];
        let mut log = Log::new(&mut memory);
        assert_eq!((log.iter().count(), log.extent().next), (0, 1));
        for value in 0..5 {
            let record = Record {
                value,
                ..Record::new(Kind::Admit)
            };
            log.append(record, &[], value * 10);
        }
        let found: Vec<_> = log
            .iter()
            .map(|e| (e.record.sequence, e.record.value, e.record.time_us))
            .collect();
        assert_eq!(found, [(3, 2, 20), (4, 3, 30), (5, 4, 40)]);
        let extent = log.extent();
        assert_eq!((extent.first, extent.next), (3, 6));
        assert_eq!(extent.anchor, log.iter().next().unwrap().record.previous);
        assert_ne!(extent.anchor, [0; 32]);
        assert_eq!(verify(&log), 0);
    }

    #[test]
    fn a_check_goes_on_with_what_is_there_while_the_oldest_entries_go() {
        for appended in 0..12 {
            let mut memory = vec![0; 6 * RECORD_BYTES];
            let mut log = Log::new(&mut memory);
            for _ in 0..6 {
                log.append(Record::new(Kind::Admit), &[], 1);
            }
            let mut verification = Verification::new(&log);
            assert_eq!(verification.step(&log, &mut 1), None);
            for _ in 0..appended {
                log.append(Record::new(Kind::Refuse), &[], 2);
            }
            let (extent, broken_at) = loop {
                if let Some(result) = verification.step(&log, &mut 1) {
                    break result;
                }
            };
            assert_eq!(broken_at, 0, "after {appended}");
            // The entries present at the start, except those dropped before they were checked.
            let first = if appended < 2 {
                1
            } else {
                (1 + appended).min(7)
            };
            assert_eq!((extent.first, extent.next), (first, 7), "after {appended}");
        }
    }

    #[test]
    fn a_region_without_room_for_an_entry_keeps_none_and_the_chain_goes_on() {
        let mut log = Log::new(&mut []);
        log.append(Record::new(Kind::Boot), b"text", 1);
        let head = log.extent().head;
        log.append(Record::new(Kind::Boot), b"text", 1);
        assert_eq!((log.written(), log.iter().count()), (2, 0));
        assert_ne!(log.extent().head, head);
        assert_eq!(verify(&log), 0);
    }

    #[test]
    fn every_change_of_a_byte_that_is_hashed_breaks_the_chain_at_its_entry() {
        let mut memory = vec![0; 4 * (RECORD_BYTES + 8)];
        let mut log = Log::new(&mut memory);
        for text in [&b"one"[..], b"", b"three  ?"] {
            log.append(Record::new(Kind::Admit), text, 7);
        }
        assert_eq!(verify(&log), 0);
        let mut at = 0;
        for (sequence, text) in [(1, 3), (2, 0), (3, 8)] {
            for byte in at..at + RECORD_BYTES + text {
                for bit in 0..8 {
                    log.memory[byte] ^= 1 << bit;
                    let broken_at = verify(&log);
                    assert!(broken_at >= sequence, "byte {byte}, bit {bit}: {broken_at}");
                    log.memory[byte] ^= 1 << bit;
                }
            }
            at += room(text).unwrap();
        }
        assert_eq!(verify(&log), 0);
    }

    proptest! {
        /// Compared with a list that drops nothing: the log is its tail, as much as fits.
        #[test]
        fn the_log_is_the_end_of_what_was_written(
            capacity in 0usize..4000,
            texts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..900), 0..40),
        ) {
            let mut memory = vec![0x55; capacity];
            let mut log = Log::new(&mut memory);
            let mut model: Vec<(Record, Vec<u8>)> = Vec::new();
            let mut follower = log.cursor();
            let mut followed = 0;
            for (time, text) in texts.iter().enumerate() {
                log.append(Record::new(Kind::Admit), text, time as u64);
                let kept = if room(text.len()).unwrap() <= capacity { &text[..] } else { &[] };
                model.push((Record::new(Kind::Admit), kept.to_vec()));
                let there: Vec<_> = log.iter().map(|e| (e.record.sequence, e.text.to_vec())).collect();
                let end: Vec<_> = (1..).zip(model.iter().map(|(_, t)| t.clone())).collect::<Vec<_>>();
                prop_assert!(end.ends_with(&there));
                prop_assert!(!there.is_empty() || capacity < RECORD_BYTES);
                prop_assert_eq!(verify(&log), 0);
                while let Some(entry) = log.read(&mut follower) {
                    prop_assert!(entry.record.sequence > followed);
                    followed = entry.record.sequence;
                }
                prop_assert!(there.is_empty() || followed == log.written());
            }
        }
    }
}
