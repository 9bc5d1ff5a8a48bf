//! Every text for people. Errors arrive as codes with a value and a limit; here they become words,
//! and nowhere else.

use crate::command::{CONTROLS, CommandError};
use crate::sanitise::Sanitiser;
use core::fmt::{self, Display, Formatter};
use protocol::decimal::Millionths;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_GENERATED_TOKENS, MAX_PROMPT_BYTES, defaults};
use protocol::wire::{
    ArenaUse, Fault, FaultKind, FinishReason, Finished, ModelInfo, Stats, Status,
};

/// Untrusted bytes, made safe for the terminal.
pub(crate) struct Untrusted<'a>(pub(crate) &'a [u8]);

impl Display for Untrusted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        let mut result = Ok(());
        let mut sanitiser = Sanitiser::new();
        // A name or a detail is one line.
        let mut write = |character: char| {
            let shown = if character.is_whitespace() {
                ' '
            } else {
                character
            };
            result = result.and_then(|()| f.write_char(shown));
        };
        sanitiser.push(self.0, &mut write);
        sanitiser.finish(&mut write);
        result
    }
}

/// Microseconds as seconds with two digits.
struct Seconds(u64);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let hundredths = self.0 / 10_000;
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// Tokens a second with one digit.
struct Rate {
    tokens: u64,
    us: u64,
}

impl Display for Rate {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let tenths = self
            .tokens
            .saturating_mul(10_000_000)
            .checked_div(self.us)
            .unwrap_or(0);
        write!(f, "{}.{}", tenths / 10, tenths % 10)
    }
}

/// Bytes, and KiB where that helps.
struct Bytes(u64);

impl Display for Bytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9} bytes ({} KiB)", self.0, self.0.div_ceil(1024))
    }
}

/// A reason, with the value and the limit.
pub(crate) struct FailureText<'a> {
    pub(crate) failure: Failure,
    pub(crate) detail: &'a [u8],
}

impl Display for FailureText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Failure { code, value, limit } = self.failure;
        let detail = Untrusted(self.detail);
        let (fraction, largest) = (Millionths(value), Millionths(limit));
        match code {
            ErrorCode::EmptyPrompt => write!(f, "the prompt is empty"),
            ErrorCode::PromptBytes => {
                write!(
                    f,
                    "the prompt has {value} bytes, at most {limit} are allowed"
                )
            }
            ErrorCode::PromptTokens => write!(
                f,
                "the prompt has {value} tokens, the model's context has room for {limit}"
            ),
            ErrorCode::PromptNotUtf8 => write!(f, "the prompt is not UTF-8 at byte {value}"),
            ErrorCode::MaxTokens => {
                write!(
                    f,
                    "--max-tokens {value} is out of range, 1 to {limit} are allowed"
                )
            }
            ErrorCode::Temperature => {
                write!(
                    f,
                    "--temperature {fraction} is out of range, 0 to {largest} are allowed"
                )
            }
            ErrorCode::TopK => write!(
                f,
                "--top-k {value} is out of range, 0 to {limit} are allowed"
            ),
            ErrorCode::TopP => {
                write!(
                    f,
                    "--top-p {fraction} is out of range, 0 to {largest} are allowed"
                )
            }
            ErrorCode::MinP => {
                write!(
                    f,
                    "--min-p {fraction} is out of range, 0 to {largest} are allowed"
                )
            }
            ErrorCode::RepeatPenalty => write!(
                f,
                "a repetition penalty of {fraction} is out of range, 1 to {largest} are allowed"
            ),
            ErrorCode::TooManyRequests => {
                write!(
                    f,
                    "{value} requests are active, {limit} are allowed; try again later"
                )
            }
            ErrorCode::Busy => {
                write!(
                    f,
                    "inference is busy ({value} of {limit} places taken); try again later"
                )
            }
            ErrorCode::NoSuchRequest => write!(f, "no such request is active"),
            ErrorCode::NoModel => {
                write!(
                    f,
                    "no model is loaded; see 'llmctl models', then 'llmctl load NAME'"
                )
            }
            ErrorCode::NoSuchModel => {
                write!(f, "no model '{detail}' in the store; see 'llmctl models'")
            }
            ErrorCode::NameLength => {
                write!(f, "the name has {value} bytes, 1 to {limit} are allowed")
            }
            ErrorCode::BadModel => {
                write!(f, "the model file ({value} bytes) is damaged: {detail}")
            }
            ErrorCode::UnsupportedModel => write!(f, "the model is not supported: {detail}"),
            ErrorCode::ModelTooLarge => write!(
                f,
                "the model needs {value} bytes, the arena has {limit} ({detail})"
            ),
            ErrorCode::BadStore => {
                write!(
                    f,
                    "the model store ({value} bytes) is no tar archive; see 'llmtool pack'"
                )
            }
            ErrorCode::ModelInUse => {
                write!(
                    f,
                    "a generation is using the loaded model; wait for it or cancel it"
                )
            }
            ErrorCode::ContextFull => {
                write!(f, "the context of {limit} tokens has no room for {value}")
            }
            ErrorCode::CacheFull => write!(
                f,
                "the KV cache has {limit} positions free, {value} are needed; wait, or ask for fewer tokens"
            ),
            ErrorCode::NonFinite => {
                write!(
                    f,
                    "a value in the computation was not finite; the request is lost"
                )
            }
            ErrorCode::Deadline => write!(
                f,
                "it took {} s, {} s are allowed",
                Seconds(value),
                Seconds(limit)
            ),
            ErrorCode::InferenceFault => write!(f, "inference died while it had the request"),
            ErrorCode::ProtocolViolation => {
                write!(f, "inference broke the protocol while it had the request")
            }
            ErrorCode::Unresponsive => {
                write!(f, "inference did not answer in time and was stopped")
            }
            ErrorCode::Unsupported => write!(f, "the request is not supported"),
        }
    }
}

impl Display for CommandError<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Unterminated(quote) => write!(f, "the quote {quote} is not closed"),
            Self::TooManyWords => write!(f, "more than 32 words; put the prompt in quotes"),
            Self::Unknown {
                what,
                word,
                nearest,
            } => {
                write!(f, "no {what} '{}'", Untrusted(word))?;
                match nearest {
                    Some(nearest) => write!(f, "; did you mean '{nearest}'?"),
                    None => write!(f, "; see 'help'"),
                }
            }
            Self::MissingValue { of, what } => write!(f, "{of} needs {what}; see 'help'"),
            Self::Extra {
                of: "llminfer",
                word,
            } => write!(
                f,
                "'{}' is one word too many for llminfer; put the prompt in quotes",
                Untrusted(word)
            ),
            Self::Extra { of, word } => {
                write!(f, "'{}' is one word too many for {of}", Untrusted(word))
            }
            Self::Whole { option, word, max } => {
                write!(
                    f,
                    "{option} '{}' is not a whole number from 0 to {max}",
                    Untrusted(word)
                )
            }
            Self::Decimal { option, word, why } => {
                write!(f, "{option} '{}' is {why}", Untrusted(word))
            }
            Self::Name(word) => write!(f, "the name '{}' is not UTF-8", Untrusted(word)),
        }
    }
}

/// The line that closes a generation.
pub(crate) struct Closing(pub(crate) Finished);

impl Display for Closing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Finished {
            generated_tokens: tokens,
            total_us: us,
            ..
        } = self.0;
        let rate = Rate {
            tokens: u64::from(tokens),
            us,
        };
        write!(f, "[{tokens} tokens, {rate} tokens/s")?;
        if tokens > 0 {
            write!(f, ", first after {} s", Seconds(self.0.first_token_us))?;
        }
        let reason = match self.0.reason {
            FinishReason::EndOfText => "end of text",
            FinishReason::MaxTokens => "--max-tokens reached",
            FinishReason::ContextFull => "context full",
            FinishReason::Cancelled => "cancelled",
        };
        write!(f, ", {reason}]")
    }
}

/// A loaded model in a line.
pub(crate) struct ModelLine<'a> {
    pub(crate) info: ModelInfo,
    pub(crate) name: &'a str,
}

impl Display for ModelLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let info = &self.info;
        write!(
            f,
            "{}: {} parameters, {} layers, {} wide, vocabulary {}, context {}, sha256 ",
            Untrusted(self.name.as_bytes()),
            info.parameters,
            info.layers,
            info.width,
            info.vocabulary,
            info.context
        )?;
        // Enough to tell two files apart.
        info.sha256
            .iter()
            .take(8)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Answer to `llmctl status`.
pub(crate) struct StatusText<'a> {
    pub(crate) status: Status,
    pub(crate) model: &'a str,
}

impl Display for StatusText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Status {
            arena,
            model,
            restarts,
            active,
        } = self.status;
        if self.model.is_empty() {
            writeln!(f, "model        none")?;
        } else {
            writeln!(
                f,
                "model        {}",
                ModelLine {
                    info: model,
                    name: self.model
                }
            )?;
        }
        writeln!(f, "requests     {active} active")?;
        writeln!(f, "restarts     {restarts}")?;
        let ArenaUse {
            weights,
            kv_cache,
            activations,
            vocabulary,
            other,
            peak,
            capacity,
        } = arena;
        for (name, bytes) in [
            ("arena        weights    ", weights),
            ("             KV cache   ", kv_cache),
            ("             activations", activations),
            ("             vocabulary ", vocabulary),
            ("             other      ", other),
            ("             in use     ", arena.current()),
            ("             peak       ", peak),
        ] {
            writeln!(f, "{name} {}", Bytes(bytes))?;
        }
        write!(f, "             capacity    {}", Bytes(capacity))
    }
}

/// Answer to `llmstats`.
pub(crate) struct StatsText(pub(crate) Stats);

impl Display for StatsText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let stats = &self.0;
        writeln!(f, "uptime       {} s", Seconds(stats.uptime_us))?;
        writeln!(
            f,
            "requests     {} admitted, {} refused, {} finished, {} cancelled, {} failed",
            stats.admitted, stats.refused, stats.finished, stats.cancelled, stats.failed
        )?;
        let rate = Rate {
            tokens: stats.generated_tokens,
            us: stats.busy_us,
        };
        writeln!(
            f,
            "tokens       {} of prompts, {} generated, {rate} tokens/s on average",
            stats.prompt_tokens, stats.generated_tokens
        )?;
        writeln!(
            f,
            "inference    {} faults, {} restarts, {} deadlines passed, {} protocol violations",
            stats.faults, stats.restarts, stats.timeouts, stats.violations
        )?;
        write!(f, "audit log    {} records since boot", stats.records)
    }
}

/// A fault, as audit recorded it.
pub(crate) struct FaultText(pub(crate) Fault);

impl Display for FaultText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Fault { kind, ip, address } = self.0;
        let kind = match kind {
            FaultKind::Memory => "a memory fault",
            FaultKind::Capability => "a capability fault",
            FaultKind::UnknownSyscall => "an unknown system call",
            FaultKind::Exception => "an exception",
            FaultKind::Timeout => "a timeout of its budget",
            FaultKind::Unknown => "an unknown fault",
            FaultKind::Unresponsive => {
                return write!(f, "inference did not stop at its deadline; restarting it");
            }
            FaultKind::Violation => {
                return write!(f, "inference broke the protocol; restarting it");
            }
        };
        write!(
            f,
            "inference died of {kind} at address {address:#x} (instruction {ip:#x}); restarting it"
        )
    }
}

/// End of a recovery.
pub(crate) struct RecoveredText {
    pub(crate) after_us: u64,
    pub(crate) restarts: u32,
}

impl Display for RecoveredText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { after_us, restarts } = *self;
        write!(
            f,
            "inference serves again after {} s (restart {restarts})",
            Seconds(after_us)
        )
    }
}

/// `help`, of everything or of one command.
pub(crate) struct Help(pub(crate) Option<&'static str>);

impl Display for Help {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => write!(
                f,
                "llminfer \"PROMPT\" [OPTIONS]   generate text; Ctrl-C cancels\n\
                 llmctl COMMAND                {}\n\
                 llmstats                      what audit has counted\n\
                 help [COMMAND]                this, or more about one command\n\
                 exit                          end the session (also: end of input)",
                Controls
            ),
            Some("llminfer") => write!(
                f,
                "llminfer \"PROMPT\" [OPTIONS]\n\
                 Continues PROMPT (at most {MAX_PROMPT_BYTES} bytes, and as many tokens as the \
                 model's context has).\n\
                 \x20 --max-tokens N     tokens to generate, 1 to {MAX_GENERATED_TOKENS} [{}]\n\
                 \x20 --temperature T    0 takes the likeliest token every time [{}]\n\
                 \x20 --top-k K          keep the K likeliest tokens, 0 keeps all [{}]\n\
                 \x20 --top-p P          keep the likeliest tokens that sum to P [{}]\n\
                 \x20 --min-p P          drop tokens below P times the likeliest [{}]\n\
                 \x20 --seed S           the same seed gives the same text [{}]\n\
                 Quotes are \" or '; inside \"...\", \\\", \\\\ and \\n are escapes.\n\
                 Examples:\n\
                 \x20 llminfer \"Once upon a time\"\n\
                 \x20 llminfer \"The fox said\" --max-tokens 48 --temperature 0",
                defaults::MAX_TOKENS,
                Millionths(u64::from(defaults::TEMPERATURE)),
                defaults::TOP_K,
                Millionths(u64::from(defaults::TOP_P)),
                Millionths(u64::from(defaults::MIN_P)),
                defaults::SEED
            ),
            Some("llmctl") => write!(
                f,
                "llmctl models       list the models in the store; * is loaded\n\
                 llmctl load NAME    load a model; if it can't be loaded, the one that is stays\n\
                 llmctl status       the model, its memory by purpose, restarts\n\
                 llmctl cancel       cancel the generation under way\n\
                 Example:\n\
                 \x20 llmctl load tiny"
            ),
            Some("llmstats") => write!(f, "llmstats\nWhat audit has counted since boot."),
            Some("exit") => write!(f, "exit\nEnds the session. So does the end of the input."),
            Some(_) => write!(f, "help [COMMAND]\nExample:\n  help llminfer"),
        }
    }
}

struct Controls;

impl Display for Controls {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, control) in CONTROLS.iter().enumerate() {
            write!(f, "{}{control}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
