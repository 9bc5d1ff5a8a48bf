//! Measures how long an attack has been running. A hostile domain's only clock is the processor's counter; if user code
//! cannot read that, it counts how often it looks at the clock.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use runtime::counter;

/// Time assumed for a look at the clock without a counter, in microseconds of the domain's own time.
const LOOK_US: u64 = 10;

/// Rounds of an empty loop that take about that long: some thousand instructions, in QEMU on a busy host. The value
/// affects only how long an attack lasts.
const LOOK_ROUNDS: u64 = 1000;

/// The time counted so far.
static COUNTED_US: AtomicU64 = AtomicU64::new(0);

/// Microseconds since some moment.
pub(crate) fn now_us() -> u64 {
    if counter::IS_READABLE {
        return counter::now_us();
    }
    (0..LOOK_ROUNDS).for_each(|_| core::hint::spin_loop());
    COUNTED_US.fetch_add(LOOK_US * crate::PERIODS_PER_BUDGET, Relaxed)
}

/// Counts time that the domain has spent on something other than looking at the clock, in microseconds.
#[allow(
    dead_code,
    reason = "only the client's attacks do much between two looks"
)]
pub(crate) fn spent(us: u64) {
    if !counter::IS_READABLE {
        COUNTED_US.fetch_add(us * crate::PERIODS_PER_BUDGET, Relaxed);
    }
}
