//! Names on the disk: what users call a file, and its path.
//!
//! Files have the same paths as in the store's archive: `NAME.gguf`, `adapters/NAME.gguf`, `data/NAME.jsonl`. A user
//! calls each of them `disk/NAME`; the kind of request says which one is meant. FAT ignores the case of ASCII letters, so
//! this module does, too.

use crate::limits;
use crate::name::ModelName;
use crate::store::{
    ADAPTERS_FOLDER, Content, DATA_FOLDER, DATA_SUFFIXES, MODEL_SUFFIX, SIGNATURE_SUFFIX,
};

/// Prefix of the names of files on the disk; no name in the store has it.
pub const PREFIX: &str = "disk/";

/// Longest name of a file on the disk, in bytes, without the prefix and the ending; its folders count.
pub const MAX_NAME_BYTES: usize = limits::MAX_NAME_BYTES - PREFIX.len();

/// The file at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnDisk<'p> {
    /// The content that its folder and ending stand for.
    pub content: Content,
    /// Its path without folder and ending. It may not be a valid name.
    pub name: &'p [u8],
    /// Whether it is the signature of that file.
    pub is_signature: bool,
}

impl<'p> OnDisk<'p> {
    /// Classifies a path; `None` if audit never asks for such a path.
    #[must_use]
    pub fn at(path: &'p [u8]) -> Option<Self> {
        let unsigned = without_suffix(path, SIGNATURE_SUFFIX);
        let (path, is_signature) = (unsigned.unwrap_or(path), unsigned.is_some());
        let (content, name) = match (within(path, ADAPTERS_FOLDER), within(path, DATA_FOLDER)) {
            (Some(path), _) => (Content::Adapter, without_suffix(path, MODEL_SUFFIX)),
            (None, Some(path)) => {
                let mut suffixes = DATA_SUFFIXES.iter();
                let name = suffixes.find_map(|suffix| without_suffix(path, suffix));
                (Content::Data, name)
            }
            (None, None) => (Content::Model, without_suffix(path, MODEL_SUFFIX)),
        };
        Some(Self {
            content,
            name: name?,
            is_signature,
        })
    }

    /// The name by which users ask for it; `None` if it cannot have one.
    #[must_use]
    pub fn named(&self) -> Option<ModelName> {
        named(self.name)
    }
}

/// The name by which users ask for the file with this path, without folder and ending; `None` if it cannot have one.
#[must_use]
pub fn named(path: &[u8]) -> Option<ModelName> {
    let path = core::str::from_utf8(path)
        .ok()
        .filter(|path| !path.is_empty())?;
    ModelName::new(PREFIX)?.followed_by(path.as_bytes())
}

/// The path relative to this folder, if it lies there.
fn within<'p>(path: &'p [u8], folder: &str) -> Option<&'p [u8]> {
    let (first, rest) = path.split_at_checked(folder.len())?;
    let rest = rest.strip_prefix(b"/")?;
    first
        .eq_ignore_ascii_case(folder.as_bytes())
        .then_some(rest)
}

fn without_suffix<'p>(path: &'p [u8], suffix: &str) -> Option<&'p [u8]> {
    let at = path.len().checked_sub(suffix.len())?;
    let (path, end) = path.split_at_checked(at)?;
    end.eq_ignore_ascii_case(suffix.as_bytes()).then_some(path)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::ToString as _;

    fn at(path: &str) -> Option<(Content, std::string::String, bool)> {
        let found = OnDisk::at(path.as_bytes())?;
        Some((
            found.content,
            found.named()?.to_string(),
            found.is_signature,
        ))
    }

    #[test]
    fn a_path_is_classified_by_folder_and_ending_in_any_case() {
        let is = |content, name: &str, is_signature| Some((content, name.into(), is_signature));
        for (path, expected) in [
            ("tales.gguf", is(Content::Model, "disk/tales", false)),
            ("TALES.GGUF", is(Content::Model, "disk/TALES", false)),
            ("Tales.GgUf.SIG", is(Content::Model, "disk/Tales", true)),
            ("more/big.gguf", is(Content::Model, "disk/more/big", false)),
            ("adapters/m.gguf", is(Content::Adapter, "disk/m", false)),
            ("ADAPTERS/m.gguf.sig", is(Content::Adapter, "disk/m", true)),
            ("data/f.jsonl", is(Content::Data, "disk/f", false)),
            ("Data/f.TXT", is(Content::Data, "disk/f", false)),
            ("data/f.gguf", None),
            ("adapters/m.txt", None),
            ("AUDIT.LOG", None),
            (".gguf", None),
            ("gguf", None),
            (".sig", None),
            ("", None),
            ("two words.gguf", None),
            ("größe.gguf", None),
        ] {
            assert_eq!(at(path), expected, "{path}");
        }
    }
}
