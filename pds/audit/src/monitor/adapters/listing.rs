//! Lists of adapters: those of the store, those made here, those of the disk.

use crate::files::FilesEnd;
use crate::monitor::Monitor;
use protocol::name::ModelName;
use protocol::region::{ReadWords, WriteWords};
use protocol::store::Content;
use protocol::wire::client::{AdapterEntry, AdapterOrigin, Signature};

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    /// The adapter at this place of a list: those made here come first, then those of the store.
    pub(in crate::monitor) fn adapter_entry(&self, index: usize) -> Option<AdapterEntry> {
        let known = |name| {
            let found = self.places.find(name).map(|(_, adapter)| adapter);
            found.filter(|adapter| adapter.is_present)
        };
        if let Some(made) = self.shelf.nth(index) {
            let loaded = known(made.name);
            return Some(AdapterEntry {
                name: made.name,
                file_bytes: made.space.bytes as u64,
                sha256: made.sha256,
                base_sha256: made.base,
                origin: AdapterOrigin::Device,
                signature: Signature::Good,
                loaded: loaded.is_some(),
                info: loaded.map(|adapter| adapter.info).unwrap_or_default(),
            });
        }
        let index = index.checked_sub(self.shelf.len())?;
        let mut items = self.models.store().items(Content::Adapter).ok()?;
        let item = items.nth(index)?;
        let (name, offset) = (ModelName::new(item.name)?, item.file.offset);
        let loaded = known(name).filter(|it| it.offset == offset as u64);
        let current = self.link.current.as_ref();
        let base = current.filter(|_| loaded.is_some());
        Some(AdapterEntry {
            name,
            file_bytes: item.file.data.len() as u64,
            sha256: self.models.sha256(offset).unwrap_or_default(),
            base_sha256: base.map(|it| it.verified.sha256).unwrap_or_default(),
            origin: AdapterOrigin::Store,
            signature: self.models.signature(offset, item.signature.is_some()),
            loaded: loaded.is_some(),
            info: loaded.map(|adapter| adapter.info).unwrap_or_default(),
        })
    }

    /// How many adapters precede those of the disk in a list.
    pub(in crate::monitor) fn adapters_off_disk(&self) -> usize {
        let in_store = self.models.store().items(Content::Adapter);
        let in_store = in_store.map_or(0, |items| {
            items.fold(0usize, |count, _| count.saturating_add(1))
        });
        in_store.saturating_add(self.shelf.len())
    }

    /// An adapter of the disk, for a list. By now the disk may have another file than the one that was loaded.
    pub(in crate::monitor) fn adapter_of_disk(
        &self,
        name: ModelName,
        file_bytes: u64,
        has_signature: bool,
    ) -> AdapterEntry {
        let loaded = self.places.find(name).map(|(_, adapter)| adapter);
        let loaded = loaded.filter(|adapter| adapter.is_present);
        let current = self.link.current.as_ref();
        let base = current.filter(|_| loaded.is_some());
        AdapterEntry {
            name,
            file_bytes,
            sha256: loaded.map(|adapter| adapter.sha256).unwrap_or_default(),
            base_sha256: base.map(|it| it.verified.sha256).unwrap_or_default(),
            origin: AdapterOrigin::Disk,
            signature: match (has_signature, loaded) {
                (false, _) => Signature::Missing,
                (true, Some(_)) => Signature::Good,
                (true, None) => Signature::Unchecked,
            },
            loaded: loaded.is_some(),
            info: loaded.map(|adapter| adapter.info).unwrap_or_default(),
        }
    }
}
