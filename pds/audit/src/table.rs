//! The requests that are admitted and not yet answered for good.

use protocol::error::Failure;
use protocol::limits::MAX_SESSIONS;

/// What a request asks inference for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Text.
    Infer,
    /// A model.
    Load,
    /// The list of models.
    Models,
    /// Its state.
    Status,
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

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The shell, under this number.
    Shell(u32),
    /// Audit itself.
    Audit,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) origin: Origin,
    /// The number that inference knows it by; never used twice.
    pub(crate) number: u32,
    pub(crate) work: Work,
    pub(crate) state: State,
    pub(crate) admitted_us: u64,
    pub(crate) deadline_us: u64,
    pub(crate) first_token_us: Option<u64>,
    /// Events of a kind that is limited: tokens, or models of a list.
    pub(crate) passed: u32,
    pub(crate) limit: u32,
    /// No prompt has more tokens than this.
    pub(crate) max_prompt_tokens: u32,
}

/// One more than users can have, for audit's own load.
pub(crate) type Table = heapless::Vec<Entry, { MAX_SESSIONS + 1 }>;
