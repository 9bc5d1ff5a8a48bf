//! Regions of `system.xml`.

use core::ptr::NonNull;
use core::slice;
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::{Endpoint, REGION_BYTES};

/// The end of a pair of rings over the regions at these addresses.
///
/// # Panics
/// An address is 0: the Microkit tool has not patched it.
///
/// # Safety
/// `theirs` and `ours` are mapped for [`REGION_BYTES`] bytes, the first readable, the second
/// writable, and nothing else in the domain uses them.
#[must_use]
pub unsafe fn endpoint(theirs: usize, ours: usize) -> Endpoint<ReadOnlyRegion, ReadWriteRegion> {
    let pointer = |address: usize| NonNull::new(address as *mut u64).expect("a patched address");
    // SAFETY: the caller's promise; pages are aligned.
    let theirs = unsafe { ReadOnlyRegion::new(pointer(theirs), REGION_BYTES) };
    // SAFETY: as above.
    let ours = unsafe { ReadWriteRegion::new(pointer(ours), REGION_BYTES) };
    Endpoint::new(theirs, ours).expect("regions of the size of the rings")
}

/// A region that nobody writes.
///
/// # Safety
/// `bytes` bytes at `address` are mapped readable, and no domain maps them writable.
#[must_use]
pub unsafe fn immutable(address: usize, bytes: usize) -> &'static [u8] {
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(address as *const u8, bytes) }
}

/// A region that this domain alone maps, zeroed.
///
/// # Safety
/// `bytes` bytes at `address` are mapped writable here and nowhere else, and nothing in the domain
/// holds a reference to them.
#[must_use]
pub unsafe fn private(address: usize, bytes: usize) -> &'static mut [u8] {
    // SAFETY: the caller's promise; any bytes are valid for u8.
    let memory = unsafe { slice::from_raw_parts_mut(address as *mut u8, bytes) };
    memory.fill(0);
    memory
}
