//! The words for a fault, which the console and `llmtool audit show` print.

use super::{Fault, FaultKind};
use core::fmt::{self, Display, Formatter};

impl Display for Fault {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { kind, ip, address } = *self;
        let kind = match kind {
            FaultKind::Memory => "a memory fault",
            FaultKind::Capability => "a capability fault",
            FaultKind::UnknownSyscall => "an unknown system call",
            FaultKind::Exception => "an exception",
            FaultKind::Timeout => "a timeout of its budget",
            FaultKind::Unknown => "an unknown fault",
            FaultKind::Unresponsive => {
                return write!(f, "inference did not answer by its deadline");
            }
            FaultKind::Violation => {
                return write!(f, "inference broke the protocol");
            }
            FaultKind::Corruption => {
                return write!(f, "inference found its model's memory corrupt");
            }
        };
        write!(
            f,
            "inference crashed with {kind} at address {address:#x} (instruction {ip:#x})"
        )
    }
}
