//! What the runtime provides to a hostile domain.

use crate::Say;

/// Services of the runtime for attacks, and attacks that only the runtime can make.
pub trait Ground {
    /// Signals audit.
    fn notify_audit(&mut self);
    /// The time in microseconds.
    fn now_us(&mut self) -> u64;
    /// A message has been written or read. A runtime without a clock counts these.
    fn message_passed(&mut self) {}
    /// An address of its own code.
    fn own_text(&self) -> usize;
    /// An address of its own constants.
    fn own_constants(&self) -> usize;
    /// Makes an attack of the runtime. False if it has none with this name.
    fn perform(&mut self, name: &str, say: &mut Say) -> bool;
}
