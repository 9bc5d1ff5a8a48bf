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

#[cfg(test)]
mod tests {
    use super::Device;
    use sysdesc::System;

    /// The numbers of interrupts are here and in `system.xml`, and the isolation checker compares that file with its
    /// policy; what holds the two together is the variable that a program gets each by.
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
