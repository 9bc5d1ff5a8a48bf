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

pub use stub::StubBackend;

use crate::NUMERICS_VERSION;
use crate::arena::{Arena, Usage};
use crate::chat::TemplateInfo;
use crate::constrain::FormatTable;
use crate::generate::{
    GenerateError, GenerateParams, Occupancy, Progress, Prompt, Scheduler, Text, Turn,
};
use crate::kv_cache::KvType;
use crate::seal::{Inspection, Seal};
use crate::team::{Alone, Team};
use crate::transformer::training::{Draft, TrainError, TrainParams, TrainPlan, Training};
use crate::transformer::{
    AdapterError, AdapterFile, AdapterInfo, Checked, LoadError, LoadOptions, Model, STEP_WORK,
};

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

/// The production backend: a transformer in an arena.
#[derive(Debug)]
pub struct TransformerBackend<'m, T = Alone> {
    arena: Arena<'m>,
    team: T,
    options: LoadOptions,
    loaded: Option<(Model, ModelInfo)>,
    scheduler: Scheduler,
    formats: FormatTable<'m>,
    training: Option<Training>,
    /// Whether the last step was a training step.
    trained: bool,
    /// Whether loaded models are sealed.
    seals: bool,
    seal: Option<Seal>,
}

impl<'m> TransformerBackend<'m> {
    /// A backend without a model, and without a team.
    #[must_use]
    pub const fn new(arena: Arena<'m>, options: LoadOptions) -> Self {
        Self::with_team(arena, options, Alone)
    }
}

impl<'m, T: Team> TransformerBackend<'m, T> {
    /// A backend without a model, whose rows the team computes. It uses as many workers as the options have scratch
    /// for.
    #[must_use]
    pub const fn with_team(arena: Arena<'m>, options: LoadOptions, team: T) -> Self {
        Self {
            arena,
            team,
            options,
            loaded: None,
            scheduler: Scheduler::new(),
            formats: FormatTable::none(),
            training: None,
            trained: false,
            seals: false,
            seal: None,
        }
    }

    /// Seals each model after it was loaded, so [`LlmBackend::inspect`] notices if somebody else writes its weights or
    /// vocabulary. For a team of domains, which map the arena. Adapters, keys, values and activations are not sealed.
    pub fn seal_models(&mut self) {
        self.seals = true;
        self.reseal();
    }

    fn reseal(&mut self) {
        let model = self.loaded.as_ref().filter(|_| self.seals);
        self.seal = model.map(|(model, _)| Seal::of(model.constants(&self.arena)));
    }

    /// The training.
    #[cfg(test)]
    pub(crate) fn training_mut(&mut self) -> Option<&mut Training> {
        self.training.as_mut()
    }

    /// Sets the formats that requests can name. No request in flight may name one.
    pub fn set_formats(&mut self, formats: FormatTable<'m>) {
        self.formats = formats;
        self.measure_formats();
    }

    /// Computes the token costs of the formats for the loaded model.
    fn measure_formats(&mut self) {
        if let Some((model, _)) = &self.loaded {
            let vocabulary = model.vocabulary();
            let view = vocabulary.view(self.arena.get(vocabulary.table()));
            self.formats.measure(&view);
        }
    }

    /// A training step, if training is not over. Training that fails is dropped.
    fn train_on(&mut self) -> Option<Progress> {
        let (model, _) = self.loaded.as_ref()?;
        let training = self.training.as_mut().filter(|t| !t.is_over())?;
        let progress = training.advance(model, &mut self.arena, STEP_WORK);
        if progress.is_err() {
            self.end_training();
        }
        Some(Progress::Training(progress))
    }

    /// The model and its arena, for tools that inspect logits.
    #[must_use]
    pub fn parts(&mut self) -> Option<(&Model, &mut Arena<'m>)> {
        let (model, arena, _) = self.parts_with_team()?;
        Some((model, arena))
    }

    /// Like [`Self::parts`], with the team.
    #[must_use]
    pub fn parts_with_team(&mut self) -> Option<(&Model, &mut Arena<'m>, &mut T)> {
        let (model, _) = self.loaded.as_ref()?;
        Some((model, &mut self.arena, &mut self.team))
    }

    /// Like [`LlmBackend::load_adapter`], from a parsed file.
    ///
    /// # Errors
    /// The adapter cannot be loaded; nothing has changed.
    pub fn load_adapter_file(
        &mut self,
        adapter: usize,
        file: &AdapterFile<'_>,
        base: &[u8; 32],
    ) -> Result<AdapterInfo, AdapterError> {
        let (model, info) = self.loaded.as_mut().ok_or(AdapterError::NoModel)?;
        let loaded = model.load_adapter(&mut self.arena, adapter, file, Some(base))?;
        self.scheduler.displace_all();
        info.kv_positions = model.cache().positions() as u32;
        Ok(loaded)
    }

    /// Whether the session has a request with room for its whole turn.
    #[cfg(test)]
    #[must_use]
    pub fn is_running(&self, session: usize) -> bool {
        self.scheduler.is_running(session)
    }
}

impl<T: Team> LlmBackend for TransformerBackend<'_, T> {
    fn set_context(&mut self, tokens: usize) {
        self.options.context = tokens;
    }

    fn load(&mut self, file: &[u8]) -> Result<ModelInfo, LoadError> {
        let checked = Checked::new(file)?;
        checked.plan(&self.options, self.arena.capacity())?;
        // From here on it fits and is valid, so the old model may go.
        self.scheduler = Scheduler::new();
        self.training = None;
        self.loaded = None;
        self.seal = None;
        let model = Model::load(&checked, &self.options, &mut self.arena)?;
        let config = model.config();
        let info = ModelInfo {
            parameters: model.parameters(),
            file_bytes: file.len() as u64,
            context: model.context() as u32,
            width: config.width as u32,
            layers: config.layers as u32,
            vocabulary: config.vocabulary as u32,
            numerics_version: NUMERICS_VERSION,
            kv: model.cache().shape().ty,
            kv_positions: model.cache().positions() as u32,
            template: model.template().copied(),
        };
        self.loaded = Some((model, info));
        self.reseal();
        self.measure_formats();
        Ok(info)
    }

    fn model(&self) -> Option<&ModelInfo> {
        self.loaded.as_ref().map(|(_, info)| info)
    }

    fn usage(&self) -> Usage {
        self.arena.usage()
    }

    fn occupancy(&self) -> Occupancy {
        match &self.loaded {
            Some((model, _)) => self.scheduler.occupancy(model, &self.arena),
            None => Occupancy::default(),
        }
    }

    fn start(
        &mut self,
        turn: Turn,
        prompt: Prompt<'_>,
        params: &GenerateParams,
    ) -> Result<u32, GenerateError> {
        let (model, _) = self.loaded.as_ref().ok_or(GenerateError::NoModel)?;
        self.scheduler
            .start(model, &mut self.arena, &self.formats, turn, prompt, params)
    }

    fn grant(&mut self, session: usize, tokens: u32) {
        self.scheduler.grant(session, tokens);
    }

    fn step(&mut self, text: &mut Text) -> Progress {
        // They alternate, so that neither starves.
        self.trained = !self.trained;
        if self.trained
            && let Some(progress) = self.train_on()
        {
            text.clear();
            return progress;
        }
        let Some((model, _)) = &self.loaded else {
            return Progress::Idle;
        };
        let (arena, team) = (&mut self.arena, &mut self.team);
        match self.scheduler.step(model, arena, team, &self.formats, text) {
            Progress::Idle => self.train_on().unwrap_or(Progress::Idle),
            progress => progress,
        }
    }

    fn cancel(&mut self, session: usize) {
        self.scheduler.cancel(session);
    }

    fn forget(&mut self, session: usize) -> Result<(), GenerateError> {
        let (model, _) = self.loaded.as_ref().ok_or(GenerateError::NoModel)?;
        self.scheduler.forget(session, model, &mut self.arena)
    }

    fn reset(&mut self) {
        self.end_training();
        if let Some((model, _)) = &self.loaded {
            self.scheduler.reset(model, &mut self.arena);
        }
    }

    fn load_adapter(
        &mut self,
        adapter: usize,
        file: &[u8],
        base: &[u8; 32],
    ) -> Result<AdapterInfo, AdapterError> {
        self.load_adapter_file(adapter, &AdapterFile::read(file)?, base)
    }

    fn drop_adapter(&mut self, adapter: usize) -> Result<(), AdapterError> {
        let (model, info) = self.loaded.as_mut().ok_or(AdapterError::NoModel)?;
        if self.scheduler.uses(adapter) {
            return Err(AdapterError::Busy);
        }
        model.drop_adapter(&mut self.arena, adapter)?;
        self.scheduler.displace_all();
        self.scheduler
            .forget_adapter(adapter, model, &mut self.arena);
        info.kv_positions = model.cache().positions() as u32;
        Ok(())
    }

    fn train(&mut self, data: &[u8], params: &TrainParams) -> Result<TrainPlan, TrainError> {
        let (model, info) = self.loaded.as_mut().ok_or(TrainError::NoModel)?;
        if self.training.is_some() {
            return Err(TrainError::Busy);
        }
        let arena = &mut self.arena;
        let mut draft = Draft::read(model, arena, data, params)?;
        let (bytes, serves) = draft.choose(model)?;
        let occupancy = self.scheduler.occupancy(model, arena);
        let requests = occupancy.running + occupancy.waiting;
        if !serves && requests > 0 {
            return Err(TrainError::Requests { requests });
        }
        let config = *model.config();
        let memory = model.rearrange(arena, bytes, serves, |arena| draft.take(&config, arena))?;
        self.scheduler.displace_all();
        info.kv_positions = model.cache().positions() as u32;
        let training = match draft.begin(memory, model, arena, !serves) {
            Ok(training) => training,
            Err(error) => {
                self.end_training();
                return Err(error);
            }
        };
        let plan = *training.plan();
        self.training = Some(training);
        Ok(plan)
    }

    fn end_training(&mut self) {
        let had_one = self.training.take().is_some();
        let Some((model, info)) = self.loaded.as_mut() else {
            return;
        };
        // Training that could not begin may have left only its memory.
        if had_one || model.plan().training > 0 {
            // There was room for requests before it started, and there are no more adapters than then.
            let _ = model.rearrange(&mut self.arena, 0, true, |_| Ok(()));
            self.scheduler.displace_all();
            info.kv_positions = model.cache().positions() as u32;
        }
    }

    fn made(&self, offset: usize) -> &[u8] {
        self.training
            .as_ref()
            .map_or(&[], |training| training.made(&self.arena, offset))
    }

    fn inspect(&mut self) -> Inspection {
        match (&self.loaded, &mut self.seal) {
            (Some((model, _)), Some(seal)) => seal.inspect(model.constants(&self.arena)),
            _ => Inspection::Sound,
        }
    }
}
