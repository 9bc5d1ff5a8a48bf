//! The generic timer, whose registers the kernel lets every domain write.

use core::arch::asm;

fn write(compare: u64, control: u64) {
    // SAFETY: registers of a timer that audit takes as a hint.
    unsafe {
        asm!("msr cntp_ctl_el0, {}", "msr cntp_cval_el0, {}", "isb", in(reg) control, in(reg) compare);
    }
}

fn read() -> u64 {
    let compare;
    // SAFETY: reads a register.
    unsafe { asm!("isb", "mrs {}, cntp_cval_el0", out(reg) compare) }
    compare
}

/// The timer never fires again by itself.
pub(crate) fn disarm_and_spin() -> ! {
    loop {
        write(u64::MAX >> 1, 0);
    }
}

/// The timer fires always.
pub(crate) fn storm() -> ! {
    loop {
        write(0, 1);
    }
}

/// Sends words to the hostile shell: each when the one before has been taken.
pub(crate) fn send() -> ! {
    for number in 0.. {
        let word = redteam_attacks::channel::word(number);
        loop {
            // Once: shell may run between two readings.
            let seen = read();
            if seen == redteam_attacks::channel::taken(number) {
                break;
            }
            // Audit overwrites it when it arms its timer.
            if seen != word {
                write(word, 0);
            }
        }
    }
    unreachable!("numbers do not end")
}
