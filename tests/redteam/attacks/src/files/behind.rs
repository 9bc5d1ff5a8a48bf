//! The honest files behind the hostile one, which stands between it and audit as a man in the middle: so there is a log on
//! the disk, and what becomes of it is the hostile one's choice.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::{Endpoint, REGION_BYTES};

/// An end of a ring.
pub type Ring = Endpoint<ReadOnlyRegion, ReadWriteRegion>;

/// The honest files, which is the runtime's to make.
pub trait Honest {
    /// Goes on as far as it goes now, and signals disk if it has to.
    fn poll(&mut self);
}

/// One of the two regions of the ring between them.
struct Region(UnsafeCell<[u64; REGION_BYTES / 8]>);

// SAFETY: it is plain memory, which only regions made in `between` name; they access it with atomic loads and stores.
unsafe impl Sync for Region {}

impl Region {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; REGION_BYTES / 8]))
    }

    fn read(&'static self) -> Option<ReadOnlyRegion> {
        let start = NonNull::new(self.0.get().cast::<u64>())?;
        // SAFETY: a static of this size, of words; nothing makes a reference to it.
        Some(unsafe { ReadOnlyRegion::new(start, REGION_BYTES) })
    }

    fn written(&'static self) -> Option<ReadWriteRegion> {
        let start = NonNull::new(self.0.get().cast::<u64>())?;
        // SAFETY: as above, and a static behind an `UnsafeCell` is writable.
        Some(unsafe { ReadWriteRegion::new(start, REGION_BYTES) })
    }
}

static QUESTIONS: Region = Region::new();
static ANSWERS: Region = Region::new();

/// The ring between the hostile files and the honest one: the end that asks, and the one that answers. Once.
#[must_use]
pub fn between() -> Option<(Ring, Ring)> {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    // The lock-free swap is not on every target; one thread calls this.
    if IS_TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    IS_TAKEN.store(true, Ordering::Relaxed);
    let mut asks = Endpoint::new(ANSWERS.read()?, QUESTIONS.written()?).ok()?;
    asks.lead(1);
    let answers = Endpoint::new(QUESTIONS.read()?, ANSWERS.written()?).ok()?;
    Some((asks, answers))
}
