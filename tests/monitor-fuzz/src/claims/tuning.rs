//! Fine-tuning: what audit reads, what inference may report, what is signed, and how it ends.

mod made;

use super::*;
use crate::model::{Data, ENTRY, Live, PROGRESS_COST, Phase, State, Stop};
use crate::model::{Stage, Tune, Work, room};
use protocol::adapters::EXAMPLES;
use protocol::error::{ErrorCode, Failure};
use protocol::limits::{MAX_DATA_BYTES, MAX_MADE};
use protocol::name::ModelName;
use protocol::policy::{DeviceKey, Permission};
use protocol::record::Kind;
use protocol::wire::TrainParams;
use protocol::wire::client::Training;
use protocol::wire::engine::{Command, Source, Trained};

/// Entries of the log that a fine-tuning can cause.
const TUNE_ENTRIES: u64 = 5;

/// Less room than this counts as no room.
const LEAST_ROOM: u64 = 4096;

impl Judge<'_> {
    pub(super) fn begins_tuning(
        &mut self,
        client: usize,
        id: u32,
        params: TrainParams,
        (data, adapter): (ModelName, ModelName),
    ) -> Result<(), Failure> {
        self.require(client, Permission::FineTune)?;
        self.require_running()?;
        self.require_new(client, id)?;
        self.has_place(client)?;
        params.check()?;
        let key = self.model.policy.map_or(DeviceKey::NONE, |p| p.device_key);
        if key == DeviceKey::NONE {
            return Err(Failure::of(ErrorCode::NoDeviceKey));
        }
        let no_model = Failure::of(ErrorCode::NoModel);
        let base = self.model.base().ok_or(no_model)?;
        self.is_settled()?;
        let name = self.is_called(data, adapter)?;
        let made = self.model.made.len();
        if made == MAX_MADE {
            let (value, limit) = (made as u64, MAX_MADE as u64);
            return Err(Failure::over(ErrorCode::TooManyAdapters, value, limit));
        }
        let room = room(&self.model.made);
        if room.1 < LEAST_ROOM {
            return Err(Failure::over(ErrorCode::AdapterRoom, LEAST_ROOM, room.1));
        }
        self.free_place()?;
        let (file, bytes) = match data.as_str() {
            EXAMPLES => (None, self.model.examples.0.len() as u64),
            _ => {
                let files = self.model.data;
                let at = self.model.find_file(files, data, ErrorCode::NoSuchData)?;
                (Some(at), files[at].bytes)
            }
        };
        let most = MAX_DATA_BYTES as u64;
        if bytes == 0 {
            return Err(Failure::of(ErrorCode::EmptyData));
        }
        if bytes > most {
            return Err(Failure::over(ErrorCode::DataTooLong, bytes, most));
        }
        let share = TUNE_ENTRIES * ENTRY;
        self.take_share(client, share)?;
        self.model.last_number += 1;
        let tune = Tune {
            params,
            name,
            base,
            stage: Stage::Reading(file, 0),
            data: None,
            room,
            file: Vec::new(),
            progress: None,
            is_due: false,
            begun_us: 0,
            trained: Trained::default(),
            made: None,
            cancelled: false,
            stop: Stop::No,
            cost: 0,
        };
        let live = Live {
            client: Some(client),
            id: Some(id),
            user: self.model.clients[client].user(),
            share,
            work: Work::Tune(Box::new(tune)),
            admitted_us: self.now,
            deadline_us: u64::MAX,
            state: State::Active,
        };
        self.model.live.insert(self.model.last_number, live);
        self.figures.trainings += 1;
        Ok(())
    }

    /// The name of the new adapter.
    fn is_called(&self, data: ModelName, adapter: ModelName) -> Result<ModelName, Failure> {
        let exists = Failure::of(ErrorCode::AdapterExists);
        let is_free = |name: &ModelName| !self.model.is_adapter(*name);
        if !adapter.is_empty() {
            return Some(adapter).filter(is_free).ok_or(exists);
        }
        let names = (1..10).filter_map(|number| match number {
            1 => Some(data),
            _ => ModelName::new(&format!("{data}-{number}")),
        });
        names.into_iter().find(is_free).ok_or(exists)
    }

    fn with_tune(&mut self, number: u32, change: impl FnOnce(&mut Tune)) {
        if let Some(tune) = self.model.live.get_mut(&number).and_then(Live::tune_mut) {
            change(tune);
        }
    }

    // ---- What audit does itself -----------------------------------------------------------------

    /// Audit reads more of the data, or hashes more of the result.
    pub(super) fn tuning_advances(&mut self) -> Held {
        let Some((number, tune)) = self.model.tune() else {
            return Ok(());
        };
        let tune = tune.clone();
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(());
        };
        match tune.stage {
            Stage::Reading(Some(at), done) => {
                let file = &self.model.data[at];
                if !self.is_verified_on(number, &live, file, done, live.work.clone())? {
                    return Ok(());
                }
                if !self.is_good(file) || file.by_device {
                    return self.reading_fails(number, Failure::of(ErrorCode::BadSignature));
                }
                let data = Data {
                    source: Source::Store,
                    offset: file.offset,
                    bytes: file.bytes,
                    sha256: file.sha256,
                    line_feeds: file.line_feeds,
                };
                self.training_begins(number, data)
            }
            Stage::Reading(None, done) => {
                let examples = self.model.examples.0.clone();
                let done = self.reads_on(examples.len() as u64, done);
                self.with_tune(number, |tune| tune.stage = Stage::Reading(None, done));
                if done < examples.len() as u64 {
                    return Ok(());
                }
                let data = Data {
                    source: Source::Device,
                    offset: 0,
                    bytes: done,
                    sha256: Sha256::digest(&examples).into(),
                    line_feeds: examples.iter().filter(|b| **b == b'\n').count() as u64,
                };
                self.training_begins(number, data)
            }
            Stage::Signing(done) => {
                let done = self.reads_on(tune.file.len() as u64, done);
                self.with_tune(number, |tune| tune.stage = Stage::Signing(done));
                match done < tune.file.len() as u64 {
                    true => Ok(()),
                    false => self.is_signed(number, &tune, &live),
                }
            }
            Stage::Training | Stage::Loading(_) => Ok(()),
        }
    }

    /// Audit reads as much of the region as the wake-up's work allows, in whole words except at the end.
    fn reads_on(&mut self, bytes: u64, done: u64) -> u64 {
        let (left, work) = (bytes - done, self.work as u64);
        let slice = match work >= left {
            true => left,
            false => work - work % 8,
        };
        self.works(slice as usize);
        done + slice
    }

    fn training_begins(&mut self, number: u32, data: Data) -> Held {
        self.with_tune(number, |tune| tune.data = Some(data));
        let Some(live) = self.model.live.get(&number).cloned() else {
            return Ok(());
        };
        let (Some(tune), client) = (live.tune(), live.client.unwrap_or(0)) else {
            return Ok(());
        };
        let (now, most) = (self.now, tune.bound());
        let allowed = self.require_running().and_then(|()| {
            if self.model.phase != Phase::Serving {
                return Err(Failure::of(ErrorCode::ModelInUse));
            }
            if self.model.base() != Some(tune.base) {
                return Err(Failure::of(ErrorCode::NoModel));
            }
            self.has_room(client)
        });
        let allowed = allowed.and_then(|()| {
            let Some(ledger) = self.model.ledgers.get_mut(live.user) else {
                return Ok(());
            };
            ledger.roll(now);
            match ledger.left() {
                left if most > left => Err(Failure::over(ErrorCode::QuotaExceeded, most, left)),
                _ => Ok(()),
            }
        });
        if let Err(failure) = allowed {
            return self.reading_fails(number, failure);
        }
        if let Some(ledger) = self.model.ledgers.get_mut(live.user) {
            ledger.reserve(number, most);
        }
        let command = Command::Train {
            params: tune.params,
            source: data.source,
            offset: data.offset,
            bytes: data.bytes,
            base: tune.base,
            room: tune.room.1,
        };
        self.commands(live.client, number, &command, Claim::Models)?;
        let allowed_us = self.model.policy.map_or(0, |p| p.train_deadline_us);
        if let Some(live) = self.model.live.get_mut(&number) {
            (live.admitted_us, live.deadline_us) = (now, now + allowed_us);
        }
        self.with_tune(number, |tune| {
            tune.stage = Stage::Training;
            tune.begun_us = now;
        });
        let (record, _) = self.record_of(Kind::Tune, number)?;
        claim!(
            self,
            Log,
            record.value == most && record.code == data.source as u16,
            "{record:?} for {data:?}, at most {most}"
        );
        Ok(())
    }

    // ---- What its client is told ----------------------------------------------------------------

    /// The progress of the fine-tuning.
    pub(super) fn training_now(&self, tune: &Tune) -> Training {
        Training {
            progress: tune.progress.unwrap_or_default(),
            elapsed_us: match tune.begun_us {
                0 => 0,
                begun => self.now - begun,
            },
        }
    }

    /// A client is told the newest progress of its fine-tuning, once.
    pub(super) fn training_is_told(&mut self, client: usize, id: u32, told: &Training) -> Held {
        let found = self.model.tune().filter(|(number, tune)| {
            let live = &self.model.live[number];
            tune.is_due && (live.client, live.id) == (Some(client), Some(id))
        });
        let expected = found.map(|(number, tune)| (number, self.training_now(tune)));
        let right = expected.is_some_and(|(_, expected)| expected == *told);
        claim!(
            self,
            Answers,
            right,
            "client {client} is told {told:?} of {id}, instead of {expected:?}"
        );
        let Some((number, _)) = expected else {
            return Ok(());
        };
        self.with_tune(number, |tune| tune.is_due = false);
        self.passes(client, number, PROGRESS_COST)
    }
}
