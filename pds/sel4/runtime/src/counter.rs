//! The processor's counter. On most boards every domain can read it, and nobody can set it.

#[cfg(counter)]
use core::arch::asm;

/// The counter of the current processor.
#[cfg(counter)]
#[derive(Clone, Copy, Debug)]
pub struct Counter;

/// Whether user code can read the counter on this board.
pub const IS_READABLE: bool = cfg!(counter);

/// Microseconds since the machine started, for measurements. 0 on a board where user code cannot read the counter.
#[must_use]
pub fn now_us() -> u64 {
    #[cfg(counter)]
    return drivers::counter::now_us(&mut Counter);
    #[cfg(not(counter))]
    0
}

#[cfg(all(counter, target_arch = "aarch64"))]
impl drivers::counter::Counter for Counter {
    fn ticks(&mut self) -> u64 {
        let ticks;
        // SAFETY: reads a register that the kernel lets every domain read.
        unsafe { asm!("isb", "mrs {}, cntpct_el0", out(reg) ticks, options(nomem, nostack)) }
        ticks
    }

    fn hertz(&mut self) -> u64 {
        let hertz;
        // SAFETY: as above.
        unsafe { asm!("mrs {}, cntfrq_el0", out(reg) hertz, options(nomem, nostack)) }
        hertz
    }
}

/// Only if the kernel lets user code write the registers, which the board's file says (`generic-timer`).
#[cfg(all(counter, target_arch = "aarch64"))]
impl drivers::generic_timer::Comparator for Counter {
    fn compare(&mut self, at: Option<u64>) {
        let (at, control) = at.map_or((u64::MAX, 0_u64), |at| (at, 1));
        // SAFETY: the comparator of the physical timer affects only this timer's interrupt.
        unsafe {
            asm!("msr cntp_cval_el0, {}", "msr cntp_ctl_el0, {}", "isb",
                in(reg) at, in(reg) control, options(nomem, nostack));
        }
    }
}

#[cfg(all(counter, target_arch = "riscv64"))]
impl drivers::counter::Counter for Counter {
    fn ticks(&mut self) -> u64 {
        let ticks;
        // SAFETY: reads a register that the firmware opens to user code (OpenSBI's `scounteren`).
        unsafe { asm!("rdtime {}", out(reg) ticks, options(nomem, nostack)) }
        ticks
    }

    fn hertz(&mut self) -> u64 {
        include!(concat!(env!("OUT_DIR"), "/counter_hertz.rs"))
    }
}
