//! Message types. A [`Request`] travels towards inference, an [`Event`] towards the shell; audit
//! parses each and writes it anew, so nothing passes it unread.
//!
//! Every message has a fixed part, `repr(C)` and of plain integers, and for some a tail of bytes.
//! Parsing checks lengths, enums and UTF-8 of names; what has been parsed can be used.

use crate::decimal::ONE;
use crate::error::{ErrorCode, Failure, RawFailure};
use crate::limits::{self, MAX_NAME_BYTES, MAX_PIECE_BYTES, MAX_PROMPT_BYTES, defaults, maxima};
use crate::ring::Frame;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

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

/// Checks the length of a model's name.
///
/// # Errors
/// It is empty or too long.
pub fn check_name(name: &str) -> Result<(), Failure> {
    if name.is_empty() || name.len() > MAX_NAME_BYTES {
        let (value, limit) = (name.len() as u64, MAX_NAME_BYTES as u64);
        return Err(Failure::over(ErrorCode::NameLength, value, limit));
    }
    Ok(())
}

/// From shell to audit, and from audit to inference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Generate text. Limits are checked by audit, not by the parse.
    Infer {
        /// How.
        params: InferParams,
        /// From what.
        prompt: &'a [u8],
    },
    /// Stop the request with the number in the header.
    Cancel,
    /// List the models in the store.
    Models,
    /// Load a model.
    Load {
        /// Its name in the store, without `.gguf`.
        name: &'a str,
    },
    /// What inference has in its arena.
    Status,
    /// What audit has counted.
    Stats,
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

/// How a generation went. Times are audit's; inference sends zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of the prompt, beginning-of-sequence included.
    pub prompt_tokens: u32,
    /// Tokens generated, an end-of-text token included.
    pub generated_tokens: u32,
    /// From admission to the first token, in microseconds.
    pub first_token_us: u64,
    /// From admission to the end, in microseconds.
    pub total_us: u64,
}

/// A model in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ModelEntry {
    /// Size of its file in bytes.
    pub file_bytes: u64,
    /// 1 if it is loaded, else 0.
    pub loaded: u32,
    /// Zero.
    pub reserved: u32,
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
    /// SHA-256 of the file.
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

/// State of the server. Inference fills [`Self::arena`] and [`Self::model`], audit the rest.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Status {
    /// Its arena.
    pub arena: ArenaUse,
    /// The loaded model; zeros if there is none.
    pub model: ModelInfo,
    /// Restarts of inference since boot.
    pub restarts: u32,
    /// Requests that are admitted and not finished.
    pub active: u32,
}

/// What audit has counted since boot.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Stats {
    /// Time since boot in microseconds.
    pub uptime_us: u64,
    /// Requests admitted.
    pub admitted: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests that finished.
    pub finished: u64,
    /// Requests that were cancelled.
    pub cancelled: u64,
    /// Requests that failed after admission.
    pub failed: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens generated.
    pub generated_tokens: u64,
    /// Time that admitted requests took in all, in microseconds.
    pub busy_us: u64,
    /// Faults of inference.
    pub faults: u64,
    /// Restarts of inference.
    pub restarts: u64,
    /// Deadlines that passed.
    pub timeouts: u64,
    /// Messages that broke the protocol and were dropped.
    pub violations: u64,
    /// Records in the audit log since boot.
    pub records: u64,
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
    /// No fault message: audit restarted it because it did not stop at its deadline.
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

/// From inference to audit, and from audit to shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Inference: it has started in this epoch. Audit: the system takes commands.
    Ready,
    /// A piece of generated text: untrusted bytes, possibly none.
    Token {
        /// Its number in the vocabulary.
        id: u32,
        /// Its text, whole UTF-8 sequences if inference is honest.
        text: &'a [u8],
    },
    /// A generation ended.
    Finished(Finished),
    /// A request was refused or failed.
    Failed {
        /// Why.
        failure: Failure,
        /// What it is about (a tensor, a key, a model), for people. Untrusted text.
        detail: &'a [u8],
    },
    /// One model of the list that was asked for.
    Model {
        /// Its size and whether it is loaded.
        entry: ModelEntry,
        /// Its name.
        name: &'a str,
    },
    /// The list of models is complete.
    Listed {
        /// How many models it had.
        count: u32,
    },
    /// A model has been loaded.
    Loaded {
        /// What it is.
        info: ModelInfo,
        /// Its name.
        name: &'a str,
    },
    /// Answer to [`Request::Status`].
    Status {
        /// The numbers.
        status: Status,
        /// Name of the loaded model, empty if there is none.
        model: &'a str,
    },
    /// Answer to [`Request::Stats`].
    Stats(Stats),
    /// Audit: inference died or was stopped, and is restarted.
    Fault(Fault),
    /// Audit: inference serves again.
    Recovered {
        /// From the detection to this message, in microseconds.
        after_us: u64,
        /// Restarts since boot.
        restarts: u32,
    },
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawFinished {
    first_token_us: u64,
    total_us: u64,
    reason: u32,
    prompt_tokens: u32,
    generated_tokens: u32,
    reserved: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawFault {
    ip: u64,
    address: u64,
    kind: u32,
    reserved: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawRecovered {
    after_us: u64,
    restarts: u32,
    reserved: u32,
}

mod request_kind {
    pub const INFER: u16 = 1;
    pub const CANCEL: u16 = 2;
    pub const MODELS: u16 = 3;
    pub const LOAD: u16 = 4;
    pub const STATUS: u16 = 5;
    pub const STATS: u16 = 6;
}

mod event_kind {
    pub const READY: u16 = 0x101;
    pub const TOKEN: u16 = 0x102;
    pub const FINISHED: u16 = 0x103;
    pub const FAILED: u16 = 0x104;
    pub const MODEL: u16 = 0x105;
    pub const LISTED: u16 = 0x106;
    pub const LOADED: u16 = 0x107;
    pub const STATUS: u16 = 0x108;
    pub const STATS: u16 = 0x109;
    pub const FAULT: u16 = 0x10A;
    pub const RECOVERED: u16 = 0x10B;
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

    fn tail(self, max: usize) -> Result<&'a [u8], WireError> {
        if self.rest.len() > max {
            Err(self.wrong_length())
        } else {
            Ok(self.rest)
        }
    }

    fn name(self) -> Result<&'a str, WireError> {
        let kind = self.kind;
        core::str::from_utf8(self.tail(MAX_NAME_BYTES)?).map_err(|_| WireError::Field(kind))
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

impl<'a> Request<'a> {
    /// Writes the message about request number `request` into `frame`.
    pub fn write<const N: usize>(&self, request: u32, frame: &mut Frame<N>) {
        match self {
            Self::Infer { params, prompt } => {
                write(
                    frame,
                    request_kind::INFER,
                    request,
                    params.as_bytes(),
                    prompt,
                );
            }
            Self::Cancel => write(frame, request_kind::CANCEL, request, &[], &[]),
            Self::Models => write(frame, request_kind::MODELS, request, &[], &[]),
            Self::Load { name } => {
                write(frame, request_kind::LOAD, request, &[], name.as_bytes());
            }
            Self::Status => write(frame, request_kind::STATUS, request, &[], &[]),
            Self::Stats => write(frame, request_kind::STATS, request, &[], &[]),
        }
    }

    /// Parses the message that `frame` has received.
    ///
    /// # Errors
    /// It is none.
    pub fn parse<const N: usize>(frame: &'a Frame<N>) -> Result<Self, WireError> {
        let kind = frame.header().kind;
        let mut reader = Reader {
            kind,
            rest: frame.payload(),
        };
        let bare = |reader: Reader<'_>, request| reader.end().map(|()| request);
        match kind {
            request_kind::INFER => {
                let params = reader.fixed()?;
                Ok(Self::Infer {
                    params,
                    prompt: reader.tail(MAX_PROMPT_BYTES)?,
                })
            }
            request_kind::CANCEL => bare(reader, Self::Cancel),
            request_kind::MODELS => bare(reader, Self::Models),
            request_kind::LOAD => Ok(Self::Load {
                name: reader.name()?,
            }),
            request_kind::STATUS => bare(reader, Self::Status),
            request_kind::STATS => bare(reader, Self::Stats),
            _ => Err(WireError::Kind(kind)),
        }
    }
}

impl<'a> Event<'a> {
    /// Writes the message about request number `request` (0 for none) into `frame`.
    pub fn write<const N: usize>(&self, request: u32, frame: &mut Frame<N>) {
        use event_kind as kind;
        match self {
            Self::Ready => write(frame, kind::READY, request, &[], &[]),
            Self::Token { id, text } => {
                write(frame, kind::TOKEN, request, &id.to_le_bytes(), text);
            }
            Self::Finished(finished) => {
                let raw = RawFinished {
                    first_token_us: finished.first_token_us,
                    total_us: finished.total_us,
                    reason: finished.reason as u32,
                    prompt_tokens: finished.prompt_tokens,
                    generated_tokens: finished.generated_tokens,
                    reserved: 0,
                };
                write(frame, kind::FINISHED, request, raw.as_bytes(), &[]);
            }
            Self::Failed { failure, detail } => {
                let raw = RawFailure::from(*failure);
                write(frame, kind::FAILED, request, raw.as_bytes(), detail);
            }
            Self::Model { entry, name } => {
                write(
                    frame,
                    kind::MODEL,
                    request,
                    entry.as_bytes(),
                    name.as_bytes(),
                );
            }
            Self::Listed { count } => {
                write(frame, kind::LISTED, request, &count.to_le_bytes(), &[]);
            }
            Self::Loaded { info, name } => {
                write(
                    frame,
                    kind::LOADED,
                    request,
                    info.as_bytes(),
                    name.as_bytes(),
                );
            }
            Self::Status { status, model } => {
                write(
                    frame,
                    kind::STATUS,
                    request,
                    status.as_bytes(),
                    model.as_bytes(),
                );
            }
            Self::Stats(stats) => write(frame, kind::STATS, request, stats.as_bytes(), &[]),
            Self::Fault(fault) => {
                let raw = RawFault {
                    ip: fault.ip,
                    address: fault.address,
                    kind: fault.kind as u32,
                    reserved: 0,
                };
                write(frame, kind::FAULT, request, raw.as_bytes(), &[]);
            }
            Self::Recovered { after_us, restarts } => {
                let raw = RawRecovered {
                    after_us: *after_us,
                    restarts: *restarts,
                    reserved: 0,
                };
                write(frame, kind::RECOVERED, request, raw.as_bytes(), &[]);
            }
        }
    }

    /// Parses the message that `frame` has received.
    ///
    /// # Errors
    /// It is none.
    pub fn parse<const N: usize>(frame: &'a Frame<N>) -> Result<Self, WireError> {
        use event_kind as kind;
        let number = frame.header().kind;
        let mut reader = Reader {
            kind: number,
            rest: frame.payload(),
        };
        match number {
            kind::READY => reader.end().map(|()| Self::Ready),
            kind::TOKEN => {
                let id = u32::from_le_bytes(reader.fixed()?);
                Ok(Self::Token {
                    id,
                    text: reader.tail(MAX_PIECE_BYTES)?,
                })
            }
            kind::FINISHED => {
                let raw: RawFinished = reader.fixed()?;
                reader.end()?;
                Ok(Self::Finished(Finished {
                    reason: FinishReason::from_u32(raw.reason).ok_or(WireError::Field(number))?,
                    prompt_tokens: raw.prompt_tokens,
                    generated_tokens: raw.generated_tokens,
                    first_token_us: raw.first_token_us,
                    total_us: raw.total_us,
                }))
            }
            kind::FAILED => {
                let raw: RawFailure = reader.fixed()?;
                Ok(Self::Failed {
                    failure: raw.check().ok_or(WireError::Field(number))?,
                    detail: reader.tail(MAX_PIECE_BYTES)?,
                })
            }
            kind::MODEL => Ok(Self::Model {
                entry: reader.fixed()?,
                name: reader.name()?,
            }),
            kind::LISTED => {
                let count = u32::from_le_bytes(reader.fixed()?);
                reader.end().map(|()| Self::Listed { count })
            }
            kind::LOADED => Ok(Self::Loaded {
                info: reader.fixed()?,
                name: reader.name()?,
            }),
            kind::STATUS => Ok(Self::Status {
                status: reader.fixed()?,
                model: reader.name()?,
            }),
            kind::STATS => {
                let stats = reader.fixed()?;
                reader.end().map(|()| Self::Stats(stats))
            }
            kind::FAULT => {
                let raw: RawFault = reader.fixed()?;
                reader.end()?;
                Ok(Self::Fault(Fault {
                    kind: FaultKind::from_u32(raw.kind).ok_or(WireError::Field(number))?,
                    ip: raw.ip,
                    address: raw.address,
                }))
            }
            kind::RECOVERED => {
                let raw: RawRecovered = reader.fixed()?;
                reader.end()?;
                Ok(Self::Recovered {
                    after_us: raw.after_us,
                    restarts: raw.restarts,
                })
            }
            _ => Err(WireError::Kind(number)),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;
    use std::vec;

    fn round_trip_request(request: Request<'_>) {
        let mut frame = Frame::<{ crate::ring::PAYLOAD_WORDS }>::new();
        request.write(7, &mut frame);
        assert_eq!(frame.header().request, 7);
        assert_eq!(Request::parse(&frame), Ok(request));
        assert!(matches!(Event::parse(&frame), Err(WireError::Kind(_))));
    }

    fn round_trip_event(event: Event<'_>) {
        let mut frame = Frame::<{ crate::ring::PAYLOAD_WORDS }>::new();
        event.write(7, &mut frame);
        assert_eq!(Event::parse(&frame), Ok(event));
        assert!(matches!(Request::parse(&frame), Err(WireError::Kind(_))));
    }

    #[test]
    fn every_message_is_parsed_as_it_was_written() {
        let longest = vec![b'x'; MAX_PROMPT_BYTES];
        for prompt in [&b""[..], b"Once", &longest] {
            round_trip_request(Request::Infer {
                params: InferParams::default(),
                prompt,
            });
        }
        for request in [
            Request::Cancel,
            Request::Models,
            Request::Status,
            Request::Stats,
        ] {
            round_trip_request(request);
        }
        round_trip_request(Request::Load { name: "default" });

        let failure = Failure::over(ErrorCode::PromptTokens, 600, 511);
        let finished = Finished {
            reason: FinishReason::MaxTokens,
            prompt_tokens: 1,
            generated_tokens: 2,
            first_token_us: 3,
            total_us: 4,
        };
        let info = ModelInfo {
            parameters: 1,
            sha256: [7; 32],
            ..Default::default()
        };
        for event in [
            Event::Ready,
            Event::Token {
                id: 9,
                text: b" king",
            },
            Event::Finished(finished),
            Event::Failed {
                failure,
                detail: b"blk.0.attn_q.weight",
            },
            Event::Model {
                entry: ModelEntry {
                    file_bytes: 5,
                    loaded: 1,
                    reserved: 0,
                },
                name: "tiny",
            },
            Event::Listed { count: 2 },
            Event::Loaded { info, name: "tiny" },
            Event::Status {
                status: Status {
                    restarts: 3,
                    ..Default::default()
                },
                model: "",
            },
            Event::Stats(Stats {
                admitted: 4,
                ..Default::default()
            }),
            Event::Fault(Fault {
                kind: FaultKind::Memory,
                ip: 1,
                address: 2,
            }),
            Event::Recovered {
                after_us: 5,
                restarts: 1,
            },
        ] {
            round_trip_event(event);
        }
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

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(
            kind in prop_oneof![any::<u16>(), 0u16..8, 0x100u16..0x110],
            payload in prop::collection::vec(any::<u8>(), 0..400),
        ) {
            let mut frame = Frame::<64>::new();
            write(&mut frame, kind, 1, &payload, &[]);
            let _ = Request::parse(&frame);
            let _ = Event::parse(&frame);
        }
    }
}
