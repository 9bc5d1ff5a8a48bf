//! Why something was refused or failed, and what to do about it.

use super::{Count, Seconds, Time, Untrusted};
use core::fmt::{self, Display, Formatter};
use protocol::decimal::{Billionths, Millionths};
use protocol::error::{ErrorCode, Failure};
use protocol::on_disk;
use protocol::policy::Permission;
use protocol::store::LOG_FILE;

/// A failure, with its value and limit.
pub(crate) struct FailureText<'a> {
    pub(crate) failure: Failure,
    pub(crate) detail: &'a [u8],
}

/// Why the log on the disk cannot be written. It is about the log's own file, which is always the same.
pub(super) struct LossOfLog(pub(super) Failure);

impl Display for LossOfLog {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let make = "make a disk that has one with 'llmtool disk create'";
        match self.0.code {
            ErrorCode::NoSuchFile => write!(f, "the disk has no file '{LOG_FILE}'; {make}"),
            ErrorCode::BadPath => {
                write!(
                    f,
                    "'{LOG_FILE}' on the disk is a folder, not a file; {make}"
                )
            }
            _ => FailureText {
                failure: self.0,
                detail: &[],
            }
            .fmt(f),
        }
    }
}

impl Display for FailureText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Failure { code, value, limit } = self.failure;
        let detail = Untrusted(self.detail);
        let (fraction, largest) = (Millionths(value), Millionths(limit));
        let (values, limits) = (|what| Count(value, what), |what| Count(limit, what));
        match code {
            ErrorCode::EmptyPrompt => write!(f, "the prompt is empty"),
            ErrorCode::PromptBytes => write!(
                f,
                "the prompt has {}, at most {limit} are allowed",
                values("byte")
            ),
            ErrorCode::PromptTokens => write!(
                f,
                "the prompt has {}, the model's context has room for {limit}",
                values("token")
            ),
            ErrorCode::PromptNotUtf8 => write!(f, "the prompt is not UTF-8 at byte {value}"),
            ErrorCode::MaxTokens => write!(
                f,
                "--max-tokens {value} is out of range, 1 to {limit} are allowed"
            ),
            ErrorCode::Temperature => write!(
                f,
                "--temperature {fraction} is out of range, 0 to {largest} are allowed"
            ),
            ErrorCode::TopK => write!(
                f,
                "--top-k {value} is out of range, 0 to {limit} are allowed"
            ),
            ErrorCode::TopP => write!(
                f,
                "--top-p {fraction} is out of range, 0 to {largest} are allowed"
            ),
            ErrorCode::MinP => write!(
                f,
                "--min-p {fraction} is out of range, 0 to {largest} are allowed"
            ),
            ErrorCode::RepeatPenalty => write!(
                f,
                "--repeat-penalty {fraction} is out of range, 1 to {largest} are allowed"
            ),
            ErrorCode::TooManyRequests => write!(
                f,
                "{} are under way, which is the limit; wait for one, or cancel one (see 'llmctl jobs')",
                limits("request")
            ),
            ErrorCode::Busy => write!(
                f,
                "inference is busy (places taken: {value} of {limit}); try again later"
            ),
            ErrorCode::NoSuchRequest => write!(f, "no such request is active"),
            ErrorCode::SessionBusy => write!(
                f,
                "the session has a request under way; wait for it or cancel it (see 'llmctl jobs')"
            ),
            ErrorCode::SessionEvicted => write!(
                f,
                "the session was evicted to make room for others: its conversation of {} is gone; the same \
                 command now starts it anew",
                Count(value, "turn")
            ),
            ErrorCode::SessionLost => write!(
                f,
                "the session ended when inference was restarted or loaded another model, or when a turn failed: its \
                 conversation of {} is gone; the same command now starts it anew",
                Count(value, "turn")
            ),
            ErrorCode::TooManySessions => write!(
                f,
                "you have {} at once, {limit} are allowed: a request without a session counts as one, too. Wait for a job or \
                 cancel it ('llmctl jobs'), or end a session with 'llmctl close NAME' ('llmctl sessions')",
                Count(value, "session")
            ),
            ErrorCode::NoSuchSession => {
                write!(f, "you have no session")?;
                quoted(f, &detail, self.detail)?;
                write!(f, "; see 'llmctl sessions'")
            }
            ErrorCode::BadName => {
                write!(f, "the name")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    " contains invalid characters: use visible ASCII without quotes and backslashes"
                )
            }
            ErrorCode::LogLost => {
                write!(
                    f,
                    "nothing is admitted, because the audit log cannot be written to the disk"
                )?;
                let why = u16::try_from(value).ok().and_then(ErrorCode::from_u16);
                match why.filter(|why| *why != ErrorCode::LogLost) {
                    Some(why) => write!(f, ": {}", LossOfLog(Failure::over(why, limit, 0))),
                    None => Ok(()),
                }
            }
            ErrorCode::LogGarbage => write!(
                f,
                "AUDIT.LOG contains something that is not a log; a new one must be all zeros (see 'llmtool disk')"
            ),
            ErrorCode::LogOtherDevice => write!(
                f,
                "the log on the disk belongs to another device, so this one does not write to it; use a disk of its own \
                 ('llmtool disk create')"
            ),
            ErrorCode::LogOtherSize => write!(
                f,
                "the log in AUDIT.LOG was begun in a file of another size, of {}",
                Count(value, "sector")
            ),
            ErrorCode::LogBehind => {
                write!(f, "log entries came faster than the disk can take them")
            }
            ErrorCode::NoModel => write!(
                f,
                "no model is loaded; see 'llmctl models', then 'llmctl load NAME'"
            ),
            ErrorCode::NoSuchModel => {
                write!(f, "no model")?;
                quoted(f, &detail, self.detail)?;
                write!(f, " in the store; see 'llmctl models'")
            }
            ErrorCode::NameLength => {
                write!(
                    f,
                    "the name has {}, 1 to {limit} are allowed",
                    values("byte")
                )
            }
            ErrorCode::BadModel => {
                write!(
                    f,
                    "the model file ({}) is damaged: {detail}",
                    values("byte")
                )
            }
            ErrorCode::UnsupportedModel if self.detail.is_empty() => write!(
                f,
                "the model has no token for the byte {value:#04x} of the prompt"
            ),
            ErrorCode::UnsupportedModel => write!(f, "the model is not supported: {detail}"),
            ErrorCode::ModelTooLarge => write!(
                f,
                "the model needs {}, the arena has {limit} ({detail})",
                values("byte")
            ),
            ErrorCode::BadStore => write!(
                f,
                "the model store ({}) is not a tar archive; see 'llmtool pack'",
                values("byte")
            ),
            ErrorCode::ModelInUse => write!(
                f,
                "a generation is using the loaded model, or another is being loaded; wait for it or cancel it"
            ),
            ErrorCode::Unsigned => {
                write!(f, "the file")?;
                quoted(f, &detail, self.detail)?;
                write!(f, " has no signature; sign it with 'llmtool sign'")
            }
            ErrorCode::BadSignature => {
                write!(f, "the signature of the file")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    " is by no key that the policy trusts, or the file was changed after it was signed; copy it again \
                     from its source, or sign it with a key that the policy trusts ('llmtool sign')"
                )
            }
            ErrorCode::ContextFull => write!(
                f,
                "the context of {} has no room for {value}; use a shorter prompt, or start another session",
                limits("token")
            ),
            ErrorCode::NonFinite => write!(
                f,
                "a value in the computation was not finite; the request is lost"
            ),
            ErrorCode::CacheFull => write!(
                f,
                "the KV cache has {} free, {value} are needed; wait, or ask for fewer tokens",
                limits("position")
            ),
            ErrorCode::Deadline => write!(
                f,
                "it took {} s, {} s are allowed; ask for fewer tokens",
                Seconds(value),
                Seconds(limit)
            ),
            ErrorCode::InferenceFault => write!(f, "inference crashed while handling the request"),
            ErrorCode::ProtocolViolation => {
                write!(f, "inference broke the protocol while handling the request")
            }
            ErrorCode::Unresponsive => {
                write!(f, "inference did not answer in time and was stopped")
            }
            ErrorCode::Unsupported => write!(f, "the request is not supported"),
            ErrorCode::RestartsExhausted => write!(
                f,
                "inference was restarted {} within {}, so audit has stopped trying; a user with the permission \
                 'reset' can try again with 'llmctl reset'",
                values("time"),
                Time(limit)
            ),
            ErrorCode::ControlRefused => {
                let what = if value == 1 { "stop" } else { "start" };
                write!(
                    f,
                    "the kernel has refused to {what} inference, so audit no longer listens to it; the image was built \
                     wrongly: build it again, and check it with 'make isolation'"
                )
            }
            ErrorCode::NotPermitted => {
                write!(f, "you need the permission ")?;
                match Permission::from_bit(value) {
                    Some(permission) => write!(f, "'{}'", permission.as_str())?,
                    None => write!(f, "{value:#x}")?,
                }
                write!(f, ", which the role of ")?;
                match self.detail {
                    [] => write!(f, "your user")?,
                    _ => write!(f, "'{detail}'")?,
                }
                write!(
                    f,
                    " does not have; log in as a user who has it with 'login USER'"
                )
            }
            ErrorCode::QuotaExceeded => write!(
                f,
                "{} may be needed, your budget has {limit} left in this period; see 'llmctl budget'",
                values("token")
            ),
            ErrorCode::LoginFailed => {
                write!(f, "user or passphrase is wrong")?;
                match value {
                    0 => Ok(()),
                    _ => write!(f, "; try again in {}", Time(value)),
                }
            }
            ErrorCode::LoginDelayed => write!(
                f,
                "a passphrase was tried here a moment ago; try again in {}",
                Time(value)
            ),
            ErrorCode::NoSuchUser => {
                write!(f, "the policy has no user")?;
                quoted(f, &detail, self.detail)
            }
            ErrorCode::BadPolicy => write!(
                f,
                "the policy is invalid (reason {value}), so nobody may do anything; check it with 'llmtool policy' \
                 and rebuild the image"
            ),
            ErrorCode::BudgetTokens => write!(
                f,
                "--tokens {value} is out of range, 0 to {limit} are allowed"
            ),
            ErrorCode::BudgetPeriod => write!(
                f,
                "--period {} s is out of range, 1 s to {} are allowed",
                Seconds(value),
                Time(limit)
            ),
            ErrorCode::PassphraseLength => write!(
                f,
                "the passphrase has {}, at most {limit} are allowed",
                values("byte")
            ),
            ErrorCode::PassphraseNeeded => {
                write!(f, "a passphrase is needed; log in with 'login USER'")
            }
            ErrorCode::Cancelled => write!(f, "it was cancelled before it was done"),
            ErrorCode::LogShare => write!(
                f,
                "your entries have used up your share of the audit log: {} may be needed, {limit} are left; \
                 it fills up again within an hour (log-bytes-per-hour in policy.toml)",
                values("byte")
            ),
            ErrorCode::UnknownClient => write!(
                f,
                "audit does not know this client: name its domain under [clients] in policy.toml"
            ),
            ErrorCode::ClientsUser => write!(
                f,
                "that user belongs to another client, so nobody can log in as it (see [clients] in policy.toml)"
            ),
            ErrorCode::NoSuchAdapter => {
                write!(f, "no adapter")?;
                quoted(f, &detail, self.detail)?;
                write!(f, "; see 'llmctl adapters'")
            }
            ErrorCode::NoSuchData => {
                write!(f, "no data")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    " in the store; 'llmtool pack' puts data there, and 'examples' are those typed here"
                )
            }
            ErrorCode::AdapterNotLoaded => {
                write!(f, "the adapter")?;
                quoted(f, &detail, self.detail)?;
                write!(f, " is not loaded; load it with 'llmctl adapter load NAME'")
            }
            ErrorCode::OtherAdapter => write!(
                f,
                "the session began with another adapter or with none; name that one, or begin another session"
            ),
            ErrorCode::TooManyAdapters => write!(
                f,
                "there are {}, which is the limit; drop one with 'llmctl adapter drop NAME'",
                limits("adapter")
            ),
            ErrorCode::AdapterExists => write!(
                f,
                "an adapter has this name already; give another with --adapter NAME, or drop that one"
            ),
            ErrorCode::AdapterInUse => write!(
                f,
                "the adapter is in use by {} under way; wait or cancel (see 'llmctl jobs')",
                values("request")
            ),
            ErrorCode::BadAdapter => {
                write!(
                    f,
                    "the adapter cannot be used with the loaded model: {detail}"
                )
            }
            ErrorCode::AdapterTooLarge => write!(
                f,
                "model and adapters need {}, the arena has {limit}; drop an adapter, or give it a larger arena",
                values("byte")
            ),
            ErrorCode::OtherBase => write!(
                f,
                "the adapter was made for another model; load that one first (see 'llmctl adapters' and 'llmctl models')"
            ),
            ErrorCode::AdapterRoom => write!(
                f,
                "the adapter would have {}, there is room for {limit}: use a smaller rank, or drop one \
                 with 'llmctl adapter drop NAME'",
                values("byte")
            ),
            ErrorCode::NotOfDevice => write!(
                f,
                "the adapter is in the store or on the disk already; what can be exported is an adapter that was made since \
                 boot ('llmtool disk get' copies one from the disk)"
            ),
            ErrorCode::NoDeviceKey => write!(
                f,
                "this device has no key to sign adapters with; give the policy one ([device] in policy.toml, 'llmtool \
                 keygen --device')"
            ),
            ErrorCode::Training => write!(
                f,
                "a fine-tuning is under way: until it ends, models and adapters cannot change, and if memory is \
                 short, requests for text are refused; wait for it (see 'llmctl status')"
            ),
            ErrorCode::TrainAlone => write!(
                f,
                "the fine-tuning fits in memory only without requests for text, and {value} are under way; wait \
                 for them or cancel them (see 'llmctl jobs')"
            ),
            ErrorCode::TrainMemory => {
                write!(
                    f,
                    "the fine-tuning needs {}, {limit} are free",
                    values("byte")
                )?;
                match self.detail {
                    [] => Ok(()),
                    _ => write!(f, ": {detail}"),
                }
            }
            ErrorCode::TrainRank => write!(
                f,
                "--rank {value} is out of range, 1 to {limit} are allowed"
            ),
            ErrorCode::TrainAlpha => write!(
                f,
                "--alpha {fraction} is out of range, more than 0 and at most {largest} are allowed"
            ),
            ErrorCode::TrainEpochs => write!(
                f,
                "--epochs {value} is out of range, 1 to {limit} are allowed"
            ),
            ErrorCode::TrainRate => write!(
                f,
                "--rate {} is out of range, more than 0 and at most {} are allowed",
                rate(value),
                rate(limit)
            ),
            ErrorCode::TrainTargets => write!(
                f,
                "--targets {value} is invalid; 'attention' and 'all' are allowed"
            ),
            ErrorCode::BadData => match self.detail {
                [] => write!(f, "line {value} of the data is not a valid example"),
                _ => write!(f, "the data cannot be used: {detail}"),
            },
            ErrorCode::EmptyData => {
                write!(f, "the data")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    " contains no examples; 'llmfinetune --example' adds one to 'examples'"
                )
            }
            ErrorCode::DataTooLong => write!(
                f,
                "{} of data, at most {limit} are allowed; use fewer or shorter examples",
                values("byte")
            ),
            ErrorCode::DataContext => {
                write!(
                    f,
                    "an example has {}, the model's context {limit}; make it shorter",
                    values("token")
                )?;
                match self.detail {
                    [] => Ok(()),
                    _ => write!(f, " ({detail})"),
                }
            }
            ErrorCode::ExampleBytes => write!(
                f,
                "the example has {} as a line of JSON, 1 to {limit} are allowed",
                values("byte")
            ),
            ErrorCode::BadExample => write!(
                f,
                "the example is not one line of UTF-8: look at byte {value}"
            ),
            ErrorCode::ExamplesFull => write!(
                f,
                "the examples would have {} with this one, {limit} are allowed; train on them, then drop them with \
                 'llmfinetune --drop-examples'",
                values("byte")
            ),
            ErrorCode::UnknownFormat => {
                write!(f, "no format")?;
                quoted(f, &detail, self.detail)?;
                write!(f, " in the policy; see 'llmctl formats'")
            }
            ErrorCode::FormatNotAllowed => {
                write!(f, "the policy does not allow you the format")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    ", or choices of your own; 'llmctl formats' says which it allows"
                )
            }
            ErrorCode::FormatNeeded => write!(
                f,
                "the policy allows you only answers with a format; give one with --format NAME (see 'llmctl formats')"
            ),
            ErrorCode::FormatAndStops => write!(
                f,
                "a format or choices already determine where an answer ends, so --stop cannot be used with them"
            ),
            ErrorCode::FormatAndChoices => write!(
                f,
                "--choices cannot be used with --format: an answer has one or the other"
            ),
            ErrorCode::FormatNotSpelled => {
                write!(f, "the loaded model has no tokens for ")?;
                form(f, &detail, self.detail)?;
                write!(f, "; load another model, or use another format")
            }
            ErrorCode::FormatTooLong => {
                match self.detail {
                    [] => write!(f, "none of the choices")?,
                    _ => write!(f, "no answer of the format '{detail}'")?,
                }
                write!(f, " can be completed with {}", limits("token"))?;
                if value > 0 {
                    write!(f, ", {value} are needed")?;
                }
                write!(f, "; raise --max-tokens")
            }
            ErrorCode::FormatBreach => {
                write!(f, "inference violated ")?;
                form(f, &detail, self.detail)?;
                write!(
                    f,
                    ", so it was stopped and is being restarted; the answer so far is incomplete: ask again"
                )
            }
            ErrorCode::StopBreach => write!(
                f,
                "inference continued past a stop string, so it was stopped and is being restarted; the answer so \
                 far is incomplete: ask again"
            ),
            ErrorCode::NoTemplate => {
                write!(f, "the model")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    " has no chat template, so it cannot hold a conversation or use --system; 'llminfer \"TEXT\"' has it \
                     complete a text, and 'llmctl models' lists others"
                )
            }
            ErrorCode::NoSystem => write!(
                f,
                "the model's chat template takes no system text; say it as part of your prompt, without --system"
            ),
            ErrorCode::Segments => write!(
                f,
                "the conversation has {}, at most {limit} are allowed; give the older ones as turns of a \
                 session",
                values("segment")
            ),
            ErrorCode::SegmentRole => write!(
                f,
                "the session has begun, and a system text can only come before its first turn; go on without --system, or \
                 begin another session (segment {value} has the wrong role)"
            ),
            ErrorCode::SegmentText => {
                write!(
                    f,
                    "the model's chat template cannot represent the text of segment {value}"
                )?;
                match self.detail {
                    [] => write!(f, "; change it"),
                    _ => write!(f, ": {detail}"),
                }
            }
            ErrorCode::StopStrings => {
                write!(
                    f,
                    "{}, at most {limit} are allowed; leave some out",
                    values("stop string")
                )
            }
            ErrorCode::StopBytes => write!(
                f,
                "a stop string (--stop) has {}, 1 to {limit} are allowed",
                values("byte")
            ),
            ErrorCode::Choices => write!(
                f,
                "{}, at most {limit} are allowed; leave some out",
                values("choice")
            ),
            ErrorCode::ChoicesBytes => write!(
                f,
                "the choices have {} together, counting one between each two; at most {limit} are allowed",
                values("byte")
            ),
            ErrorCode::ChoiceEmpty => write!(
                f,
                "choice {value} is empty; --choices takes answers with commas between them, in quotes if there are \
                 spaces: \"yes,no\""
            ),
            ErrorCode::ChoiceTwice => write!(f, "choice {value} is a duplicate; leave it out"),
            ErrorCode::ChoiceLineFeed => {
                write!(f, "choice {value} has a line feed, which is not allowed")
            }
            ErrorCode::NoDisk => write!(
                f,
                "there is no disk; 'make run SYSTEM=disk' has one, and makes its image with 'llmtool disk create' if there \
                 is none"
            ),
            ErrorCode::NoFileSystem => {
                write!(f, "the disk has no file system that can be read")?;
                if value > 0 {
                    write!(f, " (it has {})", values("sector"))?;
                }
                write!(
                    f,
                    "; format it as FAT (not exFAT or NTFS), or make an image with 'llmtool disk create'"
                )
            }
            ErrorCode::DiskDamaged => {
                write!(f, "the disk's file system is damaged")?;
                // 0 means that the place is unknown.
                if value > 0 {
                    write!(f, " (at {value})")?;
                }
                write!(f, "; check it with 'llmtool disk check' or 'fsck.fat'")
            }
            ErrorCode::DiskFailed => write!(
                f,
                "the disk reports an error at sector {value}; try again, and replace the card if it comes back"
            ),
            ErrorCode::NoSuchFile => {
                write!(f, "the disk has no file")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    "; 'llmctl models' and 'llmctl adapters' list the ones that exist"
                )
            }
            ErrorCode::BadPath => {
                write!(f, "no file can have the name")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    ", or it is a folder; 'llmctl models' and 'llmctl adapters' list the files"
                )
            }
            ErrorCode::DiskFull => write!(f, "the disk is full; delete files on another computer"),
            ErrorCode::DiskReadOnly => write!(
                f,
                "the disk cannot be written; is its switch on 'lock', or its image read-only?"
            ),
            ErrorCode::TooManyFiles => write!(
                f,
                "the disk has more files and folders than the {value} that are listed; delete some"
            ),
            ErrorCode::FilesFailed => write!(
                f,
                "the domain 'files' cannot do what it was asked to do ({value}); see 'llmtool disk check'"
            ),
            ErrorCode::FilesSilent => {
                write!(f, "the domain 'files' has not answered ")?;
                match limit {
                    0 => write!(f, "in time")?,
                    _ => write!(f, "for {} s", Seconds(limit))?,
                }
                write!(f, ", so the disk is not used any more until the next boot")
            }
            ErrorCode::FilesBreach => {
                write!(
                    f,
                    "the domain 'files' has sent answers to questions that were not asked, {} so far",
                    values("time")
                )?;
                match limit {
                    0 => write!(f, "; try again"),
                    _ => write!(f, ", so the disk is not used any more until the next boot"),
                }
            }
            ErrorCode::FileTooLarge => {
                write!(f, "the file")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    " has {}, and there is room for {limit}; give it a larger slot in systems/disk/system.xml",
                    values("byte")
                )
            }
            ErrorCode::FileChanged => {
                write!(f, "the file")?;
                quoted(f, &detail, self.detail)?;
                write!(
                    f,
                    " had {} when it was opened and {value} when it was read; nothing was loaded, try again",
                    limits("byte")
                )
            }
            ErrorCode::FilesSkipped => {
                let files = Count(value, "file");
                write!(
                    f,
                    "{files} of the disk cannot be shown; give files names of up to {} bytes of ASCII without blanks and \
                     quotes, folders included",
                    on_disk::MAX_NAME_BYTES
                )
            }
            ErrorCode::LogScattered => write!(
                f,
                "the audit log's file is in several pieces; recreate it with 'llmtool disk create'"
            ),
            ErrorCode::LogFileSize => write!(
                f,
                "the audit log's file has {}, which is not a valid size; recreate it with 'llmtool disk create'",
                values("byte")
            ),
            ErrorCode::NoLogin => write!(
                f,
                "this client always runs as one user; 'login = true' under [clients] in policy.toml lets it log in"
            ),
        }
    }
}

/// A learning rate. Its limit and every rate on the wire fit in 32 bits.
fn rate(billionths: u64) -> Billionths {
    Billionths(u32::try_from(billionths).unwrap_or(u32::MAX))
}

/// The form of an answer: a named format, or the choices in the request.
fn form(f: &mut Formatter<'_>, format: &Untrusted<'_>, bytes: &[u8]) -> fmt::Result {
    match bytes {
        [] => f.write_str("the choices"),
        _ => write!(f, "the format '{format}'"),
    }
}

/// Whether a failure is about the format in the request.
pub(crate) const fn names_format(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnknownFormat
            | ErrorCode::FormatNotAllowed
            | ErrorCode::FormatNotSpelled
            | ErrorCode::FormatTooLong
            | ErrorCode::FormatBreach
    )
}

/// ` 'detail'`, or nothing.
fn quoted(f: &mut Formatter<'_>, detail: &Untrusted<'_>, bytes: &[u8]) -> fmt::Result {
    if bytes.is_empty() {
        Ok(())
    } else {
        write!(f, " '{detail}'")
    }
}

#[cfg(test)]
mod tests;
