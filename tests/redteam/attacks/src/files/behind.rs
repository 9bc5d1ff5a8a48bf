//! The honest files domain behind the hostile one, which is a man in the middle between it and audit. So there is a log
//! on the disk, and the hostile domain controls what happens to it.

use core::cell::UnsafeCell;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};
use protocol::region::{ReadOnlyRegion, ReadWriteRegion};
use protocol::ring::{Endpoint, REGION_BYTES};

/// An end of a ring.
pub type Ring = Endpoint<ReadOnlyRegion, ReadWriteRegion>;

/// The honest files domain, which the runtime creates.
pub trait Honest {
    /// Does as much work as possible, and signals disk if necessary.
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
        // SAFETY: a static of this size, consisting of words; nothing makes a reference to it.
        Some(unsafe { ReadOnlyRegion::new(start, REGION_BYTES) })
    }

    fn written(&'static self) -> Option<ReadWriteRegion> {
        let start = NonNull::new(self.0.get().cast::<u64>())?;
        // SAFETY: as above. The static is in an `UnsafeCell`, so it may be written.
        Some(unsafe { ReadWriteRegion::new(start, REGION_BYTES) })
    }
}

static QUESTIONS: Region = Region::new();
static ANSWERS: Region = Region::new();

/// The two ends of the ring between the hostile and the honest files domain: the asking end, and the answering one. Can
/// be taken once.
#[must_use]
pub fn between() -> Option<(Ring, Ring)> {
    static IS_TAKEN: AtomicBool = AtomicBool::new(false);
    // Not all targets have a lock-free swap; only one thread calls this.
    if IS_TAKEN.load(Ordering::Relaxed) {
        return None;
    }
    IS_TAKEN.store(true, Ordering::Relaxed);
    let mut asks = Endpoint::new(ANSWERS.read()?, QUESTIONS.written()?).ok()?;
    asks.lead(1);
    let answers = Endpoint::new(QUESTIONS.read()?, ANSWERS.written()?).ok()?;
    Some((asks, answers))
}
