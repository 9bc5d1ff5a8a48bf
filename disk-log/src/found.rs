//! What is found in a file that should be a log.

use crate::append::Log;
use crate::sector::Device;
use crate::{MAX_SLOTS, MIN_SLOTS};
use protocol::record::{Hash, Record};
use thiserror::Error;

/// Why a file is not opened as a log. It is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// A size that no log has.
    #[error(
        "the log's file has {slots} sectors, but needs {MIN_SLOTS} to {MAX_SLOTS} (make one with 'llmtool disk create --log-size')"
    )]
    Size {
        /// Sectors of the file.
        slots: u64,
    },
    /// The log was begun in a file of another size.
    #[error(
        "the log's file has {slots} sectors, but the log in it was written to a file of {log}: put the whole file back, or begin a new one"
    )]
    OtherSize {
        /// Sectors of the file.
        slots: u32,
        /// Sectors that the log says.
        log: u32,
    },
    /// The log of another device.
    #[error("the log on the disk is that of another device; this one does not write into it")]
    OtherDevice {
        /// Whose.
        device: Device,
    },
    /// No log at all.
    #[error("the log's file holds something that is no log; a new one must be all zeros")]
    NotALog,
}

/// What was found at the end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing was ever written.
    Empty,
    /// All entries are there, to the end.
    Whole,
    /// What was written last is there in part, as a power cut leaves it. Nothing that was durable is missing.
    Torn,
    /// An entry that was durable is missing or was changed.
    Damaged {
        /// Sequence number of the last entry before it; 0 if there is none.
        after: u64,
    },
}

/// An entry, as it is found.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'o> {
    /// Its record.
    pub record: Record,
    /// Its text.
    pub text: &'o [u8],
    /// The position of its first sector.
    pub position: u64,
    /// Whether it holds the hash of the entry that was found before it. Of the first, nobody knows.
    pub is_linked: bool,
}

/// A log that is open, and what it holds.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// What was found.
    pub found: Found,
    /// Whose log it is; `None` if it is empty.
    pub device: Option<Device>,
    /// Entries.
    pub entries: u64,
    /// Sequence number of the oldest; of the next one if there is none.
    pub first: u64,
    /// The hash that the oldest holds of the entry before it.
    pub anchor: Hash,
}
