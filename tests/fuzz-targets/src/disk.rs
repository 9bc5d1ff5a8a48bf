//! Disks with arbitrary contents, for the crate `storage`.

use std::collections::HashMap;
use std::task::Poll;
use storage::blocks::{BlockError, Blocks, Ticket, check_range};
use storage::make::{Plan, make};
use storage::{
    Ground, ItemKind, MAX_ENTRIES, SECTOR, StorageError, Table, Volume, Walk, block_on, check,
};

/// Maximum number of sectors: enough for FAT32.
const MAX_SECTORS: u64 = 72_000;

/// Limit of the bytes read from a file.
const MAX_READ: u64 = 1 << 16;

/// A disk of zeros except for some sectors, so that inputs are small whatever its size.
#[derive(Clone, Debug, Default)]
pub struct Sparse {
    sectors: u64,
    written: HashMap<u64, [u8; SECTOR]>,
}

impl Sparse {
    /// Parses an input: the number of sectors (four bytes, little endian), then the number and the bytes of each
    /// nonzero sector.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let number = |bytes: &[u8]| {
            let mut number = [0; 8];
            number[..bytes.len()].copy_from_slice(bytes);
            u64::from_le_bytes(number)
        };
        let (sectors, rest) = bytes.split_at(bytes.len().min(4));
        let mut disk = Self {
            sectors: number(sectors).min(MAX_SECTORS),
            written: HashMap::new(),
        };
        for piece in rest.chunks(4 + SECTOR) {
            let (at, content) = piece.split_at(piece.len().min(4));
            let mut sector = [0; SECTOR];
            sector[..content.len()].copy_from_slice(content);
            disk.written.insert(number(at), sector);
        }
        disk
    }

    /// Encodes the disk; see [`Self::from_bytes`].
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = (self.sectors as u32).to_le_bytes().to_vec();
        let mut written: Vec<_> = self.written.iter().collect();
        written.sort();
        for (at, sector) in written {
            if sector.iter().any(|byte| *byte != 0) {
                bytes.extend((*at as u32).to_le_bytes());
                bytes.extend(sector);
            }
        }
        bytes
    }
}

impl Blocks for Sparse {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn writable(&self) -> bool {
        true
    }

    fn read(&mut self, _: &mut Ticket, first: u64, out: &mut [u8]) -> Poll<Result<(), BlockError>> {
        check_range(self.sectors, first, out.len())?;
        for (at, out) in (first..).zip(out.chunks_mut(SECTOR)) {
            match self.written.get(&at) {
                Some(sector) => out.copy_from_slice(sector),
                None => out.fill(0),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, _: &mut Ticket, first: u64, data: &[u8]) -> Poll<Result<(), BlockError>> {
        check_range(self.sectors, first, data.len())?;
        for (at, data) in (first..).zip(data.as_chunks().0) {
            self.written.insert(at, *data);
        }
        Poll::Ready(Ok(()))
    }

    fn flush(&mut self, _: &mut Ticket) -> Poll<Result<(), BlockError>> {
        Poll::Ready(Ok(()))
    }
}

/// Mounts the disk, reads everything, and writes to it.
pub fn disk(bytes: &[u8]) {
    let mut disk = Sparse::from_bytes(bytes);
    let _ = block_on(check(&mut disk, &mut [0; 1 << 14], |finding, _| {
        // Findings must be printable.
        let _ = finding.to_string();
    }));
    match block_on(read_and_write(&mut disk)) {
        Ok(files) => assert!(files <= MAX_ENTRIES),
        Err(error) => {
            let _ = error.to_string();
        }
    }
}

/// Like [`disk`]; returns the number of files.
///
/// # Errors
/// The disk cannot be mounted or read.
pub async fn read_and_write(disk: &mut Sparse) -> Result<usize, StorageError> {
    let sectors = disk.sectors;
    let mut ground = Ground::new();
    let mut volume = Volume::mount(disk, &mut ground).await?;
    let _ = volume.free_bytes().await;
    let mut walk = Walk::new();
    let mut paths = Vec::new();
    // Each unreadable folder counts as an entry.
    for _ in 0..2 * MAX_ENTRIES {
        match walk.next(&mut volume).await {
            Ok(Some(item)) => {
                if let ItemKind::File { bytes } = item.kind {
                    paths.push((item.path.to_owned(), bytes));
                }
            }
            Ok(None) => break,
            Err(_) => {}
        }
    }
    assert!(matches!(walk.next(&mut volume).await, Ok(None)));
    for (path, bytes) in &paths {
        if let Ok(extent) = volume.extent(path).await {
            let end = extent.first.checked_add(extent.sectors);
            assert!(end.is_some_and(|end| end <= sectors), "{path}: {extent:?}");
            assert!(extent.sectors > 0);
        }
        let Ok(file) = volume.open(path).await else {
            continue;
        };
        let mut part = [0; 700];
        let mut at = 0;
        while at < MAX_READ.min(*bytes) {
            match volume.read(&file, at, &mut part).await {
                Ok(0) | Err(_) => break,
                Ok(bytes) => at += bytes as u64,
            }
        }
        let _ = volume.close(file).await;
    }
    let _ = volume.make_folders("new/folder").await;
    if let Ok(mut file) = volume.create("new/folder/a long name.gguf").await {
        let _ = volume.append(&mut file, &[7; 3000]).await;
        let _ = volume.close(file).await;
    }
    if let Some((path, _)) = paths.first() {
        let _ = volume.rename("new/folder/a long name.gguf", path).await;
    }
    if let Some((path, _)) = paths.last() {
        let _ = volume.remove(path).await;
    }
    let _ = volume.sync().await;
    Ok(paths.len())
}

/// A valid disk for each width and each partition table.
///
/// # Panics
/// It cannot be made.
#[must_use]
pub fn seeds() -> Vec<(String, Sparse)> {
    let kinds = [
        ("fat12", 4096, Table::None),
        ("fat12-mbr", 4096, Table::Mbr),
        ("fat12-gpt", 4096, Table::Gpt),
        ("fat16-mbr", 40_000, Table::Mbr),
        ("fat16", 34_000, Table::None),
    ];
    let made = kinds.map(|(name, sectors, table)| {
        let mut disk = Sparse {
            sectors,
            written: HashMap::new(),
        };
        let plan = Plan {
            table,
            label: "SEED",
            seed: [3; 32],
        };
        block_on(async {
            make(&mut disk, &plan).await?;
            let mut ground = Ground::new();
            let mut volume = Volume::mount(&mut disk, &mut ground).await?;
            volume.make_folders("data").await?;
            for (path, bytes) in [
                ("TINY.GGU", 900),
                ("data/a long name of data.jsonl", 600),
                ("AUDIT.LOG", 1024),
            ] {
                let mut file = volume.create(path).await?;
                volume.append(&mut file, &vec![b'x'; bytes]).await?;
                volume.close(file).await?;
            }
            volume.sync().await
        })
        .unwrap_or_else(|error: StorageError| panic!("{name}: {error}"));
        (name.to_owned(), disk)
    });
    made.to_vec()
}
