//! Services of the runtime for audit's component, on Microkit.

use crate::child::Compartment;
use component::ControlError;
use runtime::Clock as _;
use runtime::board::Timekeeper;
use sel4_microkit::Channel;

/// Longest time without a wake-up, in microseconds (2 s), unless somebody takes over the timer. It is twice the
/// watchdog's period: it has no effect while the watchdog ticks, and soon reveals it if the watchdog's clock was set.
const LOOK_US: u64 = 2_000_000;

/// Least time between two looks at the watchdog, in microseconds (0.25 s). It reveals a step of the watchdog's clock
/// soon enough, and spares most wake-ups a read of the device.
const LOOKS_US: u64 = 250_000;

/// Audit's channels and its children, by the numbers that the Microkit tool has written.
pub(crate) struct Port {
    pub(crate) inference: Channel,
    pub(crate) child: Compartment,
    pub(crate) timekeeper: Timekeeper,
    /// The clock's last reading.
    pub(crate) now_us: u64,
    /// The time of the last look at the watchdog.
    pub(crate) looked_us: u64,
}

impl Port {
    /// Whether it is time to look at the watchdog again.
    pub(crate) fn wants_look(&mut self) -> bool {
        let wants = self.now_us.saturating_sub(self.looked_us) >= LOOKS_US;
        if wants {
            self.looked_us = self.now_us;
        }
        wants
    }
}

impl component::Port for Port {
    fn now_us(&mut self) -> u64 {
        self.now_us = self.timekeeper.now_us();
        self.now_us
    }

    fn notify_client(&mut self, channel: u8) {
        Channel::new(channel.into()).notify();
    }

    fn notify_inference(&mut self) {
        self.inference.notify();
    }

    #[cfg(feature = "disk")]
    fn notify_files(&mut self) {
        crate::disk::notify();
    }

    fn has_workers(&self) -> bool {
        self.child.0.len() > 1
    }

    fn arm_timer(&mut self, at_us: Option<u64>) {
        // Audit has just read the clock.
        let look_us = self.now_us.saturating_add(LOOK_US);
        let at_us = at_us.map_or(look_us, |at_us| at_us.min(look_us));
        self.timekeeper.arm(Some(at_us));
    }

    fn restart_inference(&mut self) -> Result<(), ControlError> {
        self.child.restart()
    }

    fn stop_inference(&mut self) -> Result<(), ControlError> {
        self.child.stop()
    }
}
