//! A system in which workers on other cores compute for inference.

use heapless::Vec;
use runtime::patched;
use sel4_microkit::Child;

patched! { worker_1_child worker_2_child worker_3_child }

/// The domains that are stopped and started together.
pub(crate) type Members = Vec<Child, 4>;

/// Inference is child 0, so a worker whose variable is not set does not exist.
pub(crate) fn of(inference: Child) -> Members {
    let workers = [worker_1_child(), worker_2_child(), worker_3_child()];
    let workers = workers.into_iter().filter(|worker| *worker != 0);
    // There are as many places.
    core::iter::once(inference)
        .chain(workers.map(Child::new))
        .take(4)
        .collect()
}
