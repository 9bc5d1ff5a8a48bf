//! `policy.toml` as people write it. Values that can be invalid keep their position.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// Names in the order of the file, which is the order of the compiled policy.
pub(super) type Named<T> = BTreeMap<Spanned<String>, T>;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Document {
    /// Used by older policies in place of clients; must be absent.
    pub(super) default_user: Option<Spanned<String>>,
    pub(super) prompts: Spanned<Prompts>,
    pub(super) inference: Inference,
    pub(super) login: Login,
    pub(super) roles: Named<Role>,
    pub(super) users: Named<User>,
    #[serde(default)]
    pub(super) clients: Named<Client>,
    #[serde(default)]
    pub(super) keys: Named<Key>,
    #[serde(default)]
    pub(super) formats: Named<Format>,
    #[serde(default)]
    pub(super) tokens: Tokens,
    #[serde(default)]
    pub(super) fine_tuning: FineTuning,
    #[serde(default)]
    pub(super) device: Device,
    #[serde(default)]
    pub(super) log: Log,
}

/// The audit log on a disk, in a system that has one.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Log {
    #[serde(default)]
    pub(super) write: LogWrite,
    #[serde(default)]
    pub(super) on_failure: LogFailure,
}

/// When an entry must be on the disk.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LogWrite {
    /// Before anybody else is told of the event.
    #[default]
    Ahead,
    /// Within about a second.
    Behind,
}

/// What happens to requests if the log cannot be written.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum LogFailure {
    /// No request is admitted.
    #[default]
    Refuse,
    /// Requests go on, and the log continues in memory.
    GoOn,
}

/// A format of answers, given in one of these ways.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Format {
    pub(super) choices: Option<Spanned<Vec<String>>>,
    pub(super) regex: Option<Spanned<String>>,
    /// The path of a schema.
    pub(super) json_schema: Option<Spanned<String>>,
}

/// How texts are tokenized.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Tokens {
    /// Whether users' texts may become tokens that the model's vocabulary marks as user-defined.
    #[serde(default)]
    pub(super) user_defined: bool,
}

/// Fine-tuning on the device.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct FineTuning {
    pub(super) deadline: Option<Spanned<Duration>>,
}

/// The device itself.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Device {
    /// The PEM file of its secret key.
    pub(super) key: Option<Spanned<String>>,
}

/// What the log stores of prompts.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Prompts {
    /// The text.
    Text,
    /// Only the SHA-256.
    Hash,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Inference {
    pub(super) deadline: Spanned<Duration>,
    pub(super) stop_grace: Spanned<Duration>,
    /// In tokens.
    pub(super) context: Option<Spanned<u64>>,
    pub(super) restarts: Spanned<u64>,
    pub(super) restarts_within: Spanned<Duration>,
    pub(super) egress_bytes_per_second: Spanned<u64>,
    pub(super) egress_burst_bytes: Spanned<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Login {
    pub(super) delay: Spanned<Duration>,
    pub(super) longest_delay: Spanned<Duration>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Role {
    pub(super) may: Vec<Spanned<String>>,
    pub(super) max_tokens: Spanned<u64>,
    pub(super) max_sessions: Spanned<u64>,
    pub(super) log_bytes_per_hour: Spanned<u64>,
    /// Formats that answers may have; all if this is missing.
    pub(super) formats: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) must_use_format: Option<Spanned<bool>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct User {
    pub(super) role: Spanned<String>,
    pub(super) budget: Spanned<u64>,
    pub(super) period: Spanned<Duration>,
    pub(super) passphrase: Option<Spanned<String>>,
}

/// A client: its user, whether it may log in as others, its limits, and the formats of its answers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Client {
    pub(super) user: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) login: bool,
    pub(super) requests: Option<Spanned<u64>>,
    pub(super) sessions: Option<Spanned<u64>>,
    pub(super) commands: Option<Spanned<u64>>,
    /// As for a role.
    pub(super) formats: Option<Spanned<Vec<Spanned<String>>>>,
    pub(super) must_use_format: Option<Spanned<bool>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Key {
    pub(super) ed25519: Option<Spanned<String>>,
    pub(super) file: Option<Spanned<String>>,
}

/// A duration such as `30s`, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duration(pub(super) u64);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = |why: &dyn std::fmt::Display| {
            serde::de::Error::custom(format!(
                "\"{text}\" is no duration such as \"30s\", \"250ms\" or \"1h\": {why}"
            ))
        };
        let duration = humantime::parse_duration(&text).map_err(|error| wrong(&error))?;
        let us = u64::try_from(duration.as_micros()).map_err(|_| wrong(&"it is too long"))?;
        if us == 0 {
            return Err(wrong(&"it is shorter than a microsecond"));
        }
        Ok(Self(us))
    }
}

/// An error and its position in the text.
#[derive(Debug)]
pub(super) struct Flaw {
    pub(super) at: Range<usize>,
    pub(super) reason: String,
}

impl Flaw {
    pub(super) fn new<T>(at: &Spanned<T>, reason: impl Into<String>) -> Self {
        Self {
            at: at.span(),
            reason: reason.into(),
        }
    }

    /// Its line, from 1.
    pub(super) fn line(&self, text: &str) -> usize {
        let before = text.as_bytes().get(..self.at.start);
        let before = before.unwrap_or(text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// Reads the file's text.
pub(super) fn parse(text: &str) -> Result<Document, Flaw> {
    toml::from_str(text).map_err(|error| Flaw {
        at: error.span().unwrap_or_default(),
        // Some messages have several lines; an error here has one.
        reason: error.message().lines().collect::<Vec<_>>().join(", "),
    })
}
