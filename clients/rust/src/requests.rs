//! One method for each request that a client can make, and a builder for the one with many parameters.

use crate::client::Client;
use crate::error::SubmitError;
use crate::flights::RequestId;
use protocol::error::{ErrorCode, Failure};
use protocol::name::{FormatName, ModelName, Nonce, SessionName, UserName};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{BudgetChange, LogQuery, Request};
use protocol::wire::{
    Extent, InferParams, PartKind, Parts, PartsWriter, Sampling, TARGETS_ALL, TrainParams,
};

/// Who has said a text of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever set the model up: what it is to be, and what it is to know.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
}

/// A text of a conversation. Whatever it looks like, it stays text: only the model's chat template says where one ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Who has said it.
    pub role: Role,
    /// What was said. Empty only if it is the system's or the assistant's.
    pub text: &'a str,
}

impl<'a> Segment<'a> {
    /// What the model is told before anybody speaks.
    #[must_use]
    pub const fn system(text: &'a str) -> Self {
        let role = Role::System;
        Self { role, text }
    }

    /// What a person says.
    #[must_use]
    pub const fn user(text: &'a str) -> Self {
        let role = Role::User;
        Self { role, text }
    }

    /// What the model has said, or is to believe that it has.
    #[must_use]
    pub const fn assistant(text: &'a str) -> Self {
        let role = Role::Assistant;
        Self { role, text }
    }

    const fn part(&self) -> PartKind {
        match self.role {
            Role::System => PartKind::System,
            Role::User => PartKind::User,
            Role::Assistant => PartKind::Assistant,
        }
    }
}

/// From what the model goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prompt<'a> {
    Text(PartKind, &'a str),
    Conversation(&'a [Segment<'a>]),
}

/// A request for text that is being put together. What is not said is as [`InferParams::default`] has it: 128 tokens,
/// temperature 0.8, always the same seed. Fractions are in millionths, since a domain may have no floating point.
///
/// ```
/// use sel4_llm_client::Infer;
/// let yes_or_no = Infer::say("Is 'rm -rf /' dangerous?")
///     .system("You judge commands. Answer yes or no.")
///     .choices(&["yes", "no"])
///     .max_tokens(4)
///     .greedy();
/// ```
///
/// # The form of an answer
///
/// With [`choices`](Self::choices) or a [`format`](Self::format), audit lets no byte pass that does not belong: a text that
/// has [finished](crate::Event::Finished) is one of the choices, or a word of the format, whatever the model or a hostile
/// inference would rather say. If it cannot be kept, the request fails:
///
/// | code | then |
/// |---|---|
/// | `UnknownFormat`, `FormatNotAllowed` | the policy has no such format, or not for this client |
/// | `FormatNeeded` | the policy wants this client to name a format |
/// | `FormatNotSpelled` | the loaded model's vocabulary cannot write it |
/// | `FormatTooLong` | raise [`max_tokens`](Self::max_tokens): it is too small for the shortest answer |
/// | `FormatBreach` | inference has left the format and is restarted: what came before it is a beginning, nothing more |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Infer<'a> {
    system: Option<&'a str>,
    prompt: Prompt<'a>,
    stops: &'a [&'a str],
    choices: &'a [&'a str],
    format: FormatName,
    session: SessionName,
    adapter: ModelName,
    params: InferParams,
}

impl<'a> Infer<'a> {
    fn of(prompt: Prompt<'a>) -> Self {
        Self {
            system: None,
            prompt,
            stops: &[],
            choices: &[],
            format: FormatName::EMPTY,
            session: SessionName::EMPTY,
            adapter: ModelName::EMPTY,
            params: InferParams::default(),
        }
    }

    /// Completes a text: the model goes on where it ends, whatever chat template the model has. 1 to
    /// [`MAX_PROMPT_BYTES`](protocol::limits::MAX_PROMPT_BYTES) bytes.
    #[must_use]
    pub fn new(prompt: &'a str) -> Self {
        Self::of(Prompt::Text(PartKind::Text, prompt))
    }

    /// Says a text to the model, which answers: a turn of a conversation. Fails with `NoTemplate` if the model has no chat
    /// template.
    #[must_use]
    pub fn say(text: &'a str) -> Self {
        Self::of(Prompt::Text(PartKind::User, text))
    }

    /// As [`Self::say`] if the model has a chat template, else as [`Self::new`]. Audit decides when it admits the request,
    /// with the model that the request will run on, so no load by another client comes in between.
    #[must_use]
    pub fn prompt(text: &'a str) -> Self {
        Self::of(Prompt::Text(PartKind::Prompt, text))
    }

    /// Goes on with a conversation: 1 to [`MAX_SEGMENTS`](protocol::limits::MAX_SEGMENTS) segments. After a system text,
    /// if there is one, user and assistant take turns, and the user is last. What goes on with a session has no system text.
    #[must_use]
    pub fn conversation(segments: &'a [Segment<'a>]) -> Self {
        Self::of(Prompt::Conversation(segments))
    }

    /// What the model is told before a conversation: for [`Self::say`] and [`Self::conversation`], and only at the beginning
    /// of a session.
    #[must_use]
    pub const fn system(mut self, text: &'a str) -> Self {
        self.system = Some(text);
        self
    }

    /// Texts that end the answer, at most [`MAX_STOPS`](protocol::limits::MAX_STOPS) of 1 to
    /// [`MAX_STOP_BYTES`](protocol::limits::MAX_STOP_BYTES) bytes. None of their bytes is told. Not beside a format or choices.
    #[must_use]
    pub const fn stops(mut self, stops: &'a [&'a str]) -> Self {
        self.stops = stops;
        self
    }

    /// The format of the policy that the answer has.
    #[must_use]
    pub const fn format(mut self, format: FormatName) -> Self {
        self.format = format;
        self
    }

    /// The answers that there are: at most 32, with at most 512 bytes together, one between each two included. Not beside a
    /// format.
    #[must_use]
    pub const fn choices(mut self, choices: &'a [&'a str]) -> Self {
        self.choices = choices;
        self
    }

    /// The session that it begins or goes on with, which stays in the model's cache. Without one, nothing stays.
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

    /// All parameters at once.
    #[must_use]
    pub const fn params(mut self, params: InferParams) -> Self {
        self.params = params;
        self
    }

    /// The request, with its parts in `buffer`, of which [`MAX_PARTS_BYTES`](protocol::limits::MAX_PARTS_BYTES) suffice.
    /// [`Client::infer`] has a buffer of its own.
    ///
    /// # Errors
    /// What is wrong with a text, a stop string or a choice, or that they are too many or too long.
    pub fn request<'b>(&self, buffer: &'b mut [u8]) -> Result<Request<'b>, Failure> {
        Ok(self.with(self.write(buffer)?))
    }

    /// Writes the parts into a buffer, and checks them.
    pub(crate) fn write<'b>(&self, buffer: &'b mut [u8]) -> Result<Parts<'b>, Failure> {
        let mut writer = PartsWriter::new(buffer);
        if let Some(system) = self.system {
            writer.push(PartKind::System, system.as_bytes());
        }
        match self.prompt {
            Prompt::Text(kind, text) => {
                writer.push(kind, text.as_bytes());
            }
            Prompt::Conversation(segments) => {
                for segment in segments {
                    writer.push(segment.part(), segment.text.as_bytes());
                }
            }
        }
        for (kind, texts) in [
            (PartKind::Stop, self.stops),
            (PartKind::Choice, self.choices),
        ] {
            for text in texts {
                writer.push(kind, text.as_bytes());
            }
        }
        let parts = writer.finish()?;
        check_format(self.format, &parts)?;
        Ok(parts)
    }

    /// The request with parts that were written before.
    pub(crate) const fn with<'b>(&self, parts: Parts<'b>) -> Request<'b> {
        Request::Infer {
            params: self.params,
            session: self.session,
            adapter: self.adapter,
            format: self.format,
            parts,
        }
    }
}

/// A format says which answers there are and where they end, so nothing else does.
pub(crate) fn check_format(format: FormatName, parts: &Parts<'_>) -> Result<(), Failure> {
    if format.is_empty() {
        return Ok(());
    }
    let Extent { stops, choices, .. } = parts.extent();
    match (stops, choices) {
        (0, 0) => Ok(()),
        (_, 0) => Err(Failure::of(ErrorCode::FormatAndStops)),
        _ => Err(Failure::of(ErrorCode::FormatAndChoices)),
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
        self.submit_text(infer)
    }

    /// Whether a request for text can be sent like this: what [`Self::infer`] would refuse before it sends anything, but
    /// for the link and the room.
    ///
    /// # Errors
    /// What is wrong, with the value and the limit.
    pub fn check(&mut self, infer: &Infer<'_>) -> Result<(), Failure> {
        self.check_text(infer)
    }

    /// Lists the formats of the policy. Parts: `Format`. Ends with `Listed`.
    pub fn formats(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Formats)
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

    /// Has the device sign the head of its log, and `nonce` with it. Ends with `Attested`.
    pub fn attest(&mut self, nonce: Nonce) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Attest { nonce })
    }

    /// Has audit try again to start inference, after too many restarts. Ends with `Done`.
    pub fn reset(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Reset)
    }

    /// Asks whether this user may end the system, which goes on the record. Ends with `Done`; audit itself goes on.
    pub fn halt(&mut self) -> Result<RequestId, SubmitError> {
        self.submit(&Request::Halt)
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
