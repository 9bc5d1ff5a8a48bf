//! What audit's component needs from its runtime, on Microkit.

use crate::child;
use runtime::clock;
use sel4_microkit::Channel;

const SHELL: Channel = Channel::new(0);
const INFERENCE: Channel = Channel::new(1);

pub(crate) struct Port;

impl component::Port for Port {
    fn now_us(&mut self) -> u64 {
        clock::now_us()
    }

    fn notify_shell(&mut self) {
        SHELL.notify();
    }

    fn notify_inference(&mut self) {
        INFERENCE.notify();
    }

    fn arm_timer(&mut self, at_us: Option<u64>) {
        clock::arm(at_us);
    }

    fn restart_inference(&mut self) {
        child::restart();
    }

    fn stop_inference(&mut self) {
        child::stop();
    }
}
