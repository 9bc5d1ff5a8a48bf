//! A backend without a model.

use super::{LlmBackend, ModelInfo};
use crate::NUMERICS_VERSION;
use crate::arena::Usage;
use crate::generate::{
    FinishReason, GenerateError, GenerateParams, Occupancy, Progress, Step, Text, Turn,
};
use crate::kv_cache::KvType;
use crate::transformer::training::{TrainError, TrainParams, TrainPlan};
use crate::transformer::{AdapterError, AdapterInfo, LoadError, MAX_SESSIONS};

/// Tokens of a session.
const CONTEXT: usize = 256;

/// It gives the bytes of the prompt back, one a token, to each session in turn. It measures what the boundaries
/// cost, and tests what surrounds a model.
#[derive(Debug, Default)]
pub struct StubBackend {
    info: Option<ModelInfo>,
    sessions: [Session; MAX_SESSIONS],
    /// The session that is served first.
    next: usize,
}

#[derive(Debug, Default)]
struct Session {
    /// Tokens of all turns.
    tokens: usize,
    echo: heapless::Vec<u8, CONTEXT>,
    active: Option<Active>,
}

#[derive(Debug)]
struct Active {
    generated: u32,
    max_tokens: u32,
    credit: u32,
    keep: bool,
    cancelled: bool,
}

impl Session {
    /// The next token, or the end; `None` if there is no request, or no credit for its next token.
    fn step(&mut self, text: &mut Text) -> Option<Step> {
        let active = self.active.as_mut()?;
        let next = self.echo.get(active.generated as usize).copied();
        let reason = if active.cancelled {
            FinishReason::Cancelled
        } else if active.generated >= active.max_tokens {
            FinishReason::MaxTokens
        } else if self.tokens >= CONTEXT {
            FinishReason::ContextFull
        } else if let Some(byte) = next {
            if active.generated >= active.credit {
                return None;
            }
            let shown = if byte.is_ascii() {
                char::from(byte)
            } else {
                '?'
            };
            // `Text` is longer than one character.
            drop(text.push(shown));
            active.generated += 1;
            self.tokens += 1;
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
        };
        self.reset();
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
            waiting: 0,
        }
    }

    fn start(
        &mut self,
        turn: Turn,
        prompt: &[u8],
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
        let session = self.sessions.get_mut(turn.session).ok_or(missing)?;
        if session.active.is_some() {
            return Err(GenerateError::Busy);
        }
        if turn.fresh {
            session.tokens = 0;
        } else if session.tokens == 0 {
            return Err(GenerateError::NothingThere);
        }
        if prompt.is_empty() {
            return Err(GenerateError::EmptyPrompt);
        }
        let tokens = session.tokens + prompt.len();
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
        session.echo = heapless::Vec::from_slice(prompt).unwrap_or_default();
        session.active = Some(Active {
            generated: 0,
            max_tokens: params.max_tokens,
            credit: turn.credit,
            keep: turn.keep,
            cancelled: false,
        });
        Ok(prompt.len() as u32)
    }

    fn grant(&mut self, session: usize, tokens: u32) {
        let session = self.sessions.get_mut(session);
        if let Some(active) = session.and_then(|session| session.active.as_mut()) {
            active.credit = active.credit.max(tokens);
        }
    }

    fn step(&mut self, text: &mut Text) -> Progress {
        text.clear();
        for session in (0..MAX_SESSIONS).map(|n| (self.next + n) % MAX_SESSIONS) {
            if let Some(step) = self.sessions[session].step(text) {
                self.next = (session + 1) % MAX_SESSIONS;
                return Progress::Session(session, Ok(step));
            }
        }
        Progress::Idle
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
    }

    fn load_adapter(
        &mut self,
        adapter: usize,
        _: &[u8],
        _: &[u8; 32],
    ) -> Result<AdapterInfo, AdapterError> {
        Err(AdapterError::NoSuchAdapter(adapter))
    }

    fn drop_adapter(&mut self, adapter: usize) -> Result<(), AdapterError> {
        Err(AdapterError::NoSuchAdapter(adapter))
    }

    fn train(&mut self, _: &[u8], _: &TrainParams) -> Result<TrainPlan, TrainError> {
        Err(TrainError::NoModel)
    }

    fn end_training(&mut self) {}

    fn made(&self, _: usize) -> &[u8] {
        &[]
    }
}
