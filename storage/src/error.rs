//! What can be wrong with a disk.

use crate::blocks::BlockError;
use hadris_io::{Error as FsError, ErrorKind, Location};
use thiserror::Error;

/// Where on the disk something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It is not known.
    Unknown,
    /// A byte of the partition.
    Byte(u64),
    /// A sector of the partition.
    Sector(u64),
    /// A cluster of the file system.
    Cluster(u64),
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Byte(at) => write!(f, " (byte {at} of the partition)"),
            Self::Sector(at) => write!(f, " (sector {at} of the partition)"),
            Self::Cluster(at) => write!(f, " (cluster {at})"),
        }
    }
}

/// Why something on a disk cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StorageError {
    /// Nothing that could hold a file system.
    #[error(
        "the disk has {sectors} sectors, which is too few for a file system; make one of at least 1 MiB"
    )]
    TooSmall {
        /// Sectors of the disk.
        sectors: u64,
    },
    /// Neither a file system nor a partition with one.
    #[error(
        "the disk has no FAT file system, neither in a partition nor on the whole disk; make one with 'llmtool disk create'"
    )]
    NoFileSystem,
    /// A structure on the disk is wrong.
    #[error("the file system is damaged: {what}{place}; check it with 'llmtool disk check'")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where.
        place: Place,
    },
    /// No file or folder of the name.
    #[error("there is no such file on the disk")]
    NotFound,
    /// A folder where a file was asked for.
    #[error("this is a folder, not a file")]
    IsFolder,
    /// A file where a folder was asked for.
    #[error("this is a file, not a folder")]
    IsFile,
    /// A name is there already.
    #[error("a file of this name is there already")]
    Exists,
    /// A name that a FAT file system cannot have, or one that leads out of its folder.
    #[error(
        "this name cannot be on the disk: 1 to 255 characters, no control characters, none of \"*:<>?\\|, no '.' or ' ' \
         at the end"
    )]
    BadName,
    /// No room.
    #[error("the disk is full")]
    Full,
    /// More than a FAT file holds.
    #[error("the file would be larger than 4 GiB")]
    FileTooLarge,
    /// The disk or its file system cannot be written.
    #[error("the disk is write-protected")]
    ReadOnly,
    /// Sectors cannot be had.
    #[error(transparent)]
    Disk(#[from] BlockError),
    /// A limit of this crate.
    #[error("the disk has more than {limit} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The most.
        limit: usize,
    },
    /// A file whose sectors do not follow one another.
    #[error(
        "the file lies in several pieces, but must lie in one; copy it onto a disk that has enough room in a row"
    )]
    Scattered,
    /// A file that must have whole sectors.
    #[error("the file has {bytes} bytes, but needs a multiple of 512 above zero")]
    Uneven {
        /// Its size.
        bytes: u64,
    },
    /// Something that is not done.
    #[error("this cannot be done: {0}")]
    Unsupported(&'static str),
}

impl From<FsError<BlockError>> for StorageError {
    fn from(error: FsError<BlockError>) -> Self {
        match (error.kind(), error.device_error()) {
            (ErrorKind::ReadOnly, _) => Self::ReadOnly,
            // A chain or table that points outside the disk is the table's fault.
            (_, Some(BlockError::Range { sector, .. })) => Self::Damaged {
                what: "it points outside of the disk",
                place: Place::Sector(*sector),
            },
            (_, Some(device)) => Self::Disk(*device),
            (ErrorKind::NotFound, None) => Self::NotFound,
            (ErrorKind::AlreadyExists, None) => Self::Exists,
            (ErrorKind::NotADirectory, None) => Self::IsFile,
            (ErrorKind::IsADirectory, None) => Self::IsFolder,
            (ErrorKind::NoSpace, None) => Self::Full,
            (ErrorKind::FileTooLarge, None) => Self::FileTooLarge,
            (ErrorKind::InvalidInput | ErrorKind::NameTooLong, None) => Self::BadName,
            (ErrorKind::NotRecognized, None) => Self::NoFileSystem,
            (ErrorKind::LimitExceeded, None) => Self::TooMany {
                what: "open files",
                limit: crate::volume::OPEN_FILES,
            },
            (ErrorKind::Unsupported | ErrorKind::Busy, None) => Self::Unsupported(error.message()),
            (_, None) => Self::Damaged {
                what: error.message(),
                place: place(&error),
            },
        }
    }
}

fn place(error: &FsError<BlockError>) -> Place {
    match error.location() {
        Some(Location::Byte(at)) => Place::Byte(at),
        Some(Location::Block(at)) => Place::Sector(at),
        Some(Location::Cluster(at)) => Place::Cluster(at),
        _ => Place::Unknown,
    }
}
