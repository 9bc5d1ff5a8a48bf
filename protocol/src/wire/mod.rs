//! Message types: [`client`] between a client (shell is one) and audit, [`engine`] between audit and inference; in a system
//! with a disk [`files`] between audit and files, [`disk`] between files and disk.
//!
//! No message of one pair can be mistaken for one of the other, and audit writes anew what it passes on, so nothing
//! crosses it unread. Every message has a fixed part of plain values, and for some a tail of bytes. Each is declared once
//! (`declare`): its number, its fields, its size, and what `docs/protocol.md` says about it. Parsing checks lengths,
//! enums, flags, names and what is reserved; what has been parsed can be used. Limits are audit's to check.

pub(crate) mod codec;
pub(crate) mod declare;
mod params;
mod parts;
#[cfg(test)]
pub(crate) mod tests;
mod training;

pub mod client;
pub mod disk;
pub mod engine;
pub mod files;

pub use params::{InferParams, Sampling};
pub use parts::{Extent, PART_HEADER_BYTES, Part, PartKind, Parts, PartsWriter, completion};
pub use training::{AdapterInfo, TARGETS_ALL, TARGETS_ATTENTION, TrainParams, TrainProgress};

use crate::limits::{MAX_FIXED_TOKENS, MAX_SEGMENT_TOKENS};
use crate::name::TemplateName;
use crate::record::Hash;
use declare::{layout, numbers};

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// No message of this direction has this number.
    #[error("no message has the number {0}")]
    Kind(u16),
    /// Too short for its fixed part, or its tail is too long.
    #[error("message {kind} with {len} bytes")]
    Length {
        /// Number of the message.
        kind: u16,
        /// Bytes it came with.
        len: usize,
    },
    /// A field has a value that its type does not have.
    #[error("message {0} has a field that is out of range")]
    Field(u16),
}

numbers! {
    /// Why a generation ended.
    pub enum FinishReason {
        /// The model ended its text.
        EndOfText = 1,
        /// As many tokens as were asked for.
        MaxTokens = 2,
        /// The session's context is full.
        ContextFull = 3,
        /// It was cancelled.
        Cancelled = 4,
        /// A stop string came, which is no part of the text.
        Stop = 5,
    }
}

layout! {
    /// A model that has been loaded.
    #[derive(Default)]
    pub struct ModelInfo [108] {
        /// Parameters.
        pub parameters: u64,
        /// Size of the file in bytes.
        pub file_bytes: u64,
        /// Context of a session in tokens.
        pub context: u32,
        /// Width of the residual stream.
        pub width: u32,
        /// Transformer blocks.
        pub layers: u32,
        /// Tokens in the vocabulary.
        pub vocabulary: u32,
        /// SHA-256 of the file, by audit; zeros from inference.
        pub sha256: Hash,
        /// Name of its chat template; empty: it has none, so it only completes texts.
        pub template: TemplateName,
        /// Tokens that the template adds to a conversation, at most.
        pub fixed_tokens: u32,
        /// Tokens that it adds for each segment, at most.
        pub segment_tokens: u32,
        /// Whether control tokens keep its roles apart, as inference says; if not, a text can imitate another role's.
        pub separates: bool,
    }
}

impl ModelInfo {
    /// Whether what its template adds is within the limits of what audit believes.
    #[must_use]
    pub const fn has_sound_template(&self) -> bool {
        self.fixed_tokens <= MAX_FIXED_TOKENS && self.segment_tokens <= MAX_SEGMENT_TOKENS
    }
}

layout! {
    /// Use of the arena in bytes.
    #[derive(Default)]
    pub struct ArenaUse [72] {
        /// Matrices and norms.
        pub weights: u64,
        /// Keys and values of the sessions.
        pub kv_cache: u64,
        /// Buffers of the forward pass and the logits.
        pub activations: u64,
        /// Tokens, scores and their index.
        pub vocabulary: u64,
        /// Adapters beside the model.
        pub adapters: u64,
        /// The training that is under way.
        pub training: u64,
        /// The rest: tables, alignment.
        pub other: u64,
        /// Most that was in use since start.
        pub peak: u64,
        /// Size of the arena.
        pub capacity: u64,
    }
}

impl ArenaUse {
    /// In use now.
    #[must_use]
    pub fn current(&self) -> u64 {
        [
            self.weights,
            self.kv_cache,
            self.activations,
            self.vocabulary,
            self.adapters,
            self.training,
            self.other,
        ]
        .iter()
        .fold(0, |sum: u64, part| sum.saturating_add(*part))
    }
}

numbers! {
    /// What kind of fault a domain died of.
    pub enum FaultKind {
        /// It touched memory that it may not.
        Memory = 1,
        /// It used a capability that it does not have (in the simulation: a system call).
        Capability = 2,
        /// It made a system call that the kernel does not have.
        UnknownSyscall = 3,
        /// An undefined instruction, a panic, or another exception.
        Exception = 4,
        /// It used up its time.
        Timeout = 5,
        /// A label that is none of these; the address holds the label.
        Unknown = 6,
        /// No fault message: audit restarted it because it did not stop or answer at a deadline, or took no commands.
        Unresponsive = 7,
        /// No fault message: audit restarted it because it broke the protocol.
        Violation = 8,
    }
}

layout! {
    /// Why inference was restarted. It may be forged by inference itself: evidence for the log and a
    /// reason to restart, nothing more.
    pub struct Fault [20] {
        /// What happened.
        pub kind: FaultKind,
        /// Instruction pointer, 0 if unknown.
        pub ip: u64,
        /// Address that was touched, or 0.
        pub address: u64,
    }
}
