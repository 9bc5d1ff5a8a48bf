//! Sends lists, one event at a time.

use super::Monitor;
use crate::egress::Egress;
use crate::files::FilesEnd;
use crate::journal::Found;
use crate::lists::{List, ListKind, Reading, listed};
use crate::log::{Cursor, LogEntry, hash};
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_PART_BYTES;
use protocol::name::ModelName;
use protocol::record::RECORD_BYTES;
use protocol::region::{ReadWords, WriteWords};
use protocol::store::Content;
use protocol::wire::client::{Event, Exported, LogExtent, LogQuery, ModelEntry};

/// What skipping an entry that does not match a filter costs of a wake-up's work, in hashed bytes: copying a record
/// takes about as long.
const LOOK_BYTES: usize = 32;

/// The result of a step of a list.
pub(super) enum Step {
    /// An event was sent.
    Sent,
    /// There is nothing to send now.
    Waits,
    /// It can continue without waiting for anybody.
    Works,
    /// The last event was sent.
    Over,
}

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    /// Begins a list.
    pub(super) fn list(
        &mut self,
        client: usize,
        request: u32,
        kind: ListKind,
    ) -> Result<(), Failure> {
        self.require_new(client, request)?;
        match self.clients.get_mut(client) {
            Some(peer) => peer.lists.begin(request, kind),
            None => Ok(()),
        }
    }

    /// Sends the next event of a client's list at this place. Returns the place of the list to continue with.
    pub(super) fn advance_list(&mut self, client: usize, index: usize, now: u64) -> usize {
        let next = index.saturating_add(1);
        let list = self.clients.get(client).and_then(|it| it.lists.get(index));
        let Some(List { request, mut kind }) = list else {
            return next;
        };
        let step = self.step_list(client, request, &mut kind, now);
        let Some(peer) = self.clients.get_mut(client) else {
            return next;
        };
        match step {
            Step::Over => {
                peer.lists.remove(index);
                // Another list has taken its place.
                return index;
            }
            Step::Works => self.work.goes_on(),
            Step::Sent | Step::Waits => {}
        }
        peer.lists.put_back(index, kind);
        match step {
            Step::Sent => index,
            _ => next,
        }
    }

    fn step_list(&mut self, client: usize, request: u32, kind: &mut ListKind, now: u64) -> Step {
        match kind {
            ListKind::Models { next } => {
                let entry = self.model_entry(*next);
                if entry.is_none() && self.files.is_some() {
                    return self.send_of_disk(client, request, Content::Model, next);
                }
                self.send_item(client, request, next, entry.map(Event::Model))
            }
            ListKind::Adapters { next } => {
                let entry = self.adapter_entry(*next);
                if entry.is_none() && self.files.is_some() {
                    return self.send_of_disk(client, request, Content::Adapter, next);
                }
                self.send_item(client, request, next, entry.map(Event::Adapter))
            }
            ListKind::Formats { next, rule } => {
                let entry = self.gate.languages.listed(*next, *rule);
                self.send_item(client, request, next, entry.map(Event::Format))
            }
            ListKind::Export { id, offset } => self.send_part(client, request, *id, offset, now),
            ListKind::Users { next } => {
                let user = self.gate.access.describe(*next);
                self.send_item(client, request, next, user.map(Event::User))
            }
            ListKind::Sessions { next, owner } => {
                let access = &self.gate.access;
                let sessions = &self.gate.sessions;
                let session = sessions.listed(*next, *owner, now, |user| access.name(user));
                self.send_item(client, request, next, session.map(Event::Session))
            }
            ListKind::Log(reading) => self.send_entry(client, request, reading),
            ListKind::Verify(_) if self.work.is_spent() => Step::Works,
            ListKind::Verify(verification) => {
                match verification.step(&self.ledger.log, self.work.left()) {
                    None => Step::Works,
                    Some((extent, broken_at)) => {
                        let event = Event::LogVerified { extent, broken_at };
                        self.clients.tell(client, request, &event);
                        Step::Over
                    }
                }
            }
            ListKind::Watch { due } => {
                if !core::mem::take(due) {
                    return Step::Waits;
                }
                let stats = self.stats_now(client, now);
                self.clients.tell(client, request, &Event::Stats(stats));
                Step::Sent
            }
        }
    }

    fn send_item(
        &mut self,
        client: usize,
        request: u32,
        next: &mut usize,
        item: Option<Event<'_>>,
    ) -> Step {
        match item {
            Some(event) => {
                self.clients.tell(client, request, &event);
                *next = next.saturating_add(1);
                Step::Sent
            }
            None => {
                self.clients.tell(client, request, &listed(*next));
                Step::Over
            }
        }
    }

    /// Sends the next part of an adapter's file, as the egress cap allows: inference may have hidden anything in it.
    fn send_part(
        &mut self,
        client: usize,
        request: u32,
        id: u32,
        offset: &mut usize,
        now: u64,
    ) -> Step {
        let Some(made) = self.shelf.get(id).copied() else {
            // The adapter was dropped meanwhile.
            self.tell_failure(client, request, Failure::of(ErrorCode::NoSuchAdapter));
            return Step::Over;
        };
        let left = made.space.bytes.saturating_sub(*offset);
        if left == 0 {
            let exported = Exported {
                name: made.name,
                file_bytes: made.space.bytes as u64,
                sha256: made.sha256,
                base_sha256: made.base,
                signature: made.signature,
            };
            self.clients
                .tell(client, request, &Event::Exported(exported));
            return Step::Over;
        }
        if self.work.is_spent() {
            return Step::Works;
        }
        // Whole words, except for the last part.
        let most = self.egress.longest(MAX_PART_BYTES);
        let bytes = left.min(most.saturating_sub(most % 8));
        let cost = Egress::of_event(bytes);
        if !self.may_pass(cost, now) {
            return Step::Waits;
        }
        let Self { shelf, clients, .. } = self;
        let event = Event::AdapterPart {
            offset: *offset as u64,
            bytes: shelf.part(id, *offset, bytes),
        };
        clients.tell(client, request, &event);
        self.egress.pass(cost, now);
        self.work.spend(bytes);
        *offset = offset.saturating_add(bytes);
        Step::Sent
    }

    fn model_entry(&self, index: usize) -> Option<ModelEntry> {
        let model = self.models.store().models().ok()?.nth(index)?;
        let offset = model.file.offset;
        let current = self.link.current;
        let loaded = current.is_some_and(|current| current.verified.offset == offset as u64);
        Some(ModelEntry {
            name: ModelName::new(model.name)?,
            file_bytes: model.file.data.len() as u64,
            loaded,
            signature: self.models.signature(offset, model.signature.is_some()),
        })
    }

    /// A reading of the log, including the part that only the disk holds, if there is a disk.
    pub(super) fn reading(&self, query: &LogQuery) -> Reading {
        let reading = Reading::new(&self.ledger.log, query);
        let from = reading.from.max(1);
        match &self.files {
            Some(_) if from < self.ledger.log.first() => Reading {
                cursor: Cursor::before(from),
                ..reading
            },
            _ => reading,
        }
    }

    fn send_entry(&mut self, client: usize, request: u32, reading: &mut Reading) -> Step {
        let Self {
            ledger,
            clients,
            work,
            files,
            ..
        } = self;
        while !work.is_spent() {
            work.spend(LOOK_BYTES);
            let at_end = !reading.follow && reading.cursor.next() >= reading.until;
            let older = match files {
                Some(files) if !at_end && reading.cursor.next() < ledger.log.first() => {
                    files.get_mut().journal.read_back(reading.cursor.next())
                }
                _ => Found::Gone,
            };
            let entry = match older {
                Found::Later => return Step::Waits,
                Found::Entry(record, text) if record.sequence < ledger.log.first() => {
                    reading.cursor = Cursor::before(record.sequence.saturating_add(1));
                    Some(LogEntry { record, text })
                }
                _ if at_end => None,
                _ => ledger.log.read(&mut reading.cursor),
            };
            // All requested entries may have been dropped. Then the oldest remaining one is newer than the range.
            let is_asked_for = |sequence| reading.follow || sequence < reading.until;
            let entry = entry.filter(|entry| is_asked_for(entry.record.sequence));
            let Some(entry) = entry else {
                if reading.follow {
                    return Step::Waits;
                }
                let extent = reading.extent(&ledger.log);
                clients.tell(client, request, &Event::LogEnd(extent));
                return Step::Over;
            };
            let record = entry.record;
            let is_of_another = !reading.user.is_empty() && record.user != reading.user;
            if record.sequence < reading.from || is_of_another {
                continue;
            }
            work.spend(RECORD_BYTES.saturating_add(entry.text.len()));
            let head = hash(&record, entry.text);
            let first = reading.sent.map_or(record.sequence, |sent| sent.first);
            let anchor = reading.sent.map_or(record.previous, |sent| sent.anchor);
            reading.sent = Some(LogExtent {
                first,
                next: record.sequence.saturating_add(1),
                anchor,
                head,
            });
            let text = entry.text;
            clients.tell(client, request, &Event::Record { record, text });
            return Step::Sent;
        }
        Step::Works
    }
}
