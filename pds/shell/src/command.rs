//! What a line asks for, and what can be wrong with it.

use crate::screen::Colour;
use crate::table::Kind;
use protocol::error::Failure;
use protocol::limits::{MAX_ADAPTERS, MAX_STOPS};
use protocol::name::{FormatName, ModelName, Nonce, SessionName, UserName};
use protocol::wire::client::LogQuery;
use protocol::wire::{InferParams, TrainParams};

/// What `llminfer` and `llmchat` say about an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask<'a> {
    pub(crate) params: InferParams,
    /// The conversation; empty for none.
    pub(crate) session: SessionName,
    /// Beside the model; empty for none.
    pub(crate) adapter: ModelName,
    /// What the model is told before the conversation.
    pub(crate) system: Option<&'a [u8]>,
    /// Texts that end the answer and are not shown.
    pub(crate) stops: [Option<&'a [u8]>; MAX_STOPS],
    /// The format of the policy that the answer has; empty for none.
    pub(crate) format: FormatName,
    /// The answers that there can be, with commas between them.
    pub(crate) choices: Option<&'a [u8]>,
}

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// Nothing.
    Empty,
    /// Generate text.
    Infer {
        /// How.
        ask: Ask<'a>,
        /// Continue the prompt as it is, whatever template the model has.
        raw: bool,
        /// Do not wait for it.
        background: bool,
        /// From what.
        prompt: &'a [u8],
    },
    /// Talk, a line at a time.
    Chat(Ask<'a>),
    Formats,
    Models,
    Load {
        model: ModelName,
        /// Names of adapters to load beside it then, one after the other; behind the last one, empty.
        adapters: [&'a [u8]; MAX_ADAPTERS],
    },
    Status,
    Sessions,
    Close(SessionName),
    Jobs,
    Wait(u32),
    /// This job, or the newest that runs.
    Cancel(Option<u32>),
    Budget {
        /// Whose; empty for one's own.
        user: UserName,
        tokens: Option<u64>,
        /// In microseconds.
        period: Option<u64>,
    },
    Audit {
        query: LogQuery,
        json: bool,
    },
    VerifyAudit,
    /// Have the device sign the head of the log.
    Attest(Nonce),
    Reset,
    Login(UserName),
    Logout,
    WhoAmI,
    Stats {
        json: bool,
        watch: bool,
    },
    /// Train an adapter.
    FineTune {
        /// How.
        params: TrainParams,
        /// On which data.
        data: ModelName,
        /// What it will be called; empty if audit is to choose.
        adapter: ModelName,
    },
    /// Add an example.
    Example {
        /// The text, or the prompt.
        text: &'a [u8],
        /// What is to follow the prompt.
        answer: Option<&'a [u8]>,
    },
    DropExamples,
    Adapters,
    LoadAdapter(ModelName),
    DropAdapter(ModelName),
    ExportAdapter(ModelName),
    /// Explain everything, a command, or a control.
    Help(Option<&'static str>),
    /// Have colours, or not.
    Colour(Colour),
    /// Log out.
    Exit,
    /// End the system.
    Halt,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is none of its kind.
    Malformed,
    /// It is one, and too small or too large.
    OutOfRange,
}

/// A sign that word processors and chats make out of one that the shell knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LookAlike {
    pub(crate) sign: &'static str,
    /// Whether it looks like a quote; otherwise it looks like a hyphen.
    pub(crate) is_quote: bool,
}

impl LookAlike {
    /// The one that a word begins with.
    pub(crate) fn of(word: &[u8]) -> Option<Self> {
        const QUOTES: &[&str] = &[
            "\u{201c}", "\u{201d}", "\u{201e}", "\u{201f}", "\u{2018}", "\u{2019}", "\u{201a}",
            "\u{201b}", "\u{ab}", "\u{bb}", "\u{2039}", "\u{203a}", "\u{2033}", "\u{2032}",
            "\u{ff02}", "\u{ff07}", "`", "\u{b4}",
        ];
        const HYPHENS: &[&str] = &[
            "\u{2010}", "\u{2011}", "\u{2012}", "\u{2013}", "\u{2014}", "\u{2015}", "\u{2212}",
        ];
        let begins = |sign: &&&'static str| word.starts_with(sign.as_bytes());
        let of = |sign: &'static str, is_quote| Self { sign, is_quote };
        let quote = QUOTES.iter().find(begins).map(|sign| of(sign, true));
        quote.or_else(|| HYPHENS.iter().find(begins).map(|sign| of(sign, false)))
    }
}

/// What may have made a word one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Nothing that shows.
    Unknown,
    /// The text of this option has no quotes around it.
    Unquoted(&'static str),
    /// A word begins with a sign that is none of the shell's.
    LookAlike(LookAlike),
}

/// Why a line is no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandError<'a> {
    /// A quote is not closed.
    Unterminated(char),
    /// More than one line, outside of quotes.
    ManyLines,
    /// More than [`crate::words::MAX_WORDS`] words.
    TooManyWords,
    /// No such command, option or control; the nearest there is.
    Unknown {
        /// "command", "option" or "value".
        what: &'static str,
        /// Of what; empty for nothing.
        of: &'static str,
        /// What was typed.
        word: &'a [u8],
        /// What may have been meant.
        nearest: Option<&'static str>,
        /// What `help` says more about; `None` for all.
        topic: Option<&'static str>,
    },
    /// An option or control without its value.
    MissingValue {
        /// What it belongs to.
        of: &'static str,
        /// What is missing.
        what: &'static str,
        /// What `help` says more about.
        topic: &'static str,
    },
    /// An option that takes no value, with one.
    NoValue {
        /// The option.
        option: &'static str,
        /// The value.
        word: &'a [u8],
    },
    /// A word too many.
    Extra {
        /// The command.
        of: &'static str,
        /// The word.
        word: &'a [u8],
        /// What may have led to it.
        cause: Cause,
    },
    /// An option that llama.cpp has and a client of this system has not.
    OfLlama {
        /// The command.
        of: &'static str,
        /// What was typed.
        option: &'a [u8],
        /// What takes its place.
        instead: &'static str,
    },
    /// A word after the user's name: perhaps a passphrase, so it is not shown.
    AfterUser,
    /// A value that the option cannot have.
    Value {
        /// The option.
        option: &'static str,
        /// What it takes.
        kind: Kind,
        /// What was typed.
        word: &'a [u8],
        /// Why not.
        why: Wrong,
    },
    /// Options of which one excludes the other.
    Beside {
        /// The command.
        of: &'static str,
        /// The one.
        option: &'static str,
        /// The other, or a word of what there can be one.
        other: &'static str,
    },
    /// An option that was given too often.
    TooOften {
        /// The option.
        option: &'static str,
        /// How often it may be given.
        limit: usize,
    },
    /// A name that is none.
    Name {
        /// What is wrong.
        failure: Failure,
        /// What was typed.
        word: &'a [u8],
    },
}
