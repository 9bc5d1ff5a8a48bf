//! Reads back the entries of an open log, starting at a position.
//!
//! Each entry that it returns has valid seals and the right hash, and lies at the position that it names. The caller checks
//! whether it is linked to the next entry. Entries that have been overwritten in the meantime are skipped.

use crate::append::Log;
use crate::sector::{Device, Header, PIECE, SECTOR, Sector};
use crate::{MAX_ENTRY_BYTES, Shape, hash, sectors_of};
use protocol::record::Record;

/// A reader of a log that is open.
#[derive(Clone, Debug)]
pub struct Reader {
    shape: Shape,
    device: Device,
    /// The position of the sector that is wanted.
    at: u64,
    /// The header of the entry's first sector, if it was seen.
    begun: Option<Header>,
    /// Bytes of the entry that are in the buffer.
    filled: usize,
}

impl Reader {
    /// Reads from this position on. An entry that begins before it is skipped.
    #[must_use]
    pub const fn new(log: &Log, position: u64) -> Self {
        Self {
            shape: log.shape,
            device: log.device,
            at: position,
            begun: None,
            filled: 0,
        }
    }

    /// The position of the sector that is wanted.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// The place of that sector, counted from the beginning of the file.
    #[must_use]
    pub fn wants(&self) -> u32 {
        self.shape.slot(self.at)
    }

    /// Takes the sector asked for. If it completes an entry, returns the entry's record, its text, and the position of its
    /// first sector. `buffer` must be the same for all sectors of an entry.
    pub fn give<'b>(
        &mut self,
        sector: &[u8; SECTOR],
        buffer: &'b mut [u8; MAX_ENTRY_BYTES],
    ) -> Option<(Record, &'b [u8], u64)> {
        let at = self.at;
        self.at = at.saturating_add(1);
        let Sector::Whole(header, piece) = Sector::read(sector) else {
            self.begun = None;
            return None;
        };
        let is_here = header.position == at
            && header.device == self.device
            && header.slots == self.shape.slots;
        if !is_here {
            self.begun = None;
            return None;
        }
        if header.part == 0 {
            self.begun = Some(header);
            self.filled = 0;
        }
        let follows = |first: &Header| {
            let expected = Header {
                part: header.part,
                position: at,
                ..*first
            };
            first.position.checked_add(u64::from(header.part)) == Some(at) && header == expected
        };
        let Some(first) = self.begun.filter(follows) else {
            self.begun = None;
            return None;
        };
        let rest = buffer.get_mut(self.filled..).unwrap_or(&mut []);
        let length = rest.len().min(PIECE);
        for (to, from) in rest.iter_mut().zip(piece) {
            *to = *from;
        }
        self.filled = self.filled.saturating_add(length);
        if header.part.saturating_add(1) < header.parts {
            return None;
        }
        self.begun = None;
        let (record, text) = whole(&first, buffer.get(..self.filled)?)?;
        Some((record, text, first.position))
    }
}

/// The entry in these bytes, if it matches the header.
fn whole<'b>(header: &Header, bytes: &'b [u8]) -> Option<(Record, &'b [u8])> {
    let (record, rest) = Record::read_prefix(bytes)?;
    let text = rest.get(..record.text_bytes as usize)?;
    let sound = sectors_of(text.len()) == Some(usize::from(header.parts))
        && hash(&record, text) == header.entry
        && record.sequence == header.sequence;
    sound.then_some((record, text))
}

#[cfg(test)]
#[path = "read/tests.rs"]
mod tests;
