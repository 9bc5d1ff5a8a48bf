//! Lines about faults of inference and its recovery.

use super::{CountOf, Seconds};
use core::fmt::{self, Display, Formatter};
use protocol::wire::{Fault, FaultKind};

/// A fault, as audit recorded it.
pub(crate) struct FaultText(pub(crate) Fault);

impl Display for FaultText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Fault { kind, ip, address } = self.0;
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

/// Why inference was restarted, and how often since the last notice.
pub(crate) struct FaultsText {
    pub(crate) fault: Fault,
    pub(crate) count: u32,
}

impl Display for FaultsText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { fault, count } = *self;
        write!(f, "{}", FaultText(fault))?;
        match count.saturating_sub(1) {
            0 => Ok(()),
            more => write!(
                f,
                ", the newest of {count} faults ({} before it not shown)",
                CountOf(more.into(), "one", "ones")
            ),
        }
    }
}

/// The end of a recovery.
pub(crate) struct RecoveredText {
    pub(crate) after_us: u64,
    pub(crate) restarts: u32,
}

impl Display for RecoveredText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { after_us, restarts } = *self;
        write!(
            f,
            "inference serves again after {} s (restart {restarts})",
            Seconds(after_us)
        )
    }
}
