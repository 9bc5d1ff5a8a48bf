//! Writing a new adapter to the disk: after it was signed and recorded, and before its client is told. It stays in
//! memory even if this fails.
//!
//! Inference has chosen its bytes, so they count towards the egress cap like those of an export. In a system without a
//! disk, the compiler drops all of this.

use super::Monitor;
use crate::egress::Egress;
use crate::files::{FilesEnd, Mount, NextSave, Owner, Saving};
use crate::table::{InFlight, NEVER_US, State};
use crate::tuning::Stage;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_PART_BYTES;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::wire::client;
use protocol::wire::files::{Answer, Ask};

impl<R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'_, R, W, F> {
    /// Starts writing the adapter of a fine-tuning to the disk; false if this system has none.
    pub(super) fn begin_saving(&mut self, index: usize, not_loaded: Option<ErrorCode>) -> bool {
        if self.files.is_none() {
            return false;
        }
        let Some(entry) = self.table.get_mut(index) else {
            return false;
        };
        let number = entry.number;
        let made = entry.tuning().and_then(|tuning| tuning.made);
        let Some(made) = made.and_then(|(id, _)| self.shelf.get(id)) else {
            return false;
        };
        // Inference is not involved any more.
        (entry.state, entry.deadline_us) = (State::Active, NEVER_US);
        if let Some(tuning) = entry.tuning_mut() {
            tuning.stage = Stage::Saving;
        }
        let name = (made.id, made.name);
        let saving = Saving::new(number, not_loaded, name, made.space.bytes, made.signature);
        if let Some(files) = self.want_disk() {
            files.card.saving = Some(saving);
        }
        true
    }

    /// Asks files the next question about an adapter being written. Inference has chosen its bytes, so they leave as
    /// the egress cap allows, and clients' events come first.
    pub(super) fn ask_saving(&mut self, now: u64) {
        let Some(files) = self.disk() else {
            return;
        };
        let Some(saving) = &files.card.saving else {
            return;
        };
        let id = saving.id;
        let unusable = match files.mount {
            Mount::Wanted | Mount::Asked => return,
            Mount::Mounted => files.link.failure(),
            Mount::Failed(failure) => Some(failure),
        };
        let next = match unusable.map_or_else(|| saving.next(), Err) {
            Ok(Some(next)) => next,
            Ok(None) => return,
            Err(failure) => return self.end_saving(Some(failure), now),
        };
        let mut part = 0;
        if let NextSave::Append(done) = next {
            let space = self.shelf.get(id).map(|made| made.space);
            let left = space.map_or(0, |space| space.bytes.saturating_sub(done));
            // Whole words, except for the last part.
            let most = self.egress.longest(MAX_PART_BYTES);
            part = left.min(most.saturating_sub(most % 8));
            if !self.may_pass(Egress::of_event(part), now) {
                return;
            }
        }
        let Self { files, shelf, .. } = self;
        let Some(files) = files.as_mut().map(F::get_mut) else {
            return;
        };
        let ask = match &next {
            NextSave::Open(path) => Ask::Open { path },
            NextSave::Create(path) => Ask::Create { path },
            NextSave::Signature(signature) => Ask::Append {
                offset: 0,
                bytes: signature,
            },
            NextSave::Append(done) => Ask::Append {
                offset: *done as u64,
                bytes: shelf.part(id, *done, part),
            },
            NextSave::Finish => Ask::Finish,
        };
        match files.link.ask(Owner::Save, &ask, now) {
            Ok(true) => {
                if let Some(saving) = &mut files.card.saving {
                    saving.await_answer(part);
                }
                if part > 0 {
                    self.egress.pass(Egress::of_event(part), now);
                }
            }
            Ok(false) => {}
            Err(failure) => self.end_saving(Some(failure), now),
        }
    }

    pub(super) fn hear_saving(&mut self, answer: Result<Answer<'_>, Failure>, now: u64) {
        let Some(saving) = self.disk().and_then(|files| files.card.saving.as_mut()) else {
            return;
        };
        let (number, heard) = (saving.number, saving.hear(answer));
        let (done, all) = saving.progress();
        match heard {
            Ok(true) => self.end_saving(None, now),
            Err(failure) => self.end_saving(Some(failure), now),
            Ok(false) => {
                let entry = self.table.iter().find(|entry| entry.number == number);
                if let Some(origin) = entry.map(|entry| entry.origin) {
                    self.progress(origin, client::Stage::Saving, done, all);
                }
            }
        }
    }

    /// An adapter was written, or could not be: records this and ends the fine-tuning.
    fn end_saving(&mut self, failure: Option<Failure>, now: u64) {
        let Some(saving) = self.disk().and_then(|files| files.card.saving.take()) else {
            return;
        };
        let is = |entry: &InFlight<'_>| {
            entry.number == saving.number && entry.running_tuning().is_some()
        };
        let Some(index) = self.table.find(is) else {
            return;
        };
        let name = saving.on_disk().unwrap_or_default();
        if let Some(entry) = self.table.get(index) {
            let (_, bytes) = saving.progress();
            let record = Record {
                name,
                code: failure.map_or(0, |failure| failure.code as u16),
                value: failure.map_or(bytes, |failure| failure.value),
                limit: failure.map_or(0, |failure| failure.limit),
                ..self.record_of(entry, Kind::Save, now)
            };
            self.record_about(index, record, now);
        }
        let saved = failure.map_or(Ok(name), Err);
        self.tell_tuned(index, saving.not_loaded, saved, now);
        // If its client is not told in this wake-up, it is in the next.
        self.work.goes_on();
    }
}
