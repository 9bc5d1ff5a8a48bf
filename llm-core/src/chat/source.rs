//! The chat template of a model file.

use super::{Bound, Label, Published, Scaffold, ScaffoldError, recognise};
use crate::gguf::Gguf;
use crate::tokenizer::VocabularyView;
use crate::verify::sha256;

/// The key of the template, a program in Jinja.
pub const TEMPLATE_KEY: &str = "tokenizer.chat_template";

/// The key of a scaffold that was derived from the template: an array of strings, as [`Scaffold::strings`] has them,
/// behind the SHA-256 of the template in hexadecimal digits.
pub const SCAFFOLD_KEY: &str = "sel4_llm.chat.scaffold";

/// What a file says about conversations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Template<'a> {
    /// Nothing: the model continues texts.
    None,
    /// There is a template, but what it computes is not known.
    Unknown,
    /// The template is a published one.
    Published(Published),
    /// The file has a scaffold that was derived from its template.
    Derived(Scaffold<'a>),
}

impl<'a> Template<'a> {
    /// Reads what a file says.
    ///
    /// # Errors
    /// The file brings a scaffold, but it is wrong.
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

    /// What stands around texts, if it is known.
    #[must_use]
    pub const fn scaffold(&self) -> Option<Scaffold<'a>> {
        match self {
            Self::None | Self::Unknown => None,
            Self::Published(published) => Some(published.scaffold),
            Self::Derived(scaffold) => Some(*scaffold),
        }
    }
}

/// A template that a model is served with: what people and whoever admits requests know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TemplateInfo {
    /// What people call it; not empty.
    pub name: Label,
    /// What it adds to texts.
    pub bound: Bound,
    /// Whether it keeps roles apart by control tokens of the model's vocabulary. If not, a text can imitate another
    /// role's ([`Scaffold::separates`]).
    pub separates: bool,
}

impl TemplateInfo {
    /// What is known of a scaffold that has this bound with this vocabulary.
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

/// The SHA-256 of a template in hexadecimal digits.
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
