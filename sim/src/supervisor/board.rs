//! The devices of the board, by their interrupts, and what a domain gets in their place.
//!
//! The simulation plays the board that [`Board::usual`] describes, so a system description may give interrupts by name
//! or by that board's numbers.

use std::sync::LazyLock;
use sysdesc::Board;

/// A device that the supervisor stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// The UART: standard input and output.
    Uart,
    /// Audit's watchdog: a timer that fires every second.
    Watchdog,
    /// Audit's timer, which fires at the time for which its owner has armed it.
    Timer,
    /// The disk: the file given with `--disk`, or no device.
    Disk,
}

/// Period of the watchdog in seconds.
pub(super) const WATCHDOG_SECONDS: i64 = 1;

static BOARD: LazyLock<Board> = LazyLock::new(Board::usual);

impl Device {
    /// The device behind an interrupt.
    pub(super) fn of_irq(number: u64) -> Option<Self> {
        match BOARD.interrupt_name(number)? {
            "uart" => Some(Self::Uart),
            "watchdog" => Some(Self::Watchdog),
            "timer" => Some(Self::Timer),
            "disk" => Some(Self::Disk),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Device;
    use sysdesc::System;

    /// The names of interrupts appear here, in the board's file and in `system.xml`. All three must agree on the
    /// variable that gives a program each interrupt.
    #[test]
    fn the_interrupts_are_those_of_the_systems_description() {
        let system = System::parse(include_str!("../../../system.xml")).unwrap();
        let irqs = system.domains.iter().flat_map(|domain| &domain.irqs);
        let mut found: Vec<_> = irqs
            .map(|irq| (irq.setvar_id.as_deref(), Device::of_irq(irq.number)))
            .collect();
        found.sort_unstable_by_key(|(variable, _)| *variable);
        assert_eq!(
            found,
            [
                (Some("timer_channel"), Some(Device::Timer)),
                (Some("uart_channel"), Some(Device::Uart)),
                (Some("watchdog_channel"), Some(Device::Watchdog)),
            ]
        );
    }
}
