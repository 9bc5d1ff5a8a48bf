//! A FAT file system and its files.

use crate::blocks::{Blocks, Device, SECTOR};
use crate::error::StorageError;
use crate::find::{Found, find};
use crate::limits::{MAX_PATH_BYTES, OPEN_FILES, OPERATION_SECTORS};
use core::cell::Cell;
use hadris_fat::embedded::async_::Fat;
use hadris_fat::embedded::{Dir, File, MountToken, Options};
pub use hadris_fat_raw::FatKind;
use hadris_fat_raw::short_name;
use hadris_fs::{Extent as Run, OpenOptions, SeekFrom};
use hadris_storage::Partition;

/// State that a mounted volume borrows. It outlives the volume, and serves one volume at a time.
#[derive(Debug, Default)]
pub struct Ground {
    token: MountToken,
    budget: Cell<u64>,
}

impl Ground {
    /// Creates the state for one volume.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            token: MountToken::new(),
            budget: Cell::new(0),
        }
    }
}

/// Properties of a file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// Its location on the disk.
    pub found: Found,
    /// FAT width.
    pub kind: FatKind,
    /// Bytes per cluster.
    pub cluster_bytes: u32,
    /// Whether it is writable.
    pub writable: bool,
    /// Whether it was not unmounted cleanly after the last write.
    pub was_dirty: bool,
}

/// A contiguous run of sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first sector, counted from the beginning of the disk.
    pub first: u64,
    /// Number of sectors.
    pub sectors: u64,
}

/// An open file.
#[derive(Debug)]
pub struct OpenFile<'g> {
    file: File<'g>,
    bytes: u64,
}

impl OpenFile<'_> {
    /// Its size in bytes when it was opened.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// A FAT file system.
///
/// It caches a sector, so what is written directly to the sectors of a file must not be read through it.
#[derive(Debug)]
pub struct Volume<'g, B: Blocks> {
    pub(crate) fat: Fat<'g, Partition<Device<'g, B>>, OPEN_FILES>,
    budget: &'g Cell<u64>,
    found: Found,
}

impl<'g, B: Blocks> Volume<'g, B> {
    /// Finds and mounts the file system of a disk, read-only if the disk is read-only.
    ///
    /// # Errors
    /// There is no file system, it is damaged, or the disk failed.
    pub async fn mount(mut blocks: B, ground: &'g mut Ground) -> Result<Self, StorageError> {
        let Ground { token, budget } = ground;
        let budget = &*budget;
        budget.set(OPERATION_SECTORS);
        let found = find(&mut blocks).await?;
        let (offset, bytes) = found.bytes();
        let device = Device::new(blocks, budget, OPERATION_SECTORS);
        let partition = Partition::new(device, offset, bytes);
        let fat = Fat::mount_with(partition, token, Options::new()).await;
        Ok(Self {
            fat: fat.map_err(hadris_fs::MountError::into_error)?,
            budget,
            found,
        })
    }

    /// Properties of the file system.
    #[must_use]
    pub fn info(&self) -> Info {
        let geometry = self.fat.info();
        Info {
            found: self.found,
            kind: geometry.kind(),
            cluster_bytes: geometry.cluster_size(),
            writable: !self.fat.is_read_only(),
            was_dirty: self.fat.was_dirty(),
        }
    }

    /// Free bytes.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn free_bytes(&mut self) -> Result<u64, StorageError> {
        self.begin();
        let stats = self.fat.stats().await?;
        let cluster = u64::from(self.fat.info().cluster_size());
        Ok(stats.free_blocks().saturating_mul(cluster))
    }

    /// Resets the sector budget for a new operation.
    pub(crate) fn begin(&self) {
        self.budget.set(OPERATION_SECTORS);
    }

    /// The folder of a path, and the last name in it.
    async fn parent<'p>(&mut self, path: &'p str) -> Result<(Dir, &'p str), StorageError> {
        self.begin();
        if path.len() > MAX_PATH_BYTES {
            return Err(StorageError::BadName);
        }
        let mut folder = self.fat.root();
        let mut rest = path;
        while let Some((name, inner)) = rest.split_once('/') {
            check_name(name)?;
            folder = self.fat.open_dir(folder, name).await?;
            rest = inner;
        }
        check_name(rest)?;
        Ok((folder, rest))
    }

    /// Opens a file for reading. `path` consists of folders and a name, separated by `/`. ASCII case is ignored.
    ///
    /// # Errors
    /// There is no such file, or too many are open.
    pub async fn open(&mut self, path: &str) -> Result<OpenFile<'g>, StorageError> {
        let (folder, name) = self.parent(path).await?;
        self.open_as(folder, name, OpenOptions::new().read()).await
    }

    async fn open_as(
        &mut self,
        folder: Dir,
        name: &str,
        options: OpenOptions,
    ) -> Result<OpenFile<'g>, StorageError> {
        let file = self.fat.open(folder, name, options).await?;
        match self.fat.stat(&file).await {
            Ok(stat) => Ok(OpenFile {
                file,
                bytes: stat.len(),
            }),
            Err(error) => {
                self.fat.close(file).await?;
                Err(error.into())
            }
        }
    }

    /// Reads from `offset` and returns the number of bytes read, less than the length of `out` only at the end of the
    /// file.
    ///
    /// # Errors
    /// The file system is damaged, or the disk failed.
    pub async fn read(
        &mut self,
        file: &OpenFile<'g>,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, StorageError> {
        self.begin();
        if offset >= file.bytes {
            return Ok(0);
        }
        self.fat.seek(&file.file, SeekFrom::Start(offset))?;
        let mut done = 0usize;
        while let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.fat.read(&file.file, rest).await? {
                0 => break,
                bytes => done = done.saturating_add(bytes),
            }
        }
        Ok(done)
    }

    /// Closes a file. The new size of a written file is recorded only here.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn close(&mut self, file: OpenFile<'g>) -> Result<(), StorageError> {
        self.begin();
        Ok(self.fat.close(file.file).await?)
    }

    /// The sectors of a file, if it is contiguous and consists of whole sectors.
    ///
    /// # Errors
    /// The file is fragmented, is not a multiple of a sector, or does not exist; or the file system is damaged.
    pub async fn extent(&mut self, path: &str) -> Result<Extent, StorageError> {
        let file = self.open(path).await?;
        let extent = self.extent_of(&file).await;
        self.close(file).await?;
        extent
    }

    async fn extent_of(&mut self, file: &OpenFile<'g>) -> Result<Extent, StorageError> {
        const BYTES: u64 = SECTOR as u64;
        self.begin();
        let bytes = file.bytes;
        if bytes == 0 || !bytes.is_multiple_of(BYTES) {
            return Err(StorageError::Uneven { bytes });
        }
        let mut runs = [Run::new(0, 0); 2];
        let count = self.fat.extents(&file.file, 0, &mut runs).await?;
        let [run, _] = runs;
        if count != 1 || run.len() < bytes {
            return Err(StorageError::Scattered);
        }
        let first = self.found.first.checked_add(run.offset() / BYTES);
        Ok(Extent {
            first: first.ok_or(StorageError::Scattered)?,
            sectors: bytes / BYTES,
        })
    }

    /// Creates a file for writing. The name must be new.
    ///
    /// # Errors
    /// The file exists, its folder does not, or the disk is full or read-only.
    pub async fn create(&mut self, path: &str) -> Result<OpenFile<'g>, StorageError> {
        let (folder, name) = self.parent(path).await?;
        let options = OpenOptions::new().read().write().create_new();
        self.open_as(folder, name, options).await
    }

    /// Appends to a file.
    ///
    /// # Errors
    /// The disk is full or cannot be written. Part of the data may have been written.
    pub async fn append(
        &mut self,
        file: &mut OpenFile<'g>,
        data: &[u8],
    ) -> Result<(), StorageError> {
        self.begin();
        self.fat.seek(&file.file, SeekFrom::Start(file.bytes))?;
        let mut rest = data;
        while !rest.is_empty() {
            let written = self.fat.write(&file.file, rest).await?;
            file.bytes = file.bytes.saturating_add(written as u64);
            match rest.get(written..) {
                Some(more) if written > 0 => rest = more,
                _ => return Err(StorageError::FileTooLarge),
            }
        }
        Ok(())
    }

    /// Creates the missing folders of a path.
    ///
    /// # Errors
    /// One of them is a file, or the disk is full or cannot be written.
    pub async fn make_folders(&mut self, path: &str) -> Result<(), StorageError> {
        self.begin();
        let root = self.fat.root();
        path.split('/').try_for_each(check_name)?;
        self.fat.create_dir_all(root, path).await?;
        Ok(())
    }

    /// Renames a file, replacing any file of the new name.
    ///
    /// # Errors
    /// There is no such file, or the disk cannot be written.
    pub async fn rename(&mut self, from: &str, to: &str) -> Result<(), StorageError> {
        let (from_folder, from) = self.parent(from).await?;
        let (to_folder, to) = self.parent(to).await?;
        self.begin();
        Ok(self.fat.rename(from_folder, from, to_folder, to).await?)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// There is no such file, or the disk cannot be written.
    pub async fn remove(&mut self, path: &str) -> Result<(), StorageError> {
        let (folder, name) = self.parent(path).await?;
        Ok(self.fat.remove_file(folder, name).await?)
    }

    /// Lets the next [`sync`](Self::sync) remove the mark of a write that was cut off. Otherwise the mark stays, because
    /// such a write may have left damage; so call this only if [`check`](crate::check()) finds nothing else.
    ///
    /// # Errors
    /// The disk is read-only.
    pub fn mark_clean(&mut self) -> Result<(), StorageError> {
        Ok(self.fat.mark_clean()?)
    }

    /// Makes all previous writes durable.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn sync(&mut self) -> Result<(), StorageError> {
        self.begin();
        Ok(self.fat.sync().await?)
    }
}

/// Checks that a file can have this path: folders and a name, separated by `/`.
///
/// # Errors
/// [`StorageError::BadName`].
pub fn check_path(path: &str) -> Result<(), StorageError> {
    let mut names = path.split('/');
    let sound =
        names.all(|name| short_name::is_valid_long_name(name) && !name.ends_with(['.', ' ']));
    if !sound || path.len() > MAX_PATH_BYTES {
        return Err(StorageError::BadName);
    }
    Ok(())
}

/// Refuses the empty name, and `.` and `..`, which could lead out of the folder.
pub(crate) fn check_name(name: &str) -> Result<(), StorageError> {
    if matches!(name, "" | "." | "..") {
        return Err(StorageError::BadName);
    }
    Ok(())
}
