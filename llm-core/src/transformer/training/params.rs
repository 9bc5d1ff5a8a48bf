//! How an adapter is trained.

use super::report::TrainError;
use crate::transformer::MAX_RANK;

/// Largest α, in millionths.
pub(super) const MAX_ALPHA: u32 = 1_024_000_000;

/// Largest rate, in billionths.
pub(super) const MAX_RATE: u32 = 1_000_000_000;

const MILLION: f64 = 1e6;

const BILLION: f64 = 1e9;

/// Which matrices of every block are trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Targets {
    /// Only those of attention: queries, keys, values and output.
    Attention,
    /// Those of attention and the feed-forward layer.
    All,
}

/// How an adapter is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TrainParams {
    /// Rank of the matrices, 1 to `MAX_RANK`.
    pub rank: u32,
    /// α in millionths: products are scaled by α / rank.
    pub alpha: u32,
    /// Passes over all examples, at least 1.
    pub epochs: u32,
    /// The largest learning rate, in billionths.
    pub rate: u32,
    /// Which matrices are trained.
    pub targets: Targets,
    /// Seed for the initial values and the order of the examples.
    pub seed: u64,
    /// SHA-256 of the base's file, which the adapter's file will name.
    pub base: [u8; 32],
}

/// Returns an error unless a parameter is valid.
pub(super) fn check(
    what: &'static str,
    value: f64,
    is_fine: bool,
    range: &'static str,
) -> Result<(), TrainError> {
    match is_fine {
        true => Ok(()),
        false => Err(TrainError::Parameter { what, value, range }),
    }
}

impl TrainParams {
    /// # Errors
    /// A parameter is out of range.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        let (rank, epochs) = (f64::from(self.rank), f64::from(self.epochs));
        let rank_fits = (1..=MAX_RANK as u32).contains(&self.rank);
        check("the rank", rank, rank_fits, "1 to 64")?;
        let alpha_fits = (1..=MAX_ALPHA).contains(&self.alpha);
        let alpha = f64::from(self.alpha) / MILLION;
        check("alpha", alpha, alpha_fits, "above 0, up to 1024")?;
        check(
            "the number of epochs",
            epochs,
            (1..=1000).contains(&self.epochs),
            "1 to 1000",
        )?;
        let rate_fits = (1..=MAX_RATE).contains(&self.rate);
        let rate = f64::from(self.rate) / BILLION;
        check("the rate", rate, rate_fits, "above 0, up to 1")
    }

    /// α as a number.
    pub(super) fn alpha(&self) -> f32 {
        (f64::from(self.alpha) / MILLION) as f32
    }

    /// The largest learning rate as a number.
    pub(super) fn rate(&self) -> f32 {
        (f64::from(self.rate) / BILLION) as f32
    }
}
