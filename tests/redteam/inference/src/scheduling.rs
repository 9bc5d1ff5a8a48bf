//! The two ends of `redteam_attacks::scheduling` in inference: how it spends its time, and what it sees of others'
//! scheduling.

use crate::kernel;
use core::fmt::Write as _;
use protocol::ring::SLOTS;
use protocol::wire::engine::Report;
use redteam_attacks::scheduling::{WINDOWS, Watch, bit, window};
use redteam_attacks::{Forger, Say};
use runtime::counter::now_us;

/// In `systems/partitions`, the time from the end of the shell's turn to the start of inference's, in microseconds:
/// next to none.
const BACK_US: u64 = 100;
/// How long after its prompt the receiver begins, in microseconds.
const BEGINS_US: u64 = 1_000_000;
/// How many windows earlier the sender begins, and later it ends, than the receiver.
const MARGIN: u64 = 100;

/// Sends one bit per window: work for audit and a storm of system calls for a 1, neither for a 0.
///
/// The work consists of reports that audit accepts and then ignores. They are not signalled, so audit reads them when
/// something else wakes it. The system calls end a turn of a time partition a little early. The sender dies at the end,
/// because the honest end of the ring does not know of the reports.
pub(crate) fn send() -> ! {
    let mut forger = Forger::of_inference();
    let last = window(now_us()) + WINDOWS as u64 + MARGIN;
    loop {
        let now = window(now_us());
        if now > last {
            redteam_attacks::die();
        }
        if bit(now) {
            if forger.is_read() {
                (0..SLOTS).for_each(|_| forger.forge(0, &Report::Ready));
            }
            kernel::enter();
        }
    }
}

/// Observes when it was not running, and reports how much of the shell's message it could read from that.
pub(crate) fn receive(say: &mut Say) {
    // Waits until the shell has begun.
    let from = now_us() + BEGINS_US;
    while now_us() < from {}
    let mut watch = Watch::new();
    watch.start(now_us(), BACK_US);
    while watch.look(now_us()) {}
    let _ = write!(
        say,
        "windows: {}; turns: {};",
        watch.windows.score(),
        watch.turns.score()
    );
}
