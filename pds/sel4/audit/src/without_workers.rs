//! A system in which inference works alone.

use sel4_microkit::Child;

/// The domains that are stopped and started together.
pub(crate) type Members = [Child; 1];

pub(crate) const fn of(inference: Child) -> Members {
    [inference]
}
