//! Adapters and what makes them: which are loaded, which were made here, and a training that is under way.

use super::Stop;
use crate::store::ModelFile;
use protocol::adapters::{EXAMPLES_BYTES, REGION_BYTES};
use protocol::hash::Hash;
use protocol::name::ModelName;
use protocol::wire::engine::{Source, Trained};
use protocol::wire::{AdapterInfo, TrainParams, TrainProgress};
use sha2::{Digest as _, Sha256};

/// An adapter that inference was told to load.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// See there, as the others.
    pub name: ModelName,
    /// Where its file lies.
    pub source: Source,
    /// In it.
    pub offset: u64,
    /// Of the file.
    pub bytes: u64,
    /// Of the file.
    pub sha256: Hash,
    /// As inference has said.
    pub info: AdapterInfo,
    /// This life of inference has it.
    pub present: bool,
}

impl Placed {
    /// One of the store.
    #[must_use]
    pub fn of_store(file: &ModelFile) -> Self {
        Self {
            name: file.name,
            source: Source::Store,
            offset: file.offset,
            bytes: file.bytes,
            sha256: file.sha256,
            info: AdapterInfo::default(),
            present: false,
        }
    }

    /// One that was made here.
    #[must_use]
    pub fn made(made: &Made) -> Self {
        Self {
            name: made.name,
            source: Source::Device,
            offset: made.offset,
            bytes: made.file.len() as u64,
            sha256: made.sha256(),
            info: AdapterInfo::default(),
            present: false,
        }
    }
}

/// An adapter that was made here.
#[derive(Clone, Debug)]
pub struct Made {
    /// No other has it.
    pub id: u32,
    /// See there, as the others.
    pub name: ModelName,
    /// In the region.
    pub offset: u64,
    /// As inference has sent it.
    pub file: Vec<u8>,
    /// Of the model's file.
    pub base: Hash,
}

impl Made {
    /// Of its file.
    #[must_use]
    pub fn sha256(&self) -> Hash {
        Sha256::digest(&self.file).into()
    }
}

/// Where the next adapter may lie, and in how many bytes: the longest part of the region that nobody has, the last of two
/// that are equally long.
#[must_use]
pub fn room(made: &[Made]) -> (u64, u64) {
    let ends = made.iter().map(|made| made.offset + made.file.len() as u64);
    let begins = std::iter::once(EXAMPLES_BYTES as u64).chain(ends);
    let spaces = begins.map(|begin| {
        let next = made.iter().map(|made| made.offset);
        let next = next.filter(|at| *at >= begin).min();
        let begin = begin.next_multiple_of(64);
        (
            begin,
            next.unwrap_or(REGION_BYTES as u64).saturating_sub(begin),
        )
    });
    spaces.max_by_key(|(_, bytes)| *bytes).unwrap_or((0, 0))
}

/// How far a training has got.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Audit reads the data: of the store, in the place of its list, or the examples typed; so many bytes are done.
    Reading(Option<usize>, u64),
    /// Inference trains.
    Training,
    /// Audit hashes what came out; so many bytes are done.
    Signing(u64),
    /// Inference loads it into this place.
    Loading(u32),
}

/// Data that were read.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    /// See there, as the others.
    pub source: Source,
    /// In it.
    pub offset: u64,
    /// Of all.
    pub bytes: u64,
    /// Of all.
    pub sha256: Hash,
    /// In all.
    pub line_feeds: u64,
}

/// A fine-tuning.
#[derive(Clone, Debug)]
pub struct Tune {
    /// As asked for.
    pub params: TrainParams,
    /// What the adapter will be called.
    pub name: ModelName,
    /// Of the model's file.
    pub base: Hash,
    /// See there.
    pub stage: Stage,
    /// `None` while they are read.
    pub data: Option<Data>,
    /// In the region, and how long.
    pub room: (u64, u64),
    /// What has come of the file.
    pub file: Vec<u8>,
    /// See there.
    pub progress: Option<TrainProgress>,
    /// Its client has not heard of that.
    pub is_due: bool,
    /// When inference was asked.
    pub begun_us: u64,
    /// As inference has said at the end.
    pub trained: Trained,
    /// What it is as an adapter, when it is one.
    pub made: Option<u32>,
    /// By its user.
    pub cancelled: bool,
    /// See there.
    pub stop: Stop,
    /// What inference has said of its end counts for so much.
    pub cost: u64,
}

/// What telling how far a training is counts for in the egress cap.
pub const PROGRESS_COST: u64 = 28 + 8;

impl Tune {
    /// Inference has it.
    #[must_use]
    pub const fn is_with_inference(&self) -> bool {
        matches!(self.stage, Stage::Training | Stage::Loading(_))
    }

    /// Tokens that its data can have at most: a byte each, and three for each line, in every epoch.
    #[must_use]
    pub fn bound(&self) -> u64 {
        let data = self
            .data
            .map_or(0, |data| data.bytes + 3 * (data.line_feeds + 1));
        data * u64::from(self.params.epochs)
    }

    /// Whether inference may say that it is so far.
    #[must_use]
    pub fn may_be_at(&self, new: &TrainProgress) -> bool {
        let lines = self.data.map_or(0, |data| data.line_feeds + 1);
        let in_order = match &self.progress {
            None => new.step == 0 && new.tokens == 0,
            Some(last) => {
                (new.steps, new.longest, new.alone) == (last.steps, last.longest, last.alone)
                    && new.step >= last.step
                    && new.tokens >= last.tokens
            }
        };
        in_order
            && self.stage == Stage::Training
            && self.file.is_empty()
            && new.step <= new.steps
            && u64::from(new.steps) <= lines * u64::from(self.params.epochs)
            && new.tokens <= self.bound()
    }

    /// Whether inference may send this.
    #[must_use]
    pub fn may_send(&self, offset: u64, bytes: &[u8]) -> bool {
        self.stage == Stage::Training
            && self.progress.is_some()
            && !bytes.is_empty()
            && offset == self.file.len() as u64
            && offset.is_multiple_of(8)
            && offset + bytes.len() as u64 <= self.room.1
    }

    /// Whether inference may say that it is over.
    #[must_use]
    pub fn may_end(&self, trained: &Trained, is_late: bool) -> bool {
        let Some(last) = &self.progress else {
            return false;
        };
        let is_whole = trained.bytes > 0 && trained.bytes == self.file.len() as u64;
        let is_stopped = (self.cancelled || is_late) && trained.bytes == 0;
        self.stage == Stage::Training
            && (is_whole || is_stopped)
            && trained.tokens >= last.tokens
            && trained.tokens <= self.bound()
            && trained.steps >= last.step
            && trained.steps <= last.steps
    }
}
