//! The two ends of `redteam_attacks::scheduling` in inference: what it does with its time, and what it sees of others'.

use crate::kernel;
use core::fmt::Write as _;
use protocol::ring::SLOTS;
use protocol::wire::engine::Report;
use redteam_attacks::scheduling::{WINDOWS, Watch, bit, window};
use redteam_attacks::{Forger, Say};
use runtime::counter::now_us;

/// From the end of shell's turn, in `systems/partitions`, to inference's, in microseconds: a moment.
const BACK_US: u64 = 100;
/// How long after its prompt the receiver begins, in microseconds.
const BEGINS_US: u64 = 1_000_000;
/// Windows that the sender begins earlier and ends later than the receiver.
const MARGIN: u64 = 100;

/// Sends a bit in each window: a 1 as work for audit and a storm of system calls, a 0 as neither.
///
/// The work are reports that audit believes and does nothing about. Nobody is told that they are there: whoever wakes audit
/// next has it read them. The system calls end a turn of a time partition a little early. The sender dies in the end, since
/// the real end of the ring does not know of the reports.
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

/// Sees when it was not running, and says how much of what shell sends it has read by that.
pub(crate) fn receive(say: &mut Say) {
    // Until shell has begun.
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
