//! A fault as the supervisor saw it, and the record of it that the parent domain receives.

use protocol::wire::{Fault, FaultKind};
use std::fmt;

/// Size of a record in bytes: so small that a pipe takes it whole or not at all.
pub const RECORD_BYTES: usize = 32;

/// A fault of a child, as its parent receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Number of the child in its parent.
    pub child: u8,
    /// How often the child had been restarted when it faulted. A parent that has ordered a restart since then drops the
    /// record, as seL4 drops the fault message of a thread that is restarted.
    pub restarts: u32,
    /// What happened.
    pub fault: Fault,
}

impl Record {
    /// The record as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let Fault { kind, ip, address } = self.fault;
        let first = u64::from(self.child) | u64::from(self.restarts) << 32;
        let mut bytes = [0; RECORD_BYTES];
        let words = [first, u64::from(kind as u32), ip, address];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Decodes a record. An unknown kind of fault becomes [`FaultKind::Unknown`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8; RECORD_BYTES]) -> Self {
        let mut words = [0u64; RECORD_BYTES / 8];
        for (word, place) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*place);
        }
        let [first, kind, ip, address] = words;
        let known = u32::try_from(kind).ok().and_then(FaultKind::from_u32);
        let kind = known.unwrap_or(FaultKind::Unknown);
        let [child, ..] = first.to_le_bytes();
        Self {
            child,
            restarts: (first >> 32) as u32,
            fault: Fault { kind, ip, address },
        }
    }
}

/// A fault, and the signal that it was on Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What happened. The address of a forbidden system call is its number.
    pub fault: Fault,
    /// Number of the signal.
    pub signal: i32,
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { kind, ip, address } = self.fault;
        match kind {
            FaultKind::Memory => write!(f, "memory fault at address {address:#x}")?,
            FaultKind::Capability => write!(f, "forbidden system call {address}")?,
            FaultKind::Exception => write!(f, "exception (signal {})", self.signal)?,
            _ => write!(f, "ended by signal {}", self.signal)?,
        }
        write!(f, " (ip {ip:#x})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_from_their_bytes() {
        let fault = Fault {
            kind: FaultKind::Memory,
            ip: u64::MAX - 1,
            address: 0x1200_0000,
        };
        let record = Record {
            child: 61,
            restarts: u32::MAX,
            fault,
        };
        assert_eq!(Record::from_bytes(&record.to_bytes()), record);
    }

    #[test]
    fn a_kind_without_a_name_is_an_unknown_fault() {
        let record = Record::from_bytes(&[0xff; RECORD_BYTES]);
        assert_eq!(record.fault.kind, FaultKind::Unknown);
    }
}
