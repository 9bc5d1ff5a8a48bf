//! Creates a partition table and an empty file system.

extern crate alloc;

use crate::blocks::{Blocks, Device, SECTOR};
use crate::error::{Place, StorageError};
use crate::find::Table;
use core::cell::Cell;
use hadris_fat::{FatKind, FatOptions, VolumeLabel};
use hadris_fs::Guid;
use hadris_part::async_::create;
use hadris_part::gpt::types::BASIC_DATA;
use hadris_part::{DiskLayout, MbrType, PartitionSpec, Size};
use hadris_storage::Partition;

/// Parameters of a new disk.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'p> {
    /// How it is partitioned.
    pub table: Table,
    /// Label of the file system: up to 11 ASCII characters.
    pub label: &'p str,
    /// Seed of the disk and partition identifiers, so that no two disks share them.
    pub seed: [u8; 32],
}

/// The smallest disk that is made: its partition begins at 1 MiB.
pub const MIN_SECTORS: u64 = 4096;

/// Writes the partition table and the file system. Everything on the disk is lost. The FAT width depends on the size:
/// FAT12 below 16 MiB, FAT16 below 512 MiB, otherwise FAT32.
///
/// # Errors
/// The disk is too small, or cannot be written.
pub async fn make<B: Blocks>(blocks: &mut B, plan: &Plan<'_>) -> Result<(), StorageError> {
    let sectors = blocks.sectors();
    if sectors < MIN_SECTORS {
        return Err(StorageError::TooSmall { sectors });
    }
    let label = VolumeLabel::new(plan.label).map_err(|_| StorageError::BadLabel)?;
    let budget = Cell::new(u64::MAX);
    let mut device = Device::new(blocks, &budget, u64::MAX);
    let (first, length) = match plan.table {
        Table::None => (0, sectors),
        Table::Mbr => divide(&mut device, &mbr(sectors)).await?,
        Table::Gpt => divide(&mut device, &gpt(&plan.seed)).await?,
    };
    let sector = SECTOR as u64;
    let bytes = (first.saturating_mul(sector), length.saturating_mul(sector));
    let mut partition = Partition::new(device, bytes.0, bytes.1);
    let [a, b, c, d, ..] = plan.seed;
    let options = FatOptions::new()
        .with_label(label)
        .with_kind(width(length))
        .with_serial(u32::from_le_bytes([a, b, c, d]));
    hadris_fat::async_::format(&mut partition, &options).await?;
    Ok(())
}

async fn divide<B: Blocks>(
    device: &mut Device<'_, B>,
    layout: &DiskLayout,
) -> Result<(u64, u64), StorageError> {
    let disk = create(device, layout).await?;
    let partition = disk.partitions().next().ok_or(StorageError::Damaged {
        what: "the new table has no partition",
        place: Place::Unknown,
    })?;
    Ok((partition.start(), partition.len()))
}

/// The FAT width that every system expects for this size.
const fn width(sectors: u64) -> FatKind {
    match sectors {
        0..0x8000 => FatKind::Fat12,
        0x8000..0x10_0000 => FatKind::Fat16,
        _ => FatKind::Fat32,
    }
}

/// The partition type says the FAT width and, except for FAT12, that sectors are addressed by number (LBA).
fn mbr(sectors: u64) -> DiskLayout {
    let kind = match width(sectors.saturating_sub(2048)) {
        FatKind::Fat12 => MbrType::FAT12,
        FatKind::Fat16 => MbrType::FAT16_LBA,
        _ => MbrType::FAT32_LBA,
    };
    DiskLayout::mbr().partition(PartitionSpec::new(kind, Size::Remaining))
}

fn gpt(seed: &[u8; 32]) -> DiskLayout {
    let (disk, partition) = seed.split_at(16);
    let guid = |bytes: &[u8]| {
        let mut guid = [0; 16];
        guid.iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        // Version 4, variant 1, like random GUIDs.
        let [_, _, _, _, _, _, _, version, variant, ..] = &mut guid;
        *version = *version & 0x0f | 0x40;
        *variant = *variant & 0x3f | 0x80;
        Guid::from_bytes(guid)
    };
    DiskLayout::gpt(guid(disk)).partition(
        PartitionSpec::new(BASIC_DATA, Size::Remaining)
            .with_name("sel4-llm")
            .with_unique_guid(guid(partition)),
    )
}
