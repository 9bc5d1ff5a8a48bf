//! Parameters of requests for text and for fine-tuning: their limits, and what a request means that leaves them out.

use crate::decimal::ONE;
use crate::encoding::codec::is_zero;
use crate::encoding::layout;
use crate::error::{ErrorCode, Failure};
use crate::limits::{EXTRA_EXAMPLE_TOKENS, MAX_GENERATED_TOKENS, maxima};

/// Seed of a request that names none.
const SEED: u64 = 42;

layout! {
    /// Sampling parameters; fractions in millionths.
    pub struct Sampling [32] {
        /// Seed of the random generator.
        pub seed: u64,
        /// 0 is greedy.
        pub temperature: u32,
        /// Number of candidates kept; 0 keeps all.
        pub top_k: u32,
        /// Probability mass kept.
        pub top_p: u32,
        /// Minimum probability relative to the likeliest token.
        pub min_p: u32,
        /// Divisor for the logits of recent tokens.
        pub repeat_penalty: u32,
        /// Number of recent tokens that the penalty considers.
        pub repeat_last_n: u32,
    }
}

impl Sampling {
    /// What a request means that says nothing else.
    pub const DEFAULT: Self = Self {
        seed: SEED,
        temperature: 800_000,
        top_k: 40,
        top_p: 950_000,
        min_p: 50_000,
        // A penalty would keep a story from returning to its subjects.
        repeat_penalty: ONE,
        repeat_last_n: 64,
    };
}

impl Default for Sampling {
    fn default() -> Self {
        Self::DEFAULT
    }
}

layout! {
    /// Parameters of a request for text, without its prompt.
    pub struct InferParams [40] {
        /// Sampling parameters.
        pub sampling: Sampling,
        /// Maximum number of tokens to generate.
        pub max_tokens: u32,
        /// Zero.
        pub reserved: u32 where is_zero,
    }
}

impl Default for InferParams {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl InferParams {
    /// What a request means that says nothing else.
    pub const DEFAULT: Self = Self {
        sampling: Sampling::DEFAULT,
        max_tokens: 128,
        reserved: 0,
    };

    /// For records that are not about a request for text: zeros, which are not the default.
    pub const ZERO: Self = Self {
        sampling: Sampling {
            seed: 0,
            temperature: 0,
            top_k: 0,
            top_p: 0,
            min_p: 0,
            repeat_penalty: 0,
            repeat_last_n: 0,
        },
        max_tokens: 0,
        reserved: 0,
    };

    /// Checks every value against its limit.
    ///
    /// # Errors
    /// The first value outside its limit.
    pub fn check(&self) -> Result<(), Failure> {
        let at_most = |code, value: u32, limit: u32| {
            if value > limit {
                Err(Failure::over(code, u64::from(value), u64::from(limit)))
            } else {
                Ok(())
            }
        };
        let limit = MAX_GENERATED_TOKENS;
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
        Self::DEFAULT
    }
}

impl TrainParams {
    /// What a request means that says nothing else.
    pub const DEFAULT: Self = Self {
        seed: SEED,
        rank: 4,
        alpha: 8 * ONE,
        epochs: 3,
        rate: 1_000_000,
        targets: TARGETS_ATTENTION,
        reserved: 0,
    };

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
