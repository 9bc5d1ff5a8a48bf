//! Runs the engine on the host, in an arena of the size that a model needs.

use std::path::Path;

use llm_core::arena::{ALIGNMENT, Arena, ArenaError, Purpose};
use llm_core::backend::TransformerBackend;
use llm_core::hash::sha256;
use llm_core::kv_cache::KvType;
use llm_core::simd::Cpu;
use llm_core::transformer::{Checked, LoadError, LoadOptions, Model, Observer, Positions, Token};
#[cfg(target_os = "linux")]
use memmap2::Advice;
use memmap2::MmapMut;
use protocol::limits::{MAX_PROMPT_BYTES, MAX_SESSIONS};
use workers::Threads;

use crate::adapter::Adapter;
use crate::error::ToolError;

/// A backend whose rows are computed by threads.
pub type Backend<'m> = TransformerBackend<'m, Threads>;

/// The threads that compute for a model with these options.
///
/// # Errors
/// The system does not start a thread.
pub fn team(options: &LoadOptions) -> Result<Threads, ToolError> {
    let threads = options.workers;
    Threads::new(threads).map_err(|source| ToolError::Threads { threads, source })
}

/// Refuses a file that the engine cannot load.
///
/// # Errors
/// [`ToolError::Load`].
pub fn check_runs<'f>(path: &Path, file: &'f [u8]) -> Result<Checked<'f>, ToolError> {
    Checked::new(file).map_err(|error| load_error(path)(Box::new(error)))
}

/// The largest arena that spans can address.
const MAX_ARENA_BYTES: usize = (u32::MAX as usize) & !(ALIGNMENT - 1);

/// Maximum memory for training on the host: enough for a context of 2048 in a model with a billion parameters.
const TRAINING_BYTES: usize = 1 << 30;

/// Options for a context and a type of keys and values, with the shell's longest prompt and one thread.
#[must_use]
pub fn load_options(context: usize, kv: KvType) -> LoadOptions {
    LoadOptions {
        context,
        kv,
        sessions: 1,
        positions: Positions::Exactly(context),
        max_prompt_bytes: MAX_PROMPT_BYTES,
        cpu: Cpu::detect(),
        workers: 1,
    }
}

/// The minimum that a model needs in the inference domain: tables for all its sessions, and keys and values for one
/// context. The domain fills its arena with more of those ([`Positions::Fill`]).
#[must_use]
pub fn service_options(context: usize, kv: KvType) -> LoadOptions {
    LoadOptions {
        sessions: MAX_SESSIONS,
        ..load_options(context, kv)
    }
}

/// For [`Result::map_err`] on a model that the engine refuses.
pub fn load_error(path: &Path) -> impl Fn(Box<LoadError>) -> ToolError + '_ {
    |source| ToolError::Load {
        path: path.to_path_buf(),
        source,
    }
}

/// Memory for an arena.
#[derive(Debug)]
pub struct Memory {
    pages: MmapMut,
    len: usize,
}

impl Memory {
    /// Allocates what `checked` needs.
    ///
    /// # Errors
    /// It needs more than an arena can have, or than the system provides.
    pub fn for_model(checked: &Checked<'_>, options: &LoadOptions) -> Result<Self, Box<LoadError>> {
        Self::with_adapters(checked, options, 0)
    }

    /// Like [`Self::for_model`], plus adapters that need this many bytes ([`crate::adapter::bytes`]).
    ///
    /// # Errors
    /// As [`Self::for_model`].
    pub fn with_adapters(
        checked: &Checked<'_>,
        options: &LoadOptions,
        adapters: u64,
    ) -> Result<Self, Box<LoadError>> {
        let plan = checked.plan_with(options, MAX_ARENA_BYTES, adapters)?;
        // At most `MAX_ARENA_BYTES`.
        Self::of(plan.total() as usize).map_err(|_| Box::new(LoadError::TooLarge(plan)))
    }

    /// Like [`Self::for_model`], plus training: pages that it does not touch are never allocated.
    ///
    /// # Errors
    /// As [`Self::for_model`].
    pub fn for_training(
        checked: &Checked<'_>,
        options: &LoadOptions,
    ) -> Result<Self, Box<LoadError>> {
        let plan = checked.plan(options, MAX_ARENA_BYTES)?;
        let len = (plan.total() as usize).saturating_add(TRAINING_BYTES);
        Self::of(len.min(MAX_ARENA_BYTES))
    }

    /// Allocates this many bytes, rounded down to a multiple of an arena's alignment.
    ///
    /// # Errors
    /// The system does not have that much.
    pub fn of(len: usize) -> Result<Self, Box<LoadError>> {
        let len = len & !(ALIGNMENT - 1);
        let pages = MmapMut::map_anon(len.max(1)).map_err(|_| {
            let error = ArenaError::Exhausted {
                purpose: Purpose::Other,
                needed: len,
                left: 0,
            };
            Box::new(error.into())
        })?;
        // Large pages, like those of a large model's arena on seL4. Without them it still runs, only slower.
        #[cfg(target_os = "linux")]
        let _ = pages.advise(Advice::HugePage);
        Ok(Self { pages, len })
    }

    /// The arena.
    ///
    /// # Errors
    /// As [`Arena::new`]; never for memory from [`Self::for_model`].
    pub fn arena(&mut self) -> Result<Arena<'_>, Box<LoadError>> {
        // Pages are aligned for an arena.
        let memory = self.pages.get_mut(..self.len).unwrap_or_default();
        Arena::new(memory).map_err(|error| Box::new(error.into()))
    }
}

/// A model with its arena, for tools that inspect logits.
#[derive(Debug)]
pub struct Runner<'m> {
    model: Model,
    arena: Arena<'m>,
    team: Threads,
    /// The adapter used for all tokens.
    adapter: Option<u8>,
}

impl<'m> Runner<'m> {
    /// Loads a model, whose rows the team computes.
    ///
    /// # Errors
    /// It does not fit the memory.
    pub fn load(
        checked: &Checked<'_>,
        options: &LoadOptions,
        team: Threads,
        memory: &'m mut Memory,
    ) -> Result<Self, Box<LoadError>> {
        let mut arena = memory.arena()?;
        let model = Model::load(checked, options, &mut arena)?;
        // There is one session, and the cache was sized for its context.
        let _ = model.reserve(&mut arena, 0, model.context());
        Ok(Self {
            model,
            arena,
            team,
            adapter: None,
        })
    }

    /// Loads an adapter, to be used for all tokens from now on. `model`: the model's file.
    ///
    /// # Errors
    /// It is not an adapter for the model, or there is no space: the memory must have been allocated with
    /// [`Memory::with_adapters`].
    pub fn load_adapter(&mut self, adapter: &Adapter, model: &[u8]) -> Result<(), ToolError> {
        let file = adapter.file()?;
        let base = sha256(model);
        self.model
            .load_adapter(&mut self.arena, 0, &file, Some(&base))
            .map_err(|error| adapter.error(error))?;
        // Reserve again, as when the model was loaded.
        let _ = self.model.reserve(&mut self.arena, 0, self.model.context());
        self.adapter = Some(0);
        Ok(())
    }

    /// Sets whether tokens use the loaded adapter from now on.
    pub fn use_adapter(&mut self, is_used: bool) {
        let place = (is_used && self.model.adapter(0).is_some()).then_some(0);
        self.adapter = place;
    }

    /// The model.
    #[must_use]
    pub const fn model(&self) -> &Model {
        &self.model
    }

    /// Checks a sequence of tokens before feeding any.
    ///
    /// # Errors
    /// The sequence is empty, is longer than the context, or has a token that the model does not have.
    pub fn check(&self, tokens: &[u32]) -> Result<(), ToolError> {
        let limit = self.model.context();
        if tokens.is_empty() || tokens.len() > limit {
            return Err(ToolError::TokenCount {
                tokens: tokens.len(),
                limit,
            });
        }
        let vocabulary = self.model.config().vocabulary;
        match tokens.iter().find(|&&id| id as usize >= vocabulary) {
            Some(&id) => Err(ToolError::TokenId {
                id,
                tokens: vocabulary,
            }),
            None => Ok(()),
        }
    }

    /// The logits after `token` at `position`. The caller has checked tokens and positions with [`Self::check`] and
    /// feeds them in ascending order.
    ///
    /// # Errors
    /// A value in the computation was not finite.
    pub fn feed(&mut self, token: u32, position: usize) -> Result<&[f32], ToolError> {
        self.feed_batch(&[token], position)
    }

    /// Runs `tokens`, which follow `start` others and are at most [`Self::most_logits`], and keeps the logits after
    /// each: see [`Self::logits`].
    ///
    /// # Errors
    /// A value in the computation was not finite.
    pub fn feed_each(&mut self, tokens: &[u32], start: usize) -> Result<(), ToolError> {
        let tokens = session(tokens, start, true, self.adapter);
        self.feed_sessions(&tokens)
    }

    /// Like [`Self::feed_each`], but without logits, for at most [`Model::batch`] tokens. `observer` receives the
    /// inputs of each matrix. `logits` includes the output matrix; then there may be at most [`Self::most_logits`]
    /// tokens.
    ///
    /// # Errors
    /// A value in the computation was not finite.
    pub fn observe(
        &mut self,
        tokens: &[u32],
        start: usize,
        logits: bool,
        observer: &mut Observer<'_>,
    ) -> Result<(), ToolError> {
        let tokens = session(tokens, start, logits, self.adapter);
        let mut batch = self.model.begin(&mut self.arena, &tokens);
        self.model
            .finish_observed(&mut self.arena, &mut self.team, &mut batch, observer)
            .map_err(|error| ToolError::Generate(error.to_string()))
    }

    /// Runs `tokens`, which follow `start` others and are at most [`Model::batch`], without logits.
    ///
    /// # Errors
    /// A value in the computation was not finite.
    pub fn feed_unseen(&mut self, tokens: &[u32], start: usize) -> Result<(), ToolError> {
        self.feed_sessions(&session(tokens, start, false, self.adapter))
    }

    /// Maximum number of tokens per [`Self::feed_each`].
    #[must_use]
    pub fn most_logits(&self) -> usize {
        self.model.sessions().min(self.model.batch())
    }

    /// The logits after the `n`-th token of the last [`Self::feed_each`].
    #[must_use]
    pub fn logits(&self, n: usize) -> &[f32] {
        self.model.logits_of(&self.arena, n)
    }

    /// Runs the tokens of several sessions, each at positions reserved for it: see [`Self::reserve`].
    ///
    /// # Errors
    /// A value in the computation was not finite.
    pub fn feed_sessions(&mut self, tokens: &[Token]) -> Result<(), ToolError> {
        let mut batch = self.model.begin(&mut self.arena, tokens);
        self.model
            .finish(&mut self.arena, &mut self.team, &mut batch)
            .map_err(|error| ToolError::Generate(error.to_string()))
    }

    /// Reserves `positions` positions for every session.
    ///
    /// # Errors
    /// The cache was sized for fewer.
    pub fn reserve(&mut self, positions: usize) -> Result<(), ToolError> {
        for session in 0..self.model.sessions() {
            self.model.release(&mut self.arena, session);
        }
        for session in 0..self.model.sessions() {
            let reserved = self.model.reserve(&mut self.arena, session, positions);
            reserved.map_err(|error| ToolError::Generate(error.to_string()))?;
        }
        Ok(())
    }

    /// The logits after the last of `tokens`, which follow `start` others and are at most [`Model::batch`]; otherwise
    /// like [`Self::feed`].
    ///
    /// # Errors
    /// A value in the computation was not finite.
    pub fn feed_batch(&mut self, tokens: &[u32], start: usize) -> Result<&[f32], ToolError> {
        let mut tokens = session(tokens, start, false, self.adapter);
        if let Some(last) = tokens.last_mut() {
            last.logits = true;
        }
        self.feed_sessions(&tokens)?;
        Ok(self.model.logits(&self.arena))
    }
}

/// The tokens of the first session.
fn session(ids: &[u32], start: usize, logits: bool, adapter: Option<u8>) -> Vec<Token> {
    let positions = (start as u32)..;
    positions
        .zip(ids)
        .map(|(position, &id)| Token {
            id,
            session: 0,
            position,
            logits,
            adapter,
        })
        .collect()
}
