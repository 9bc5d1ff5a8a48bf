//! Makes the archive that the model store holds: a plain ustar archive, byte for byte the same for the
//! same files.

use std::path::{Path, PathBuf};

use llm_core::gguf::Gguf;
use protocol::limits::MAX_NAME_BYTES;

use crate::error::ToolError;
use crate::files;

/// What a model file's name ends with.
const EXTENSION: &str = ".gguf";

/// A file for the store: `FILE`, or `NAME=FILE` to give it another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFile {
    /// The model's name, without `.gguf`.
    pub name: String,
    /// Where the file is.
    pub path: PathBuf,
}

impl StoreFile {
    /// Reads `FILE` or `NAME=FILE`.
    ///
    /// # Errors
    /// [`ToolError::StoreName`].
    pub fn parse(argument: &str) -> Result<Self, ToolError> {
        let (name, path) = match argument.split_once('=') {
            // A path may contain '=', a name cannot contain '/'.
            Some((name, path)) if !name.contains('/') => (name.to_owned(), path),
            _ => {
                let name = Path::new(argument).file_name().unwrap_or_default();
                (name.to_string_lossy().into_owned(), argument)
            }
        };
        let name = name.strip_suffix(EXTENSION).unwrap_or(&name).to_owned();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(allowed) {
            return Err(ToolError::StoreName {
                name,
                limit: MAX_NAME_BYTES,
            });
        }
        Ok(Self {
            name,
            path: PathBuf::from(path),
        })
    }
}

/// An archive and what is in it.
#[derive(Debug)]
pub struct Archive {
    /// The archive.
    pub bytes: Vec<u8>,
    /// Name, place and size of each file.
    pub files: Vec<(StoreFile, usize)>,
}

/// Packs `files` for a store of `store_bytes`.
///
/// # Errors
/// A file that cannot be read or is no GGUF file, two of one name, or too much for the store.
pub fn pack(files: Vec<StoreFile>, store_bytes: u64) -> Result<Archive, ToolError> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.mode(tar::HeaderMode::Deterministic);
    let mut packed: Vec<(StoreFile, usize)> = Vec::new();
    for file in files {
        if packed.iter().any(|(other, _)| other.name == file.name) {
            return Err(ToolError::StoreDuplicate { name: file.name });
        }
        let content = files::read(&file.path)?;
        Gguf::parse(&content).map_err(ToolError::gguf(&file.path))?;
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_uid(0);
        header.set_gid(0);
        // Sets the checksum, too. Writing to memory does not fail, and the name fits the header.
        builder.append_data(&mut header, format!("{}{EXTENSION}", file.name), &*content)?;
        packed.push((file, content.len()));
    }
    let bytes = builder.into_inner()?;
    let needed = bytes.len() as u64;
    if needed > store_bytes {
        return Err(ToolError::StoreTooSmall {
            needed,
            limit: store_bytes,
        });
    }
    Ok(Archive {
        bytes,
        files: packed,
    })
}
