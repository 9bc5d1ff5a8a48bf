//! Drives the engine as the inference domain does, one session at a time.

use std::collections::HashMap;
use std::path::Path;

use formats::Formats;
use llm_core::backend::LlmBackend;
use llm_core::chat::{Role, Segment};
use llm_core::constrain::{Format, FormatTable};
use llm_core::generate::{GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::hash::sha256;
use llm_core::kv_cache;
use llm_core::transformer::{AdapterFile, Checked, LoadOptions};
use protocol::hash::{Hash, Hex};
use protocol::limits::MAX_PIECE_BYTES;
use protocol::wire::engine::KvType;
use protocol::wire::{InferParams, PartKind, Parts};
use sha2::{Digest, Sha256};

use super::NO_ADAPTER;
use super::sources::Sources;
use crate::engine::{Backend, Memory, load_error, load_options, team};
use crate::error::ToolError;

/// The hash in a record whose request had no format.
const NO_FORMAT: Hash = [0; 32];

/// Index of the adapter.
const PLACE: usize = 0;

/// The session in which turns run: each replayed session starts it anew.
const SESSION: usize = 0;

/// A model that runs turns.
#[derive(Debug)]
pub(super) struct Engine<'m> {
    backend: Backend<'m>,
    /// SHA-256 of the model's file.
    base: Hash,
    adapter: Option<u8>,
    /// SHA-256 of each format's automaton, in order of their numbers.
    formats: Vec<Hash>,
    text: Text,
}

/// The request of a turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'r> {
    /// Whether it is the first of its session.
    pub(super) first: bool,
    /// Its message parts.
    pub(super) parts: &'r [u8],
    /// SHA-256 of its format; zeros if it has none.
    pub(super) format: Hash,
    /// Whether text that is spelled like a user-defined token becomes one.
    pub(super) user_defined: bool,
    pub(super) params: InferParams,
    /// Number of tokens that it generated.
    pub(super) tokens: u32,
}

/// Adapters that sessions used.
#[derive(Debug, Default)]
pub(super) struct Adapters(HashMap<Hash, Vec<u8>>);

impl Adapters {
    /// Adds the adapter with this hash, if the sources have one.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub(super) fn add(&mut self, sha256: Hash, sources: &Sources) -> Result<(), ToolError> {
        if let Some(adapter) = sources.adapter(&sha256)? {
            self.0.insert(sha256, adapter);
        }
        Ok(())
    }

    /// Bytes that the largest needs beside the model. Adapters that do not fit the model count as zero, because they
    /// will not be loaded.
    fn bytes(&self, checked: &Checked<'_>) -> u64 {
        let bytes = self.0.values().filter_map(|file| {
            let file = AdapterFile::read(file).ok()?;
            Some(file.check(&checked.base(), None).ok()?.info.bytes)
        });
        bytes.max().unwrap_or(0)
    }
}

/// The result of a turn.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) prompt_tokens: u32,
    pub(super) generated: u32,
    /// As [`protocol::record`] defines it.
    pub(super) output: Hash,
    /// Only the text.
    pub(super) text: String,
}

impl Engine<'_> {
    /// Loads the model with this context in tokens, as the inference domain does, and passes it to `run`. The number of
    /// threads changes no bit.
    pub(super) fn with<T>(
        path: &Path,
        file: &[u8],
        context: usize,
        adapters: &Adapters,
        formats: Option<&[u8]>,
        threads: usize,
        run: impl FnOnce(&mut Engine<'_>) -> T,
    ) -> Result<T, ToolError> {
        let error = load_error(path);
        let options = LoadOptions {
            workers: threads,
            ..load_options(context, kv_cache::KvType::Q8)
        };
        let checked = Checked::new(file).map_err(Box::new).map_err(&error)?;
        let bytes = adapters.bytes(&checked);
        let mut memory = Memory::with_adapters(&checked, &options, bytes).map_err(&error)?;
        let formats = match formats {
            Some(image) => Formats::read(image)?,
            None => Formats::NONE,
        };
        let mut costs = vec![0; formats.states()];
        let arena = memory.arena().map_err(&error)?;
        let mut backend = Backend::with_team(arena, options, team(&options)?);
        backend.load(file).map_err(Box::new).map_err(&error)?;
        if let Some(table) = FormatTable::new(formats, &mut costs) {
            backend.set_formats(table);
        }
        Ok(run(&mut Engine {
            backend,
            base: sha256(file),
            adapter: None,
            formats: formats.iter().map(|named| sha256(named.table)).collect(),
            text: Text::new(),
        }))
    }

    /// Uses this adapter from now on; zeros for no adapter.
    ///
    /// # Errors
    /// There is no such adapter, or it is not for this model.
    pub(super) fn use_adapter(&mut self, sha256: &Hash, adapters: &Adapters) -> Result<(), String> {
        if self.adapter.take().is_some() {
            // The previous sessions have ended.
            self.backend.reset();
            let dropped = self.backend.drop_adapter(PLACE);
            dropped.map_err(|error| error.to_string())?;
        }
        if *sha256 == NO_ADAPTER {
            return Ok(());
        }
        let Some(file) = adapters.0.get(sha256) else {
            return Err(format!("no adapter with SHA-256 {}", Hex(sha256)));
        };
        let loaded = self.backend.load_adapter(PLACE, file, &self.base);
        loaded.map_err(|error| format!("the engine refuses its adapter: {error}"))?;
        self.adapter = Some(PLACE as u8);
        Ok(())
    }

    /// Whether keys and values are stored in this type.
    pub(super) fn has_kv_type(kv_type: u16) -> bool {
        kv_type == KvType::Q8 as u16
    }

    /// The format of the answer to this request: one from the policy, or the request's own choices.
    fn format(&self, parts: &Parts<'_>, sha256: &Hash) -> Result<Option<Format>, String> {
        let choices = parts.allowed();
        let choices = choices.map_err(|failure| format!("its choices are wrong: {failure:?}"))?;
        if let Some(choices) = choices {
            return Ok(Some(Format::Choices(choices)));
        }
        if *sha256 == NO_FORMAT {
            return Ok(None);
        }
        match self.formats.iter().position(|format| format == sha256) {
            // There are few formats.
            Some(number) => Ok(Some(Format::Named(number as u8))),
            None => Err(format!(
                "--formats has no format with SHA-256 {}",
                Hex(sha256)
            )),
        }
    }

    /// Runs a turn until it has generated as many tokens as the original, or ends earlier.
    pub(super) fn turn(&mut self, request: &Request<'_>) -> Result<Outcome, String> {
        let tokens = request.tokens;
        let parts = Parts::parse(request.parts);
        let parts = parts.ok_or("what the log has of its prompt is no request")?;
        let wrong = |failure| format!("the log has an invalid request: {failure:?}");
        parts.check().map_err(wrong)?;
        let stops = parts.ending().map_err(wrong)?;
        let turn = Turn {
            fresh: request.first,
            adapter: self.adapter,
            format: self.format(&parts, &request.format)?,
            stops,
            user_defined: request.user_defined,
            ..Turn::first(SESSION)
        };
        let segments: Vec<Segment<'_>> = parts
            .segments()
            .map(|part| Segment::new(role(part.kind), part.as_str()))
            .collect();
        let prompt = match parts.completion() {
            Some(text) => Prompt::Text(text),
            None => Prompt::Segments(&segments),
        };
        let params = GenerateParams::from(request.params);
        let started = self.backend.start(turn, prompt, &params);
        started.map_err(|error| format!("the engine refuses it: {error}"))?;
        let mut output = Sha256::new();
        let (mut passed, mut whole) = (0, String::new());
        if tokens == 0 {
            self.backend.cancel(SESSION);
        }
        loop {
            match self.backend.step(&mut self.text) {
                Progress::Session(_, Ok(Step::Token { id })) => {
                    let text = cut(&self.text, MAX_PIECE_BYTES);
                    output.update(id.to_le_bytes());
                    output.update((text.len() as u32).to_le_bytes());
                    output.update(text);
                    whole.push_str(text);
                    passed += 1;
                    if passed >= tokens {
                        // If it has not ended by itself, the limit ended it.
                        self.backend.cancel(SESSION);
                    }
                }
                Progress::Session(
                    _,
                    Ok(Step::Finished {
                        prompt_tokens,
                        generated,
                        ..
                    }),
                ) => {
                    return Ok(Outcome {
                        prompt_tokens,
                        generated,
                        output: output.finalize().into(),
                        text: whole,
                    });
                }
                Progress::Session(_, Err(error)) => return Err(error.to_string()),
                Progress::Idle => return Err("the engine has lost the request".to_owned()),
                Progress::Session(_, Ok(Step::Prefill { .. }))
                | Progress::Working
                | Progress::Evicted(_)
                | Progress::Training(_) => {}
            }
        }
    }
}

/// The role of a segment of a conversation.
const fn role(kind: PartKind) -> Role {
    match kind {
        PartKind::System => Role::System,
        PartKind::Assistant => Role::Assistant,
        PartKind::User | PartKind::Text | PartKind::Prompt | PartKind::Stop | PartKind::Choice => {
            Role::User
        }
    }
}

/// The longest prefix of `text` of at most `max` bytes, which is what a report can hold.
fn cut(text: &str, max: usize) -> &str {
    let mut end = max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}
