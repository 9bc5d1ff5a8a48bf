//! The model store: a tar archive in a region that nobody writes.

use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_NAME_BYTES;
use tar_no_std::{ArchiveEntry, TarArchiveRef};

/// What a model's file name ends in; the rest is the model's name.
const SUFFIX: &str = ".gguf";

/// Name of a model: at most [`MAX_NAME_BYTES`] bytes.
type Name = heapless::String<MAX_NAME_BYTES>;

/// A model in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredModel<'s> {
    /// Its name.
    pub name: Name,
    /// Its GGUF file.
    pub file: &'s [u8],
}

/// The models of an archive.
#[derive(Clone, Copy, Debug)]
pub struct Store<'s> {
    archive: &'s [u8],
}

impl<'s> Store<'s> {
    /// The store in `archive`, which is checked whenever it is read.
    #[must_use]
    pub const fn new(archive: &'s [u8]) -> Self {
        Self { archive }
    }

    /// Its models, in the archive's order. Other files, and files whose names are too long, are
    /// left out.
    ///
    /// # Errors
    /// It is no tar archive.
    pub fn models(&self) -> Result<impl Iterator<Item = StoredModel<'s>> + use<'s>, Failure> {
        let archive = TarArchiveRef::new(self.archive)
            .map_err(|_| Failure::over(ErrorCode::BadStore, self.archive.len() as u64, 0))?;
        Ok(archive.entries().filter_map(|entry| model(&entry)))
    }

    /// The model of this name.
    ///
    /// # Errors
    /// There is none, or no store.
    pub fn find(&self, name: &str) -> Result<StoredModel<'s>, Failure> {
        self.models()?
            .find(|model| model.name == name)
            .ok_or(Failure::of(ErrorCode::NoSuchModel))
    }
}

/// The model in an entry, if it is one.
fn model<'s>(entry: &ArchiveEntry<'s>) -> Option<StoredModel<'s>> {
    let path = entry.filename();
    let path = path.as_str().ok()?;
    let file_name = path.rsplit('/').next()?;
    let name = file_name.strip_suffix(SUFFIX)?;
    if name.is_empty() {
        return None;
    }
    Some(StoredModel {
        name: Name::try_from(name).ok()?,
        file: entry.data(),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
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
    fn models_are_found_by_name_and_other_files_are_not_models() {
        let mut archive = archive(&[
            ("README", b"no model"),
            ("tiny.gguf", b"GGUF tiny"),
            ("models/default.gguf", b"GGUF default"),
            (".gguf", b"no name"),
        ]);
        archive.resize(1 << 16, 0); // A region is longer than its archive.
        let store = Store::new(&archive);
        let names: Vec<_> = store.models().unwrap().map(|model| model.name).collect();
        assert_eq!(names, ["tiny", "default"]);
        assert_eq!(store.find("default").unwrap().file, b"GGUF default");
        assert_eq!(
            store.find("other").unwrap_err().code,
            ErrorCode::NoSuchModel
        );
    }

    #[test]
    fn what_is_no_archive_is_refused() {
        for archive in [&[][..], &[0xFF; 1024], &[1; 511]] {
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
            if let Ok(models) = Store::new(&archive).models() {
                prop_assert!(models.count() <= len / 512);
            }
        }
    }
}
