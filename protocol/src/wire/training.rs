//! What a fine-tuning asks for, its limits, and how far it has got.

use super::codec::is_zero;
use super::declare::layout;
use crate::error::{ErrorCode, Failure};
use crate::limits::{EXTRA_EXAMPLE_TOKENS, defaults, maxima};

/// Which matrices of every block a fine-tuning changes: those of attention.
pub const TARGETS_ATTENTION: u32 = 1;

/// Those of the feed-forward layer, too.
pub const TARGETS_ALL: u32 = 2;

layout! {
    /// How an adapter is trained. With the same base and data it is the same adapter, bit for bit.
    pub struct TrainParams [32] {
        /// Of the first values, and of the order of the examples.
        pub seed: u64,
        /// Of the matrices.
        pub rank: u32,
        /// α in millionths: products are multiplied by α / rank.
        pub alpha: u32,
        /// How often all examples are gone through.
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
    /// Of what is no fine-tuning: zeros, which are not the default.
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
    /// The first value that is out of its limit.
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

    /// Most tokens that a training on data of so many bytes and line feeds can take through the model. Audit has no
    /// tokenizer, and reserves by this bound.
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
    /// How far a training is, as inference says.
    #[derive(Default)]
    pub struct TrainProgress [28] {
        /// Updates of the adapter that are done.
        pub step: u32,
        /// Updates in all.
        pub steps: u32,
        /// Tokens that have gone through the model.
        pub tokens: u64,
        /// Mean loss of the examples since the last epoch began, in millionths of a nat a token.
        pub loss: u32,
        /// Tokens of the longest example.
        pub longest: u32,
        /// Requests for text wait until it is over: there is no memory for both.
        pub alone: bool,
    }
}

layout! {
    /// An adapter that has been loaded.
    #[derive(Default)]
    pub struct AdapterInfo [28] {
        /// Its rank; the largest, if its matrices differ.
        pub rank: u32,
        /// α in millionths.
        pub alpha: u32,
        /// Matrices of the model that it changes.
        pub matrices: u32,
        /// Numbers in all its matrices.
        pub parameters: u64,
        /// Bytes that it takes in the arena.
        pub bytes: u64,
    }
}
