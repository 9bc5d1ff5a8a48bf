//! The builder of a request for text.

use protocol::error::{ErrorCode, Failure};
use protocol::name::{FormatName, ModelName, SessionName};
use protocol::wire::client::Request;
use protocol::wire::{Extent, InferParams, PartKind, Parts, PartsWriter, Sampling};

/// Who says a text of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Whoever set the model up, to tell it what it is and knows.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

/// A text of a conversation. It stays text whatever it looks like, because only the model's chat template marks where
/// one ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Who says it.
    pub role: Role,
    /// The text. Only the system's and the assistant's may be empty.
    pub text: &'a str,
}

impl<'a> Segment<'a> {
    /// What the model is told before the conversation.
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

    /// What the model has said, or is to believe it has said.
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

/// What the model continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prompt<'a> {
    Text(PartKind, &'a str),
    Conversation(&'a [Segment<'a>]),
}

/// A builder of a request for text. Anything not set is as in [`InferParams::default`]: 128 tokens, temperature 0.8,
/// always the same seed. Fractions are in millionths, because a domain may have no floating point.
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
/// With [`choices`](Self::choices) or a [`format`](Self::format), audit passes no byte that does not belong. A
/// [finished](crate::Event::Finished) text is one of the choices, or matches the format, whatever the model or a
/// hostile inference would rather say. If that cannot be achieved, the request fails:
///
/// | code | then |
/// |---|---|
/// | `UnknownFormat`, `FormatNotAllowed` | the policy has no such format, or not for this client |
/// | `FormatNeeded` | the policy requires this client to name a format |
/// | `FormatNotSpelled` | the loaded model's vocabulary cannot write it |
/// | `FormatTooLong` | raise [`max_tokens`](Self::max_tokens): it is too small for the shortest answer |
/// | `FormatBreach` | inference violated the format and is restarted; the text before it is incomplete |
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

    /// Completes a text: the model continues it, without a chat template. The text has 1 to
    /// [`MAX_PROMPT_BYTES`](protocol::limits::MAX_PROMPT_BYTES) bytes.
    #[must_use]
    pub fn new(prompt: &'a str) -> Self {
        Self::of(Prompt::Text(PartKind::Text, prompt))
    }

    /// Says something to the model, which answers: one turn of a conversation. Fails with `NoTemplate` if the model has
    /// no chat template.
    #[must_use]
    pub fn say(text: &'a str) -> Self {
        Self::of(Prompt::Text(PartKind::User, text))
    }

    /// Like [`Self::say`] if the model has a chat template, and otherwise like [`Self::new`]. Audit decides when it
    /// admits the request, knowing the model that will run it, so no load by another client comes in between.
    #[must_use]
    pub fn prompt(text: &'a str) -> Self {
        Self::of(Prompt::Text(PartKind::Prompt, text))
    }

    /// Continues a conversation of 1 to [`MAX_SEGMENTS`](protocol::limits::MAX_SEGMENTS) segments. User and assistant
    /// alternate, after an optional system text, and the user is last. There is no system text if a session continues.
    #[must_use]
    pub fn conversation(segments: &'a [Segment<'a>]) -> Self {
        Self::of(Prompt::Conversation(segments))
    }

    /// What the model is told before the conversation. Only for [`Self::say`] and [`Self::conversation`], and only at
    /// the start of a session.
    #[must_use]
    pub const fn system(mut self, text: &'a str) -> Self {
        self.system = Some(text);
        self
    }

    /// Texts that end the answer, at most [`MAX_STOPS`](protocol::limits::MAX_STOPS) of 1 to
    /// [`MAX_STOP_BYTES`](protocol::limits::MAX_STOP_BYTES) bytes. They are not part of the answer. Not with a format
    /// or choices.
    #[must_use]
    pub const fn stops(mut self, stops: &'a [&'a str]) -> Self {
        self.stops = stops;
        self
    }

    /// The format, from the policy, that the answer must have.
    #[must_use]
    pub const fn format(mut self, format: FormatName) -> Self {
        self.format = format;
        self
    }

    /// The allowed answers: at most 32, with at most 512 bytes together, counting one between each two. Not with a
    /// format.
    #[must_use]
    pub const fn choices(mut self, choices: &'a [&'a str]) -> Self {
        self.choices = choices;
        self
    }

    /// The session to start or to continue; it stays in the model's cache. Without one, nothing stays.
    #[must_use]
    pub const fn session(mut self, session: SessionName) -> Self {
        self.session = session;
        self
    }

    /// The loaded adapter to use. A session that continues keeps the one that it began with. Without an adapter, the
    /// model is used as it is.
    #[must_use]
    pub const fn adapter(mut self, adapter: ModelName) -> Self {
        self.adapter = adapter;
        self
    }

    /// Most tokens to generate: 1 up to the limit of the user's role. They are reserved from the budget until the end.
    #[must_use]
    pub const fn max_tokens(mut self, tokens: u32) -> Self {
        self.params.max_tokens = tokens;
        self
    }

    /// Always takes the likeliest token, so the same prompt gives the same text. For decisions.
    #[must_use]
    pub const fn greedy(self) -> Self {
        self.temperature(0)
    }

    /// Randomness in millionths: 0 is [`Self::greedy`], 1,000,000 uses the model's own probabilities.
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

    /// All sampling parameters at once.
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

    /// Builds the request, with its parts in `buffer`. [`MAX_PARTS_BYTES`](protocol::limits::MAX_PARTS_BYTES) suffice.
    /// [`Client::infer`](crate::Client::infer) does this in its own buffer.
    ///
    /// # Errors
    /// A text, a stop string or a choice is invalid, or there are too many, or they are too long.
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

    /// The request, with parts that are already written.
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

/// A format defines the answers and where they end, so choices and stop strings are refused beside it.
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
