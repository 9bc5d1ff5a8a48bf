//! The backend that runs models.

use super::{LlmBackend, ModelInfo};
use crate::NUMERICS_VERSION;
use crate::arena::{Arena, Usage};
use crate::constrain::FormatTable;
use crate::generate::{
    GenerateError, GenerateParams, Occupancy, Progress, Prompt, Scheduler, Text, Turn,
};
use crate::seal::{Inspection, Seal};
use crate::team::{Alone, Team};
use crate::transformer::training::{Draft, TrainError, TrainParams, TrainPlan, Training};
use crate::transformer::{
    AdapterError, AdapterFile, AdapterInfo, Checked, LoadError, LoadOptions, Model, STEP_WORK,
};

/// The production backend: a transformer in an arena.
#[derive(Debug)]
pub struct TransformerBackend<'m, T = Alone> {
    pub(super) arena: Arena<'m>,
    team: T,
    pub(super) options: LoadOptions,
    pub(super) loaded: Option<(Model, ModelInfo)>,
    pub(super) scheduler: Scheduler,
    pub(super) formats: FormatTable<'m>,
    pub(super) training: Option<Training>,
    /// Whether the last step was a training step.
    pub(super) trained: bool,
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
    pub(super) fn train_on(&mut self) -> Option<Progress> {
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
