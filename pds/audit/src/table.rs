//! The requests in flight: admitted, and their clients not yet told how they ended.
//!
//! The rule: a request is entered once, complete, and leaves in one place ([`Table::remove`]), when its client has been
//! told. Text that its client has not taken yet is in the request's own buffer, which credit keeps from overflowing.

use crate::answer::Words;
use crate::generation::{Generation, Stop};
use crate::models::{Verification, Verified};
use crate::places::Adapter;
use crate::tuning::{Stage, Tuning};
use protocol::error::Failure;
use protocol::limits::{MAX_PIECE_BYTES, MAX_REQUESTS};
use protocol::name::ModelName;
use protocol::wire::client::{Event, Finished, Tuned};
use protocol::wire::engine::Holdings;
use protocol::wire::{AdapterInfo, ModelInfo};
use texts::bit;

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) enum Work<'m> {
    /// Text.
    Infer(Generation<'m>),
    /// A model that audit is verifying; inference does not know of it yet.
    Verify(Verification<'m>),
    /// A model that inference is loading.
    Load(Verified),
    /// A question about the state of inference.
    Status,
    /// An adapter that audit is verifying; inference does not know of it yet.
    VerifyAdapter(Verification<'m>),
    /// An adapter that inference is loading into this place.
    Adapter(usize, Adapter),
    /// A fine-tuning.
    Tune(Tuning<'m>),
}

/// The text of a failure, in the words of inference.
pub(crate) type Detail = heapless::Vec<u8, MAX_PIECE_BYTES>;

/// The last event of a request.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Finished(Finished),
    Failed { failure: Failure, detail: Detail },
    Loaded { name: ModelName, info: ModelInfo },
    Status(Holdings),
    AdapterLoaded { name: ModelName, info: AdapterInfo },
    Tuned(Tuned),
}

impl End {
    /// A failure found by audit, about the model or user of this name.
    pub(crate) fn failed(failure: Failure, about: &str) -> Self {
        // Names are shorter than a detail may be.
        let detail = Detail::from_slice(about.as_bytes()).unwrap_or_default();
        Self::Failed { failure, detail }
    }
}

/// The state of a request.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to box it in")]
pub(crate) enum State {
    /// Inference or audit is working on it.
    Active,
    /// Its deadline has passed. If inference was asked to stop it, it is restarted at this time.
    Late {
        /// In microseconds. `None` if inference's ring had no room to ask it: then no time runs.
        until_us: Option<u64>,
    },
    /// It has ended. Its client is told so after it has taken all the text.
    Ended(End),
}

/// The deadline of work without one.
pub(crate) const NEVER_US: u64 = u64::MAX;

/// Who made a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client.
    Client {
        /// Index of the client.
        client: usize,
        /// The number that the client gave the request.
        id: u32,
    },
    /// A client that cancelled the request and has been told so, while inference still has to answer it.
    Forgotten {
        /// Index of the client.
        client: usize,
    },
    /// Audit itself.
    Audit,
}

/// A request in flight.
#[derive(Clone, Debug)]
pub(crate) struct InFlight<'m> {
    pub(crate) origin: Origin,
    /// Index of the user that the client was when it asked.
    pub(crate) user: usize,
    /// The number that inference knows it by; never used twice.
    pub(crate) number: u32,
    pub(crate) work: Work<'m>,
    pub(crate) state: State,
    /// Bytes reserved from its user's share of the log, and not used yet.
    pub(crate) share: u64,
    /// Bytes by which its end counts towards the egress cap.
    pub(crate) end_bytes: u64,
    pub(crate) admitted_us: u64,
    pub(crate) deadline_us: u64,
}

impl<'m> InFlight<'m> {
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Whether it is a load in progress, be it verification or loading.
    pub(crate) const fn is_load(&self) -> bool {
        matches!(self.work, Work::Verify(_) | Work::Load(_)) && !self.is_over()
    }

    /// Whether audit is verifying its model.
    pub(crate) const fn is_verified(&self) -> bool {
        matches!(self.work, Work::Verify(_)) && !self.is_over()
    }

    /// Whether audit is reading a file for it that inference does not know of yet.
    pub(crate) const fn is_reading(&self) -> bool {
        let reads = match &self.work {
            Work::Verify(_) | Work::VerifyAdapter(_) => true,
            Work::Tune(tuning) => matches!(tuning.stage, Stage::Data(_)),
            _ => false,
        };
        reads && !self.is_over()
    }

    /// Whether it is a load of an adapter in progress, be it verification or loading.
    pub(crate) const fn is_adapter_load(&self) -> bool {
        matches!(self.work, Work::VerifyAdapter(_) | Work::Adapter(..)) && !self.is_over()
    }

    /// The fine-tuning, if it is one, in progress or ended.
    pub(crate) const fn tuning(&self) -> Option<&Tuning<'m>> {
        match &self.work {
            Work::Tune(tuning) => Some(tuning),
            _ => None,
        }
    }

    pub(crate) const fn tuning_mut(&mut self) -> Option<&mut Tuning<'m>> {
        match &mut self.work {
            Work::Tune(tuning) => Some(tuning),
            _ => None,
        }
    }

    /// The fine-tuning, if it is one that is in progress.
    pub(crate) const fn running_tuning(&self) -> Option<&Tuning<'m>> {
        match (&self.work, &self.state) {
            (_, State::Ended(_)) => None,
            (Work::Tune(tuning), _) => Some(tuning),
            _ => None,
        }
    }

    /// Whether inference does not know of it, so it survives a restart of inference.
    pub(crate) const fn is_audits_alone(&self) -> bool {
        match &self.work {
            Work::Verify(_) | Work::VerifyAdapter(_) => true,
            Work::Tune(tuning) => !tuning.is_with_inference(),
            _ => false,
        }
    }

    /// Whether inference has been asked to end it; `None` if it cannot be asked.
    pub(crate) const fn stop_mut(&mut self) -> Option<&mut Stop> {
        match &mut self.work {
            Work::Infer(generation) => Some(&mut generation.stop),
            Work::Tune(tuning) if tuning.is_training() => Some(&mut tuning.stop),
            _ => None,
        }
    }

    /// Like [`Self::stop_mut`], if the request is in progress.
    pub(crate) const fn stop(&self) -> Option<Stop> {
        match (&self.work, &self.state) {
            (_, State::Ended(_)) => None,
            (Work::Infer(generation), _) => Some(generation.stop),
            (Work::Tune(tuning), _) if tuning.is_training() => Some(tuning.stop),
            _ => None,
        }
    }

    /// The fine-tuning, if it is one whose progress its client has not been told yet.
    pub(crate) fn progress_due(&self) -> Option<&Tuning<'m>> {
        self.running_tuning()
            .filter(|tuning| tuning.is_progress_due)
    }

    /// The client to whose limit of requests it counts.
    pub(crate) const fn client(&self) -> Option<usize> {
        match self.origin {
            Origin::Client { client, .. } | Origin::Forgotten { client } => Some(client),
            Origin::Audit => None,
        }
    }

    pub(crate) const fn generation(&self) -> Option<&Generation<'m>> {
        match &self.work {
            Work::Infer(generation) => Some(generation),
            _ => None,
        }
    }

    /// Number of events to send to its client: waiting text or progress, and its end.
    pub(crate) fn due(&self) -> usize {
        let text = self.generation().is_some_and(Generation::has_text);
        usize::from(text || self.progress_due().is_some())
            .saturating_add(usize::from(self.is_over()))
    }

    /// Whether its next event is audit's own, which does not count towards the egress cap.
    pub(crate) fn is_own_word(&self) -> bool {
        self.is_over() && self.due() == 1 && self.end_bytes == 0
    }

    /// The request for text, if it is one that is in progress.
    pub(crate) const fn running(&self) -> Option<&Generation<'m>> {
        match (&self.work, &self.state) {
            (_, State::Ended(_)) => None,
            (Work::Infer(generation), _) => Some(generation),
            _ => None,
        }
    }

    pub(crate) const fn generation_mut(&mut self) -> Option<&mut Generation<'m>> {
        match &mut self.work {
            Work::Infer(generation) => Some(generation),
            _ => None,
        }
    }

    /// The model, adapter or data that it is about.
    pub(crate) fn about(&self) -> ModelName {
        match &self.work {
            Work::Verify(verification) | Work::VerifyAdapter(verification) => verification.name(),
            Work::Load(verified) => verified.name,
            Work::Adapter(_, adapter) => adapter.name,
            Work::Tune(tuning) => tuning.about(),
            Work::Infer(_) | Work::Status => ModelName::EMPTY,
        }
    }
}

/// All requests in flight, in no order. The last place is for audit's own load.
#[derive(Debug)]
pub(crate) struct Table<'m> {
    entries: heapless::Vec<InFlight<'m>, { MAX_REQUESTS + 1 }>,
    texts: &'m mut Texts,
    /// One bit for each buffer, set if a request has it.
    taken: u64,
    last_number: u32,
}

const _: () = assert!(MAX_REQUESTS <= 64);

impl<'m> Table<'m> {
    pub(crate) const fn new(texts: &'m mut Texts) -> Self {
        Self {
            entries: heapless::Vec::new(),
            texts,
            taken: 0,
            last_number: 0,
        }
    }

    pub(crate) const fn next_number(&self) -> u32 {
        match self.last_number.wrapping_add(1) {
            0 => 1,
            number => number,
        }
    }

    /// A free buffer. The request that gets it must be entered before the next call.
    pub(crate) fn free_text(&self) -> usize {
        usize::try_from(self.taken.trailing_ones()).unwrap_or(MAX_REQUESTS)
    }

    /// Enters a request for text, with the words that its answer is checked against.
    pub(crate) fn enter_with(&mut self, entry: InFlight<'m>, words: Words) {
        let generation = entry.generation();
        if let Some(buffer) = generation.and_then(|it| self.texts.0.get_mut(it.text)) {
            buffer.words = words;
        }
        self.enter(entry);
    }

    /// Enters a request. There is room, because the limits of all clients add up to the size of the table.
    pub(crate) fn enter(&mut self, entry: InFlight<'m>) {
        self.last_number = entry.number;
        if let Some(generation) = entry.generation() {
            self.taken |= bit(generation.text);
        }
        let _ = self.entries.push(entry);
    }

    /// Removes a request.
    pub(crate) fn remove(&mut self, index: usize) -> Option<InFlight<'m>> {
        if index >= self.entries.len() {
            return None;
        }
        let entry = self.entries.swap_remove(index);
        if let Some(generation) = entry.generation() {
            self.taken &= !bit(generation.text);
            if let Some(buffer) = self.texts.0.get_mut(generation.text) {
                buffer.text.clear();
                buffer.words = Words::None;
            }
        }
        Some(entry)
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&InFlight<'m>> {
        self.entries.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut InFlight<'m>> {
        self.entries.get_mut(index)
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, InFlight<'m>> {
        self.entries.iter()
    }

    /// The first request for which this holds.
    pub(crate) fn find(&self, is: impl FnMut(&InFlight<'m>) -> bool) -> Option<usize> {
        self.entries.iter().position(is)
    }
}

/// The last event of a request, for its client. `status` turns the state of inference into the answer for a client.
pub(crate) fn last_event(
    end: &End,
    status: impl FnOnce(&Holdings) -> protocol::wire::client::Status,
) -> Event<'_> {
    match end {
        End::Finished(finished) => Event::Finished(*finished),
        End::Failed { failure, detail } => Event::Failed {
            failure: *failure,
            detail,
        },
        End::Loaded { name, info } => Event::Loaded {
            name: *name,
            info: *info,
        },
        End::Status(holdings) => Event::Status(status(holdings)),
        End::AdapterLoaded { name, info } => Event::AdapterLoaded {
            name: *name,
            info: *info,
        },
        End::Tuned(tuned) => Event::Tuned(*tuned),
    }
}

#[cfg(test)]
mod tests;
mod texts;

pub use texts::Texts;
