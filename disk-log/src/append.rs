//! Which sectors an entry is written to.

use crate::sector::{self, Device, Header, PIECE, SECTOR};
use crate::{Shape, hash, sectors_of};
use protocol::hash::Hash;
use protocol::record::Record;
use thiserror::Error;

/// Why an entry was not written. The log has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AppendError {
    /// Its sequence number or its link does not follow the newest entry.
    #[error(
        "entry {found} cannot follow entry {newest} of the log on the disk, or is not linked to it"
    )]
    NotNext {
        /// Sequence number of the entry.
        found: u64,
        /// Sequence number of the newest entry.
        newest: u64,
    },
    /// The length of its text differs from what its record says, or exceeds that of any request.
    #[error("the text of entry {sequence} has {bytes} bytes")]
    Text {
        /// Sequence number of the entry.
        sequence: u64,
        /// Bytes of its text.
        bytes: usize,
    },
    /// Too many written sectors are not flushed yet.
    #[error("{unflushed} sectors of the log are written but not flushed: flush them first")]
    FlushFirst {
        /// Sectors written but not flushed.
        unflushed: u64,
    },
    /// The output buffer is too small.
    #[error("the entry needs {needed} bytes of sectors, the buffer has {there}")]
    Buffer {
        /// Bytes needed.
        needed: usize,
        /// Bytes available.
        there: usize,
    },
}

/// Which sectors an entry is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The first sector, counted from the beginning of the file.
    pub slot: u32,
    /// Sectors from there on.
    pub sectors: u32,
    /// Sectors that wrap round to the beginning of the file.
    pub wrapped: u32,
}

/// A point in the log, used to report later that everything up to it is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark(u64);

/// An open log.
#[derive(Clone, Debug)]
pub struct Log {
    pub(crate) shape: Shape,
    pub(crate) device: Device,
    pub(crate) life: u32,
    /// Position at which the next entry begins.
    pub(crate) next: u64,
    /// Position up to which everything is durable.
    pub(crate) durable: u64,
    /// Sequence number of the newest entry.
    pub(crate) sequence: u64,
    /// Hash of the newest entry.
    pub(crate) head: Hash,
}

impl Log {
    /// Sequence number of the newest entry; 0 if there is none.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// SHA-256 of the newest entry; zeros if there is none.
    #[must_use]
    pub const fn head(&self) -> Hash {
        self.head
    }

    /// How often the log was opened to be written, this time included.
    #[must_use]
    pub const fn life(&self) -> u32 {
        self.life
    }

    /// Sectors of the file.
    #[must_use]
    pub const fn slots(&self) -> u32 {
        self.shape.slots
    }

    /// The position of the next entry's first sector.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// Sectors written but not flushed.
    #[must_use]
    pub const fn unflushed(&self) -> u64 {
        self.next.saturating_sub(self.durable)
    }

    /// Encodes the next entry into `out` and says which sectors it goes to. If the write fails, write the same bytes
    /// again: the log has already moved past them.
    ///
    /// # Errors
    /// The entry is not the next one, a flush is due first, or the buffer is too small.
    pub fn append(
        &mut self,
        record: &Record,
        text: &[u8],
        out: &mut [u8],
    ) -> Result<Placed, AppendError> {
        let newest = self.sequence;
        if Some(record.sequence) != newest.checked_add(1) || record.previous != self.head {
            return Err(AppendError::NotNext {
                found: record.sequence,
                newest,
            });
        }
        let wrong_text = AppendError::Text {
            sequence: record.sequence,
            bytes: text.len(),
        };
        let sectors = sectors_of(text.len())
            .filter(|_| record.text_bytes as usize == text.len())
            .and_then(|sectors| u16::try_from(sectors).ok())
            .ok_or(wrong_text)?;
        let unflushed = self.unflushed();
        if unflushed.saturating_add(u64::from(sectors)) > u64::from(self.shape.unflushed) {
            return Err(AppendError::FlushFirst { unflushed });
        }
        let needed = usize::from(sectors).saturating_mul(SECTOR);
        let there = out.len();
        let out = out
            .get_mut(..needed)
            .ok_or(AppendError::Buffer { needed, there })?;
        let head = hash(record, text);
        self.fill(record, text, head, sectors, out);
        let slot = self.shape.slot(self.next);
        let before_end = self.shape.slots.saturating_sub(slot);
        let sectors = u32::from(sectors);
        let straight = sectors.min(before_end);
        self.next = self.next.saturating_add(u64::from(sectors));
        self.sequence = record.sequence;
        self.head = head;
        Ok(Placed {
            slot,
            sectors: straight,
            wrapped: sectors.saturating_sub(straight),
        })
    }

    fn fill(&self, record: &Record, text: &[u8], entry: Hash, parts: u16, out: &mut [u8]) {
        let record_bytes = record.to_bytes();
        let mut bytes = record_bytes.iter().chain(text).copied();
        let (sectors, _) = out.as_chunks_mut::<SECTOR>();
        for (part, sector) in (0..parts).zip(sectors) {
            let mut piece = [0; PIECE];
            for (to, from) in piece.iter_mut().zip(bytes.by_ref()) {
                *to = from;
            }
            let header = Header {
                part,
                parts,
                slots: self.shape.slots,
                life: self.life,
                position: self.next.saturating_add(u64::from(part)),
                durable: self.durable,
                sequence: record.sequence,
                device: self.device,
                entry,
            };
            sector::write(&header, &piece, sector);
        }
    }

    /// The current state of the log. Take a mark before a flush and pass it to [`Self::flushed`] afterwards.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        Mark(self.next)
    }

    /// Records that everything written up to `mark` is durable.
    pub fn flushed(&mut self, mark: Mark) {
        self.durable = self.durable.max(mark.0.min(self.next));
    }

    /// Whether everything written up to `mark` is durable.
    #[must_use]
    pub const fn is_durable(&self, mark: Mark) -> bool {
        mark.0 <= self.durable
    }
}
