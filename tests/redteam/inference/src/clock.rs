//! How long an attack has gone on. A hostile domain has no clock but the processor's counter; where user code cannot read
//! that, it counts its own looks at the clock.

use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use runtime::counter;

/// What a look at the clock is taken for without a counter, in microseconds of the domain's own time.
const LOOK_US: u64 = 10;

/// Rounds of an empty loop that take about that long: some thousand instructions, in QEMU on a busy host. It only decides
/// how long an attack lasts.
const LOOK_ROUNDS: u64 = 1000;

/// The time as far as it was counted.
static COUNTED_US: AtomicU64 = AtomicU64::new(0);

/// Microseconds since some moment.
pub(crate) fn now_us() -> u64 {
    if counter::IS_READABLE {
        return counter::now_us();
    }
    (0..LOOK_ROUNDS).for_each(|_| core::hint::spin_loop());
    COUNTED_US.fetch_add(LOOK_US * crate::PERIODS_PER_BUDGET, Relaxed)
}

/// Something other than looks at the clock has taken so much of the domain's own time, in microseconds.
#[allow(
    dead_code,
    reason = "only the client's attacks do much between two looks"
)]
pub(crate) fn spent(us: u64) {
    if !counter::IS_READABLE {
        COUNTED_US.fetch_add(us * crate::PERIODS_PER_BUDGET, Relaxed);
    }
}
