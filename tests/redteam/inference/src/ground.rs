//! seL4's services for attacks, and the attacks that only work on seL4.

use crate::remains::{self, Remains};
use crate::{audit, clock, kernel, scheduling, timer};
use core::fmt::Write as _;
use redteam_attacks::{Ground, Say};

/// See [`Ground`].
pub(crate) struct Sel4 {
    /// What this run found when it began.
    pub(crate) remains: Remains,
}

unsafe extern "C" {
    static microkit_notifications: u64;
}

impl Ground for Sel4 {
    fn notify_audit(&mut self) {
        audit().notify();
    }

    fn now_us(&mut self) -> u64 {
        clock::now_us()
    }

    fn own_text(&self) -> usize {
        timer::storm as fn() -> ! as usize
    }

    fn own_constants(&self) -> usize {
        &raw const microkit_notifications as usize
    }

    fn perform(&mut self, name: &str, say: &mut Say) -> bool {
        match name {
            "write-reset-code" => redteam_attacks::write(redteam_attacks::place::TEXT, say),
            "read-guard-page" => redteam_attacks::read(crate::start::STACK_BOTTOM - 8, say),
            "disarm-timer" => timer::disarm_and_spin(),
            "storm-timer" => timer::storm(),
            "timer-send" => timer::send(),
            "schedule-send" => scheduling::send(),
            "schedule-receive" => scheduling::receive(say),
            "leave" => {
                let arena = redteam_attacks::place::ARENA;
                remains::leave(arena..arena + 0x80_0000)
            }
            "look" => {
                let _ = write!(say, "{}", self.remains);
            }
            _ => return kernel::perform(name, say),
        }
        true
    }
}
