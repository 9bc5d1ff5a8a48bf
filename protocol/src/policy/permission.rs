//! Permissions, and the policy's choices about the log.

/// What a role may do, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Permission {
    /// Generate text, and list models, adapters and counters.
    Infer = 1,
    /// Load another model; load and drop adapters.
    Load = 2,
    /// Fine-tune; export and forget the results.
    FineTune = 4,
    /// Change budgets, and see those of other users.
    Budget = 8,
    /// Read and verify the audit log.
    Log = 16,
    /// Make audit try again after it gave up restarting.
    Reset = 32,
    /// End the system for everybody.
    Halt = 64,
}

impl Permission {
    /// All permissions.
    pub const ALL: [Self; 7] = [
        Self::Infer,
        Self::Load,
        Self::FineTune,
        Self::Budget,
        Self::Log,
        Self::Reset,
        Self::Halt,
    ];

    /// The bits of all permissions, so of any valid set.
    pub const EVERY: u32 = {
        let (mut bits, mut rest) = (0, Self::ALL.as_slice());
        while let [first, others @ ..] = rest {
            bits |= *first as u32;
            rest = others;
        }
        bits
    };

    /// Its name in `policy.toml` and on the console.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Infer => "infer",
            Self::Load => "load",
            Self::FineTune => "fine-tune",
            Self::Budget => "budget",
            Self::Log => "log",
            Self::Reset => "reset",
            Self::Halt => "halt",
        }
    }

    /// The permission with this bit.
    #[must_use]
    pub const fn from_bit(bit: u64) -> Option<Self> {
        match bit {
            1 => Some(Self::Infer),
            2 => Some(Self::Load),
            4 => Some(Self::FineTune),
            8 => Some(Self::Budget),
            16 => Some(Self::Log),
            32 => Some(Self::Reset),
            64 => Some(Self::Halt),
            _ => None,
        }
    }
}

/// When an entry of the log is on the disk, in a system with one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum LogWrite {
    /// An admission before inference hears of the request, and an end before the client hears of it.
    Ahead = 0,
    /// Within about a second.
    Behind = 1,
}

/// What becomes of requests in a system with a disk if the log cannot be written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum LogFailure {
    /// None is admitted.
    Refuse = 0,
    /// The log goes on in memory, and so do they.
    GoOn = 1,
}
