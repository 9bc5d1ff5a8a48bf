//! Between `files`, which knows the file system, and `disk`, which drives the device and knows sectors alone.
//!
//! Disk answers each order once, with its number, in the order of their coming. It believes nothing of them but their shape:
//! sectors outside the device are refused, and the device never sees an address that files has named. Files believes
//! nothing that audit will not check.

use super::codec::is_transfer;
use super::declare::{layout, messages, numbers};
use crate::limits::MAX_TRANSFER_BYTES;

messages! {
    /// From files to disk.
    pub enum Order<'a> ["answered by"] {
        /// Tell what the device is.
        0x601 Describe [0] => ["`Described` or `Failed`"],
        /// Read sectors.
        0x602 Read [12] {
            /// The first.
            first: u64,
            /// How many, from 1 to [`MAX_TRANSFER_SECTORS`](crate::limits::MAX_TRANSFER_SECTORS).
            sectors: u32 where is_transfer,
        } => ["`Sectors` or `Failed`"],
        /// Write sectors.
        0x603 Write [8] {
            /// The first.
            first: u64;
            /// Their bytes: whole sectors, one at least.
            data: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["`Done` or `Failed`; then a part may be written"],
        /// Make durable all that `Done` has answered so far.
        0x604 Flush [0] => ["`Done` or `Failed`"],
    }
}

layout! {
    /// A device.
    #[derive(Default)]
    pub struct Description [12] {
        /// Sectors of 512 bytes.
        pub sectors: u64,
        /// Whether it can be written.
        pub writable: bool,
    }
}

messages! {
    /// From disk to files.
    pub enum Outcome<'a> ["files takes it if", "else"] {
        /// What the device is.
        0x701 Described [12] (description: Description) => ["it has asked", "dropped"],
        /// What was read.
        0x702 Sectors [8] {
            /// The first.
            first: u64;
            /// Their bytes.
            data: &'a [u8] where len <= MAX_TRANSFER_BYTES,
        } => ["it is what the order with the number asked for, as many bytes", "the order has failed"],
        /// It was written, or is durable.
        0x703 Done [0] => ["the order with the number was to write or to flush", "dropped"],
        /// It was not done.
        0x704 Failed [12] {
            /// Why.
            why: DiskError,
            /// The first sector of the order; 0 if it had none.
            sector: u64,
        } => ["there is an order with the number", "dropped"],
    }
}

numbers! {
    /// Why disk has not done it.
    pub enum DiskError {
        /// There is no device, or none that it can drive.
        NoDevice = 1,
        /// Sectors that the device does not have, or bytes that are no whole sectors.
        Range = 2,
        /// The device reports an error.
        Device = 3,
        /// The device cannot be written.
        ReadOnly = 4,
    }
}
