//! Parameters of a fine-tuning job, their limits, and its progress.

use super::codec::is_zero;
use super::declare::layout;
use crate::error::{ErrorCode, Failure};
use crate::limits::{EXTRA_EXAMPLE_TOKENS, defaults, maxima};

/// Matrices of every block that fine-tuning changes: only those of attention.
pub const TARGETS_ATTENTION: u32 = 1;

/// Those of attention and the feed-forward layer.
pub const TARGETS_ALL: u32 = 2;

layout! {
    /// How an adapter is trained. The same base and data give the same adapter, bit for bit.
    pub struct TrainParams [32] {
        /// Seed for the initial values and the order of the examples.
        pub seed: u64,
        /// Rank of the matrices.
        pub rank: u32,
        /// α in millionths: products are scaled by α / rank.
        pub alpha: u32,
        /// Passes over all examples.
        pub epochs: u32,
        /// The largest learning rate, in billionths.
        pub rate: u32,
        /// [`TARGETS_ATTENTION`] or [`TARGETS_ALL`].
        pub targets: u32,
        /// Zero.
        pub reserved: u32 where is_zero,
    }
}

impl Default for TrainParams {
    fn default() -> Self {
        Self {
            seed: defaults::SEED,
            rank: defaults::RANK,
            alpha: defaults::ALPHA,
            epochs: defaults::EPOCHS,
            rate: defaults::RATE,
            targets: TARGETS_ATTENTION,
            reserved: 0,
        }
    }
}

impl TrainParams {
    /// For records that are not about fine-tuning: zeros, which are not the default.
    pub const ZERO: Self = Self {
        seed: 0,
        rank: 0,
        alpha: 0,
        epochs: 0,
        rate: 0,
        targets: 0,
        reserved: 0,
    };

    /// Checks every value against the [`maxima`].
    ///
    /// # Errors
    /// The first value outside its limit.
    pub fn check(&self) -> Result<(), Failure> {
        for (code, value, limit) in [
            (ErrorCode::TrainRank, self.rank, maxima::RANK),
            (ErrorCode::TrainAlpha, self.alpha, maxima::ALPHA),
            (ErrorCode::TrainEpochs, self.epochs, maxima::EPOCHS),
            (ErrorCode::TrainRate, self.rate, maxima::RATE),
            (ErrorCode::TrainTargets, self.targets, TARGETS_ALL),
        ] {
            if value == 0 || value > limit {
                return Err(Failure::over(code, u64::from(value), u64::from(limit)));
            }
        }
        Ok(())
    }

    /// Maximum number of tokens that training on `bytes` bytes of data with this many line feeds can process. Audit has
    /// no tokenizer, so it reserves by this bound.
    #[must_use]
    pub fn most_tokens(&self, bytes: u64, line_feeds: u64) -> u64 {
        let extra = line_feeds
            .saturating_add(1)
            .saturating_mul(EXTRA_EXAMPLE_TOKENS);
        bytes
            .saturating_add(extra)
            .saturating_mul(u64::from(self.epochs))
    }
}

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
