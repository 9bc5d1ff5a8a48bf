//! The link to files: one question under way at a time, and what is believed of an answer.
//!
//! The rules: an answer is compared with the question before anybody else sees it; a question is asked once and ends once;
//! and nothing that files says or leaves out decides more than the fate of what was asked of it. Audit waits for no answer:
//! if none comes in time, or if too many are wrong, the link is given up for good, and everybody who asks is told why.

#![allow(dead_code, reason = "lists, loads and the log come next")]

use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_PATH_BYTES;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, Violation};
use protocol::wire::files::{Answer, Ask, FilesError, Volume};

/// The epoch of the rings with files. Files is not restarted, so there is no other.
const EPOCH: u32 = 1;

/// How long an answer may take, in microseconds (10 s), each file of a list included. A mount reads the whole table of the
/// file system to count what is free, which takes the longest: some seconds for a large card that is slow. Less would give
/// up an honest card; more would only keep a user waiting for a domain that has died.
pub(crate) const ANSWER_US: u64 = 10_000_000;

/// Wrong answers after which the link is given up. An honest files gives none; a few are allowed so that the log says more
/// than one of them.
pub(crate) const MAX_BREACHES: u32 = 8;

/// Most files that a list may have. Files lists no more than that itself (`storage::MAX_ENTRIES`); this is audit's own
/// bound, so that no list is endless.
pub(crate) const MAX_LISTED: u32 = 4096;

/// Who asks. Those named first are asked for first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The audit log, for which requests wait.
    Log,
    /// A list of files, and what must be known before anything else: the file system.
    List,
    /// A file that is read.
    Load,
    /// A file that is written.
    Write,
}

/// A question, without its bytes: what its answer is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Mount,
    /// Files that were listed so far.
    List {
        listed: u32,
    },
    Open,
    Read {
        offset: u64,
        bytes: usize,
    },
    OpenLog,
    ReadLog {
        slot: u32,
        bytes: usize,
    },
    /// What is answered with `Done`.
    Deed,
}

impl Question {
    const fn of(ask: &Ask<'_>) -> Self {
        match *ask {
            Ask::Mount => Self::Mount,
            Ask::List => Self::List { listed: 0 },
            Ask::Open { .. } => Self::Open,
            Ask::Read { offset, bytes } => Self::Read {
                offset,
                bytes: bytes as usize,
            },
            Ask::OpenLog => Self::OpenLog,
            Ask::ReadLog { slot, sectors } => Self::ReadLog {
                slot,
                bytes: (sectors as usize).saturating_mul(protocol::limits::SECTOR_BYTES),
            },
            Ask::Close
            | Ask::WriteLog { .. }
            | Ask::FlushLog
            | Ask::Create { .. }
            | Ask::Append { .. }
            | Ask::Finish => Self::Deed,
        }
    }

    /// Whether this is an answer to it.
    fn is_answered_by(self, answer: &Answer<'_>) -> bool {
        match (self, answer) {
            (_, Answer::Failed { .. })
            | (Self::Mount, Answer::Mounted(_))
            | (Self::Open, Answer::Opened { .. })
            | (Self::OpenLog, Answer::LogOpened { .. })
            | (Self::Deed, Answer::Done) => true,
            (Self::List { listed }, Answer::File { path, .. }) => {
                listed < MAX_LISTED && is_path(path)
            }
            (Self::List { listed }, Answer::Listed { count, .. }) => *count == listed,
            (
                Self::Read { offset, bytes },
                Answer::Part {
                    offset: at,
                    bytes: part,
                },
            ) => *at == offset && part.len() <= bytes,
            (Self::ReadLog { slot, bytes }, Answer::LogSectors { slot: first, data }) => {
                *first == slot && data.len() == bytes
            }
            _ => false,
        }
    }
}

/// Whether these bytes can be a file's path: text without what a terminal or a log would stumble over.
fn is_path(bytes: &[u8]) -> bool {
    let is_plain = |path: &str| !path.is_empty() && !path.chars().any(char::is_control);
    bytes.len() <= MAX_PATH_BYTES && core::str::from_utf8(bytes).is_ok_and(is_plain)
}

/// What is under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    owner: Owner,
    number: u32,
    question: Question,
    /// When the link is given up if nothing has come.
    until_us: u64,
}

/// What has come from files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard<'f> {
    /// Nothing.
    Nothing,
    /// A message that answers nothing that was asked.
    Noise,
    /// An answer, which is believed as far as its shape goes.
    Answer(Owner, Answer<'f>),
    /// The question will have no answer.
    Failed(Owner, Failure),
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Link<R, W> {
    ring: Endpoint<R, W>,
    /// What is sent.
    frame: Frame,
    pending: Option<Pending>,
    /// Number of the last question.
    number: u32,
    /// Why nothing is asked any more.
    given_up: Option<Failure>,
    /// The file system, as files has described it last.
    volume: Option<Volume>,
    breaches: u32,
    signal: bool,
}

impl<R: ReadWords, W: WriteWords> Link<R, W> {
    pub(crate) const fn new(ring: Endpoint<R, W>) -> Self {
        Self {
            ring,
            frame: Frame::new(),
            pending: None,
            number: 0,
            given_up: None,
            volume: None,
            breaches: 0,
            signal: false,
        }
    }

    /// Begins the only epoch.
    pub(crate) fn lead(&mut self) {
        self.ring.lead(EPOCH);
        // It may be waiting for that already.
        self.signal = true;
    }

    /// Asks, if no other question is under way; else false. What is asked ends with an answer or a failure, which
    /// [`Self::receive`] and [`Self::look`] give.
    ///
    /// # Errors
    /// The link was given up.
    pub(crate) fn ask(&mut self, owner: Owner, ask: &Ask<'_>, now: u64) -> Result<bool, Failure> {
        if let Some(failure) = self.given_up {
            return Err(failure);
        }
        if self.pending.is_some() {
            return Ok(false);
        }
        let number = self.number.wrapping_add(1).max(1);
        ask.write(number, &mut self.frame);
        // What files says of its reading is not believed; then there may be no room, and its silence is timed all the same.
        let sent = self.ring.send(&self.frame).is_ok();
        self.number = number;
        self.signal |= sent;
        self.pending = Some(Pending {
            owner,
            number,
            question: Question::of(ask),
            until_us: now.saturating_add(ANSWER_US),
        });
        if matches!(ask, Ask::Mount) {
            self.volume = None;
        }
        Ok(true)
    }

    /// The next message. A message that is no answer to what was asked ends the question.
    pub(crate) fn receive<'f>(&mut self, frame: &'f mut Frame, now: u64) -> Heard<'f> {
        let received = match self.given_up {
            // Nothing is believed any more, nor read.
            Some(_) => return Heard::Nothing,
            None => self.ring.receive(frame),
        };
        let answer = match received {
            Ok(false) => return Heard::Nothing,
            Ok(true) => self.judge(frame),
            Err(violation) => Err(Some(violation)),
        };
        let Some(pending) = &mut self.pending else {
            self.count_breach();
            return Heard::Noise;
        };
        let owner = pending.owner;
        let Ok(answer) = answer else {
            self.pending = None;
            self.count_breach();
            let breaches = u64::from(self.breaches);
            return Heard::Failed(owner, Failure::over(ErrorCode::FilesBreach, breaches, 0));
        };
        match answer {
            Answer::File { .. } => {
                if let Question::List { listed } = &mut pending.question {
                    *listed = listed.saturating_add(1);
                }
                pending.until_us = now.saturating_add(ANSWER_US);
                return Heard::Answer(owner, answer);
            }
            Answer::Failed { why, value } => {
                self.pending = None;
                return Heard::Failed(owner, failure(why, value));
            }
            Answer::Mounted(volume) => self.volume = Some(volume),
            _ => {}
        }
        self.pending = None;
        Heard::Answer(owner, answer)
    }

    /// What the frame says, if it is an answer to the question.
    fn judge<'f>(&self, frame: &'f Frame) -> Result<Answer<'f>, Option<Violation>> {
        let answer = Answer::parse(frame).map_err(|_| None)?;
        let number = frame.header().request;
        let is_asked = |pending: &Pending| {
            pending.number == number && pending.question.is_answered_by(&answer)
        };
        self.pending
            .as_ref()
            .filter(|pending| is_asked(pending))
            .map(|_| answer)
            .ok_or(None)
    }

    /// Gives the link up if the answer that is due has not come; whose question ends with that.
    pub(crate) fn look(&mut self, now: u64) -> Option<(Owner, Failure)> {
        let pending = self.pending?;
        let failure = match self.given_up {
            Some(failure) => failure,
            None if pending.until_us <= now => Failure::over(ErrorCode::FilesSilent, 0, ANSWER_US),
            None => return None,
        };
        self.given_up = Some(failure);
        self.pending = None;
        Some((pending.owner, failure))
    }

    fn count_breach(&mut self) {
        self.breaches = self.breaches.saturating_add(1);
        if self.breaches >= MAX_BREACHES {
            let (value, limit) = (u64::from(self.breaches), u64::from(MAX_BREACHES));
            self.given_up = Some(Failure::over(ErrorCode::FilesBreach, value, limit));
        }
    }

    /// When audit must look again if nothing has come.
    pub(crate) fn due_us(&self) -> Option<u64> {
        self.pending.map(|pending| pending.until_us)
    }

    /// Whose question is under way.
    #[cfg(test)]
    pub(crate) fn asks(&self) -> Option<Owner> {
        self.pending.map(|pending| pending.owner)
    }

    /// Why there is nothing to ask, if that is so.
    pub(crate) const fn failure(&self) -> Option<Failure> {
        self.given_up
    }

    /// The file system, if one was found. For people alone: files may say anything.
    pub(crate) const fn volume(&self) -> Option<&Volume> {
        self.volume.as_ref()
    }

    /// Messages that no honest files sends.
    pub(crate) const fn breaches(&self) -> u32 {
        self.breaches
    }

    /// Whether to signal files now.
    pub(crate) fn takes_signal(&mut self) -> bool {
        let owed = self.ring.take_owed_signal();
        core::mem::take(&mut self.signal) | owed
    }
}

/// What a user is told of why files has not done something.
const fn failure(why: FilesError, value: u64) -> Failure {
    let code = match why {
        FilesError::NoDisk => ErrorCode::NoDisk,
        FilesError::NoFileSystem => ErrorCode::NoFileSystem,
        FilesError::Damaged => ErrorCode::DiskDamaged,
        FilesError::NotFound => ErrorCode::NoSuchFile,
        FilesError::WrongKind | FilesError::BadPath => ErrorCode::BadPath,
        FilesError::Full | FilesError::TooLarge => ErrorCode::DiskFull,
        FilesError::ReadOnly => ErrorCode::DiskReadOnly,
        FilesError::Device => ErrorCode::DiskFailed,
        FilesError::Scattered => ErrorCode::LogScattered,
        FilesError::LogSize => ErrorCode::LogFileSize,
        FilesError::TooMany => ErrorCode::TooManyFiles,
        FilesError::NotOpen | FilesError::Range | FilesError::Unsupported => ErrorCode::FilesFailed,
    };
    Failure::over(code, value, 0)
}
