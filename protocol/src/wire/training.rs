//! Progress of a fine-tuning job, and what came of it.

use crate::encoding::layout;

layout! {
    /// Progress of a fine-tuning job, as reported by inference.
    #[derive(Default)]
    pub struct TrainProgress [28] {
        /// Updates of the adapter done.
        pub step: u32,
        /// Total number of updates.
        pub steps: u32,
        /// Tokens processed by the model.
        pub tokens: u64,
        /// Mean loss of the examples since the epoch began, in millionths of a nat per token.
        pub loss: u32,
        /// Tokens of the longest example.
        pub longest: u32,
        /// Requests for text wait until it is done, because there is no memory for both.
        pub alone: bool,
    }
}

layout! {
    /// A loaded adapter.
    #[derive(Default)]
    pub struct AdapterInfo [28] {
        /// Its rank, or the largest if its matrices differ.
        pub rank: u32,
        /// α in millionths.
        pub alpha: u32,
        /// Number of the model's matrices that it changes.
        pub matrices: u32,
        /// Total number of elements in its matrices.
        pub parameters: u64,
        /// Bytes that it occupies in the arena.
        pub bytes: u64,
    }
}
