//! Parameters of a request for text, and their limits.

use super::codec::is_zero;
use super::declare::layout;
use crate::decimal::ONE;
use crate::error::{ErrorCode, Failure};
use crate::limits::{self, defaults, maxima};

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
        Self {
            sampling: Sampling::default(),
            max_tokens: defaults::MAX_TOKENS,
            reserved: 0,
        }
    }
}

impl InferParams {
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

    /// Checks every value against the [`limits`].
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
