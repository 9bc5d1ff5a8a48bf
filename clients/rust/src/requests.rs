//! One method for each request that a client can make, and a builder for the one with many parameters.

use crate::client::Client;
use crate::error::SubmitError;
use crate::flights::RequestId;
use protocol::name::{ModelName, SessionName, UserName};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{BudgetChange, LogQuery, Request};
use protocol::wire::{InferParams, Sampling, TARGETS_ALL, TrainParams};

/// A request for text that is being put together. What is not said is as [`InferParams::default`] has it: 128 tokens,
/// temperature 0.8, always the same seed. Fractions are in millionths, since a domain may have no floating point.
///
/// ```
/// use sel4_llm_client::Infer;
/// let yes_or_no = Infer::new("Is 'rm -rf /' dangerous? Answer yes or no.").max_tokens(4).greedy();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Infer<'a> {
    prompt: &'a str,
    session: SessionName,
    adapter: ModelName,
    params: InferParams,
}

impl<'a> Infer<'a> {
    /// From what the model goes on: 1 to [`MAX_PROMPT_BYTES`](protocol::limits::MAX_PROMPT_BYTES) bytes.
    #[must_use]
    pub fn new(prompt: &'a str) -> Self {
        Self {
            prompt,
            session: SessionName::EMPTY,
            adapter: ModelName::EMPTY,
            params: InferParams::default(),
        }
    }

    /// The conversation that it begins or goes on with, which stays in the model's cache. Without one, nothing stays.
    #[must_use]
    pub const fn session(mut self, session: SessionName) -> Self {
        self.session = session;
        self
    }

    /// The adapter to use, which is loaded; a session that goes on has the one that it began with. Without one, the model as
    /// it is.
    #[must_use]
    pub const fn adapter(mut self, adapter: ModelName) -> Self {
        self.adapter = adapter;
        self
    }

    /// Most tokens to generate: 1 to what the user's role allows. As many are taken from the budget until the end.
    #[must_use]
    pub const fn max_tokens(mut self, tokens: u32) -> Self {
        self.params.max_tokens = tokens;
        self
    }

    /// Always the likeliest token: the same prompt gives the same text. For decisions.
    #[must_use]
    pub const fn greedy(self) -> Self {
        self.temperature(0)
    }

    /// How far less likely tokens are chosen, in millionths: 0 is [`Self::greedy`], 1,000,000 as the model has it.
    #[must_use]
    pub const fn temperature(mut self, millionths: u32) -> Self {
        self.params.sampling.temperature = millionths;
        self
    }

    /// Seed of the random generator: the same seed and prompt give the same text.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.params.sampling.seed = seed;
        self
    }

    /// All ways to choose tokens at once.
    #[must_use]
    pub const fn sampling(mut self, sampling: Sampling) -> Self {
        self.params.sampling = sampling;
        self
    }
}

impl<'a> From<Infer<'a>> for Request<'a> {
    fn from(infer: Infer<'a>) -> Self {
        Self::Infer {
            params: infer.params,
            session: infer.session,
            adapter: infer.adapter,
            prompt: infer.prompt.as_bytes(),
        }
    }
}

/// A fine-tuning that is being put together. What is not said is as [`TrainParams::default`] has it.
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
    /// On this data of the store, or on [`EXAMPLES`](protocol::adapters::EXAMPLES), which are those of
    /// [`Client::example`].
    #[must_use]
    pub fn new(data: ModelName) -> Self {
        Self {
            data,
            adapter: ModelName::EMPTY,
            params: TrainParams::default(),
        }
    }

    /// What the adapter will be called; without a name, as the data.
    #[must_use]
    pub const fn adapter(mut self, adapter: ModelName) -> Self {
        self.adapter = adapter;
        self
    }

    /// Rank of its matrices, 1 to 64: a larger one can learn more, and costs more.
    #[must_use]
    pub const fn rank(mut self, rank: u32) -> Self {
        self.params.rank = rank;
        self
    }

    /// α in millionths: its effect is multiplied by α / rank.
    #[must_use]
    pub const fn alpha(mut self, millionths: u32) -> Self {
        self.params.alpha = millionths;
        self
    }

    /// How often the examples are gone through, 1 to 100. So many times their tokens are taken from the budget.
    #[must_use]
    pub const fn epochs(mut self, epochs: u32) -> Self {
        self.params.epochs = epochs;
        self
    }

    /// The largest learning rate, in billionths.
    #[must_use]
    pub const fn rate(mut self, billionths: u32) -> Self {
        self.params.rate = billionths;
        self
    }

    /// Changes the matrices of the feed-forward layers, too, not only those of attention.
    #[must_use]
    pub const fn all_matrices(mut self) -> Self {
        self.params.targets = TARGETS_ALL;
        self
    }

    /// Seed of the first values and of the order of the examples: the same seed and data give the same adapter.
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

/// Each sends one request; the errors are those of [`Client::submit`]. What a user needs a permission for, audit refuses
/// with [`Event::Failed`](protocol::wire::client::Event::Failed).
#[allow(clippy::missing_errors_doc)] // Above, once for all.
impl<R: ReadWords, W: WriteWords> Client<'_, R, W> {
    /// Asks for text. Parts: `Text`. Ends with `Finished`.
    pub fn infer(&mut self, infer: &Infer<'_>) -> Result<RequestId, SubmitError> {
        self.submit(&Request::from(*infer))
    }

    /// Lists the models in the store. Parts: `Model`. Ends with `Listed`.
    pub fn models(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Models)
    }

    /// Loads a model. Parts: `Progress`. Ends with `Loaded`.
    pub fn load(&mut self, name: ModelName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Load { name })
    }

    /// Asks which model is loaded, and what is in its memory. Ends with `Status`.
    pub fn status(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Status)
    }

    /// Asks for audit's counters. Ends with `Stats`.
    pub fn stats(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Stats { watch: false })
    }

    /// Asks for audit's counters once a second. Parts: `Stats`. Ends with `Done`, after a [`Client::cancel`] or a login.
    pub fn watch_stats(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Stats { watch: true })
    }

    /// Becomes another user, if the policy allows that to this client. Without a passphrase it logs in a user who has
    /// none; any other name fails with `PassphraseNeeded`. Ends with `User`.
    pub fn login(
        &mut self,
        user: UserName,
        passphrase: Option<&[u8]>,
    ) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Login { user, passphrase })
    }

    /// Becomes again who this client is by the policy. Ends with `User`.
    pub fn logout(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Logout)
    }

    /// Asks who this client is. Ends with `User`.
    pub fn who_am_i(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::WhoAmI)
    }

    /// Lists the users that can log in. Parts: `User`. Ends with `Listed`.
    pub fn users(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Users)
    }

    /// Asks for a user's budget, one's own if the name is empty, after the change. Ends with `Budget`.
    pub fn budget(
        &mut self,
        user: UserName,
        change: BudgetChange,
    ) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Budget { user, change })
    }

    /// Reads the audit log. Parts: `Record`. Ends with `LogEnd`.
    pub fn log(&mut self, query: LogQuery) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Log(query))
    }

    /// Checks the chain of the audit log. Ends with `LogVerified`, or with `Done` after a [`Client::cancel`] or a login.
    pub fn verify_log(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::VerifyLog)
    }

    /// Has audit try again to start inference, after too many restarts. Ends with `Done`.
    pub fn reset(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Reset)
    }

    /// Lists this user's sessions, or everybody's for who may change budgets. Parts: `Session`. Ends with `Listed`.
    pub fn sessions(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Sessions)
    }

    /// Trains an adapter for the loaded model. Parts: `Progress`, `Training`. Ends with `Tuned`.
    pub fn fine_tune(&mut self, tune: &FineTune) -> Result<RequestId, SubmitError> {
        self.submit(&Request::from(*tune))
    }

    /// Adds an example to those that [`EXAMPLES`](protocol::adapters::EXAMPLES) are: a line as [`Example::line`] makes it.
    /// Ends with `Examples`.
    ///
    /// [`Example::line`]: crate::Example::line
    pub fn example(&mut self, line: &str) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Example {
            text: line.as_bytes(),
        })
    }

    /// Forgets the examples. Ends with `Examples`.
    pub fn drop_examples(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::DropExamples)
    }

    /// Lists the adapters in the store and those made on this device. Parts: `Adapter`. Ends with `Listed`.
    pub fn adapters(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Adapters)
    }

    /// Loads an adapter beside the model. Parts: `Progress`. Ends with `AdapterLoaded`.
    pub fn load_adapter(&mut self, name: ModelName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::LoadAdapter { name })
    }

    /// Unloads an adapter; one made on this device is forgotten, too. Ends with `Done`.
    pub fn drop_adapter(&mut self, name: ModelName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::DropAdapter { name })
    }

    /// Reads the file of an adapter made on this device. Parts: `AdapterPart`. Ends with `Exported`, or with `Done` after a
    /// [`Client::cancel`] or a login.
    pub fn export_adapter(&mut self, name: ModelName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::ExportAdapter { name })
    }

    /// Ends a session that is idle. Ends with `Done`.
    pub fn close(&mut self, session: SessionName) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Close { session })
    }
}
