//! A backend without a model.

use super::{LlmBackend, ModelInfo};
use crate::NUMERICS_VERSION;
use crate::arena::Usage;
use crate::chat::{Bound, Label, TemplateInfo};
use crate::generate::{
    FinishReason, GenerateError, GenerateParams, Occupancy, Output, Progress, Prompt, Step, Text,
    Turn,
};
use crate::gguf::GgufError;
use crate::kv_cache::KvType;
use crate::transformer::training::{
    MAX_DATA_BYTES, TrainError, TrainParams, TrainPlan, TrainProgress,
};
use crate::transformer::{AdapterError, AdapterInfo, LoadError, MAX_ADAPTERS, MAX_SESSIONS};

/// Context of a session in tokens.
const CONTEXT: usize = 256;

/// Size of an adapter that it makes, more than one message.
const MADE: usize = 6_001;

/// It echoes the prompt, one byte per token, taking turns between sessions; with an adapter, in capitals. For a
/// conversation it echoes the texts one after the other; for tokens, their lowest bytes. Stop strings end its answers;
/// formats have no effect. An adapter is any file that begins like a GGUF file, and the one it makes depends on every
/// byte of the data. It serves to measure the cost of the boundaries, and to test what surrounds a model.
#[derive(Debug, Default)]
pub struct StubBackend {
    info: Option<ModelInfo>,
    sessions: [StubSession; MAX_SESSIONS],
    adapters: [bool; MAX_ADAPTERS],
    training: Option<Training>,
    made: heapless::Vec<u8, MADE>,
    /// The last step was a training step.
    trained_last: bool,
    /// The session to serve first.
    next: usize,
}

#[derive(Debug, Default)]
struct StubSession {
    /// Tokens of all turns.
    tokens: usize,
    echo: heapless::Vec<u8, CONTEXT>,
    active: Option<Active>,
}

/// Training that processes one line of the data per step.
#[derive(Debug)]
struct Training {
    plan: TrainPlan,
    seed: u64,
    progress: TrainProgress,
}

/// Data with this beginning are trained on alone, as if there were no memory for requests as well.
const ALONE: &[u8] = b"{\"alone\"";

impl Training {
    /// One step.
    fn step(&mut self, made: &mut heapless::Vec<u8, MADE>) -> TrainProgress {
        let TrainPlan { steps, tokens, .. } = self.plan;
        let progress = &mut self.progress;
        progress.step = (progress.step + 1).min(steps);
        progress.tokens = tokens * u64::from(progress.step) / u64::from(steps.max(1));
        progress.loss = 1.0 / progress.step as f32;
        if progress.step == steps && !progress.over {
            progress.over = true;
            let _ = made.extend_from_slice(b"GGUF");
            let mut word = self.seed;
            while made.push((word >> 56) as u8).is_ok() {
                word = mixed(word, 1);
            }
            progress.made = made.len() as u64;
        }
        *progress
    }
}

/// A hash that depends on every bit of both.
const fn mixed(word: u64, with: u64) -> u64 {
    (word ^ with)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(23)
        .wrapping_add(with | 1)
}

#[derive(Debug)]
struct Active {
    loud: bool,
    generated: u32,
    max_tokens: u32,
    credit: u32,
    keep: bool,
    cancelled: bool,
    stopped: bool,
    output: Output,
}

impl StubSession {
    /// The next token, or the end; `None` if there is no request, or no credit for another token.
    fn step(&mut self, text: &mut Text) -> Option<Step> {
        let active = self.active.as_mut()?;
        let next = self.echo.get(active.generated as usize).copied();
        let reason = if active.cancelled {
            FinishReason::Cancelled
        } else if active.stopped {
            FinishReason::Stop
        } else if active.generated >= active.max_tokens {
            FinishReason::MaxTokens
        } else if self.tokens >= CONTEXT {
            FinishReason::ContextFull
        } else if let Some(byte) = next {
            if active.generated >= active.credit {
                return None;
            }
            let shown = if byte.is_ascii() && active.loud {
                char::from(byte.to_ascii_uppercase())
            } else if byte.is_ascii() {
                char::from(byte)
            } else {
                '?'
            };
            active.generated += 1;
            self.tokens += 1;
            // It is ASCII.
            active.stopped = active.output.push(core::iter::once(shown as u8), text);
            let is_last = active.generated >= active.max_tokens
                || self.tokens >= CONTEXT
                || active.generated as usize >= self.echo.len();
            if is_last && !active.stopped {
                active.stopped = active.output.finish(text);
            }
            return Some(Step::Token {
                id: u32::from(byte),
            });
        } else {
            FinishReason::EndOfText
        };
        let step = Step::Finished {
            reason,
            prompt_tokens: self.echo.len() as u32,
            generated: active.generated,
        };
        if !active.keep {
            self.tokens = 0;
        }
        self.active = None;
        Some(step)
    }
}

impl LlmBackend for StubBackend {
    fn set_context(&mut self, _tokens: usize) {}

    fn load(&mut self, file: &[u8]) -> Result<ModelInfo, LoadError> {
        let info = ModelInfo {
            parameters: 0,
            file_bytes: file.len() as u64,
            context: CONTEXT as u32,
            width: 0,
            layers: 0,
            vocabulary: 256,
            numerics_version: NUMERICS_VERSION,
            kv: KvType::Q8,
            kv_positions: (MAX_SESSIONS * CONTEXT) as u32,
            template: Some(TemplateInfo {
                name: Label::of("stub"),
                bound: Bound::default(),
                separates: false,
            }),
        };
        self.reset();
        self.adapters = [false; MAX_ADAPTERS];
        self.info = Some(info);
        Ok(info)
    }

    fn model(&self) -> Option<&ModelInfo> {
        self.info.as_ref()
    }

    fn usage(&self) -> Usage {
        Usage::default()
    }

    fn occupancy(&self) -> Occupancy {
        let tokens: usize = self.sessions.iter().map(|session| session.tokens).sum();
        let active = self.sessions.iter().filter(|s| s.active.is_some());
        Occupancy {
            positions: MAX_SESSIONS * CONTEXT,
            free: MAX_SESSIONS * CONTEXT - tokens,
            running: active.count(),
            ..Occupancy::default()
        }
    }

    fn start(
        &mut self,
        turn: Turn,
        prompt: Prompt<'_>,
        params: &GenerateParams,
    ) -> Result<u32, GenerateError> {
        if self.info.is_none() {
            return Err(GenerateError::NoModel);
        }
        if params.max_tokens == 0 {
            return Err(GenerateError::NoTokens);
        }
        let missing = GenerateError::NoSuchSession {
            session: turn.session,
            limit: MAX_SESSIONS,
        };
        if self.training.as_ref().is_some_and(|it| it.plan.alone) {
            return Err(GenerateError::Training);
        }
        if let Some(adapter) = turn.adapter.map(usize::from)
            && self.adapters.get(adapter) != Some(&true)
        {
            return Err(GenerateError::NoSuchAdapter { adapter });
        }
        let session = self.sessions.get_mut(turn.session).ok_or(missing)?;
        if session.active.is_some() {
            return Err(GenerateError::Busy);
        }
        if turn.fresh {
            session.tokens = 0;
        } else if session.tokens == 0 {
            return Err(GenerateError::NothingThere);
        }
        let said = match prompt {
            Prompt::Text(text) => text.len(),
            Prompt::Segments(segments) => segments.iter().map(|segment| segment.text.len()).sum(),
            Prompt::Tokens(ids) => ids.len(),
        };
        if said == 0 {
            return Err(GenerateError::EmptyPrompt);
        }
        if turn.format.is_some() && !turn.stops.is_empty() {
            return Err(GenerateError::FormatAndStops);
        }
        let tokens = session.tokens + said;
        if tokens >= CONTEXT {
            return Err(match turn.fresh {
                true => GenerateError::PromptTokens {
                    tokens,
                    limit: CONTEXT - 1,
                },
                false => GenerateError::ContextFull {
                    tokens,
                    limit: CONTEXT,
                },
            });
        }
        session.tokens = tokens;
        // It is shorter than the context.
        session.echo.clear();
        match prompt {
            Prompt::Text(text) => session.echo.extend(text.iter().copied()),
            Prompt::Segments(segments) => {
                let bytes = segments.iter().flat_map(|segment| segment.text.bytes());
                session.echo.extend(bytes);
            }
            Prompt::Tokens(ids) => session.echo.extend(ids.iter().map(|id| *id as u8)),
        }
        session.active = Some(Active {
            loud: turn.adapter.is_some(),
            generated: 0,
            max_tokens: params.max_tokens,
            credit: turn.credit,
            keep: turn.keep,
            cancelled: false,
            stopped: false,
            output: Output::new(turn.stops),
        });
        Ok(said as u32)
    }

    fn grant(&mut self, session: usize, tokens: u32) {
        let session = self.sessions.get_mut(session);
        if let Some(active) = session.and_then(|session| session.active.as_mut()) {
            active.credit = active.credit.max(tokens);
        }
    }

    fn step(&mut self, text: &mut Text) -> Progress {
        text.clear();
        self.trained_last ^= true;
        if !self.trained_last
            && let Some(progress) = self.train_on()
        {
            return progress;
        }
        for session in (0..MAX_SESSIONS).map(|n| (self.next + n) % MAX_SESSIONS) {
            if let Some(step) = self.sessions[session].step(text) {
                self.next = (session + 1) % MAX_SESSIONS;
                return Progress::Session(session, Ok(step));
            }
        }
        self.train_on().unwrap_or(Progress::Idle)
    }

    fn cancel(&mut self, session: usize) {
        let session = self.sessions.get_mut(session);
        if let Some(active) = session.and_then(|session| session.active.as_mut()) {
            active.cancelled = true;
        }
    }

    fn forget(&mut self, session: usize) -> Result<(), GenerateError> {
        let missing = GenerateError::NoSuchSession {
            session,
            limit: MAX_SESSIONS,
        };
        let session = self.sessions.get_mut(session).ok_or(missing)?;
        if session.active.is_some() {
            return Err(GenerateError::Busy);
        }
        session.tokens = 0;
        Ok(())
    }

    fn reset(&mut self) {
        self.sessions = Default::default();
        self.end_training();
    }

    fn load_adapter(
        &mut self,
        adapter: usize,
        file: &[u8],
        _: &[u8; 32],
    ) -> Result<AdapterInfo, AdapterError> {
        if self.info.is_none() {
            return Err(AdapterError::NoModel);
        }
        let missing = AdapterError::NoSuchAdapter(adapter);
        let place = self.adapters.get_mut(adapter).ok_or(missing)?;
        if *place {
            return Err(AdapterError::Taken(adapter));
        }
        if !file.starts_with(b"GGUF") {
            return Err(GgufError::NotGguf.into());
        }
        *place = true;
        Ok(AdapterInfo {
            rank: 1,
            alpha: 1.0,
            matrices: 1,
            parameters: 0,
            bytes: file.len() as u64,
        })
    }

    fn drop_adapter(&mut self, adapter: usize) -> Result<(), AdapterError> {
        match self.adapters.get_mut(adapter) {
            Some(place) if *place => {
                *place = false;
                Ok(())
            }
            _ => Err(AdapterError::NoSuchAdapter(adapter)),
        }
    }

    fn train(&mut self, data: &[u8], params: &TrainParams) -> Result<TrainPlan, TrainError> {
        if self.info.is_none() {
            return Err(TrainError::NoModel);
        }
        if self.training.is_some() {
            return Err(TrainError::Busy);
        }
        if data.len() > MAX_DATA_BYTES {
            return Err(TrainError::TooLong { bytes: data.len() });
        }
        let lines = || {
            let lines = data.split(|byte| *byte == b'\n').zip(1..);
            lines.filter(|(line, _)| !line.is_empty())
        };
        if let Some((_, line)) = lines().find(|(line, _)| core::str::from_utf8(line).is_err()) {
            return Err(TrainError::NotUtf8 { line });
        }
        let requests = self.sessions.iter().filter(|s| s.active.is_some()).count();
        let alone = data.starts_with(ALONE);
        if alone && requests > 0 {
            return Err(TrainError::Requests { requests });
        }
        let examples = lines().count() as u32;
        if examples == 0 {
            return Err(TrainError::Empty);
        }
        let bytes: u64 = lines().map(|(line, _)| line.len() as u64).sum();
        let seed = params
            .base
            .iter()
            .chain(data)
            .fold(params.seed, |seed, byte| mixed(seed, u64::from(*byte)));
        let numbers = [params.rank, params.epochs, params.alpha];
        let seed = numbers
            .iter()
            .fold(seed, |seed, number| mixed(seed, u64::from(*number)));
        let plan = TrainPlan {
            examples,
            steps: examples * params.epochs,
            tokens: bytes * u64::from(params.epochs),
            longest: lines()
                .map(|(line, _)| line.len() as u32)
                .max()
                .unwrap_or(0),
            bytes: 0,
            // As many as there is room for.
            file: MADE as u64,
            alone,
        };
        self.made.clear();
        self.training = Some(Training {
            plan,
            seed,
            progress: TrainProgress {
                step: 0,
                steps: plan.steps,
                tokens: 0,
                loss: 0.0,
                made: 0,
                over: false,
            },
        });
        Ok(plan)
    }

    fn end_training(&mut self) {
        self.training = None;
        self.made.clear();
    }

    fn made(&self, offset: usize) -> &[u8] {
        // The engine also delivers header and data as two pieces.
        let end = if offset < 100 { 100 } else { MADE };
        let end = end.min(self.made.len());
        self.made.get(offset..end).unwrap_or_default()
    }
}

impl StubBackend {
    /// A training step, if training is not over.
    fn train_on(&mut self) -> Option<Progress> {
        let training = self.training.as_mut().filter(|it| !it.progress.over)?;
        Some(Progress::Training(Ok(training.step(&mut self.made))))
    }
}
