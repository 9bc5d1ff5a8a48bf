//! The store: a tar archive of models, adapters, training data and their signatures, in a region that nobody writes.
//!
//! The name and folder of a file determine what it is: `NAME.gguf` is a model, `NAME.gguf` in the folder `adapters` is
//! an adapter, `NAME.jsonl` or `NAME.txt` in the folder `data` is training data. Its signature is beside it.
//!
//! Audit finds and verifies a file, then tells inference where the verified bytes are. So the archive has one reader,
//! and there is no second interpretation of a name. The reader is hand-written because audit must be total: what it
//! needs of tar (`ustar`: name, size, data, in blocks of 512 bytes) is less work than proving that a crate never
//! panics. `llmtool pack` writes the archive with the crate `tar`, and the tests read its output.

use crate::error::{ErrorCode, Failure};
use crate::hash::SIGNATURE_BYTES;
use crate::limits::MAX_NAME_BYTES;

/// Size of a block: a header is one block, and data are padded to whole blocks.
const BLOCK: usize = 512;

/// Suffix of a model's file name; the rest is the model's name.
pub const MODEL_SUFFIX: &str = ".gguf";

/// The folder of adapters.
pub const ADAPTERS_FOLDER: &str = "adapters";

/// The folder of training data.
pub const DATA_FOLDER: &str = "data";

/// Suffixes of training data; the rest is the name.
pub const DATA_SUFFIXES: [&str; 2] = [".jsonl", ".txt"];

/// The audit log's file, at the top of a disk.
pub const LOG_FILE: &str = "AUDIT.LOG";

/// Suffix of signature files, which hold 64 bytes: Ed25519 over the SHA-256 of the file.
pub const SIGNATURE_SUFFIX: &str = ".sig";

/// A file of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct File<'s> {
    /// Its path in the archive.
    pub path: &'s str,
    /// Offset of its data in the archive, in bytes.
    pub offset: usize,
    /// Its data.
    pub data: &'s [u8],
}

impl<'s> File<'s> {
    /// The last component of its path.
    #[must_use]
    pub fn file_name(&self) -> &'s str {
        // Splits forwards, because a search from the end contains panics that no compiler can rule out.
        let mut name = self.path;
        while let Some((_, rest)) = name.split_once('/') {
            name = rest;
        }
        name
    }

    /// Its folder; "" at the top.
    #[must_use]
    pub fn folder(&self) -> &'s str {
        let (mut folder, mut name) = ("", self.path);
        while let Some((next, rest)) = name.split_once('/') {
            (folder, name) = (next, rest);
        }
        folder
    }

    /// The model's name, if the file is a model with a valid name.
    #[must_use]
    pub fn model(&self) -> Option<&'s str> {
        self.name_as(Content::Model)
    }

    /// The file's name without suffix, if it has this content and a valid name.
    #[must_use]
    pub fn name_as(&self, content: Content) -> Option<&'s str> {
        let (file, folder) = (self.file_name(), self.folder());
        let name = match content {
            Content::Model if folder != ADAPTERS_FOLDER => file.strip_suffix(MODEL_SUFFIX),
            Content::Adapter if folder == ADAPTERS_FOLDER => file.strip_suffix(MODEL_SUFFIX),
            Content::Data if folder == DATA_FOLDER => {
                let mut suffixes = DATA_SUFFIXES.iter();
                suffixes.find_map(|suffix| file.strip_suffix(suffix))
            }
            _ => None,
        }?;
        crate::name::ModelName::new(name)
            .filter(|name| !name.is_empty())
            .map(|_| name)
    }
}

/// The archive.
#[derive(Clone, Copy, Debug)]
pub struct Store<'s> {
    archive: &'s [u8],
}

/// Content of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A model.
    Model,
    /// An adapter.
    Adapter,
    /// Training data.
    Data,
}

impl Content {
    /// The error for a missing name.
    const fn missing(self) -> ErrorCode {
        match self {
            Self::Model => ErrorCode::NoSuchModel,
            Self::Adapter => ErrorCode::NoSuchAdapter,
            Self::Data => ErrorCode::NoSuchData,
        }
    }
}

/// A model, an adapter or training data in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its file.
    pub file: File<'s>,
    /// Its signature, if there is one of the right length.
    pub signature: Option<[u8; SIGNATURE_BYTES]>,
}

impl<'s> Store<'s> {
    /// A store over `archive`, which is checked on every read.
    #[must_use]
    pub const fn new(archive: &'s [u8]) -> Self {
        Self { archive }
    }

    /// The files in archive order, up to the end of the archive or the first damage.
    pub fn files(&self) -> impl Iterator<Item = File<'s>> + use<'s> {
        let archive = self.archive;
        let mut at = 0;
        core::iter::from_fn(move || {
            loop {
                let entry = Member::at(archive, at)?;
                at = entry.next;
                if let Some(file) = entry.file {
                    return Some(file);
                }
            }
        })
    }

    /// All models; see [`Self::items`].
    ///
    /// # Errors
    /// The archive is not a tar archive.
    pub fn models(&self) -> Result<impl Iterator<Item = Item<'s>> + use<'s>, Failure> {
        self.items(Content::Model)
    }

    /// All files of this content. Other files, and those whose names cannot be typed, are left out.
    ///
    /// # Errors
    /// The archive is not a tar archive.
    pub fn items(
        &self,
        content: Content,
    ) -> Result<impl Iterator<Item = Item<'s>> + use<'s>, Failure> {
        if Member::at(self.archive, 0).is_none() {
            let bytes = self.archive.len() as u64;
            return Err(Failure::over(ErrorCode::BadStore, bytes, 0));
        }
        let store = *self;
        Ok(self.files().filter_map(move |file| {
            Some(Item {
                name: file.name_as(content)?,
                file,
                signature: store.signature(&file),
            })
        }))
    }

    /// The first model of this name.
    ///
    /// # Errors
    /// There is no such model, or no store.
    pub fn find(&self, name: &str) -> Result<Item<'s>, Failure> {
        self.find_item(Content::Model, name)
    }

    /// The first file of this content and name.
    ///
    /// # Errors
    /// There is no such file, or no store.
    pub fn find_item(&self, content: Content, name: &str) -> Result<Item<'s>, Failure> {
        let mut items = self.items(content)?;
        items
            .find(|item| item.name == name)
            .ok_or(Failure::of(content.missing()))
    }

    /// The signature beside the file `of`.
    fn signature(&self, of: &File<'_>) -> Option<[u8; SIGNATURE_BYTES]> {
        let is_it = |file: &File<'_>| file.path.strip_suffix(SIGNATURE_SUFFIX) == Some(of.path);
        self.files().find(is_it)?.data.try_into().ok()
    }
}

/// An archive header and its data.
struct Member<'s> {
    file: Option<File<'s>>,
    /// Offset of the next header.
    next: usize,
}

impl<'s> Member<'s> {
    /// The entry whose header is at `at`. `None` at the end, which is a zero block, and where there is no valid header.
    fn at(archive: &'s [u8], at: usize) -> Option<Self> {
        let offset = at.checked_add(BLOCK)?;
        let header = archive.get(at..offset)?;
        if !has_checksum(header) {
            return None;
        }
        let bytes = usize::try_from(octal(header.get(124..136)?)?).ok()?;
        let data = archive.get(offset..offset.checked_add(bytes)?)?;
        let next = offset.checked_add(bytes.checked_next_multiple_of(BLOCK)?)?;
        // '0' or zero means a file. Directories, links and extensions are skipped.
        let is_file = matches!(header.get(156)?, b'0' | 0);
        // A prefix would make the name longer than that of any model.
        let whole = header.get(345) == Some(&0) || header.get(257..262) != Some(b"ustar");
        let name = header.get(..100)?;
        let name = name.split(|byte| *byte == 0).next()?;
        let path = core::str::from_utf8(name).ok();
        let file = path
            .filter(|path| is_file && whole && path.len() <= MAX_PATH_BYTES)
            .map(|path| File { path, offset, data });
        Some(Self { file, next })
    }
}

/// Longest path that a header's name field holds.
const MAX_PATH_BYTES: usize = 100;

const _: () = assert!(MAX_NAME_BYTES < MAX_PATH_BYTES);

/// Whether the header's checksum is right; the checksum field itself counts as spaces.
fn has_checksum(header: &[u8]) -> bool {
    let sum = header.iter().enumerate().fold(0u64, |sum, (i, byte)| {
        let byte = if (148..156).contains(&i) { b' ' } else { *byte };
        sum.saturating_add(u64::from(byte))
    });
    header.get(148..156).and_then(octal) == Some(sum)
}

/// Parses an octal number terminated by a space or a zero.
fn octal(field: &[u8]) -> Option<u64> {
    let mut value = 0u64;
    let mut any = false;
    for byte in field {
        match byte {
            b' ' if !any => {}
            b'0'..=b'7' => {
                any = true;
                let digit = u64::from(byte.saturating_sub(b'0'));
                value = value.checked_mul(8)?.checked_add(digit)?;
            }
            b' ' | 0 => break,
            _ => return None,
        }
    }
    any.then_some(value)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, data) in files {
            let mut header = tar::Header::new_ustar();
            header.set_size(data.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *data).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn models_are_found_by_name_with_their_signatures_and_other_files_are_not_models() {
        let signature = [7; SIGNATURE_BYTES];
        let mut archive = archive(&[
            ("README", b"no model"),
            ("tiny.gguf", b"GGUF tiny"),
            ("models/default.gguf", b"GGUF default"),
            ("models/default.gguf.sig", &signature),
            ("tiny.gguf.sig", b"too short"),
            (".gguf", b"no name"),
            ("tiny.gguf", b"a second one is not found"),
        ]);
        archive.resize(1 << 16, 0); // A region is longer than its archive.
        let store = Store::new(&archive);
        let names: Vec<_> = store.models().unwrap().map(|model| model.name).collect();
        assert_eq!(names, ["tiny", "default", "tiny"]);
        let model = store.find("default").unwrap();
        assert_eq!(model.file.data, b"GGUF default");
        assert_eq!(model.signature, Some(signature));
        let File { offset, data, .. } = model.file;
        assert_eq!(&archive[offset..offset + data.len()], data);
        let tiny = store.find("tiny").unwrap();
        assert_eq!((tiny.file.data, tiny.signature), (&b"GGUF tiny"[..], None));
        assert_eq!(
            store.find("other").unwrap_err().code,
            ErrorCode::NoSuchModel
        );
    }

    #[test]
    fn what_a_file_is_says_its_folder_and_its_suffix() {
        let signature = [7; SIGNATURE_BYTES];
        let archive = archive(&[
            ("adapters/moral.gguf", b"GGUF adapter"),
            ("default.gguf", b"GGUF default"),
            ("data/moral.jsonl", b"{}"),
            ("data/moral.jsonl.sig", &signature),
            ("data/tales.txt", b"once"),
            ("moral.txt", b"not in the folder"),
            ("data/other.gguf", b"GGUF other"),
            ("sets/adapters/deep.gguf", b"GGUF deep"),
            ("adapters/notes.txt", b"no adapter"),
        ]);
        let store = Store::new(&archive);
        let names = |content| -> Vec<_> {
            let items = store.items(content).unwrap();
            items.map(|item| item.name).collect()
        };
        assert_eq!(names(Content::Model), ["default", "other"]);
        assert_eq!(names(Content::Adapter), ["moral", "deep"]);
        assert_eq!(names(Content::Data), ["moral", "tales"]);
        let data = store.find_item(Content::Data, "moral").unwrap();
        assert_eq!(
            (data.file.data, data.signature),
            (&b"{}"[..], Some(signature))
        );
        for (content, code) in [
            (Content::Model, ErrorCode::NoSuchModel),
            (Content::Adapter, ErrorCode::NoSuchAdapter),
            (Content::Data, ErrorCode::NoSuchData),
        ] {
            let none = store.find_item(content, "none").unwrap_err();
            assert_eq!(none, Failure::of(code));
        }
        assert_eq!(
            store.find("moral").unwrap_err().code,
            ErrorCode::NoSuchModel
        );
    }

    #[test]
    fn sizes_are_octal_with_spaces_before_and_an_end_after() {
        assert_eq!(octal(b"  17 9"), Some(0o17));
        assert_eq!(octal(b"0000\x008"), Some(0));
        assert_eq!(octal(b"7777777777777777777777"), None, "more than 64 bits");
        for wrong in [&b""[..], b"    ", b"18", b"-1", b"\0"] {
            assert_eq!(octal(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        for archive in [&[][..], &[0xFF; 1024], &[1; 511], &[0; 2048]] {
            assert_eq!(
                Store::new(archive).find("x").unwrap_err().code,
                ErrorCode::BadStore
            );
        }
    }

    proptest! {
        #[test]
        fn any_change_of_an_archive_is_read_or_refused(
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20)
        ) {
            let mut archive = archive(&[("a.gguf", &[1; 700]), ("b.gguf", &[2; 10])]);
            let len = archive.len();
            for (index, byte) in changes {
                archive[index.index(len)] = byte;
            }
            for file in Store::new(&archive).files() {
                prop_assert!(archive[file.offset..].starts_with(file.data));
            }
        }
    }
}
