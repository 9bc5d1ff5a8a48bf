//! Locates the file system on a disk.

use crate::blocks::{BlockError, Blocks, Device, SECTOR};
use crate::error::StorageError;
use crate::limits::OPERATION_SECTORS;
use core::cell::Cell;
use core::ops::ControlFlow;
use hadris_fat_raw::Detail;
use hadris_fat_raw::io::BlockBuf;
use hadris_fat_raw::io::async_::{read_bytes, read_geometry};
use hadris_io::{Error as FsError, ErrorKind};
use hadris_part::TableKind;
use hadris_part::async_::scan;
use hadris_storage::Partition;
use hadris_storage::async_::BlockDevice;

/// Partitions that are examined; a card has one or two.
const MAX_PARTITIONS: usize = 16;

/// How a disk is partitioned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Not partitioned: the file system fills the disk.
    None,
    /// By a master boot record.
    Mbr,
    /// By a GUID partition table.
    Gpt,
}

/// Location of the file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// How the disk is partitioned.
    pub table: Table,
    /// First sector of the file system.
    pub first: u64,
    /// Sectors of its partition.
    pub sectors: u64,
}

impl Found {
    /// The offset of its first byte, and its size in bytes.
    pub(crate) const fn bytes(&self) -> (u64, u64) {
        let sector = SECTOR as u64;
        // `find` has checked that the partition lies on the disk, so the byte counts fit in 64 bits.
        (
            self.first.saturating_mul(sector),
            self.sectors.saturating_mul(sector),
        )
    }
}

/// Finds the first FAT file system: on the whole disk, otherwise in the partitions in order.
///
/// # Errors
/// There is no file system, or the disk failed. If a partition holds something that resembles one, the error says what
/// is wrong with it.
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
    let (table, broken) = match kind {
        Ok(TableKind::Mbr) => (Table::Mbr, None),
        Ok(_) => (Table::Gpt, None),
        Err(error) if is_fatal(&error) => return Err(error.into()),
        // The partitions found so far are usable: a scan reads the MBR's own four before the chain of logical partitions.
        Err(error) => (Table::Mbr, Some(error)),
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
    Err(match broken {
        Some(error) => wrong.or(&error),
        None => wrong.error(),
    })
}

/// The result of probing one place for a file system.
#[derive(Clone, Copy)]
enum Wrong {
    /// Nothing that resembles one.
    Nothing,
    /// A damaged one.
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

    /// The damage found in a file system, otherwise the error of the partition table.
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

/// Whether the disk failed, rather than its contents being wrong.
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
    match read_geometry(&mut partition, &mut block).await {
        Ok(_) => Ok(()),
        Err(error) if error.device_error().is_some() => Err(error),
        Err(error) => {
            let mut name = [0; 8];
            read_bytes(&mut partition, &mut block, 3, &mut name).await?;
            // The boot sector of NTFS looks like that of a damaged FAT.
            Err(match &name {
                b"NTFS    " => ErrorKind::NotRecognized.into(),
                _ => error,
            })
        }
    }
}

/// What writing to the disk would do to other files, given a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Harm {
    /// Nothing: the file system is marked because a write was cut off, which harms no file by itself.
    Mark,
    /// Nothing: the finding is about one file, or about lost space.
    Contained,
    /// The tables contradict each other, so a new file could take the clusters of another.
    WritesSpoil,
}

impl Harm {
    fn of(finding: &hadris_fs::Finding<'_>) -> Self {
        match Detail::from_code(finding.detail()) {
            Some(
                Detail::InvalidCluster
                | Detail::BrokenChain
                | Detail::CyclicChain
                | Detail::CrossLink,
            ) => Self::WritesSpoil,
            Some(Detail::Dirty) => Self::Mark,
            _ => Self::Contained,
        }
    }
}

/// Checks the whole file system, passes each finding to `each` as a line, with what writing would do, and returns the number
/// of findings.
///
/// `scratch` needs at least 1,536 bytes. More makes the check faster: one bit per cluster saves a second pass.
///
/// # Errors
/// There is no file system, or the disk failed.
pub async fn check<B: Blocks>(
    blocks: &mut B,
    scratch: &mut [u8],
    mut each: impl FnMut(&dyn core::fmt::Display, Harm),
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
        each(finding, Harm::of(finding));
    })
    .await?;
    Ok(findings)
}
