//! Disk images, and cards, as files of this machine.
//!
//! The contents of an image are untrusted: they are read by the crate `storage`, and nothing here trusts them.

mod check;
mod log;

pub use log::log_words;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::task::Poll;

use storage::blocks::{self, BlockError, Blocks, Ticket, check_range};
use storage::make::{Plan, make};
use storage::{
    Extent, FatKind, Ground, Info, ItemKind, SECTOR, StorageError, UNFINISHED, Volume, Walk,
    block_on, check_path,
};

use crate::error::{KeyError, ToolError};
use crate::units::ByteSize;

/// Bytes read or written at once.
const CHUNK: usize = 1 << 16;

/// An image, or the device of a card.
#[derive(Debug)]
pub struct Image {
    file: File,
    path: PathBuf,
    sectors: u64,
    writable: bool,
}

/// The files of a disk.
#[derive(Debug)]
pub struct Listing {
    /// Their paths and their sizes in bytes, in the order of the paths.
    pub files: Vec<(String, u64)>,
    /// A line for each folder that cannot be read and each file that cannot be named.
    pub wrong: Vec<String>,
}

impl Blocks for Image {
    fn sectors(&self) -> u64 {
        self.sectors
    }

    fn writable(&self) -> bool {
        self.writable
    }

    fn read(&mut self, _: &mut Ticket, first: u64, out: &mut [u8]) -> Poll<Result<(), BlockError>> {
        check_range(self.sectors, first, out.len())?;
        let read = self.file.read_exact_at(out, first * SECTOR as u64);
        Poll::Ready(read.map_err(|_| BlockError::Device { sector: first }))
    }

    fn write(&mut self, _: &mut Ticket, first: u64, data: &[u8]) -> Poll<Result<(), BlockError>> {
        if !self.writable {
            return Poll::Ready(Err(BlockError::ReadOnly));
        }
        check_range(self.sectors, first, data.len())?;
        let written = self.file.write_all_at(data, first * SECTOR as u64);
        Poll::Ready(written.map_err(|_| BlockError::Device { sector: first }))
    }

    fn flush(&mut self, _: &mut Ticket) -> Poll<Result<(), BlockError>> {
        let flushed = self.file.sync_data();
        Poll::Ready(flushed.map_err(|_| BlockError::Device { sector: 0 }))
    }
}

impl Image {
    /// Opens an image for reading.
    ///
    /// # Errors
    /// [`ToolError::Read`].
    pub fn read(path: &Path) -> Result<Self, ToolError> {
        Self::open(path, false)
    }

    /// Opens an image for writing.
    ///
    /// # Errors
    /// The image is missing or cannot be written, or another `llmtool` is changing it.
    pub fn change(path: &Path) -> Result<Self, ToolError> {
        let image = Self::open(path, true).map_err(no_image)?;
        image.file.try_lock().map_err(|error| ToolError::Write {
            path: path.to_path_buf(),
            source: error.into(),
        })?;
        Ok(image)
    }

    /// Opens what can only be an image, for reading.
    ///
    /// # Errors
    /// The image is missing or cannot be read.
    pub fn existing(path: &Path) -> Result<Self, ToolError> {
        Self::open(path, false).map_err(no_image)
    }

    fn open(path: &Path, writable: bool) -> Result<Self, ToolError> {
        use std::io::{Seek as _, SeekFrom};
        let mut options = OpenOptions::new();
        let opened = options.read(true).write(writable).open(path);
        // The size of a device is found by seeking to its end. A folder can be opened, and has a size, too.
        let sized = opened.and_then(|mut file| match file.metadata()?.is_dir() {
            true => Err(std::io::ErrorKind::IsADirectory.into()),
            false => Ok((file.seek(SeekFrom::End(0))?, file)),
        });
        let (bytes, file) = sized.map_err(|source| match writable {
            true => ToolError::Write {
                path: path.to_path_buf(),
                source,
            },
            false => ToolError::Read {
                path: path.to_path_buf(),
                source,
            },
        })?;
        Ok(Self {
            file,
            path: path.to_path_buf(),
            sectors: bytes / SECTOR as u64,
            writable,
        })
    }

    /// Makes a new image with a file system. An existing file is left alone.
    ///
    /// # Errors
    /// The file exists or cannot be written, or the size is not possible for this kind of disk.
    pub fn create(path: &Path, size: ByteSize, plan: &Plan<'_>) -> Result<Self, ToolError> {
        let created = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path);
        let created = created.and_then(|file| file.set_len(size.0).map(|()| file));
        let file = created.map_err(|source| ToolError::Write {
            path: path.to_path_buf(),
            source,
        })?;
        let mut image = Self {
            file,
            path: path.to_path_buf(),
            sectors: size.0 / SECTOR as u64,
            writable: true,
        };
        match block_on(make(&mut image, plan)) {
            Ok(()) => Ok(image),
            Err(source) => Err(image.discard(source)),
        }
    }

    /// Removes an image that could not be completed.
    #[must_use]
    pub fn discard(self, source: StorageError) -> ToolError {
        // If this fails, too, there is nothing to add.
        let _ = std::fs::remove_file(&self.path);
        ToolError::Disk {
            image: self.path,
            source,
        }
    }

    fn failed(&self) -> impl Fn(StorageError) -> ToolError + use<> {
        let image = self.path.clone();
        move |source| ToolError::Disk {
            image: image.clone(),
            source,
        }
    }

    fn failed_at(&self, file: &str) -> impl Fn(StorageError) -> ToolError + use<> {
        let (image, file) = (self.path.clone(), file.to_owned());
        move |source| ToolError::OnDisk {
            image: image.clone(),
            file: file.clone(),
            source,
        }
    }

    /// Its file system, and the number of free bytes.
    ///
    /// # Errors
    /// It has no file system, or cannot be read.
    pub fn info(&mut self) -> Result<(Info, u64), ToolError> {
        let failed = self.failed();
        block_on(async {
            let mut ground = Ground::new();
            let mut volume = Volume::mount(self, &mut ground).await?;
            let free = volume.free_bytes().await?;
            Ok((volume.info(), free))
        })
        .map_err(failed)
    }

    /// Its files.
    ///
    /// # Errors
    /// It has no file system.
    pub fn files(&mut self) -> Result<Listing, ToolError> {
        let failed = self.failed();
        let (mut files, mut wrong) = (Vec::new(), Vec::new());
        let mut ground = Ground::new();
        let mut volume = block_on(Volume::mount(self, &mut ground)).map_err(failed)?;
        let mut walk = Walk::new();
        loop {
            match block_on(walk.next(&mut volume)) {
                Ok(Some(item)) => match item.kind {
                    ItemKind::File { bytes } => files.push((item.path.to_owned(), bytes)),
                    ItemKind::Folder => {}
                    ItemKind::Unreachable => {
                        wrong.push(format!(
                            "{}: no path can name it: it lies too deep, or its name is too long or invalid",
                            item.path
                        ));
                    }
                },
                Ok(None) => break,
                Err(error) => wrong.push(error.to_string()),
            }
        }
        files.sort();
        Ok(Listing { files, wrong })
    }

    /// The content of a file.
    ///
    /// # Errors
    /// There is no such file, or the disk is damaged.
    pub fn content(&mut self, path: &str) -> Result<Vec<u8>, ToolError> {
        let failed = self.failed_at(path);
        block_on(async {
            let mut ground = Ground::new();
            let mut volume = Volume::mount(self, &mut ground).await?;
            let file = volume.open(path).await?;
            let mut content = Vec::new();
            let mut chunk = vec![0; CHUNK];
            loop {
                // The disk may claim any size, so no memory is reserved for it.
                let bytes = volume.read(&file, content.len() as u64, &mut chunk).await?;
                content.extend_from_slice(&chunk[..bytes]);
                if bytes < chunk.len() {
                    break;
                }
            }
            volume.close(file).await?;
            Ok(content)
        })
        .map_err(failed)
    }

    /// Writes a file. An existing one with this name is replaced once the new one is complete.
    ///
    /// # Errors
    /// There is no room, or the name is invalid. The existing file stays.
    pub fn put(&mut self, path: &str, content: &[u8]) -> Result<(), ToolError> {
        let (info, free) = self.info()?;
        let cluster = u64::from(info.cluster_bytes);
        // A folder and its entry may each need a cluster.
        let needed = (content.len() as u64).next_multiple_of(cluster) + 2 * cluster;
        let full = |image: PathBuf, free: u64| ToolError::DiskFull {
            image,
            file: path.to_owned(),
            needed: ByteSize(needed),
            free: ByteSize(free),
        };
        // FAT32 keeps a count of free clusters beside the table, and other systems leave it wrong, so only trying shows.
        if needed > free && info.kind != FatKind::Fat32 {
            return Err(full(self.path.clone(), free));
        }
        let failed = self.failed_at(path);
        let written = block_on(async {
            let mut ground = Ground::new();
            let mut volume = Volume::mount(&mut *self, &mut ground).await?;
            match put(&mut volume, path, content).await {
                Ok(()) => Ok(()),
                Err(error) => {
                    // The incomplete file is useless; the error to report is that it could not be written.
                    let _ = volume.remove(UNFINISHED).await;
                    let _ = volume.sync().await;
                    Err(error)
                }
            }
        });
        match written {
            // The top folder of FAT32 grows like any other, and the free clusters have been counted by now.
            Err(StorageError::Full) if info.kind == FatKind::Fat32 => {
                let (_, free) = self.info()?;
                Err(full(self.path.clone(), free))
            }
            Err(StorageError::Full) => Err(ToolError::FolderFull {
                image: self.path.clone(),
                file: path.to_owned(),
            }),
            written => written.map_err(failed),
        }
    }

    /// Whether there is a file or a folder at this path.
    ///
    /// # Errors
    /// The disk is damaged, or the path cannot be one.
    pub fn has(&mut self, path: &str) -> Result<bool, ToolError> {
        let failed = self.failed_at(path);
        block_on(async {
            let mut ground = Ground::new();
            let mut volume = Volume::mount(self, &mut ground).await?;
            match volume.open(path).await {
                Ok(file) => volume.close(file).await.map(|()| true),
                Err(StorageError::IsFolder) => Ok(true),
                Err(StorageError::NotFound) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .map_err(failed)
    }

    /// Removes a file if it exists.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove(&mut self, path: &str) -> Result<(), ToolError> {
        let failed = self.failed_at(path);
        block_on(async {
            let mut ground = Ground::new();
            let mut volume = Volume::mount(self, &mut ground).await?;
            match volume.remove(path).await {
                Ok(()) | Err(StorageError::NotFound) => volume.sync().await,
                Err(error) => Err(error),
            }
        })
        .map_err(failed)
    }

    /// The whole file.
    #[must_use]
    pub const fn whole(&self) -> Extent {
        Extent {
            first: 0,
            sectors: self.sectors,
        }
    }

    /// Reads a sector; false if it cannot be read.
    pub fn sector(&mut self, at: u64, sector: &mut [u8; SECTOR]) -> bool {
        block_on(blocks::read(self, at, sector)).is_ok()
    }
}

/// Names the remedy if there is no image. Other commands read logs and models here, too.
fn no_image(error: ToolError) -> ToolError {
    match error {
        ToolError::Read { path, source } | ToolError::Write { path, source }
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            ToolError::NoImage(path)
        }
        error => error,
    }
}

async fn put<B: Blocks>(
    volume: &mut Volume<'_, B>,
    path: &str,
    content: &[u8],
) -> Result<(), StorageError> {
    check_path(path)?;
    if let Some((folder, _)) = path.rsplit_once('/') {
        volume.make_folders(folder).await?;
    }
    match volume.remove(UNFINISHED).await {
        Ok(()) | Err(StorageError::NotFound) => {}
        Err(error) => return Err(error),
    }
    let mut file = volume.create(UNFINISHED).await?;
    for chunk in content.chunks(CHUNK) {
        if let Err(error) = volume.append(&mut file, chunk).await {
            volume.close(file).await?;
            return Err(error);
        }
    }
    volume.close(file).await?;
    volume.rename(UNFINISHED, path).await?;
    volume.sync().await
}

/// For `disk add`: a missing signature is not an error if none is required.
///
/// # Errors
/// The signature cannot be read, or is missing.
pub fn signature_of(path: &Path, may_miss: bool) -> Result<Option<[u8; 64]>, ToolError> {
    match crate::keys::read_signature(path) {
        Ok(signature) => Ok(Some(signature)),
        Err(KeyError::Unsigned { .. }) if may_miss => Ok(None),
        Err(source) => Err(ToolError::Signature {
            path: path.to_path_buf(),
            source: Box::new(source),
        }),
    }
}
