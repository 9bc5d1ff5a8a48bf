//! The builder of a fine-tuning request.

use protocol::name::ModelName;
use protocol::wire::client::Request;
use protocol::wire::{TARGETS_ALL, TrainParams};

/// A builder of a fine-tuning request. Anything not set is as in [`TrainParams::default`].
///
/// ```
/// use sel4_llm_client::{FineTune, ModelName};
/// let feelings = ModelName::new("feelings").unwrap();
/// let gently = FineTune::new(feelings).rank(8).epochs(2).all_matrices();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FineTune {
    data: ModelName,
    adapter: ModelName,
    params: TrainParams,
}

impl FineTune {
    /// Trains on this data of the store, or on [`EXAMPLES`](protocol::adapters::EXAMPLES), those added with
    /// [`Client::example`](crate::Client::example).
    #[must_use]
    pub fn new(data: ModelName) -> Self {
        Self {
            data,
            adapter: ModelName::EMPTY,
            params: TrainParams::default(),
        }
    }

    /// Name of the adapter; without one, it has the name of the data.
    #[must_use]
    pub const fn adapter(mut self, adapter: ModelName) -> Self {
        self.adapter = adapter;
        self
    }

    /// Rank of its matrices, 1 to 64. A higher rank can learn more and costs more.
    #[must_use]
    pub const fn rank(mut self, rank: u32) -> Self {
        self.params.rank = rank;
        self
    }

    /// α in millionths: the adapter's effect is multiplied by α / rank.
    #[must_use]
    pub const fn alpha(mut self, millionths: u32) -> Self {
        self.params.alpha = millionths;
        self
    }

    /// Passes over the examples, 1 to 100. The budget pays for their tokens in each pass.
    #[must_use]
    pub const fn epochs(mut self, epochs: u32) -> Self {
        self.params.epochs = epochs;
        self
    }

    /// The peak learning rate, in billionths.
    #[must_use]
    pub const fn rate(mut self, billionths: u32) -> Self {
        self.params.rate = billionths;
        self
    }

    /// Also trains the matrices of the feed-forward layers, not only those of attention.
    #[must_use]
    pub const fn all_matrices(mut self) -> Self {
        self.params.targets = TARGETS_ALL;
        self
    }

    /// Seed of the initial values and of the order of examples. The same seed and data give the same adapter.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.params.seed = seed;
        self
    }
}

impl From<FineTune> for Request<'_> {
    fn from(tune: FineTune) -> Self {
        Self::FineTune {
            params: tune.params,
            data: tune.data,
            adapter: tune.adapter,
        }
    }
}
