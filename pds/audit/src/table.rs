//! The requests that are admitted and not yet answered for good.

use crate::models::Verification;
use crate::quota::Reservation;
use protocol::error::Failure;
use protocol::limits::MAX_SESSIONS;
use protocol::record::{Hash, Record};
use protocol::wire::InferParams;
use sha2::{Digest, Sha256};

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) enum Work<'m> {
    /// Text.
    Infer(Generation),
    /// A model that audit verifies; inference has not heard of it.
    Verify(Verification<'m>),
    /// A model that inference loads.
    Load(crate::models::Verified),
    /// What inference holds.
    Status,
}

/// What is known of a request for text.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) slot: usize,
    /// The session's number and turn.
    pub(crate) session: u32,
    pub(crate) turn: u32,
    pub(crate) params: InferParams,
    pub(crate) prompt_bytes: u32,
    pub(crate) prompt_sha256: Hash,
    pub(crate) reservation: Reservation,
    pub(crate) first_token_us: Option<u64>,
    /// Tokens that have passed.
    pub(crate) tokens: u32,
    pub(crate) output: Sha256,
    /// Its user has cancelled it.
    pub(crate) cancelled: bool,
    /// Inference is to stop it and could not be told yet.
    pub(crate) stop_owed: bool,
}

impl Generation {
    /// A token passes; see [`protocol::record`] for what is hashed.
    pub(crate) fn pass(&mut self, id: u32, text: &[u8], now: u64) {
        self.tokens = self.tokens.saturating_add(1);
        self.first_token_us.get_or_insert(now);
        self.output.update(id.to_le_bytes());
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        self.output.update(len.to_le_bytes());
        self.output.update(text);
    }

    /// SHA-256 of what has passed.
    pub(crate) fn output_sha256(&self) -> Hash {
        self.output.clone().finalize().into()
    }

    /// Adds what has passed to the record of a failure: it was shown, so it must be on record. Without a token, nothing.
    pub(crate) fn describe_shown(&self, record: &mut Record) {
        if self.tokens > 0 {
            record.output_sha256 = self.output_sha256();
        }
    }
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Inference has it.
    Active,
    /// Its deadline has passed and inference was asked to stop it; restart at this time.
    Stopping {
        /// In microseconds.
        until_us: u64,
    },
    /// It failed, and the shell has yet to be told.
    Ended(Failure),
}

/// The deadline of what has none.
pub(crate) const NEVER_US: u64 = u64::MAX;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The shell, under this number.
    Shell(u32),
    /// The shell, which has been told an end already: it has cancelled a question that inference has yet to answer.
    Forgotten,
    /// Audit itself.
    Audit,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'m> {
    pub(crate) origin: Origin,
    /// Index of who was logged in.
    pub(crate) user: usize,
    /// The number that inference knows it by; never used twice.
    pub(crate) number: u32,
    pub(crate) work: Work<'m>,
    pub(crate) state: State,
    /// Bytes of its user's share of the log that it has taken and not used yet.
    pub(crate) share: u64,
    pub(crate) admitted_us: u64,
    pub(crate) deadline_us: u64,
}

impl Entry<'_> {
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Whether it is a load on its way, verified or being so.
    pub(crate) const fn is_load(&self) -> bool {
        matches!(self.work, Work::Verify(_) | Work::Load(_)) && !self.is_over()
    }

    pub(crate) const fn generation(&self) -> Option<&Generation> {
        match &self.work {
            Work::Infer(generation) => Some(generation),
            _ => None,
        }
    }

    pub(crate) const fn generation_mut(&mut self) -> Option<&mut Generation> {
        match &mut self.work {
            Work::Infer(generation) => Some(generation),
            _ => None,
        }
    }
}

/// Questions and loads beside the sessions. The last place is for audit's own load.
const CONTROL: usize = 8;

/// Places that requests of the shell can have.
pub(crate) const SHELL_PLACES: usize = MAX_SESSIONS + CONTROL - 1;

/// The table.
pub(crate) type Table<'m> = heapless::Vec<Entry<'m>, { MAX_SESSIONS + CONTROL }>;
