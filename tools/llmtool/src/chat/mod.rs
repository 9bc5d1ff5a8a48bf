//! Chat templates on the host: what their Jinja computes, and the scaffold that does the same.
//!
//! - [`jinja`]: renders a template as Transformers does;
//! - [`derive()`]: the scaffold of a template, from conversations with markers;
//! - [`apart`]: the same in a separate process, for untrusted templates;
//! - [`check`]: whether scaffold and template agree, on many random conversations.

pub mod apart;
pub mod check;
pub mod derive;
mod error;
pub mod jinja;
pub mod random;

use llm_core::chat::{Conversation, Place, Scaffold, Segment};
use llm_core::tokenizer::VocabularyView;

pub use derive::derive;
pub use error::TemplateError;

/// Renders a conversation with a scaffold.
///
/// # Errors
/// The scaffold refuses it.
pub fn render(
    scaffold: &Scaffold<'_>,
    vocabulary: &VocabularyView<'_>,
    segments: &[Segment<'_>],
) -> Result<String, llm_core::chat::ChatError> {
    let conversation = Conversation {
        segments,
        place: Place::Beginning,
        user_defined: false,
    };
    let said: usize = segments.iter().map(|segment| segment.text.len()).sum();
    let own: usize = scaffold.strings().map(str::len).sum();
    // A scaffold's string may name the vocabulary's begin and end tokens.
    let mut text = vec![0; said + (segments.len() + 1) * 8 * (own + 1)];
    let rendered = scaffold.render(vocabulary, &conversation, &mut text)?;
    Ok(rendered.to_owned())
}
