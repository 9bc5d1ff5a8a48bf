//! The devices of the board, by their interrupts: what a domain gets in their place.

/// A device that the supervisor stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// The PL011 UART: standard input and output.
    Uart,
    /// The PL031 RTC, which audit uses as its watchdog: a timer that fires every second.
    Watchdog,
    /// The generic timer: a timer that its owner arms.
    Timer,
}

/// Period of the watchdog in seconds, as that of the RTC.
pub(super) const WATCHDOG_SECONDS: i64 = 1;

impl Device {
    /// The device behind an interrupt number of board `qemu_virt_aarch64`.
    pub(super) const fn of_irq(number: u64) -> Option<Self> {
        match number {
            33 => Some(Self::Uart),
            34 => Some(Self::Watchdog),
            30 => Some(Self::Timer),
            _ => None,
        }
    }
}
