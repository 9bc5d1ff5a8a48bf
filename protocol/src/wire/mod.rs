//! Message types: [`client`] between a client (shell is one) and audit, [`engine`] between audit and inference.
//!
//! No message of one pair can be mistaken for one of the other, and audit writes anew what it passes on, so nothing
//! crosses it unread. Every message has a fixed part, `repr(C)` and of plain integers, and for some a tail of bytes.
//! Parsing checks lengths, enums, names and UTF-8; what has been parsed can be used. Limits are audit's to check.

use crate::decimal::ONE;
use crate::error::{ErrorCode, Failure};
use crate::limits::{self, MAX_PROMPT_BYTES, defaults, maxima};
use crate::ring::Frame;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

pub mod client;
pub mod engine;

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

/// Sampling parameters; fractions in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Sampling {
    /// Seed of the random generator.
    pub seed: u64,
    /// 0 is greedy.
    pub temperature: u32,
    /// Candidates that are kept; 0 keeps all.
    pub top_k: u32,
    /// Probability mass that is kept.
    pub top_p: u32,
    /// Least probability relative to the likeliest.
    pub min_p: u32,
    /// Divisor of the logits of recent tokens.
    pub repeat_penalty: u32,
    /// How many recent tokens that looks back on.
    pub repeat_last_n: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            seed: defaults::SEED,
            temperature: defaults::TEMPERATURE,
            top_k: defaults::TOP_K,
            top_p: defaults::TOP_P,
            min_p: defaults::MIN_P,
            repeat_penalty: defaults::REPEAT_PENALTY,
            repeat_last_n: defaults::REPEAT_LAST_N,
        }
    }
}

/// What an inference request asks for, without its prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct InferParams {
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Most tokens to generate.
    pub max_tokens: u32,
    /// Zero.
    pub reserved: u32,
}

impl Default for InferParams {
    fn default() -> Self {
        Self {
            sampling: Sampling::default(),
            max_tokens: defaults::MAX_TOKENS,
            reserved: 0,
        }
    }
}

impl InferParams {
    /// Checks every value against the [`limits`].
    ///
    /// # Errors
    /// The first value that is out of its limit.
    pub fn check(&self) -> Result<(), Failure> {
        let at_most = |code, value: u32, limit: u32| {
            if value > limit {
                Err(Failure::over(code, u64::from(value), u64::from(limit)))
            } else {
                Ok(())
            }
        };
        let limit = limits::MAX_GENERATED_TOKENS;
        if self.max_tokens == 0 {
            return Err(Failure::over(ErrorCode::MaxTokens, 0, u64::from(limit)));
        }
        at_most(ErrorCode::MaxTokens, self.max_tokens, limit)?;
        let sampling = &self.sampling;
        at_most(
            ErrorCode::Temperature,
            sampling.temperature,
            maxima::TEMPERATURE,
        )?;
        at_most(ErrorCode::TopK, sampling.top_k, maxima::TOP_K)?;
        at_most(ErrorCode::TopP, sampling.top_p, maxima::TOP_P)?;
        at_most(ErrorCode::MinP, sampling.min_p, maxima::MIN_P)?;
        if sampling.repeat_penalty < ONE {
            let (value, limit) = (sampling.repeat_penalty, maxima::REPEAT_PENALTY);
            return Err(Failure::over(
                ErrorCode::RepeatPenalty,
                u64::from(value),
                u64::from(limit),
            ));
        }
        at_most(
            ErrorCode::RepeatPenalty,
            sampling.repeat_penalty,
            maxima::REPEAT_PENALTY,
        )
    }
}

/// Checks the length and the encoding of a prompt.
///
/// # Errors
/// What is wrong with it.
pub fn check_prompt(prompt: &[u8]) -> Result<&str, Failure> {
    if prompt.is_empty() {
        return Err(Failure::of(ErrorCode::EmptyPrompt));
    }
    if prompt.len() > MAX_PROMPT_BYTES {
        let (value, limit) = (prompt.len() as u64, MAX_PROMPT_BYTES as u64);
        return Err(Failure::over(ErrorCode::PromptBytes, value, limit));
    }
    core::str::from_utf8(prompt)
        .map_err(|error| Failure::over(ErrorCode::PromptNotUtf8, error.valid_up_to() as u64, 0))
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FinishReason {
    /// The model ended its text.
    EndOfText = 1,
    /// As many tokens as were asked for.
    MaxTokens = 2,
    /// The session's context is full.
    ContextFull = 3,
    /// It was cancelled.
    Cancelled = 4,
}

impl FinishReason {
    const fn from_u32(reason: u32) -> Option<Self> {
        match reason {
            1 => Some(Self::EndOfText),
            2 => Some(Self::MaxTokens),
            3 => Some(Self::ContextFull),
            4 => Some(Self::Cancelled),
            _ => None,
        }
    }
}

/// A model that has been loaded.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct ModelInfo {
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
    pub sha256: [u8; 32],
}

/// Use of the arena in bytes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct ArenaUse {
    /// Matrices and norms.
    pub weights: u64,
    /// Keys and values of the sessions.
    pub kv_cache: u64,
    /// Buffers of the forward pass and the logits.
    pub activations: u64,
    /// Tokens, scores and their index.
    pub vocabulary: u64,
    /// The rest: tables, alignment.
    pub other: u64,
    /// Most that was in use since start.
    pub peak: u64,
    /// Size of the arena.
    pub capacity: u64,
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
            self.other,
        ]
        .iter()
        .fold(0, |sum: u64, part| sum.saturating_add(*part))
    }
}

/// What kind of fault a domain died of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
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

impl FaultKind {
    /// The kind with this number.
    #[must_use]
    pub const fn from_u32(kind: u32) -> Option<Self> {
        match kind {
            1 => Some(Self::Memory),
            2 => Some(Self::Capability),
            3 => Some(Self::UnknownSyscall),
            4 => Some(Self::Exception),
            5 => Some(Self::Timeout),
            6 => Some(Self::Unknown),
            7 => Some(Self::Unresponsive),
            8 => Some(Self::Violation),
            _ => None,
        }
    }
}

/// Why inference was restarted. It may be forged by inference itself: evidence for the log and a
/// reason to restart, nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What happened.
    pub kind: FaultKind,
    /// Instruction pointer, 0 if unknown.
    pub ip: u64,
    /// Address that was touched, or 0.
    pub address: u64,
}

/// A payload that is being taken apart.
struct Reader<'a> {
    kind: u16,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn wrong_length(&self) -> WireError {
        WireError::Length {
            kind: self.kind,
            len: self.rest.len(),
        }
    }

    fn fixed<T: FromBytes>(&mut self) -> Result<T, WireError> {
        let (value, rest) = T::read_from_prefix(self.rest).map_err(|_| self.wrong_length())?;
        self.rest = rest;
        Ok(value)
    }

    /// Parameters of a request for text. What is reserved is zero: audit's log is hashed with it, and an export, which
    /// does not have it, could not be checked otherwise.
    fn params(&mut self) -> Result<InferParams, WireError> {
        let params: InferParams = self.fixed()?;
        self.check(params.reserved == 0, params)
    }

    fn tail(self, max: usize) -> Result<&'a [u8], WireError> {
        if self.rest.len() > max {
            Err(self.wrong_length())
        } else {
            Ok(self.rest)
        }
    }

    fn name<const N: usize>(&mut self) -> Result<crate::name::Name<N>, WireError> {
        let name: crate::name::Name<N> = self.fixed()?;
        self.check(name.check(), name)
    }

    fn check<T>(&self, condition: bool, value: T) -> Result<T, WireError> {
        if condition {
            Ok(value)
        } else {
            Err(WireError::Field(self.kind))
        }
    }

    fn flag(&self, flag: u32) -> Result<bool, WireError> {
        self.check(flag <= 1, flag == 1)
    }

    fn end(self) -> Result<(), WireError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.wrong_length())
        }
    }
}

/// Writes a message: `fixed`, then `tail`. What does not fit makes the frame unsendable
/// ([`crate::ring::SendError::TooLong`]).
fn write<const N: usize>(frame: &mut Frame<N>, kind: u16, request: u32, fixed: &[u8], tail: &[u8]) {
    let room = frame.begin(kind, request);
    let parts = fixed.iter().chain(tail);
    for (to, from) in room.iter_mut().zip(parts) {
        *to = *from;
    }
    frame.finish(fixed.len().saturating_add(tail.len()));
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    /// Which numbers up to 99 a type knows, if each comes back as itself.
    fn known<T>(from: fn(u32) -> Option<T>, number: fn(T) -> u32) -> std::vec::Vec<u32> {
        let known = (0..100).filter_map(|n| Some((n, number(from(n)?))));
        known
            .map(|(n, same)| {
                assert_eq!(n, same);
                n
            })
            .collect()
    }

    #[test]
    fn numbers_on_the_wire_mean_what_they_meant_and_others_nothing() {
        let reasons = known(FinishReason::from_u32, |reason| reason as u32);
        assert_eq!(reasons, [1, 2, 3, 4]);
        let kinds = known(FaultKind::from_u32, |kind| kind as u32);
        assert_eq!(kinds, [1, 2, 3, 4, 5, 6, 7, 8]);
        let types = known(engine::KvType::from_u32, |kv_type| kv_type as u32);
        assert_eq!(types, [1, 2, 3]);
    }

    #[test]
    fn what_is_in_use_of_an_arena_is_the_sum_of_its_parts_and_not_its_peak() {
        let parts = ArenaUse {
            weights: 1,
            kv_cache: 20,
            activations: 300,
            vocabulary: 4000,
            other: 50_000,
            peak: 600_000,
            capacity: 7_000_000,
        };
        assert_eq!(parts.current(), 54_321);
        // Inference may say anything.
        let weights = u64::MAX;
        assert_eq!(ArenaUse { weights, ..parts }.current(), u64::MAX);
    }

    #[test]
    fn limits_are_checked_with_the_value_and_the_limit() {
        let params = |change: fn(&mut InferParams)| {
            let mut params = InferParams::default();
            change(&mut params);
            params.check()
        };
        assert_eq!(params(|_| ()), Ok(()));
        assert_eq!(
            params(|p| p.max_tokens = 513),
            Err(Failure::over(ErrorCode::MaxTokens, 513, 512))
        );
        assert_eq!(
            params(|p| p.max_tokens = 0),
            Err(Failure::over(ErrorCode::MaxTokens, 0, 512))
        );
        for (change, code) in [
            (
                (|p| p.sampling.temperature = u32::MAX) as fn(&mut InferParams),
                ErrorCode::Temperature,
            ),
            (|p| p.sampling.top_k = u32::MAX, ErrorCode::TopK),
            (|p| p.sampling.top_p = ONE + 1, ErrorCode::TopP),
            (|p| p.sampling.min_p = ONE + 1, ErrorCode::MinP),
            (
                |p| p.sampling.repeat_penalty = ONE - 1,
                ErrorCode::RepeatPenalty,
            ),
            (
                |p| p.sampling.repeat_penalty = 10 * ONE + 1,
                ErrorCode::RepeatPenalty,
            ),
        ] {
            assert_eq!(params(change).unwrap_err().code, code);
        }
        let long = vec![b'x'; MAX_PROMPT_BYTES + 1];
        assert_eq!(
            check_prompt(&long),
            Err(Failure::over(ErrorCode::PromptBytes, 8193, 8192))
        );
        assert_eq!(check_prompt(b""), Err(Failure::of(ErrorCode::EmptyPrompt)));
        assert_eq!(
            check_prompt(b"ab\xff"),
            Err(Failure::over(ErrorCode::PromptNotUtf8, 2, 0))
        );
        assert_eq!(check_prompt(b"ab"), Ok("ab"));
    }
}
