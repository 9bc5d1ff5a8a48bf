//! Prints entries for people.

use std::fmt::{self, Display, Formatter};

use protocol::error::ErrorCode;
use protocol::hash::Hex;
use protocol::record::{Kind, Record};
use protocol::wire::{Fault, FaultKind, PartKind, Parts, TARGETS_ALL, TARGETS_ATTENTION};
use safe_text::json::Text;

use super::export::ExportedEntry;

/// An entry on one line. Its text is printed as JSON, so nothing in it reaches the terminal unescaped.
#[derive(Debug)]
pub struct Shown<'e>(pub &'e ExportedEntry);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let record = &self.0.record;
        let event = record.kind().map_or("unknown", Kind::as_str);
        let seconds = record.time_us as f64 / 1e6;
        write!(
            f,
            "{:>6} {seconds:>12.3} s  {event:<12} {:<12} ",
            record.sequence, record.user
        )?;
        if record.session > 0 {
            write!(f, "session {} turn {} ", record.session, record.turn)?;
        }
        write_details(record, f)?;
        write_text(self.0, f)
    }
}

/// The text of an entry; for a request, part by part.
fn write_text(entry: &ExportedEntry, f: &mut Formatter<'_>) -> fmt::Result {
    let text = &entry.text;
    let parts = match entry.record.kind() {
        Some(Kind::Admit) => Parts::parse(text),
        _ => None,
    };
    match parts {
        _ if text.is_empty() => Ok(()),
        None => write!(f, " {}", Text(text)),
        Some(parts) => parts.iter().try_for_each(|part| {
            let word = match part.kind {
                PartKind::Text | PartKind::Prompt => "",
                PartKind::System => " system",
                PartKind::User => " user",
                PartKind::Assistant => " assistant",
                PartKind::Stop => " stop",
                PartKind::Choice => " choice",
            };
            write!(f, "{word} {}", Text(part.text))
        }),
    }
}

/// The number of events, if the entry stands for more than one.
struct Times(u64);

impl Display for Times {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 | 1 => Ok(()),
            count => write!(f, " ({count} times since the last entry)"),
        }
    }
}

/// Where an adapter comes from.
const fn origin(code: u16) -> &'static str {
    match code {
        1 => "from the store",
        2 => "made on the device",
        3 => "from the disk",
        _ => "from an unknown place",
    }
}

fn write_details(record: &Record, f: &mut Formatter<'_>) -> fmt::Result {
    let Record {
        value,
        limit,
        count,
        name,
        ..
    } = *record;
    let reason = || match ErrorCode::from_u16(record.code) {
        Some(code) => format!("{code:?} (value {value}, limit {limit})"),
        None => format!("reason {} (value {value}, limit {limit})", record.code),
    };
    match record.kind() {
        Some(Kind::Load) => write!(f, "{name}, {value} bytes, context {limit}"),
        Some(Kind::Admit) => {
            write!(
                f,
                "{} bytes of prompt, at most {} tokens",
                record.prompt_bytes, record.params.max_tokens
            )?;
            match record.format.is_empty() {
                true => Ok(()),
                false => write!(f, ", format {}", record.format),
            }
        }
        Some(Kind::Refuse | Kind::LoginFailed) => {
            write!(f, "{name} {}{}", reason(), Times(count))
        }
        Some(Kind::Login | Kind::Logout) => write!(f, "{}", Times(count)),
        Some(Kind::Finish) => write!(
            f,
            "{} + {} tokens, {} ms, {}",
            record.prompt_tokens,
            record.generated_tokens,
            record.latency_us / 1000,
            match record.code {
                1 => "end of text",
                2 => "as many as asked for",
                3 => "context full",
                4 => "cancelled",
                5 => "stop string",
                _ => "unknown reason",
            }
        ),
        Some(Kind::Fail) => write!(f, "{}", reason()),
        Some(Kind::Timeout) => write!(f, "after {} ms", limit / 1000),
        Some(Kind::Fault) => match FaultKind::from_u32(record.code.into()) {
            Some(kind) => {
                let (ip, address) = (limit, value);
                write!(f, "{}", Fault { kind, ip, address })
            }
            None => write!(f, "kind {} at address {value:#x}", record.code),
        },
        Some(Kind::Recover) => write!(f, "after {} ms, restart {limit}", value / 1000),
        Some(Kind::Violation) => {
            let peer = match record.code {
                1 if record.name.is_empty() => "an unknown client",
                1 => record.name.as_str(),
                2 => "inference",
                3 => "the domain 'files'",
                _ => "unknown peer",
            };
            write!(f, "{count} by {peer}")
        }
        Some(Kind::Budget) => write!(f, "{name}: {value} tokens each {} s", limit / 1_000_000),
        Some(Kind::Evict) => write!(f, "after {value} turns"),
        Some(Kind::Stop) if record.code == ErrorCode::ControlRefused as u16 => {
            let what = if value == 1 { "stop" } else { "start" };
            write!(f, "the kernel has refused to {what} inference")
        }
        Some(Kind::Stop) => write!(f, "{value} restarts within {} s", limit / 1_000_000),
        Some(Kind::Close) => write!(f, "{name}"),
        Some(Kind::Adapter) => write!(f, "{name}, {value} bytes, {}", origin(record.code)),
        Some(Kind::DropAdapter) => write!(f, "{name}, {}", origin(record.code)),
        Some(Kind::Tune) => write!(
            f,
            "{name}, {} bytes of data {}, rank {}, alpha {}, {} epochs, rate {}, {}, seed {}, at most {value} tokens",
            record.prompt_bytes,
            match record.code {
                2 => "typed",
                3 => "from the disk",
                _ => "from the store",
            },
            record.train.rank,
            f64::from(record.train.alpha) / 1e6,
            record.train.epochs,
            f64::from(record.train.rate) / 1e9,
            match record.train.targets {
                TARGETS_ATTENTION => "attention",
                TARGETS_ALL => "all matrices",
                _ => "unknown targets",
            },
            record.train.seed,
        ),
        Some(Kind::Tuned) => {
            let loss = limit as f64 / 1e6;
            let (tokens, steps) = (record.prompt_tokens, record.generated_tokens);
            write!(
                f,
                "{name}, {steps} steps, {tokens} tokens, loss {loss:.3}, "
            )?;
            match record.code {
                4 => f.write_str("cancelled"),
                _ => write!(f, "{value} bytes, SHA-256 {}", Hex(&record.adapter_sha256)),
            }
        }
        Some(Kind::Export) => {
            write!(
                f,
                "{name}, {value} bytes, SHA-256 {}",
                Hex(&record.adapter_sha256)
            )
        }
        Some(Kind::Save) if record.code != 0 => write!(f, "{name} was not written: {}", reason()),
        Some(Kind::Save) => {
            write!(
                f,
                "{name}, {value} bytes, SHA-256 {}",
                Hex(&record.adapter_sha256)
            )
        }
        Some(Kind::Example) if record.prompt_bytes == 0 => write!(f, "all forgotten"),
        Some(Kind::Example) => write!(f, "{} bytes, {value} bytes in all", record.prompt_bytes),
        Some(Kind::LogOpened) => {
            let found = match record.code {
                1 => return write!(f, "boot {count}, the disk had no entries yet"),
                2 => String::new(),
                3 => "; the last write had not been finished, and was dropped".to_owned(),
                _ => format!("; DAMAGED: what followed entry {limit} is missing or was changed"),
            };
            write!(f, "boot {count}, {value} entries{found}")
        }
        Some(Kind::LogLost) => {
            write!(f, "{}", reason())?;
            f.write_str(match count {
                0 => "; the log goes on in memory only",
                _ => "; nothing is admitted",
            })
        }
        Some(Kind::Usage) => write!(
            f,
            "{name} has used {value} tokens, {} s into a period of {} s",
            limit / 1_000_000,
            count / 1_000_000
        ),
        Some(Kind::Boot | Kind::Cancel | Kind::Reset | Kind::Halt) => Ok(()),
        None => write!(f, "kind {}", record.kind),
    }
}
