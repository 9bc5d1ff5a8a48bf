//! Training of an adapter by backpropagation, on the device.

use crate::gguf::Name;

/// Longest data in bytes: it is read at once.
pub const MAX_DATA_BYTES: usize = 128 << 10;

/// Which matrices of every block are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Those of attention: queries, keys, values and output.
    Attention,
    /// Those of the feed-forward layer, too.
    All,
}

/// How an adapter is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainParams {
    /// Of the matrices, 1 to [`super::MAX_RANK`].
    pub rank: u32,
    /// α: products are multiplied by α / rank.
    pub alpha: f32,
    /// How often all examples are gone through, at least 1.
    pub epochs: u32,
    /// The largest learning rate.
    pub rate: f32,
    /// Which matrices are changed.
    pub targets: Targets,
    /// Of the first values, and of the order of the examples.
    pub seed: u64,
    /// SHA-256 of the base's file, which the adapter's file names.
    pub base: [u8; 32],
}

/// What a training will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrainPlan {
    /// Examples in the data.
    pub examples: u32,
    /// Updates of the adapter, over all epochs.
    pub steps: u32,
    /// Tokens that go through the model, over all epochs.
    pub tokens: u64,
    /// Tokens of the longest example.
    pub longest: u32,
    /// Bytes that it takes in the arena while it goes on.
    pub bytes: u64,
    /// Whether requests for text wait until it is over: there is no memory for both.
    pub alone: bool,
}

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainProgress {
    /// Updates that are done.
    pub step: u32,
    /// Updates in all.
    pub steps: u32,
    /// Tokens that have gone through the model.
    pub tokens: u64,
    /// Mean loss of the examples since the last epoch began, in nats a token.
    pub loss: f32,
    /// Bytes of the adapter's file, which is ready; 0 before the end, and if it was stopped.
    pub made: u64,
    /// Whether it is over.
    pub over: bool,
}

/// Why an adapter is not trained.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TrainError {
    /// There is no model that it could change.
    #[error("no model is loaded")]
    NoModel,
    /// One is under way.
    #[error("a training is under way")]
    Busy,
    /// A parameter is out of its range.
    #[error("{what} is {value}, not {range}")]
    Parameter {
        /// Which.
        what: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        range: &'static str,
    },
    /// There are no examples.
    #[error("the data holds no examples")]
    Empty,
    /// Too much data.
    #[error("the data has {bytes} bytes, at most {MAX_DATA_BYTES} can be used")]
    TooLong {
        /// Bytes that it has.
        bytes: usize,
    },
    /// The data is no UTF-8.
    #[error("line {line} is not UTF-8")]
    NotUtf8 {
        /// Where, from 1.
        line: u32,
    },
    /// A line is not a JSON object with the members that are needed.
    #[error("line {line} is no example: {what}")]
    Malformed {
        /// Where, from 1.
        line: u32,
        /// What is wrong.
        what: &'static str,
    },
    /// An example is longer than the context.
    #[error("the example of line {line} has {tokens} tokens, the context {limit}")]
    Context {
        /// Where, from 1.
        line: u32,
        /// Tokens that it has.
        tokens: usize,
        /// Tokens of the context.
        limit: usize,
    },
    /// The vocabulary has no token for a byte of the data.
    #[error("the model has no token for the byte {byte:#04x} in line {line}")]
    NoToken {
        /// Where, from 1.
        line: u32,
        /// The byte.
        byte: u8,
    },
    /// The memory does not suffice, not even without requests for text.
    #[error("{needed} bytes are needed for examples of {tokens} tokens, {free} are free")]
    Memory {
        /// Bytes needed.
        needed: u64,
        /// Bytes that there would be.
        free: u64,
        /// Tokens of the longest example.
        tokens: u32,
        /// Longest example for which there would be enough, 0 if there is none.
        longest: u32,
        /// Largest rank for which there would be enough, 0 if there is none.
        rank: u32,
    },
    /// The memory suffices for the training alone, and requests are under way.
    #[error("memory allows the training only alone, and {requests} requests are under way")]
    Requests {
        /// How many.
        requests: usize,
    },
    /// A value in the computation was not finite.
    #[error("a value was not finite after {step} steps: try a smaller rate")]
    NonFinite {
        /// Updates that were done.
        step: u32,
    },
    /// The model has something that cannot be trained.
    #[error("the model cannot be trained: {0}")]
    Unsupported(Name),
}
