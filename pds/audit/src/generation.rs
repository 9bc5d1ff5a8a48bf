//! A request for text: its parameters, the tokens generated so far, and what its client has been sent.

use crate::answer::Answer;
use crate::places::Used;
use crate::quota::Reservation;
use protocol::hash::Hash;
use protocol::name::FormatName;
use protocol::record::Record;
use protocol::wire::{Extent, InferParams};
use sha2::{Digest, Sha256};

/// A request for text.
#[derive(Clone, Debug)]
pub(crate) struct Generation<'m> {
    /// The slot of its session.
    pub(crate) slot: usize,
    /// The session's number and turn.
    pub(crate) session: u32,
    pub(crate) turn: u32,
    pub(crate) params: InferParams,
    pub(crate) adapter: Option<Used>,
    /// Size and hash of its parts as the client sent them.
    pub(crate) prompt_bytes: u32,
    pub(crate) prompt_sha256: Hash,
    pub(crate) extent: Extent,
    /// Upper bound on the tokens of the prompt.
    pub(crate) most_prompt_tokens: u32,
    /// The format that its answer must have; see [`protocol::record::Record`].
    pub(crate) format: FormatName,
    pub(crate) format_sha256: Hash,
    pub(crate) answer: Answer<'m>,
    pub(crate) reservation: Reservation,
    pub(crate) first_token_us: Option<u64>,
    /// How long the egress cap had held text back since boot when the request was admitted.
    pub(crate) held_before_us: u64,
    /// Tokens reported by inference.
    pub(crate) tokens: u32,
    /// Tokens whose text its client has been sent.
    pub(crate) handed_on: u32,
    /// Text that was held back now waits for the client, even if all tokens have been sent.
    pub(crate) released: bool,
    /// Tokens that inference has been told it may generate, in all.
    pub(crate) credit: u32,
    pub(crate) output: Sha256,
    /// Index of the buffer in which its text waits ([`crate::table::Table`]).
    pub(crate) text: usize,
    /// Whether its user has cancelled it.
    pub(crate) cancelled: bool,
    pub(crate) stop: Stop,
}

/// Whether inference has been asked to end a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Inference has not been asked, and need not be.
    #[default]
    No,
    /// It must be asked, but its ring had no room yet.
    Owed,
    /// It has been asked.
    Asked,
}

impl Generation<'_> {
    /// Counts a token that inference reports, and hashes it as [`protocol::record`] says.
    pub(crate) fn count(&mut self, id: u32, text: &[u8], now: u64) {
        self.tokens = self.tokens.saturating_add(1);
        self.first_token_us.get_or_insert(now);
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let [a, b, c, d] = id.to_le_bytes();
        let [e, f, g, h] = len.to_le_bytes();
        self.output.update([a, b, c, d, e, f, g, h]);
        self.output.update(text);
    }

    /// Tokens whose text waits for the client.
    pub(crate) const fn waiting(&self) -> u32 {
        self.tokens.saturating_sub(self.handed_on)
    }

    /// Whether there is text to send to the client.
    pub(crate) const fn has_text(&self) -> bool {
        self.waiting() > 0 || self.released
    }

    /// SHA-256 of the tokens so far.
    pub(crate) fn output_sha256(&self) -> Hash {
        self.output.clone().finalize().into()
    }

    /// Adds the hash of the tokens so far to the record of a failure: the client has seen them, so they must be on record.
    /// Does nothing if there are none yet.
    pub(crate) fn describe_shown(&self, record: &mut Record) {
        if self.tokens > 0 {
            record.output_sha256 = self.output_sha256();
        }
    }
}
