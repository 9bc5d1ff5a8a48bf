//! Makes the archive that the model store holds: models and their signatures in a plain ustar archive, byte for byte
//! the same for the same files.

use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use llm_core::verify::sha256;
use protocol::limits::MAX_NAME_BYTES;
use protocol::store::{MODEL_SUFFIX, SIGNATURE_SUFFIX};

use crate::engine::check_runs;
use crate::error::ToolError;
use crate::files;
use crate::keys::{self, KeyError};

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
        let name = name.strip_suffix(MODEL_SUFFIX).unwrap_or(&name).to_owned();
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

/// Which models are packed.
#[derive(Debug)]
pub enum Trust {
    /// Those that one of these keys has signed.
    Keys(Vec<(String, VerifyingKey)>),
    /// Those that have a signature.
    Signed,
    /// All; audit will refuse those without a signature.
    Anything,
}

/// An archive and what is in it.
#[derive(Debug)]
pub struct Archive {
    /// The archive.
    pub bytes: Vec<u8>,
    /// Its models.
    pub models: Vec<Packed>,
}

/// A model in an archive.
#[derive(Debug)]
pub struct Packed {
    /// Name and place.
    pub file: StoreFile,
    /// Size of the file in bytes.
    pub bytes: usize,
    /// What is known of its signature, in words.
    pub signature: String,
}

/// Packs `files` for a store of `store_bytes`.
///
/// # Errors
/// A file that cannot be read, is no GGUF file or is not signed as `trust` asks, two of one name, or too much for the
/// store.
pub fn pack(files: Vec<StoreFile>, store_bytes: u64, trust: &Trust) -> Result<Archive, ToolError> {
    let mut builder = tar::Builder::new(Vec::new());
    builder.mode(tar::HeaderMode::Deterministic);
    let mut models: Vec<Packed> = Vec::new();
    for file in files {
        if models.iter().any(|other| other.file.name == file.name) {
            return Err(ToolError::StoreDuplicate { name: file.name });
        }
        let content = files::read(&file.path)?;
        check_runs(&file.path, &content)?;
        let signature = |source| ToolError::Signature {
            path: file.path.clone(),
            source: Box::new(source),
        };
        let (signed, words) = check(&file.path, &content, trust).map_err(signature)?;
        let name = format!("{}{MODEL_SUFFIX}", file.name);
        append(&mut builder, &name, &content)?;
        if let Some(bytes) = signed {
            append(&mut builder, &format!("{name}{SIGNATURE_SUFFIX}"), &bytes)?;
        }
        models.push(Packed {
            file,
            bytes: content.len(),
            signature: words,
        });
    }
    let bytes = builder.into_inner()?;
    let needed = bytes.len() as u64;
    if needed > store_bytes {
        return Err(ToolError::StoreTooSmall {
            needed,
            limit: store_bytes,
        });
    }
    Ok(Archive { bytes, models })
}

/// The signature of a model, if `trust` is satisfied with what it has, and what is known of it.
fn check(
    path: &Path,
    content: &[u8],
    trust: &Trust,
) -> Result<(Option<[u8; 64]>, String), KeyError> {
    let signature = match (keys::read_signature(path), trust) {
        (Ok(signature), _) => signature,
        (Err(KeyError::Unsigned { .. }), Trust::Anything) => {
            return Ok((None, "not signed".to_owned()));
        }
        (Err(error), _) => return Err(error),
    };
    let words = match trust {
        Trust::Keys(keys) => {
            let keys = keys.iter().map(|(name, key)| (name, key));
            let signer = keys::signer(keys, &sha256(content), &signature);
            format!("signed by {}", signer.ok_or(KeyError::Bad)?)
        }
        Trust::Signed | Trust::Anything => "signed".to_owned(),
    };
    Ok((Some(signature), words))
}

fn append(
    builder: &mut tar::Builder<Vec<u8>>,
    name: &str,
    content: &[u8],
) -> Result<(), ToolError> {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Regular);
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    // Sets the checksum, too. Writing to memory does not fail, and the name fits the header.
    Ok(builder.append_data(&mut header, name, content)?)
}
