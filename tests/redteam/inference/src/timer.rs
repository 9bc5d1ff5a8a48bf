//! The timer, whose registers the kernel of some boards lets every domain write. On the others each of these is a fault.

use crate::machine::{read_timer as read, write_timer as write};

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
