//! Parsed commands, and what can be wrong with a line.

use crate::screen::Colour;
use crate::table::Kind;
use protocol::error::Failure;
use protocol::limits::{MAX_ADAPTERS, MAX_STOPS};
use protocol::name::{FormatName, ModelName, Nonce, SessionName, UserName};
use protocol::wire::client::LogQuery;
use protocol::wire::{InferParams, TrainParams};

/// The options of `llminfer` and `llmchat` about an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask<'a> {
    pub(crate) params: InferParams,
    /// The session; empty for none.
    pub(crate) session: SessionName,
    /// The adapter to use; empty for none.
    pub(crate) adapter: ModelName,
    /// What the model is told before the conversation.
    pub(crate) system: Option<&'a [u8]>,
    /// Texts that end the answer and are not shown.
    pub(crate) stops: [Option<&'a [u8]>; MAX_STOPS],
    /// The format that the answer must have; empty for none.
    pub(crate) format: FormatName,
    /// The allowed answers, separated by commas.
    pub(crate) choices: Option<&'a [u8]>,
}

/// A parsed line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command<'a> {
    /// An empty line.
    Empty,
    /// Generate text.
    Infer {
        /// The options.
        ask: Ask<'a>,
        /// Complete the prompt, even if the model has a chat template.
        raw: bool,
        /// Do not wait for it.
        background: bool,
        /// The prompt.
        prompt: &'a [u8],
    },
    /// Converse, one line at a time.
    Chat(Ask<'a>),
    Formats,
    Models,
    Load {
        model: ModelName,
        /// Names of adapters to load beside it afterwards, in this order; empty after the last one.
        adapters: [&'a [u8]; MAX_ADAPTERS],
    },
    Status,
    Sessions,
    Close(SessionName),
    Jobs,
    Wait(u32),
    /// This job, or the newest running one.
    Cancel(Option<u32>),
    Budget {
        /// The user; empty for oneself.
        user: UserName,
        tokens: Option<u64>,
        /// Microseconds.
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
        /// The options.
        params: TrainParams,
        /// Name of the data.
        data: ModelName,
        /// Name of the adapter; empty if audit shall choose it.
        adapter: ModelName,
    },
    /// Add an example.
    Example {
        /// The text, or the prompt.
        text: &'a [u8],
        /// The answer to the prompt.
        answer: Option<&'a [u8]>,
    },
    DropExamples,
    Adapters,
    LoadAdapter(ModelName),
    DropAdapter(ModelName),
    ExportAdapter(ModelName),
    /// Explain everything, a command, or a control.
    Help(Option<&'static str>),
    /// Switch colours.
    Colour(Colour),
    /// Log out.
    Exit,
    /// End the system.
    Halt,
}

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    /// It is not of the right kind.
    Malformed,
    /// It is too small or too large.
    OutOfRange,
}

/// A typographic character that word processors and chats substitute for one that the shell knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LookAlike {
    pub(crate) sign: &'static str,
    /// Whether it looks like a quote. Otherwise it looks like a hyphen.
    pub(crate) is_quote: bool,
}

impl LookAlike {
    /// The look-alike at the start of a word.
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

/// The likely reason for an extra word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Unknown.
    Unknown,
    /// The text of this option has no quotes around it.
    Unquoted(&'static str),
    /// A word begins with a look-alike.
    LookAlike(LookAlike),
}

/// Why a line is not a valid command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandError<'a> {
    /// A quote is not closed.
    Unterminated(char),
    /// There is more than one line, outside quotes.
    ManyLines,
    /// More than [`crate::words::MAX_WORDS`] words.
    TooManyWords,
    /// There is no such command, option or control.
    Unknown {
        /// "command", "option" or "value".
        what: &'static str,
        /// What it would belong to; empty for nothing.
        of: &'static str,
        /// The word.
        word: &'a [u8],
        /// The nearest valid word.
        nearest: Option<&'static str>,
        /// Topic for `help`; `None` for the overview.
        topic: Option<&'static str>,
    },
    /// An option or control without its value.
    MissingValue {
        /// What it belongs to.
        of: &'static str,
        /// What is missing.
        what: &'static str,
        /// Topic for `help`.
        topic: &'static str,
    },
    /// An option that takes no value was given one.
    NoValue {
        /// The option.
        option: &'static str,
        /// The value.
        word: &'a [u8],
    },
    /// There is a word too many.
    Extra {
        /// The command.
        of: &'static str,
        /// The word.
        word: &'a [u8],
        /// The likely reason.
        cause: Cause,
    },
    /// The option exists in llama.cpp, but cannot be given to a client of this system.
    OfLlama {
        /// The command.
        of: &'static str,
        /// The option.
        option: &'a [u8],
        /// What to use instead.
        instead: &'static str,
    },
    /// There is a word after the user's name. It may be a passphrase, so it is not shown.
    AfterUser,
    /// The option cannot have this value.
    Value {
        /// The option.
        option: &'static str,
        /// The kind of value that it takes.
        kind: Kind,
        /// The value.
        word: &'a [u8],
        /// The reason.
        why: Wrong,
    },
    /// Two options exclude each other.
    Beside {
        /// The command.
        of: &'static str,
        /// The first option.
        option: &'static str,
        /// The other option, or an operand.
        other: &'static str,
    },
    /// An option was given too often.
    TooOften {
        /// The option.
        option: &'static str,
        /// How often it may be given.
        limit: usize,
    },
    /// A name is invalid.
    Name {
        /// The reason.
        failure: Failure,
        /// The name.
        word: &'a [u8],
    },
    /// The nonce of an attestation is too long, or has other than visible characters.
    Nonce(&'a [u8]),
}
