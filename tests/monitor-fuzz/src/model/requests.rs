//! Requests: those that audit or inference is at, and those that are over and whose clients have yet to hear of it.

use crate::formats::Answer;

use super::{Placed, Stage, Tune};
use protocol::error::Failure;
use protocol::hash::Hash;
use protocol::name::{FormatName, ModelName};
use protocol::wire::client::{Finished, Tuned};
use protocol::wire::engine::Holdings;
use protocol::wire::{AdapterInfo, InferParams, ModelInfo};
use sha2::{Digest as _, Sha256};

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// In time.
    Active,
    /// Its deadline has passed: inference is restarted then. `None`: inference could not be asked yet to stop it.
    Late(Option<u64>),
}

/// Whether inference was asked to stop a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Nobody wants it.
    No,
    /// Its ring had no room for the command.
    Owed,
    /// It was.
    Asked,
}

/// Text that its client was not sent yet.
#[derive(Clone, Debug, Default)]
pub struct Waiting {
    /// Of so many tokens.
    pub tokens: u32,
    /// In the order in which it came.
    pub text: Vec<u8>,
}

impl Waiting {
    /// Whether its client is to be told of it: of tokens, or of text that was held back.
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.tokens > 0 || !self.text.is_empty()
    }

    /// What it counts for in the egress cap: each token with its number as an event of its own.
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
    /// Of its session.
    pub slot: u32,
    /// Of its session.
    pub session: u32,
    /// Of its session.
    pub turn: u32,
    /// As asked for.
    pub params: InferParams,
    /// Its place and hash.
    pub adapter: Option<(u32, Hash)>,
    /// As asked for.
    pub prompt_bytes: u32,
    /// Of the parts.
    pub prompt_sha256: Hash,
    /// Segments of a conversation, and stop strings.
    pub counts: (u32, u32),
    /// Tokens that the prompt may have.
    pub most_prompt: u32,
    /// The format's name and hash.
    pub format: (FormatName, Hash),
    /// What its answer may be.
    pub answer: Answer,
    /// All text that has come.
    pub all: Vec<u8>,
    /// Bytes of it that were held back no longer.
    pub shown: usize,
    /// That have come.
    pub tokens: u32,
    /// Of them, those that its client was sent.
    pub handed_on: u32,
    /// The others.
    pub waiting: Waiting,
    /// That inference may generate in all.
    pub credit: u32,
    /// Of the tokens that have come.
    pub output: Sha256,
    /// When the first came.
    pub first_us: Option<u64>,
    /// How long the egress cap had held text back at its admission.
    pub held_before_us: u64,
    /// By its user.
    pub cancelled: bool,
    /// See there.
    pub stop: Stop,
}

impl Text {
    /// Takes text that it may have: what cannot become a stop string waits for the client.
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

    /// SHA-256 of what has come.
    #[must_use]
    pub fn output_sha256(&self) -> Hash {
        self.output.clone().finalize().into()
    }
}

/// What a request is for.
#[derive(Clone, Debug)]
pub enum Work {
    /// Text.
    Text(Box<Text>),
    /// A model of the store, by index, that audit verifies, and how many of its bytes are done.
    Verify(usize, u64),
    /// A model of the store, by index, that inference loads.
    Load(usize),
    /// What inference holds.
    Status,
    /// An adapter of the store, by its place in their list, that audit verifies, and how many of its bytes are done.
    VerifyAdapter(usize, u64),
    /// An adapter that inference loads into this place.
    Adapter(u32, Placed),
    /// An adapter that is made.
    Tune(Box<Tune>),
}

/// A request that is under way.
#[derive(Clone, Debug)]
pub struct Live {
    /// Whose; `None`: audit's own load.
    pub client: Option<usize>,
    /// The client's number; `None`: audit's own load, or one whose client has been told that it is cancelled.
    pub id: Option<u32>,
    /// Who the client was.
    pub user: usize,
    /// Bytes of the user's share of the log that its entries may yet take.
    pub share: u64,
    /// What for.
    pub work: Work,
    /// When it was admitted.
    pub admitted_us: u64,
    /// When it must be over.
    pub deadline_us: u64,
    /// Where it stands.
    pub state: State,
}

impl Live {
    /// The request for text.
    #[must_use]
    pub fn text(&self) -> Option<&Text> {
        match &self.work {
            Work::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The request for text.
    pub fn text_mut(&mut self) -> Option<&mut Text> {
        match &mut self.work {
            Work::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The model of the store that a load is about.
    #[must_use]
    pub const fn model(&self) -> Option<usize> {
        match self.work {
            Work::Verify(model, _) | Work::Load(model) => Some(model),
            _ => None,
        }
    }

    /// The fine-tuning.
    #[must_use]
    pub fn tune(&self) -> Option<&Tune> {
        match &self.work {
            Work::Tune(tune) => Some(tune),
            _ => None,
        }
    }

    /// The fine-tuning.
    pub fn tune_mut(&mut self) -> Option<&mut Tune> {
        match &mut self.work {
            Work::Tune(tune) => Some(tune),
            _ => None,
        }
    }

    /// Inference knows nothing of it.
    #[must_use]
    pub fn is_audits_alone(&self) -> bool {
        match &self.work {
            Work::Verify(..) | Work::VerifyAdapter(..) => true,
            Work::Tune(tune) => !tune.is_with_inference(),
            _ => false,
        }
    }

    /// Whether inference was asked to stop it; `None` if it cannot be asked to.
    #[must_use]
    pub fn stop(&self) -> Option<Stop> {
        match &self.work {
            Work::Text(text) => Some(text.stop),
            Work::Tune(tune) if tune.stage == Stage::Training => Some(tune.stop),
            _ => None,
        }
    }

    /// As [`Self::stop`].
    pub fn set_stop(&mut self, stop: Stop) {
        match &mut self.work {
            Work::Text(text) => text.stop = stop,
            Work::Tune(tune) => tune.stop = stop,
            _ => {}
        }
    }

    /// Audit verifies its model.
    #[must_use]
    pub const fn is_verified(&self) -> bool {
        matches!(self.work, Work::Verify(..))
    }
}

/// The last that a client hears of a request.
#[derive(Clone, Debug)]
pub enum End {
    /// A generation.
    Finished(Finished),
    /// With what there is to say about it.
    Failed(Failure, Vec<u8>),
    /// A load.
    Loaded(ModelName, ModelInfo),
    /// A question.
    Status(Holdings),
    /// An adapter is loaded.
    AdapterLoaded(ModelName, AdapterInfo),
    /// An adapter was made.
    Tuned(Tuned),
}

/// A request that is over and whose client has yet to hear of it.
#[derive(Clone, Debug)]
pub struct Over {
    /// Whose.
    pub client: usize,
    /// Under which number.
    pub id: u32,
    /// Comes first.
    pub waiting: Waiting,
    /// Comes then.
    pub end: End,
    /// What the end counts for in the egress cap; nothing if it is audit's own word.
    pub bytes: u64,
}

impl Over {
    /// What the next event counts for in the egress cap.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match self.waiting.is_due() {
            false => self.bytes,
            true => self.waiting.cost(),
        }
    }
}
