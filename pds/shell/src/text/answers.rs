//! Lines of audit's answers.

use super::{Bytes, Count, Rate, Seconds, Time, TrainingState};
use core::fmt::{self, Display, Formatter};
use progress::stage_word;
use protocol::hash::Hex;
use protocol::name::UserName;
use protocol::wire::client::{
    Finished, FormatEntry, LogExtent, SessionEntry, SessionState, Signature, Status,
};
use protocol::wire::{ArenaUse, FinishReason, ModelInfo};

/// The line that closes a generation.
///
/// Prompt and generation each have their own rate. Audit sees only the admission, the first token and the end. So the
/// time of the prompt is that to the first token, including waiting for others. Its tokens are all of the prompt's,
/// including those already cached from a session or a shared prefix, because inference does not report how many these
/// were.
pub(crate) struct Closing(pub(crate) Finished);

impl Display for Closing {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Finished {
            generated_tokens: tokens,
            prompt_tokens,
            first_token_us,
            total_us,
            held_us,
            ..
        } = self.0;
        write!(f, "[{}, ", Count(u64::from(tokens), "token"))?;
        // The first token came at the end of the prompt.
        let after_us = total_us.saturating_sub(first_token_us);
        let rate = match tokens {
            0 | 1 => Rate {
                tokens: u64::from(tokens),
                us: total_us,
            },
            more if after_us > 0 => Rate {
                tokens: u64::from(more).saturating_sub(1),
                us: after_us,
            },
            // All tokens came at once.
            all => Rate {
                tokens: u64::from(all),
                us: total_us,
            },
        };
        write!(f, "{rate} tokens/s")?;
        if tokens > 0 {
            write!(f, ", first after {} s", Seconds(first_token_us))?;
            // If the answer has a format, the prompt's length is not reported.
            if prompt_tokens > 0 {
                let rate = Rate {
                    tokens: u64::from(prompt_tokens),
                    us: first_token_us,
                };
                let prompt = Count(u64::from(prompt_tokens), "token");
                write!(f, " (prompt of {prompt}, {rate} tokens/s)")?;
            }
        }
        if held_us >= HELD_US {
            write!(
                f,
                ", held back by the egress cap for {} s",
                Seconds(held_us)
            )?;
        }
        let reason = match self.0.reason {
            FinishReason::EndOfText => "end of text",
            FinishReason::MaxTokens => "--max-tokens reached",
            FinishReason::ContextFull => "context full",
            FinishReason::Cancelled => "cancelled",
            FinishReason::Stop => "stop string",
        };
        write!(f, ", {reason}]")
    }
}

/// Shortest time worth reporting, in microseconds (10 ms): the least that two digits show.
const HELD_US: u64 = 10_000;

/// Digits of a hash that suffice to tell two files apart.
const SHORT_HASH: usize = 8;

/// A line about a loaded model.
pub(crate) struct ModelLine<'a> {
    pub(crate) info: ModelInfo,
    pub(crate) name: &'a str,
}

impl Display for ModelLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let info = &self.info;
        write!(
            f,
            "{}: {}, {}, {} wide, vocabulary {}, context {}, sha256 {}",
            self.name,
            Count(info.parameters, "parameter"),
            Count(info.layers.into(), "layer"),
            info.width,
            info.vocabulary,
            info.context,
            Hex(info.sha256.get(..SHORT_HASH).unwrap_or(&[]))
        )
    }
}

/// A model's chat template, and whether texts can imitate roles in it.
pub(crate) struct TemplateText<'a>(pub(crate) &'a ModelInfo);

impl Display for TemplateText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match (self.0.template.as_str(), self.0.separates) {
            ("", _) => f.write_str("none: it completes texts"),
            (template, true) => write!(f, "{template}: control tokens keep roles apart"),
            (template, false) => write!(f, "{template}: text can imitate roles"),
        }
    }
}

/// What audit knows about a model's signature.
pub(crate) struct SignatureWord(pub(crate) Signature);

impl Display for SignatureWord {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Signature::Missing => "not signed",
            Signature::Unchecked => "signed, not checked yet",
            Signature::Good => "signature good",
            Signature::Bad => "signature BAD",
        })
    }
}

/// The rows fit a terminal of 40 columns. All numbers begin in one column, so no row breaks before its number.
fn arena_lines(f: &mut Formatter<'_>, arena: &ArenaUse) -> fmt::Result {
    f.write_str("arena")?;
    for (name, bytes) in [
        ("weights", arena.weights),
        ("KV cache", arena.kv_cache),
        ("activations", arena.activations),
        ("vocabulary", arena.vocabulary),
        ("adapters", arena.adapters),
        ("training", arena.training),
        ("other", arena.other),
        ("in use", arena.current()),
        ("peak", arena.peak),
        ("capacity", arena.capacity),
    ] {
        write!(f, "\n  {name:<11}  {}", Bytes(bytes))?;
    }
    Ok(())
}

/// The answer to `llmctl status`.
pub(crate) struct StatusText<'a>(pub(crate) &'a Status);

impl Display for StatusText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let status = self.0;
        if status.name.is_empty() {
            writeln!(f, "model        none")?;
        } else {
            let model = ModelLine {
                info: status.model,
                name: status.name.as_str(),
            };
            writeln!(f, "model        {model}")?;
            let help = match status.model.template.is_empty() {
                true => "llminfer",
                false => "llmchat",
            };
            let template = TemplateText(&status.model);
            writeln!(f, "template     {template}; see 'help {help}'")?;
        }
        writeln!(
            f,
            "requests     {} active, {} of them waiting for room",
            status.active, status.waiting
        )?;
        writeln!(
            f,
            "sessions     {} with keys and values; {} of {} positions are free",
            status.sessions, status.kv_free, status.kv_positions
        )?;
        writeln!(f, "adapters     {} loaded", status.adapters)?;
        if !status.tuning.is_empty() {
            let training = TrainingState(&status.training);
            writeln!(f, "fine-tuning  {}: {training}", status.tuning)?;
        }
        writeln!(f, "restarts     {}", status.restarts)?;
        writeln!(
            f,
            "egress cap   {} of {} bytes may leave at once now; {} more become available each second, and a token takes about 15",
            status.egress_left, status.egress_burst, status.egress_limit
        )?;
        arena_lines(f, &status.arena)
    }
}

/// The closing line of a list: the number of entries, and the meaning of the mark.
pub(crate) struct Listed {
    pub(crate) count: Count,
    pub(crate) of: &'static str,
    pub(crate) mark: &'static str,
}

impl Display for Listed {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { count, of, mark } = self;
        match count.0 {
            0 => write!(f, "{count}{of}"),
            _ => write!(f, "{count}{of}; {mark}"),
        }
    }
}

/// A line about a format.
pub(crate) struct FormatLine<'a>(pub(crate) &'a FormatEntry);

impl Display for FormatLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let entry = self.0;
        let mark = if entry.allowed { '*' } else { ' ' };
        write!(
            f,
            "{mark} {} ({}, {}, sha256 {})",
            entry.name,
            Count(entry.states.into(), "state"),
            Count(entry.bytes.into(), "byte"),
            Hex(entry.sha256.get(..SHORT_HASH).unwrap_or(&[]))
        )
    }
}

/// The answer to `exit` for the user at boot, who cannot log out.
pub(crate) struct HowToLeave<'a>(pub(crate) &'a UserName);

impl Display for HowToLeave<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "nobody has logged in: {} is the user from the start, and cannot log out. Ctrl-] leaves the emulator or the \
             simulation; 'llmctl halt' ends the system for everybody, if your role permits it",
            self.0
        )
    }
}

/// The answer to `llmctl reset`.
pub(crate) struct ResetText {
    pub(crate) was_stopped: bool,
}

impl Display for ResetText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.was_stopped {
            true => "inference is started again",
            false => {
                "inference was not stopped, so nothing is started; restarts are counted from 0 again"
            }
        })
    }
}

/// A line about a session.
pub(crate) struct SessionLine<'a>(pub(crate) &'a SessionEntry);

impl Display for SessionLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let session = self.0;
        let name = match session.name.as_str() {
            "" => "(one request)",
            name => name,
        };
        let tokens = Count(session.tokens, "token");
        if session.state == SessionState::Active {
            // Tokens are counted at the end of a turn.
            return write!(
                f,
                "{name}  {}  turn {} under way, {tokens} in those before",
                session.user, session.turns
            );
        }
        let turns = Count(u64::from(session.turns), "turn");
        write!(f, "{name}  {}  {turns}, {tokens}, ", session.user)?;
        match session.state {
            SessionState::Idle => write!(f, "idle for {}", Time(session.idle_us)),
            SessionState::Active => write!(f, "active"),
            SessionState::Evicted => write!(f, "evicted to make room"),
            SessionState::Lost => write!(f, "lost with a restart or another model"),
        }
    }
}

/// The answer to `llmctl audit verify`.
pub(crate) struct VerifiedText {
    pub(crate) extent: LogExtent,
    pub(crate) broken_at: u64,
}

impl Display for VerifiedText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let LogExtent {
            first, next, head, ..
        } = self.extent;
        if self.broken_at != 0 {
            return write!(
                f,
                "the log's chain is BROKEN at entry {}: it was changed outside of audit",
                self.broken_at
            );
        }
        match next.checked_sub(1).filter(|last| *last >= first) {
            None => write!(f, "the log is empty"),
            Some(last) => {
                write!(f, "entries {first} to {last} are unbroken")?;
                if first > 1 {
                    write!(f, "; older ones are no longer in memory")?;
                }
                write!(f, "; last hash {}", Hex(&head))
            }
        }
    }
}

/// What the boot still waits for: the last stage and percentage that were reported.
pub(crate) struct BootText(pub(crate) Option<Bar>);

impl Display for BootText {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("the system is not ready: ")?;
        match self.0 {
            Some(Bar::Stage(stage, percent)) => {
                write!(f, "{} the model, {percent} %", stage_word(stage))?;
            }
            None | Some(Bar::Training(_)) => f.write_str("audit has not said anything yet")?,
        }
        f.write_str("; asked audit whether it takes commands")
    }
}

mod counters;
mod progress;
#[cfg(test)]
mod tests;

pub(crate) use counters::{BudgetText, StatsText, UserText};
pub(crate) use progress::{BAR_WORDS, Bar, Marks, ProgressBar, StageLine};
