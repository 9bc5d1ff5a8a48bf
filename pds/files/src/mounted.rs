//! The domain's work while a file system is mounted.

use crate::disk::DiskEnd;
use crate::{Links, failure};
use core::cell::RefCell;
use protocol::limits::{MAX_PATH_BYTES, MAX_TRANSFER_BYTES};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::Frame;
use protocol::store::{LOG_FILE, SIGNATURE_SUFFIX};
use protocol::wire::files::{Answer, Ask, FilesError, Volume as Described, is_path};
use storage::{
    Extent, FatKind, ItemKind, MAX_ENTRIES, OpenFile, SECTOR, StorageError, Table, UNFINISHED,
    Volume, Walk, blocks, check_path,
};

type Path = heapless::String<MAX_PATH_BYTES>;

/// Why a mount has ended.
pub(crate) enum Next {
    /// Audit asked, with this number, to mount again.
    Mount(u32),
}

/// Bytes of the open file read ahead at once (64 KiB): as many as the orders in flight of one read transfer.
const AHEAD_BYTES: usize = 64 << 10;

/// Data of the open file that was read ahead, because audit asks for one part after another.
struct Ahead {
    buffer: [u8; AHEAD_BYTES],
    /// Offset of the data in the file.
    offset: u64,
    /// Number of bytes.
    bytes: usize,
}

impl Ahead {
    const fn new() -> Self {
        Self {
            buffer: [0; AHEAD_BYTES],
            offset: 0,
            bytes: 0,
        }
    }

    /// The bytes of the file at this offset, if all of them were read ahead.
    fn part(&self, offset: u64, bytes: usize) -> Option<&[u8]> {
        let at = usize::try_from(offset.checked_sub(self.offset)?).ok()?;
        let end = at.checked_add(bytes).filter(|end| *end <= self.bytes)?;
        self.buffer.get(at..end)
    }
}

/// A mounted file system, and its open files.
struct Mounted<'l, 'g, R: ReadWords, W: WriteWords> {
    links: &'l Links<R, W>,
    volume: Volume<'g, &'l RefCell<DiskEnd<R, W>>>,
    open: Option<OpenFile<'g>>,
    /// The file being written, and its final name.
    begun: Option<(OpenFile<'g>, Path)>,
    log: Option<Extent>,
    ahead: Ahead,
    buffer: [u8; MAX_TRANSFER_BYTES],
}

/// Answers the `Mount` with this number, and everything that follows until the next `Mount`.
pub(crate) async fn serve<'l, 'g, R: ReadWords, W: WriteWords>(
    links: &'l Links<R, W>,
    volume: Volume<'g, &'l RefCell<DiskEnd<R, W>>>,
    number: u32,
) -> Next {
    let mut mounted = Mounted {
        links,
        volume,
        open: None,
        begun: None,
        log: None,
        ahead: Ahead::new(),
        buffer: [0; MAX_TRANSFER_BYTES],
    };
    match mounted.describe().await {
        Ok(volume) => links.answer(number, &Answer::Mounted(volume)).await,
        Err(error) => links.settle(number, Err(error)).await,
    }
    let mut frame = Frame::new();
    loop {
        links.ask(&mut frame).await;
        let number = frame.header().request;
        match Ask::parse(&frame) {
            Ok(Ask::Mount) => return Next::Mount(number),
            Ok(ask) => mounted.serve(number, ask).await,
            // Not reached: audit and this domain are built from the same source.
            Err(_) => links.fail(number, FilesError::Unsupported, 0).await,
        }
    }
}

impl<R: ReadWords, W: WriteWords> Mounted<'_, '_, R, W> {
    async fn describe(&mut self) -> Result<Described, StorageError> {
        let free = self.volume.free_bytes().await?;
        let info = self.volume.info();
        Ok(Described {
            bytes: info.found.sectors.saturating_mul(SECTOR as u64),
            free,
            first: info.found.first,
            cluster: info.cluster_bytes,
            width: match info.kind {
                FatKind::Fat12 => 12,
                FatKind::Fat16 => 16,
                _ => 32,
            },
            table: match info.found.table {
                Table::None => 0,
                Table::Mbr => 1,
                Table::Gpt => 2,
            },
            writable: info.writable,
        })
    }

    async fn serve(&mut self, number: u32, ask: Ask<'_>) {
        let links = self.links;
        match ask {
            // The caller, `serve`, handles it.
            Ask::Mount => {}
            Ask::List => self.list(number).await,
            Ask::Open { path } => match self.open(path).await {
                Ok(bytes) => links.answer(number, &Answer::Opened { bytes }).await,
                Err(error) => links.settle(number, Err(error)).await,
            },
            Ask::Read { offset, bytes } => self.read(number, offset, bytes as usize).await,
            Ask::Close => {
                let closed = self.close().await;
                links.settle(number, closed).await;
            }
            Ask::OpenLog => self.open_log(number).await,
            Ask::ReadLog { slot, sectors } => {
                let bytes = (sectors as usize).saturating_mul(SECTOR);
                self.read_log(number, slot, bytes).await;
            }
            Ask::WriteLog { slot, data } => self.write_log(number, slot, data).await,
            Ask::FlushLog => {
                let mut disk = &links.disk;
                let flushed = blocks::flush(&mut disk).await;
                links.settle(number, flushed.map_err(Into::into)).await;
            }
            Ask::Create { path } => {
                let created = self.create(path).await;
                links.settle(number, created).await;
            }
            Ask::Append { offset, bytes } => self.append(number, offset, bytes).await,
            Ask::Finish => self.finish(number).await,
        }
    }

    /// Lists the files whose paths audit accepts, and counts the others.
    async fn list(&mut self, number: u32) {
        let links = self.links;
        let mut walk = Walk::new();
        let (mut count, mut skipped) = (0u32, 0u32);
        // Each entry is visited once, and each unreadable folder once more.
        for _ in 0..MAX_ENTRIES.saturating_mul(2) {
            match walk.next(&mut self.volume).await {
                Ok(Some(item)) => match item.kind {
                    ItemKind::File { bytes } if is_path(item.path.as_bytes()) => {
                        let path = item.path.as_bytes();
                        links.answer(number, &Answer::File { bytes, path }).await;
                        count = count.saturating_add(1);
                    }
                    ItemKind::Folder => {}
                    ItemKind::File { .. } | ItemKind::Unreachable => {
                        skipped = skipped.saturating_add(1);
                    }
                },
                Ok(None) => break,
                // After these errors the rest of the list would be missing, so the list fails.
                Err(error @ (StorageError::TooMany { .. } | StorageError::Disk(_))) => {
                    links.settle(number, Err(error)).await;
                    return;
                }
                Err(_) => skipped = skipped.saturating_add(1),
            }
        }
        let listed = Answer::Listed { count, skipped };
        links.answer(number, &listed).await;
    }

    async fn open(&mut self, path: &[u8]) -> Result<u64, StorageError> {
        let path = core::str::from_utf8(path).map_err(|_| StorageError::BadName)?;
        self.close().await?;
        self.ahead.bytes = 0;
        let file = self.volume.open(path).await?;
        let bytes = file.bytes();
        self.open = Some(file);
        Ok(bytes)
    }

    async fn close(&mut self) -> Result<(), StorageError> {
        match self.open.take() {
            Some(file) => self.volume.close(file).await,
            None => Ok(()),
        }
    }

    async fn read(&mut self, number: u32, offset: u64, bytes: usize) {
        let links = self.links;
        let Some(file) = &self.open else {
            return links.fail(number, FilesError::NotOpen, 0).await;
        };
        let ahead = &mut self.ahead;
        if ahead.part(offset, bytes).is_none() {
            ahead.bytes = 0;
            ahead.offset = offset;
            let mut read = self.volume.read(file, offset, &mut ahead.buffer).await;
            if read.is_err() {
                // The requested part itself may be readable, so only that is read.
                let buffer = ahead.buffer.get_mut(..bytes).unwrap_or(&mut []);
                read = self.volume.read(file, offset, buffer).await;
            }
            match read {
                Ok(read) => ahead.bytes = read,
                Err(error) => return links.settle(number, Err(error)).await,
            }
        }
        // The part is shorter than requested only at the end of the file.
        let bytes = match ahead.part(offset, bytes) {
            Some(part) => part,
            None => ahead.buffer.get(..ahead.bytes.min(bytes)).unwrap_or(&[]),
        };
        links.answer(number, &Answer::Part { offset, bytes }).await;
    }

    async fn open_log(&mut self, number: u32) {
        let links = self.links;
        self.log = None;
        let extent = match self.volume.extent(LOG_FILE).await {
            Ok(extent) => extent,
            Err(error) => return links.settle(number, Err(error)).await,
        };
        match u32::try_from(extent.sectors) {
            Ok(sectors) => {
                self.log = Some(extent);
                links.answer(number, &Answer::LogOpened { sectors }).await;
            }
            Err(_) => {
                let bytes = extent.sectors.saturating_mul(SECTOR as u64);
                links.fail(number, FilesError::LogSize, bytes).await;
            }
        }
    }

    /// The disk's sector for a slot of the log, if this many bytes are whole sectors within the log.
    fn log_sector(&self, slot: u32, bytes: usize) -> Result<u64, FilesError> {
        let log = self.log.ok_or(FilesError::NotOpen)?;
        let inside = blocks::check_range(log.sectors, u64::from(slot), bytes);
        inside.map_err(|_| FilesError::Range)?;
        Ok(log.first.saturating_add(u64::from(slot)))
    }

    async fn read_log(&mut self, number: u32, slot: u32, bytes: usize) {
        let links = self.links;
        let sector = match self.log_sector(slot, bytes) {
            Ok(sector) => sector,
            Err(why) => return links.fail(number, why, u64::from(slot)).await,
        };
        let buffer = self.buffer.get_mut(..bytes).unwrap_or(&mut []);
        let mut disk = &links.disk;
        match blocks::read(&mut disk, sector, buffer).await {
            Ok(()) => {
                let read = Answer::LogSectors { slot, data: buffer };
                links.answer(number, &read).await;
            }
            Err(error) => links.settle(number, Err(error.into())).await,
        }
    }

    async fn write_log(&mut self, number: u32, slot: u32, data: &[u8]) {
        let links = self.links;
        let sector = match self.log_sector(slot, data.len()) {
            Ok(sector) if !data.is_empty() => sector,
            Ok(_) => return links.fail(number, FilesError::Range, u64::from(slot)).await,
            Err(why) => return links.fail(number, why, u64::from(slot)).await,
        };
        let mut disk = &links.disk;
        let written = blocks::write(&mut disk, sector, data).await;
        links.settle(number, written.map_err(Into::into)).await;
    }

    async fn create(&mut self, path: &[u8]) -> Result<(), StorageError> {
        let path = core::str::from_utf8(path).map_err(|_| StorageError::BadName)?;
        let name = Path::try_from(path).map_err(|_| StorageError::BadName)?;
        if self.begun.is_some() {
            self.discard().await;
        }
        // The log is written directly to its sectors, never through the file system.
        check_path(path)?;
        if path.eq_ignore_ascii_case(LOG_FILE) || path.eq_ignore_ascii_case(UNFINISHED) {
            return Err(StorageError::BadName);
        }
        if let Some((folder, _)) = path.rsplit_once('/') {
            self.volume.make_folders(folder).await?;
        }
        match self.volume.remove(UNFINISHED).await {
            Ok(()) | Err(StorageError::NotFound) => {}
            Err(error) => return Err(error),
        }
        match self.volume.create(UNFINISHED).await {
            Ok(file) => {
                self.begun = Some((file, name));
                Ok(())
            }
            Err(error) => {
                self.discard_signature(&name).await;
                Err(error)
            }
        }
    }

    async fn append(&mut self, number: u32, offset: u64, bytes: &[u8]) {
        let links = self.links;
        let Some((file, _)) = &mut self.begun else {
            return links.fail(number, FilesError::NotOpen, 0).await;
        };
        if offset != file.bytes() {
            let end = file.bytes();
            return links.fail(number, FilesError::Range, end).await;
        }
        let appended = self.volume.append(file, bytes).await;
        if appended.is_err() {
            self.discard().await;
        }
        links.settle(number, appended).await;
    }

    /// Discards the file being written. The file system is then as it was before, except for new folders.
    async fn discard(&mut self) {
        let Some((file, path)) = self.begun.take() else {
            return;
        };
        // The first error is already known, so this one is ignored.
        let _ = self.volume.close(file).await;
        self.discard_unfinished(&path).await;
    }

    async fn discard_unfinished(&mut self, path: &Path) {
        let _ = self.volume.remove(UNFINISHED).await;
        self.discard_signature(path).await;
        let _ = self.volume.sync().await;
    }

    /// Removes the signature that was written before its file, if the file does not exist.
    async fn discard_signature(&mut self, path: &Path) {
        let mut signature = path.clone();
        // If the suffix does not fit, there is no signature.
        if signature.push_str(SIGNATURE_SUFFIX).is_err() {
            return;
        }
        match self.volume.open(path).await {
            Err(StorageError::NotFound) => {
                let _ = self.volume.remove(&signature).await;
            }
            Ok(file) => {
                let _ = self.volume.close(file).await;
            }
            // The file may exist, so its signature stays.
            Err(_) => {}
        }
    }

    async fn finish(&mut self, number: u32) {
        let links = self.links;
        let Some((file, path)) = self.begun.take() else {
            return links.fail(number, FilesError::NotOpen, 0).await;
        };
        let volume = &mut self.volume;
        let finished = async {
            volume.close(file).await?;
            volume.rename(UNFINISHED, &path).await?;
            volume.sync().await
        };
        if let Err(error) = finished.await {
            self.discard_unfinished(&path).await;
            let (why, value) = failure(&error);
            return links.fail(number, why, value).await;
        }
        links.answer(number, &Answer::Done).await;
    }
}
