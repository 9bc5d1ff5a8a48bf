//! Requests: a prompt goes in, pieces of text come out, one bounded step at a time.
//!
//! A session is a conversation: a row of tokens, and the keys and values of those that have been through the
//! model. A [`Turn`] appends a prompt and what is generated from it. The [`Scheduler`] holds the sessions. What they
//! have to run through the model goes there together: one token of each that is at work, and what room is left is
//! shared by those that still read their prompts. None slows another's step beyond the batch, and none shows in
//! another's text. Sessions belong to clients, and clients share the engine's time and cache equally, however many
//! sessions each has.
//!
//! What a request's first tokens cost is paid once for each owner: blocks of the cache that hold their keys and values are
//! shared among the owner's sessions, and kept after them as long as nobody needs the room ([`Turn::owner`]). That changes
//! when a request is done, and nothing else: neither its text nor who gets which room when.
//!
//! A turn generates no more tokens than its credit allows. When that is used up it rests: it is in no batch until it is
//! granted more, and if another turn cannot begin otherwise, it gives its room in the cache up. Its tokens stay, and
//! their keys and values are computed again.

mod output;
mod scheduler;
mod sharing;

pub(crate) use output::Output;
pub use scheduler::Scheduler;

use crate::chat::{ChatError, Segment};
use crate::constrain::Format;
use crate::kv_cache::CacheFull;
use crate::sampling::SamplerParams;
use crate::tokenizer::{MAX_TOKEN_BYTES, TokenizeError};
#[cfg(doc)]
use crate::transformer::MAX_ADAPTERS;
use crate::transformer::training::{TrainError, TrainProgress};
use formats::stop::Stops;

/// Clients among whom the engine is shared; see [`Turn::client`].
pub const MAX_CLIENTS: usize = 4;

/// Most bytes of text that a token brings in a request with stop strings, those that were held back before it included.
/// What a token has beyond is left out, before stop strings are looked for. So whoever reads a report of a token, which
/// has room for as many, has all the text that they were looked for in.
pub const MAX_STOPPED_TEXT_BYTES: usize = 256;

/// Text of one step. A token has at most [`MAX_TOKEN_BYTES`] bytes; up to three more were held back
/// for it, and bytes that are no UTF-8 grow threefold.
pub type Text = heapless::String<{ 3 * (MAX_TOKEN_BYTES + 4) }>;

/// What a request begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt<'p> {
    /// A text in UTF-8 that the model continues.
    Text(&'p [u8]),
    /// Texts with roles, which the model answers: its chat template writes them down, at the beginning of a session or
    /// behind what the session holds.
    Segments(&'p [Segment<'p>]),
    /// Tokens, as they are.
    Tokens(&'p [u32]),
}

impl<'p> Prompt<'p> {
    /// The text that the answer comes behind: what is continued, or what was said last. Tokens have none.
    #[must_use]
    pub const fn last_text(self) -> &'p [u8] {
        match self {
            Self::Text(text) => text,
            Self::Segments([.., last]) => last.text.as_bytes(),
            Self::Segments([]) | Self::Tokens(_) => &[],
        }
    }
}

/// Where a request goes on, and what is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Whose tokens, keys and values, below [`crate::transformer::MAX_SESSIONS`].
    pub session: usize,
    /// Who asks, below [`MAX_CLIENTS`]: requests of one client share what the client has of the engine, and clients get
    /// equal parts of it. It shows in nobody's text.
    pub client: usize,
    /// Whose conversation it is. Requests of one owner and one adapter that begin with the same tokens have them computed
    /// once; requests of other owners are no faster for it. A session goes on only with the owner that it began with.
    /// A number that passes to somebody else must not meet what the former one asked: call
    /// [`crate::backend::LlmBackend::reset`] in between.
    pub owner: u32,
    /// Forget what the session holds, and begin anew. Else the prompt follows what is there, which must be
    /// something.
    pub fresh: bool,
    /// Keep the session for another turn. Else it is forgotten when this one is over.
    pub keep: bool,
    /// Tokens that may be generated before more are granted ([`crate::backend::LlmBackend::grant`]).
    pub credit: u32,
    /// What the text of this turn must be a word of: no token is generated after which it cannot become one with the tokens
    /// that are left.
    pub format: Option<Format>,
    /// Texts that end this turn when they are generated, and of which nothing is shown. A turn with a format has none.
    pub stops: Stops,
    /// Whether what is spelled like a user-defined token in a text becomes that token.
    pub user_defined: bool,
    /// The adapter that the session's tokens go through the model with, below [`MAX_ADAPTERS`]; that of a session that
    /// goes on must be the one that it began with.
    pub adapter: Option<u8>,
}

impl Turn {
    /// The only turn of a session, with unlimited credit.
    #[must_use]
    pub const fn only(session: usize) -> Self {
        Self {
            keep: false,
            ..Self::first(session)
        }
    }

    /// The first turn of a session that is kept, with unlimited credit.
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

    /// The next turn of a session, which is kept, with unlimited credit.
    #[must_use]
    pub const fn next(session: usize) -> Self {
        Self {
            fresh: false,
            ..Self::first(session)
        }
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerateParams {
    /// How tokens are chosen.
    pub sampler: SamplerParams,
    /// Most tokens to generate, at least 1.
    pub max_tokens: u32,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its text, or nothing can follow in its format.
    EndOfText,
    /// As many tokens as were asked for.
    MaxTokens,
    /// The session's context is full.
    ContextFull,
    /// [`crate::backend::LlmBackend::cancel`].
    Cancelled,
    /// A stop string was generated.
    Stop,
}

/// What a step did for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Part of the prompt was run through the model.
    Prefill {
        /// Tokens of the session that are done.
        done: u32,
        /// Tokens of the session, prompt included.
        total: u32,
    },
    /// A token was generated. The step's [`Text`] has what can be shown now: nothing that may be the beginning of a stop
    /// string.
    Token {
        /// Its number in the vocabulary.
        id: u32,
    },
    /// The generation is over.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Tokens of this turn's prompt, specials included.
        prompt_tokens: u32,
        /// Tokens generated in this turn, an end-of-text token included.
        generated: u32,
    },
}

/// What a step did.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// There is nothing to do: there is no request, or each rests without credit. Only a call of another method changes
    /// that.
    Idle,
    /// Part of the way: no session has got anything yet.
    Working,
    /// A session has got further, or its generation failed and the session is forgotten.
    Session(usize, Result<Step, GenerateError>),
    /// An idle session was forgotten, so that a request which waits finds room in the cache.
    Evicted(usize),
    /// A training has got further, or has failed and is over.
    Training(Result<TrainProgress, TrainError>),
}

/// How many requests there are, and how much of the cache is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Occupancy {
    /// Positions that all sessions share.
    pub positions: usize,
    /// Of them, not reserved. A position that several sessions share counts as one of each, so this does not say whether
    /// they do.
    pub free: usize,
    /// Positions that no session has and whose keys and values are kept until their room is needed, for requests that begin
    /// with the same tokens.
    pub retained: usize,
    /// Tokens that have been through the model since it was loaded or all was forgotten.
    pub computed: u64,
    /// Tokens that have not, since the same ones of the same owner had been and were still in the cache.
    pub reused: u64,
    /// Requests that have their room in the cache: they are at work, or rest without credit.
    pub running: usize,
    /// Requests that have no room in the cache: they wait for it, or rest without credit.
    pub waiting: usize,
}

/// Why a request is refused or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// No model is loaded.
    #[error("no model is loaded")]
    NoModel,
    /// There are not so many sessions.
    #[error("session {session} of {limit}")]
    NoSuchSession {
        /// The one asked for, from 0.
        session: usize,
        /// How many there are.
        limit: usize,
    },
    /// There are not so many clients.
    #[error("client {client} of {limit}")]
    NoSuchClient {
        /// The one that asks, from 0.
        client: usize,
        /// How many there are.
        limit: usize,
    },
    /// There is no adapter in this place.
    #[error("there is no adapter {adapter}")]
    NoSuchAdapter {
        /// The one asked for, from 0.
        adapter: usize,
    },
    /// The session began with another adapter, or with none.
    #[error("the session began with another adapter")]
    OtherAdapter,
    /// A training is under way, and there is no memory for both.
    #[error("a training is under way, and there is no memory for both")]
    Training,
    /// The session has a request under way.
    #[error("the session has a request under way")]
    Busy,
    /// The session holds nothing that could go on: it was evicted, forgotten, or never begun, or it is another owner's.
    #[error("the session holds nothing that could go on")]
    NothingThere,
    /// The cache has too few blocks left for prompt and generation.
    #[error(transparent)]
    CacheFull(#[from] CacheFull),
    /// The prompt has no tokens.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// No token was asked for.
    #[error("at least one token has to be asked for")]
    NoTokens,
    /// The prompt is too long in bytes.
    #[error("the prompt has {bytes} bytes, at most {limit} are allowed")]
    PromptBytes {
        /// Bytes that it has.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The prompt is too long in tokens.
    #[error("the prompt has {tokens} tokens, at most {limit} are allowed")]
    PromptTokens {
        /// Tokens that it has.
        tokens: usize,
        /// Tokens allowed: the context less one.
        limit: usize,
    },
    /// What the session holds and the prompt leave no room to generate in.
    #[error("session and prompt have {tokens} tokens, the context has {limit}")]
    ContextFull {
        /// Tokens that they have.
        tokens: usize,
        /// Tokens of the context.
        limit: usize,
    },
    /// The prompt is no UTF-8.
    #[error("the prompt is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        offset: usize,
    },
    /// The vocabulary has no token for a byte of the prompt.
    #[error("the model has no token for the byte {byte:#04x}")]
    NoToken {
        /// The byte.
        byte: u8,
    },
    /// A conversation, but no known way to write it down.
    #[error(
        "the model has no chat template that is known and short enough, so it answers no conversations: have a text continued"
    )]
    NoTemplate,
    /// The conversation is refused.
    #[error(transparent)]
    Chat(ChatError),
    /// Stop strings for an answer whose format says where it ends.
    #[error(
        "a request has a format or stop strings, not both: the format says where an answer ends"
    )]
    FormatAndStops,
    /// There is no such format.
    #[error("there is no format {format}")]
    NoSuchFormat {
        /// The one asked for, from 0.
        format: usize,
    },
    /// The vocabulary has no tokens for the bytes of a word.
    #[error(
        "the model's vocabulary cannot spell the format: it has no tokens for some of its bytes"
    )]
    FormatNotSpelled,
    /// The tokens that may be generated are not enough for a word.
    #[error(
        "an answer in this format takes {tokens} tokens at least, {limit} can be generated: allow more"
    )]
    FormatTooLong {
        /// Tokens of the shortest word, or of one that is near.
        tokens: usize,
        /// Tokens that may be generated, and have room in the context.
        limit: usize,
    },
    /// No token could follow, which is a bug.
    #[error("no token could follow in the format")]
    FormatStuck,
    /// A value in the computation was not finite.
    #[error("a value in the computation was not finite")]
    NonFinite,
}

/// What a text may be refused for, too, stays the same error.
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
