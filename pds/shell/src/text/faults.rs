//! Lines about faults of inference and its recovery.

use super::{CountOf, Seconds};
use core::fmt::{self, Display, Formatter};
use protocol::wire::Fault;

/// Why inference was restarted, and how often since the last notice.
pub(crate) struct FaultsText {
    pub(crate) fault: Fault,
    pub(crate) count: u32,
}

impl Display for FaultsText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { fault, count } = *self;
        write!(f, "{fault}")?;
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
