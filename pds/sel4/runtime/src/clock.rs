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
    // 128 bits: ticks times a million overflow 64 within days.
    (u128::from(ticks) * 1_000_000 / u128::from(frequency.max(1))) as u64
}

/// Asks for an interrupt at this time, or for none.
pub fn arm(at_us: Option<u64>) {
    let frequency: u64;
    // SAFETY: as above.
    unsafe { asm!("mrs {}, cntfrq_el0", out(reg) frequency, options(nomem, nostack)) }
    let (compare, control) = match at_us {
        Some(us) => (
            (u128::from(us) * u128::from(frequency)).div_ceil(1_000_000) as u64,
            1u64,
        ),
        None => (u64::MAX, 0),
    };
    // SAFETY: the comparator of the physical timer concerns this timer's interrupt alone.
    unsafe {
        asm!("msr cntp_cval_el0, {}", "msr cntp_ctl_el0, {}", "isb",
            in(reg) compare, in(reg) control, options(nomem, nostack));
    }
}
