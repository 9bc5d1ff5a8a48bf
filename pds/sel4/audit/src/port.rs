//! What audit's component needs from its runtime, on Microkit.

use crate::child::Inference;
use component::ControlError;
use runtime::clock;
use sel4_microkit::Channel;

/// Audit's channels and its child, by the numbers that the Microkit tool has written.
pub(crate) struct Port {
    pub(crate) shell: Channel,
    pub(crate) inference: Channel,
    pub(crate) child: Inference,
}

impl component::Port for Port {
    fn now_us(&mut self) -> u64 {
        clock::now_us()
    }

    fn notify_shell(&mut self) {
        self.shell.notify();
    }

    fn notify_inference(&mut self) {
        self.inference.notify();
    }

    fn arm_timer(&mut self, at_us: Option<u64>) {
        clock::arm(at_us);
    }

    fn restart_inference(&mut self) -> Result<(), ControlError> {
        self.child.restart()
    }

    fn stop_inference(&mut self) -> Result<(), ControlError> {
        self.child.stop()
    }
}
