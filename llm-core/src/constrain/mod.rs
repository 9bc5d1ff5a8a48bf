//! Constrains answers to a format, token by token.
//!
//! At each step a token may be chosen only if the answer can still become a word of its format *within the remaining
//! tokens*:
//!
//! - a text token, if the automaton has a successor for each of its bytes, and the state after it can be completed in
//!   the tokens that remain ([`FormatTable`] has the cost of each state);
//! - a token that ends the text, if the text is a word;
//! - no other token without text, so that each advances the answer, and none longer than [`MAX_FORMAT_TOKEN_BYTES`].
//!
//! Bytes are those of the detokeniser. A token may end within a character: the automaton works on bytes and all its
//! words are UTF-8, so the next token completes the character. If no byte can follow, the answer ends without an end
//! token.
//!
//! The choice is the same as the sampler's with all other logits masked ([`crate::sampling::Sampler::sample_allowed`]).
//!
//! *Why there is always a token.* A request begins only if its first state can be completed in the tokens that it may
//! generate. A state of cost n has a token that leads to a state of cost at most n − 1: the first on the path that the
//! cost is computed from. So unless it is cancelled, an answer is a word by the time its tokens run out.

mod cost;
mod firsts;
mod mask;
#[cfg(test)]
mod tests;

pub use cost::FormatTable;

use crate::sampling::{Candidate, Sampler};
use crate::tokenizer::VocabularyView;
use cost::{CHOICE_COSTS, UNSPELLED};
use formats::{Automaton, ChoiceState, Choices, State};
use mask::Mask;
use thiserror::Error;

/// Longest text of a token that may be chosen, in bytes. Together with up to three bytes of a character begun by an
/// earlier token it fits a report of 256, so that audit sees all of the answer.
pub const MAX_FORMAT_TOKEN_BYTES: usize = 253;

/// What an answer is constrained to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is copied once a request, and there is no heap"
)]
pub enum Format {
    /// The format of this number in the table given to the backend.
    Named(u8),
    /// One of these texts.
    Choices(Choices),
}

/// Why no answer in a format is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// There is no such format.
    #[error("there is no format {format}")]
    NoSuchFormat {
        /// The requested format, from 0.
        format: usize,
    },
    /// The vocabulary cannot spell any word of the format.
    #[error(
        "the model's vocabulary cannot spell the format: it has no tokens for some of its bytes"
    )]
    NotSpelled,
    /// Too few tokens may be generated for a word of the format.
    #[error(
        "an answer in this format takes {tokens} tokens at least, {limit} can be generated: allow more"
    )]
    TooLong {
        /// Tokens of a shortest word, or an upper bound close to it.
        tokens: usize,
        /// Tokens that may be generated and fit the context.
        limit: usize,
    },
}

/// The format of a request in flight, and the state of its answer.
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
        /// The cost of the rest of a choice from each byte on.
        costs: [u8; CHOICE_COSTS],
        state: ChoiceState,
    },
}

/// What a token is chosen from.
pub(crate) struct Choosing<'a> {
    pub(crate) logits: &'a [f32],
    pub(crate) history: &'a [u32],
    pub(crate) candidates: &'a mut [Candidate],
}

impl Constraint {
    /// Starts an answer of at most `tokens` tokens.
    ///
    /// # Errors
    /// There is no such format, or no word of it fits that many tokens.
    pub(crate) fn new(
        format: &Format,
        table: &FormatTable<'_>,
        view: &VocabularyView<'_>,
        tokens: usize,
    ) -> Result<Self, FormatError> {
        let (constraint, cost) = match format {
            Format::Named(number) => {
                let format = usize::from(*number);
                let (dfa, costs) = table
                    .get(format)
                    .ok_or(FormatError::NoSuchFormat { format })?;
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
            _ if cost == UNSPELLED => Err(FormatError::NotSpelled),
            needed if needed > tokens => Err(FormatError::TooLong {
                tokens: needed,
                limit: tokens,
            }),
            _ => Ok(constraint),
        }
    }

    /// Chooses a token that at most `left` more will follow, and moves to the state after it. `None` if no token is
    /// allowed, which cannot happen while `left` falls by one per token.
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
                let mask = Mask::new(&dfa, *state, cost, table.firsts(), *view, left);
                choose(state, &mask, sampler, with)
            }
            Self::Choices {
                choices,
                costs,
                state,
            } => {
                let cost = |state| cost::of_choice(choices, costs, state);
                let mask = Mask::new(choices, *state, cost, table.firsts(), *view, left);
                choose(state, &mask, sampler, with)
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
    state: &mut A::State,
    mask: &Mask<'_, A, impl Fn(A::State) -> u16>,
    sampler: &mut Sampler,
    with: Choosing<'_>,
) -> Option<u32> {
    let id = sampler.sample_allowed(with.logits, with.history, mask, with.candidates)?;
    *state = mask.after(id)?;
    Some(id)
}
