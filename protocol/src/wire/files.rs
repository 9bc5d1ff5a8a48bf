//! Between audit and `files`, which knows the file system of the disk.
//!
//! Audit asks, and files answers with the number of the question. One question is in flight at a time; others wait in
//! the ring. Files is untrusted: it can return bytes that are not on the disk, different bytes the second time, or
//! none. So audit checks shape, bounds and order, copies what it gets, and trusts only its copy.

use crate::encoding::codec::{is_transfer, is_transfer_bytes};
use crate::encoding::{layout, messages, numbers};
use crate::limits::{MAX_PATH_BYTES, MAX_TRANSFER_BYTES};

/// Whether these bytes can be a file's path in [`Answer::File`]: text without characters that would upset a terminal or a
/// log. Disks from elsewhere may have other paths: files skips them, and audit treats one as a breach of the protocol.
#[must_use]
pub fn is_path(bytes: &[u8]) -> bool {
    let is_plain = |path: &str| !path.is_empty() && !path.chars().any(char::is_control);
    bytes.len() <= MAX_PATH_BYTES && core::str::from_utf8(bytes).is_ok_and(is_plain)
}

messages! {
    /// Messages from audit to files.
    pub enum Ask<'a> ["answered by"] {
        /// Find the disk's file system again; the disk may have been replaced.
        0x401 Mount [0] => ["`Mounted` or `Failed`"],
        /// List all files.
        0x402 List [0] => ["`File` …, then `Listed` or `Failed`"],
        /// Open a file for reading. Any file already open is closed.
        0x403 Open [0] {
            ;
            /// Its folders and name, separated by `/`.
            path: &'a [u8] where len <= MAX_PATH_BYTES,
        } => ["`Opened` or `Failed`"],
        /// Read from the open file.
        0x404 Read [12] {
            /// Offset in bytes.
            offset: u64,
            /// Number of bytes, from 1 to [`MAX_TRANSFER_BYTES`].
            bytes: u32 where is_transfer_bytes,
        } => ["`Part`, shorter only at the end of the file; or `Failed`"],
        /// Close the open file.
        0x405 Close [0] => ["`Done`"],
        /// Find the audit log's file.
        0x406 OpenLog [0] => ["`LogOpened` or `Failed`"],
        /// Read sectors of the audit log's file.
        0x407 ReadLog [8] {
            /// The first sector, counted from the beginning of the file.
            slot: u32,
            /// Number of sectors, from 1 to [`MAX_TRANSFER_SECTORS`](crate::limits::MAX_TRANSFER_SECTORS).
            sectors: u32 where is_transfer,
        } => ["`LogSectors` or `Failed`"],
        /// Write sectors of the audit log's file.
        0x408 WriteLog [4] {
            /// The first sector, counted from the beginning of the file.
            slot: u32;
            /// Their contents: at least one whole sector.
            data: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["`Done` or `Failed`"],
        /// Make everything written to the audit log durable.
        0x409 FlushLog [0] => ["`Done` or `Failed`"],
        /// Begin a new file. An unfinished one is discarded.
        0x40A Create [0] {
            ;
            /// Its name once it is finished.
            path: &'a [u8] where len <= MAX_PATH_BYTES,
        } => ["`Done` or `Failed`"],
        /// Append to the new file.
        0x40B Append [8] {
            /// Current size of the new file.
            offset: u64;
            /// The bytes.
            bytes: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["`Done` or `Failed`"],
        /// Finish the new file: it takes its name, replacing any file that had it.
        0x40C Finish [0] => ["`Done` when it is durable, or `Failed`"],
    }
}

layout! {
    /// A file system.
    #[derive(Default)]
    pub struct Volume [36] {
        /// Size of its partition in bytes.
        pub bytes: u64,
        /// Free bytes.
        pub free: u64,
        /// Its first sector.
        pub first: u64,
        /// Bytes of a cluster.
        pub cluster: u32,
        /// FAT width: 12, 16 or 32.
        pub width: u16,
        /// 0: the whole disk, 1: MBR, 2: GPT.
        pub table: u16,
        /// Whether it is writable.
        pub writable: bool,
    }
}

messages! {
    /// Messages from files to audit. Untrusted.
    pub enum Answer<'a> ["audit believes it if", "else"] {
        /// The file system that was found.
        0x501 Mounted [36] (volume: Volume) => ["it has asked; for people alone", "breach"],
        /// A file in a list.
        0x502 File [8] {
            /// Its size in bytes.
            bytes: u64;
            /// Its folders and name in UTF-8, separated by `/`.
            path: &'a [u8] where len <= MAX_PATH_BYTES,
        } => ["it has asked for a list, and there were fewer than its limit", "breach"],
        /// A list is complete.
        0x503 Listed [8] {
            /// Number of files listed.
            count: u32,
            /// Number of files and folders whose path does not fit a message, or that cannot be read.
            skipped: u32,
        } => ["it has asked for a list, and `count` is what came", "breach"],
        /// The file is open.
        0x504 Opened [8] {
            /// Its size, which limits what audit reads of it.
            bytes: u64,
        } => ["it has asked", "breach"],
        /// Bytes of the open file.
        0x505 Part [8] {
            /// Offset in bytes.
            offset: u64;
            /// The bytes.
            bytes: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["they are where and as many as it has asked for; fewer end the load", "breach"],
        /// The operation succeeded.
        0x506 Done [0] => ["what was asked is answered so", "breach"],
        /// The audit log's file is contiguous.
        0x507 LogOpened [4] {
            /// Its sectors.
            sectors: u32,
        } => ["it has asked", "breach"],
        /// Sectors of the audit log's file.
        0x508 LogSectors [4] {
            /// The first sector.
            slot: u32;
            /// Their contents.
            data: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["they are where and as many as it has asked for", "breach"],
        /// The operation failed.
        0x509 Failed [12] {
            /// The reason.
            why: FilesError,
            /// The sector, size or number concerned, depending on `why`.
            value: u64,
        } => ["something was asked", "breach"],
    }
}

numbers! {
    /// Why files did not do what was asked.
    pub enum FilesError {
        /// There is no disk, or disk does not answer.
        NoDisk = 1,
        /// The disk has no readable file system; `value` is its number of sectors.
        NoFileSystem = 2,
        /// The file system is damaged; `value` is the place, if known.
        Damaged = 3,
        /// No such file.
        NotFound = 4,
        /// A folder instead of a file, or a file instead of a folder.
        WrongKind = 5,
        /// The path is invalid.
        BadPath = 6,
        /// The disk is full.
        Full = 7,
        /// The disk is read-only.
        ReadOnly = 8,
        /// The disk reports an error; `value` is the sector.
        Device = 9,
        /// The audit log's file is not contiguous.
        Scattered = 10,
        /// The audit log's file is not whole sectors, or has too many; `value` is its size in bytes.
        LogSize = 11,
        /// There are more files and folders than can be listed; `value` is the limit.
        TooMany = 12,
        /// Nothing suitable is mounted, open or begun.
        NotOpen = 13,
        /// An offset outside the file, or bytes that are not whole sectors; `value` is the offset.
        Range = 14,
        /// The file would be too large for the file system.
        TooLarge = 15,
        /// The file system does not support it.
        Unsupported = 16,
    }
}
