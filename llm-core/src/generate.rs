//! One request: a prompt goes in, pieces of text come out, one bounded step at a time.

use crate::arena::Arena;
use crate::quantize::NonFinite;
use crate::sampling::{Sampler, SamplerParams};
use crate::tokenizer::{EncodeOptions, MAX_TOKEN_BYTES, TokenizeError, Utf8Stream};
use crate::transformer::{Batch, MAX_BATCH, Model};

/// Text of one step. A token has at most [`MAX_TOKEN_BYTES`] bytes; up to three more were held back
/// for it, and bytes that are no UTF-8 grow threefold.
pub type Text = heapless::String<{ 3 * (MAX_TOKEN_BYTES + 4) }>;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerateParams {
    /// How tokens are chosen.
    pub sampler: SamplerParams,
    /// Most tokens to generate, at least 1.
    pub max_tokens: u32,
}

/// Why a generation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended its text.
    EndOfText,
    /// As many tokens as were asked for.
    MaxTokens,
    /// The session's context is full.
    ContextFull,
    /// [`crate::backend::LlmBackend::cancel`].
    Cancelled,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Part of the prompt was run through the model.
    Prefill {
        /// Tokens of the prompt that are done.
        done: u32,
        /// Tokens of the prompt.
        total: u32,
    },
    /// A token was generated; its text is in the step's [`Text`].
    Token {
        /// Its number in the vocabulary.
        id: u32,
    },
    /// The generation is over.
    Finished {
        /// Why.
        reason: FinishReason,
        /// Tokens of the prompt, specials included.
        prompt_tokens: u32,
        /// Tokens generated, an end-of-text token included.
        generated: u32,
    },
}

/// Why a request is refused or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// No model is loaded.
    #[error("no model is loaded")]
    NoModel,
    /// Another generation is under way.
    #[error("a generation is under way")]
    Busy,
    /// The prompt has no tokens.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// No token was asked for.
    #[error("at least one token has to be asked for")]
    NoTokens,
    /// The prompt is too long in bytes.
    #[error("the prompt has {bytes} bytes, at most {limit} are allowed")]
    PromptBytes {
        /// Bytes that it has.
        bytes: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The prompt is too long in tokens.
    #[error("the prompt has {tokens} tokens, at most {limit} are allowed")]
    PromptTokens {
        /// Tokens that it has.
        tokens: usize,
        /// Tokens allowed: the context less one.
        limit: usize,
    },
    /// The prompt is no UTF-8.
    #[error("the prompt is not UTF-8 at byte {offset}")]
    NotUtf8 {
        /// Offset of the first wrong byte.
        offset: usize,
    },
    /// The vocabulary has no token for a byte of the prompt.
    #[error("the model has no token for the byte {byte:#04x}")]
    NoToken {
        /// The byte.
        byte: u8,
    },
    /// A value in the computation was not finite.
    #[error("a value in the computation was not finite")]
    NonFinite,
}

impl From<NonFinite> for GenerateError {
    fn from(_: NonFinite) -> Self {
        Self::NonFinite
    }
}

/// A generation under way.
#[derive(Debug)]
pub struct Generation {
    sampler: Sampler,
    max_tokens: u32,
    prompt_tokens: usize,
    /// Tokens of the session: prompt, then what was generated.
    tokens: usize,
    /// Tokens that have been through the model.
    position: usize,
    /// Part of the prompt, on its way through the model.
    prefill: Option<Batch>,
    stream: Utf8Stream,
    finished: Option<FinishReason>,
}

impl Generation {
    /// Tokenizes `prompt` into the session's buffer.
    ///
    /// # Errors
    /// The request is refused; the model is as it was.
    pub fn start(
        model: &Model,
        arena: &mut Arena<'_>,
        prompt: &[u8],
        params: &GenerateParams,
    ) -> Result<Self, GenerateError> {
        if params.max_tokens == 0 {
            return Err(GenerateError::NoTokens);
        }
        let vocabulary = *model.vocabulary();
        let workspace = model.workspace(arena);
        let limit = workspace.cells.len().saturating_sub(1);
        if prompt.len() > limit {
            return Err(GenerateError::PromptBytes {
                bytes: prompt.len(),
                limit,
            });
        }
        // One place is left for the first generated token.
        let limit = workspace.tokens.len().saturating_sub(1);
        let options = EncodeOptions {
            add_special: true,
            parse_special: false,
        };
        let tokens = vocabulary
            .view(workspace.frozen.get(vocabulary.table()))
            .encode(
                prompt,
                options,
                workspace.cells,
                &mut workspace.tokens[..limit],
            )
            .map_err(|error| match error {
                TokenizeError::NotUtf8 { offset } => GenerateError::NotUtf8 { offset },
                TokenizeError::TooManyTokens { tokens, limit } => {
                    GenerateError::PromptTokens { tokens, limit }
                }
                TokenizeError::ScratchTooSmall { cells, needed } => GenerateError::PromptBytes {
                    bytes: needed,
                    limit: cells,
                },
                TokenizeError::NoByteToken { byte } => GenerateError::NoToken { byte },
            })?;
        Self::start_from(tokens, params)
    }

    /// Starts from token ids, as they are.
    ///
    /// # Errors
    /// There are none, too many, or one that the model does not have.
    pub fn start_tokens(
        model: &Model,
        arena: &mut Arena<'_>,
        prompt: &[u32],
        params: &GenerateParams,
    ) -> Result<Self, GenerateError> {
        let workspace = model.workspace(arena);
        let limit = workspace.tokens.len().saturating_sub(1);
        let vocabulary = model.config().vocabulary;
        if prompt.len() > limit || prompt.iter().any(|&id| id as usize >= vocabulary) {
            return Err(GenerateError::PromptTokens {
                tokens: prompt.len(),
                limit,
            });
        }
        workspace.tokens[..prompt.len()].copy_from_slice(prompt);
        Self::start_from(prompt.len(), params)
    }

    fn start_from(tokens: usize, params: &GenerateParams) -> Result<Self, GenerateError> {
        if tokens == 0 {
            return Err(GenerateError::EmptyPrompt);
        }
        Ok(Self {
            sampler: Sampler::new(params.sampler),
            max_tokens: params.max_tokens,
            prompt_tokens: tokens,
            tokens,
            position: 0,
            prefill: None,
            stream: Utf8Stream::new(),
            finished: None,
        })
    }

    /// Ends it; the next step says so.
    pub fn cancel(&mut self) {
        self.finished.get_or_insert(FinishReason::Cancelled);
    }

    /// Does a bounded amount of work: one block of the model for a batch of the prompt, or one token.
    /// `text` receives what can be shown, whole characters alone; the last token of a generation brings
    /// what was held back.
    ///
    /// # Errors
    /// The generation is lost, the model is not.
    pub fn step(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        text: &mut Text,
    ) -> Result<Step, GenerateError> {
        text.clear();
        if let Some(reason) = self.finished {
            return Ok(self.finish(reason));
        }
        if self.position < self.prompt_tokens {
            return self.prefill(model, arena);
        }
        if self.position < self.tokens {
            let token = model.workspace(arena).tokens[self.position];
            model.forward(arena, &[token], self.position, true)?;
            self.position += 1;
        }
        let id = self.sample(model, arena);
        self.emit(id, model, arena, text);
        Ok(Step::Token { id })
    }

    fn finish(&self, reason: FinishReason) -> Step {
        Step::Finished {
            reason,
            prompt_tokens: self.prompt_tokens as u32,
            generated: (self.tokens - self.prompt_tokens) as u32,
        }
    }

    /// Takes the prompt's next batch one block further: a step is no longer than a cancel may wait.
    fn prefill(&mut self, model: &Model, arena: &mut Arena<'_>) -> Result<Step, GenerateError> {
        let len = (self.prompt_tokens - self.position).min(model.batch());
        let end = self.position + len;
        let mut batch = match self.prefill.take() {
            Some(batch) => batch,
            None => {
                let mut tokens = [0; MAX_BATCH];
                let tokens = &mut tokens[..len];
                tokens.copy_from_slice(&model.workspace(arena).tokens[self.position..end]);
                model.begin(arena, tokens, self.position)
            }
        };
        // Logits for the last token alone.
        if model.advance(arena, &mut batch, end == self.prompt_tokens)? {
            self.position = end;
        } else {
            self.prefill = Some(batch);
        }
        Ok(Step::Prefill {
            done: self.position as u32,
            total: self.prompt_tokens as u32,
        })
    }

    fn sample(&mut self, model: &Model, arena: &mut Arena<'_>) -> u32 {
        let workspace = model.workspace(arena);
        let history = &workspace.tokens[..self.tokens];
        let id = self
            .sampler
            .sample(workspace.logits, history, workspace.candidates);
        workspace.tokens[self.tokens] = id;
        self.tokens += 1;
        id
    }

    /// Writes the token's text and finds out whether it was the last.
    fn emit(&mut self, id: u32, model: &Model, arena: &mut Arena<'_>, text: &mut Text) {
        let vocabulary = model.vocabulary();
        let workspace = model.workspace(arena);
        let view = vocabulary.view(workspace.frozen.get(vocabulary.table()));
        // `Text` has room for every token; see its definition.
        let mut sink = |character| drop(text.push(character));
        for byte in view.decode(id, false) {
            self.stream.push(byte, &mut sink);
        }
        self.finished = if view.is_eog(id) {
            Some(FinishReason::EndOfText)
        } else if self.tokens - self.prompt_tokens >= self.max_tokens as usize {
            Some(FinishReason::MaxTokens)
        } else if self.tokens >= workspace.tokens.len() {
            Some(FinishReason::ContextFull)
        } else {
            None
        };
        if self.finished.is_some() {
            self.stream.finish(&mut sink);
        }
    }
}
