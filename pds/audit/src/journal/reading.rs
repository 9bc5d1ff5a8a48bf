//! Reading back: entries that memory no longer holds.
//!
//! There is a single reader, which moves forward, so several lists at once are slow but correct. Entries are located by
//! marks, one for each 64th of the file.

use disk_log::{Log, MAX_ENTRY_BYTES, Reader, SECTOR};
use protocol::limits::{MAX_TRANSFER_BYTES, MAX_TRANSFER_SECTORS};
use protocol::record::Record;
use protocol::wire::files::Ask;

/// Number of marks. To find an entry, at most the sectors between two marks are read in vain.
const MARKS: usize = 64;

/// The result of a read.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to box it in")]
pub(crate) enum Found<'r> {
    /// The entry, or the next one on the disk.
    Entry(Record, &'r [u8]),
    /// Sectors must be read first; ask again when files has answered.
    Later,
    /// Neither the entry nor a later one is on the disk any more.
    Gone,
}

/// See the module.
#[derive(Debug)]
pub(super) struct ReadBack {
    buffer: &'static mut [u8; MAX_ENTRY_BYTES],
    chunk: &'static mut [u8; MAX_TRANSFER_BYTES],
    /// The first sector in the chunk, and the number of sectors.
    slot: u32,
    sectors: u32,
    reader: Option<Reader>,
    /// The entry to read next.
    wanted: u64,
    /// Whether somebody has wanted it since files was last asked.
    is_wanted: bool,
    /// Sequence numbers and positions of entries, each the first of its part of the file.
    marks: [(u64, u64); MARKS],
    slots: u32,
}

impl ReadBack {
    pub(super) const fn new(
        buffer: &'static mut [u8; MAX_ENTRY_BYTES],
        chunk: &'static mut [u8; MAX_TRANSFER_BYTES],
    ) -> Self {
        Self {
            buffer,
            chunk,
            slot: 0,
            sectors: 0,
            reader: None,
            wanted: 0,
            is_wanted: false,
            // No entry has the number 0.
            marks: [(0, 0); MARKS],
            slots: 0,
        }
    }

    /// Sets the number of sectors in the file. Earlier marks stay valid: see [`Self::note`].
    pub(super) const fn is_of(&mut self, slots: u32) {
        self.slots = slots;
    }

    /// Notes the position of an entry.
    pub(super) fn note(&mut self, sequence: u64, position: u64) {
        // While the log is being opened its size may not be known here. The parts of the smallest log are valid for any
        // size.
        let part = u64::from(self.slots.max(disk_log::MIN_SLOTS))
            .checked_div(MARKS as u64)
            .unwrap_or(1);
        let number = position.checked_div(part).unwrap_or(0);
        let index = number.checked_rem(MARKS as u64);
        let index = index
            .and_then(|index| usize::try_from(index).ok())
            .unwrap_or(0);
        if let Some(mark) = self.marks.get_mut(index)
            && (mark.0 == 0 || mark.1.checked_div(part).unwrap_or(0) != number)
        {
            *mark = (sequence, position);
        }
    }

    /// Stops all reading.
    pub(super) fn stop(&mut self) {
        (self.reader, self.is_wanted) = (None, false);
    }

    /// The entry with this number, or the next one on the disk.
    pub(super) fn read(&mut self, sequence: u64, log: &Log) -> Found<'_> {
        if self.reader.is_some() && self.wanted != sequence && self.is_wanted {
            // Another list is reading; its turn ends when it stops asking.
            return Found::Later;
        }
        if self.reader.is_none() || self.wanted != sequence {
            let oldest = log.position().saturating_sub(u64::from(log.slots()));
            let marks = self.marks.iter();
            let before = marks.filter(|(number, position)| {
                *number != 0 && *number <= sequence && *position >= oldest
            });
            let from = before.map(|(_, position)| *position).max();
            self.reader = Some(Reader::new(log, from.unwrap_or(oldest)));
            self.wanted = sequence;
            // The sectors in the chunk may have been overwritten since.
            self.sectors = 0;
        }
        self.is_wanted = true;
        let Self {
            reader,
            buffer,
            chunk,
            slot,
            sectors,
            wanted,
            ..
        } = self;
        let Some(reader) = reader else {
            return Found::Gone;
        };
        let mut found = None;
        let (chunk, _) = chunk.as_chunks::<SECTOR>();
        // The chunk has no more entries than this.
        for _ in 0..MAX_TRANSFER_SECTORS {
            if reader.position() >= log.position() {
                return Found::Gone;
            }
            let at = reader.wants().checked_sub(*slot).filter(|at| at < sectors);
            let sector = at.and_then(|at| chunk.get(at as usize));
            let Some(sector) = sector else {
                break;
            };
            if let Some((record, ..)) = reader.give(sector, buffer)
                && record.sequence >= *wanted
            {
                found = Some(record);
                break;
            }
        }
        let Some(record) = found else {
            return Found::Later;
        };
        *wanted = record.sequence.saturating_add(1);
        let text = buffer.get(protocol::record::RECORD_BYTES..).unwrap_or(&[]);
        let length = record.text_bytes as usize;
        Found::Entry(record, text.get(..length).unwrap_or(&[]))
    }

    /// The sectors to read, if somebody waits for them.
    pub(super) fn ask(&mut self, log: &Log) -> Option<Ask<'static>> {
        if !core::mem::replace(&mut self.is_wanted, false) {
            return None;
        }
        let slot = self.reader.as_ref()?.wants();
        let is_there = slot
            .checked_sub(self.slot)
            .is_some_and(|at| at < self.sectors);
        if is_there {
            // The reader will find the entry there.
            return None;
        }
        let before_end = log.slots().saturating_sub(slot).max(1);
        let sectors = (MAX_TRANSFER_SECTORS as u32).min(before_end);
        // The chunk is empty until the answer comes.
        self.sectors = 0;
        Some(Ask::ReadLog { slot, sectors })
    }

    /// Takes sectors that were read.
    pub(super) fn take(&mut self, slot: u32, data: &[u8]) {
        for (to, from) in self.chunk.iter_mut().zip(data) {
            *to = *from;
        }
        let sectors = data.len().checked_div(SECTOR).unwrap_or(0);
        self.slot = slot;
        self.sectors = u32::try_from(sectors).unwrap_or(0);
    }

    /// Sectors are unreadable: they count as changed.
    pub(super) fn skip(&mut self) {
        if let Some(reader) = &self.reader {
            self.slot = reader.wants();
            self.sectors = MAX_TRANSFER_SECTORS as u32;
            self.chunk.fill(0);
        }
    }
}
