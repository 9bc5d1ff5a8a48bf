//! The interface that the inference domain drives: a loadable model and its sessions.

#[cfg(test)]
mod adapter_tests;
#[cfg(test)]
mod chat_tests;
#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod key_bias_tests;
#[cfg(test)]
mod prefix_tests;
#[cfg(test)]
mod session_tests;
#[cfg(test)]
mod sharing_tests;
mod stub;
#[cfg(test)]
mod tests;
mod transformer;

pub use transformer::TransformerBackend;

pub use stub::StubBackend;

use crate::arena::Usage;
use crate::chat::TemplateInfo;
use crate::generate::{GenerateError, GenerateParams, Occupancy, Progress, Prompt, Text, Turn};
use crate::kv_cache::KvType;
use crate::seal::Inspection;
use crate::transformer::training::{TrainError, TrainParams, TrainPlan};
use crate::transformer::{AdapterError, AdapterInfo, LoadError};

/// A loaded model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Number of weights; a tied embedding counts once.
    pub parameters: u64,
    /// Size of the file in bytes.
    pub file_bytes: u64,
    /// Context of a session in tokens.
    pub context: u32,
    /// Width of the residual stream.
    pub width: u32,
    /// Transformer blocks.
    pub layers: u32,
    /// Tokens in the vocabulary.
    pub vocabulary: u32,
    /// Version of its arithmetic.
    pub numerics_version: u32,
    /// Storage type of keys and values.
    pub kv: KvType,
    /// Positions that all sessions share.
    pub kv_positions: u32,
    /// The chat template for conversations, if it is known.
    pub template: Option<TemplateInfo>,
}

/// A language model behind a ring. Every call does a bounded amount of work.
pub trait LlmBackend {
    /// Sets the context in tokens for models loaded from now on; a model's own applies if it is smaller.
    fn set_context(&mut self, tokens: usize);

    /// Loads a model from the bytes of its file and forgets all sessions. On an error, the loaded model stays in
    /// service with its sessions.
    ///
    /// # Errors
    /// The model cannot be loaded.
    fn load(&mut self, file: &[u8]) -> Result<ModelInfo, LoadError>;

    /// The loaded model.
    fn model(&self) -> Option<&ModelInfo>;

    /// Use of the arena.
    fn usage(&self) -> Usage;

    /// Requests, and use of the cache.
    fn occupancy(&self) -> Occupancy;

    /// Takes a request, appending the tokens of `prompt` to the session. Requests are served in order of arrival, when
    /// there is credit and the cache has room for the whole turn. Returns the number of prompt tokens.
    ///
    /// # Errors
    /// The request is refused and the session unchanged; a fresh session is empty.
    fn start(
        &mut self,
        turn: Turn,
        prompt: Prompt<'_>,
        params: &GenerateParams,
    ) -> Result<u32, GenerateError>;

    /// Lets a session's request generate `tokens` in all, including those already generated. A smaller number than
    /// before has no effect, nor does one for a session without a request. If the request was resting and its room in
    /// the cache went to another, it waits for room as if it had just arrived.
    fn grant(&mut self, session: usize, tokens: u32);

    /// Continues what is in flight. It generates no [`crate::generate::Step::Token`] beyond a request's credit; ending
    /// a request needs no credit.
    fn step(&mut self, text: &mut Text) -> Progress;

    /// Ends the request of a session, if there is one, whether waiting, at work or resting: its next step is
    /// [`crate::generate::Step::Finished`]. A kept session can continue: it holds its earlier contents, the prompt, and
    /// what was generated.
    fn cancel(&mut self, session: usize);

    /// Forgets the contents of an idle session.
    ///
    /// # Errors
    /// The session has a request in flight, or does not exist.
    fn forget(&mut self, session: usize) -> Result<(), GenerateError>;

    /// Forgets all sessions and requests at once, without a step for them, and ends training. Model and adapters stay.
    fn reset(&mut self);

    /// Loads an adapter from the bytes of its file into the free place `adapter`, below
    /// [`crate::transformer::MAX_ADAPTERS`]. `base` is the SHA-256 of the model file. Sessions and requests continue;
    /// their keys and values are recomputed.
    ///
    /// # Errors
    /// The adapter cannot be loaded; nothing has changed.
    fn load_adapter(
        &mut self,
        adapter: usize,
        file: &[u8],
        base: &[u8; 32],
    ) -> Result<AdapterInfo, AdapterError>;

    /// Forgets an adapter, and the idle sessions that began with it.
    ///
    /// # Errors
    /// There is no such adapter, or a request uses it.
    fn drop_adapter(&mut self, adapter: usize) -> Result<(), AdapterError>;

    /// Starts training an adapter for the model. [`Self::step`] alternates between it and requests if there is memory
    /// for both; otherwise there must be no requests, and new ones are refused.
    ///
    /// # Errors
    /// The training cannot start; nothing has changed.
    fn train(&mut self, data: &[u8], params: &TrainParams) -> Result<TrainPlan, TrainError>;

    /// Ends training if it is running or its adapter has not been taken. Its memory is freed, and nothing of it is
    /// left.
    fn end_training(&mut self);

    /// Bytes of a trained adapter's file from `offset`: some if there are more, none after the end.
    fn made(&self, offset: usize) -> &[u8];

    /// Inspects the next piece of the memory that only a load writes. Without a model, or in a backend whose memory
    /// nobody else can write, there is nothing to inspect, and it is sound.
    fn inspect(&mut self) -> Inspection {
        Inspection::Sound
    }
}
