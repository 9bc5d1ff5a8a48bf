//! Answers that are words of a format, token by token.
//!
//! At each step only those tokens may be chosen after which the answer can still become a word of its format *within the
//! tokens that are left*:
//!
//! - a token of text, if the automaton has a successor for each of its bytes, and the state after it can be completed in as
//!   many tokens as are left behind it ([`FormatTable`] says what a state takes);
//! - a token that ends the text, if the text is a word;
//! - no token without text otherwise, so each brings the answer on, and none of more than [`MAX_FORMAT_TOKEN_BYTES`].
//!
//! Bytes are those of the detokeniser. A token may end within a character: the automaton is over bytes, and all its words
//! are UTF-8, so the next token completes the character. When no byte can follow, the answer is over without a token for
//! the end.
//!
//! The choice is the one that the sampler makes if all other logits are masked
//! ([`crate::sampling::Sampler::sample_allowed`]).
//!
//! *Why one token is always left.* A request begins only if its first state can be completed in the tokens that it may
//! generate. A state that takes n tokens has a token to one that takes n − 1 at most: the first of the way that the number
//! stands for. So an answer ends as a word at the latest when the tokens do, unless somebody cancels it.

mod cost;
mod mask;
#[cfg(test)]
mod tests;

pub use cost::FormatTable;

use crate::generate::GenerateError;
use crate::sampling::{Candidate, Sampler};
use crate::tokenizer::VocabularyView;
use cost::{CHOICE_COSTS, UNSPELLED};
use formats::{Automaton, ChoiceState, Choices, State};
use mask::Mask;

/// Longest text of a token that may be chosen, in bytes. With up to three that an earlier token has begun a character with,
/// it fits into a report of 256, so whoever checks an answer gets all of it.
pub const MAX_FORMAT_TOKEN_BYTES: usize = 253;

/// What an answer has to be a word of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is copied once a request, and there is no heap"
)]
pub enum Format {
    /// The format with this number in the table that the backend was given.
    Named(u8),
    /// One of these texts.
    Choices(Choices),
}

/// The format of a request under way, and how far its answer is.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each session, and no heap"
)]
pub(crate) enum Constraint {
    Named {
        format: usize,
        state: State,
    },
    Choices {
        choices: Choices,
        /// What the rest of a choice takes from each byte on.
        costs: [u8; CHOICE_COSTS],
        state: ChoiceState,
    },
}

/// What a token is chosen with.
pub(crate) struct Choosing<'a> {
    pub(crate) logits: &'a [f32],
    pub(crate) history: &'a [u32],
    pub(crate) candidates: &'a mut [Candidate],
}

impl Constraint {
    /// At the beginning of an answer of at most `tokens` tokens.
    ///
    /// # Errors
    /// There is no such format, or no word of it can be made of so many tokens.
    pub(crate) fn new(
        format: &Format,
        table: &FormatTable<'_>,
        view: &VocabularyView<'_>,
        tokens: usize,
    ) -> Result<Self, GenerateError> {
        let (constraint, cost) = match format {
            Format::Named(number) => {
                let format = usize::from(*number);
                let (dfa, costs) = table
                    .get(format)
                    .ok_or(GenerateError::NoSuchFormat { format })?;
                let state = dfa.start();
                (Self::Named { format, state }, cost::of_state(costs, state))
            }
            Format::Choices(choices) => {
                let costs = cost::of_choices(choices, view);
                let state = choices.start();
                let cost = cost::of_choice(choices, &costs, state);
                let choices = *choices;
                (
                    Self::Choices {
                        choices,
                        costs,
                        state,
                    },
                    cost,
                )
            }
        };
        match usize::from(cost) {
            _ if cost == UNSPELLED => Err(GenerateError::FormatNotSpelled),
            needed if needed > tokens => Err(GenerateError::FormatTooLong {
                tokens: needed,
                limit: tokens,
            }),
            _ => Ok(constraint),
        }
    }

    /// Chooses a token behind which `left` more can follow, and goes on to the state after it. `None`: there is none, which
    /// cannot be as long as `left` falls by one with each token.
    pub(crate) fn choose(
        &mut self,
        sampler: &mut Sampler,
        table: &FormatTable<'_>,
        view: &VocabularyView<'_>,
        left: usize,
        with: Choosing<'_>,
    ) -> Option<u32> {
        match self {
            Self::Named { format, state } => {
                let (dfa, costs) = table.get(*format)?;
                let cost = |state| cost::of_state(costs, state);
                choose(&dfa, state, cost, sampler, view, left, with)
            }
            Self::Choices {
                choices,
                costs,
                state,
            } => {
                let cost = |state| cost::of_choice(choices, costs, state);
                choose(choices, state, cost, sampler, view, left, with)
            }
        }
    }

    /// Whether the answer is a word that no byte can follow.
    pub(crate) fn is_over(&self, table: &FormatTable<'_>) -> bool {
        match self {
            Self::Named { format, state } => table
                .get(*format)
                .is_none_or(|(dfa, _)| dfa.is_over(*state)),
            Self::Choices { choices, state, .. } => choices.is_over(*state),
        }
    }
}

fn choose<A: Automaton>(
    automaton: &A,
    state: &mut A::State,
    cost: impl Fn(A::State) -> u16,
    sampler: &mut Sampler,
    view: &VocabularyView<'_>,
    left: usize,
    with: Choosing<'_>,
) -> Option<u32> {
    let mask = Mask::new(automaton, *state, cost, *view, left);
    let id = sampler.sample_allowed(with.logits, with.history, &mask, with.candidates)?;
    *state = mask.after(id)?;
    Some(id)
}
