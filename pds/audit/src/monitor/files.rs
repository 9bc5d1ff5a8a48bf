//! What is asked of files, and what comes of it: the list of its models, and loads. Nothing of this is part of a system
//! without a disk, where `files` is `None` and can be nothing else.

use super::lists::Step;
use super::{Monitor, Port};
use crate::files::{Files, FilesEnd, Heard, Listing, Mount, Owner, is_on_disk};
use crate::lists::listed;
use crate::models::Verified;
use protocol::error::{ErrorCode, Failure};
use protocol::name::ModelName;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::wire::client::{Event, ModelEntry, Signature, Stage};
use protocol::wire::files::{Answer, Ask};

/// Whose violation an entry is about; the others are in the ledger.
const FILES: u16 = 3;

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    fn disk(&mut self) -> Option<&mut Files<R, W>> {
        self.files.as_mut().map(F::get_mut)
    }

    /// Begins the rings' epoch.
    pub(super) fn start_files(&mut self) {
        if let Some(files) = self.disk() {
            files.link.lead();
        }
    }

    // ---- Answers --------------------------------------------------------------------------------

    /// Reads what files has said, a ring's worth at most, and notices if it has said nothing for too long.
    pub(super) fn read_files(&mut self, frame: &mut Frame, now: u64, port: &mut impl Port) {
        for _ in 0..SLOTS {
            let Some(files) = self.disk() else {
                return;
            };
            match files.link.receive(frame, now) {
                Heard::Nothing => break,
                Heard::Noise => {}
                Heard::Answer(owner, answer) => self.hear_files(owner, Ok(answer), now, port),
                Heard::Failed(owner, failure) => self.hear_files(owner, Err(failure), now, port),
            }
        }
        while let Some(files) = self.disk()
            && let Some((owner, failure)) = files.link.look(now)
        {
            self.hear_files(owner, Err(failure), now, port);
        }
        self.record_breaches_of_files(now);
    }

    /// Writes down what no honest files says. There are few such entries: after some of them files is not heard any more.
    fn record_breaches_of_files(&mut self, now: u64) {
        // Nothing is on record before the log was found.
        if !self.serves() {
            return;
        }
        let breaches = self.disk().map_or(0, |files| files.link.take_breaches());
        if breaches > 0 {
            let record = Record {
                code: FILES,
                count: u64::from(breaches),
                ..Record::new(Kind::Violation)
            };
            self.record(record, now);
        }
    }

    /// A question of this owner was answered, or will not be.
    fn hear_files(
        &mut self,
        owner: Owner,
        answer: Result<Answer<'_>, Failure>,
        now: u64,
        port: &mut impl Port,
    ) {
        match owner {
            Owner::Log => self.hear_log(answer, now, port),
            Owner::List => self.hear_list(answer, now, port),
            Owner::Load => self.hear_reading(answer, now),
        }
    }

    fn hear_list(&mut self, answer: Result<Answer<'_>, Failure>, now: u64, port: &mut impl Port) {
        let Some(files) = self.disk() else {
            return;
        };
        let mounted = match answer {
            Ok(Answer::Mounted(_)) => Some(Ok(())),
            Err(failure) if files.mount == Mount::Asked => Some(Err(failure)),
            _ => None,
        };
        match answer {
            Ok(Answer::Mounted(_)) => files.mount = Mount::Mounted,
            Ok(Answer::File { bytes, path }) => files.card.add(path, bytes),
            Ok(Answer::Listed { skipped, .. }) => files.card.end_list(Ok(skipped)),
            Err(failure) if files.mount == Mount::Asked => files.mount = Mount::Failed(failure),
            Err(failure) => files.card.end_list(Err(failure)),
            // The link has compared the answer with the question.
            Ok(_) => {}
        }
        if let Some(mounted) = mounted {
            self.log_is_mounted(mounted, now, port);
        }
    }

    fn hear_reading(&mut self, answer: Result<Answer<'_>, Failure>, now: u64) {
        let Some(files) = self.disk() else {
            return;
        };
        match files.card.hear(answer) {
            Ok(hashed) => self.work.spend(hashed),
            Err(failure) => return self.end_reading(failure, now),
        }
        let progress = self.disk().and_then(|files| files.card.progress());
        if let Some((done, all)) = progress
            && let Some(origin) = self.reading_entry().and_then(|index| self.table.get(index))
        {
            let origin = origin.origin;
            self.progress(origin, Stage::Verifying, done, all);
        }
    }

    // ---- Questions ------------------------------------------------------------------------------

    /// Asks files the next question, if none is under way: the owners in their order.
    pub(super) fn ask_files(&mut self, now: u64, port: &mut impl Port) {
        let Some(files) = self.disk() else {
            return;
        };
        if files.mount == Mount::Wanted {
            files.mount = match files.link.ask(Owner::List, &Ask::Mount, now) {
                Ok(true) => Mount::Asked,
                Ok(false) => Mount::Wanted,
                Err(failure) => Mount::Failed(failure),
            };
            if let Mount::Failed(failure) = files.mount {
                self.log_is_mounted(Err(failure), now, port);
            }
        }
        self.ask_log(now, port);
        let Some(files) = self.disk() else {
            return;
        };
        // Nothing can be asked of a disk before that.
        let unusable = match files.mount {
            Mount::Wanted | Mount::Asked => return,
            Mount::Mounted => files.link.failure(),
            Mount::Failed(failure) => Some(failure),
        };
        if files.card.listing == Listing::Wanted {
            match unusable.map_or_else(|| files.link.ask(Owner::List, &Ask::List, now), Err) {
                Ok(true) => files.card.begin_list(),
                Ok(false) => {}
                Err(failure) => files.card.end_list(Err(failure)),
            }
        }
        while let Some(next) = files.card.next() {
            match unusable.map_or_else(|| files.link.ask(Owner::Load, &next.ask(), now), Err) {
                Ok(true) => files.card.await_answer(&next),
                Ok(false) => return,
                Err(failure) => return self.end_reading(failure, now),
            }
        }
    }

    /// The disk is wanted: if there was none that could be used, it is looked for again.
    fn want_disk(&mut self) -> Option<&mut Files<R, W>> {
        let files = self.disk()?;
        if matches!(files.mount, Mount::Failed(_)) && files.link.failure().is_none() {
            files.mount = Mount::Wanted;
        }
        Some(files)
    }

    // ---- Lists ----------------------------------------------------------------------------------

    /// A client wants to see the models that there are.
    pub(super) fn want_list_of_disk(&mut self) {
        if let Some(files) = self.want_disk() {
            files.card.want_list();
        }
    }

    /// Goes on with a list of models behind those of the store.
    pub(super) fn send_model_of_disk(
        &mut self,
        client: usize,
        request: u32,
        next: &mut usize,
    ) -> Step {
        let in_store = self.models.store().models().map_or(0, |models| {
            models.fold(0usize, |count, _| count.saturating_add(1))
        });
        let current = self.link.current.map(|current| current.verified);
        let Some(files) = self.disk() else {
            return Step::Over;
        };
        let card = &files.card;
        let skipped = u64::from(card.skipped);
        let entry = match card.listing {
            Listing::Wanted | Listing::Asked => return Step::Waits,
            Listing::Failed(failure) => {
                self.tell_failure(client, request, failure);
                return Step::Over;
            }
            Listing::Unknown | Listing::Known => card.nth(next.saturating_sub(in_store)),
        };
        let Some((name, file_bytes, has_signature)) = entry else {
            match skipped {
                0 => drop(self.clients.tell(client, request, &listed(*next))),
                _ => {
                    let failure = Failure::over(ErrorCode::FilesSkipped, skipped, 0);
                    self.tell_failure(client, request, failure);
                }
            }
            return Step::Over;
        };
        // What lies on the disk may be another file by now. What was loaded of it was signed.
        let loaded = current.is_some_and(|it| card.is_in_slot(it.offset) && it.name == name);
        let signature = match (has_signature, loaded) {
            (false, _) => Signature::Missing,
            (true, true) => Signature::Good,
            (true, false) => Signature::Unchecked,
        };
        let entry = ModelEntry {
            name,
            file_bytes,
            loaded,
            signature,
        };
        self.clients.tell(client, request, &Event::Model(entry));
        *next = next.saturating_add(1);
        Step::Sent
    }

    // ---- Loads ----------------------------------------------------------------------------------

    /// Whether a model of this name, which the store does not have, is looked for on the disk.
    pub(super) fn may_be_on_disk(&self, name: ModelName) -> bool {
        let usable = |files: &F| !matches!(files.get().mount, Mount::Failed(_));
        // Without a disk, who has mistyped the name of a model of the store is told of that.
        let files = self.files.as_ref();
        files.is_some_and(|files| is_on_disk(name) || usable(files))
    }

    /// Begins to read a model of the disk for the request with this number, which is about to be entered.
    pub(super) fn begin_reading(&mut self, number: u32, name: ModelName) {
        if let Some(files) = self.want_disk() {
            files.card.begin(number, name);
        }
    }

    /// The request that a model is read for, if it is still there.
    fn reading_entry(&self) -> Option<usize> {
        let files = self.files.as_ref().map(F::get)?;
        let number = files.card.reading.as_ref()?.number;
        self.table
            .find(|entry| entry.number == number && entry.is_verified())
    }

    /// Whether the model that this request is verified for comes from the disk.
    pub(super) fn is_read_from_disk(&self, index: usize) -> bool {
        self.files.is_some() && self.reading_entry() == Some(index)
    }

    /// A load whose request has ended meanwhile ends, too: it was cancelled, or audit loads a model itself.
    pub(super) fn refuse_lost_reading(&mut self) {
        if self.files.is_some() && self.reading_entry().is_none() {
            self.forget_reading();
        }
    }

    fn forget_reading(&mut self) {
        if let Some(files) = self.disk()
            && files.card.reading.take().is_some()
        {
            // What was asked for it is no part of the next.
            files.link.forget(Owner::Load);
        }
    }

    /// A load ends before anything was written that inference can read.
    fn end_reading(&mut self, failure: Failure, now: u64) {
        let index = self.reading_entry();
        self.forget_reading();
        if let Some(index) = index {
            self.refuse_load(index, failure, now);
        }
    }

    /// Goes on with what needs no answer of files.
    pub(super) fn advance_reading(&mut self, index: usize, now: u64) {
        let Self {
            files, gate, link, ..
        } = self;
        let Some(card) = files.as_mut().map(|files| &mut files.get_mut().card) else {
            return;
        };
        if !card.is_at_work() {
            return;
        }
        let in_service = link.current.map(|current| current.verified.offset);
        let in_slot = match card.advance(gate.policy(), in_service) {
            Ok(Some(in_slot)) => in_slot,
            Ok(None) => return self.work.goes_on(),
            Err(failure) => return self.end_reading(failure, now),
        };
        card.reading = None;
        let Some(entry) = self.table.get(index) else {
            return;
        };
        let (origin, name) = (entry.origin, entry.about());
        let verified = Verified {
            name,
            offset: in_slot.offset,
            bytes: in_slot.bytes,
            sha256: in_slot.sha256,
            line_feeds: 0,
        };
        match self.hand_over(index, verified, now) {
            Ok(()) => self.progress(origin, Stage::Loading, 0, in_slot.bytes),
            Err(failure) => self.refuse_load(index, failure, now),
        }
    }
}
