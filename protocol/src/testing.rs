//! Regions in ordinary memory, for tests (feature `testing`).

extern crate std;

use crate::region::{ReadWords, WriteWords};
use crate::ring::{Endpoint, REGION_BYTES};
use std::cell::Cell;
use std::rc::Rc;
use std::vec;

/// A region that its clones share, within one thread. Whoever has it plays any role: the honest
/// writer, the reader, or a hostile owner that stores what it likes.
#[derive(Clone, Debug)]
pub struct TestRegion(Rc<[Cell<u64>]>);

/// An end of a pair of rings over test regions.
pub type TestEndpoint = Endpoint<TestRegion, TestRegion>;

impl TestRegion {
    /// Zeros, as many as `system.xml` gives a ring's region.
    #[must_use]
    pub fn new() -> Self {
        Self::with_words(REGION_BYTES / 8)
    }

    /// `words` zeros.
    #[must_use]
    pub fn with_words(words: usize) -> Self {
        Self(vec![Cell::new(0); words].into())
    }
}

impl Default for TestRegion {
    fn default() -> Self {
        Self::new()
    }
}

impl ReadWords for TestRegion {
    fn words(&self) -> usize {
        self.0.len()
    }

    fn load(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, Cell::get)
    }

    fn acquire_fence(&self) {}
}

impl WriteWords for TestRegion {
    fn store(&self, index: usize, value: u64) {
        if let Some(word) = self.0.get(index) {
            word.set(value);
        }
    }

    fn publish(&self, index: usize, value: u64) {
        self.store(index, value);
    }

    fn release_fence(&self) {}
}

/// Audit's end and its peer's, and the peer's region for a peer that is hostile.
///
/// # Panics
/// Never: the regions have the size that the rings need.
#[must_use]
#[allow(clippy::expect_used)]
pub fn endpoints() -> (TestEndpoint, TestEndpoint, TestRegion) {
    let (audit, peer) = (TestRegion::new(), TestRegion::new());
    let end = |theirs: &TestRegion, ours: &TestRegion| {
        Endpoint::new(theirs.clone(), ours.clone()).expect("regions of the size of the rings")
    };
    (end(&peer, &audit), end(&audit, &peer), peer)
}
