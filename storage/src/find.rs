//! Where on a disk the file system lies.

use crate::blocks::{BlockError, Blocks, Device, SECTOR};
use crate::error::StorageError;
use crate::volume::OPERATION_SECTORS;
use core::cell::Cell;
use core::ops::ControlFlow;
use hadris_fat_raw::io::BlockBuf;
use hadris_fat_raw::io::async_::read_geometry;
use hadris_io::{Error as FsError, ErrorKind};
use hadris_part::TableKind;
use hadris_part::async_::scan;
use hadris_storage::Partition;
use hadris_storage::async_::BlockDevice;

/// Partitions that are looked into; those of a card are one or two.
const MAX_PARTITIONS: usize = 16;

/// How a disk is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Not at all: the file system is the disk.
    None,
    /// By a master boot record.
    Mbr,
    /// By a GUID partition table.
    Gpt,
}

/// Where the file system lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How the disk is divided.
    pub table: Table,
    /// The first sector of the file system.
    pub first: u64,
    /// Sectors of its partition.
    pub sectors: u64,
}

impl Found {
    /// Its first byte and its bytes.
    pub(crate) const fn bytes(&self) -> (u64, u64) {
        let sector = SECTOR as u64;
        // `find` checks that the partition lies on the disk, whose bytes a 64-bit number counts.
        (
            self.first.saturating_mul(sector),
            self.sectors.saturating_mul(sector),
        )
    }
}

/// Finds the first FAT file system: on the whole disk, else in the partitions in their order.
///
/// # Errors
/// There is none, or the disk fails. If the partitions hold something that looks like one, the error says what is wrong
/// with that.
pub async fn find<B: Blocks>(blocks: &mut B) -> Result<Found, StorageError> {
    let budget = Cell::new(OPERATION_SECTORS);
    let mut device = Device::new(blocks, &budget, OPERATION_SECTORS);
    let sectors = device.blocks.sectors();
    if sectors == 0 {
        return Err(StorageError::TooSmall { sectors });
    }
    let whole = Found {
        table: Table::None,
        first: 0,
        sectors,
    };
    let mut wrong = match probe(&mut device, whole).await {
        Ok(()) => return Ok(whole),
        Err(error) if is_fatal(&error) => return Err(error.into()),
        Err(error) => Wrong::new(&error),
    };
    let mut partitions = heapless::Vec::<(u64, u64), MAX_PARTITIONS>::new();
    let kind = scan(&mut device, |partition| {
        match partitions.push((partition.start(), partition.len())) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })
    .await;
    let table = match kind {
        Ok(TableKind::Mbr) => Table::Mbr,
        Ok(_) => Table::Gpt,
        Err(error) if is_fatal(&error) => return Err(error.into()),
        Err(error) => return Err(wrong.or(&error)),
    };
    for (first, length) in partitions {
        let found = Found {
            table,
            first,
            sectors: length,
        };
        let inside = first.checked_add(length).is_some_and(|end| end <= sectors);
        if !inside {
            let error = FsError::new(ErrorKind::Corrupt, "a partition ends behind the disk");
            wrong = Wrong::Damaged(error.into());
            continue;
        }
        match probe(&mut device, found).await {
            Ok(()) => return Ok(found),
            Err(error) if is_fatal(&error) => return Err(error.into()),
            Err(error) => wrong = wrong.and(Wrong::new(&error)),
        }
    }
    Err(wrong.error())
}

/// What was found where a file system could be.
#[derive(Clone, Copy)]
enum Wrong {
    /// Nothing like one.
    Nothing,
    /// Something like one.
    Damaged(StorageError),
}

impl Wrong {
    fn new(error: &FsError<BlockError>) -> Self {
        match error.kind() {
            ErrorKind::NotRecognized => Self::Nothing,
            _ => Self::Damaged(error.clone().into()),
        }
    }

    fn and(self, other: Self) -> Self {
        match self {
            Self::Nothing => other,
            Self::Damaged(_) => self,
        }
    }

    /// The table is wrong, too.
    fn or(self, table: &FsError<BlockError>) -> StorageError {
        match self {
            Self::Damaged(error) => error,
            Self::Nothing => Self::new(table).error(),
        }
    }

    const fn error(self) -> StorageError {
        match self {
            Self::Nothing => StorageError::NoFileSystem,
            Self::Damaged(error) => error,
        }
    }
}

/// Whether it is the disk that fails, not what is on it.
fn is_fatal(error: &FsError<BlockError>) -> bool {
    !matches!(
        error.device_error(),
        None | Some(BlockError::Range { .. } | BlockError::Budget { .. })
    )
}

async fn probe<D: BlockDevice<Error = BlockError>>(
    device: &mut D,
    found: Found,
) -> Result<(), FsError<BlockError>> {
    let (offset, bytes) = found.bytes();
    let mut partition = Partition::new(device, offset, bytes);
    let mut block = BlockBuf::<[u8; SECTOR]>::new(SECTOR).ok_or(ErrorKind::Unsupported)?;
    if found.sectors == 0 {
        return Err(ErrorKind::NotRecognized.into());
    }
    read_geometry(&mut partition, &mut block).await?;
    Ok(())
}

/// Looks through the file system and tells `each` in a line what is wrong; how many findings there were.
///
/// `scratch` needs 1,536 bytes, and more makes it faster: a bit for each cluster spares a second pass.
///
/// # Errors
/// There is no file system, or the disk fails.
pub async fn check<B: Blocks>(
    blocks: &mut B,
    scratch: &mut [u8],
    mut each: impl FnMut(&dyn core::fmt::Display),
) -> Result<u64, StorageError> {
    let found = find(blocks).await?;
    let (offset, bytes) = found.bytes();
    // Each pass reads all tables and folders.
    let limit = found.sectors.saturating_mul(64).max(OPERATION_SECTORS);
    let budget = Cell::new(limit);
    let mut partition = Partition::new(Device::new(blocks, &budget, limit), offset, bytes);
    let mut findings = 0u64;
    hadris_fat::async_::check(&mut partition, scratch, |finding| {
        findings = findings.saturating_add(1);
        each(finding);
    })
    .await?;
    Ok(findings)
}
