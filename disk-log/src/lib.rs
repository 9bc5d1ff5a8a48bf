//! The audit log on a disk: which sectors hold its entries, and how its end is found after a power cut.
//!
//! The log is a file of fixed size, written in place as a ring: when it is full, the newest entries overwrite the
//! oldest. This crate is pure logic. [`Opening`] asks for sectors and says what it found; [`Log`] says which sectors to
//! write. The caller does the I/O and owns the file system, whose tables never change.
//!
//! # What lies in a sector
//!
//! An entry is a record, its text and the SHA-256 of the entry before it, as in [`protocol::record`]. It starts a new
//! sector and takes as many as it needs. No sector is written twice in one round, so an interrupted write cannot damage
//! an entry that was already there. A sector holds, little endian:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `sel4llmL` |
//! | 8..10 | version of this format, 1 |
//! | 10..12, 12..14 | which part of its entry it is, and how many parts there are |
//! | 14..16 | zero |
//! | 16..20 | sectors of the file |
//! | 20..24 | *life*: how often the log has been opened for writing, including this time |
//! | 24..32 | *position*: sectors written before it since the log was created; its place in the file is the position modulo the file's sectors |
//! | 32..40 | the position up to which everything was durable when the entry was written |
//! | 40..48 | sequence number of the entry |
//! | 48..64 | the device: the first half of the SHA-256 of its public key |
//! | 64..96 | SHA-256 of the entry |
//! | 96..496 | a piece of the entry, padded with zeros |
//! | 496..512 | *seal*: the first half of the SHA-256 of the bytes before |
//!
//! # Why the end is unambiguous
//!
//! - A partially written sector has no valid seal, whichever part was written.
//! - A sector of another round has another position. Leftover sectors of an unfinished entry that a newer one partly
//!   overwrote belong to another entry, by its SHA-256, and to an older life.
//! - A disk may write unflushed sectors in any order. An entry counts only if its predecessor is present, by position
//!   and by hash. Anything after a gap was never reported durable, and is dropped.
//! - Below the position that a sector calls durable there must be no gap. A gap there is damage rather than a power
//!   cut, and is [`Found::Damaged`].
//!
//! Seals are not signatures: anyone who can write the disk can write a log of their own or restore an older one. To
//! detect that, the heads of the log are signed and noted elsewhere.

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

use protocol::hash::Hash;
use protocol::limits::MAX_PARTS_BYTES;
use protocol::record::{RECORD_BYTES, Record};
use sha2::{Digest as _, Sha256};

pub use append::{AppendError, Log, Mark, Placed};
pub use found::{Found, FoundEntry, OpenError, Opened};
pub use open::Opening;
pub use read::Reader;
pub use sector::{Device, PIECE, SECTOR};

/// Bytes of the longest entry.
pub const MAX_ENTRY_BYTES: usize = RECORD_BYTES + MAX_PARTS_BYTES;

/// Sectors of the longest entry.
pub const MAX_ENTRY_SECTORS: usize = MAX_ENTRY_BYTES.div_ceil(PIECE);

/// Sectors that may be written before the next flush: 64 KiB. This bounds what a power cut can lose or leave
/// incomplete. A larger number makes a write-behind log faster, but a power cut more costly.
pub const MAX_UNFLUSHED: u32 = 128;

/// Sectors of the smallest log: 1 MiB. This is far more than can be unflushed; otherwise a power cut could cost the
/// oldest entries as well as the newest.
pub const MIN_SLOTS: u32 = 2048;

/// Sectors of the largest log: 1 GiB. The whole log is read at boot.
pub const MAX_SLOTS: u32 = 1 << 21;

/// The size of a log and how much of it may be unflushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    slots: u32,
    unflushed: u32,
}

impl Shape {
    /// How many positions after the newest known one unflushed writes may have reached, or may have overwritten in the
    /// round before: those unflushed when the newest was written, and as many again afterwards.
    const fn slack(self) -> u64 {
        (self.unflushed as u64).saturating_mul(2)
    }

    /// The slot of a position in the file.
    fn slot(self, position: u64) -> u32 {
        // `slots` is not zero: `Opening` refuses small logs.
        let slot = position.checked_rem(u64::from(self.slots)).unwrap_or(0);
        u32::try_from(slot).unwrap_or(0)
    }
}

/// Sectors of an entry with `text` bytes of text; `None` if no entry has so much.
#[must_use]
pub const fn sectors_of(text: usize) -> Option<usize> {
    if text > MAX_PARTS_BYTES {
        return None;
    }
    Some(RECORD_BYTES.saturating_add(text).div_ceil(PIECE))
}

/// SHA-256 of an entry, which the next entry holds.
#[must_use]
pub fn hash(record: &Record, text: &[u8]) -> Hash {
    Sha256::new_with_prefix(record.to_bytes())
        .chain_update(text)
        .finalize()
        .into()
}
