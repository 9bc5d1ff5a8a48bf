//! Appends prompts, as tokens, to the contents of a session.

use crate::arena::Arena;
use crate::chat::{Buffers, Conversation, Place, Segment};
use crate::generate::{GenerateError, Turn};
use crate::tokenizer::{EXTRA_PROMPT_TOKENS, EncodeOptions};
use crate::transformer::Model;

/// Writes the tokens of a text after the session's `history` tokens, and returns their number.
pub(super) fn write_text(
    model: &Model,
    arena: &mut Arena<'_>,
    turn: &Turn,
    history: usize,
    text: &[u8],
) -> Result<usize, GenerateError> {
    check_bytes(text.len(), model)?;
    let vocabulary = *model.vocabulary();
    let workspace = model.tokenizing(arena, turn.session);
    let options = EncodeOptions {
        add_special: turn.fresh,
        parse_special: false,
        parse_user_defined: turn.user_defined,
    };
    let view = vocabulary.view(workspace.frozen.get(vocabulary.table()));
    let room = room_behind(workspace.tokens, history);
    let tokens = view.encode(text, options, workspace.cells, room)?;
    // Admission reserves by this bound before anything is tokenized. It is exceeded only if a space takes several
    // tokens, or if begin, end and a space are all added to a text of one token per byte.
    let limit = text.len().saturating_add(EXTRA_PROMPT_TOKENS);
    match tokens <= limit {
        true => Ok(tokens),
        false => Err(GenerateError::PromptTokens { tokens, limit }),
    }
}

/// Like [`write_text`], for a conversation in the model's chat template.
pub(super) fn write_segments(
    model: &Model,
    arena: &mut Arena<'_>,
    turn: &Turn,
    history: usize,
    segments: &[Segment<'_>],
) -> Result<usize, GenerateError> {
    let template = model.loaded_template().ok_or(GenerateError::NoTemplate)?;
    let said = segments.iter().map(|segment| segment.text.len());
    check_bytes(said.fold(0, usize::saturating_add), model)?;
    let vocabulary = *model.vocabulary();
    let workspace = model.tokenizing(arena, turn.session);
    let scaffold = template.scaffold(&workspace.frozen);
    let scaffold = scaffold.ok_or(GenerateError::NoTemplate)?;
    let view = vocabulary.view(workspace.frozen.get(vocabulary.table()));
    let last = workspace.tokens[..history].last();
    let conversation = Conversation {
        segments,
        place: last.map_or(Place::Beginning, |&last| Place::Behind { last }),
        user_defined: turn.user_defined,
    };
    let buffers = Buffers {
        text: workspace.text,
        cells: workspace.cells,
        out: room_behind(workspace.tokens, history),
    };
    Ok(scaffold.encode(&view, template.bound(), &conversation, buffers)?)
}

/// Like [`write_text`], for given token ids.
pub(super) fn write_tokens(
    model: &Model,
    arena: &mut Arena<'_>,
    turn: &Turn,
    history: usize,
    ids: &[u32],
) -> Result<usize, GenerateError> {
    let vocabulary = model.config().vocabulary;
    let room = room_behind(model.tokenizing(arena, turn.session).tokens, history);
    let (tokens, limit) = (ids.len(), room.len());
    match room.get_mut(..tokens) {
        Some(place) if ids.iter().all(|&id| (id as usize) < vocabulary) => {
            place.copy_from_slice(ids);
            Ok(tokens)
        }
        _ => Err(GenerateError::PromptTokens { tokens, limit }),
    }
}

/// Where a prompt goes; one place is left after it for the first generated token.
fn room_behind(tokens: &mut [u32], history: usize) -> &mut [u32] {
    let end = tokens.len().saturating_sub(1);
    &mut tokens[history.min(end)..end]
}

/// Refuses texts that are longer than the model was loaded for.
fn check_bytes(bytes: usize, model: &Model) -> Result<(), GenerateError> {
    let limit = model.max_prompt_bytes();
    match bytes <= limit {
        true => Ok(()),
        false => Err(GenerateError::PromptBytes { bytes, limit }),
    }
}

/// A prompt that does not fit after the session's contents means that the context is full.
pub(super) fn too_long(error: GenerateError, history: usize, context: usize) -> GenerateError {
    match error {
        GenerateError::PromptTokens { tokens, .. } if history > 0 => GenerateError::ContextFull {
            tokens: history + tokens,
            limit: context,
        },
        error => error,
    }
}
