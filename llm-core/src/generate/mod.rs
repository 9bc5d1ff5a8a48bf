//! Requests: a prompt goes in, pieces of text come out, one bounded step at a time.
//!
//! A session is a conversation: a row of tokens, and the keys and values of those that have been through the model. A
//! [`Turn`] appends a prompt and what is generated from it. The [`Scheduler`] holds the sessions and batches their
//! work: one token of each session at work, and the rest of the batch is shared by those still reading their prompts. A
//! session slows another's step by no more than the batch, and never affects another's text. Sessions belong to
//! clients, and clients share the engine's time and cache equally, however many sessions each has.
//!
//! The cost of a common beginning is paid once per owner: cache blocks with its keys and values are shared among the
//! owner's sessions, and kept afterwards while nobody needs the room ([`Turn::owner`]). This only affects when a
//! request is done. It changes neither its text nor who gets which room when.
//!
//! A turn generates no more tokens than its credit allows. When that is used up it rests: it is in no batch until it is
//! granted more, and if another turn cannot begin otherwise, it gives up its room in the cache. Its tokens stay, and
//! their keys and values are recomputed.

mod output;
mod scheduler;
mod sharing;

pub(crate) use output::Output;
pub use scheduler::Scheduler;

use crate::chat::{ChatError, Segment};
use crate::constrain::{Format, FormatError};
use crate::kv_cache::CacheFull;
use crate::sampling::SamplerParams;
use crate::tokenizer::{MAX_TOKEN_BYTES, TokenizeError};
#[cfg(doc)]
use crate::transformer::MAX_ADAPTERS;
use crate::transformer::training::{TrainError, TrainProgress};
use formats::stop::Stops;
#[cfg(feature = "protocol")]
use protocol::wire::{InferParams, Sampling};

/// Maximum number of clients that share the engine; see [`Turn::client`].
pub const MAX_CLIENTS: usize = 4;

/// Maximum size of the text that a token adds to a request with stop strings, including text held back before. Anything
/// beyond is dropped before stop strings are searched for. A token's report has room for this much, so its reader sees
/// all the text that was searched.
pub const MAX_STOPPED_TEXT_BYTES: usize = 256;

/// Text of one step. A token has at most [`MAX_TOKEN_BYTES`] bytes. Up to three more may have been held back for it,
/// and invalid UTF-8 triples in size.
pub type Text = heapless::String<{ 3 * (MAX_TOKEN_BYTES + 4) }>;

/// The input of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt<'p> {
    /// A UTF-8 text that the model continues.
    Text(&'p [u8]),
    /// Texts with roles, which the model answers. The chat template writes them at the beginning of a session, or after
    /// what the session holds.
    Segments(&'p [Segment<'p>]),
    /// Token ids, used as they are.
    Tokens(&'p [u32]),
}

impl<'p> Prompt<'p> {
    /// The text right before the answer: the text to continue, or the last segment. Tokens have none.
    #[must_use]
    pub const fn last_text(self) -> &'p [u8] {
        match self {
            Self::Text(text) => text,
            Self::Segments([.., last]) => last.text.as_bytes(),
            Self::Segments([]) | Self::Tokens(_) => &[],
        }
    }
}

/// Where a request continues, and what happens to the session afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The session, below [`crate::transformer::MAX_SESSIONS`].
    pub session: usize,
    /// The client, below [`MAX_CLIENTS`]. Requests of a client share its part of the engine, and all clients get equal
    /// parts. It does not affect any text.
    pub client: usize,
    /// The owner of the conversation. Requests of one owner and one adapter that begin with the same tokens compute
    /// them once; requests of other owners are no faster for it. A session can only be continued by the owner that
    /// began it. When a number passes to another user, call [`crate::backend::LlmBackend::reset`] first, so that it
    /// finds nothing the previous user asked.
    pub owner: u32,
    /// Discard the session's contents and start over. Otherwise the prompt follows them, and there must be some.
    pub fresh: bool,
    /// Keep the session for another turn. Otherwise it is discarded after this one.
    pub keep: bool,
    /// Tokens that may be generated before more credit is granted ([`crate::backend::LlmBackend::grant`]).
    pub credit: u32,
    /// The format of this turn's text. No token is generated after which the text cannot become a word of it within the
    /// remaining tokens.
    pub format: Option<Format>,
    /// Texts that end this turn when generated and are not shown. A turn with a format has none.
    pub stops: Stops,
    /// Whether text spelled like a user-defined token becomes that token.
    pub user_defined: bool,
    /// The adapter for the session's tokens, below [`MAX_ADAPTERS`]. A session that continues must keep the adapter it
    /// began with.
    pub adapter: Option<u8>,
}

impl Turn {
    /// A session's only turn, with unlimited credit.
    #[must_use]
    pub const fn only(session: usize) -> Self {
        Self {
            keep: false,
            ..Self::first(session)
        }
    }

    /// The first turn of a kept session, with unlimited credit.
    #[must_use]
    pub const fn first(session: usize) -> Self {
        Self {
            session,
            client: 0,
            owner: 0,
            fresh: true,
            keep: true,
            credit: u32::MAX,
            format: None,
            stops: Stops::NONE,
            user_defined: false,
            adapter: None,
        }
    }

    /// The next turn of a kept session, with unlimited credit.
    #[must_use]
    pub const fn next(session: usize) -> Self {
        Self {
            fresh: false,
            ..Self::first(session)
        }
    }
}

/// Parameters of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerateParams {
    /// Sampling parameters.
    pub sampler: SamplerParams,
    /// Maximum number of tokens to generate, at least 1.
    pub max_tokens: u32,
}

/// The server and a replay convert here, because a replay must sample exactly as the server did.
#[cfg(feature = "protocol")]
impl From<InferParams> for GenerateParams {
    fn from(params: InferParams) -> Self {
        // Without `..`, so that a new parameter cannot be forgotten.
        let InferParams {
            sampling,
            max_tokens,
            reserved: _,
        } = params;
        let Sampling {
            seed,
            temperature,
            top_k,
            top_p,
            min_p,
            repeat_penalty,
            repeat_last_n,
        } = sampling;
        Self {
            sampler: SamplerParams {
                seed,
                temperature,
                top_k,
                top_p,
                min_p,
                repeat_penalty,
                repeat_last_n,
            },
            max_tokens,
        }
    }
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its text, or nothing can follow in the format.
    EndOfText,
    /// The requested number of tokens was generated.
    MaxTokens,
    /// The session's context is full.
    ContextFull,
    /// Ended by [`crate::backend::LlmBackend::cancel`].
    Cancelled,
    /// A stop string was generated.
    Stop,
}

/// Progress of a session in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Part of the prompt was run through the model.
    Prefill {
        /// Tokens of the session processed so far.
        done: u32,
        /// Tokens of the session, including the prompt.
        total: u32,
    },
    /// A token was generated. The step's [`Text`] holds what can be shown now, without any possible beginning of a stop
    /// string.
    Token {
        /// Its number in the vocabulary.
        id: u32,
    },
    /// The generation ended.
    Finished {
        /// The reason.
        reason: FinishReason,
        /// Tokens of this turn's prompt, including special tokens.
        prompt_tokens: u32,
        /// Tokens generated in this turn, including an end-of-text token.
        generated: u32,
    },
}

/// Result of a step.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Nothing to do: there are no requests, or all of them rest without credit. Only a call of another method changes
    /// that.
    Idle,
    /// Partial work: no session has progressed yet.
    Working,
    /// A session progressed, or its generation failed and the session was discarded.
    Session(usize, Result<Step, GenerateError>),
    /// An idle session was evicted so that a waiting request finds room in the cache.
    Evicted(usize),
    /// Training progressed, or failed and is over.
    Training(Result<TrainProgress, TrainError>),
}

/// Number of requests, and use of the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Positions that all sessions share.
    pub positions: usize,
    /// How many of them are not reserved. A position shared by several sessions counts once for each, so this does not
    /// reveal sharing.
    pub free: usize,
    /// Positions that no session has, whose keys and values are kept until their room is needed, for requests that
    /// begin with the same tokens.
    pub retained: usize,
    /// Tokens processed by the model since it was loaded or everything was forgotten.
    pub computed: u64,
    /// Tokens that were not processed, because the cache still had the same tokens of the same owner.
    pub reused: u64,
    /// Requests with room in the cache: they are at work, or rest without credit.
    pub running: usize,
    /// Requests without room in the cache: they wait for it, or rest without credit.
    pub waiting: usize,
}

/// Why a request is refused or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// No model is loaded.
    #[error("no model is loaded")]
    NoModel,
    /// There is no session of this number.
    #[error("there is no session {session}: the model serves {limit}, numbered from 0")]
    NoSuchSession {
        /// The requested session, from 0.
        session: usize,
        /// Number of sessions.
        limit: usize,
    },
    /// There is no client of this number.
    #[error("there is no client {client}: {limit} share the engine, numbered from 0")]
    NoSuchClient {
        /// The requesting client, from 0.
        client: usize,
        /// Number of clients.
        limit: usize,
    },
    /// There is no adapter in this place.
    #[error("there is no adapter {adapter}")]
    NoSuchAdapter {
        /// The requested place, from 0.
        adapter: usize,
    },
    /// The session began with another adapter, or with none.
    #[error("the session began with another adapter: continue it with the same one")]
    OtherAdapter,
    /// Training is running, and there is no memory for both.
    #[error("a training is running, and there is no memory for both: wait for it or cancel it")]
    Training,
    /// The session has a request in flight.
    #[error("the session has a request in flight: wait for it or cancel it")]
    Busy,
    /// The session has nothing to continue: it was evicted, forgotten or never begun, or it belongs to another owner.
    #[error("the session has nothing to continue: begin it again")]
    NothingThere,
    /// The cache has too few blocks for prompt and generation.
    #[error(transparent)]
    CacheFull(#[from] CacheFull),
    /// The prompt has no tokens.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// Zero tokens were requested.
    #[error("the request asks for 0 tokens: ask for at least 1")]
    NoTokens,
    /// The prompt has too many bytes.
    #[error("the prompt has {bytes} bytes, at most {limit} are allowed")]
    PromptBytes {
        /// Size of the prompt in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// The prompt has too many tokens.
    #[error("the prompt has {tokens} tokens, at most {limit} are allowed")]
    PromptTokens {
        /// Number of tokens in the prompt.
        tokens: usize,
        /// The limit in tokens: the context less one.
        limit: usize,
    },
    /// The session and the prompt leave no room to generate.
    #[error("session and prompt have {tokens} tokens, the context has {limit}")]
    ContextFull {
        /// Tokens of session and prompt.
        tokens: usize,
        /// Size of the context in tokens.
        limit: usize,
    },
    /// The prompt is not valid UTF-8.
    #[error("the prompt is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Offset of the first invalid byte.
        offset: usize,
    },
    /// The vocabulary has no token for a byte of the prompt.
    #[error("the model has no token for the byte {byte:#04x}")]
    NoToken {
        /// The byte.
        byte: u8,
    },
    /// A conversation for a model without a known chat template.
    #[error(
        "the model has no known chat template that is short enough, so it cannot answer conversations: give it a text to continue"
    )]
    NoTemplate,
    /// The conversation is refused.
    #[error(transparent)]
    Chat(ChatError),
    /// Stop strings were given with a format, which determines where the answer ends.
    #[error(
        "a request has a format or stop strings, not both: the format says where an answer ends"
    )]
    FormatAndStops,
    /// No answer in the format is possible.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// No token could follow, which is a bug.
    #[error("no token can follow in the format, which is a bug in the engine")]
    FormatStuck,
    /// A value in the computation was not finite.
    #[error("a value in the computation was not finite")]
    NonFinite,
}

/// Keeps the error codes of texts that a conversation can also be refused for.
impl From<ChatError> for GenerateError {
    fn from(error: ChatError) -> Self {
        match error {
            ChatError::Tokenize(error) => error.into(),
            ChatError::TooLong { bytes, limit } => Self::PromptBytes { bytes, limit },
            error => Self::Chat(error),
        }
    }
}

impl From<TokenizeError> for GenerateError {
    fn from(error: TokenizeError) -> Self {
        match error {
            TokenizeError::NotUtf8 { offset } => Self::NotUtf8 { offset },
            TokenizeError::TooManyTokens { tokens, limit } => Self::PromptTokens { tokens, limit },
            TokenizeError::ScratchTooSmall { cells, needed } => Self::PromptBytes {
                bytes: needed,
                limit: cells,
            },
            TokenizeError::NoByteToken { byte } => Self::NoToken { byte },
        }
    }
}
