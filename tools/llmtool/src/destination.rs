//! Where the files of a command go, and how long their names may be there.

use protocol::limits::MAX_NAME_BYTES;
use protocol::on_disk;

/// Where the files of a command go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// The model store.
    Store,
    /// A disk. The prefix of its files takes up part of the name that a request can have.
    Disk,
}

impl Destination {
    /// Longest name of a file there, in bytes.
    #[must_use]
    pub const fn max_name_bytes(self) -> usize {
        match self {
            Self::Store => MAX_NAME_BYTES,
            Self::Disk => on_disk::MAX_NAME_BYTES,
        }
    }
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Store => "the store",
            Self::Disk => "a disk",
        })
    }
}
