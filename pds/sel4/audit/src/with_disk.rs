//! A system with a disk: a pair of rings with files, a staging copy, and the model slots.

use component::JournalMemory;
use component::files::Files;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use runtime::patched;
use runtime::region::{self, Mapped, RingError};
use sel4_microkit::Channel;
use static_cell::ConstStaticCell;

patched! {
    files_channel audit_to_files audit_to_files_size files_to_audit files_to_audit_size
    staging staging_size model_slots model_slots_size
}

/// For the log on the disk.
static JOURNAL: ConstStaticCell<JournalMemory> = ConstStaticCell::new(JournalMemory::new());

pub(crate) type End = Files<ReadOnlyRegion, ReadWriteRegion>;

/// `store` is the model store; for inference, the slots begin at the offset after it.
pub(crate) fn end(store: &[u8]) -> Result<Option<End>, RingError> {
    let region = |address, bytes| Mapped { address, bytes };
    let theirs = region(files_to_audit(), files_to_audit_size());
    let ours = region(audit_to_files(), audit_to_files_size());
    // SAFETY: `system.xml` maps these to this domain, only for the rings.
    let ring = unsafe { region::endpoint(theirs, ours)? };
    // SAFETY: `system.xml` maps the staging copy only to this domain; this is its only use.
    let staging = unsafe { region::written(region(staging(), staging_size()))? };
    // SAFETY: `system.xml` maps the slots writable only in this domain; this is their only use.
    let slots = unsafe { region::written(region(model_slots(), model_slots_size()))? };
    Ok(Some(Files::new(
        ring,
        staging,
        slots,
        store,
        JOURNAL.take(),
    )))
}

pub(crate) fn notify() {
    Channel::new(files_channel()).notify();
}
