//! The plan and progress of a training, and the reasons why it cannot run.

use super::MAX_DATA_BYTES;
use crate::arena::ArenaError;
use crate::gguf::Name;
use crate::transformer::layout::RearrangeError;
use core::fmt;

/// What a training job will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainPlan {
    /// Examples in the data.
    pub examples: u32,
    /// Updates of the adapter, over all epochs.
    pub steps: u32,
    /// Tokens processed by the model, over all epochs.
    pub tokens: u64,
    /// Tokens of the longest example.
    pub longest: u32,
    /// Bytes that it occupies in the arena while running.
    pub bytes: u64,
    /// Bytes of the adapter's file.
    pub file: u64,
    /// Whether requests for text wait until it is done, because there is no memory for both.
    pub alone: bool,
}

/// Progress of a training job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainProgress {
    /// Updates done.
    pub step: u32,
    /// Total number of updates.
    pub steps: u32,
    /// Tokens processed by the model.
    pub tokens: u64,
    /// Mean loss of the examples since the epoch began, in nats per token.
    pub loss: f32,
    /// Size of the finished adapter's file in bytes; 0 before the end, and if it was stopped.
    pub made: u64,
    /// Whether it is over.
    pub over: bool,
}

/// Why an adapter cannot be trained.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// No model is loaded.
    #[error("no model is loaded")]
    NoModel,
    /// Training is already running.
    #[error("a training is already running")]
    Busy,
    /// A parameter is out of range.
    #[error("{what} is {value}, not {range}")]
    Parameter {
        /// The parameter.
        what: &'static str,
        /// Its value.
        value: f64,
        /// The allowed range.
        range: &'static str,
    },
    /// There are no examples.
    #[error("the data holds no examples")]
    Empty,
    /// There is too much data.
    #[error("the data has {bytes} bytes, at most {MAX_DATA_BYTES} can be used")]
    TooLong {
        /// Size of the data in bytes.
        bytes: usize,
    },
    /// The data is not UTF-8.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// The line, from 1.
        line: u32,
    },
    /// A line is not a JSON object with the members that are needed.
    #[error("line {line} is not an example: {what}")]
    Malformed {
        /// The line, from 1.
        line: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// An example is longer than the context.
    #[error("the example of line {line} has {tokens} tokens, the context {limit}")]
    Context {
        /// The line, from 1.
        line: u32,
        /// Tokens of the example.
        tokens: usize,
        /// Tokens of the context.
        limit: usize,
    },
    /// A text is longer than the tokenizer's scratch.
    #[error(
        "the text of line {line} has {bytes} bytes, the tokenizer has room for {limit}: divide it, or load the model for longer prompts"
    )]
    TextTooLong {
        /// The line, from 1.
        line: u32,
        /// Size of the text in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The vocabulary has no token for a byte of the data.
    #[error("the model has no token for the byte {byte:#04x} in line {line}")]
    NoToken {
        /// The line, from 1.
        line: u32,
        /// The byte.
        byte: u8,
    },
    /// The memory is insufficient, even without requests for text.
    #[error(
        "{needed} bytes are needed for examples of {tokens} tokens, {free} are free; {}", Fits { longest: *longest, rank: *rank }
    )]
    Memory {
        /// Bytes needed.
        needed: u64,
        /// Bytes that would be available.
        free: u64,
        /// Tokens of the longest example.
        tokens: u32,
        /// Longest example that would fit; 0 if none does.
        longest: u32,
        /// Largest rank that would fit; 0 if none does.
        rank: u32,
    },
    /// The training fits in memory only on its own, and requests are in flight.
    #[error(
        "the training needs all the memory, and {requests} requests are in flight: wait for them or cancel them"
    )]
    Requests {
        /// Number of requests.
        requests: usize,
    },
    /// The plan was wrong, which is a bug in the engine.
    #[error(transparent)]
    Arena(#[from] ArenaError),
    /// A value in the computation was not finite.
    #[error("a value was not finite after {step} steps: try a smaller rate")]
    NonFinite {
        /// Updates done.
        step: u32,
    },
    /// The model has a feature that cannot be trained.
    #[error("the model cannot be trained: {0}")]
    Unsupported(Name),
}

/// Formats what would fit.
#[derive(Clone, Copy, Debug)]
pub struct Fits {
    /// See [`TrainError::Memory`].
    pub longest: u32,
    /// See [`TrainError::Memory`].
    pub rank: u32,
}

impl fmt::Display for Fits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.longest, self.rank) {
            (0, 0) => f.write_str("neither a smaller rank nor shorter examples would fit"),
            (0, rank) => write!(
                f,
                "a rank of {rank} would fit, shorter examples alone would not"
            ),
            (longest, 0) => write!(
                f,
                "examples of {longest} tokens would fit, a smaller rank alone would not"
            ),
            (longest, rank) => {
                write!(
                    f,
                    "a rank of {rank} would fit, or examples of {longest} tokens"
                )
            }
        }
    }
}

impl From<RearrangeError> for TrainError {
    fn from(error: RearrangeError) -> Self {
        match error {
            RearrangeError::TooLarge(plan) => Self::Memory {
                needed: plan.total(),
                free: plan.capacity,
                tokens: 0,
                longest: 0,
                rank: 0,
            },
            RearrangeError::Arena(error) => error.into(),
        }
    }
}
