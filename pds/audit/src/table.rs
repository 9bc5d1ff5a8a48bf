//! The requests that are admitted and whose clients have not been told their end.
//!
//! The rule: a request is entered once, whole, and leaves in one place ([`Table::remove`]), when its client has been told.
//! Text that its client has not taken yet lies in a buffer of the request's own, which credit keeps from overflowing.

use crate::answer::{Answer, Words, Wrong};
use crate::models::{Verification, Verified};
use crate::places::{Adapter, Used};
use crate::quota::Reservation;
use crate::tuning::{Stage, Tuning};
use protocol::error::Failure;
use protocol::limits::{MAX_PIECE_BYTES, MAX_REQUESTS, MAX_TEXT_BYTES};
use protocol::name::{FormatName, ModelName};
use protocol::record::{Hash, Record};
use protocol::wire::client::{Event, Finished, Tuned};
use protocol::wire::engine::Holdings;
use protocol::wire::{AdapterInfo, Extent, InferParams, ModelInfo};
use sha2::{Digest, Sha256};

/// What a request asks for.
#[derive(Clone, Debug)]
pub(crate) enum Work<'m> {
    /// Text.
    Infer(Generation<'m>),
    /// A model that audit verifies; inference has not heard of it.
    Verify(Verification<'m>),
    /// A model that inference loads.
    Load(Verified),
    /// What inference holds.
    Status,
    /// An adapter that audit verifies; inference has not heard of it.
    VerifyAdapter(Verification<'m>),
    /// An adapter that inference loads into this place.
    Adapter(usize, Adapter),
    /// An adapter that is made.
    Tune(Tuning<'m>),
}

/// What is known of a request for text.
#[derive(Clone, Debug)]
pub(crate) struct Generation<'m> {
    /// Of its session.
    pub(crate) slot: usize,
    /// The session's number and turn.
    pub(crate) session: u32,
    pub(crate) turn: u32,
    pub(crate) params: InferParams,
    pub(crate) adapter: Option<Used>,
    /// Of the parts, as they came.
    pub(crate) prompt_bytes: u32,
    pub(crate) prompt_sha256: Hash,
    pub(crate) extent: Extent,
    /// Most tokens that the prompt can have.
    pub(crate) most_prompt_tokens: u32,
    /// The format that it is bound to; see [`protocol::record::Record`].
    pub(crate) format: FormatName,
    pub(crate) format_sha256: Hash,
    pub(crate) answer: Answer<'m>,
    pub(crate) reservation: Reservation,
    pub(crate) first_token_us: Option<u64>,
    /// How long the egress cap had held text back when it was admitted.
    pub(crate) held_before_us: u64,
    /// Tokens that have come.
    pub(crate) tokens: u32,
    /// Of them, those whose text its client has been sent.
    pub(crate) handed_on: u32,
    /// Text that was held back waits for the client, with or without tokens.
    pub(crate) released: bool,
    /// Tokens that inference may generate in all, as it has been told.
    pub(crate) credit: u32,
    pub(crate) output: Sha256,
    /// Where its text waits, in [`Table::text`].
    pub(crate) text: usize,
    /// Its user has cancelled it.
    pub(crate) cancelled: bool,
    pub(crate) stop: Stop,
}

/// Whether inference was asked to end a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It goes on.
    #[default]
    No,
    /// It is to be asked, and its ring had no room.
    Owed,
    /// It was asked.
    Asked,
}

impl Generation<'_> {
    /// A token has come; see [`protocol::record`] for what is hashed.
    pub(crate) fn count(&mut self, id: u32, text: &[u8], now: u64) {
        self.tokens = self.tokens.saturating_add(1);
        self.first_token_us.get_or_insert(now);
        let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let [a, b, c, d] = id.to_le_bytes();
        let [e, f, g, h] = len.to_le_bytes();
        self.output.update([a, b, c, d, e, f, g, h]);
        self.output.update(text);
    }

    /// Tokens whose text waits for the client.
    pub(crate) const fn waiting(&self) -> u32 {
        self.tokens.saturating_sub(self.handed_on)
    }

    /// Whether the client is to be told of text.
    pub(crate) const fn has_text(&self) -> bool {
        self.waiting() > 0 || self.released
    }

    /// SHA-256 of what has come.
    pub(crate) fn output_sha256(&self) -> Hash {
        self.output.clone().finalize().into()
    }

    /// Adds what has come to the record of a failure: it is shown, so it must be on record. Without a token, nothing.
    pub(crate) fn describe_shown(&self, record: &mut Record) {
        if self.tokens > 0 {
            record.output_sha256 = self.output_sha256();
        }
    }
}

/// Text about a failure, as inference says it.
pub(crate) type Detail = heapless::Vec<u8, MAX_PIECE_BYTES>;

/// The last that a client is told of a request.
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
    /// A failure that audit has found, about the model or user of this name.
    pub(crate) fn failed(failure: Failure, about: &str) -> Self {
        // No name is as long as a detail may be.
        let detail = Detail::from_slice(about.as_bytes()).unwrap_or_default();
        Self::Failed { failure, detail }
    }
}

/// Where a request stands.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there is no heap to box it in")]
pub(crate) enum State {
    /// Inference has it, or audit works on it.
    Active,
    /// Its deadline has passed. If inference was asked to stop it, it is restarted at this time.
    Late {
        /// In microseconds; `None`: inference's ring had no room to ask, so no time runs.
        until_us: Option<u64>,
    },
    /// Its client is told this when it has taken all the text.
    Ended(End),
}

/// The deadline of what has none.
pub(crate) const NEVER_US: u64 = u64::MAX;

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A client, under this number.
    Client {
        /// Its place among the clients.
        client: usize,
        /// The client's own number.
        id: u32,
    },
    /// A client that has been told an end already: it has cancelled a question that inference has yet to answer.
    Forgotten {
        /// Its place among the clients.
        client: usize,
    },
    /// Audit itself.
    Audit,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Entry<'m> {
    pub(crate) origin: Origin,
    /// Index of the user that the client was then.
    pub(crate) user: usize,
    /// The number that inference knows it by; never used twice.
    pub(crate) number: u32,
    pub(crate) work: Work<'m>,
    pub(crate) state: State,
    /// Bytes of its user's share of the log that it has taken and not used yet.
    pub(crate) share: u64,
    /// Bytes that its end counts for in the egress cap.
    pub(crate) end_bytes: u64,
    pub(crate) admitted_us: u64,
    pub(crate) deadline_us: u64,
}

impl<'m> Entry<'m> {
    pub(crate) const fn is_over(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// Whether it is a load on its way, verified or being so.
    pub(crate) const fn is_load(&self) -> bool {
        matches!(self.work, Work::Verify(_) | Work::Load(_)) && !self.is_over()
    }

    /// Whether audit verifies its model.
    pub(crate) const fn is_verified(&self) -> bool {
        matches!(self.work, Work::Verify(_)) && !self.is_over()
    }

    /// Whether audit reads a file for it that inference has not heard of.
    pub(crate) const fn is_reading(&self) -> bool {
        let reads = match &self.work {
            Work::Verify(_) | Work::VerifyAdapter(_) => true,
            Work::Tune(tuning) => matches!(tuning.stage, Stage::Data(_)),
            _ => false,
        };
        reads && !self.is_over()
    }

    /// Whether it is a load of an adapter on its way, verified or being so.
    pub(crate) const fn is_adapter_load(&self) -> bool {
        matches!(self.work, Work::VerifyAdapter(_) | Work::Adapter(..)) && !self.is_over()
    }

    /// The fine-tuning that it is, under way or not.
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

    /// The fine-tuning that it is, if that is under way.
    pub(crate) const fn running_tuning(&self) -> Option<&Tuning<'m>> {
        match (&self.work, &self.state) {
            (_, State::Ended(_)) => None,
            (Work::Tune(tuning), _) => Some(tuning),
            _ => None,
        }
    }

    /// Whether inference knows nothing of it, so that it survives inference.
    pub(crate) const fn is_audits_alone(&self) -> bool {
        match &self.work {
            Work::Verify(_) | Work::VerifyAdapter(_) => true,
            Work::Tune(tuning) => !tuning.is_with_inference(),
            _ => false,
        }
    }

    /// Whether inference was asked to end it; `None` if it is nothing that can be asked to.
    pub(crate) const fn stop_mut(&mut self) -> Option<&mut Stop> {
        match &mut self.work {
            Work::Infer(generation) => Some(&mut generation.stop),
            Work::Tune(tuning) if tuning.is_training() => Some(&mut tuning.stop),
            _ => None,
        }
    }

    /// As [`Self::stop_mut`], of what is under way.
    pub(crate) const fn stop(&self) -> Option<Stop> {
        match (&self.work, &self.state) {
            (_, State::Ended(_)) => None,
            (Work::Infer(generation), _) => Some(generation.stop),
            (Work::Tune(tuning), _) if tuning.is_training() => Some(tuning.stop),
            _ => None,
        }
    }

    /// The fine-tuning that it is, if its client has yet to be told how far that is.
    pub(crate) fn progress_due(&self) -> Option<&Tuning<'m>> {
        self.running_tuning()
            .filter(|tuning| tuning.is_progress_due)
    }

    /// The client that it takes a place of.
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

    /// Events that its client is to be told: text that waits or how far it is, and its end.
    pub(crate) fn due(&self) -> usize {
        let text = self.generation().is_some_and(Generation::has_text);
        usize::from(text || self.progress_due().is_some())
            .saturating_add(usize::from(self.is_over()))
    }

    /// Whether the next that its client is told of it is audit's own word, which the egress cap does not count.
    pub(crate) fn is_own_word(&self) -> bool {
        self.is_over() && self.due() == 1 && self.end_bytes == 0
    }

    /// Of a request for text that is under way.
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

/// Text that waits for clients, and what their requests have brought for it: a buffer for each request that there can be,
/// 190 KiB in all. It lies outside of the monitor so that a runtime with a small stack can make it a static.
#[derive(Debug)]
pub struct Texts([Buffer; MAX_REQUESTS]);

/// Of one request.
#[derive(Debug)]
struct Buffer {
    text: heapless::Vec<u8, MAX_TEXT_BYTES>,
    words: Words,
}

impl Texts {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        const EMPTY: Buffer = Buffer {
            text: heapless::Vec::new(),
            words: Words::None,
        };
        Self([EMPTY; MAX_REQUESTS])
    }
}

impl Default for Texts {
    fn default() -> Self {
        Self::new()
    }
}

/// All requests, in no order. The last place is for audit's own load.
#[derive(Debug)]
pub(crate) struct Table<'m> {
    entries: heapless::Vec<Entry<'m>, { MAX_REQUESTS + 1 }>,
    texts: &'m mut Texts,
    /// One bit for each of `texts` that a request has.
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

    /// A buffer that no request has. Its owner is entered with it before another is asked for.
    pub(crate) fn free_text(&self) -> usize {
        usize::try_from(self.taken.trailing_ones()).unwrap_or(MAX_REQUESTS)
    }

    /// Enters a request for text with what it has brought for its answer.
    pub(crate) fn enter_with(&mut self, entry: Entry<'m>, words: Words) {
        let generation = entry.generation();
        if let Some(buffer) = generation.and_then(|it| self.texts.0.get_mut(it.text)) {
            buffer.words = words;
        }
        self.enter(entry);
    }

    /// Enters a request; there is room: clients' shares add up to no more than there is.
    pub(crate) fn enter(&mut self, entry: Entry<'m>) {
        self.last_number = entry.number;
        if let Some(generation) = entry.generation() {
            self.taken |= bit(generation.text);
        }
        let _ = self.entries.push(entry);
    }

    /// Takes a request out.
    pub(crate) fn remove(&mut self, index: usize) -> Option<Entry<'m>> {
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

    /// Adds the text of a token to what waits for the client of a request.
    ///
    /// # Errors
    /// It is not what the answer may be, or has no room; nothing was added.
    pub(crate) fn keep_text(&mut self, index: usize, text: &[u8]) -> Result<(), Wrong> {
        let Some((generation, buffer)) = self.answering(index) else {
            return Err(Wrong::Room);
        };
        let Buffer { text: kept, words } = buffer;
        generation
            .answer
            .take(words, text, |shown| kept.extend_from_slice(shown).is_ok())
    }

    /// The answer is over: what was held back of it waits for the client, too.
    pub(crate) fn release_text(&mut self, index: usize) {
        if let Some((generation, buffer)) = self.answering(index) {
            let Buffer { text: kept, words } = buffer;
            let held = generation.answer.release(words);
            generation.released |= !held.is_empty();
            // There is room: it is what the buffer has beyond the longest tokens.
            for byte in held {
                let _ = kept.push(*byte);
            }
        }
    }

    /// Whether the text that has come may be all of the answer.
    pub(crate) fn is_whole(&self, generation: &Generation<'_>) -> bool {
        let buffer = self.texts.0.get(generation.text);
        buffer.is_some_and(|buffer| generation.answer.is_whole(&buffer.words))
    }

    fn answering(&mut self, index: usize) -> Option<(&mut Generation<'m>, &mut Buffer)> {
        let generation = self.entries.get_mut(index)?.generation_mut()?;
        let buffer = self.texts.0.get_mut(generation.text)?;
        Some((generation, buffer))
    }

    /// The text that waits for the client of a request.
    pub(crate) fn text(&self, generation: &Generation<'_>) -> &[u8] {
        let buffer = self.texts.0.get(generation.text);
        buffer.map_or(&[], |buffer| &buffer.text)
    }

    /// The text has been handed on, of all tokens that have come.
    pub(crate) fn text_is_handed_on(&mut self, index: usize) {
        if let Some((generation, buffer)) = self.answering(index) {
            generation.handed_on = generation.tokens;
            generation.released = false;
            buffer.text.clear();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Entry<'m>> {
        self.entries.get(index)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut Entry<'m>> {
        self.entries.get_mut(index)
    }

    pub(crate) fn iter(&self) -> core::slice::Iter<'_, Entry<'m>> {
        self.entries.iter()
    }

    /// The first request for which this holds.
    pub(crate) fn find(&self, is: impl FnMut(&Entry<'m>) -> bool) -> Option<usize> {
        self.entries.iter().position(is)
    }
}

/// Of a buffer in [`Table::taken`].
fn bit(text: usize) -> u64 {
    u32::try_from(text)
        .ok()
        .and_then(|text| 1u64.checked_shl(text))
        .unwrap_or(0)
}

/// The last event of a request, for its client. `status`: what the holdings mean to a client.
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
