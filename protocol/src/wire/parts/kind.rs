//! Kinds of parts.

use crate::encoding::numbers;

numbers! {
    /// Kind of a part.
    pub enum PartKind {
        /// A text to be completed as it is. It is the only segment.
        Text = 1,
        /// In a conversation: instructions to the model. At most one, at the beginning.
        System = 2,
        /// In a conversation: a user's turn.
        User = 3,
        /// In a conversation: a turn of the model.
        Assistant = 4,
        /// A string that ends the answer and is not part of it.
        Stop = 5,
        /// An allowed answer. If there are any, no other answer is allowed.
        Choice = 6,
        /// A user's turn if the model has a chat template, otherwise a text to be completed. It is the only segment.
        /// Only clients send it; audit decides which it is
        /// ([`Request::decide_prompt`](crate::wire::client::Request::decide_prompt)).
        Prompt = 7,
    }
}

impl PartKind {
    /// Its name in the exported log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Stop => "stop",
            Self::Choice => "choice",
            Self::Prompt => "prompt",
        }
    }

    /// The kind with this [`Self::word`].
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        let all = [
            Self::Text,
            Self::System,
            Self::User,
            Self::Assistant,
            Self::Stop,
            Self::Choice,
            Self::Prompt,
        ];
        all.into_iter().find(|kind| kind.word() == word)
    }

    /// Whether it is a segment.
    #[must_use]
    pub const fn is_segment(self) -> bool {
        matches!(
            self,
            Self::Text | Self::System | Self::User | Self::Assistant | Self::Prompt
        )
    }

    /// Whether it must be the only segment.
    pub(super) const fn is_alone(self) -> bool {
        matches!(self, Self::Text | Self::Prompt)
    }

    /// Parts are ordered by this.
    pub(super) const fn group(self) -> u8 {
        match self {
            Self::Text | Self::System | Self::User | Self::Assistant | Self::Prompt => 0,
            Self::Stop => 1,
            Self::Choice => 2,
        }
    }
}
