//! Disks: partition tables, FAT file systems with long names, and which sectors their files occupy.
//!
//! The domain `files` and `llmtool disk` are built on this crate. Its input is untrusted in both: whatever a disk
//! holds, an operation ends with a result or a [`StorageError`] after a bounded number of sectors
//! ([`OPERATION_SECTORS`]).
//!
//! - [`Blocks`]: a disk of 512-byte sectors, polled because a disk may answer later;
//! - [`Volume`]: the file system, found in a partition (MBR or GPT) or on the whole disk;
//! - [`Walk`]: its files, folder by folder;
//! - [`Extent`]: the sectors of a contiguous file, so that it can be written in place while the file system's tables
//!   never change;
//! - [`check()`]: finds damage in a file system;
//! - `make` (a feature): a disk with a partition and an empty file system.
//!
//! # The crates below it
//!
//! `hadris-fat` and `hadris-part` do the reading and writing. They were chosen because nothing else does all of this:
//! FAT12, FAT16 and FAT32 with long names, without a heap; MBR, and GPT with its backup; walks that detect cycles;
//! extents of files; a checker; a write order that survives power cuts; and one source for blocking and asynchronous
//! devices. The last point is decisive for a domain that must not block. Alternatives considered:
//!
//! - `fatfs` 0.3.6 is `no_std` only with `core_io`, which no current compiler builds; version 0.4 was never published,
//!   and `lamfat` is a copy of it. It blocks, and follows a cyclic cluster chain for ever.
//! - `embedded-sdmmc` 0.10 is well maintained, but has no FAT12, no GPT and no extents, and blocks.
//! - `simple-fatfs` 0.1.0-alpha needs a heap, and blocks.
//!
//! They are pinned to a release candidate of version 3 because version 2 has no asynchronous devices.

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

pub mod blocks;
mod error;
mod find;
mod limits;
#[cfg(feature = "make")]
pub mod make;
mod volume;
mod walk;

#[cfg(test)]
mod tests;

pub use blocks::{BlockError, Blocks, Memory, SECTOR, Ticket, block_on};
pub use error::{Place, StorageError};
pub use find::{Found, Harm, Table, check, find};
pub use limits::{MAX_PATH_BYTES, OPEN_FILES, OPERATION_SECTORS, UNFINISHED};
pub use volume::{Extent, FatKind, Ground, Info, OpenFile, Volume, check_path};
pub use walk::{Item, ItemKind, MAX_DEPTH, MAX_ENTRIES, Walk};
