//! Disks: a partition table, a FAT file system with long names, and where the sectors of its files lie.
//!
//! The domain `files` and `llmtool disk` are built on it. Its input is hostile in both: whatever a disk holds, an
//! operation ends with a result or a [`StorageError`], after a bounded number of sectors ([`OPERATION_SECTORS`]).
//!
//! - [`Blocks`]: a disk of 512-byte sectors, polled, since a disk may answer later;
//! - [`Volume`]: the file system, found in a partition (MBR or GPT) or on the whole disk;
//! - [`Walk`]: its files, folder by folder;
//! - [`Extent`]: the sectors of a file that lies in one piece, so that it can be written in place while the tables of the
//!   file system never change;
//! - [`check()`]: what is wrong with a file system;
//! - `make` (a feature): a disk with a partition and an empty file system.
//!
//! # The crates below it
//!
//! `hadris-fat` and `hadris-part` read and write all of it. They were chosen because nothing else does all of this:
//! FAT12, FAT16 and FAT32 with long names, without a heap; MBR and GPT, with the backup of the latter; walks that notice a
//! cycle; extents of a file; a checker; an order of writes that survives a power cut; and one source for blocking and
//! asynchronous devices. The last decides it for a domain that may wait for nobody. What was looked at besides:
//!
//! - `fatfs` 0.3.6 is `no_std` only with `core_io`, which no current compiler builds; its version 0.4 was never published,
//!   and `lamfat` is a copy of that. It blocks, and follows a chain of clusters in a circle for ever.
//! - `embedded-sdmmc` 0.10 is kept well, but has no FAT12, no GPT and no extents, and blocks.
//! - `simple-fatfs` 0.1.0-alpha needs a heap, and blocks.
//!
//! They are pinned to a release candidate of version 3, since version 2 has none of the asynchronous devices.

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
#[cfg(feature = "make")]
pub mod make;
mod volume;
mod walk;

#[cfg(test)]
mod tests;

pub use blocks::{BlockError, Blocks, Memory, SECTOR, Ticket, block_on};
pub use error::{Place, StorageError};
pub use find::{Found, Table, check, find};
pub use volume::{
    Extent, FatKind, Ground, Info, MAX_PATH_BYTES, OPEN_FILES, OPERATION_SECTORS, OpenFile,
    UNFINISHED, Volume, check_path,
};
pub use walk::{Item, ItemKind, MAX_DEPTH, MAX_ENTRIES, Walk};
