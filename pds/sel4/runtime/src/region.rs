//! Regions of `system.xml`, with the address and size that the Microkit tool has written.

use core::ptr::NonNull;
use core::slice;
use protocol::region::{PartsRegion, ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::{Endpoint, REGION_BYTES, RegionTooSmall};

/// Address and size of a mapped region.
#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    /// Value of `setvar_vaddr`.
    pub address: usize,
    /// Value of `setvar_size`.
    pub bytes: usize,
}

/// Why a region cannot be used, or why two do not make a pair of rings. `make image` refuses such a description. If a
/// domain gets one anyway, it must not touch the regions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// `system.xml` sets no address for it.
    #[error("a region has no address: system.xml maps it without setvar_vaddr")]
    NoAddress,
    /// The size is not that of a ring. A region that is too small would fault in the middle of a message.
    #[error(
        "a ring's region has {bytes} bytes, not {REGION_BYTES}: correct its size in system.xml"
    )]
    Size {
        /// The size that the Microkit tool has written.
        bytes: usize,
    },
    /// A region is smaller than what lies in it.
    #[error("a region has {bytes} bytes, less than {needed}: correct its size in system.xml")]
    TooSmall {
        /// The size that the Microkit tool has written.
        bytes: usize,
        /// Bytes of what lies in it.
        needed: usize,
    },
    /// The ring refuses the region.
    #[error(transparent)]
    Ring(#[from] RegionTooSmall),
}

/// The end of a pair of rings over these regions.
///
/// # Errors
/// A region has no address, or not the size of a ring. Nothing was touched.
///
/// # Safety
/// Each region is mapped as stated, `theirs` readable and `ours` writable, and nothing else in the domain uses them.
pub unsafe fn endpoint(
    theirs: Mapped,
    ours: Mapped,
) -> Result<Endpoint<ReadOnlyRegion, ReadWriteRegion>, RingError> {
    let (theirs, ours) = (checked(theirs)?, checked(ours)?);
    // SAFETY: by the caller's promise, for REGION_BYTES, with which `checked` has compared the size; pages are aligned.
    let theirs = unsafe { ReadOnlyRegion::new(theirs, REGION_BYTES) };
    // SAFETY: as above.
    let ours = unsafe { ReadWriteRegion::new(ours, REGION_BYTES) };
    Ok(Endpoint::new(theirs, ours)?)
}

fn checked(region: Mapped) -> Result<NonNull<u64>, RingError> {
    let Mapped { bytes, .. } = region;
    if bytes != REGION_BYTES {
        return Err(RingError::Size { bytes });
    }
    start(region)
}

fn start(region: Mapped) -> Result<NonNull<u64>, RingError> {
    NonNull::new(region.address as *mut u64).ok_or(RingError::NoAddress)
}

/// A region that only this domain writes, and that another may read at any time.
///
/// # Errors
/// It has no address.
///
/// # Safety
/// It is mapped as stated, writable only here, and nothing in the domain makes a reference to it.
pub unsafe fn written(region: Mapped) -> Result<ReadWriteRegion, RingError> {
    // SAFETY: by the caller's promise; pages are aligned.
    Ok(unsafe { ReadWriteRegion::new(start(region)?, region.bytes) })
}

/// What several domains of a compartment share.
///
/// # Errors
/// The region has no address, or is too small.
///
/// # Safety
/// It is mapped as stated, readable and writable. Any bytes are a valid `T`, which consists of atomics, and everybody who
/// maps the region uses it as a `T`.
pub unsafe fn common<T: Sync>(region: Mapped) -> Result<&'static T, RingError> {
    const { assert!(align_of::<T>() <= 4096) };
    let (bytes, needed) = (region.bytes, size_of::<T>());
    let start = start(region)?;
    if bytes < needed {
        return Err(RingError::TooSmall { bytes, needed });
    }
    // SAFETY: by the caller's promise; pages are aligned, and it is large enough.
    Ok(unsafe { start.cast().as_ref() })
}

/// A region in which a trusted domain names parts to be read.
///
/// # Errors
/// It has no address.
///
/// # Safety
/// It is mapped as stated and readable, and its one writer and its user here keep the promises of [`PartsRegion::new`].
pub unsafe fn parts(region: Mapped) -> Result<PartsRegion, RingError> {
    // SAFETY: the caller's promise.
    Ok(unsafe { PartsRegion::new(start(region)?.cast(), region.bytes) })
}

/// A region that nobody writes.
///
/// # Safety
/// It is mapped as stated and readable, and no domain maps it writable.
#[must_use]
pub unsafe fn immutable(region: Mapped) -> &'static [u8] {
    // SAFETY: the caller's promise.
    unsafe { slice::from_raw_parts(region.address as *const u8, region.bytes) }
}

/// A region that only this domain maps, zeroed.
///
/// # Safety
/// It is mapped as stated and writable, no other domain maps it, and nothing in the domain holds a reference to it.
#[must_use]
pub unsafe fn private(region: Mapped) -> &'static mut [u8] {
    // SAFETY: by the caller's promise; any bytes are valid for u8.
    let memory = unsafe { slice::from_raw_parts_mut(region.address as *mut u8, region.bytes) };
    memory.fill(0);
    memory
}
