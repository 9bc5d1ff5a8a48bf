//! Time, and the generic timer.
//!
//! Every domain can read the counter, and none can write it. Every domain can write the timer's
//! registers, too (`KernelArmExportPTMRUser` of the SDK's kernel), so the timer is a hint: what must
//! happen hangs on the [`crate::watchdog`].

#[cfg(target_os = "none")]
pub use hardware::Timer;

/// Microseconds per second.
const MILLION: u64 = 1_000_000;

/// The time since the machine was started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// Ticks of the counter per second, not 0.
    rate: u64,
}

#[cfg_attr(not(target_os = "none"), allow(dead_code))]
impl Clock {
    /// Firmware that has left the rate 0 gets a clock that is wrong, not a division by 0.
    const fn with_rate(rate: u64) -> Self {
        let rate = if rate == 0 { 1 } else { rate };
        Self { rate }
    }

    /// `ticks` in microseconds, rounded down.
    const fn to_us(self, ticks: u64) -> u64 {
        let (seconds, rest) = (ticks / self.rate, ticks % self.rate);
        let rest_us = rest.saturating_mul(MILLION) / self.rate;
        seconds.saturating_mul(MILLION).saturating_add(rest_us)
    }

    /// `us` microseconds in ticks, rounded up: what waits for a moment finds it passed.
    const fn to_ticks(self, us: u64) -> u64 {
        let (seconds, rest) = (us / MILLION, us % MILLION);
        let rest_ticks = rest.saturating_mul(self.rate).div_ceil(MILLION);
        seconds.saturating_mul(self.rate).saturating_add(rest_ticks)
    }
}

#[cfg(target_os = "none")]
mod hardware {
    use super::Clock;
    use core::arch::asm;

    impl Clock {
        /// The clock of this machine.
        #[must_use]
        pub fn new() -> Self {
            let rate: u64;
            // SAFETY: reads a register that domains may read.
            unsafe { asm!("mrs {}, cntfrq_el0", out(reg) rate, options(nomem, nostack)) };
            Self::with_rate(rate)
        }

        /// Microseconds since the start of the machine.
        #[must_use]
        pub fn now_us(&self) -> u64 {
            let ticks: u64;
            // The kernel exports the physical counter, not the virtual one. The barrier keeps the
            // read from being done early.
            // SAFETY: reads a register that domains may read.
            unsafe { asm!("isb", "mrs {}, cntpct_el0", out(reg) ticks, options(nostack)) };
            self.to_us(ticks)
        }
    }

    impl Default for Clock {
        fn default() -> Self {
            Self::new()
        }
    }

    /// The generic timer, and its interrupt as long as the moment is in the past.
    #[derive(Debug)]
    pub struct Timer {
        clock: Clock,
    }

    impl Timer {
        /// The timer, not armed.
        #[must_use]
        pub fn new(clock: Clock) -> Self {
            let mut timer = Self { clock };
            timer.arm(None);
            timer
        }

        /// Asks for the interrupt at `at_us` of the clock, or never.
        pub fn arm(&mut self, at_us: Option<u64>) {
            let (ticks, enable) = match at_us {
                Some(at_us) => (self.clock.to_ticks(at_us), 1u64),
                None => (u64::MAX, 0),
            };
            // SAFETY: registers of a timer that nothing in memory depends on; domains may write them.
            unsafe {
                asm!(
                    "msr cntp_cval_el0, {ticks}",
                    "msr cntp_ctl_el0, {enable}",
                    "isb",
                    ticks = in(reg) ticks,
                    enable = in(reg) enable,
                    options(nostack),
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of QEMU's board, of one that counts nanoseconds, and an odd one.
    const RATES: [u64; 3] = [62_500_000, 1_000_000_000, 24_576_001];

    #[test]
    fn a_moment_in_ticks_is_not_before_it() {
        for rate in RATES {
            let clock = Clock::with_rate(rate);
            for us in [0, 1, 999_999, 1_000_000, 30_000_001, 1 << 50] {
                let ticks = clock.to_ticks(us);
                assert_eq!(clock.to_us(ticks), us);
                assert!(ticks == 0 || clock.to_us(ticks - 1) < us);
            }
        }
    }

    #[test]
    fn numbers_that_no_machine_has_do_not_overflow() {
        for rate in [0, 1, u64::MAX] {
            let clock = Clock::with_rate(rate);
            for value in [0, 1, u64::MAX] {
                let _ = (clock.to_us(value), clock.to_ticks(value));
            }
        }
    }
}
