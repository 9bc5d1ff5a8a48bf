//! Answers of more than one event, sent as the shell's ring has room, a few at each wake-up.

use super::{Monitor, failed};
use crate::log::{Cursor, Log, Verification, hash};
use crate::sessions::Sessions;
use protocol::error::{ErrorCode, Failure};
use protocol::name::{ModelName, UserName};
use protocol::record::RECORD_BYTES;
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client::{Event, LogExtent, LogQuery, ModelEntry};

/// Lists at once. The shell has one command in the foreground, and completion.
const LISTS: usize = 4;

/// Slots of the shell's ring that lists leave free beyond the reserve: so tokens and ends of requests pass beside the longest
/// log, however slowly it is read. With less, an inference whose end finds no room would be restarted for it.
const LISTS_LEAVE: usize = 8;

/// What looking at an entry that a filter does not let through costs of a wake-up's work, in bytes hashed: copying a record
/// takes about as long.
const LOOK_BYTES: usize = 32;

/// What is being listed, and how far it has got.
#[derive(Clone, Copy, Debug)]
pub(super) enum ListKind {
    /// Models of the store.
    Models { next: usize },
    /// Users of the policy.
    Users { next: usize },
    /// Sessions, of one user or of all.
    Sessions { next: usize, user: Option<usize> },
    /// Entries of the log.
    Log(Reading),
    /// A check of the log.
    Verify(Verification),
    /// Counters, once a second.
    Watch { due: bool },
}

/// A reading of the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    cursor: Cursor,
    /// Sequence number of the first entry that was asked for. What is before it is passed over a few at a time.
    from: u64,
    user: UserName,
    follow: bool,
    /// Where it ends if it does not follow.
    until: u64,
    /// What was sent: where it begins, and the hash of its last entry.
    sent: Option<LogExtent>,
}

impl ListKind {
    /// The entries that `query` asks for.
    pub(super) fn log(log: &Log<'_>, query: &LogQuery) -> Self {
        let extent = log.extent();
        let from = match query.last {
            0 => 0,
            last => extent.next.saturating_sub(last),
        };
        Self::Log(Reading {
            cursor: log.cursor(),
            from,
            user: query.user,
            follow: query.follow,
            until: extent.next,
            sent: None,
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct List {
    request: u32,
    kind: ListKind,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Lists {
    lists: heapless::Vec<List, LISTS>,
}

impl Lists {
    pub(super) const fn new() -> Self {
        Self {
            lists: heapless::Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    pub(super) fn contains(&self, request: u32) -> bool {
        self.lists.iter().any(|list| list.request == request)
    }

    /// A second has passed.
    pub(super) fn tick(&mut self) {
        for list in &mut self.lists {
            if let ListKind::Watch { due } = &mut list.kind {
                *due = true;
            }
        }
    }
}

/// What a step of a list has come to.
enum Step {
    /// An event was sent.
    Sent,
    /// There is nothing to send now.
    Waits,
    /// It goes on without waiting for anybody.
    Works,
    /// The last event was sent.
    Over,
}

impl<R: ReadWords, W: WriteWords> Monitor<'_, R, W> {
    /// Begins a list.
    pub(super) fn list(&mut self, request: u32, kind: ListKind) -> Result<(), Failure> {
        self.require_new(request)?;
        let limit = LISTS as u64;
        self.lists
            .lists
            .push(List { request, kind })
            .map_err(|_| Failure::over(ErrorCode::Busy, limit, limit))
    }

    /// Ends a list before its end; false if there is no such list.
    pub(super) fn cancel_list(&mut self, request: u32) -> bool {
        let found = self
            .lists
            .lists
            .iter()
            .position(|list| list.request == request);
        let Some(index) = found else {
            return false;
        };
        let list = self.lists.lists.swap_remove(index);
        match list.kind {
            ListKind::Log(reading) => {
                let extent = self.sent_extent(&reading);
                self.tell_shell(request, &Event::LogEnd(extent))
            }
            ListKind::Models { next }
            | ListKind::Users { next }
            | ListKind::Sessions { next, .. } => self.tell_shell(request, &listed(next)),
            ListKind::Verify(_) | ListKind::Watch { .. } => self.tell_shell(request, &Event::Done),
        };
        true
    }

    /// Ends all lists before their ends.
    pub(super) fn end_lists(&mut self) {
        while let Some(request) = self.lists.lists.first().map(|list| list.request) {
            self.cancel_list(request);
        }
    }

    /// Goes on with all lists in turn.
    pub(super) fn deliver_lists(&mut self, now: u64) {
        let mut index = 0;
        while let Some(List { request, mut kind }) = self.lists.lists.get(index).copied() {
            let mut over = false;
            while self.has_room_for(&kind) {
                match self.step_list(request, &mut kind, now) {
                    Step::Sent => {}
                    Step::Waits => break,
                    Step::Works => {
                        self.works = true;
                        break;
                    }
                    Step::Over => {
                        over = true;
                        break;
                    }
                }
            }
            if over && index < self.lists.lists.len() {
                self.lists.lists.swap_remove(index);
            } else {
                if let Some(list) = self.lists.lists.get_mut(index) {
                    list.kind = kind;
                }
                index = index.saturating_add(1);
            }
        }
    }

    /// Whether a list may send its next event. A check of the log sends one at all.
    fn has_room_for(&self, kind: &ListKind) -> bool {
        let left = match kind {
            ListKind::Verify(_) => 0,
            _ => LISTS_LEAVE,
        };
        self.shell.free() > super::RESERVE.saturating_add(left)
    }

    fn step_list(&mut self, request: u32, kind: &mut ListKind, now: u64) -> Step {
        match kind {
            ListKind::Models { next } => {
                let entry = self.model_entry(*next);
                self.send_item(request, next, entry.map(Event::Model))
            }
            ListKind::Users { next } => {
                let user = self.access.describe(*next);
                self.send_item(request, next, user.map(Event::User))
            }
            ListKind::Sessions { next, user } => {
                let Self {
                    sessions, access, ..
                } = self;
                let session = Sessions::listed(sessions, *next, *user, now, |u| access.name(u));
                self.send_item(request, next, session.map(Event::Session))
            }
            ListKind::Log(reading) => self.send_entry(request, reading),
            ListKind::Verify(_) if self.work == 0 => Step::Works,
            ListKind::Verify(verification) => match verification.step(&self.log, &mut self.work) {
                None => Step::Works,
                Some((extent, broken_at)) => {
                    self.tell_shell(request, &Event::LogVerified { extent, broken_at });
                    Step::Over
                }
            },
            ListKind::Watch { due } => {
                if !core::mem::take(due) {
                    return Step::Waits;
                }
                let stats = self.stats_now(now);
                self.tell_shell(request, &Event::Stats(stats));
                Step::Sent
            }
        }
    }

    fn send_item(&mut self, request: u32, next: &mut usize, item: Option<Event<'_>>) -> Step {
        match item {
            Some(event) => {
                self.tell_shell(request, &event);
                *next = next.saturating_add(1);
                Step::Sent
            }
            None => {
                self.tell_shell(request, &listed(*next));
                Step::Over
            }
        }
    }

    fn model_entry(&self, index: usize) -> Option<ModelEntry> {
        let model = self.models.store().models().ok()?.nth(index)?;
        let offset = model.file.offset;
        let loaded = self
            .current
            .is_some_and(|current| current.verified.offset == offset as u64);
        Some(ModelEntry {
            name: ModelName::new(model.name)?,
            file_bytes: model.file.data.len() as u64,
            loaded,
            signature: self.models.signature(offset, model.signature.is_some()),
        })
    }

    fn send_entry(&mut self, request: u32, reading: &mut Reading) -> Step {
        while self.work > 0 {
            self.work = self.work.saturating_sub(LOOK_BYTES);
            let at_end = !reading.follow && reading.cursor.next() >= reading.until;
            let entry = match at_end {
                true => None,
                false => self.log.read(&mut reading.cursor),
            };
            let Some(entry) = entry else {
                if reading.follow {
                    return Step::Waits;
                }
                let extent = self.sent_extent(reading);
                self.tell_shell(request, &Event::LogEnd(extent));
                return Step::Over;
            };
            let record = entry.record;
            let is_of_another = !reading.user.is_empty() && record.user != reading.user;
            if record.sequence < reading.from || is_of_another {
                continue;
            }
            let hashed = RECORD_BYTES.saturating_add(entry.text.len());
            self.work = self.work.saturating_sub(hashed);
            let head = hash(&record, entry.text);
            let first = reading.sent.map_or(record.sequence, |sent| sent.first);
            let anchor = reading.sent.map_or(record.previous, |sent| sent.anchor);
            reading.sent = Some(LogExtent {
                first,
                next: record.sequence.saturating_add(1),
                anchor,
                head,
            });
            let event = Event::Record {
                record,
                text: entry.text,
            };
            event.write(request, &mut self.to_shell);
            self.signal_shell |= self.shell.send(&self.to_shell).is_ok();
            return Step::Sent;
        }
        Step::Works
    }

    /// What a reading has sent; where it would have begun if nothing.
    fn sent_extent(&self, reading: &Reading) -> LogExtent {
        reading.sent.unwrap_or_else(|| {
            let extent = self.log.extent();
            LogExtent {
                first: extent.next,
                anchor: extent.head,
                ..extent
            }
        })
    }
}

fn listed(count: usize) -> Event<'static> {
    match u32::try_from(count) {
        Ok(count) => Event::Listed { count },
        Err(_) => failed(Failure::of(ErrorCode::Unsupported)),
    }
}
