//! Adapters: those loaded, those made here, and the training in progress.

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
    /// Its name.
    pub name: ModelName,
    /// Where its file is.
    pub source: Source,
    /// Offset in the source.
    pub offset: u64,
    /// Size of the file.
    pub bytes: u64,
    /// SHA-256 of the file.
    pub sha256: Hash,
    /// Its description, as reported by inference.
    pub info: AdapterInfo,
    /// Whether the current run of inference has it.
    pub present: bool,
}

impl Placed {
    /// An adapter of the store.
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

    /// An adapter made here.
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
    /// Its number, which is unique.
    pub id: u32,
    /// Its name.
    pub name: ModelName,
    /// Offset in the region.
    pub offset: u64,
    /// The bytes that inference has sent.
    pub file: Vec<u8>,
    /// SHA-256 of the model's file.
    pub base: Hash,
}

impl Made {
    /// SHA-256 of its file.
    #[must_use]
    pub fn sha256(&self) -> Hash {
        Sha256::digest(&self.file).into()
    }
}

/// The place of the next adapter, and its length: the longest free part of the region, or the last of several that are
/// equally long.
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

/// Progress of a training.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Audit reads the data: this file of the store's list, or the typed examples. Also the bytes done.
    Reading(Option<usize>, u64),
    /// Inference trains.
    Training,
    /// Audit hashes the adapter. Also the bytes done.
    Signing(u64),
    /// Inference loads the adapter into this place.
    Loading(u32),
}

/// Training data that were read.
#[derive(Clone, Copy, Debug)]
pub struct Data {
    /// Where they are.
    pub source: Source,
    /// Offset in the source.
    pub offset: u64,
    /// Size of all data.
    pub bytes: u64,
    /// SHA-256 of all data.
    pub sha256: Hash,
    /// Number of line feeds.
    pub line_feeds: u64,
}

/// A fine-tuning.
#[derive(Clone, Debug)]
pub struct Tune {
    /// The parameters of the request.
    pub params: TrainParams,
    /// Name of the new adapter.
    pub name: ModelName,
    /// SHA-256 of the model's file.
    pub base: Hash,
    /// Its stage.
    pub stage: Stage,
    /// The data; `None` while they are being read.
    pub data: Option<Data>,
    /// The adapter's place in the region: offset and length.
    pub room: (u64, u64),
    /// The part of the file received so far.
    pub file: Vec<u8>,
    /// The latest progress.
    pub progress: Option<TrainProgress>,
    /// Whether its client has yet to be told the progress.
    pub is_due: bool,
    /// When inference was asked to train.
    pub begun_us: u64,
    /// Inference's report at the end.
    pub trained: Trained,
    /// Its number as an adapter, once it is complete.
    pub made: Option<u32>,
    /// Whether its user has cancelled it.
    pub cancelled: bool,
    /// Whether inference was asked to stop it.
    pub stop: Stop,
    /// The cost of inference's report on its end under the egress cap.
    pub cost: u64,
}

/// The cost of reporting a training's progress under the egress cap.
pub const PROGRESS_COST: u64 = 28 + 8;

impl Tune {
    /// Whether inference is working on it.
    #[must_use]
    pub const fn is_with_inference(&self) -> bool {
        matches!(self.stage, Stage::Training | Stage::Loading(_))
    }

    /// Limit of the tokens in its data: one per byte and three per line, in every epoch.
    #[must_use]
    pub fn bound(&self) -> u64 {
        let data = self
            .data
            .map_or(0, |data| data.bytes + 3 * (data.line_feeds + 1));
        data * u64::from(self.params.epochs)
    }

    /// Whether inference may report this progress.
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

    /// Whether inference may send this part.
    #[must_use]
    pub fn may_send(&self, offset: u64, bytes: &[u8]) -> bool {
        self.stage == Stage::Training
            && self.progress.is_some()
            && !bytes.is_empty()
            && offset == self.file.len() as u64
            && offset.is_multiple_of(8)
            && offset + bytes.len() as u64 <= self.room.1
    }

    /// Whether inference may report this end.
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
