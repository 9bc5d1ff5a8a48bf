//! The link to files: the questions that are under way, and how far an answer is believed.
//!
//! Files does one thing at a time and answers in order. Each owner has one question under way; a load has several, so
//! files need not wait for audit between two parts of a file.
//!
//! The rules: an answer is compared with the oldest question before anyone else sees it. A question is asked once and
//! ends once. Whatever files says or leaves out decides only the fate of the question. Audit waits for no answer: if
//! one does not arrive in time, or too many are wrong, the link is given up for good, and everyone who asks is told
//! why.

use crate::work::WORK_BYTES;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_TRANSFER_BYTES;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Endpoint, Frame, SLOTS};
use protocol::wire::files::{Answer, Ask, FilesError, is_path};

/// The only epoch of the rings with files, because files is never restarted.
const EPOCH: u32 = 1;

/// How long an answer may take, in microseconds (10 s), including each file of a list. A mount takes the longest: it
/// reads the whole file allocation table to count the free clusters, which takes some seconds for a large, slow card. A
/// shorter time would give up a working card; a longer one would only keep users waiting for a domain that has died.
pub(crate) const ANSWER_US: u64 = 10_000_000;

/// Wrong answers after which the link is given up. An honest files domain gives none. A few are allowed so that the log
/// shows more than one.
pub(crate) const MAX_BREACHES: u32 = 8;

/// Limit of files in a list. Files itself lists no more (`storage::MAX_ENTRIES`); this is audit's own bound, so no list
/// is endless.
pub(crate) const MAX_LISTED: u32 = 4096;

/// Owners that have one question under way each, all but [`Owner::Load`].
const OTHERS: usize = 3;

/// Questions of a load under way at once: more than a wake-up may hash, so files reads the next parts of a file while
/// audit hashes the last ones. All but a quarter of the ring, which is more than the other owners need.
pub(crate) const LOADS: usize = SLOTS - SLOTS / 4;

/// Limit of questions under way at once, over all owners.
const PENDING: usize = LOADS + OTHERS;

const _: () = assert!(PENDING <= SLOTS);
const _: () = assert!(LOADS * MAX_TRANSFER_BYTES > WORK_BYTES);

/// Who asks. Earlier variants take precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Owner {
    /// The audit log, because requests wait for it.
    Log,
    /// A list of files, and the mount, which must come before anything else.
    List,
    /// A file being read.
    Load,
    /// A file being written.
    Save,
}

/// A question without its bytes, to compare its answer with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Mount,
    /// Number of files listed so far.
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
    /// An operation that is answered with `Done`.
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

    /// Whether this answers the question.
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
    /// `None` if nobody wants the answer any more.
    owner: Option<Owner>,
    number: u32,
    question: Question,
}

/// What has come from files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard<'f> {
    /// Nothing.
    Nothing,
    /// A message to ignore: it answers no question, or a question that was forgotten.
    Noise,
    /// An answer of the right shape; its content is not checked here.
    Answer(Owner, Answer<'f>),
    /// The question failed.
    Failed(Owner, Failure),
}

/// The link to files; see the module.
#[derive(Debug)]
pub(crate) struct Link<R, W> {
    ring: Endpoint<R, W>,
    /// The message being sent.
    frame: Frame,
    /// Questions under way, oldest first.
    pending: heapless::Deque<Pending, PENDING>,
    /// When the link is given up if the oldest question has no answer.
    until_us: u64,
    /// Number of the last question.
    number: u32,
    /// Why no more questions are asked, if the link was given up.
    given_up: Option<Failure>,
    breaches: u32,
    /// Breaches already returned by [`Self::take_breaches`].
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

    /// Starts the only epoch.
    pub(crate) fn lead(&mut self) {
        self.ring.lead(EPOCH);
        // Files may already be waiting for this.
        self.signal = true;
    }

    /// Asks a question. Returns false if the owner already has one under way, or a load its maximum. Unless the owner
    /// forgets it, the question ends with an answer or a failure, from [`Self::receive`] or [`Self::look`].
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
        // What files says about its reading is not trusted, so the ring may be full. The missing answer is timed all
        // the same.
        let sent = self.ring.send(&self.frame).is_ok();
        self.number = number;
        self.signal |= sent;
        if self.pending.is_empty() {
            self.until_us = now.saturating_add(ANSWER_US);
        }
        // There is room, as checked above.
        let _ = self.pending.push_back(Pending {
            owner: Some(owner),
            number,
            question: Question::of(ask),
        });
        Ok(true)
    }

    /// Drops an owner's questions: their answers are no longer wanted.
    pub(crate) fn forget(&mut self, owner: Owner) {
        for pending in self.pending.iter_mut() {
            pending.owner = pending.owner.filter(|of| *of != owner);
        }
    }

    /// The next message. One that answers none of the questions ends the oldest question.
    pub(crate) fn receive<'f>(&mut self, frame: &'f mut Frame, now: u64) -> Heard<'f> {
        let received = match self.given_up {
            // After the link is given up, nothing more is read.
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
            // It answers a question that a breach has ended, so the question under way is not to blame.
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

    /// Whether the next message, if it is what the oldest question expects, is a part of a file that is being loaded.
    pub(crate) fn next_is_part(&self) -> bool {
        self.pending.front().is_some_and(|pending| {
            pending.owner == Some(Owner::Load) && matches!(pending.question, Question::Read { .. })
        })
    }

    /// Whether a message is waiting.
    pub(crate) fn has_message(&self) -> bool {
        self.given_up.is_none() && self.ring.has_message()
    }

    /// Gives up the link if an answer is overdue. The questions that this ends are returned one per call.
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

    /// When audit must look again if nothing arrives.
    pub(crate) fn due_us(&self) -> Option<u64> {
        self.pending.front().map(|_| self.until_us)
    }

    /// The owner of the oldest question.
    #[cfg(test)]
    pub(crate) fn asks(&self) -> Option<Owner> {
        self.pending.front().and_then(|pending| pending.owner)
    }

    /// Number of questions under way.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.pending.len()
    }

    /// Why questions fail at once, if they do.
    pub(crate) const fn failure(&self) -> Option<Failure> {
        self.given_up
    }

    /// Breaches by files since the last call.
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

/// The failure to report for an error of files.
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
