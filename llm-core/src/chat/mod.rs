//! Conversations with instruct models: texts with roles go in, token ids come out.
//!
//! A model file describes how to write a conversation with a Jinja program (`tokenizer.chat_template`). The engine does
//! not run it. Nearly all such programs compute what a [`Scaffold`] describes: fixed text before and after each
//! segment, depending on its role. The engine contains the scaffolds of published templates ([`recognise`]), and a file
//! can bring its own, which `llmtool chat-template` derives from the template and checks against it. A template is
//! recognised by its full text; the engine never guesses an unknown one.
//!
//! The rule that keeps roles apart: control tokens come only from the scaffold. Text that is spelled like one stays
//! text, on every vocabulary. So does text spelled like a user-defined token, unless the caller allows it.
//!
//! Otherwise the ids match those of llama.cpp for the rendered template: text between two control tokens is tokenized
//! as one piece, whoever wrote it.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

mod error;
mod families;
mod render;
mod scaffold;
mod source;
#[cfg(test)]
mod tests;

pub use error::{ChatError, Label, ScaffoldError};
pub use families::{Published, recognise};
pub use render::{Bound, Buffers, Conversation, Place};
pub use scaffold::{Place as SystemPlace, Scaffold, System, Trim, Turn};
pub use source::{SCAFFOLD_KEY, TEMPLATE_KEY, Template, TemplateInfo, template_digest};

/// Maximum number of segments in a request.
pub const MAX_SEGMENTS: usize = 16;

/// Maximum number of tokens that a scaffold may add to a conversation, besides those per segment. Admission reserves
/// them. The longest known scaffold, with a default system text of 4.6 KiB, takes about 1,200.
pub const MAX_FIXED_TOKENS: u32 = 2048;

/// Maximum number of tokens that a scaffold may add per segment.
pub const MAX_SEGMENT_TOKENS: u32 = 64;

/// Maximum number of spellings that a scaffold may refuse.
pub const MAX_REFUSED: usize = 8;

/// Longest string in a scaffold that a file brings. The longest known one, the default system text of a coding
/// assistant, has 4.6 KiB.
pub const MAX_LITERAL_BYTES: usize = 6144;

/// Maximum total size of a scaffold's strings.
pub const MAX_SCAFFOLD_BYTES: usize = 8192;

/// Author of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The operator who set the model up.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// Its name in templates.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A segment of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'t> {
    /// Its author.
    pub role: Role,
    /// The text, whatever it looks like.
    pub text: &'t str,
}

impl<'t> Segment<'t> {
    /// A segment of this role and text.
    #[must_use]
    pub const fn new(role: Role, text: &'t str) -> Self {
        Self { role, text }
    }
}
