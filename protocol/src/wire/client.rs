//! Between a client and audit: a [`Request`] goes out, [`Event`]s come back.
//!
//! Audit keeps who is logged in; a request never says who asks. A request is answered by any number of events that are
//! not its last ([`Event::Text`], [`Event::Model`], [`Event::Record`] …) and one that is.

use super::{
    ArenaUse, Fault, FaultKind, FinishReason, InferParams, ModelInfo, Reader, WireError, write,
};
use crate::error::{ErrorCode, Failure, RawFailure};
use crate::limits::{MAX_PASSPHRASE_BYTES, MAX_PIECE_BYTES, MAX_PROMPT_BYTES, MAX_TEXT_BYTES};
use crate::name::{ModelName, SessionName, UserName};
use crate::record::{Hash, Record};
use crate::ring::Frame;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// What of a budget is to be changed. What is `None` stays as it is when audit makes the change, so a change of one
/// field cannot undo a change of the other that came before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetChange {
    /// Tokens in a period.
    pub tokens: Option<u64>,
    /// The period in microseconds.
    pub period_us: Option<u64>,
}

impl BudgetChange {
    /// Nothing is to be changed.
    pub const NONE: Self = Self {
        tokens: None,
        period_us: None,
    };

    /// Whether nothing is to be changed.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.tokens.is_none() && self.period_us.is_none()
    }
}

/// Which entries of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// The newest so many; 0 for all that are there.
    pub last: u64,
    /// Of this user alone; empty for all.
    pub user: UserName,
    /// Go on with what is appended, until it is cancelled.
    pub follow: bool,
}

/// From a client to audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// Generate text. Ends with [`Event::Finished`].
    Infer {
        /// How.
        params: InferParams,
        /// The conversation that it goes on with or begins; empty for none.
        session: SessionName,
        /// From what.
        prompt: &'a [u8],
    },
    /// Stop the request with the number in the header. It is answered by that request's last event.
    Cancel,
    /// List the models in the store. Ends with [`Event::Listed`].
    Models,
    /// Load a model. Ends with [`Event::Loaded`].
    Load {
        /// Its name in the store, without `.gguf`.
        name: ModelName,
    },
    /// What inference has in its arena. Ends with [`Event::Status`].
    Status,
    /// What audit has counted. Ends with [`Event::Stats`], or goes on once a second until it is cancelled.
    Stats {
        /// Go on.
        watch: bool,
    },
    /// Become another user. Ends with [`Event::User`].
    Login {
        /// Who.
        user: UserName,
        /// `None` if the user was not asked for one: audit then logs in a user who has none, and answers
        /// [`ErrorCode::PassphraseNeeded`] for every other name, also for one that no user has.
        passphrase: Option<&'a [u8]>,
    },
    /// Become the default user again. Ends with [`Event::User`].
    Logout,
    /// Who is logged in. Ends with [`Event::User`].
    WhoAmI,
    /// List the users that can log in. Ends with [`Event::Listed`].
    Users,
    /// A budget, changed first if that is asked for. Ends with [`Event::Budget`].
    Budget {
        /// Whose; empty for one's own.
        user: UserName,
        /// What is to be changed.
        change: BudgetChange,
    },
    /// Read the log. Ends with [`Event::LogEnd`].
    Log(LogQuery),
    /// Check the log's chain. Ends with [`Event::LogVerified`].
    VerifyLog,
    /// Try again after too many restarts. Ends with [`Event::Done`].
    Reset,
    /// List one's sessions, or everybody's for who may change budgets. Ends with [`Event::Listed`].
    Sessions,
    /// End a session that is idle. Ends with [`Event::Done`].
    Close {
        /// Its name.
        session: SessionName,
    },
}

/// How a generation went. Times are audit's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Why it ended.
    pub reason: FinishReason,
    /// Tokens of the prompt, specials included.
    pub prompt_tokens: u32,
    /// Tokens generated, an end-of-text token included.
    pub generated_tokens: u32,
    /// Turn of its session, from 1.
    pub turn: u32,
    /// From admission to the first token, in microseconds.
    pub first_token_us: u64,
    /// From admission to the end, in microseconds.
    pub total_us: u64,
}

/// What audit knows of a model's signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum Signature {
    /// There is none.
    #[default]
    Missing = 0,
    /// There is one, which was not checked yet.
    Unchecked = 1,
    /// It is good.
    Good = 2,
    /// It is not.
    Bad = 3,
}

impl Signature {
    const fn from_u32(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Missing),
            1 => Some(Self::Unchecked),
            2 => Some(Self::Good),
            3 => Some(Self::Bad),
            _ => None,
        }
    }
}

/// A model in the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ModelEntry {
    /// Its name.
    pub name: ModelName,
    /// Size of its file in bytes.
    pub file_bytes: u64,
    /// Whether it is loaded.
    pub loaded: bool,
    /// Its signature.
    pub signature: Signature,
}

/// State of the server.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Status {
    /// Name of the loaded model; empty if there is none.
    pub name: ModelName,
    /// The loaded model; zeros if there is none.
    pub model: ModelInfo,
    /// Its arena.
    pub arena: ArenaUse,
    /// Positions of the KV cache that all sessions share.
    pub kv_positions: u32,
    /// Of them, not reserved.
    pub kv_free: u32,
    /// Restarts of inference since boot.
    pub restarts: u32,
    /// Requests that are admitted and not finished.
    pub active: u32,
    /// Of them, those that wait for room in the cache.
    pub waiting: u32,
    /// Sessions that hold keys and values.
    pub sessions: u32,
}

/// A user's budget in the current period.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct Budget {
    /// Whose.
    pub user: UserName,
    /// Tokens in a period.
    pub tokens: u64,
    /// Tokens used in this one.
    pub used: u64,
    /// Tokens reserved by requests under way.
    pub reserved: u64,
    /// The period in microseconds.
    pub period_us: u64,
    /// What is left of it, in microseconds.
    pub left_us: u64,
}

impl Budget {
    /// Tokens that can be reserved now.
    #[must_use]
    pub const fn available(&self) -> u64 {
        self.tokens
            .saturating_sub(self.used)
            .saturating_sub(self.reserved)
    }
}

/// What audit has counted since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Stats {
    /// Time since boot in microseconds.
    pub uptime_us: u64,
    /// Requests for text that were admitted.
    pub admitted: u64,
    /// Requests of any kind that were refused.
    pub refused: u64,
    /// Requests for text that finished.
    pub finished: u64,
    /// Requests for text that were cancelled.
    pub cancelled: u64,
    /// Requests for text that failed after admission.
    pub failed: u64,
    /// Tokens of prompts.
    pub prompt_tokens: u64,
    /// Tokens generated.
    pub generated_tokens: u64,
    /// Time during which at least one request was under way, in microseconds.
    pub busy_us: u64,
    /// Faults of inference.
    pub faults: u64,
    /// Restarts of inference.
    pub restarts: u64,
    /// Deadlines that passed.
    pub timeouts: u64,
    /// Messages that broke the protocol and were dropped.
    pub violations: u64,
    /// Entries of the audit log since boot.
    pub records: u64,
    /// Sessions that were evicted.
    pub evicted: u64,
    /// Tokens generated in the last [`Self::recent_us`].
    pub recent_tokens: u64,
    /// Length of the window in microseconds.
    pub recent_us: u64,
    /// Latency of requests that finished, in microseconds: half of them took at most this.
    pub latency_p50_us: u64,
    /// 95 of 100.
    pub latency_p95_us: u64,
    /// 99 of 100.
    pub latency_p99_us: u64,
    /// All of them.
    pub latency_max_us: u64,
    /// Payload bytes that left inference.
    pub egress_bytes: u64,
    /// Payload bytes that may leave it in a second.
    pub egress_limit: u64,
    /// Budget of who asks.
    pub budget: Budget,
    /// Use of the arena.
    pub arena: ArenaUse,
    /// Requests that are admitted and not finished.
    pub active: u32,
    /// Sessions that hold keys and values.
    pub sessions: u32,
    /// Of the active ones, those whose first token has not come: the depth of the queue.
    pub queued: u32,
    /// 1: audit has stopped trying to restart inference.
    pub stopped: u32,
    /// Requests refused, by [`ErrorCode`].
    pub refused_by_code: [u32; ErrorCode::END],
}

impl Default for Stats {
    fn default() -> Self {
        zerocopy::FromZeros::new_zeroed()
    }
}

/// A user, as others see one.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct User {
    /// The name to log in with.
    pub name: UserName,
    /// The role.
    pub role: UserName,
    /// Bits of [`crate::policy::Permission`].
    pub permissions: u32,
    /// 1: logs in with a passphrase.
    pub has_passphrase: u32,
}

/// What a session is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum SessionState {
    /// Nothing; it can go on.
    #[default]
    Idle = 0,
    /// It has a request under way.
    Active = 1,
    /// It was evicted.
    Evicted = 2,
    /// It ended with a restart, or another model.
    Lost = 3,
}

impl SessionState {
    const fn from_u32(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Idle),
            1 => Some(Self::Active),
            2 => Some(Self::Evicted),
            3 => Some(Self::Lost),
            _ => None,
        }
    }
}

/// A session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Its name.
    pub name: SessionName,
    /// Whose it is.
    pub user: UserName,
    /// Its number in the log.
    pub number: u32,
    /// Turns that were admitted.
    pub turns: u32,
    /// Tokens of its turns, prompts included.
    pub tokens: u64,
    /// Since its last turn, in microseconds.
    pub idle_us: u64,
    /// What it is doing.
    pub state: SessionState,
}

/// Extent of the log.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable,
)]
#[repr(C)]
pub struct LogExtent {
    /// Sequence number of the first entry that was sent, or of the oldest that is there.
    pub first: u64,
    /// Sequence number that the next entry will get.
    pub next: u64,
    /// SHA-256 of the entry before the first.
    pub anchor: Hash,
    /// SHA-256 of the last entry.
    pub head: Hash,
}

/// How far something has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// Bytes that are done.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// Stages of loading a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stage {
    /// Audit hashes the file.
    Verifying = 1,
    /// Inference loads it.
    Loading = 2,
}

impl Stage {
    const fn from_u32(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Verifying),
            2 => Some(Self::Loading),
            _ => None,
        }
    }
}

/// From audit to a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to box it in")]
pub enum Event<'a> {
    /// The system takes requests.
    Ready(User),
    /// Generated text: all that has come since the last event of this request.
    Text {
        /// How many tokens it was made of, at least one.
        tokens: u32,
        /// Untrusted bytes, possibly none; whole UTF-8 sequences if inference is honest.
        text: &'a [u8],
    },
    /// A generation ended.
    Finished(Finished),
    /// A request was refused or failed.
    Failed {
        /// Why.
        failure: Failure,
        /// What it is about (a tensor, a key, a model), for people. Untrusted text.
        detail: &'a [u8],
    },
    /// One model of the list that was asked for.
    Model(ModelEntry),
    /// A list is complete.
    Listed {
        /// How many it had.
        count: u32,
    },
    /// A model has been loaded.
    Loaded {
        /// Its name.
        name: ModelName,
        /// What it is.
        info: ModelInfo,
    },
    /// Answer to [`Request::Status`].
    Status(Status),
    /// Answer to [`Request::Stats`].
    Stats(Stats),
    /// Inference died or was stopped, and is restarted.
    Fault {
        /// The newest.
        fault: Fault,
        /// For how many it stands: this one, and those before it that this client was not told of.
        count: u32,
    },
    /// Inference serves again.
    Recovered {
        /// From the detection to this message, in microseconds.
        after_us: u64,
        /// Restarts since boot.
        restarts: u32,
    },
    /// A user: who is logged in now, or one of a list.
    User(User),
    /// A budget.
    Budget(Budget),
    /// An entry of the log.
    Record {
        /// Its record.
        record: Record,
        /// Its text.
        text: &'a [u8],
    },
    /// The entries that were asked for have been sent.
    LogEnd(LogExtent),
    /// The log's chain was checked.
    LogVerified {
        /// What is there.
        extent: LogExtent,
        /// Sequence number of the first entry that does not fit the chain; 0: all do.
        broken_at: u64,
    },
    /// One session of the list that was asked for.
    Session(Session),
    /// A load is under way, or the boot.
    Progress(Progress),
    /// It was done.
    Done,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawInfer {
    params: InferParams,
    session: SessionName,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawLogin {
    user: UserName,
    /// 1: a passphrase follows, possibly an empty one.
    has_passphrase: u64,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawBudget {
    user: UserName,
    tokens: u64,
    period_us: u64,
    /// [`CHANGES_TOKENS`], [`CHANGES_PERIOD`]; a field that is not changed is 0.
    changes: u64,
}

/// Bits of [`RawBudget::changes`].
const CHANGES_TOKENS: u64 = 1;
const CHANGES_PERIOD: u64 = 2;

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawLogQuery {
    last: u64,
    user: UserName,
    follow: u64,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawFinished {
    first_token_us: u64,
    total_us: u64,
    reason: u32,
    prompt_tokens: u32,
    generated_tokens: u32,
    turn: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawModel {
    name: ModelName,
    file_bytes: u64,
    loaded: u32,
    signature: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawLoaded {
    name: ModelName,
    info: ModelInfo,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawFault {
    ip: u64,
    address: u64,
    kind: u32,
    count: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawRecovered {
    after_us: u64,
    restarts: u32,
    reserved: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawLogVerified {
    extent: LogExtent,
    broken_at: u64,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawSession {
    name: SessionName,
    user: UserName,
    number: u32,
    turns: u32,
    tokens: u64,
    idle_us: u64,
    state: u32,
    reserved: u32,
}

#[derive(FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
struct RawProgress {
    done: u64,
    total: u64,
    stage: u32,
    reserved: u32,
}

mod request_kind {
    pub const INFER: u16 = 1;
    pub const CANCEL: u16 = 2;
    pub const MODELS: u16 = 3;
    pub const LOAD: u16 = 4;
    pub const STATUS: u16 = 5;
    pub const STATS: u16 = 6;
    pub const LOGIN: u16 = 7;
    pub const LOGOUT: u16 = 8;
    pub const WHO_AM_I: u16 = 9;
    pub const USERS: u16 = 10;
    pub const BUDGET: u16 = 11;
    pub const LOG: u16 = 12;
    pub const VERIFY_LOG: u16 = 13;
    pub const RESET: u16 = 14;
    pub const SESSIONS: u16 = 15;
    pub const CLOSE: u16 = 16;
}

mod event_kind {
    pub const READY: u16 = 0x101;
    pub const TEXT: u16 = 0x102;
    pub const FINISHED: u16 = 0x103;
    pub const FAILED: u16 = 0x104;
    pub const MODEL: u16 = 0x105;
    pub const LISTED: u16 = 0x106;
    pub const LOADED: u16 = 0x107;
    pub const STATUS: u16 = 0x108;
    pub const STATS: u16 = 0x109;
    pub const FAULT: u16 = 0x10A;
    pub const RECOVERED: u16 = 0x10B;
    pub const USER: u16 = 0x10C;
    pub const BUDGET: u16 = 0x10D;
    pub const RECORD: u16 = 0x10E;
    pub const LOG_END: u16 = 0x10F;
    pub const LOG_VERIFIED: u16 = 0x110;
    pub const SESSION: u16 = 0x111;
    pub const PROGRESS: u16 = 0x112;
    pub const DONE: u16 = 0x113;
}

/// `bit` if there is a value.
const fn bit(value: Option<u64>, bit: u64) -> u64 {
    match value {
        Some(_) => bit,
        None => 0,
    }
}

impl<'a> Request<'a> {
    /// Writes the message about request number `request` into `frame`.
    pub fn write<const N: usize>(&self, request: u32, frame: &mut Frame<N>) {
        use request_kind as kind;
        match self {
            Self::Infer {
                params,
                session,
                prompt,
            } => {
                let raw = RawInfer {
                    params: *params,
                    session: *session,
                };
                write(frame, kind::INFER, request, raw.as_bytes(), prompt);
            }
            Self::Cancel => write(frame, kind::CANCEL, request, &[], &[]),
            Self::Models => write(frame, kind::MODELS, request, &[], &[]),
            Self::Load { name } => write(frame, kind::LOAD, request, name.as_bytes(), &[]),
            Self::Status => write(frame, kind::STATUS, request, &[], &[]),
            Self::Stats { watch } => {
                let watch = u32::from(*watch);
                write(frame, kind::STATS, request, watch.as_bytes(), &[]);
            }
            Self::Login { user, passphrase } => {
                let raw = RawLogin {
                    user: *user,
                    has_passphrase: u64::from(passphrase.is_some()),
                };
                let passphrase = passphrase.unwrap_or_default();
                write(frame, kind::LOGIN, request, raw.as_bytes(), passphrase);
            }
            Self::Logout => write(frame, kind::LOGOUT, request, &[], &[]),
            Self::WhoAmI => write(frame, kind::WHO_AM_I, request, &[], &[]),
            Self::Users => write(frame, kind::USERS, request, &[], &[]),
            Self::Budget { user, change } => {
                let raw = RawBudget {
                    user: *user,
                    tokens: change.tokens.unwrap_or(0),
                    period_us: change.period_us.unwrap_or(0),
                    changes: bit(change.tokens, CHANGES_TOKENS)
                        | bit(change.period_us, CHANGES_PERIOD),
                };
                write(frame, kind::BUDGET, request, raw.as_bytes(), &[]);
            }
            Self::Log(query) => {
                let raw = RawLogQuery {
                    last: query.last,
                    user: query.user,
                    follow: u64::from(query.follow),
                };
                write(frame, kind::LOG, request, raw.as_bytes(), &[]);
            }
            Self::VerifyLog => write(frame, kind::VERIFY_LOG, request, &[], &[]),
            Self::Reset => write(frame, kind::RESET, request, &[], &[]),
            Self::Sessions => write(frame, kind::SESSIONS, request, &[], &[]),
            Self::Close { session } => {
                write(frame, kind::CLOSE, request, session.as_bytes(), &[]);
            }
        }
    }

    /// Parses the message that `frame` has received.
    ///
    /// # Errors
    /// It is none.
    pub fn parse<const N: usize>(frame: &'a Frame<N>) -> Result<Self, WireError> {
        use request_kind as kind;
        let number = frame.header().kind;
        let mut reader = Reader {
            kind: number,
            rest: frame.payload(),
        };
        let request = match number {
            kind::INFER => {
                return Ok(Self::Infer {
                    params: reader.params()?,
                    session: reader.name()?,
                    prompt: reader.tail(MAX_PROMPT_BYTES)?,
                });
            }
            kind::LOGIN => {
                let raw: RawLogin = reader.fixed()?;
                let passphrase = reader.tail(MAX_PASSPHRASE_BYTES)?;
                let is_sound = match raw.has_passphrase {
                    0 => passphrase.is_empty(),
                    given => given == 1,
                };
                if !(raw.user.check() && is_sound) {
                    return Err(WireError::Field(number));
                }
                return Ok(Self::Login {
                    user: raw.user,
                    passphrase: (raw.has_passphrase == 1).then_some(passphrase),
                });
            }
            kind::CANCEL => Self::Cancel,
            kind::MODELS => Self::Models,
            kind::LOAD => Self::Load {
                name: reader.name()?,
            },
            kind::STATUS => Self::Status,
            kind::STATS => {
                let watch = u32::from_le_bytes(reader.fixed()?);
                Self::Stats {
                    watch: reader.flag(watch)?,
                }
            }
            kind::LOGOUT => Self::Logout,
            kind::WHO_AM_I => Self::WhoAmI,
            kind::USERS => Self::Users,
            kind::BUDGET => {
                let raw: RawBudget = reader.fixed()?;
                let change = BudgetChange {
                    tokens: (raw.changes & CHANGES_TOKENS != 0).then_some(raw.tokens),
                    period_us: (raw.changes & CHANGES_PERIOD != 0).then_some(raw.period_us),
                };
                let unknown = raw.changes & !(CHANGES_TOKENS | CHANGES_PERIOD);
                let unused = change.tokens.is_none() && raw.tokens != 0
                    || change.period_us.is_none() && raw.period_us != 0;
                reader.check(raw.user.check() && unknown == 0 && !unused, ())?;
                Self::Budget {
                    user: raw.user,
                    change,
                }
            }
            kind::LOG => {
                let raw: RawLogQuery = reader.fixed()?;
                reader.check(raw.user.check() && raw.follow <= 1, ())?;
                Self::Log(LogQuery {
                    last: raw.last,
                    user: raw.user,
                    follow: raw.follow == 1,
                })
            }
            kind::VERIFY_LOG => Self::VerifyLog,
            kind::RESET => Self::Reset,
            kind::SESSIONS => Self::Sessions,
            kind::CLOSE => Self::Close {
                session: reader.name()?,
            },
            _ => return Err(WireError::Kind(number)),
        };
        reader.end().map(|()| request)
    }
}

impl<'a> Event<'a> {
    /// Writes the message about request number `request` (0 for none) into `frame`.
    pub fn write<const N: usize>(&self, request: u32, frame: &mut Frame<N>) {
        use event_kind as kind;
        match self {
            Self::Ready(user) => write(frame, kind::READY, request, user.as_bytes(), &[]),
            Self::Text { tokens, text } => {
                write(frame, kind::TEXT, request, &tokens.to_le_bytes(), text);
            }
            Self::Finished(finished) => {
                let raw = RawFinished {
                    first_token_us: finished.first_token_us,
                    total_us: finished.total_us,
                    reason: finished.reason as u32,
                    prompt_tokens: finished.prompt_tokens,
                    generated_tokens: finished.generated_tokens,
                    turn: finished.turn,
                };
                write(frame, kind::FINISHED, request, raw.as_bytes(), &[]);
            }
            Self::Failed { failure, detail } => {
                let raw = RawFailure::from(*failure);
                write(frame, kind::FAILED, request, raw.as_bytes(), detail);
            }
            Self::Model(entry) => {
                let raw = RawModel {
                    name: entry.name,
                    file_bytes: entry.file_bytes,
                    loaded: u32::from(entry.loaded),
                    signature: entry.signature as u32,
                };
                write(frame, kind::MODEL, request, raw.as_bytes(), &[]);
            }
            Self::Listed { count } => {
                write(frame, kind::LISTED, request, count.as_bytes(), &[]);
            }
            Self::Loaded { name, info } => {
                let raw = RawLoaded {
                    name: *name,
                    info: *info,
                };
                write(frame, kind::LOADED, request, raw.as_bytes(), &[]);
            }
            Self::Status(status) => write(frame, kind::STATUS, request, status.as_bytes(), &[]),
            Self::Stats(stats) => write(frame, kind::STATS, request, stats.as_bytes(), &[]),
            Self::Fault { fault, count } => {
                let raw = RawFault {
                    ip: fault.ip,
                    address: fault.address,
                    kind: fault.kind as u32,
                    count: *count,
                };
                write(frame, kind::FAULT, request, raw.as_bytes(), &[]);
            }
            Self::Recovered { after_us, restarts } => {
                let raw = RawRecovered {
                    after_us: *after_us,
                    restarts: *restarts,
                    reserved: 0,
                };
                write(frame, kind::RECOVERED, request, raw.as_bytes(), &[]);
            }
            Self::User(user) => write(frame, kind::USER, request, user.as_bytes(), &[]),
            Self::Budget(budget) => write(frame, kind::BUDGET, request, budget.as_bytes(), &[]),
            Self::Record { record, text } => {
                write(frame, kind::RECORD, request, record.as_bytes(), text);
            }
            Self::LogEnd(extent) => write(frame, kind::LOG_END, request, extent.as_bytes(), &[]),
            Self::LogVerified { extent, broken_at } => {
                let raw = RawLogVerified {
                    extent: *extent,
                    broken_at: *broken_at,
                };
                write(frame, kind::LOG_VERIFIED, request, raw.as_bytes(), &[]);
            }
            Self::Session(session) => {
                let raw = RawSession {
                    name: session.name,
                    user: session.user,
                    number: session.number,
                    turns: session.turns,
                    tokens: session.tokens,
                    idle_us: session.idle_us,
                    state: session.state as u32,
                    reserved: 0,
                };
                write(frame, kind::SESSION, request, raw.as_bytes(), &[]);
            }
            Self::Progress(progress) => {
                let raw = RawProgress {
                    done: progress.done,
                    total: progress.total,
                    stage: progress.stage as u32,
                    reserved: 0,
                };
                write(frame, kind::PROGRESS, request, raw.as_bytes(), &[]);
            }
            Self::Done => write(frame, kind::DONE, request, &[], &[]),
        }
    }

    /// Parses the message that `frame` has received.
    ///
    /// # Errors
    /// It is none.
    pub fn parse<const N: usize>(frame: &'a Frame<N>) -> Result<Self, WireError> {
        use event_kind as kind;
        let number = frame.header().kind;
        let mut reader = Reader {
            kind: number,
            rest: frame.payload(),
        };
        let field = WireError::Field(number);
        let event = match number {
            kind::TEXT => {
                return Ok(Self::Text {
                    tokens: u32::from_le_bytes(reader.fixed()?),
                    text: reader.tail(MAX_TEXT_BYTES)?,
                });
            }
            kind::FAILED => {
                let raw: RawFailure = reader.fixed()?;
                return Ok(Self::Failed {
                    failure: raw.check().ok_or(field)?,
                    detail: reader.tail(MAX_PIECE_BYTES)?,
                });
            }
            kind::RECORD => {
                return Ok(Self::Record {
                    record: reader.fixed()?,
                    text: reader.tail(MAX_PROMPT_BYTES)?,
                });
            }
            kind::READY => Self::Ready(user(&mut reader)?),
            kind::USER => Self::User(user(&mut reader)?),
            kind::FINISHED => {
                let raw: RawFinished = reader.fixed()?;
                Self::Finished(Finished {
                    reason: FinishReason::from_u32(raw.reason).ok_or(field)?,
                    prompt_tokens: raw.prompt_tokens,
                    generated_tokens: raw.generated_tokens,
                    turn: raw.turn,
                    first_token_us: raw.first_token_us,
                    total_us: raw.total_us,
                })
            }
            kind::MODEL => {
                let raw: RawModel = reader.fixed()?;
                reader.check(raw.name.check(), ())?;
                Self::Model(ModelEntry {
                    name: raw.name,
                    file_bytes: raw.file_bytes,
                    loaded: reader.flag(raw.loaded)?,
                    signature: Signature::from_u32(raw.signature).ok_or(field)?,
                })
            }
            kind::LISTED => Self::Listed {
                count: u32::from_le_bytes(reader.fixed()?),
            },
            kind::LOADED => {
                let raw: RawLoaded = reader.fixed()?;
                Self::Loaded {
                    name: reader.check(raw.name.check(), raw.name)?,
                    info: raw.info,
                }
            }
            kind::STATUS => {
                let status: Status = reader.fixed()?;
                Self::Status(reader.check(status.name.check(), status)?)
            }
            kind::STATS => Self::Stats(reader.fixed()?),
            kind::FAULT => {
                let raw: RawFault = reader.fixed()?;
                Self::Fault {
                    fault: Fault {
                        kind: FaultKind::from_u32(raw.kind).ok_or(field)?,
                        ip: raw.ip,
                        address: raw.address,
                    },
                    count: raw.count,
                }
            }
            kind::RECOVERED => {
                let raw: RawRecovered = reader.fixed()?;
                Self::Recovered {
                    after_us: raw.after_us,
                    restarts: raw.restarts,
                }
            }
            kind::BUDGET => {
                let budget: Budget = reader.fixed()?;
                Self::Budget(reader.check(budget.user.check(), budget)?)
            }
            kind::LOG_END => Self::LogEnd(reader.fixed()?),
            kind::LOG_VERIFIED => {
                let raw: RawLogVerified = reader.fixed()?;
                Self::LogVerified {
                    extent: raw.extent,
                    broken_at: raw.broken_at,
                }
            }
            kind::SESSION => {
                let raw: RawSession = reader.fixed()?;
                reader.check(raw.name.check() && raw.user.check(), ())?;
                Self::Session(Session {
                    name: raw.name,
                    user: raw.user,
                    number: raw.number,
                    turns: raw.turns,
                    tokens: raw.tokens,
                    idle_us: raw.idle_us,
                    state: SessionState::from_u32(raw.state).ok_or(field)?,
                })
            }
            kind::PROGRESS => {
                let raw: RawProgress = reader.fixed()?;
                Self::Progress(Progress {
                    stage: Stage::from_u32(raw.stage).ok_or(field)?,
                    done: raw.done,
                    total: raw.total,
                })
            }
            kind::DONE => Self::Done,
            _ => return Err(WireError::Kind(number)),
        };
        reader.end().map(|()| event)
    }
}

fn user(reader: &mut Reader<'_>) -> Result<User, WireError> {
    let user: User = reader.fixed()?;
    reader.check(user.name.check() && user.role.check(), user)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::record::Kind;
    use crate::ring::PAYLOAD_WORDS;
    use crate::wire::engine;
    use proptest::prelude::*;
    use std::vec;

    #[test]
    fn states_come_back_from_their_numbers_and_others_are_none() {
        for number in 0..4 {
            assert_eq!(Signature::from_u32(number).unwrap() as u32, number);
            assert_eq!(SessionState::from_u32(number).unwrap() as u32, number);
        }
        assert_eq!(Signature::from_u32(4), None);
        assert_eq!(SessionState::from_u32(4), None);
    }

    #[test]
    fn every_request_is_parsed_as_it_was_written() {
        let longest = vec![b'x'; MAX_PROMPT_BYTES];
        let infer = |session, prompt| Request::Infer {
            params: InferParams::default(),
            session,
            prompt,
        };
        let user = UserName::new("admin").unwrap();
        let session = SessionName::new("tale").unwrap();
        for request in [
            infer(SessionName::EMPTY, b""),
            infer(session, b"Once"),
            infer(session, &longest),
            Request::Cancel,
            Request::Models,
            Request::Load {
                name: ModelName::new("default").unwrap(),
            },
            Request::Status,
            Request::Stats { watch: false },
            Request::Stats { watch: true },
            Request::Login {
                user,
                passphrase: Some(b"correct horse"),
            },
            Request::Login {
                user,
                passphrase: Some(b""),
            },
            Request::Login {
                user,
                passphrase: None,
            },
            Request::Logout,
            Request::WhoAmI,
            Request::Users,
            Request::Budget {
                user,
                change: BudgetChange::NONE,
            },
            Request::Budget {
                user: UserName::EMPTY,
                change: BudgetChange {
                    tokens: Some(5),
                    period_us: Some(6),
                },
            },
            Request::Budget {
                user,
                change: BudgetChange {
                    tokens: Some(0),
                    period_us: None,
                },
            },
            Request::Budget {
                user,
                change: BudgetChange {
                    tokens: None,
                    period_us: Some(6),
                },
            },
            Request::Log(LogQuery {
                last: 3,
                user,
                follow: true,
            }),
            Request::VerifyLog,
            Request::Reset,
            Request::Sessions,
            Request::Close { session },
        ] {
            let mut frame = Frame::<PAYLOAD_WORDS>::new();
            request.write(7, &mut frame);
            assert_eq!(frame.header().request, 7);
            assert_eq!(Request::parse(&frame), Ok(request));
            assert!(matches!(Event::parse(&frame), Err(WireError::Kind(_))));
            assert!(matches!(
                engine::Command::parse(&frame),
                Err(WireError::Kind(_))
            ));
        }
    }

    #[test]
    fn a_login_or_a_change_that_contradicts_itself_is_none() {
        let user = UserName::new("admin").unwrap();
        let mut frame = Frame::<PAYLOAD_WORDS>::new();
        for (has_passphrase, passphrase) in [(0, &b"x"[..]), (2, b""), (u64::MAX, b"x")] {
            let raw = RawLogin {
                user,
                has_passphrase,
            };
            let kind = request_kind::LOGIN;
            write(&mut frame, kind, 1, raw.as_bytes(), passphrase);
            assert_eq!(Request::parse(&frame), Err(WireError::Field(kind)));
        }
        for (tokens, period_us, changes) in [(1, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 4), (1, 1, 7)]
        {
            let raw = RawBudget {
                user,
                tokens,
                period_us,
                changes,
            };
            let kind = request_kind::BUDGET;
            write(&mut frame, kind, 1, raw.as_bytes(), &[]);
            assert_eq!(Request::parse(&frame), Err(WireError::Field(kind)));
        }
    }

    #[test]
    fn every_event_is_parsed_as_it_was_written() {
        let text = vec![b'x'; MAX_PROMPT_BYTES];
        let name = ModelName::new("tiny").unwrap();
        let user = User {
            name: UserName::new("guest").unwrap(),
            role: UserName::new("reader").unwrap(),
            permissions: 1,
            has_passphrase: 0,
        };
        let info = ModelInfo {
            parameters: 1,
            sha256: [7; 32],
            ..Default::default()
        };
        let extent = LogExtent {
            first: 1,
            next: 9,
            anchor: [1; 32],
            head: [2; 32],
        };
        for event in [
            Event::Ready(user),
            Event::Text {
                tokens: 1,
                text: b" king",
            },
            Event::Finished(Finished {
                reason: FinishReason::MaxTokens,
                prompt_tokens: 1,
                generated_tokens: 2,
                turn: 5,
                first_token_us: 3,
                total_us: 4,
            }),
            Event::Failed {
                failure: Failure::over(ErrorCode::PromptTokens, 600, 511),
                detail: b"blk.0.attn_q.weight",
            },
            Event::Model(ModelEntry {
                name,
                file_bytes: 5,
                loaded: true,
                signature: Signature::Good,
            }),
            Event::Listed { count: 2 },
            Event::Loaded { name, info },
            Event::Status(Status {
                name,
                restarts: 3,
                ..Default::default()
            }),
            Event::Stats(Stats {
                admitted: 4,
                ..Default::default()
            }),
            Event::Fault {
                fault: Fault {
                    kind: FaultKind::Memory,
                    ip: 1,
                    address: 2,
                },
                count: 3,
            },
            Event::Recovered {
                after_us: 5,
                restarts: 1,
            },
            Event::User(user),
            Event::Budget(Budget {
                user: user.name,
                used: 3,
                ..Default::default()
            }),
            Event::Record {
                record: Record::new(Kind::Admit),
                text: &text,
            },
            Event::LogEnd(extent),
            Event::LogVerified {
                extent,
                broken_at: 4,
            },
            Event::Session(Session {
                name: SessionName::new("tale").unwrap(),
                user: user.name,
                turns: 2,
                state: SessionState::Evicted,
                ..Default::default()
            }),
            Event::Progress(Progress {
                stage: Stage::Verifying,
                done: 1,
                total: 2,
            }),
            Event::Done,
        ] {
            let mut frame = Frame::<PAYLOAD_WORDS>::new();
            event.write(7, &mut frame);
            assert_eq!(Event::parse(&frame), Ok(event));
            assert!(matches!(Request::parse(&frame), Err(WireError::Kind(_))));
            assert!(matches!(
                engine::Report::parse(&frame),
                Err(WireError::Kind(_))
            ));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(
            kind in prop_oneof![any::<u16>(), 0u16..20, 0x100u16..0x118],
            payload in prop::collection::vec(any::<u8>(), 0..1000),
        ) {
            let mut frame = Frame::<128>::new();
            write(&mut frame, kind, 1, &payload, &[]);
            let _ = Request::parse(&frame);
            let _ = Event::parse(&frame);
        }
    }
}
