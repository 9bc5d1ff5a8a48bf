//! The link to files: the questions that are under way, and what is believed of an answer.
//!
//! Files does one thing at a time and answers in the order in which it was asked. Each owner has one question under way; a
//! load has several, so that files need not wait for audit between two parts of a file.
//!
//! The rules: an answer is compared with the oldest question before anybody else sees it; a question is asked once and ends
//! once; and nothing that files says or leaves out decides more than the fate of what was asked of it. Audit waits for no answer:
//! if none comes in time, or if too many are wrong, the link is given up for good, and everybody who asks is told why.

use crate::work::WORK_BYTES;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_TRANSFER_BYTES;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame};
use protocol::wire::files::{Answer, Ask, FilesError, is_path};

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

/// Questions of a load that are under way at once. Their answers are as many bytes as a wake-up may hash
/// ([`WORK_BYTES`]), so that no wake-up hashes more, whatever files says at once.
pub(crate) const LOADS: usize = WORK_BYTES / MAX_TRANSFER_BYTES;

/// Questions that are under way at once, of all owners.
const PENDING: usize = LOADS + 3;

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
    Save,
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

/// A question that is under way.
#[derive(Clone, Copy, Debug)]
struct Pending {
    /// `None`: nobody wants to hear of it any more.
    owner: Option<Owner>,
    number: u32,
    question: Question,
}

/// What has come from files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard<'f> {
    /// Nothing.
    Nothing,
    /// A message that nobody wants: it answers nothing that was asked, or what was forgotten.
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
    /// What is under way, oldest first.
    pending: heapless::Deque<Pending, PENDING>,
    /// When the link is given up if the oldest has no answer.
    until_us: u64,
    /// Number of the last question.
    number: u32,
    /// Why nothing is asked any more.
    given_up: Option<Failure>,
    breaches: u32,
    /// Of them, those that were taken.
    reported: u32,
    signal: bool,
}

impl<R: ReadWords, W: WriteWords> Link<R, W> {
    pub(crate) const fn new(ring: Endpoint<R, W>) -> Self {
        Self {
            ring,
            frame: Frame::new(),
            pending: heapless::Deque::new(),
            until_us: 0,
            number: 0,
            given_up: None,
            breaches: 0,
            reported: 0,
            signal: false,
        }
    }

    /// Begins the only epoch.
    pub(crate) fn lead(&mut self) {
        self.ring.lead(EPOCH);
        // It may be waiting for that already.
        self.signal = true;
    }

    /// Asks, if the owner has no other question under way, or a load no more than it may have; else false. What is asked
    /// ends with an answer or a failure, which [`Self::receive`] and [`Self::look`] give, unless the owner forgets it.
    ///
    /// # Errors
    /// The link was given up.
    pub(crate) fn ask(&mut self, owner: Owner, ask: &Ask<'_>, now: u64) -> Result<bool, Failure> {
        if let Some(failure) = self.given_up {
            return Err(failure);
        }
        let own = self.pending.iter().filter(|it| it.owner == Some(owner));
        let own = own.fold(0usize, |count, _| count.saturating_add(1));
        let most = match owner {
            Owner::Load => LOADS,
            Owner::Log | Owner::List | Owner::Save => 1,
        };
        if own >= most || self.pending.is_full() {
            return Ok(false);
        }
        let number = self.number.wrapping_add(1).max(1);
        ask.write(number, &mut self.frame);
        // What files says of its reading is not believed; then there may be no room, and its silence is timed all the same.
        let sent = self.ring.send(&self.frame).is_ok();
        self.number = number;
        self.signal |= sent;
        if self.pending.is_empty() {
            self.until_us = now.saturating_add(ANSWER_US);
        }
        // There is room.
        let _ = self.pending.push_back(Pending {
            owner: Some(owner),
            number,
            question: Question::of(ask),
        });
        Ok(true)
    }

    /// An owner does not want to hear of what it has asked.
    pub(crate) fn forget(&mut self, owner: Owner) {
        for pending in self.pending.iter_mut() {
            pending.owner = pending.owner.filter(|of| *of != owner);
        }
    }

    /// The next message. A message that is no answer to what was asked ends the oldest question.
    pub(crate) fn receive<'f>(&mut self, frame: &'f mut Frame, now: u64) -> Heard<'f> {
        let received = match self.given_up {
            // Nothing is believed any more, nor read.
            Some(_) => return Heard::Nothing,
            None => self.ring.receive(frame),
        };
        let frame = &*frame;
        let is_sound = match received {
            Ok(false) => return Heard::Nothing,
            Ok(true) => true,
            Err(_) => false,
        };
        let number = frame.header().request;
        let is_older = |asked: u32| (1..=u32::MAX / 2).contains(&asked.wrapping_sub(number));
        let Some(pending) = self.pending.front_mut() else {
            self.count_breach();
            return Heard::Noise;
        };
        if is_sound && is_older(pending.number) {
            // Of a question that has ended with a breach: the one that is under way is not to blame.
            self.count_breach();
            return Heard::Noise;
        }
        let owner = pending.owner;
        let answer = Answer::parse(frame).ok().filter(|answer| {
            is_sound && pending.number == number && pending.question.is_answered_by(answer)
        });
        if let (Some(Answer::File { .. }), Question::List { listed }) =
            (answer, &mut pending.question)
        {
            *listed = listed.saturating_add(1);
        } else {
            self.pending.pop_front();
        }
        self.until_us = now.saturating_add(ANSWER_US);
        let Some(answer) = answer else {
            self.count_breach();
            let failure = Failure::over(ErrorCode::FilesBreach, u64::from(self.breaches), 0);
            return owner.map_or(Heard::Noise, |owner| Heard::Failed(owner, failure));
        };
        match (owner, answer) {
            (None, _) => Heard::Noise,
            (Some(owner), Answer::Failed { why, value }) => {
                Heard::Failed(owner, failure(why, value))
            }
            (Some(owner), answer) => Heard::Answer(owner, answer),
        }
    }

    /// Gives the link up if the answer that is due has not come. The questions that end with that are given one at a time.
    pub(crate) fn look(&mut self, now: u64) -> Option<(Owner, Failure)> {
        self.pending.front()?;
        let failure = match self.given_up {
            Some(failure) => failure,
            None if self.until_us <= now => Failure::over(ErrorCode::FilesSilent, 0, ANSWER_US),
            None => return None,
        };
        self.given_up = Some(failure);
        while let Some(pending) = self.pending.pop_front() {
            if let Some(owner) = pending.owner {
                return Some((owner, failure));
            }
        }
        None
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
        self.pending.front().map(|_| self.until_us)
    }

    /// Whose the oldest question is.
    #[cfg(test)]
    pub(crate) fn asks(&self) -> Option<Owner> {
        self.pending.front().and_then(|pending| pending.owner)
    }

    /// Questions that are under way.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.pending.len()
    }

    /// Why there is nothing to ask, if that is so.
    pub(crate) const fn failure(&self) -> Option<Failure> {
        self.given_up
    }

    /// Messages that no honest files sends, since the last call.
    pub(crate) const fn take_breaches(&mut self) -> u32 {
        let new = self.breaches.saturating_sub(self.reported);
        self.reported = self.breaches;
        new
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
