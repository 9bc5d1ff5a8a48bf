//! Errors of disks and file systems.

use crate::blocks::BlockError;
use hadris_io::{Error as FsError, ErrorKind, Location};
use thiserror::Error;

/// Where on the disk the error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Unknown.
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

/// Why a disk operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StorageError {
    /// The disk is too small for a file system.
    #[error(
        "the disk has {sectors} sectors, which is too few for a file system; make one of at least 2 MiB"
    )]
    TooSmall {
        /// Sectors of the disk.
        sectors: u64,
    },
    /// There is no file system, neither on the whole disk nor in a partition.
    #[error(
        "the disk has no FAT file system, neither in a partition nor on the whole disk (others, such as exFAT and NTFS, \
         are not read); format it as FAT32, or make an image with 'llmtool disk create'"
    )]
    NoFileSystem,
    /// A structure on the disk is wrong.
    #[error("the file system is damaged: {what}{place}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where.
        place: Place,
    },
    /// There is no file or folder of this name.
    #[error("there is no such file on the disk")]
    NotFound,
    /// The path is a folder, but a file was needed.
    #[error("this is a folder, not a file")]
    IsFolder,
    /// The path is a file, but a folder was needed.
    #[error("this is a file, not a folder")]
    IsFile,
    /// The name exists already.
    #[error("a file with this name already exists")]
    Exists,
    /// A name that FAT does not allow, or one that leads out of its folder.
    #[error(
        "this name cannot be on the disk: 1 to 255 characters, no control characters, none of \"*:<>?\\|, no '.' or ' ' \
         at the end"
    )]
    BadName,
    /// A label that a FAT file system cannot have.
    #[error(
        "invalid label: use 1 to 11 ASCII letters, digits and blanks, none of \"*+,./:;<=>?[\\]|"
    )]
    BadLabel,
    /// The disk is full, or a folder is full and cannot grow.
    #[error("the disk is full")]
    Full,
    /// The file would exceed the largest size of a FAT file.
    #[error("the file would be larger than 4 GiB")]
    FileTooLarge,
    /// The disk or its file system is read-only.
    #[error("the disk is write-protected")]
    ReadOnly,
    /// Sectors could not be read or written.
    #[error(transparent)]
    Disk(#[from] BlockError),
    /// The disk exceeds a limit of this crate.
    #[error("the disk has more than {limit} {what}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// The sectors of the file are not contiguous.
    #[error(
        "the file is in several pieces, but must be contiguous; copy it to a disk with enough contiguous space"
    )]
    Scattered,
    /// The file must consist of whole sectors.
    #[error("the file has {bytes} bytes, but needs a multiple of 512 above zero")]
    Uneven {
        /// Its size in bytes.
        bytes: u64,
    },
    /// The operation is not supported.
    #[error("this cannot be done: {0}")]
    Unsupported(&'static str),
}

impl From<FsError<BlockError>> for StorageError {
    fn from(error: FsError<BlockError>) -> Self {
        match (error.kind(), error.device_error()) {
            (ErrorKind::ReadOnly, _) => Self::ReadOnly,
            // If a chain or table points outside the disk, the table is damaged.
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
                limit: crate::limits::OPEN_FILES,
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
