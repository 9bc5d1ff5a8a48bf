//! Entries of the audit log, as audit keeps them, shell prints them and `llmtool` checks them.
//!
//! An entry is a [`Record`] of fixed size and, where the policy keeps prompts, the request's parts after it, as they came
//! ([`crate::wire::Parts`]). Each holds
//! the SHA-256 of the whole entry before it (record and text), so a log whose last hash is known cannot be changed
//! without notice: not an entry, not their order, not their number. The first entry after boot has zeros there; when
//! the log's memory is full the oldest entries go, and the hash that the oldest one left holds is the *anchor*.
//!
//! The output hash of a request is the SHA-256 over its tokens as they passed audit, for each the token's number and
//! the length of its text as 32-bit little endian integers, then the text. A request that failed after text has
//! passed has the hash of that.
//!
//! # Export
//!
//! `llmctl audit --json` prints one JSON object a line: [`Opening`], the entries ([`Json`]), [`Ending`]. Names of the
//! members are those of the fields; hashes are lower-case hexadecimal, text is escaped to ASCII. The text of a request is an
//! array of its parts, each a kind and a text. Everything that is hashed is there, so `llmtool audit verify` computes the chain from the lines alone.

use crate::name::{FormatName, ModelName, UserName};
use crate::wire::codec::Wire;
use crate::wire::declare::layout;
use crate::wire::{InferParams, Parts, TrainParams};
use core::fmt::{self, Display, Formatter, Write as _};
use zerocopy::TryFromBytes as _;

#[cfg(test)]
mod tests;

/// Version of the format, in every record.
pub const RECORD_VERSION: u16 = 5;

/// Bytes of a record without text.
pub const RECORD_BYTES: usize = size_of::<<Record as Wire>::Layout>();

/// A SHA-256.
pub type Hash = [u8; 32];

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        /// What a record is about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        pub enum Kind {
            $($(#[$doc])* $name = $number,)*
        }

        impl Kind {
            /// Every kind, in the order of its numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The kind with this number.
            #[must_use]
            pub const fn from_u16(kind: u16) -> Option<Self> {
                match kind {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// Its name in exports and on the console.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

kinds! {
    /// Audit has started.
    Boot = 1 "boot",
    /// A model was verified and loaded; `name` and `model_sha256` say which, `value` its size in bytes, `limit` the context
    /// in tokens that the policy gives it.
    Load = 2 "load",
    /// A request was admitted; `value` is how many tokens were reserved for it.
    Admit = 3 "admit",
    /// `count` requests were refused; `code`, `value` and `limit` say why. `name` is the model or user that was asked
    /// for, or the session that was to be closed.
    Refuse = 4 "refuse",
    /// A request was cancelled by its user.
    Cancel = 5 "cancel",
    /// A request finished; `code` is the reason.
    Finish = 6 "finish",
    /// A request failed after admission; `code`, `value` and `limit` say why.
    Fail = 7 "fail",
    /// The deadline of a request passed; `limit` is how long it had, in microseconds.
    Timeout = 8 "timeout",
    /// Inference died or was stopped; `code` is the kind of fault, `value` the address, `limit` the instruction
    /// pointer.
    Fault = 9 "fault",
    /// Inference serves again; `value` is how long it took in microseconds, `limit` the restarts since boot.
    Recover = 10 "recover",
    /// A peer broke the protocol `count` times, or answered what was over already, and the messages were dropped; `code`
    /// is 1 for the client of this `name` and 2 for inference.
    Violation = 11 "violation",
    /// A user has logged in; one without a passphrase `count` times.
    Login = 12 "login",
    /// `count` logins were refused; `name` is what was typed if it names a user, `code` why.
    LoginFailed = 13 "login-failed",
    /// A user has logged out, `count` times.
    Logout = 14 "logout",
    /// A budget was changed; `name` is whose, `value` the tokens, `limit` the period in microseconds.
    Budget = 15 "budget",
    /// A session was evicted to make room, by inference for keys and values, or by audit for another session; `session`
    /// says which, `value` how many turns it had.
    Evict = 16 "evict",
    /// Audit has stopped trying to restart inference. After too many restarts `code` is 0, and there were `value` of them
    /// within `limit` microseconds. If the kernel has refused, `code` and `value` are those of the failure.
    Stop = 17 "stop",
    /// An admin has made audit try again.
    Reset = 18 "reset",
    /// A session ended at its user's wish, or was over and its user wants no more of it; `name` and `session` say which.
    Close = 19 "close",
    /// An adapter was verified and loaded beside the model; `name` and `adapter_sha256` say which, `model_sha256` the model,
    /// `value` is the size of its file in bytes, `code` 1 if it lies in the store and 2 if it was made on this device.
    Adapter = 20 "adapter",
    /// An adapter was dropped; `name` and `adapter_sha256` say which. One made on this device (`code` 2) is forgotten.
    DropAdapter = 21 "drop-adapter",
    /// A fine-tuning was admitted: `train` says how, `model_sha256` for which model, `prompt_sha256` and `prompt_bytes` by
    /// which data, `name` what the adapter will be called, `value` how many tokens were reserved, `code` 1 if the data lie in
    /// the store and 2 if they were typed.
    Tune = 22 "tune",
    /// A fine-tuning has ended. Beside what its admission says: `code` 1 if it went through all epochs and 4 if it was
    /// cancelled, `adapter_sha256` what came out (zeros if it was cancelled), `value` the size of that in bytes,
    /// `prompt_tokens` and `generated_tokens` the tokens and updates, `limit` the loss in millionths of a nat a token, as
    /// inference says.
    Tuned = 23 "tuned",
    /// An adapter made on this device was exported; `name` and `adapter_sha256` say which, `value` is its size in bytes.
    Export = 24 "export",
    /// An example was typed; `prompt_sha256` and `prompt_bytes` are those of the line, `value` how many bytes there are with
    /// it. Without a hash: all were forgotten.
    Example = 25 "example",
    /// A user may end the system, and was told so: what follows is up to the client that asked.
    Halt = 26 "halt",
    /// Audit goes on with the log that was found on the disk: `code` is what was found (1 nothing, 2 all of it, 3 a write at
    /// its end that was not finished, and was dropped, 4 damage), `value` the entries, `limit` for damage the number of the
    /// last entry before it, `count` how often the log was opened to be written, this time included.
    LogOpened = 27 "log-opened",
    /// The log is no longer written to the disk, or was not from the beginning; `code`, `value` and `limit` say why. `count`
    /// is 1 if nothing is admitted from here on, 0 if the log goes on in memory.
    LogLost = 28 "log-lost",
    /// What a user has used of a budget, so that a boot finds it though the entries before have been overwritten: `name` is
    /// whose, `value` the tokens that are used or reserved in the period, `limit` how much of the period is over, `count` how
    /// long it is, both in microseconds.
    Usage = 29 "usage",
}

layout! {
    /// One entry without its text. Fields that its kind has no use for are zero.
    pub struct Record [496] {
        /// [`RECORD_VERSION`].
        pub version: u16,
        /// [`Kind`].
        pub kind: u16,
        /// Depends on the kind.
        pub code: u16,
        /// How keys and values are stored: [`crate::wire::engine::KvType`], as inference says.
        pub kv_type: u16,
        /// Version of the arithmetic, as inference says.
        pub numerics: u32,
        /// Audit's number of the request.
        pub request: u32,
        /// Sequence number, from 1, without gaps.
        pub sequence: u64,
        /// Microseconds since boot, never falling.
        pub time_us: u64,
        /// SHA-256 of the entry before.
        pub previous: Hash,
        /// Who asked.
        pub user: UserName,
        /// Number of the session; no other session since boot has it.
        pub session: u32,
        /// Turn of the session, from 1.
        pub turn: u32,
        /// Bytes of the request's parts, or of the data or the example.
        pub prompt_bytes: u32,
        /// Tokens of the prompt, as inference says; at most the bytes and two, and for a conversation what its template adds.
        pub prompt_tokens: u32,
        /// Tokens that passed.
        pub generated_tokens: u32,
        /// Bytes of text that follow the record.
        pub text_bytes: u32,
        /// Sampler, seed and the most tokens to generate.
        pub params: InferParams,
        /// How a fine-tuning goes.
        pub train: TrainParams,
        /// The format that the answer is bound to; `choices` for those of the request; empty for none.
        pub format: FormatName,
        /// SHA-256 of the format's automaton as it lies in the region; of the request's choices with a line feed between
        /// each two; zeros for none.
        pub format_sha256: Hash,
        /// Segments of the conversation; 0: a text to be completed.
        pub segments: u32,
        /// Stop strings.
        pub stops: u16,
        /// 1: the policy let what the texts spell become tokens that the vocabulary marks as user-defined.
        pub user_defined: u16,
        /// SHA-256 of the model's file, by audit.
        pub model_sha256: Hash,
        /// SHA-256 of the adapter's file, by audit: that a request runs with; zeros for none.
        pub adapter_sha256: Hash,
        /// SHA-256 of the request's parts as they came, or of the data or the example.
        pub prompt_sha256: Hash,
        /// See the module.
        pub output_sha256: Hash,
        /// From admission to the end, in microseconds.
        pub latency_us: u64,
        /// From admission to the first token, in microseconds.
        pub first_token_us: u64,
        /// Depends on the kind.
        pub value: u64,
        /// Depends on the kind.
        pub limit: u64,
        /// For kinds that are written ever more rarely while they go on: how many there were since the last entry of this
        /// user (or peer) for this reason, with this one. The other fields are those of the newest.
        pub count: u64,
        /// A model, an adapter, a user or a session.
        pub name: ModelName,
    }
}

impl Record {
    /// A record of this kind and nothing else.
    #[must_use]
    pub const fn new(kind: Kind) -> Self {
        Self {
            version: RECORD_VERSION,
            kind: kind as u16,
            code: 0,
            kv_type: 0,
            numerics: 0,
            request: 0,
            sequence: 0,
            time_us: 0,
            previous: [0; 32],
            user: UserName::EMPTY,
            session: 0,
            turn: 0,
            prompt_bytes: 0,
            prompt_tokens: 0,
            generated_tokens: 0,
            text_bytes: 0,
            params: InferParams::ZERO,
            train: TrainParams::ZERO,
            format: FormatName::EMPTY,
            format_sha256: [0; 32],
            segments: 0,
            stops: 0,
            user_defined: 0,
            model_sha256: [0; 32],
            adapter_sha256: [0; 32],
            prompt_sha256: [0; 32],
            output_sha256: [0; 32],
            latency_us: 0,
            first_token_us: 0,
            value: 0,
            limit: 0,
            count: 0,
            name: ModelName::EMPTY,
        }
    }

    /// Its bytes, as they are hashed, kept and sent.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        zerocopy::transmute!(self.to_wire())
    }

    /// The record that `bytes` begin with, and what follows it; `None` if there is none.
    #[must_use]
    pub fn read_prefix(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (layout, rest) = <Self as Wire>::Layout::try_ref_from_prefix(bytes).ok()?;
        Some((Self::from_wire(layout)?, rest))
    }

    /// What it is about, if that is known.
    #[must_use]
    pub const fn kind(&self) -> Option<Kind> {
        Kind::from_u16(self.kind)
    }
}

/// Bytes in lower-case hexadecimal.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'a>(pub &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text as a JSON string of visible ASCII: what else there is, is escaped, so that it is harmless on a terminal and
/// survives a serial line. Bytes that are no UTF-8 become U+FFFD.
#[derive(Clone, Copy, Debug)]
pub struct JsonText<'a>(pub &'a [u8]);

impl Display for JsonText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '"' | '\\' => write!(f, "\\{character}")?,
                    ' '..='~' => f.write_char(character)?,
                    _ => {
                        for unit in character.encode_utf16(&mut [0; 2]) {
                            write!(f, "\\u{unit:04x}")?;
                        }
                    }
                }
            }
            if !chunk.invalid().is_empty() {
                f.write_str("\\ufffd")?;
            }
        }
        f.write_char('"')
    }
}

impl Json<'_> {
    /// The parts of a request, whose lengths no text can hold; otherwise the text.
    fn write_text(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts = match self.record.kind() {
            Some(Kind::Admit) => Parts::parse(self.text),
            _ => None,
        };
        let Some(parts) = parts else {
            return write!(f, ",\"text\":{}", JsonText(self.text));
        };
        f.write_str(",\"parts\":[")?;
        for (between, part) in core::iter::once("")
            .chain(core::iter::repeat(","))
            .zip(parts.iter())
        {
            write!(
                f,
                "{between}[\"{}\",{}]",
                part.kind.word(),
                JsonText(part.text)
            )?;
        }
        f.write_char(']')
    }
}

/// First line of an export.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    /// What the first entry holds as the hash of the one before it.
    pub anchor: Hash,
    /// Sequence number of the first entry.
    pub first: u64,
}

impl Display for Opening {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (anchor, first) = (Hex(&self.anchor), self.first);
        write!(
            f,
            "{{\"log\":\"sel4-llm\",\"version\":{RECORD_VERSION},\"first\":{first},\"anchor\":\"{anchor}\"}}"
        )
    }
}

/// Last line of an export.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// SHA-256 of the last entry.
    pub head: Hash,
    /// Entries printed.
    pub entries: u64,
    /// Whether some in between were left out, so that the chain cannot be checked.
    pub filtered: bool,
}

impl Display for Ending {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (head, entries, filtered) = (Hex(&self.head), self.entries, self.filtered);
        write!(
            f,
            "{{\"head\":\"{head}\",\"entries\":{entries},\"filtered\":{filtered}}}"
        )
    }
}

/// An entry as a line of an export.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a> {
    /// The record.
    pub record: &'a Record,
    /// Its text.
    pub text: &'a [u8],
}

impl Display for Json<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Record {
            version,
            kind,
            code,
            kv_type,
            numerics,
            request,
            sequence,
            time_us,
            previous,
            user,
            session,
            turn,
            prompt_bytes,
            prompt_tokens,
            generated_tokens,
            text_bytes,
            params,
            train,
            format,
            format_sha256,
            segments,
            stops,
            user_defined,
            model_sha256,
            adapter_sha256,
            prompt_sha256,
            output_sha256,
            latency_us,
            first_token_us,
            value,
            limit,
            count,
            name,
        } = self.record;
        let event = self.record.kind().map_or("unknown", Kind::as_str);
        write!(
            f,
            "{{\"sequence\":{sequence},\"time_us\":{time_us},\"event\":\"{event}\",\"version\":{version},\"kind\":{kind},\
             \"code\":{code},\"user\":\"{user}\",\"name\":\"{name}\",\"request\":{request},\"session\":{session},\
             \"turn\":{turn},\"kv_type\":{kv_type},\"numerics\":{numerics},\"prompt_bytes\":{prompt_bytes},\
             \"prompt_tokens\":{prompt_tokens},\"generated_tokens\":{generated_tokens},\"text_bytes\":{text_bytes},\
             \"latency_us\":{latency_us},\"first_token_us\":{first_token_us},\"value\":{value},\"limit\":{limit},\
             \"count\":{count},\"format\":\"{format}\",\"segments\":{segments},\"stops\":{stops},\"user_defined\":{user_defined},"
        )?;
        let sampling = &params.sampling;
        write!(
            f,
            "\"params\":{{\"seed\":{},\"temperature\":{},\"top_k\":{},\"top_p\":{},\"min_p\":{},\"repeat_penalty\":{},\
             \"repeat_last_n\":{},\"max_tokens\":{}}},",
            sampling.seed,
            sampling.temperature,
            sampling.top_k,
            sampling.top_p,
            sampling.min_p,
            sampling.repeat_penalty,
            sampling.repeat_last_n,
            params.max_tokens,
        )?;
        write!(
            f,
            "\"train\":{{\"seed\":{},\"rank\":{},\"alpha\":{},\"epochs\":{},\"rate\":{},\"targets\":{}}},",
            train.seed, train.rank, train.alpha, train.epochs, train.rate, train.targets,
        )?;
        write!(
            f,
            "\"model_sha256\":\"{}\",\"adapter_sha256\":\"{}\",\"format_sha256\":\"{}\",\"prompt_sha256\":\"{}\",\"output_sha256\":\"{}\",\"previous\":\"{}\"",
            Hex(model_sha256),
            Hex(adapter_sha256),
            Hex(format_sha256),
            Hex(prompt_sha256),
            Hex(output_sha256),
            Hex(previous),
        )?;
        if *text_bytes > 0 {
            self.write_text(f)?;
        }
        f.write_char('}')
    }
}
