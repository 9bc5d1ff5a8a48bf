//! Between `files`, which knows the file system, and `disk`, which drives the device and knows only sectors.
//!
//! Disk answers each order once, with its number, in the order of arrival. It trusts only the shape of an order:
//! sectors outside the device are refused, and the device never gets an address from files. Files trusts nothing that
//! audit does not check.

use crate::encoding::codec::is_transfer;
use crate::encoding::{layout, messages, numbers};
use crate::limits::MAX_TRANSFER_BYTES;

messages! {
    /// Messages from files to disk.
    pub enum Order<'a> ["answered by"] {
        /// Describe the device.
        0x601 Describe [0] => ["`Described` or `Failed`"],
        /// Read sectors.
        0x602 Read [12] {
            /// The first sector.
            first: u64,
            /// Number of sectors, from 1 to [`MAX_TRANSFER_SECTORS`](crate::limits::MAX_TRANSFER_SECTORS).
            sectors: u32 where is_transfer,
        } => ["`Sectors` or `Failed`"],
        /// Write sectors.
        0x603 Write [8] {
            /// The first sector.
            first: u64;
            /// Their contents: at least one whole sector.
            data: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["`Done` or `Failed`; then a part may be written"],
        /// Make everything that `Done` has acknowledged so far durable.
        0x604 Flush [0] => ["`Done` or `Failed`"],
    }
}

layout! {
    /// A device.
    #[derive(Default)]
    pub struct Description [12] {
        /// Sectors of 512 bytes.
        pub sectors: u64,
        /// Whether it is writable.
        pub writable: bool,
    }
}

messages! {
    /// Messages from disk to files.
    pub enum Outcome<'a> ["files takes it if", "else"] {
        /// Properties of the device.
        0x701 Described [12] (description: Description) => ["it has asked", "dropped"],
        /// What was read.
        0x702 Sectors [8] {
            /// The first sector.
            first: u64;
            /// Their contents.
            data: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["it is what the order with the number asked for, as many bytes", "the order has failed"],
        /// The data are written, or durable.
        0x703 Done [0] => ["the order with the number was to write or to flush", "dropped"],
        /// The order failed.
        0x704 Failed [12] {
            /// The reason.
            why: DiskError,
            /// The first sector of the order; 0 if it had none.
            sector: u64,
        } => ["there is an order with the number", "dropped"],
    }
}

numbers! {
    /// Why disk did not carry out an order.
    pub enum DiskError {
        /// There is no device that it can drive.
        NoDevice = 1,
        /// The sectors do not exist, or the bytes are not whole sectors.
        Range = 2,
        /// The device reports an error.
        Device = 3,
        /// The device is read-only.
        ReadOnly = 4,
    }
}
