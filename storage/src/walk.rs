//! Walks the files of a disk one by one.

use crate::blocks::Blocks;
use crate::error::StorageError;
use crate::limits::MAX_PATH_BYTES;
use crate::volume::{Volume, check_name};
use core::ops::ControlFlow;
use hadris_fat::embedded::Dir;
use hadris_fs::DirCursor;

/// Levels of folders that a walk enters, the root included.
pub const MAX_DEPTH: usize = 8;

/// Entries that a walk lists. Without this limit, folders that contain each other could be listed millions of times.
pub const MAX_ENTRIES: usize = 4096;

/// Longest name in bytes: 255 characters of UTF-16, at most three bytes each in UTF-8.
const MAX_NAME_BYTES: usize = 765;

type Path = heapless::String<MAX_PATH_BYTES>;

/// Kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// A file.
    File {
        /// Its size in bytes.
        bytes: u64,
    },
    /// A folder, which is entered next.
    Folder,
    /// A folder that is nested too deeply, or an entry that no path leads to: its name is `..` or contains a `/`, or its
    /// name or path is too long. The path may be truncated.
    Unreachable,
}

/// An entry of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'w> {
    /// Its folders and its name, separated by `/`. The path of a folder also ends with `/`.
    pub path: &'w str,
    /// Its kind.
    pub kind: ItemKind,
}

/// State of a walk through the folders.
#[derive(Debug)]
pub struct Walk {
    folders: heapless::Vec<Level, MAX_DEPTH>,
    path: Path,
    entries: usize,
    begun: bool,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    folder: Dir,
    next: DirCursor,
    /// Bytes of the folder's path, including the `/`.
    path: usize,
}

struct Seen {
    is_folder: bool,
    bytes: u64,
    next: DirCursor,
    /// The name was truncated.
    is_cut: bool,
}

impl Default for Walk {
    fn default() -> Self {
        Self::new()
    }
}

impl Walk {
    /// Starts a walk at the root.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            folders: heapless::Vec::new(),
            path: Path::new(),
            entries: 0,
            begun: false,
        }
    }

    /// The next entry; `None` at the end.
    ///
    /// # Errors
    /// A folder cannot be read: the walk continues after it. There are more than [`MAX_ENTRIES`]: the walk is over.
    pub async fn next<B: Blocks>(
        &mut self,
        volume: &mut Volume<'_, B>,
    ) -> Result<Option<Item<'_>>, StorageError> {
        if !self.begun {
            self.begun = true;
            self.enter(volume.fat.root(), 0);
        }
        let kind = loop {
            let Some(level) = self.folders.last().copied() else {
                return Ok(None);
            };
            self.path.truncate(level.path);
            let mut name = heapless::String::<MAX_NAME_BYTES>::new();
            volume.begin();
            let seen = match look(volume, level, &mut name).await {
                Ok(Some(seen)) => seen,
                Ok(None) => {
                    self.folders.pop();
                    continue;
                }
                Err(error) => {
                    self.folders.pop();
                    return Err(error);
                }
            };
            if let Some(level) = self.folders.last_mut() {
                level.next = seen.next;
            }
            self.entries = self.entries.saturating_add(1);
            if self.entries > MAX_ENTRIES {
                self.folders.clear();
                return Err(StorageError::TooMany {
                    what: "files and folders",
                    limit: MAX_ENTRIES,
                });
            }
            let is_name = !seen.is_cut && !name.contains('/') && check_name(&name).is_ok();
            if self.path.push_str(&name).is_err() || !is_name {
                break ItemKind::Unreachable;
            }
            if !seen.is_folder {
                break ItemKind::File { bytes: seen.bytes };
            }
            let inner = volume.fat.open_dir(level.folder, &name).await?;
            break self.step_into(inner);
        };
        Ok(Some(Item {
            path: &self.path,
            kind,
        }))
    }

    /// Enters the folder that the walk's path names.
    fn step_into(&mut self, folder: Dir) -> ItemKind {
        // The `/` is part of the folder's path; `next` truncates the path to it before it appends the next name.
        let path = self.path.len().saturating_add(1);
        if self.path.push('/').is_err() || !self.enter(folder, path) {
            return ItemKind::Unreachable;
        }
        ItemKind::Folder
    }

    fn enter(&mut self, folder: Dir, path: usize) -> bool {
        let level = Level {
            folder,
            next: DirCursor::START,
            path,
        };
        self.folders.push(level).is_ok()
    }
}

/// The next entry of a folder. Its name goes to `name`.
async fn look<B: Blocks>(
    volume: &mut Volume<'_, B>,
    level: Level,
    name: &mut heapless::String<MAX_NAME_BYTES>,
) -> Result<Option<Seen>, StorageError> {
    let mut seen = None;
    volume
        .fat
        .list(level.folder, level.next, |entry| {
            let whole = entry.chars().all(|character| name.push(character).is_ok());
            seen = Some(Seen {
                is_folder: entry.is_dir(),
                bytes: entry.len(),
                next: entry.next_cursor(),
                is_cut: !whole,
            });
            ControlFlow::Break(())
        })
        .await?;
    Ok(seen)
}
