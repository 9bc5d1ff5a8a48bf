//! What a hostile domain has of its runtime.

use crate::Say;

/// What the runtime gives to attacks, and the attacks that only it can make.
pub trait Ground {
    /// Signals audit.
    fn notify_audit(&mut self);
    /// Microseconds.
    fn now_us(&mut self) -> u64;
    /// A message has been written or read: whoever has no clock counts it.
    fn message_passed(&mut self) {}
    /// An address of its own code.
    fn own_text(&self) -> usize;
    /// An address of its own constants.
    fn own_constants(&self) -> usize;
    /// Makes an attack that is the runtime's. False if it knows none of this name.
    fn perform(&mut self, name: &str, say: &mut Say) -> bool;
}
