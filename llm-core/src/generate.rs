//! Requests: a prompt goes in, pieces of text come out, one bounded step at a time.
//!
//! A [`Scheduler`] has a generation for each session that is at work. What they have to run through the
//! model goes there together: one token of each, and what room is left is shared by those that still
//! read their prompts. None slows another's step beyond the batch, and none shows in another's text.

use crate::arena::Arena;
use crate::kv_cache::CacheFull;
use crate::sampling::{Sampler, SamplerParams};
use crate::tokenizer::{EncodeOptions, MAX_TOKEN_BYTES, TokenizeError, Utf8Stream};
use crate::transformer::{Batch, MAX_BATCH, MAX_SESSIONS, Model, Token};

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

/// What a step did for a session.
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

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There is nothing to do.
    Idle,
    /// Part of the way: no session has got anything yet.
    Working,
    /// A session has got further, or its generation is lost.
    Session(usize, Result<Step, GenerateError>),
}

/// Why a request is refused or fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// No model is loaded.
    #[error("no model is loaded")]
    NoModel,
    /// Every session has a generation under way.
    #[error("every session has a generation under way")]
    Busy,
    /// The cache has too few blocks left for prompt and generation.
    #[error(transparent)]
    CacheFull(#[from] CacheFull),
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

/// A generation under way.
#[derive(Debug)]
struct Generation {
    sampler: Sampler,
    max_tokens: u32,
    prompt_tokens: usize,
    /// Tokens of the session: prompt, then what was generated.
    tokens: usize,
    /// Tokens that have been through the model.
    position: usize,
    stream: Utf8Stream,
    finished: Option<FinishReason>,
}

impl Generation {
    /// What it ended with.
    const fn finish(&self, reason: FinishReason) -> Step {
        Step::Finished {
            reason,
            prompt_tokens: self.prompt_tokens as u32,
            generated: (self.tokens - self.prompt_tokens) as u32,
        }
    }

    /// Chooses the next token from the `output`-th logits.
    fn sample(
        &mut self,
        session: usize,
        output: usize,
        model: &Model,
        arena: &mut Arena<'_>,
        text: &mut Text,
    ) -> Step {
        let workspace = model.workspace(arena, session, output);
        let history = &workspace.tokens[..self.tokens];
        let id = self
            .sampler
            .sample(workspace.logits, history, workspace.candidates);
        workspace.tokens[self.tokens] = id;
        self.tokens += 1;

        let vocabulary = model.vocabulary();
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
        Step::Token { id }
    }
}

/// A session that a batch has brought further.
#[derive(Clone, Copy, Debug)]
struct Ready {
    session: usize,
    /// Which of the batch's logits are its own; `None`: its prompt goes on.
    output: Option<usize>,
}

/// The generations of all sessions.
#[derive(Debug)]
pub struct Scheduler {
    generations: [Option<Generation>; MAX_SESSIONS],
    /// On its way through the model.
    batch: Option<Batch>,
    /// What a batch that went through has brought.
    ready: heapless::Deque<Ready, MAX_SESSIONS>,
    /// The session that is served first.
    next: usize,
    /// Sessions, one bit each, that were in a batch with a value that was not finite: each has the next for
    /// itself, so that whoever brought it does not take the others along.
    suspects: u32,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self::new()
    }
}

impl Scheduler {
    /// Nothing under way.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            generations: [const { None }; MAX_SESSIONS],
            batch: None,
            ready: heapless::Deque::new(),
            next: 0,
            suspects: 0,
        }
    }

    /// Whether a generation is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.generations.iter().any(Option::is_some)
    }

    /// Tokenizes `prompt` for a session that is free, and reserves what prompt and generation take of the
    /// cache. Returns the session.
    ///
    /// # Errors
    /// The request is refused; everything is as it was.
    pub fn start(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        prompt: &[u8],
        params: &GenerateParams,
    ) -> Result<usize, GenerateError> {
        if params.max_tokens == 0 {
            return Err(GenerateError::NoTokens);
        }
        let session = self.free_session(model)?;
        let vocabulary = *model.vocabulary();
        let workspace = model.workspace(arena, session, 0);
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
        self.begin(model, arena, session, tokens, params)
    }

    /// As [`Self::start`] from token ids, as they are.
    ///
    /// # Errors
    /// There are none, too many, or one that the model does not have.
    pub fn start_tokens(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        prompt: &[u32],
        params: &GenerateParams,
    ) -> Result<usize, GenerateError> {
        let session = self.free_session(model)?;
        let workspace = model.workspace(arena, session, 0);
        let limit = workspace.tokens.len().saturating_sub(1);
        let vocabulary = model.config().vocabulary;
        if prompt.len() > limit || prompt.iter().any(|&id| id as usize >= vocabulary) {
            return Err(GenerateError::PromptTokens {
                tokens: prompt.len(),
                limit,
            });
        }
        workspace.tokens[..prompt.len()].copy_from_slice(prompt);
        self.begin(model, arena, session, prompt.len(), params)
    }

    fn free_session(&self, model: &Model) -> Result<usize, GenerateError> {
        let sessions = &self.generations[..model.sessions()];
        let free = sessions.iter().position(Option::is_none);
        free.ok_or(GenerateError::Busy)
    }

    fn begin(
        &mut self,
        model: &Model,
        arena: &mut Arena<'_>,
        session: usize,
        tokens: usize,
        params: &GenerateParams,
    ) -> Result<usize, GenerateError> {
        if tokens == 0 {
            return Err(GenerateError::EmptyPrompt);
        }
        let positions = tokens.saturating_add(params.max_tokens as usize);
        model.reserve(arena, session, positions)?;
        self.generations[session] = Some(Generation {
            sampler: Sampler::new(params.sampler),
            max_tokens: params.max_tokens,
            prompt_tokens: tokens,
            tokens,
            position: 0,
            stream: Utf8Stream::new(),
            finished: None,
        });
        Ok(session)
    }

    /// Ends the generation of a session, if there is one: its next step is [`Step::Finished`].
    pub fn cancel(&mut self, session: usize) {
        if let Some(Some(generation)) = self.generations.get_mut(session) {
            generation.finished.get_or_insert(FinishReason::Cancelled);
        }
    }

    /// Does a bounded amount of work: about a block of the model for a full batch, or the choice of one
    /// token. `text` receives what can be shown of it, whole characters alone; the last token of a
    /// generation brings what was held back.
    pub fn step(&mut self, model: &Model, arena: &mut Arena<'_>, text: &mut Text) -> Progress {
        text.clear();
        let over = |generation: &Option<Generation>| {
            let generation = generation.as_ref()?;
            Some(generation.finish(generation.finished?))
        };
        for session in 0..MAX_SESSIONS {
            if let Some(step) = over(&self.generations[session]) {
                self.drop(session, model, arena);
                return Progress::Session(session, Ok(step));
            }
        }
        if let Some(Ready { session, output }) = self.ready.pop_front() {
            return self.bring(session, output, model, arena, text);
        }
        match self.batch.take().or_else(|| self.fill(model, arena)) {
            Some(batch) => self.advance(batch, model, arena),
            None => Progress::Idle,
        }
    }

    /// Forgets a session's generation, wherever it is, and what it has in the cache.
    fn drop(&mut self, session: usize, model: &Model, arena: &mut Arena<'_>) {
        self.generations[session] = None;
        self.suspects &= !(1 << session);
        if let Some(batch) = &mut self.batch {
            model.remove(arena, batch, session);
        }
        for _ in 0..self.ready.len() {
            if let Some(ready) = self.ready.pop_front()
                && ready.session != session
            {
                // It came out of the queue, so there is room.
                let _ = self.ready.push_back(ready);
            }
        }
        model.release(arena, session);
    }

    fn bring(
        &mut self,
        session: usize,
        output: Option<usize>,
        model: &Model,
        arena: &mut Arena<'_>,
        text: &mut Text,
    ) -> Progress {
        let Some(generation) = &mut self.generations[session] else {
            return Progress::Working;
        };
        let step = match output {
            Some(output) => generation.sample(session, output, model, arena, text),
            None => Step::Prefill {
                done: generation.position as u32,
                total: generation.prompt_tokens as u32,
            },
        };
        Progress::Session(session, Ok(step))
    }

    /// The next batch: a token of each session, in turn where not all find room; then more of the prompts.
    fn fill(&mut self, model: &Model, arena: &mut Arena<'_>) -> Option<Batch> {
        let sessions = model.sessions();
        let mut shares = [0usize; MAX_SESSIONS];
        let pending = |session: usize| match &self.generations[session] {
            Some(_) if self.suspects != 0 && self.suspects.trailing_zeros() != session as u32 => 0,
            Some(generation) => generation.tokens - generation.position,
            None => 0,
        };
        let mut left = model.batch();
        let (mut readers, mut unserved) = (0, None);
        for session in (0..sessions).map(|n| (self.next + n) % sessions) {
            if pending(session) > 0 && left == 0 {
                unserved = unserved.or(Some(session));
            } else if pending(session) > 0 {
                shares[session] = 1;
                left -= 1;
                readers += usize::from(pending(session) > 1);
            }
        }
        for (session, share) in shares
            .iter_mut()
            .enumerate()
            .filter(|(_, share)| **share > 0)
        {
            if pending(session) > 1 {
                let more = (left / readers).min(pending(session) - 1);
                *share += more;
                left -= more;
                readers -= 1;
            }
        }
        let mut tokens: heapless::Vec<Token, MAX_BATCH> = heapless::Vec::new();
        for (session, &share) in shares.iter().enumerate().filter(|(_, share)| **share > 0) {
            let Some(generation) = &self.generations[session] else {
                continue;
            };
            let history = model.workspace(arena, session, 0).tokens;
            let ids = history.iter().enumerate().skip(generation.position);
            for (position, &id) in ids.take(share) {
                // The shares add up to no more than a batch.
                let _ = tokens.push(Token {
                    id,
                    session: session as u16,
                    position: position as u32,
                    logits: position + 1 == generation.tokens,
                });
            }
        }
        self.next = unserved.unwrap_or((self.next + 1) % sessions);
        (!tokens.is_empty()).then(|| model.begin(arena, &tokens))
    }

    /// Takes a batch on: the fewer its tokens, the more blocks.
    fn advance(&mut self, mut batch: Batch, model: &Model, arena: &mut Arena<'_>) -> Progress {
        let blocks = (MAX_BATCH / batch.tokens().len().max(1)).max(1);
        let mut result = Ok(false);
        for _ in 0..blocks {
            result = model.advance(arena, &mut batch);
            if result != Ok(false) {
                break;
            }
        }
        match result {
            Ok(false) => self.batch = Some(batch),
            Ok(true) => self.collect(&batch),
            Err(_) => return self.suspect(&batch, model, arena),
        }
        Progress::Working
    }

    /// Takes note of what a batch has brought.
    fn collect(&mut self, batch: &Batch) {
        let mut outputs = 0;
        for (n, token) in batch.tokens().iter().enumerate() {
            let session = usize::from(token.session);
            self.suspects &= !(1 << session);
            let output = token.logits.then_some(outputs);
            outputs += usize::from(token.logits);
            let next = batch.tokens().get(n + 1);
            if next.is_some_and(|next| next.session == token.session) {
                continue;
            }
            if let Some(generation) = &mut self.generations[session] {
                generation.position = token.position as usize + 1;
            }
            // One for each session at most.
            let _ = self.ready.push_back(Ready { session, output });
        }
    }

    /// A value was not finite: with one session it is known whose.
    fn suspect(&mut self, batch: &Batch, model: &Model, arena: &mut Arena<'_>) -> Progress {
        let sessions = batch
            .tokens()
            .iter()
            .map(|token| usize::from(token.session));
        let bits = sessions.fold(0u32, |bits, session| bits | 1 << session);
        if bits.count_ones() > 1 {
            self.suspects |= bits;
            return Progress::Working;
        }
        let session = bits.trailing_zeros() as usize;
        self.drop(session, model, arena);
        Progress::Session(session, Err(GenerateError::NonFinite))
    }
}
