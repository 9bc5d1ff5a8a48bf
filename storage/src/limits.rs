//! Limits of what one operation may cost, and names that this crate needs.

/// Sectors that one operation may read and write: 128 MiB. The largest file system's tables are this big, so only a
/// damaged one needs more.
pub const OPERATION_SECTORS: u64 = 1 << 18;

/// Files that can be open at the same time.
pub const OPEN_FILES: usize = 4;

/// Name of a file at the top of the disk until it is complete and renamed.
pub const UNFINISHED: &str = "UNFINISH.ED";

/// Longest path in bytes: one folder and a name of 255 characters, three bytes each.
pub const MAX_PATH_BYTES: usize = 1024;
