//! Message types: [`client`] between a client (such as shell) and audit, [`engine`] between audit and inference. In a
//! system with a disk, also [`files`] between audit and files, and [`disk`] between files and disk.
//!
//! A message of one pair cannot be mistaken for one of another, and audit rewrites what it passes on, so nothing
//! crosses it unread. Every message has a fixed part of plain values, and some have a tail of bytes. `encoding` defines
//! each in one place: number, fields, size, and its description in `docs/protocol.md`. Parsing checks lengths, enums,
//! flags, names and reserved fields, so a parsed message can be used. Audit checks the limits.

mod fault;
mod parts;
#[cfg(test)]
mod tests;
mod training;

pub mod client;
pub mod disk;
pub mod engine;
pub mod files;

pub use crate::encoding::WireError;
pub use crate::params::{InferParams, Sampling, TARGETS_ALL, TARGETS_ATTENTION, TrainParams};
pub use parts::{Extent, PART_HEADER_BYTES, Part, PartKind, Parts, PartsWriter, completion};
pub use training::{AdapterInfo, TrainProgress};

use crate::encoding::{layout, numbers};
use crate::hash::Hash;
use crate::limits::{MAX_FIXED_TOKENS, MAX_SEGMENT_TOKENS};
use crate::name::TemplateName;

numbers! {
    /// Why a generation ended.
    pub enum FinishReason {
        /// The model ended its text.
        EndOfText = 1,
        /// The requested number of tokens was generated.
        MaxTokens = 2,
        /// The session's context is full.
        ContextFull = 3,
        /// It was cancelled.
        Cancelled = 4,
        /// A stop string came; it is not part of the text.
        Stop = 5,
    }
}

layout! {
    /// A loaded model.
    #[derive(Default)]
    pub struct ModelInfo [108] {
        /// Number of parameters.
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
        /// SHA-256 of the file, computed by audit; zeros from inference.
        pub sha256: Hash,
        /// Name of its chat template; empty if it has none and can only complete texts.
        pub template: TemplateName,
        /// Maximum number of tokens that the template adds to a conversation.
        pub fixed_tokens: u32,
        /// Maximum number of tokens that it adds per segment.
        pub segment_tokens: u32,
        /// Whether control tokens separate the roles, as reported by inference. If not, a text can imitate another
        /// role.
        pub separates: bool,
    }
}

impl ModelInfo {
    /// Whether what its template adds is within the limits that audit accepts.
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
        /// The fine-tuning job that is running.
        pub training: u64,
        /// The rest: tables, alignment.
        pub other: u64,
        /// Peak use since start.
        pub peak: u64,
        /// Size of the arena.
        pub capacity: u64,
    }
}

impl ArenaUse {
    /// Bytes in use now.
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
    /// Kind of fault that a domain died of.
    pub enum FaultKind {
        /// It accessed memory that it may not.
        Memory = 1,
        /// It used a capability that it does not have (in the simulation: a system call).
        Capability = 2,
        /// It made a system call that the kernel does not have.
        UnknownSyscall = 3,
        /// An undefined instruction, a panic, or another exception.
        Exception = 4,
        /// It used up its time.
        Timeout = 5,
        /// A label not listed here; the address holds the label.
        Unknown = 6,
        /// No fault message: audit restarted it because it did not stop or answer by a deadline, or stopped reading its
        /// command ring.
        Unresponsive = 7,
        /// No fault message: audit restarted it because it broke the protocol.
        Violation = 8,
        /// No fault message: inference has reported that memory changed which only a load writes.
        Corruption = 9,
    }
}

layout! {
    /// Why inference was restarted. Inference may forge this, so it is only evidence for the log and a reason to
    /// restart.
    pub struct Fault [20] {
        /// The kind of fault.
        pub kind: FaultKind,
        /// Instruction pointer, 0 if unknown.
        pub ip: u64,
        /// Address accessed, or 0.
        pub address: u64,
    }
}
