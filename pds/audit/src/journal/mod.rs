//! The log on the disk: what is asked of files to find it, to write it and to read it back, and who waits for that.
//!
//! Responsible for:
//! - *finding its end at boot*, reading a few sectors at a time ([`Opening`]), and what the users' budgets have been used for
//!   ([`usage`]);
//! - *writing it*: entries lie in memory first ([`crate::log`]) and are copied from there in their order, as many at once
//!   as there are, with one flush for all of them ([`writing`]);
//! - *who waits*: if the policy says "ahead", inference hears of a request when its admission is durable, and the client of
//!   its end when that is ([`waiting`]);
//! - *reading back* what memory no longer holds ([`reading`]).
//!
//! The rule: files is untrusted, so nothing that it says is believed beyond the seals and hashes of what it gives. It can
//! refuse, be silent, forget what it said was durable, or bring back an older log; it cannot change an entry without
//! breaking the chain, and it cannot make audit wait: the link gives up, and then the policy says whether requests go on.
//!
//! The journal is logic: [`Journal::ask`] says what is to be asked next, [`Journal::hear`] takes the answer. It exists only
//! in a system with a disk.

mod reading;
pub(crate) mod usage;
mod waiting;
mod writing;

use crate::log::Log;
use crate::work::Budget;
use disk_log::{Device, MAX_ENTRY_BYTES, OpenError, Opened, Opening, SECTOR};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::{MAX_TRANSFER_BYTES, MAX_TRANSFER_SECTORS};
use protocol::policy::{LogFailure, LogWrite, Policy};
use protocol::ring::Frame;
use protocol::wire::Fault;
use protocol::wire::files::{Answer, Ask};
pub(crate) use reading::Found;
use reading::ReadBack;
use usage::Usage;
use waiting::Waiting;
use writing::{OUT_BYTES, Writer};

/// Requests that can wait for their admissions to be durable: one of each client, which is not heard meanwhile, and the one
/// fine-tuning that there can be.
pub(crate) const HELD: usize = protocol::limits::MAX_CLIENTS + 1;

/// Memory that the journal needs: 92 KiB. It lies outside of the monitor so that a runtime with a small stack can make it a
/// static.
#[derive(Debug)]
pub struct JournalMemory {
    opening: [u8; MAX_ENTRY_BYTES],
    back: [u8; MAX_ENTRY_BYTES],
    chunk: [u8; MAX_TRANSFER_BYTES],
    out: [u8; OUT_BYTES],
    held: [Frame; HELD],
}

impl JournalMemory {
    /// Zeros.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            opening: [0; MAX_ENTRY_BYTES],
            back: [0; MAX_ENTRY_BYTES],
            chunk: [0; MAX_TRANSFER_BYTES],
            out: [0; OUT_BYTES],
            held: [const { Frame::new() }; HELD],
        }
    }
}

impl Default for JournalMemory {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the journal is.
#[derive(Debug)]
enum State {
    /// Before audit has started, or while files looks for the file system.
    Waits,
    /// The file is to be opened.
    Finds,
    /// The log is being read.
    Opens {
        opening: Opening<'static>,
        /// Sectors that are read at once; one while a sector among them cannot be read.
        step: u32,
        /// Of the first sector that could not be read.
        unreadable: Option<Failure>,
    },
    /// It is written.
    Open(Writer),
    /// It is not, and will not be.
    Lost(Failure),
}

/// What was asked and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Nothing,
    OpenLog,
    /// Sectors for the opening.
    Opening {
        slot: u32,
        sectors: u32,
    },
    Write {
        sectors: u32,
    },
    Flush,
    /// Sectors for a reader.
    Back {
        slot: u32,
    },
}

/// What has happened that others must know of.
#[derive(Debug)]
pub(crate) enum News {
    /// Nothing.
    None,
    /// The log was found, and is written from now on. Without the log itself.
    Opened {
        /// What was found.
        found: disk_log::Found,
        /// Entries of it.
        entries: u64,
        /// Sequence number and hash of the newest.
        newest: (u64, Hash),
        /// How often it was opened.
        boot: u32,
    },
    /// It is not written any more, or was not from the beginning.
    Lost(Failure),
}

/// See the module.
#[derive(Debug)]
pub struct Journal {
    state: State,
    asked: Asked,
    device: Option<Device>,
    write: LogWrite,
    on_failure: LogFailure,
    /// Audit serves: the log was found, or cannot be.
    has_begun: bool,
    /// Inference has died before that.
    early_fault: Option<Fault>,
    /// A second has passed since the last flush.
    is_due: bool,
    pub(crate) usage: Usage,
    pub(crate) waiting: Waiting,
    back: ReadBack,
    opening: Option<&'static mut [u8; MAX_ENTRY_BYTES]>,
    out: &'static mut [u8; OUT_BYTES],
}

impl Journal {
    /// A journal that has not begun.
    pub(crate) const fn new(memory: &'static mut JournalMemory) -> Self {
        let JournalMemory {
            opening,
            back,
            chunk,
            out,
            held,
        } = memory;
        Self {
            state: State::Waits,
            asked: Asked::Nothing,
            device: None,
            write: LogWrite::Ahead,
            on_failure: LogFailure::Refuse,
            has_begun: false,
            early_fault: None,
            is_due: false,
            usage: Usage::new(),
            waiting: Waiting::new(held),
            back: ReadBack::new(back, chunk),
            opening: Some(opening),
            out,
        }
    }

    /// Audit starts. `device`: whose the log is, if the policy gives this device a key.
    pub(crate) fn start(&mut self, policy: &Policy, device: Option<Device>) {
        (self.write, self.on_failure) = (policy.log_write(), policy.log_on_failure());
        self.device = device;
        self.usage = Usage::of(policy);
    }

    /// The file system was found, or not.
    pub(crate) fn mounted(&mut self, mounted: Result<(), Failure>) -> News {
        match (&self.state, mounted, self.device) {
            (State::Waits, Err(failure), _) => self.lose(failure),
            (State::Waits, Ok(()), None) => self.lose(Failure::of(ErrorCode::NoDeviceKey)),
            (State::Waits, Ok(()), Some(_)) => {
                self.state = State::Finds;
                News::None
            }
            // Files is asked for its file system once, before the log.
            (_, Ok(()), _) => News::None,
            (_, Err(failure), _) => self.lose(failure),
        }
    }

    /// Whether audit serves already.
    pub(crate) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Audit serves from now on. How inference has died before, if it has.
    pub(crate) const fn begins(&mut self) -> Option<Fault> {
        self.has_begun = true;
        self.early_fault.take()
    }

    /// Inference has died before audit serves.
    pub(crate) const fn note_fault(&mut self, fault: Fault) {
        self.early_fault = Some(fault);
    }

    /// Why nothing is admitted, if that is so.
    pub(crate) const fn refusal(&self) -> Option<Failure> {
        match (&self.state, self.on_failure) {
            (State::Lost(failure), LogFailure::Refuse) => {
                let why = failure.code as u64;
                Some(Failure::over(ErrorCode::LogLost, why, failure.value))
            }
            _ => None,
        }
    }

    /// Whether requests wait for the log.
    pub(crate) const fn is_ahead(&self) -> bool {
        matches!((&self.state, self.write), (State::Open(_), LogWrite::Ahead))
    }

    /// Sequence number of the newest entry that is durable, or that nobody waits for any more.
    const fn durable(&self) -> u64 {
        match &self.state {
            State::Open(writer) => match self.write {
                LogWrite::Ahead => writer.durable().0,
                LogWrite::Behind => u64::MAX,
            },
            _ => u64::MAX,
        }
    }

    /// The newest entry that is durable, its hash, and how often the log was opened.
    pub(crate) const fn head(&self) -> Option<(u64, Hash, u64)> {
        match &self.state {
            State::Open(writer) => {
                let (sequence, head) = writer.durable();
                Some((sequence, head, writer.boot()))
            }
            _ => None,
        }
    }

    /// A second has passed.
    pub(crate) const fn tick(&mut self) {
        self.is_due = true;
    }

    /// Whether what users have used is to be written down again.
    pub(crate) fn takes_usage_due(&mut self) -> bool {
        match &mut self.state {
            State::Open(writer) => writer.takes_usage_due(),
            _ => false,
        }
    }

    // ---- Requests that wait ---------------------------------------------------------------------

    /// Whether a client's next request must wait, since the one before it does.
    pub(crate) fn holds_of(&self, client: usize) -> bool {
        self.waiting.holds_of(client)
    }

    /// The number of a request whose admission is durable now, and whether it may be told to inference: not if the log was
    /// lost and nothing is admitted without it.
    pub(crate) fn next_released(&self) -> Option<(usize, bool)> {
        let durable = self.durable();
        let held = self.waiting.next_released(durable)?;
        Some((held, self.refusal().is_none()))
    }

    /// Whether a client may hear of the end of this request.
    pub(crate) fn may_tell_end(&self, number: u32) -> bool {
        self.waiting.is_settled(number, self.durable())
    }

    /// Whether the log was lost before the end of this request was durable, and the policy lets nothing be done without it:
    /// then nobody is told that it finished.
    pub(crate) fn is_unrecorded(&self, number: u32) -> bool {
        self.refusal().is_some() && self.waiting.waits(number)
    }

    // ---- Files ----------------------------------------------------------------------------------

    /// What is to be asked next, if anything is. It stays the same until [`Self::was_asked`].
    pub(crate) fn ask(
        &mut self,
        log: &Log<'_>,
        work: &mut Budget,
    ) -> Result<Option<Ask<'_>>, News> {
        if self.asked != Asked::Nothing {
            return Ok(None);
        }
        match &mut self.state {
            State::Waits | State::Lost(_) => Ok(None),
            State::Finds => Ok(Some(Ask::OpenLog)),
            State::Opens { opening, step, .. } => {
                let Some(slot) = opening.wants() else {
                    return Ok(None);
                };
                let sectors = (*step).min(opening.slots().saturating_sub(slot)).max(1);
                Ok(Some(Ask::ReadLog { slot, sectors }))
            }
            State::Open(writer) => {
                let flush = self.write == LogWrite::Ahead || self.is_due;
                if let Err(failure) = writer.prepare(log, self.out, flush, work) {
                    return Err(self.lose(failure));
                }
                if let Some(ask) = writer.ask(self.out) {
                    return Ok(Some(ask));
                }
                Ok(self.back.ask(writer.log()))
            }
        }
    }

    /// What [`Self::ask`] has given was asked.
    pub(crate) fn was_asked(&mut self, ask: AskKind) {
        self.asked = match (ask, &mut self.state) {
            (AskKind::Open, _) => Asked::OpenLog,
            (AskKind::Read { slot, sectors }, State::Opens { .. }) => {
                Asked::Opening { slot, sectors }
            }
            (AskKind::Read { slot, .. }, _) => Asked::Back { slot },
            (AskKind::Write { sectors }, _) => Asked::Write { sectors },
            (AskKind::Flush, State::Open(writer)) => {
                writer.flushes();
                self.is_due = false;
                Asked::Flush
            }
            (AskKind::Flush, _) => Asked::Flush,
        };
    }

    /// Nothing can be asked any more.
    pub(crate) fn cannot_ask(&mut self, failure: Failure) -> News {
        self.lose(failure)
    }

    /// What was asked was answered, or will not be.
    pub(crate) fn hear(&mut self, answer: Result<Answer<'_>, Failure>) -> News {
        let asked = core::mem::replace(&mut self.asked, Asked::Nothing);
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => return self.failed(asked, failure),
        };
        match (&mut self.state, asked, answer) {
            (State::Finds, Asked::OpenLog, Answer::LogOpened { sectors }) => self.begin(sectors),
            (State::Opens { .. }, Asked::Opening { slot, .. }, Answer::LogSectors { data, .. }) => {
                self.read(slot, data)
            }
            (State::Open(writer), Asked::Write { sectors }, Answer::Done) => {
                writer.written(sectors);
                News::None
            }
            (State::Open(writer), Asked::Flush, Answer::Done) => {
                writer.flushed();
                self.waiting.forget(writer.durable().0);
                News::None
            }
            (State::Open(_), Asked::Back { slot }, Answer::LogSectors { data, .. }) => {
                self.back.take(slot, data);
                News::None
            }
            // The link has compared the answer with the question.
            _ => News::None,
        }
    }

    fn failed(&mut self, asked: Asked, failure: Failure) -> News {
        let is_of_disk = failure.code == ErrorCode::DiskFailed;
        match (&mut self.state, asked) {
            // One sector cannot be read: the others are, and it counts as changed.
            (State::Opens { step, .. }, Asked::Opening { sectors, .. })
                if is_of_disk && sectors > 1 =>
            {
                *step = 1;
                News::None
            }
            (
                State::Opens {
                    opening,
                    step,
                    unreadable,
                },
                Asked::Opening { .. },
            ) if is_of_disk => {
                opening.give(None);
                *step = MAX_TRANSFER_SECTORS as u32;
                unreadable.get_or_insert(failure);
                self.opened()
            }
            (State::Open(_), Asked::Back { .. }) if is_of_disk => {
                self.back.skip();
                News::None
            }
            _ => self.lose(failure),
        }
    }

    fn begin(&mut self, sectors: u32) -> News {
        let size = Failure::over(
            ErrorCode::LogFileSize,
            u64::from(sectors).saturating_mul(SECTOR as u64),
            0,
        );
        let Some(buffer) = self.opening.take() else {
            return self.lose(size);
        };
        match Opening::new(u64::from(sectors), self.device, buffer) {
            Ok(opening) => {
                self.back.is_of(sectors);
                self.state = State::Opens {
                    opening,
                    step: MAX_TRANSFER_SECTORS as u32,
                    unreadable: None,
                };
                News::None
            }
            Err(_) => self.lose(size),
        }
    }

    /// Sectors of the log that is being opened.
    fn read(&mut self, slot: u32, data: &[u8]) -> News {
        let State::Opens { opening, step, .. } = &mut self.state else {
            return News::None;
        };
        *step = MAX_TRANSFER_SECTORS as u32;
        let (sectors, _) = data.as_chunks::<SECTOR>();
        let mut at = slot;
        for sector in sectors {
            if opening.wants() != Some(at) {
                break;
            }
            at = at.saturating_add(1);
            if let Some(entry) = opening.give(Some(sector)) {
                self.usage.replay(&entry.record);
                self.back.note(entry.record.sequence, entry.position);
            }
        }
        self.opened()
    }

    /// Goes on with the log if all of it was read.
    fn opened(&mut self) -> News {
        let State::Opens { opening, .. } = &self.state else {
            return News::None;
        };
        if opening.wants().is_some() {
            return News::None;
        }
        let State::Opens {
            opening,
            unreadable,
            ..
        } = core::mem::replace(&mut self.state, State::Waits)
        else {
            return News::None;
        };
        match opening.finish_for(self.device.unwrap_or_default()) {
            Ok(opened) => {
                let Opened {
                    log,
                    found,
                    entries,
                    ..
                } = opened;
                let newest = (log.sequence(), log.head());
                let boot = log.life();
                self.state = State::Open(Writer::new(log));
                News::Opened {
                    found,
                    entries,
                    newest,
                    boot,
                }
            }
            Err(error) => self.lose(match error {
                OpenError::Size { slots } => Failure::over(ErrorCode::LogFileSize, slots, 0),
                OpenError::OtherSize { slots, log } => {
                    Failure::over(ErrorCode::LogOtherSize, log.into(), slots.into())
                }
                OpenError::OtherDevice { .. } => Failure::of(ErrorCode::LogOtherDevice),
                // A log that cannot be read is not to be taken for something else.
                OpenError::NotALog => unreadable.unwrap_or(Failure::of(ErrorCode::LogGarbage)),
            }),
        }
    }

    fn lose(&mut self, failure: Failure) -> News {
        if matches!(self.state, State::Lost(_)) {
            return News::None;
        }
        self.state = State::Lost(failure);
        self.asked = Asked::Nothing;
        self.back.stop();
        News::Lost(failure)
    }

    /// An entry that memory no longer holds, or the next one that is there: see [`ReadBack`].
    pub(crate) fn read_back(&mut self, sequence: u64) -> Found<'_> {
        match &self.state {
            State::Open(writer) => self.back.read(sequence, writer.log()),
            _ => Found::Gone,
        }
    }

    /// The log in memory, which the disk's is to follow from here on.
    pub(crate) fn follow(&mut self, log: &Log<'_>) {
        if let State::Open(writer) = &mut self.state {
            writer.follow(log);
        }
    }

    /// Notes where entries were put, for readers.
    pub(crate) fn note_written(&mut self) {
        if let State::Open(writer) = &mut self.state {
            writer.each_placed(|sequence, position| self.back.note(sequence, position));
        }
    }
}

/// What is asked, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskKind {
    /// Where the file is.
    Open,
    /// Sectors are read.
    Read {
        /// The first.
        slot: u32,
        /// How many.
        sectors: u32,
    },
    /// Sectors are written.
    Write {
        /// How many.
        sectors: u32,
    },
    /// What was written becomes durable.
    Flush,
}

impl AskKind {
    /// Of what the journal asks.
    pub(crate) fn of(ask: &Ask<'_>) -> Self {
        match *ask {
            Ask::ReadLog { slot, sectors } => Self::Read { slot, sectors },
            Ask::WriteLog { data, .. } => {
                let sectors = data.len().checked_div(SECTOR).unwrap_or(0);
                Self::Write {
                    sectors: u32::try_from(sectors).unwrap_or(0),
                }
            }
            Ask::FlushLog => Self::Flush,
            _ => Self::Open,
        }
    }
}
