//! Requests: those in flight, and those that are over and whose clients have yet to be told.

use crate::formats::Answer;

use super::{Placed, Stage, Tune};
use protocol::error::Failure;
use protocol::hash::Hash;
use protocol::name::{FormatName, ModelName};
use protocol::wire::client::{Finished, Tuned};
use protocol::wire::engine::Holdings;
use protocol::wire::{AdapterInfo, InferParams, ModelInfo};
use sha2::{Digest as _, Sha256};

/// The state of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Within its deadline.
    Active,
    /// Its deadline has passed; inference will be restarted at this time. `None` if inference could not be asked yet to
    /// stop it.
    Late(Option<u64>),
}

/// Whether inference was asked to stop a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was not asked, and need not be.
    No,
    /// It must be asked, but its ring had no room.
    Owed,
    /// It was asked.
    Asked,
}

/// Text that its client has not been sent yet.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// Number of its tokens.
    pub tokens: u32,
    /// The text, in order.
    pub text: Vec<u8>,
}

impl Waiting {
    /// Whether there are tokens, or text that is no longer held back, to send.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.tokens > 0 || !self.text.is_empty()
    }

    /// Its cost under the egress cap: each token counts as an event with a number.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match self.is_due() {
            true => u64::from(self.tokens.max(1)) * 12 + self.text.len() as u64,
            false => 0,
        }
    }
}

/// A request for text.
#[derive(Clone, Debug)]
pub struct Text {
    /// Slot of its session.
    pub slot: u32,
    /// Number of its session.
    pub session: u32,
    /// Its turn in the session.
    pub turn: u32,
    /// Its parameters.
    pub params: InferParams,
    /// The adapter's place and hash.
    pub adapter: Option<(u32, Hash)>,
    /// Size of the prompt in bytes.
    pub prompt_bytes: u32,
    /// SHA-256 of the parts.
    pub prompt_sha256: Hash,
    /// Number of segments in a conversation, and of stop strings.
    pub counts: (u32, u32),
    /// Limit of the prompt's tokens.
    pub most_prompt: u32,
    /// The format's name and hash.
    pub format: (FormatName, Hash),
    /// The format of its answer.
    pub answer: Answer,
    /// All text received from inference.
    pub all: Vec<u8>,
    /// Bytes of it that are no longer held back.
    pub shown: usize,
    /// Number of tokens received.
    pub tokens: u32,
    /// How many of them its client has been sent.
    pub handed_on: u32,
    /// The remaining ones.
    pub waiting: Waiting,
    /// Tokens that inference may generate in all.
    pub credit: u32,
    /// Hash of the tokens received.
    pub output: Sha256,
    /// When the first token arrived.
    pub first_us: Option<u64>,
    /// How long the egress cap had held text back when the request was admitted.
    pub held_before_us: u64,
    /// Whether its user has cancelled it.
    pub cancelled: bool,
    /// Whether inference was asked to stop it.
    pub stop: Stop,
}

impl Text {
    /// Takes a token's text, which the format allows: text that cannot become a stop string now waits for the client.
    pub fn takes(&mut self, piece: &[u8]) {
        self.all.extend_from_slice(piece);
        let shown = self.all.len() - self.answer.held(&self.all);
        self.waiting
            .text
            .extend_from_slice(&self.all[self.shown..shown]);
        self.shown = shown;
    }

    /// It is over: nothing is held back any more.
    pub fn releases(&mut self) {
        self.waiting.text.extend_from_slice(&self.all[self.shown..]);
        self.shown = self.all.len();
    }

    /// SHA-256 of the tokens received.
    #[must_use]
    pub fn output_sha256(&self) -> Hash {
        self.output.clone().finalize().into()
    }
}

/// The purpose of a request.
#[derive(Clone, Debug)]
pub enum Work {
    /// Text.
    Text(Box<Text>),
    /// A model of the store, by index, that audit is verifying, and the bytes done.
    Verify(usize, u64),
    /// A model of the store, by index, that inference is loading.
    Load(usize),
    /// A question about inference's state.
    Status,
    /// An adapter of the store, by its index, that audit is verifying, and the bytes done.
    VerifyAdapter(usize, u64),
    /// An adapter that inference is loading into this place.
    Adapter(u32, Placed),
    /// A fine-tuning.
    Tune(Box<Tune>),
}

/// A request in flight.
#[derive(Clone, Debug)]
pub struct Live {
    /// Its client; `None` for audit's own load.
    pub client: Option<usize>,
    /// The client's number; `None` for audit's own load, and for a request whose client was told that it is cancelled.
    pub id: Option<u32>,
    /// The client's user at the time.
    pub user: usize,
    /// Bytes of the user's share of the log that its entries may still take.
    pub share: u64,
    /// Its purpose.
    pub work: Work,
    /// When it was admitted.
    pub admitted_us: u64,
    /// Its deadline.
    pub deadline_us: u64,
    /// Its state.
    pub state: State,
}

impl Live {
    /// The request for text, if it is one.
    #[must_use]
    pub fn text(&self) -> Option<&Text> {
        match &self.work {
            Work::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The request for text, if it is one.
    pub fn text_mut(&mut self) -> Option<&mut Text> {
        match &mut self.work {
            Work::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The model that a load is about.
    #[must_use]
    pub const fn model(&self) -> Option<usize> {
        match self.work {
            Work::Verify(model, _) | Work::Load(model) => Some(model),
            _ => None,
        }
    }

    /// The fine-tuning, if it is one.
    #[must_use]
    pub fn tune(&self) -> Option<&Tune> {
        match &self.work {
            Work::Tune(tune) => Some(tune),
            _ => None,
        }
    }

    /// The fine-tuning, if it is one.
    pub fn tune_mut(&mut self) -> Option<&mut Tune> {
        match &mut self.work {
            Work::Tune(tune) => Some(tune),
            _ => None,
        }
    }

    /// Whether inference knows nothing of it.
    #[must_use]
    pub fn is_audits_alone(&self) -> bool {
        match &self.work {
            Work::Verify(..) | Work::VerifyAdapter(..) => true,
            Work::Tune(tune) => !tune.is_with_inference(),
            _ => false,
        }
    }

    /// Whether inference was asked to stop it; `None` if it cannot be asked.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        match &self.work {
            Work::Text(text) => Some(text.stop),
            Work::Tune(tune) if tune.stage == Stage::Training => Some(tune.stop),
            _ => None,
        }
    }

    /// Sets what [`Self::stop`] returns.
    pub fn set_stop(&mut self, stop: Stop) {
        match &mut self.work {
            Work::Text(text) => text.stop = stop,
            Work::Tune(tune) => tune.stop = stop,
            _ => {}
        }
    }

    /// Whether audit is verifying its model.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        matches!(self.work, Work::Verify(..))
    }
}

/// The last event of a request.
#[derive(Clone, Debug)]
pub enum End {
    /// A generation has finished.
    Finished(Finished),
    /// A failure, with its detail.
    Failed(Failure, Vec<u8>),
    /// A model was loaded.
    Loaded(ModelName, ModelInfo),
    /// The answer to a question.
    Status(Holdings),
    /// An adapter was loaded.
    AdapterLoaded(ModelName, AdapterInfo),
    /// An adapter was made.
    Tuned(Tuned),
}

/// A request that is over and whose client has yet to be told.
#[derive(Clone, Debug)]
pub struct Over {
    /// Its client.
    pub client: usize,
    /// The client's number.
    pub id: u32,
    /// Text to be sent before the end.
    pub waiting: Waiting,
    /// The end.
    pub end: End,
    /// The cost of the end under the egress cap; 0 if it is audit's own word.
    pub bytes: u64,
}

impl Over {
    /// The cost of the next event under the egress cap.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match self.waiting.is_due() {
            false => self.bytes,
            true => self.waiting.cost(),
        }
    }
}
