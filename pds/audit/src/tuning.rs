//! What is known of a fine-tuning that is under way.
//!
//! Audit reads the data, inference trains, audit hashes and signs what came out, inference loads it. The rule: inference is
//! believed no number that its data do not allow, and nothing of an adapter is used before all of it is there and signed.

use crate::models::Verification;
use crate::places::Adapter;
use crate::quota::Reservation;
use crate::shelf::Space;
use crate::table::Stop;
use protocol::adapters::EXAMPLES;
use protocol::name::ModelName;
use protocol::record::{Hash, Record};
use protocol::wire::engine::{Source, Trained};
use protocol::wire::{TrainParams, TrainProgress};
use sha2::Sha256;

/// How far it has got.
#[derive(Clone, Debug)]
pub(crate) enum Stage<'m> {
    /// Audit verifies data of the store, or of the disk.
    Data(Verification<'m>),
    /// Audit hashes the examples typed.
    Examples(Reading),
    /// Inference trains.
    Training,
    /// Audit hashes what came out.
    Signing(Reading),
    /// Inference loads what came out, into this place.
    Loading(usize, Adapter),
    /// Audit writes what came out to the disk.
    Saving,
}

/// A part of the region that is being hashed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reading {
    pub(crate) hasher: Sha256,
    pub(crate) done: usize,
    pub(crate) line_feeds: u64,
}

/// Data that have been read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data {
    pub(crate) source: Source,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: Hash,
    pub(crate) line_feeds: u64,
}

/// Inference has said what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Untrue;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Tuning<'m> {
    pub(crate) params: TrainParams,
    /// What the adapter will be called.
    pub(crate) name: ModelName,
    /// SHA-256 of the model's file.
    pub(crate) base: Hash,
    /// Version of the arithmetic that inference trains in, without which nobody can repeat it.
    pub(crate) numerics: u32,
    pub(crate) stage: Stage<'m>,
    pub(crate) data: Option<Data>,
    pub(crate) reservation: Option<Reservation>,
    /// Where the adapter's file comes to lie.
    pub(crate) room: Space,
    /// Bytes of it that have come.
    pub(crate) received: usize,
    pub(crate) progress: Option<TrainProgress>,
    /// Its client has not been told of the newest progress.
    pub(crate) is_progress_due: bool,
    /// Bytes that telling it counts for in the egress cap.
    pub(crate) progress_bytes: u64,
    /// When inference was asked.
    pub(crate) begun_us: u64,
    /// What inference has said at its end.
    pub(crate) trained: Trained,
    /// What came out, as it is kept.
    pub(crate) made: Option<(u32, Hash)>,
    pub(crate) cancelled: bool,
    pub(crate) stop: Stop,
    /// Bytes that what inference has said of its end counts for in the egress cap.
    pub(crate) end_bytes: u64,
}

impl<'m> Tuning<'m> {
    /// One whose data are to be read.
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

    /// Whether inference has it; otherwise audit works on it.
    pub(crate) const fn is_with_inference(&self) -> bool {
        matches!(self.stage, Stage::Training | Stage::Loading(..))
    }

    pub(crate) const fn is_training(&self) -> bool {
        matches!(self.stage, Stage::Training)
    }

    /// Whether inference leaves requests for text waiting because of it.
    pub(crate) fn is_alone(&self) -> bool {
        let said = self.progress.is_some_and(|progress| progress.alone);
        self.is_training() && said
    }

    /// Most tokens that its data allow.
    pub(crate) fn most_tokens(&self) -> u64 {
        self.data.map_or(0, |data| {
            self.params.most_tokens(data.bytes, data.line_feeds)
        })
    }

    /// Inference says how far it is.
    ///
    /// # Errors
    /// That cannot be.
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

    /// Whether a part that inference sends belongs there.
    pub(crate) fn expects_part(&self, offset: u64, bytes: usize) -> bool {
        self.is_training() && self.progress.is_some() && bytes > 0 && offset == self.received as u64
    }

    /// Inference says that it is over. Whether there is an adapter, which nobody wants to do without.
    ///
    /// # Errors
    /// That cannot be. `is_late`: it was asked to stop because of its deadline.
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

    /// What it is about: the data, as long as audit reads them.
    pub(crate) fn about(&self) -> ModelName {
        match &self.stage {
            Stage::Data(verification) => verification.name(),
            Stage::Examples(_) => ModelName::new(EXAMPLES).unwrap_or_default(),
            Stage::Training | Stage::Signing(_) | Stage::Loading(..) | Stage::Saving => self.name,
        }
    }

    /// Adds what is known of it to a record.
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
