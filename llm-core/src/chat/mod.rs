//! Conversations with instruct models: texts with roles go in, token ids come out.
//!
//! A model file says how a conversation is written down by a program in Jinja (`tokenizer.chat_template`). No such program
//! is run here. What nearly all of them compute is a [`Scaffold`]: fixed text before and behind each text, by its
//! role. The engine has the scaffolds of published templates ([`recognise`]), and a file can bring one of its own, which
//! `llmtool chat-template` derives from the template and checks against it. A template is recognised by all of its
//! text, never by a part: of one that is not known, nothing is guessed.
//!
//! The rule that keeps roles apart: control tokens come from the scaffold alone. What is spelled like one in
//! somebody's text stays text, on every vocabulary; so do user-defined tokens, if the caller does not allow them.
//!
//! Otherwise the ids are those of llama.cpp for the rendered template: text between two control tokens is tokenized as
//! one piece, whoever wrote it.

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

/// Most segments of a request.
pub const MAX_SEGMENTS: usize = 16;

/// Most tokens that a scaffold may add to a conversation, apart from those for each segment: whoever admits a request
/// reserves them. The longest known, with a default system text of 4.6 KiB, takes about 1,200.
pub const MAX_FIXED_TOKENS: u32 = 2048;

/// Most tokens that a scaffold may add for each segment.
pub const MAX_SEGMENT_TOKENS: u32 = 64;

/// Spellings that a scaffold may refuse.
pub const MAX_REFUSED: usize = 8;

/// Longest string of a scaffold that a file brings. The longest known, the default system text of a coding
/// assistant, has 4.6 KiB.
pub const MAX_LITERAL_BYTES: usize = 6144;

/// Most bytes of a scaffold's strings together.
pub const MAX_SCAFFOLD_BYTES: usize = 8192;

/// Who says a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Who set the model up.
    System,
    /// Who asks.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// What templates call it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A text of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment<'t> {
    /// Who says it.
    pub role: Role,
    /// What is said: text, whatever it looks like.
    pub text: &'t str,
}

impl<'t> Segment<'t> {
    /// A text and who says it.
    #[must_use]
    pub const fn new(role: Role, text: &'t str) -> Self {
        Self { role, text }
    }
}
