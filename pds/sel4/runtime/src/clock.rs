//! The generic timer: its counter as a clock, its comparator as a hint.
//!
//! Every domain can write the comparator, so a wake-up of it means nothing but "look". What nobody can take from audit is
//! the watchdog, [`crate::pl031`].

use core::arch::asm;

/// Microseconds since the machine started.
#[must_use]
pub fn now_us() -> u64 {
    let (ticks, frequency): (u64, u64);
    // SAFETY: reads two registers that the kernel lets every domain read.
    unsafe {
        asm!("isb", "mrs {}, cntpct_el0", "mrs {}, cntfrq_el0",
            out(reg) ticks, out(reg) frequency, options(nomem, nostack));
    }
    convert(ticks, frequency, MICROSECONDS, Round::Down)
}

const MICROSECONDS: u64 = 1_000_000;

#[derive(PartialEq, Eq)]
enum Round {
    Down,
    Up,
}

/// `count` of `from` a second as a count of `to` a second. Whole seconds and the rest apart: the product would overflow
/// 64 bits within days, and a division of 128 costs audit some hundred instructions at each wake-up.
fn convert(count: u64, from: u64, to: u64, round: Round) -> u64 {
    let from = from.max(1);
    // Below `from` times `to`: a million and a clock of at most some GHz.
    let rest = (count % from).saturating_mul(to);
    let rest = match round {
        Round::Down => rest / from,
        Round::Up => rest.div_ceil(from),
    };
    (count / from).saturating_mul(to).saturating_add(rest)
}

/// Asks for an interrupt at this time, or for none.
pub fn arm(at_us: Option<u64>) {
    let frequency: u64;
    // SAFETY: as above.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) frequency, options(nomem, nostack)) }
    let (compare, control) = match at_us {
        Some(us) => (convert(us, MICROSECONDS, frequency, Round::Up), 1u64),
        None => (u64::MAX, 0),
    };
    // SAFETY: the comparator of the physical timer concerns this timer's interrupt alone.
    unsafe {
        asm!("msr cntp_cval_el0, {}", "msr cntp_ctl_el0, {}", "isb",
            in(reg) compare, in(reg) control, options(nomem, nostack));
    }
}
