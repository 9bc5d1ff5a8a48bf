//! Between audit and `files`, which knows the file system of the disk.
//!
//! Audit asks, files answers with the number of what was asked. One thing is under way at a time; what is asked meanwhile
//! waits in the ring. Files is untrusted: it can give other bytes than the disk has, other ones the second time, or none.
//! So audit believes shapes, bounds and order, copies what it is given, and judges the copy alone.

use super::codec::{is_transfer, is_transfer_bytes};
use super::declare::{layout, messages, numbers};
use crate::limits::{MAX_PATH_BYTES, MAX_TRANSFER_BYTES};

messages! {
    /// From audit to files.
    pub enum Ask<'a> ["answered by"] {
        /// Find the file system of the disk, anew: the disk may be another.
        0x401 Mount [0] => ["`Mounted` or `Failed`"],
        /// List all files.
        0x402 List [0] => ["`File` …, then `Listed` or `Failed`"],
        /// Open a file to read it. The one that was open is closed.
        0x403 Open [0] {
            ;
            /// Its folders and its name, divided by `/`.
            path: &'a [u8] where len <= MAX_PATH_BYTES,
        } => ["`Opened` or `Failed`"],
        /// Read of the open file.
        0x404 Read [12] {
            /// From where on, in bytes.
            offset: u64,
            /// How many bytes, from 1 to [`MAX_TRANSFER_BYTES`].
            bytes: u32 where is_transfer_bytes,
        } => ["`Part`, shorter only at the end of the file; or `Failed`"],
        /// Close the open file.
        0x405 Close [0] => ["`Done`"],
        /// Find the file of the audit log.
        0x406 OpenLog [0] => ["`LogOpened` or `Failed`"],
        /// Read sectors of the audit log's file.
        0x407 ReadLog [8] {
            /// The first, from the beginning of the file.
            slot: u32,
            /// How many, from 1 to [`MAX_TRANSFER_SECTORS`](crate::limits::MAX_TRANSFER_SECTORS).
            sectors: u32 where is_transfer,
        } => ["`LogSectors` or `Failed`"],
        /// Write sectors of the audit log's file.
        0x408 WriteLog [4] {
            /// The first, from the beginning of the file.
            slot: u32;
            /// Their bytes: whole sectors, one at least.
            data: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["`Done` or `Failed`"],
        /// Make durable what was written to the audit log.
        0x409 FlushLog [0] => ["`Done` or `Failed`"],
        /// Begin a file. One that was begun and not finished goes.
        0x40A Create [0] {
            ;
            /// What it will be called when it is finished.
            path: &'a [u8] where len <= MAX_PATH_BYTES,
        } => ["`Done` or `Failed`"],
        /// Write at the end of the file that was begun.
        0x40B Append [8] {
            /// Where that is: what was written so far.
            offset: u64;
            /// The bytes.
            bytes: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["`Done` or `Failed`"],
        /// Finish the file that was begun: it takes its name, and the file that had it goes.
        0x40C Finish [0] => ["`Done` when it is durable, or `Failed`"],
    }
}

layout! {
    /// A file system.
    #[derive(Default)]
    pub struct Volume [36] {
        /// Bytes of its partition.
        pub bytes: u64,
        /// Bytes that are free.
        pub free: u64,
        /// Its first sector.
        pub first: u64,
        /// Bytes of a cluster.
        pub cluster: u32,
        /// Bits of an entry in its table: 12, 16 or 32.
        pub width: u16,
        /// 0: the whole disk, 1: MBR, 2: GPT.
        pub table: u16,
        /// Whether it can be written.
        pub writable: bool,
    }
}

messages! {
    /// From files to audit. Untrusted.
    pub enum Answer<'a> ["audit believes it if", "else"] {
        /// The file system that was found.
        0x501 Mounted [36] (volume: Volume) => ["it has asked; for people alone", "breach"],
        /// A file of a list.
        0x502 File [8] {
            /// Its size.
            bytes: u64;
            /// Its folders and its name, divided by `/`: UTF-8.
            path: &'a [u8] where len <= MAX_PATH_BYTES,
        } => ["it has asked for a list, and there were fewer than its limit", "breach"],
        /// A list is complete.
        0x503 Listed [8] {
            /// Files that were listed.
            count: u32,
            /// Files and folders that are there and have no path that fits a message, or cannot be read.
            skipped: u32,
        } => ["it has asked for a list, and `count` is what came", "breach"],
        /// The file is open.
        0x504 Opened [8] {
            /// Its size, which bounds what audit reads of it.
            bytes: u64,
        } => ["it has asked", "breach"],
        /// Bytes of the open file.
        0x505 Part [8] {
            /// From where on.
            offset: u64;
            /// The bytes.
            bytes: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["they are where and as many as it has asked for; fewer end the load", "breach"],
        /// It was done.
        0x506 Done [0] => ["what was asked is answered so", "breach"],
        /// The audit log's file lies in one piece.
        0x507 LogOpened [4] {
            /// Its sectors.
            sectors: u32,
        } => ["it has asked", "breach"],
        /// Sectors of the audit log's file.
        0x508 LogSectors [4] {
            /// The first.
            slot: u32;
            /// Their bytes.
            data: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["they are where and as many as it has asked for", "breach"],
        /// It cannot be done.
        0x509 Failed [12] {
            /// Why.
            why: FilesError,
            /// What it is about: a sector, a size or a number, as `why` says.
            value: u64,
        } => ["something was asked", "breach"],
    }
}

numbers! {
    /// Why files has not done it.
    pub enum FilesError {
        /// There is no disk, or disk says nothing of it.
        NoDisk = 1,
        /// The disk has no file system that can be read; `value`: its sectors.
        NoFileSystem = 2,
        /// The file system is damaged; `value`: where, if that is known.
        Damaged = 3,
        /// No such file.
        NotFound = 4,
        /// A folder where a file is wanted, or a file where a folder is.
        WrongKind = 5,
        /// A path that no file can have.
        BadPath = 6,
        /// No room on the disk.
        Full = 7,
        /// The disk cannot be written.
        ReadOnly = 8,
        /// The disk reports an error; `value`: the sector.
        Device = 9,
        /// The audit log's file lies in several pieces.
        Scattered = 10,
        /// The audit log's file has no whole sectors, or too many; `value`: its bytes.
        LogSize = 11,
        /// More files and folders than are listed; `value`: the limit.
        TooMany = 12,
        /// Nothing is mounted, open or begun that it could be about.
        NotOpen = 13,
        /// A place outside of the file, or bytes that are no whole sectors; `value`: the place.
        Range = 14,
        /// The file would be too large for the file system.
        TooLarge = 15,
        /// The file system cannot do it.
        Unsupported = 16,
    }
}
