//! What opening a file as a log finds.

use crate::append::Log;
use crate::sector::Device;
use crate::{MAX_SLOTS, MIN_SLOTS};
use protocol::hash::Hash;
use protocol::record::Record;
use thiserror::Error;

/// Why a file was not opened as a log. The file is left unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// No log has this size.
    #[error(
        "the log's file has {slots} sectors, but needs {MIN_SLOTS} to {MAX_SLOTS} (make one with 'llmtool disk create --log-size')"
    )]
    Size {
        /// Sectors of the file.
        slots: u64,
    },
    /// The log was started in a file of another size.
    #[error(
        "the log's file has {slots} sectors, but the log in it was written to a file of {log}: put the whole file back, or begin a new one"
    )]
    OtherSize {
        /// Sectors of the file.
        slots: u32,
        /// Sectors according to the log.
        log: u32,
    },
    /// The log belongs to another device.
    #[error("the log on the disk belongs to another device; this one does not write to it")]
    OtherDevice {
        /// The device that it belongs to.
        device: Device,
    },
    /// The file holds no log at all.
    #[error("the log's file does not hold a log; a new file must be all zeros")]
    NotALog,
}

/// The state of the end of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing was ever written.
    Empty,
    /// All entries are present, to the end.
    Whole,
    /// The last write is incomplete, as after a power cut. Nothing that was durable is missing.
    Torn,
    /// A durable entry is missing or was changed.
    Damaged {
        /// Sequence number of the last entry before it; 0 if there is none.
        after: u64,
    },
}

/// An entry read from the log.
#[derive(Clone, Copy, Debug)]
pub struct FoundEntry<'o> {
    /// Its record.
    pub record: Record,
    /// Its text.
    pub text: &'o [u8],
    /// The position of its first sector.
    pub position: u64,
    /// Whether it holds the hash of the entry found before it. For the first entry this is unknown.
    pub is_linked: bool,
}

/// An open log and what it holds.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// The state of its end.
    pub found: Found,
    /// The device that the log belongs to; `None` if it is empty.
    pub device: Option<Device>,
    /// Number of entries.
    pub entries: u64,
    /// Sequence number of the oldest entry, or of the next one if the log is empty.
    pub first: u64,
    /// The hash that the oldest entry holds of its predecessor.
    pub anchor: Hash,
}
