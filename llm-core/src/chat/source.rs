//! The chat template of a model file.

use super::{Bound, Label, Published, Scaffold, ScaffoldError, recognise};
use crate::gguf::Gguf;
use crate::hash::sha256;
use crate::tokenizer::VocabularyView;

/// Key of the template, a Jinja program.
pub const TEMPLATE_KEY: &str = "tokenizer.chat_template";

/// Key of a scaffold derived from the template: an array of strings. The SHA-256 of the template in hexadecimal comes
/// first, then [`Scaffold::strings`].
pub const SCAFFOLD_KEY: &str = "sel4_llm.chat.scaffold";

/// What a file says about conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template<'a> {
    /// Nothing: the model only completes texts.
    None,
    /// There is a template, but its scaffold is unknown.
    Unknown,
    /// The template is a published one.
    Published(Published),
    /// The file contains a scaffold derived from its template.
    Derived(Scaffold<'a>),
}

impl<'a> Template<'a> {
    /// Reads the template and scaffold of a file.
    ///
    /// # Errors
    /// The file contains an invalid scaffold.
    pub fn of(gguf: &Gguf<'a>) -> Result<Self, ScaffoldError> {
        let template = gguf.str_opt(TEMPLATE_KEY)?;
        if let Some(list) = gguf.array_opt(SCAFFOLD_KEY)? {
            let mut strings = list.strings()?;
            let derived_from = strings.next().unwrap_or(&[]);
            if template.is_none_or(|template| template_digest(template) != derived_from) {
                return Err(ScaffoldError::OtherTemplate);
            }
            return Ok(Self::Derived(Scaffold::from_strings(strings)?));
        }
        Ok(match template {
            None => Self::None,
            Some(template) => recognise(template).map_or(Self::Unknown, Self::Published),
        })
    }

    /// The scaffold, if it is known.
    #[must_use]
    pub const fn scaffold(&self) -> Option<Scaffold<'a>> {
        match self {
            Self::None | Self::Unknown => None,
            Self::Published(published) => Some(published.scaffold),
            Self::Derived(scaffold) => Some(*scaffold),
        }
    }
}

/// Properties of a model's template, for people and for admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateInfo {
    /// Its name for people; not empty.
    pub name: Label,
    /// What it adds to texts.
    pub bound: Bound,
    /// Whether control tokens of the model's vocabulary separate the roles. If not, a text can imitate another role
    /// ([`Scaffold::separates`]).
    pub separates: bool,
}

impl TemplateInfo {
    /// Properties of a scaffold with this bound in this vocabulary.
    #[must_use]
    pub fn new(scaffold: &Scaffold<'_>, bound: Bound, vocabulary: &VocabularyView<'_>) -> Self {
        let name = match scaffold.name {
            "" => "derived",
            name => name,
        };
        Self {
            name: Label::of(name),
            bound,
            separates: scaffold.separates(vocabulary),
        }
    }
}

/// SHA-256 of a template in hexadecimal.
#[must_use]
pub fn template_digest(template: &str) -> [u8; 64] {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 64];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(sha256(template.as_bytes())) {
        for (place, value) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *place = HEX.get(usize::from(value)).copied().unwrap_or(0);
        }
    }
    digits
}
