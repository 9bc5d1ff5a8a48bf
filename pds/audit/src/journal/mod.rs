//! The log on the disk: how audit has files find, write and read it, and which requests wait for that.
//!
//! Responsible for:
//! - *finding its end at boot*, reading a few sectors at a time ([`Opening`]), and how much of their budgets users have
//!   spent ([`usage`]);
//! - *writing it*: entries are first in memory ([`crate::log`]) and are copied from there in order, as many at once as
//!   are ready, with one flush for all of them ([`writing`]);
//! - *holding requests*: if the policy says "ahead", inference is not told of a request until its admission is durable,
//!   and the client is not told of its end until that is ([`waiting`]);
//! - *reading back* what memory no longer holds ([`reading`]).
//!
//! The rule: files is untrusted, so nothing it says is believed beyond the seals and hashes in the data. It can refuse,
//! stay silent, lose what it said was durable, or bring back an older log. It cannot change an entry without breaking
//! the chain, and it cannot make audit wait: the link gives up, and then the policy says whether requests go on.
//!
//! The journal does no I/O: [`Journal::ask`] returns what to ask next, [`Journal::hear`] takes the answer. It exists
//! only in a system with a disk.

mod asks;
mod reading;
pub(crate) mod usage;
mod waiting;
mod writing;

pub(crate) use asks::AskKind;

use crate::log::Log;
use asks::Asked;
use disk_log::{Device, MAX_ENTRY_BYTES, OpenError, Opened, Opening, SECTOR};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::{MAX_TRANSFER_BYTES, MAX_TRANSFER_SECTORS};
use protocol::policy::{LogFailure, LogWrite, Policy};
use protocol::ring::Frame;
use protocol::wire::Fault;
pub(crate) use reading::Found;
use reading::ReadBack;
use usage::Usage;
use waiting::Waiting;
use writing::{OUT_BYTES, Writer};

/// How many requests can wait for their admissions to become durable: one per client, which sends no others meanwhile,
/// and the single fine-tuning.
pub(crate) const HELD: usize = protocol::limits::MAX_CLIENTS + 1;

/// Memory for the journal: 92 KiB. It lies outside the monitor so that a runtime with a small stack can make it a
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

/// The state of the journal.
#[derive(Debug)]
enum State {
    /// Audit has not started yet, or files is still looking for the file system.
    Waits,
    /// The file must be opened.
    Finds,
    /// The log is being read.
    Opens {
        opening: Opening<'static>,
        /// Sectors read at once; one while there is an unreadable sector among them.
        step: u32,
        /// The error of the first sector that could not be read.
        unreadable: Option<Failure>,
    },
    /// The log is being written.
    Open(Writer),
    /// The log is not being written, and will not be.
    Lost(Failure),
}

/// An event that the rest of audit must know of.
#[derive(Debug)]
pub(crate) enum News {
    /// Nothing.
    None,
    /// The log was found and will be written from now on. The log itself is not included.
    Opened {
        /// What was found.
        found: disk_log::Found,
        /// Number of its entries.
        entries: u64,
        /// Sequence number and hash of the newest.
        newest: (u64, Hash),
        /// How often it was opened.
        boot: u32,
    },
    /// The log is no longer being written, or never was.
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
    /// Audit is in service: the log was found, or cannot be.
    has_begun: bool,
    /// How inference failed before that, if it did.
    early_fault: Option<Fault>,
    /// Whether a second has passed since the last flush.
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

    /// Called when audit starts. `device`: the log's owner, if the policy gives this device a key.
    pub(crate) fn start(&mut self, policy: &Policy, device: Option<Device>) {
        (self.write, self.on_failure) = (policy.log_write(), policy.log_on_failure());
        self.device = device;
        self.usage = Usage::of(policy);
    }

    /// Takes the result of mounting the file system.
    pub(crate) fn mounted(&mut self, mounted: Result<(), Failure>) -> News {
        match (&self.state, mounted, self.device) {
            (State::Waits, Err(failure), _) => self.lose(failure),
            (State::Waits, Ok(()), None) => self.lose(Failure::of(ErrorCode::NoDeviceKey)),
            (State::Waits, Ok(()), Some(_)) => {
                self.state = State::Finds;
                News::None
            }
            // Files is asked for the file system once, before the log.
            (_, Ok(()), _) => News::None,
            (_, Err(failure), _) => self.lose(failure),
        }
    }

    /// Whether audit is in service yet.
    pub(crate) const fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// Puts audit in service. Returns how inference failed before that, if it did.
    pub(crate) const fn begins(&mut self) -> Option<Fault> {
        self.has_begun = true;
        self.early_fault.take()
    }

    /// Notes that inference failed before audit was in service.
    pub(crate) const fn note_fault(&mut self, fault: Fault) {
        self.early_fault = Some(fault);
    }

    /// Why no request is admitted, if that is so.
    pub(crate) const fn refusal(&self) -> Option<Failure> {
        match (&self.state, self.on_failure) {
            (State::Lost(failure), LogFailure::Refuse) => {
                let why = failure.code as u64;
                Some(Failure::over(ErrorCode::LogLost, why, failure.value))
            }
            _ => None,
        }
    }

    /// Whether the policy makes requests wait for the log.
    pub(crate) const fn is_ahead(&self) -> bool {
        matches!((&self.state, self.write), (State::Open(_), LogWrite::Ahead))
    }

    /// Sequence number of the newest entry that is durable or that nobody waits for any more.
    const fn durable(&self) -> u64 {
        match &self.state {
            State::Open(writer) => match self.write {
                LogWrite::Ahead => writer.durable().0,
                LogWrite::Behind => u64::MAX,
            },
            _ => u64::MAX,
        }
    }

    /// The newest durable entry, its hash, and how often the log was opened.
    pub(crate) const fn head(&self) -> Option<(u64, Hash, u64)> {
        match &self.state {
            State::Open(writer) => {
                let (sequence, head) = writer.durable();
                Some((sequence, head, writer.boot()))
            }
            _ => None,
        }
    }

    /// Called each second.
    pub(crate) const fn tick(&mut self) {
        self.is_due = true;
    }

    /// Whether the users' usage must be recorded again; clears that.
    pub(crate) fn takes_usage_due(&mut self) -> bool {
        match &mut self.state {
            State::Open(writer) => writer.takes_usage_due(),
            _ => false,
        }
    }

    // ---- Requests that wait ---------------------------------------------------------------------

    /// Whether a client's next request must wait, because its last one does.
    pub(crate) fn holds_of(&self, client: usize) -> bool {
        self.waiting.holds_of(client)
    }

    /// A request whose admission is now durable, and whether inference may be told of it. It may not if the log was
    /// lost and the policy admits nothing without it.
    pub(crate) fn next_released(&self) -> Option<(usize, bool)> {
        let durable = self.durable();
        let held = self.waiting.next_released(durable)?;
        Some((held, self.refusal().is_none()))
    }

    /// Whether a client may be told of the end of this request.
    pub(crate) fn may_tell_end(&self, number: u32) -> bool {
        self.waiting.is_settled(number, self.durable())
    }

    /// Whether the log was lost before the end of this request was durable, and the policy requires the log. Then
    /// nobody is told that the request finished.
    pub(crate) fn is_unrecorded(&self, number: u32) -> bool {
        self.refusal().is_some() && self.waiting.waits(number)
    }

    // ---- Files ----------------------------------------------------------------------------------

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

    /// Takes sectors of the log that is being opened.
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

    /// Starts writing the log if all of it has been read.
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
                // A log that cannot be read must not be mistaken for another kind of file.
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

    /// The entry with this number, which memory no longer holds, or the next one on the disk; see [`ReadBack`].
    pub(crate) fn read_back(&mut self, sequence: u64) -> Found<'_> {
        match &self.state {
            State::Open(writer) => self.back.read(sequence, writer.log()),
            _ => Found::Gone,
        }
    }

    /// Makes the log in memory continue the one on the disk.
    pub(crate) fn follow(&mut self, log: &Log<'_>) {
        if let State::Open(writer) = &mut self.state {
            writer.follow(log);
        }
    }

    /// Notes the positions of new entries for readers.
    pub(crate) fn note_written(&mut self) {
        if let State::Open(writer) = &mut self.state {
            writer.each_placed(|sequence, position| self.back.note(sequence, position));
        }
    }
}
