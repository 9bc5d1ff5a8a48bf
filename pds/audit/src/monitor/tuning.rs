//! Fine-tuning: audit reads the data, inference trains, audit signs the result, inference loads it.
//!
//! There is one at a time. Before inference is told of it, tokens are reserved for the most that the data can contain.
//! The result is signed and on record before it is loaded, and loaded before the client is told.

mod ends;
mod making;

use super::Monitor;
use super::adapters::FROM_DISK;
use super::reports::Breach;
use crate::files::{FilesEnd, name_off_disk};
use crate::link::Phase;
use crate::models::Models;
use crate::shares::ENTRY;
use crate::space::Space;
use crate::table::{InFlight, NEVER_US, Origin, State, Work};
use crate::tuning::{Data, Reading, Stage, Tuning};
use protocol::adapters::EXAMPLES;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::MAX_DATA_BYTES;
use protocol::name::ModelName;
use protocol::policy::Permission;
use protocol::record::{Kind, Record};
use protocol::region::{ReadWords, WriteWords};
use protocol::store::Content;
use protocol::wire::client;
use protocol::wire::engine::{self, Source};
use protocol::wire::{TrainParams, TrainProgress};
use sha2::Digest as _;

/// Entries of the log that a fine-tuning can cause: its admission, a cancel, a timeout, its end, a load; with a disk,
/// also its writing there.
const TUNE_ENTRIES: u64 = 5;

/// Number of names tried for an adapter that its user does not name: that of the data, and that with a number.
const NAMES: u8 = 9;

impl<'m, R: ReadWords, W: WriteWords, F: FilesEnd<R, W>> Monitor<'m, R, W, F> {
    /// A user asks for a fine-tuning.
    pub(super) fn fine_tune(
        &mut self,
        client: usize,
        id: u32,
        params: TrainParams,
        (data, adapter): (ModelName, ModelName),
        now: u64,
    ) -> Result<(), Failure> {
        let user = self.clients.user(client);
        self.gate.access.require(user, Permission::FineTune)?;
        self.link.require_running(self.gate.policy())?;
        self.require_new(client, id)?;
        self.require_place(client)?;
        params.check()?;
        if !self.device.can_sign() {
            return Err(Failure::of(ErrorCode::NoDeviceKey));
        }
        let no_model = Failure::of(ErrorCode::NoModel);
        let current = self.link.current.ok_or(no_model)?;
        let base = (current.verified.sha256, current.loaded.numerics);
        self.require_settled()?;
        let name = self.name_of_adapter(data, adapter)?;
        let room = self.shelf.room_to_make(&self.places)?;
        // The result will be loaded, so it needs a place.
        self.places.free()?;
        let stage = self.data(data)?;
        let entries = TUNE_ENTRIES.saturating_add(u64::from(self.files.is_some()));
        let share = entries.saturating_mul(ENTRY);
        self.ledger.take_share(user, share, now)?;
        let number = self.table.next_number();
        if self.is_of_disk(data) {
            self.begin_reading(number, Content::Data, data, 0);
        }
        self.table.enter(InFlight {
            origin: Origin::Client { client, id },
            user,
            number,
            work: Work::Tune(Tuning::new(params, name, base, room, stage)),
            state: State::Active,
            share,
            end_bytes: 0,
            admitted_us: now,
            deadline_us: NEVER_US,
        });
        Ok(())
    }

    /// The name of the new adapter.
    fn name_of_adapter(&self, data: ModelName, name: ModelName) -> Result<ModelName, Failure> {
        let exists = Failure::of(ErrorCode::AdapterExists);
        // New adapters are kept in memory; only their files on the disk have the prefix.
        let (data, name) = match self.files {
            Some(_) => (name_off_disk(data), name_off_disk(name)),
            None => (data, name),
        };
        if !name.is_empty() {
            return match self.is_adapter(name) {
                true => Err(exists),
                false => Ok(name),
            };
        }
        let numbered = |number: u8| {
            let ending = [b'-', b'0'.saturating_add(number)];
            let ending = match number {
                1 => &[],
                _ => &ending[..],
            };
            data.followed_by(ending)
        };
        let mut names = (1..=NAMES).filter_map(numbered);
        names.find(|name| !self.is_adapter(*name)).ok_or(exists)
    }

    /// The data with this name, which audit has yet to read.
    fn data(&self, name: ModelName) -> Result<Stage<'m>, Failure> {
        let (stage, bytes) = match name.as_str() {
            EXAMPLES => {
                let bytes = self.shelf.examples().bytes as u64;
                (Stage::Examples(Reading::default()), bytes)
            }
            // Their size is known only when the file is opened.
            _ if self.is_of_disk(name) => {
                return Ok(Stage::Data(Models::begin_elsewhere(Content::Data, name)));
            }
            _ => {
                let verification = self.models.begin_item(Content::Data, name)?;
                let (_, bytes) = verification.progress();
                (Stage::Data(verification), bytes)
            }
        };
        let limit = MAX_DATA_BYTES as u64;
        match bytes {
            0 => Err(Failure::of(ErrorCode::EmptyData)),
            bytes if bytes > limit => Err(Failure::over(ErrorCode::DataTooLong, bytes, limit)),
            _ => Ok(stage),
        }
    }

    /// Whether a training leaves inference no memory for other requests.
    pub(super) fn is_training_alone(&self) -> bool {
        let mut tunings = self.table.iter().filter_map(InFlight::running_tuning);
        tunings.any(Tuning::is_alone)
    }

    /// The fine-tuning in progress, for a client that asks for the status: the name of the adapter, and how far it has
    /// got.
    pub(super) fn describe_tuning(&self, now: u64) -> Option<(ModelName, client::Training)> {
        let mut tunings = self.table.iter().filter_map(InFlight::running_tuning);
        let tuning = tunings.next()?;
        Some((tuning.name, training(tuning, now)))
    }

    // ---- What audit does itself -----------------------------------------------------------------

    /// Reads the next slice of the data of a fine-tuning, or hashes the next slice of its result.
    pub(super) fn advance_tuning(&mut self, now: u64) {
        let is = |entry: &InFlight<'_>| {
            let tuning = entry.running_tuning();
            tuning.is_some_and(|tuning| !tuning.is_with_inference())
        };
        let Some(index) = self.table.find(is) else {
            return;
        };
        if self.is_read_from_disk(index) {
            return self.advance_reading(index, now);
        }
        let Self {
            table,
            models,
            gate,
            device,
            shelf,
            work,
            ..
        } = self;
        let Some(entry) = table.get_mut(index) else {
            return;
        };
        let origin = entry.origin;
        let Some(tuning) = entry.tuning_mut() else {
            return;
        };
        let made = Space {
            bytes: tuning.received,
            ..tuning.room
        };
        match &mut tuning.stage {
            Stage::Data(verification) => {
                let result = models.step(verification, gate.policy(), device, work.left());
                let (done, total) = verification.progress();
                match result {
                    None => {
                        work.goes_on();
                        self.progress(origin, client::Stage::Verifying, done, total);
                    }
                    Some(Err(failure)) => self.refuse_load(index, failure, now),
                    Some(Ok(verified)) => {
                        let data = Data {
                            source: Source::Store,
                            offset: verified.offset,
                            bytes: verified.bytes,
                            sha256: verified.sha256,
                            line_feeds: verified.line_feeds,
                        };
                        self.begin_training(index, data, now);
                    }
                }
            }
            Stage::Examples(reading) => {
                let space = shelf.examples();
                if !read_on(shelf, space, reading, work.left()) {
                    return work.goes_on();
                }
                let data = Data {
                    source: Source::Device,
                    offset: space.offset as u64,
                    bytes: space.bytes as u64,
                    sha256: reading.hasher.finalize_reset().into(),
                    line_feeds: reading.line_feeds,
                };
                self.begin_training(index, data, now);
            }
            Stage::Signing(reading) => {
                if !read_on(shelf, made, reading, work.left()) {
                    return work.goes_on();
                }
                let sha256 = reading.hasher.finalize_reset().into();
                self.sign(index, made, sha256, now);
            }
            Stage::Training | Stage::Loading(..) | Stage::Saving => {}
        }
    }

    /// The data have been read: reserves the most that they can cost, and has inference train.
    pub(super) fn begin_training(&mut self, index: usize, data: Data, now: u64) {
        if let Err(failure) = self.admit_training(index, data, now) {
            self.refuse_load(index, failure, now);
        }
    }

    fn admit_training(&mut self, index: usize, data: Data, now: u64) -> Result<(), Failure> {
        // Inference may have been restarted meanwhile.
        self.link.require_running(self.gate.policy())?;
        if self.link.phase != Phase::Serving {
            return Err(Failure::of(ErrorCode::ModelInUse));
        }
        self.require_log()?;
        let current = self.link.current.map(|current| current.verified.sha256);
        let Some(entry) = self.table.get_mut(index) else {
            return Ok(());
        };
        let (client, user, number) = (entry.client(), entry.user, entry.number);
        let Some(tuning) = entry.tuning_mut() else {
            return Ok(());
        };
        if current != Some(tuning.base) {
            return Err(Failure::of(ErrorCode::NoModel));
        }
        let from_disk =
            matches!(&tuning.stage, Stage::Data(verification) if verification.is_elsewhere());
        tuning.data = Some(data);
        let most = tuning.most_tokens();
        let command = engine::Command::Train {
            params: tuning.params,
            source: data.source,
            offset: data.offset,
            bytes: data.bytes,
            base: tuning.base,
            room: tuning.room.bytes as u64,
        };
        if let Some(client) = client {
            self.require_room(client)?;
        }
        let reservation = self.gate.accounts.reserve(user, most, now);
        let reservation =
            reservation.map_err(|left| Failure::over(ErrorCode::QuotaExceeded, most, left))?;
        self.send_admitted(client, number, &command);
        let deadline_us = now.saturating_add(self.gate.policy().train_deadline_us);
        let Some(entry) = self.table.get_mut(index) else {
            return Ok(());
        };
        entry.admitted_us = now;
        entry.deadline_us = deadline_us;
        if let Some(tuning) = entry.tuning_mut() {
            tuning.stage = Stage::Training;
            tuning.reservation = Some(reservation);
            tuning.begun_us = now;
        }
        if let Some(entry) = self.table.get(index) {
            let record = Record {
                value: most,
                code: match from_disk {
                    true => FROM_DISK,
                    false => data.source as u16,
                },
                ..self.record_of(entry, Kind::Tune, now)
            };
            self.record_about(index, record, now);
            self.note_admitted(number);
        }
        Ok(())
    }

    // ---- What inference says --------------------------------------------------------------------

    /// Inference reports the progress of a training.
    pub(super) fn training_goes_on(
        &mut self,
        index: usize,
        progress: TrainProgress,
        bytes: u64,
    ) -> Result<(), Breach> {
        let entry = self.table.get_mut(index).ok_or(Breach)?;
        let tuning = entry.tuning_mut().ok_or(Breach)?;
        tuning.progress_bytes = bytes;
        tuning.advance(progress).map_err(|_| Breach)
    }

    // ---- Its end --------------------------------------------------------------------------------

    /// The progress of a client's fine-tuning, if the client has yet to be told.
    pub(super) fn due_training(&self, index: usize, now: u64) -> Option<client::Training> {
        let tuning = self.table.get(index)?.progress_due()?;
        Some(training(tuning, now))
    }
}

fn training(tuning: &Tuning<'_>, now: u64) -> client::Training {
    let is_begun = tuning.begun_us > 0;
    client::Training {
        progress: tuning.progress.unwrap_or_default(),
        elapsed_us: match is_begun {
            true => now.saturating_sub(tuning.begun_us),
            false => 0,
        },
    }
}

/// Hashes the next slice of a part of the region; true when it is complete.
fn read_on<W: WriteWords>(
    shelf: &mut crate::shelf::Shelf<W>,
    space: Space,
    reading: &mut Reading,
    budget: &mut usize,
) -> bool {
    let (done, line_feeds) = shelf.hash(space, reading.done, &mut reading.hasher, budget);
    reading.done = done;
    reading.line_feeds = reading.line_feeds.saturating_add(line_feeds);
    done >= space.bytes
}
