//! Makes a system for a user's models: the description and the policy in the sizes that they need, the store, and a key
//! of this machine that signs them.
//!
//! The repository's description and policy are the templates: only what a larger model needs is changed, so the
//! isolation argument is the same. Anything that cannot work is reported before anything is written.

use std::path::{Path, PathBuf};

use llm_core::hash::sha256;
use protocol::wire::InferParams;

use crate::error::ToolError;
use crate::policy::{self, Device, With};
use crate::store::{Archive, Contents, StoreFile, Trust, TrustedKeys, pack, store_path};
use crate::{files, keys};
use describe::{adapt_policy, describe};

/// Where the loader puts the image in the board's memory, in bytes from its beginning (`boot` in the
/// board's file).
const IMAGE_AT: u64 = 0x3000_0000;
/// Memory of kernel, monitor, programs, rings, log and the initialiser's own structures, in bytes. Observed: 11 MiB.
const REST: u64 = 48 << 20;
/// Pages that the initialiser can create in all regions together (`tools/isolation/policy.toml` has the reason), less
/// those of the rings and the log.
const SMALL_PAGES: u64 = 53_000;
/// Multiply-accumulates per second of an emulated Cortex-A53 on a slow machine.
const EMULATED_SPEED: u64 = 100_000_000;
/// Tokens that a request should be able to have within the deadline: a prompt of some lines, and the default number of
/// generated tokens.
const FIRST_REQUEST: u64 = 64 + InferParams::DEFAULT.max_tokens as u64;
/// Default context of a system in tokens, unless the model's is smaller.
pub const CONTEXT: usize = 2048;

/// The user's request.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Models, adapters and training data; the first model is loaded at boot.
    pub files: Vec<StoreFile>,
    /// Context in tokens; by default [`CONTEXT`], or the model's own if that is smaller.
    pub context: Option<usize>,
    /// Number of whole contexts that fit the cache.
    pub sessions: usize,
    /// Memory of the board, in bytes.
    pub memory: u64,
}

/// The two blocks that end an archive, whose length is a multiple of twenty blocks.
const STORE_END: u64 = 20 * 512;

/// What a system is made from, besides its files.
#[derive(Clone, Copy, Debug)]
pub struct Templates<'p> {
    /// Template of the description.
    pub description: &'p Path,
    /// Template of the policy.
    pub policy: &'p Path,
    /// The pair of keys that signs the files, without its endings; created if missing.
    pub key: &'p Path,
    /// The device's pair of keys, which signs the adapters made on the device; created if missing.
    pub device_key: &'p Path,
}

/// Writes the system into `folder`: `system.xml`, `policy.toml` with the compiled `policy.bin` and `formats.bin`, and
/// `store.tar`. The schemas of the policy's formats are copied there as well.
///
/// # Errors
/// A template or a file cannot be read or written, or a template lacks something that must be changed.
pub fn write(
    wish: &Wish,
    layout: &Layout,
    templates: &Templates<'_>,
    folder: &Path,
) -> Result<(), ToolError> {
    let make = |folder: &Path| {
        std::fs::create_dir_all(folder).map_err(|source| ToolError::Write {
            path: folder.to_path_buf(),
            source,
        })
    };
    make(folder)?;
    let mut links = Vec::new();
    for file in &wish.files {
        let content = Contents::of(&file.path, &files::read(&file.path)?)?.kind();
        let link = folder.join(store_path(file, content));
        make(link.parent().unwrap_or(folder))?;
        refuse_inside(&link, &file.path)?;
        refuse_other(&link)?;
        links.push(link);
    }
    let (secret, public) = key_pair(templates.key)?;
    let (device, _) = key_pair(templates.device_key)?;
    let system = describe(layout, templates.description)?;
    let system_file = folder.join("system.xml");
    files::write(&system_file, system.as_bytes())?;

    let (policy_text, schemas) = adapt_policy(layout, templates.policy)?;
    for (name, schema) in schemas {
        files::write(&folder.join(name), &schema)?;
    }
    let file = folder.join("policy.toml");
    files::write(&folder.join("this-machine.pub.pem"), &files::read(&public)?)?;
    files::write(&file, policy_text.as_bytes())?;
    let with = With {
        system: Some(&system_file),
        device: Device::File(&device),
    };
    let compiled = policy::compile(&file, with)?;
    files::write_secret(&folder.join("policy.bin"), &compiled.image()?)?;
    files::write(&folder.join("formats.bin"), &compiled.formats_image()?)?;

    // Signatures are stored in the folder, so nobody else's files are touched.
    let secret = keys::read_secret(&secret)?;
    let signed = |(file, path): (&StoreFile, PathBuf)| -> Result<StoreFile, ToolError> {
        let content = files::read(&file.path)?;
        link(&file.path, &path)?;
        let signature = keys::sign(&secret, &sha256(&content));
        files::write(&keys::signature_path(&path), &signature)?;
        Ok(StoreFile {
            name: file.name.clone(),
            path,
        })
    };
    let files = wish.files.iter().zip(links).map(signed);
    let files = files.collect::<Result<_, _>>()?;
    let trust = Trust::Keys(Box::new(TrustedKeys {
        any: compiled.trusted_keys(),
        adapters: None,
    }));
    let Archive { mut bytes, .. } = pack(files, layout.store, &trust)?;
    // The Microkit tool requires a file of exactly the region's size.
    bytes.resize(layout.store as usize, 0);
    files::write(&folder.join("store.tar"), &bytes)
}

/// The pair of keys of this name, created if missing.
fn key_pair(name: &Path) -> Result<(PathBuf, PathBuf), ToolError> {
    let with = |suffix: &str| {
        let mut path = name.as_os_str().to_os_string();
        path.push(suffix);
        PathBuf::from(path)
    };
    let pair = (with(".key.pem"), with(".pub.pem"));
    if !pair.0.exists() {
        if let Some(folder) = name.parent() {
            std::fs::create_dir_all(folder).map_err(|source| ToolError::Write {
                path: folder.to_path_buf(),
                source,
            })?;
        }
        keys::generate(name)?;
    }
    Ok(pair)
}

/// Refuses a file at the place of the system's link, because it could be another file.
fn refuse_inside(link: &Path, file: &Path) -> Result<(), ToolError> {
    let whole = |path: &Path| {
        std::fs::canonicalize(path).map_err(|source| ToolError::Read {
            path: path.to_path_buf(),
            source,
        })
    };
    let folder = link.parent().unwrap_or(Path::new(""));
    match whole(file)?.parent() == Some(&whole(folder)?) {
        true => Err(ToolError::InOutput {
            path: file.to_path_buf(),
        }),
        false => Ok(()),
    }
}

/// Refuses to replace anything that is not a link, because we did not make it.
fn refuse_other(to: &Path) -> Result<(), ToolError> {
    match to.symlink_metadata() {
        Ok(there) if !there.is_symlink() => Err(ToolError::InOutput {
            path: to.to_path_buf(),
        }),
        _ => Ok(()),
    }
}

/// Makes `to` another name of the file `from`.
fn link(from: &Path, to: &Path) -> Result<(), ToolError> {
    let failed = |source| ToolError::Write {
        path: to.to_path_buf(),
        source,
    };
    let from = std::fs::canonicalize(from).map_err(failed)?;
    // A link from an earlier call.
    if to.symlink_metadata().is_ok() {
        std::fs::remove_file(to).map_err(failed)?;
    }
    std::os::unix::fs::symlink(from, to).map_err(failed)
}

mod describe;
mod layout;
#[cfg(test)]
mod tests;

pub use layout::{Layout, Regions, plan};
