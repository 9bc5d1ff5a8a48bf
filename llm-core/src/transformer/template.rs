//! The chat template of a loaded model: its scaffold is in the arena, next to the vocabulary.

use super::{LoadError, Model};
use crate::arena::{Arena, ArenaError, Frozen, Purpose, Span};
use crate::chat::{Bound, Scaffold, TemplateInfo};
use crate::gguf::Gguf;
use crate::tokenizer::Vocabulary;

/// What a conversation needs besides its texts, known before anything is loaded.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rendering {
    /// Maximum number of bytes that the scaffold adds; `None` without a scaffold.
    added: Option<usize>,
}

impl Rendering {
    /// For a file whose chat template has this scaffold.
    pub(super) fn of(scaffold: Option<&Scaffold<'_>>, gguf: &Gguf<'_>) -> Result<Self, LoadError> {
        let added = match scaffold {
            Some(scaffold) => Some(scaffold.most_bytes(0, Vocabulary::longest_marker(gguf)?)),
            None => None,
        };
        Ok(Self { added })
    }

    /// Size of the longest conversation with `text_bytes` of text; 0 without a scaffold.
    pub(super) fn bytes(self, text_bytes: usize) -> usize {
        self.added
            .map_or(0, |added| added.saturating_add(text_bytes))
    }
}

/// Copies a scaffold into the arena.
pub(super) fn pack(scaffold: &Scaffold<'_>, arena: &mut Arena<'_>) -> Result<Span<u8>, ArenaError> {
    let packed = arena.alloc(scaffold.packed_bytes(), Purpose::Vocabulary)?;
    // The span has exactly the required size.
    let _ = scaffold.pack(arena.get_mut(packed));
    Ok(packed)
}

/// The template of a model in an arena.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadedTemplate {
    packed: Span<u8>,
    info: TemplateInfo,
}

impl LoadedTemplate {
    /// The template whose scaffold was packed; `None` if it adds more than admission allows.
    pub(super) fn new(model: &Model, packed: Span<u8>, arena: &mut Arena<'_>) -> Option<Self> {
        let vocabulary = model.vocabulary;
        let workspace = model.tokenizing(arena, 0);
        let scaffold = Scaffold::unpack(workspace.frozen.get(packed)).ok()?;
        let view = vocabulary.view(workspace.frozen.get(vocabulary.table()));
        let bound = scaffold.bound(&view, workspace.text, workspace.cells)?;
        let info = TemplateInfo::new(&scaffold, bound, &view);
        bound.is_served().then_some(Self { packed, info })
    }

    pub(crate) const fn info(&self) -> &TemplateInfo {
        &self.info
    }

    pub(crate) const fn bound(&self) -> &Bound {
        &self.info.bound
    }

    /// The scaffold; `None` if the arena is not this model's.
    pub(crate) fn scaffold<'a>(&self, frozen: &Frozen<'a>) -> Option<Scaffold<'a>> {
        Scaffold::unpack(frozen.get(self.packed)).ok()
    }
}
