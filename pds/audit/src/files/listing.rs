//! The list of models and adapters on the disk, as files last gave it.

use heapless::Vec;
use protocol::error::Failure;
use protocol::name::ModelName;
use protocol::on_disk::OnDisk;
use protocol::store::Content;

/// Limit of models in the list, and also of adapters. It sets the size of audit's table (20 KiB). Further files can be
/// loaded, but are not shown.
const LISTED: usize = 128;

/// A model or adapter of the disk, as it is listed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    pub(crate) name: ModelName,
    /// `None` if only its signature has been seen so far.
    pub(crate) bytes: Option<u64>,
    pub(crate) has_signature: bool,
}

/// The state of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// Nobody has asked for it yet.
    Unknown,
    /// Files must be asked for it.
    Wanted,
    /// Files has been asked and has not finished.
    Asked,
    /// It is complete.
    Known,
    /// The disk could not be listed, for this reason.
    Failed(Failure),
}

/// Files of one content.
#[derive(Debug)]
struct Items {
    items: Vec<Listed, LISTED>,
    /// Number of files that cannot be shown: their names are invalid or too long, or there are too many.
    skipped: u32,
}

impl Items {
    const fn new() -> Self {
        Self {
            items: Vec::new(),
            skipped: 0,
        }
    }

    fn clear(&mut self) {
        self.items.clear();
        self.skipped = 0;
    }

    /// Finds or adds the file with this name; `None` if it cannot be shown.
    fn entry(&mut self, found: &OnDisk<'_>) -> Option<&mut Listed> {
        let name = found.named()?;
        // The file system ignores case, so a signature's name may differ in case from its file's.
        let is = |listed: &Listed| listed.name.as_str().eq_ignore_ascii_case(name.as_str());
        let index = match self.items.iter().position(is) {
            Some(index) => index,
            None => {
                let index = self.items.len();
                let listed = Listed {
                    name,
                    bytes: None,
                    has_signature: false,
                };
                self.items.push(listed).ok()?;
                index
            }
        };
        self.items.get_mut(index)
    }
}

/// The list of files on the disk; see the module.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) state: Listing,
    models: Items,
    adapters: Items,
}

impl List {
    pub(crate) const fn new() -> Self {
        Self {
            state: Listing::Unknown,
            models: Items::new(),
            adapters: Items::new(),
        }
    }

    /// Somebody wants an up-to-date list.
    pub(crate) fn want(&mut self) {
        if self.state != Listing::Asked {
            self.state = Listing::Wanted;
        }
    }

    /// Files has been asked.
    pub(crate) fn begin(&mut self) {
        self.state = Listing::Asked;
        self.models.clear();
        self.adapters.clear();
    }

    /// Adds a file of the list.
    pub(crate) fn add(&mut self, path: &[u8], bytes: u64) {
        let Some(found) = OnDisk::at(path) else {
            return;
        };
        let items = match found.content {
            Content::Adapter => &mut self.adapters,
            Content::Model => &mut self.models,
            Content::Data => return,
        };
        match items.entry(&found) {
            Some(listed) if found.is_signature => listed.has_signature = true,
            // Of two files whose names differ only in case, the first is the one that is opened.
            Some(listed) => listed.bytes = listed.bytes.or(Some(bytes)),
            None if found.is_signature => {}
            None => items.skipped = items.skipped.saturating_add(1),
        }
    }

    /// Ends the list, successfully or not. A file that files could not name may be a model or an adapter, so it counts
    /// as both.
    pub(crate) fn end(&mut self, result: Result<u32, Failure>) {
        self.state = match result {
            Ok(skipped) => {
                for items in [&mut self.models, &mut self.adapters] {
                    items.skipped = items.skipped.saturating_add(skipped);
                }
                Listing::Known
            }
            Err(failure) => Listing::Failed(failure),
        };
    }

    const fn items(&self, content: Content) -> &Items {
        match content {
            Content::Adapter => &self.adapters,
            Content::Model | Content::Data => &self.models,
        }
    }

    /// The file at this place of the list: its name, its size in bytes, and whether it has a signature.
    pub(crate) fn nth(&self, content: Content, index: usize) -> Option<(ModelName, u64, bool)> {
        // Signatures without a file do not count.
        let items = self.items(content).items.iter();
        let mut items = items.filter_map(|it| Some((it.name, it.bytes?, it.has_signature)));
        items.nth(index)
    }

    /// Number of files with this content that cannot be shown.
    pub(crate) const fn skipped(&self, content: Content) -> u32 {
        self.items(content).skipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_whose_names_differ_only_in_case_are_one_and_the_first_counts() {
        let mut list = List::new();
        for (path, bytes) in [
            ("tales.GGUF.sig", 64),
            ("TALES.gguf", 10),
            ("tales.gguf", 20),
            ("ADAPTERS/Moods.gguf", 30),
            (".gguf", 40),
        ] {
            list.add(path.as_bytes(), bytes);
        }
        let (name, bytes, has_signature) = list.nth(Content::Model, 0).unwrap();
        assert_eq!(
            (name.as_str(), bytes, has_signature),
            ("disk/tales", 10, true)
        );
        assert!(list.nth(Content::Model, 1).is_none());
        assert_eq!(list.skipped(Content::Model), 1, "the one without a name");
        let (name, _, has_signature) = list.nth(Content::Adapter, 0).unwrap();
        assert_eq!((name.as_str(), has_signature), ("disk/Moods", false));
    }
}
