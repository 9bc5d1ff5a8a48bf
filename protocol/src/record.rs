//! Entries of the audit log, as audit keeps them, shell prints them and `llmtool` checks them.
//!
//! An entry is a [`Record`] of fixed size and, if the policy keeps prompts, the parts of the request as they arrived
//! ([`crate::wire::Parts`]). Each entry holds the SHA-256 of the whole entry before it, record and text. So once the
//! last hash is known, no entry, nor their order or number, can be changed unnoticed. The first entry after boot has
//! zeros there. When the log's memory is full the oldest entries are dropped; the hash held by the oldest remaining one
//! is the *anchor*.
//!
//! The output hash of a request is the SHA-256 over its tokens as they passed audit: for each, the token's number and
//! the length of its text as 32-bit little-endian integers, then the text. A request that fails after some text has
//! passed gets the hash of that text.

use crate::encoding::{Wire, layout};
use crate::hash::Hash;
use crate::name::{FormatName, ModelName, UserName};
use crate::params::{InferParams, TrainParams};
use zerocopy::TryFromBytes as _;

#[cfg(test)]
mod tests;

/// Version of the format, in every record.
pub const RECORD_VERSION: u16 = 5;

/// Bytes of a record without text.
pub const RECORD_BYTES: usize = size_of::<<Record as Wire>::Layout>();

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        /// Kinds of records.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Kind {
            $($(#[$doc])* $name = $number,)*
        }

        impl Kind {
            /// Every kind, in the order of its numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kind with this number.
            #[must_use]
            pub const fn from_u16(kind: u16) -> Option<Self> {
                match kind {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name in exports and on the console.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

kinds! {
    /// Audit started.
    Boot = 1 "boot",
    /// A model was verified and loaded: `name` and `model_sha256` identify it, `value` is its size in bytes, `limit`
    /// the context in tokens that the policy gives it.
    Load = 2 "load",
    /// A request was admitted; `value` is how many tokens were reserved for it.
    Admit = 3 "admit",
    /// `count` requests were refused: `code`, `value` and `limit` give the reason, `name` the model or user that was
    /// asked for, or the session to be closed.
    Refuse = 4 "refuse",
    /// A request was cancelled by its user.
    Cancel = 5 "cancel",
    /// A request finished; `code` is the reason.
    Finish = 6 "finish",
    /// A request failed after admission: `code`, `value` and `limit` give the reason.
    Fail = 7 "fail",
    /// The deadline of a request passed; `limit` is the time it had, in microseconds.
    Timeout = 8 "timeout",
    /// Inference died or was stopped: `code` is the kind of fault, `value` the address, `limit` the instruction
    /// pointer.
    Fault = 9 "fault",
    /// Inference is back in service: `value` is the time taken in microseconds, `limit` the number of restarts since
    /// boot.
    Recover = 10 "recover",
    /// A peer broke the protocol `count` times, or answered something that was already over; the messages were dropped.
    /// `code` is 1 for the client of this `name` and 2 for inference.
    Violation = 11 "violation",
    /// A user logged in. Logins without a passphrase are counted in `count`.
    Login = 12 "login",
    /// `count` logins were refused: `name` is what was typed if it names a user, `code` the reason.
    LoginFailed = 13 "login-failed",
    /// A user logged out, `count` times.
    Logout = 14 "logout",
    /// A budget was changed: `name` is its user, `value` the tokens, `limit` the period in microseconds.
    Budget = 15 "budget",
    /// A session was evicted, by inference for keys and values or by audit for another session: `session` identifies
    /// it, `value` is its number of turns.
    Evict = 16 "evict",
    /// Audit stopped trying to restart inference. After too many restarts, `code` is 0, and `value` restarts happened
    /// within `limit` microseconds. If the kernel refused, `code` and `value` are those of the failure.
    Stop = 17 "stop",
    /// An admin made audit try again.
    Reset = 18 "reset",
    /// A session ended at its user's request, or had ended already and its user discarded it; `name` and `session`
    /// identify it.
    Close = 19 "close",
    /// An adapter was verified and loaded beside the model: `name` and `adapter_sha256` identify it, `model_sha256` the
    /// model; `value` is its file size in bytes, `code` 1 for one in the store, 2 for one made on this device, and 3 for one on
    /// the disk.
    Adapter = 20 "adapter",
    /// An adapter was dropped: `name` and `adapter_sha256` identify it. One made on this device (`code` 2) is
    /// forgotten.
    DropAdapter = 21 "drop-adapter",
    /// A fine-tuning job was admitted: `train` holds its parameters, `model_sha256` identifies the model,
    /// `prompt_sha256` and `prompt_bytes` the data; `name` will be the adapter's name, `value` is the number of tokens
    /// reserved, `code` 1 for data in the store, 2 for typed data, and 3 for data on the disk.
    Tune = 22 "tune",
    /// A fine-tuning job ended. Beyond the fields of its admission: `code` is 1 if it completed all epochs and 4 if it
    /// was cancelled, `adapter_sha256` identifies the result (zeros if it was cancelled), `value` is its size in bytes,
    /// `prompt_tokens` and `generated_tokens` are the tokens and updates, `limit` the loss in millionths of a nat per
    /// token, as reported by inference.
    Tuned = 23 "tuned",
    /// An adapter made on this device was exported: `name` and `adapter_sha256` identify it, `value` is its size in
    /// bytes.
    Export = 24 "export",
    /// An example was typed: `prompt_sha256` and `prompt_bytes` describe its line, `value` is the total number of bytes
    /// including it. Without a hash: all examples were forgotten.
    Example = 25 "example",
    /// A user allowed to end the system asked to, and was told so. The client that asked does the rest.
    Halt = 26 "halt",
    /// Audit goes on with the log that was found on the disk: `code` is what was found (1 nothing, 2 all of it, 3 a write at
    /// its end that was not finished, and was dropped, 4 damage), `value` the entries, `limit` for damage the number of the
    /// last entry before it, `count` how often the log was opened to be written, this time included.
    LogOpened = 27 "log-opened",
    /// The log is no longer written to the disk, or was not from the beginning; `code`, `value` and `limit` say why. `count`
    /// is 1 if nothing is admitted from here on, 0 if the log goes on in memory.
    LogLost = 28 "log-lost",
    /// What a user has used of a budget, so that a boot finds it though the entries before have been overwritten: `name` is
    /// whose, `value` the tokens that are used or reserved in the period, `limit` how much of the period is over, `count` how
    /// long it is, both in microseconds.
    Usage = 29 "usage",
    /// An adapter made on this device was written to the disk, with its signature: `name` is its name there,
    /// `adapter_sha256` identifies it, `value` is its size in bytes, `code` 0. Otherwise `code`, `value` and `limit` say why it
    /// was not, and it is in memory alone.
    Save = 30 "save",
}

layout! {
    /// An entry without its text. Fields that its kind does not use are zero.
    pub struct Record [496] {
        /// [`RECORD_VERSION`].
        pub version: u16,
        /// [`Kind`].
        pub kind: u16,
        /// Depends on the kind.
        pub code: u16,
        /// Storage type of keys and values, as reported by inference: [`crate::wire::engine::KvType`].
        pub kv_type: u16,
        /// Version of the arithmetic, as reported by inference.
        pub numerics: u32,
        /// Audit's number for the request.
        pub request: u32,
        /// Sequence number, from 1, without gaps.
        pub sequence: u64,
        /// Microseconds since boot; never decreases.
        pub time_us: u64,
        /// SHA-256 of the previous entry.
        pub previous: Hash,
        /// The user who asked.
        pub user: UserName,
        /// Number of the session, unique since boot.
        pub session: u32,
        /// Turn of the session, from 1.
        pub turn: u32,
        /// Bytes of the request's parts, of the data or of the example.
        pub prompt_bytes: u32,
        /// Tokens of the prompt, as reported by inference: at most its bytes plus two, plus what the chat template
        /// adds.
        pub prompt_tokens: u32,
        /// Tokens that passed audit.
        pub generated_tokens: u32,
        /// Bytes of text that follow the record.
        pub text_bytes: u32,
        /// Sampler, seed and token limit.
        pub params: InferParams,
        /// Parameters of a fine-tuning job.
        pub train: TrainParams,
        /// Format that the answer is constrained to; `choices` for the request's own; empty for none.
        pub format: FormatName,
        /// SHA-256 of the format's automaton as laid out in the region, or of the request's choices separated by line
        /// feeds; zeros for none.
        pub format_sha256: Hash,
        /// Segments of the conversation; 0 for a text to be completed.
        pub segments: u32,
        /// Number of stop strings.
        pub stops: u16,
        /// 1: the policy let text become tokens that the vocabulary marks as user-defined.
        pub user_defined: u16,
        /// SHA-256 of the model file, computed by audit.
        pub model_sha256: Hash,
        /// SHA-256 of the file of the adapter that the request uses, computed by audit; zeros for none.
        pub adapter_sha256: Hash,
        /// SHA-256 of the request's parts as they arrived, of the data or of the example.
        pub prompt_sha256: Hash,
        /// Output hash; see the module.
        pub output_sha256: Hash,
        /// From admission to the end, in microseconds.
        pub latency_us: u64,
        /// From admission to the first token, in microseconds.
        pub first_token_us: u64,
        /// Depends on the kind.
        pub value: u64,
        /// Depends on the kind.
        pub limit: u64,
        /// For kinds that are written less and less often while they repeat: the number of events since the last entry
        /// of this user (or peer) for this reason, including this one. The other fields describe the newest.
        pub count: u64,
        /// A model, an adapter, a user or a session.
        pub name: ModelName,
    }
}

impl Record {
    /// A record of this kind with all other fields zero.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            version: RECORD_VERSION,
            kind: kind as u16,
            code: 0,
            kv_type: 0,
            numerics: 0,
            request: 0,
            sequence: 0,
            time_us: 0,
            previous: [0; 32],
            user: UserName::EMPTY,
            session: 0,
            turn: 0,
            prompt_bytes: 0,
            prompt_tokens: 0,
            generated_tokens: 0,
            text_bytes: 0,
            params: InferParams::ZERO,
            train: TrainParams::ZERO,
            format: FormatName::EMPTY,
            format_sha256: [0; 32],
            segments: 0,
            stops: 0,
            user_defined: 0,
            model_sha256: [0; 32],
            adapter_sha256: [0; 32],
            prompt_sha256: [0; 32],
            output_sha256: [0; 32],
            latency_us: 0,
            first_token_us: 0,
            value: 0,
            limit: 0,
            count: 0,
            name: ModelName::EMPTY,
        }
    }

    /// The record's bytes, as they are hashed, stored and sent.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        zerocopy::transmute!(self.to_wire())
    }

    /// The record at the beginning of `bytes`, and what follows it; `None` if there is none.
    #[must_use]
    pub fn read_prefix(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (layout, rest) = <Self as Wire>::Layout::try_ref_from_prefix(bytes).ok()?;
        Some((Self::from_wire(layout)?, rest))
    }

    /// The record's kind, if known.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        Kind::from_u16(self.kind)
    }
}
