//! A fine-tuning in progress.
//!
//! Audit reads the data, inference trains, audit hashes and signs the adapter, and inference loads it. The rule: audit
//! believes no number from inference that the data do not allow, and uses nothing of an adapter before all of it has
//! arrived and is signed.

use crate::generation::Stop;
use crate::models::Verification;
use crate::places::Adapter;
use crate::quota::Reservation;
use crate::space::Space;
use protocol::adapters::EXAMPLES;
use protocol::hash::Hash;
use protocol::name::ModelName;
use protocol::record::Record;
use protocol::wire::engine::{Source, Trained};
use protocol::wire::{TrainParams, TrainProgress};
use sha2::Sha256;

/// The stages of a fine-tuning.
#[derive(Clone, Debug)]
pub(crate) enum Stage<'m> {
    /// Audit is verifying data of the store or the disk.
    Data(Verification<'m>),
    /// Audit is hashing the examples that were typed.
    Examples(Reading),
    /// Inference is training.
    Training,
    /// Audit is hashing the adapter.
    Signing(Reading),
    /// Inference is loading the adapter into this place.
    Loading(usize, Adapter),
    /// Audit is writing the adapter to the disk.
    Saving,
}

/// A part of the region that is being hashed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) hasher: Sha256,
    pub(crate) done: usize,
    pub(crate) line_feeds: u64,
}

/// Training data that audit has read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data {
    pub(crate) source: Source,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: Hash,
    pub(crate) line_feeds: u64,
}

/// Inference has reported something impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Untrue;

/// A fine-tuning in progress; see the module.
#[derive(Clone, Debug)]
pub(crate) struct Tuning<'m> {
    pub(crate) params: TrainParams,
    /// Name of the adapter.
    pub(crate) name: ModelName,
    /// SHA-256 of the model's file.
    pub(crate) base: Hash,
    /// Version of the arithmetic of inference, which is needed to repeat the training.
    pub(crate) numerics: u32,
    pub(crate) stage: Stage<'m>,
    pub(crate) data: Option<Data>,
    pub(crate) reservation: Option<Reservation>,
    /// The space for the adapter's file.
    pub(crate) room: Space,
    /// Bytes of the file received so far.
    pub(crate) received: usize,
    pub(crate) progress: Option<TrainProgress>,
    /// Whether its client has yet to be told of the newest progress.
    pub(crate) is_progress_due: bool,
    /// Bytes by which a report of progress counts towards the egress cap.
    pub(crate) progress_bytes: u64,
    /// When inference was asked to train.
    pub(crate) begun_us: u64,
    /// The report of inference at the end of the training.
    pub(crate) trained: Trained,
    /// The adapter, as it is kept.
    pub(crate) made: Option<(u32, Hash)>,
    pub(crate) cancelled: bool,
    pub(crate) stop: Stop,
    /// Bytes by which that report counts towards the egress cap.
    pub(crate) end_bytes: u64,
}

impl<'m> Tuning<'m> {
    /// A fine-tuning whose data have yet to be read.
    pub(crate) fn new(
        params: TrainParams,
        name: ModelName,
        (base, numerics): (Hash, u32),
        room: Space,
        stage: Stage<'m>,
    ) -> Self {
        Self {
            params,
            name,
            base,
            numerics,
            stage,
            data: None,
            reservation: None,
            room,
            received: 0,
            progress: None,
            is_progress_due: false,
            progress_bytes: 0,
            begun_us: 0,
            trained: Trained::default(),
            made: None,
            cancelled: false,
            stop: Stop::No,
            end_bytes: 0,
        }
    }

    /// Whether inference is working on it; otherwise audit is.
    pub(crate) const fn is_with_inference(&self) -> bool {
        matches!(self.stage, Stage::Training | Stage::Loading(..))
    }

    pub(crate) const fn is_training(&self) -> bool {
        matches!(self.stage, Stage::Training)
    }

    /// Whether requests for text wait in inference until it ends.
    pub(crate) fn is_alone(&self) -> bool {
        let said = self.progress.is_some_and(|progress| progress.alone);
        self.is_training() && said
    }

    /// Upper bound on its tokens, from its data.
    pub(crate) fn most_tokens(&self) -> u64 {
        self.data.map_or(0, |data| {
            self.params.most_tokens(data.bytes, data.line_feeds)
        })
    }

    /// Takes a report of progress from inference.
    ///
    /// # Errors
    /// The report is impossible.
    pub(crate) fn advance(&mut self, new: TrainProgress) -> Result<(), Untrue> {
        let lines = self
            .data
            .map_or(0, |data| data.line_feeds.saturating_add(1));
        let most_steps = lines.saturating_mul(u64::from(self.params.epochs));
        let follows = match self.progress {
            None => new.step == 0 && new.tokens == 0,
            Some(last) => {
                let plan = |it: TrainProgress| (it.steps, it.longest, it.alone);
                plan(new) == plan(last) && new.step >= last.step && new.tokens >= last.tokens
            }
        };
        let can_be = self.is_training()
            && self.received == 0
            && follows
            && new.step <= new.steps
            && u64::from(new.steps) <= most_steps
            && new.tokens <= self.most_tokens();
        if !can_be {
            return Err(Untrue);
        }
        self.progress = Some(new);
        self.is_progress_due = true;
        Ok(())
    }

    /// Whether a part of the file that inference sends is the next one.
    pub(crate) fn expects_part(&self, offset: u64, bytes: usize) -> bool {
        self.is_training() && self.progress.is_some() && bytes > 0 && offset == self.received as u64
    }

    /// Takes the report that the training is over. Returns whether there is an adapter to keep.
    ///
    /// # Errors
    /// The report is impossible. `is_late` says that inference was asked to stop because of the deadline.
    pub(crate) fn conclude(&mut self, trained: Trained, is_late: bool) -> Result<bool, Untrue> {
        let last = self.progress.filter(|_| self.is_training()).ok_or(Untrue)?;
        let is_to_stop = self.cancelled || is_late;
        let is_whole = trained.bytes > 0 && trained.bytes == self.received as u64;
        let can_be = (last.tokens..=self.most_tokens()).contains(&trained.tokens)
            && (last.step..=last.steps).contains(&trained.steps)
            && (is_whole || is_to_stop && trained.bytes == 0);
        if !can_be {
            return Err(Untrue);
        }
        self.trained = trained;
        Ok(is_whole && !is_to_stop)
    }

    /// Its subject: the data while audit reads them, afterwards the adapter.
    pub(crate) fn about(&self) -> ModelName {
        match &self.stage {
            Stage::Data(verification) => verification.name(),
            Stage::Examples(_) => ModelName::new(EXAMPLES).unwrap_or_default(),
            Stage::Training | Stage::Signing(_) | Stage::Loading(..) | Stage::Saving => self.name,
        }
    }

    /// Fills in the fields of a record.
    pub(crate) fn describe(&self, record: &mut Record) {
        record.name = self.name;
        record.train = self.params;
        record.model_sha256 = self.base;
        record.numerics = self.numerics;
        if let Some(data) = &self.data {
            record.prompt_sha256 = data.sha256;
            record.prompt_bytes = u32::try_from(data.bytes).unwrap_or(u32::MAX);
        }
        if let Some((_, sha256)) = self.made {
            record.adapter_sha256 = sha256;
        }
    }
}
