//! Questions to files and their answers: lists and loads. In a system without a disk, `files` is always `None`, and the
//! compiler drops all of this.

use super::lists::Step;
use super::{Monitor, Port};
use crate::files::{Arrived, Files, FilesEnd, Heard, Listing, Mount, Owner, Staged, is_on_disk};
use crate::lists::listed;
use crate::models::Verified;
use crate::places::Adapter;
use crate::space::Space;
use crate::table::InFlight;
use crate::tuning::Data;
use protocol::error::{ErrorCode, Failure};
use protocol::name::ModelName;
use protocol::region::{ReadWords, WriteWords};
use protocol::ring::{Frame, SLOTS};
use protocol::store::Content;
use protocol::wire::client::{Event, ModelEntry, Signature, Stage};
use protocol::wire::engine::Source;
use protocol::wire::files::{Answer, Ask};

/// When the parts of a file that is being loaded are read from the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parts {
    /// Later in this wake-up: requests come first, so a load cannot keep clients waiting.
    Later,
    /// Now, while there is work left in this wake-up.
    Now,
}

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    pub(super) fn disk(&mut self) -> Option<&mut Files<R, W>> {
        self.files.as_mut().map(F::get_mut)
    }

    /// Begins the epoch of the rings with files.
    pub(super) fn start_files(&mut self) {
        if let Some(files) = self.disk() {
            files.link.lead();
        }
    }

    // ---- Answers --------------------------------------------------------------------------------

    /// Reads what files has sent, at most a ring's worth, and checks whether an answer is overdue. A part of a file that
    /// has to wait stays in the ring, and so does what follows it.
    pub(super) fn read_files(
        &mut self,
        frame: &mut Frame,
        parts: Parts,
        now: u64,
        port: &mut impl Port,
    ) {
        for _ in 0..SLOTS {
            let waits = parts == Parts::Later || self.work.is_spent();
            let Some(files) = self.disk() else {
                return;
            };
            if waits && files.link.next_is_part() {
                if parts == Parts::Now && files.link.has_message() {
                    self.work.goes_on();
                }
                break;
            }
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

    /// A question of this owner was answered, or failed.
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
            Owner::Save => self.hear_saving(answer, now),
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
            Ok(Answer::File { bytes, path }) => files.card.list.add(path, bytes),
            Ok(Answer::Listed { skipped, .. }) => files.card.list.end(Ok(skipped)),
            Err(failure) if files.mount == Mount::Asked => files.mount = Mount::Failed(failure),
            Err(failure) => files.card.list.end(Err(failure)),
            // The link has already matched the answer to the question.
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

    /// Asks files the next question of each owner, in their order.
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
        // Nothing else can be asked of the disk before it is mounted.
        let unusable = match files.mount {
            Mount::Wanted | Mount::Asked => return,
            Mount::Mounted => files.link.failure(),
            Mount::Failed(failure) => Some(failure),
        };
        if files.card.list.state == Listing::Wanted {
            match unusable.map_or_else(|| files.link.ask(Owner::List, &Ask::List, now), Err) {
                Ok(true) => files.card.list.begin(),
                Ok(false) => {}
                Err(failure) => files.card.list.end(Err(failure)),
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

    /// The disk is needed: if it was unusable before, it is looked for again.
    pub(super) fn want_disk(&mut self) -> Option<&mut Files<R, W>> {
        let files = self.disk()?;
        if matches!(files.mount, Mount::Failed(_)) && files.link.failure().is_none() {
            files.mount = Mount::Wanted;
        }
        Some(files)
    }

    // ---- Lists ----------------------------------------------------------------------------------

    /// A client asks for a list of models or adapters.
    pub(super) fn want_list_of_disk(&mut self) {
        if let Some(files) = self.want_disk() {
            files.card.list.want();
        }
    }

    /// Continues a list with the files on the disk.
    pub(super) fn send_of_disk(
        &mut self,
        client: usize,
        request: u32,
        content: Content,
        next: &mut usize,
    ) -> Step {
        let before = match content {
            Content::Adapter => self.adapters_off_disk(),
            Content::Model | Content::Data => self.models.store().models().map_or(0, |models| {
                models.fold(0usize, |count, _| count.saturating_add(1))
            }),
        };
        let Some(files) = self.disk() else {
            return Step::Over;
        };
        let list = &files.card.list;
        let skipped = u64::from(list.skipped(content));
        let entry = match list.state {
            Listing::Wanted | Listing::Asked => return Step::Waits,
            Listing::Failed(failure) => {
                self.tell_failure(client, request, failure);
                return Step::Over;
            }
            Listing::Unknown | Listing::Known => list.nth(content, next.saturating_sub(before)),
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
        let event = match content {
            Content::Adapter => {
                Event::Adapter(self.adapter_of_disk(name, file_bytes, has_signature))
            }
            Content::Model | Content::Data => {
                Event::Model(self.model_of_disk(name, file_bytes, has_signature))
            }
        };
        self.clients.tell(client, request, &event);
        *next = next.saturating_add(1);
        Step::Sent
    }

    /// A model of the disk, for a list. By now the disk may have another file; the one that was loaded was signed.
    fn model_of_disk(&self, name: ModelName, file_bytes: u64, has_signature: bool) -> ModelEntry {
        let current = self.link.current.map(|current| current.verified);
        let files = self.files.as_ref().map(F::get);
        let loaded = files.is_some_and(|files| {
            let is_name = |of: ModelName| of.as_str().eq_ignore_ascii_case(name.as_str());
            current.is_some_and(|it| files.card.is_in_slot(it.offset) && is_name(it.name))
        });
        ModelEntry {
            name,
            file_bytes,
            loaded,
            signature: match (has_signature, loaded) {
                (false, _) => Signature::Missing,
                (true, true) => Signature::Good,
                (true, false) => Signature::Unchecked,
            },
        }
    }

    // ---- Loads ----------------------------------------------------------------------------------

    /// Whether a model with this name, which the store does not have, should be looked for on the disk.
    pub(super) fn may_be_on_disk(&self, name: ModelName) -> bool {
        let usable = |files: &F| !matches!(files.get().mount, Mount::Failed(_));
        // Without a usable disk, a user who has mistyped the name of a model in the store should be told about that.
        let files = self.files.as_ref();
        files.is_some_and(|files| is_on_disk(name) || usable(files))
    }

    /// Whether an adapter or data with this name can only be on the disk.
    pub(super) fn is_of_disk(&self, name: ModelName) -> bool {
        self.files.is_some() && is_on_disk(name)
    }

    /// Starts reading a file of the disk for the request with this number, which the caller is about to enter. `room`:
    /// bytes free for an adapter in the region of adapters.
    pub(super) fn begin_reading(
        &mut self,
        number: u32,
        content: Content,
        name: ModelName,
        room: usize,
    ) {
        if let Some(files) = self.want_disk() {
            files.card.begin(number, content, name, room);
        }
    }

    /// The request for which a file is being read, if it is still in flight.
    fn reading_entry(&self) -> Option<usize> {
        let files = self.files.as_ref().map(F::get)?;
        let number = files.card.reading.as_ref()?.number;
        self.table
            .find(|entry| entry.number == number && entry.is_reading())
    }

    /// Whether the file being read for this request comes from the disk.
    pub(super) fn is_read_from_disk(&self, index: usize) -> bool {
        self.files.is_some() && self.reading_entry() == Some(index)
    }

    /// Ends a load whose request has ended, because it was cancelled or audit is loading a model itself.
    pub(super) fn refuse_lost_reading(&mut self) {
        if self.files.is_some() && self.reading_entry().is_none() {
            self.forget_reading();
        }
    }

    fn forget_reading(&mut self) {
        if let Some(files) = self.disk()
            && files.card.reading.take().is_some()
        {
            // Answers to its questions must not be taken for those of the next load.
            files.link.forget(Owner::Load);
        }
    }

    /// Ends a load before anything is written where inference can read it.
    fn end_reading(&mut self, failure: Failure, now: u64) {
        let index = self.reading_entry();
        self.forget_reading();
        if let Some(index) = index {
            self.refuse_load(index, failure, now);
        }
    }

    /// Continues work on a load that needs no answer from files.
    pub(super) fn advance_reading(&mut self, index: usize, now: u64) {
        let Self {
            files,
            gate,
            link,
            device,
            ..
        } = self;
        let Some(card) = files.as_mut().map(|files| &mut files.get_mut().card) else {
            return;
        };
        if !card.is_at_work() {
            return;
        }
        let in_service = link.current.map(|current| current.verified.offset);
        let arrived = match card.advance(gate.policy(), device, in_service) {
            Ok(Some(arrived)) => arrived,
            Ok(None) => return self.work.goes_on(),
            Err(failure) => return self.end_reading(failure, now),
        };
        card.reading = None;
        let Some(entry) = self.table.get(index) else {
            return;
        };
        let (origin, name) = (entry.origin, entry.about());
        let (handed_over, bytes) = match arrived {
            Arrived::Model(in_slot) => {
                let verified = Verified {
                    name,
                    offset: in_slot.offset,
                    bytes: in_slot.bytes,
                    sha256: in_slot.sha256,
                    line_feeds: 0,
                };
                (self.hand_over(index, verified, now), in_slot.bytes)
            }
            Arrived::Staged(staged) if staged.content == Content::Data => {
                return self.take_data(index, &staged, now);
            }
            Arrived::Staged(staged) => {
                (self.take_adapter(index, &staged, now), staged.bytes as u64)
            }
        };
        match handed_over {
            Ok(()) => self.progress(origin, Stage::Loading, 0, bytes),
            Err(failure) => self.refuse_load(index, failure, now),
        }
    }

    /// Copies the verified file into this space of the region of adapters.
    fn unstage(&self, space: Space) {
        if let Some(files) = self.files.as_ref().map(F::get) {
            self.shelf.fill(space, |word| files.card.staged(word));
        }
    }

    /// Has inference load an adapter that was verified.
    fn take_adapter(&mut self, index: usize, staged: &Staged, now: u64) -> Result<(), Failure> {
        let room = self.shelf.room(&self.places)?;
        if staged.bytes > room.bytes {
            let (value, limit) = (staged.bytes as u64, room.bytes as u64);
            return Err(Failure::over(ErrorCode::AdapterRoom, value, limit));
        }
        let space = Space {
            bytes: staged.bytes,
            ..room
        };
        self.unstage(space);
        let adapter = Adapter {
            name: staged.name,
            source: Source::Device,
            offset: space.offset as u64,
            bytes: space.bytes as u64,
            sha256: staged.sha256,
            info: Default::default(),
            is_present: false,
        };
        self.hand_over_adapter(index, adapter, now)
    }

    /// Puts verified data at the end of the room for the adapter, and has inference train on them.
    fn take_data(&mut self, index: usize, staged: &Staged, now: u64) {
        let Some(tuning) = self.table.get_mut(index).and_then(InFlight::tuning_mut) else {
            return;
        };
        let Some((room, space)) = tuning.room.split_end(staged.bytes) else {
            let (value, limit) = (staged.bytes as u64, tuning.room.bytes as u64);
            let failure = Failure::over(ErrorCode::AdapterRoom, value, limit);
            return self.refuse_load(index, failure, now);
        };
        tuning.room = room;
        self.unstage(space);
        let data = Data {
            source: Source::Device,
            offset: space.offset as u64,
            bytes: space.bytes as u64,
            sha256: staged.sha256,
            line_feeds: staged.line_feeds,
        };
        self.begin_training(index, data, now);
    }
}
