//! An entry of the audit log as a line for people. Programs get `log-export`.

use super::failure::LossOfLog;
use super::{Count, CountOf, FailureText, Loss, Rate, Seconds, Time, Untrusted, names_format};
use core::fmt::{self, Display, Formatter};
use protocol::decimal::{Billionths, Millionths};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::{Hash, Hex};
use protocol::record::{Kind, Record};
use protocol::wire::{Fault, FaultKind, PartKind, Parts, TARGETS_ALL, TrainParams};
use safe_text::beginning;

/// Bytes of a prompt in the line. The export has the whole prompt.
const PROMPT_BYTES: usize = 48;

/// Bytes of a hash that suffice to tell two apart.
const SHORT_HASH: usize = 8;

/// The hash of something absent.
const NO_HASH: Hash = [0; 32];

/// The line.
pub(crate) struct LogLine<'a> {
    pub(crate) record: &'a Record,
    /// The prompt, if the policy keeps it.
    pub(crate) text: &'a [u8],
}

impl Display for LogLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        let kind = record.kind().map_or("unknown", Kind::as_str);
        write!(
            f,
            "#{} {:>9} s  {kind}",
            record.sequence,
            Padded(record.time_us)
        )?;
        if !record.user.is_empty() {
            write!(f, " by {}", record.user)?;
        }
        if record.request != 0 {
            write!(f, ", request {}", record.request)?;
        }
        if record.session != 0 {
            write!(f, ", session {} turn {}", record.session, record.turn)?;
        }
        match record.kind() {
            Some(kind) => self.details(kind, f),
            None => write!(f, ": kind {}", record.kind),
        }
    }
}

impl LogLine<'_> {
    fn details(&self, kind: Kind, f: &mut Formatter<'_>) -> fmt::Result {
        let record = self.record;
        let (value, limit) = (record.value, record.limit);
        match kind {
            Kind::Boot | Kind::Cancel | Kind::Reset | Kind::Halt | Kind::Close => Ok(()),
            Kind::Login | Kind::Logout => self.times(f),
            Kind::Load => write!(
                f,
                ": model {}, {}, sha256 {}",
                record.name,
                Count(value, "byte"),
                short(&record.model_sha256)
            ),
            Kind::Admit => {
                let sampling = &record.params.sampling;
                write!(
                    f,
                    ": {} of {}, at most {}, temperature {}, seed {}",
                    Count(record.prompt_bytes.into(), "byte"),
                    Said(record.segments),
                    Count(record.params.max_tokens.into(), "token"),
                    Millionths(u64::from(sampling.temperature)),
                    sampling.seed
                )?;
                if !record.format.is_empty() {
                    let sha256 = short(&record.format_sha256);
                    write!(f, ", format {}, sha256 {sha256}", record.format)?;
                }
                if record.stops > 0 {
                    write!(f, ", {}", Count(record.stops.into(), "stop string"))?;
                }
                self.prompt(f)
            }
            Kind::Refuse | Kind::Fail | Kind::LoginFailed => {
                let name = record.name.as_str();
                match ErrorCode::from_u16(record.code) {
                    Some(code) => {
                        let failure = Failure::over(code, value, limit);
                        // As in the original message: for a permission, the user whose role lacks it; otherwise the
                        // name in the request.
                        let detail = match code {
                            ErrorCode::NotPermitted => record.user.as_str(),
                            _ if name.is_empty() && names_format(code) => record.format.as_str(),
                            _ => name,
                        }
                        .as_bytes();
                        write!(f, ": {}", FailureText { failure, detail })?;
                    }
                    None => write!(f, ": code {}", record.code)?,
                }
                if kind == Kind::LoginFailed && !name.is_empty() {
                    write!(f, " (tried: {name})")?;
                }
                self.times(f)?;
                self.prompt(f)
            }
            Kind::Finish => {
                let rate = Rate {
                    tokens: u64::from(record.generated_tokens),
                    us: record.latency_us,
                };
                write!(
                    f,
                    ": {} of prompt, {} generated in {} s ({rate} tokens/s), output {}",
                    Count(record.prompt_tokens.into(), "token"),
                    record.generated_tokens,
                    Seconds(record.latency_us),
                    short(&record.output_sha256)
                )
            }
            Kind::Timeout => write!(f, ": not done after {} s", Seconds(limit)),
            Kind::Fault => match FaultKind::from_u32(u32::from(record.code)) {
                Some(kind) => {
                    let (ip, address) = (limit, value);
                    write!(f, ": {}", Fault { kind, ip, address })
                }
                None => write!(f, ": kind {} at address {value:#x}", record.code),
            },
            Kind::Adapter => {
                let from = match record.code {
                    2 => "made here",
                    3 => "from the disk",
                    _ => "from the store",
                };
                write!(
                    f,
                    ": {} ({from}), {}, sha256 {}, for the model {}",
                    record.name,
                    Count(value, "byte"),
                    short(&record.adapter_sha256),
                    short(&record.model_sha256)
                )
            }
            Kind::DropAdapter => write!(
                f,
                ": {}, sha256 {}",
                record.name,
                short(&record.adapter_sha256)
            ),
            Kind::Tune => {
                let TrainParams {
                    seed,
                    rank,
                    alpha,
                    epochs,
                    rate,
                    targets,
                    ..
                } = record.train;
                let targets = if targets == TARGETS_ALL {
                    "all"
                } else {
                    "attention"
                };
                write!(
                    f,
                    ": {}, {} of data, sha256 {}, rank {rank}, alpha {}, {}, rate {}, {targets}, seed {seed}, at most {}",
                    record.name,
                    Count(record.prompt_bytes.into(), "byte"),
                    short(&record.prompt_sha256),
                    Millionths(u64::from(alpha)),
                    Count(epochs.into(), "epoch"),
                    Billionths(rate),
                    Count(value, "token"),
                )
            }
            Kind::Tuned => {
                let loss = Loss(u32::try_from(limit).unwrap_or(u32::MAX));
                write!(
                    f,
                    ": {}, {} in {}, loss {loss}",
                    record.name,
                    Count(record.prompt_tokens.into(), "token"),
                    Count(record.generated_tokens.into(), "step")
                )?;
                match record.adapter_sha256 {
                    NO_HASH => write!(f, ", cancelled"),
                    sha256 => write!(f, ", {}, sha256 {}", Count(value, "byte"), short(&sha256)),
                }
            }
            Kind::Export => write!(
                f,
                ": {}, {}, sha256 {}",
                record.name,
                Count(value, "byte"),
                short(&record.adapter_sha256)
            ),
            Kind::Save if record.code != 0 => match ErrorCode::from_u16(record.code) {
                Some(code) => {
                    let failure = Failure::over(code, value, limit);
                    let detail = record.name.as_str().as_bytes();
                    write!(
                        f,
                        ": {} not written: {}",
                        record.name,
                        FailureText { failure, detail }
                    )
                }
                None => write!(f, ": {} not written: reason {}", record.name, record.code),
            },
            Kind::Save => write!(
                f,
                ": {}, {}, sha256 {}",
                record.name,
                Count(value, "byte"),
                short(&record.adapter_sha256)
            ),
            Kind::Example if record.prompt_sha256 == NO_HASH => write!(f, ": all are forgotten"),
            Kind::Example => write!(
                f,
                ": {}, sha256 {}; {} with it",
                Count(record.prompt_bytes.into(), "byte"),
                short(&record.prompt_sha256),
                Count(value, "byte")
            ),
            Kind::Recover => write!(f, ": after {} s, restart {limit}", Seconds(value)),
            Kind::Violation => {
                let peer = match record.code {
                    1 if record.name.is_empty() => "an unknown client",
                    1 => record.name.as_str(),
                    2 => "inference",
                    3 => "the domain 'files'",
                    _ => "a peer",
                };
                let times = Count(record.count, "time");
                write!(f, ": {peer} broke the protocol {times}")
            }
            Kind::Budget => write!(
                f,
                ": {} gets {} every {}",
                record.name,
                Count(value, "token"),
                Time(limit)
            ),
            Kind::LogOpened => {
                write!(f, ": boot {}, ", record.count)?;
                match record.code {
                    1 => return write!(f, "the disk had no entries yet"),
                    2 => write!(f, "{}", CountOf(value, "entry", "entries"))?,
                    3 => write!(
                        f,
                        "{}; the last write had not been finished, and was dropped",
                        CountOf(value, "entry", "entries")
                    )?,
                    _ => write!(
                        f,
                        "{}; DAMAGED: what followed entry {limit} is missing or was changed",
                        CountOf(value, "entry", "entries")
                    )?,
                }
                Ok(())
            }
            Kind::LogLost => {
                match ErrorCode::from_u16(record.code) {
                    Some(code) => {
                        write!(f, ": {}", LossOfLog(Failure::over(code, value, limit)))?;
                    }
                    None => write!(f, ": code {}", record.code)?,
                }
                f.write_str(match record.count {
                    0 => "; the log goes on in memory only",
                    _ => "; nothing is admitted",
                })
            }
            Kind::Usage => write!(
                f,
                ": {} has used {value} tokens, {} into a period of {}",
                record.name,
                Time(limit),
                Time(record.count)
            ),
            Kind::Evict => write!(f, ": it had {}", Count(value, "turn")),
            Kind::Stop if record.code == ErrorCode::ControlRefused as u16 => {
                let what = if value == 1 { "stop" } else { "start" };
                write!(f, ": the kernel has refused to {what} inference")
            }
            Kind::Stop => write!(
                f,
                ": {} within {}, so audit has stopped trying",
                Count(value, "restart"),
                Time(limit)
            ),
        }
    }

    /// The count, if the entry stands for more than one event.
    fn times(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.record.count {
            0 | 1 => Ok(()),
            count => write!(f, " ({count} times since the last entry)"),
        }
    }

    /// The texts of the request with their roles, as far as the line has room. A single text has no role.
    fn prompt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let has_parts = matches!(
            self.record.kind(),
            Some(Kind::Admit | Kind::Refuse | Kind::Fail)
        );
        let parts = has_parts.then(|| Parts::parse(self.text)).flatten();
        let Some(parts) = parts else {
            if !self.text.is_empty() {
                f.write_str(",")?;
                quoted(self.text, PROMPT_BYTES, f)?;
            }
            return Ok(());
        };
        let mut room = PROMPT_BYTES;
        for part in parts.iter() {
            if room == 0 {
                return f.write_str(", ...");
            }
            match part.kind {
                PartKind::Text | PartKind::Prompt => f.write_str(",")?,
                PartKind::System => f.write_str(", system")?,
                PartKind::User => f.write_str(", user")?,
                PartKind::Assistant => f.write_str(", assistant")?,
                PartKind::Stop => f.write_str(", stop")?,
                PartKind::Choice => f.write_str(", choice")?,
            }
            room = quoted(part.text, room, f)?;
        }
        Ok(())
    }
}

/// The start of a text that fits in `room`. Returns the room that is left.
fn quoted(text: &[u8], room: usize, f: &mut Formatter<'_>) -> Result<usize, fmt::Error> {
    let first = beginning(text, room);
    let is_whole = first.len() == text.len();
    let dots = if is_whole { "" } else { "..." };
    write!(f, " \"{}{dots}\"", Untrusted(first))?;
    Ok(if is_whole {
        room.saturating_sub(first.len())
    } else {
        0
    })
}

/// The kind and number of segments.
struct Said(u32);

impl Display for Said {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("prompt"),
            segments => write!(f, "conversation ({})", Count(segments.into(), "segment")),
        }
    }
}

fn short(hash: &[u8]) -> Hex<'_> {
    Hex(hash.get(..SHORT_HASH).unwrap_or(hash))
}

/// Seconds, right-aligned, because [`Seconds`] has no width.
struct Padded(u64);

impl Display for Padded {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let hundredths = self.0 / 10_000;
        let width = f.width().unwrap_or(0).saturating_sub(3);
        write!(f, "{:>width$}.{:02}", hundredths / 100, hundredths % 100)
    }
}

#[cfg(test)]
mod tests;
