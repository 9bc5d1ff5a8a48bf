//! Limits of what one operation may cost, and names that this crate needs.

/// Sectors that one operation may read and write: 128 MiB, the size of a FAT for 2 TiB in clusters of 64 KiB. Without a
/// limit, an operation on a damaged file system might never end.
pub const OPERATION_SECTORS: u64 = 1 << 18;

/// Files that can be open at the same time.
pub const OPEN_FILES: usize = 4;

/// Name of a file at the top of the disk until it is complete and renamed.
pub const UNFINISHED: &str = "UNFINISH.ED";

/// Longest path in bytes. A name alone may have 765: 255 characters of up to three bytes each.
pub const MAX_PATH_BYTES: usize = 1024;
