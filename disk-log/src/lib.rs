//! The audit log on a disk: which sectors hold its entries, and how its end is found after the power went.
//!
//! The log is a file of fixed size that is written in place, in a circle: when it is full, the newest entries overwrite the
//! oldest. This crate is logic alone. [`Opening`] asks for sectors and says what it found, [`Log`] says which sectors to
//! write; who reads and writes them is another's affair, and so is the file system, whose tables never change.
//!
//! # What lies in a sector
//!
//! An entry is what [`protocol::record`] says: a record and its text, with the SHA-256 of the entry before it. It takes as
//! many sectors as it needs and begins with a new one, so that no sector is ever written twice in one round: a write that
//! breaks off cannot hurt an entry that was there. A sector holds, little endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `sel4llmL` |
//! | 8..10 | version of this format, 1 |
//! | 10..12, 12..14 | which part of its entry it is, and how many there are |
//! | 14..16 | zero |
//! | 16..20 | sectors of the file |
//! | 20..24 | *life*: how often the log had been opened to be written, this time included |
//! | 24..32 | *position*: sectors that were written before it since the log is there; its place in the file is the position modulo the file's sectors |
//! | 32..40 | the position up to which all was durable when the entry was written |
//! | 40..48 | sequence number of the entry |
//! | 48..64 | the device: the first half of the SHA-256 of its public key |
//! | 64..96 | SHA-256 of the entry |
//! | 96..496 | a piece of the entry, zeros behind its end |
//! | 496..512 | *seal*: the first half of the SHA-256 of the bytes before |
//!
//! # Why nothing confuses it
//!
//! - A sector of which a part was written has no seal that fits, whatever part.
//! - Sectors of another round have another position; sectors of an entry that was never finished, of which a newer one has
//!   overwritten some, belong to another entry by its SHA-256, and to an older life.
//! - A disk may write in any order what was not flushed. An entry counts only if its predecessor is there, by place and by
//!   hash; what lies behind a gap was not reported durable, and is dropped.
//! - Below the position that a sector calls durable there must be no gap. One there is not a power cut but damage, and is
//!   [`Found::Damaged`].
//!
//! Seals are no signatures: who writes the disk can write a log of its own, or bring back an older one. Against that, the
//! heads of the log are signed and noted elsewhere.

#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

mod append;
mod found;
mod open;
mod read;
mod sector;

#[cfg(test)]
mod tests;

use protocol::limits::MAX_PARTS_BYTES;
use protocol::record::{Hash, RECORD_BYTES, Record};
use sha2::{Digest as _, Sha256};

pub use append::{AppendError, Log, Mark, Placed};
pub use found::{Entry, Found, OpenError, Opened};
pub use open::Opening;
pub use read::Reader;
pub use sector::{Device, PIECE, SECTOR};

/// Bytes of the longest entry.
pub const MAX_ENTRY_BYTES: usize = RECORD_BYTES + MAX_PARTS_BYTES;

/// Sectors of the longest entry.
pub const MAX_ENTRY_SECTORS: usize = MAX_ENTRY_BYTES.div_ceil(PIECE);

/// Sectors that may be written before the next flush: 64 KiB. What is behind the last flush can be lost or be there in
/// part, and no more than that; a larger number makes a log that is written behind cheaper and a power cut dearer.
pub const MAX_UNFLUSHED: u32 = 128;

/// Sectors of the smallest log: 1 MiB. Far more than can be unflushed, or a power cut could cost the oldest entries and the
/// newest.
pub const MIN_SLOTS: u32 = 2048;

/// Sectors of the largest log: 1 GiB. All of it is read at boot.
pub const MAX_SLOTS: u32 = 1 << 21;

/// How large a log is and how much of it may be unflushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    slots: u32,
    unflushed: u32,
}

impl Shape {
    /// Positions, counted from the newest known, in which an end that was not flushed can lie, or can have overwritten what
    /// was there: what was unflushed when the newest position was written, and what came after.
    const fn slack(self) -> u64 {
        (self.unflushed as u64).saturating_mul(2)
    }

    /// The place of a position in the file.
    fn slot(self, position: u64) -> u32 {
        // `slots` is not zero: `Opening` refuses small logs.
        let slot = position.checked_rem(u64::from(self.slots)).unwrap_or(0);
        u32::try_from(slot).unwrap_or(0)
    }
}

/// Sectors of an entry with so much text; `None` if it is longer than any.
#[must_use]
pub const fn sectors_of(text: usize) -> Option<usize> {
    if text > MAX_PARTS_BYTES {
        return None;
    }
    Some(RECORD_BYTES.saturating_add(text).div_ceil(PIECE))
}

/// SHA-256 of an entry, which the next one holds.
#[must_use]
pub fn hash(record: &Record, text: &[u8]) -> Hash {
    Sha256::new_with_prefix(record.to_bytes())
        .chain_update(text)
        .finalize()
        .into()
}
