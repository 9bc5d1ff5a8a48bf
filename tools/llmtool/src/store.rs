//! Makes the archive for the model store: models, adapters and training data with their signatures in a plain ustar
//! archive, byte for byte the same for the same files.

mod contents;

use std::path::{Path, PathBuf};

use ed25519_dalek::VerifyingKey;
use llm_core::hash::sha256;
use protocol::adapters::EXAMPLES;
use protocol::store::{
    ADAPTERS_FOLDER, Content, DATA_FOLDER, DATA_SUFFIXES, MODEL_SUFFIX, SIGNATURE_SUFFIX,
};

use crate::destination::Destination;
use crate::error::{KeyError, ToolError};
use crate::files;
use crate::keys;

pub use contents::Contents;

/// A file for the store: `FILE`, or `NAME=FILE` to give it another name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFile {
    /// Its name in the store, without the part that identifies its content.
    pub name: String,
    /// Where the file is.
    pub path: PathBuf,
}

impl StoreFile {
    /// Reads `FILE` or `NAME=FILE`.
    ///
    /// # Errors
    /// [`ToolError::StoreName`].
    pub fn parse(argument: &str, target: Destination) -> Result<Self, ToolError> {
        let (name_given, path) = match argument.split_once('=') {
            // A path may contain '=', a name cannot contain '/'.
            Some((name, path)) if !name.contains('/') => (name.to_owned(), path),
            _ => {
                let name = Path::new(argument).file_name().unwrap_or_default();
                (name.to_string_lossy().into_owned(), argument)
            }
        };
        let mut suffixes = [MODEL_SUFFIX].into_iter().chain(DATA_SUFFIXES);
        let bare = suffixes.find_map(|suffix| name_given.strip_suffix(suffix));
        let name = bare.unwrap_or(&name_given).to_owned();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let fits = (1..=target.max_name_bytes()).contains(&name.len());
        if !fits || !name.bytes().all(allowed) {
            return Err(ToolError::StoreName { name, target });
        }
        Ok(Self {
            name,
            path: PathBuf::from(path),
        })
    }
}

/// Which files may be packed.
#[derive(Debug)]
pub enum Trust {
    /// Files signed by a trusted key.
    Keys(Box<TrustedKeys>),
    /// Files with a signature.
    Signed,
    /// All files; audit will refuse those without a signature.
    Anything,
}

/// Keys whose signatures count, with their names.
#[derive(Debug, Default)]
pub struct TrustedKeys {
    /// For every file.
    pub any: Vec<(String, VerifyingKey)>,
    /// Also for adapters: the device's own key, which identifies what it made.
    pub adapters: Option<VerifyingKey>,
}

impl TrustedKeys {
    /// The keys that count for a file of this content.
    pub fn of(&self, content: Content) -> impl Iterator<Item = (&str, &VerifyingKey)> {
        let any = self.any.iter().map(|(name, key)| (name.as_str(), key));
        let own = self.adapters.as_ref();
        let own = own.filter(|_| content == Content::Adapter);
        any.chain(own.map(|key| ("the device", key)))
    }
}

/// An archive and its contents.
#[derive(Debug)]
pub struct Archive {
    /// The archive.
    pub bytes: Vec<u8>,
    /// Its files.
    pub files: Vec<Packed>,
}

/// A file in an archive.
#[derive(Debug)]
pub struct Packed {
    /// Name and place.
    pub file: StoreFile,
    /// Its content.
    pub content: Content,
    /// Size of the file in bytes.
    pub bytes: usize,
    /// The state of its signature, in words.
    pub signature: String,
}

/// Packs `files` for a store of `store_bytes`.
///
/// # Errors
/// A file cannot be read, is invalid or lacks the signature that `trust` requires; two have the same name; an adapter
/// fits none of the models; or there is too much for the store.
pub fn pack(files: Vec<StoreFile>, store_bytes: u64, trust: &Trust) -> Result<Archive, ToolError> {
    let mut read = Vec::new();
    for file in &files {
        read.push(files::read(&file.path)?);
    }
    let mut contents = Vec::new();
    for (file, bytes) in files.iter().zip(&read) {
        contents.push(Contents::of(&file.path, bytes)?);
    }
    for (file, content) in files.iter().zip(&contents) {
        if let Contents::Adapter(adapter) = content {
            contents::check_fits(&file.path, adapter, contents.iter().zip(&read))?;
        }
    }
    let mut builder = tar::Builder::new(Vec::new());
    builder.mode(tar::HeaderMode::Deterministic);
    let mut packed: Vec<Packed> = Vec::new();
    for ((file, bytes), content) in files.into_iter().zip(&read).zip(&contents) {
        let content = content.kind();
        let is_there = |other: &Packed| (&other.file.name, other.content) == (&file.name, content);
        if packed.iter().any(is_there) {
            return Err(ToolError::StoreDuplicate { name: file.name });
        }
        if content == Content::Data && file.name == EXAMPLES {
            return Err(ToolError::StoreExamples {
                path: file.path.clone(),
            });
        }
        let signature = |source| ToolError::Signature {
            path: file.path.clone(),
            source: Box::new(source),
        };
        let (signed, words) = check(&file.path, content, bytes, trust).map_err(signature)?;
        let path = store_path(&file, content);
        append(&mut builder, &path, bytes)?;
        if let Some(signature) = signed {
            append(
                &mut builder,
                &format!("{path}{SIGNATURE_SUFFIX}"),
                &signature,
            )?;
        }
        packed.push(Packed {
            file,
            content,
            bytes: bytes.len(),
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
    Ok(Archive {
        bytes,
        files: packed,
    })
}

/// Path of a file in the archive; its folder and ending identify the content.
#[must_use]
pub fn store_path(file: &StoreFile, content: Content) -> String {
    let StoreFile { name, path } = file;
    match content {
        Content::Model => format!("{name}{MODEL_SUFFIX}"),
        Content::Adapter => format!("{ADAPTERS_FOLDER}/{name}{MODEL_SUFFIX}"),
        Content::Data => {
            let suffix = contents::data_suffix(path).unwrap_or(DATA_SUFFIXES[0]);
            format!("{DATA_FOLDER}/{name}{suffix}")
        }
    }
}

/// The signature of a file, if it satisfies `trust`, and its state in words.
fn check(
    path: &Path,
    content: Content,
    bytes: &[u8],
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
            let signer = keys::signer(keys.of(content), &sha256(bytes), &signature);
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
    // This sets the checksum as well. Writing to memory cannot fail, and the name fits the header.
    Ok(builder.append_data(&mut header, name, content)?)
}
