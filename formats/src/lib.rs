//! Formats: regular languages that an answer can be constrained to.
//!
//! A format is a set of texts, represented as an automaton over their bytes. `llmtool policy` compiles the formats of a
//! policy into the file that prefills the region `formats`. Audit and inference read it; nobody writes it. Inference
//! samples only tokens after which the answer can still become a word of the language, and audit runs the same
//! automaton over every byte that leaves.
//!
//! - [`Formats`]: the set of named formats in a region, checked once, when it is read;
//! - [`Dfa`]: one format; a step costs two lookups, whatever the format;
//! - [`Choices`]: a list of answers that comes with a request, as an automaton without a table;
//! - [`stop`]: texts that end an answer, for requests without a format;
//! - `encode`: builds an image, on the host.
//!
//! Callers rely on two promises that every automaton here keeps. *Alive means possible*: a word can be reached from
//! every state, so a text is a prefix of a word exactly if every step had a successor. *`shortest` is exact*: it is the
//! number of bytes of the shortest path to a word.
//!
//! This crate is total, as audit must be: any bytes are either read or refused, and a state of another format at worst
//! has no successor.

#![no_std]
#![forbid(unsafe_code)]
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

#[cfg(any(test, feature = "encode"))]
extern crate alloc;

mod choices;
mod dfa;
#[cfg(any(test, feature = "encode"))]
pub mod encode;
mod image;
pub mod stop;

pub use choices::{ChoiceState, Choices, ChoicesError, SEPARATOR};
pub use dfa::{Dfa, State};
pub use image::{Formats, FormatsError, MAGIC, Named, VERSION, is_name};

/// Maximum number of formats in a policy.
pub const MAX_FORMATS: usize = 16;

/// Maximum number of states of a format, which is the number of rows of its table.
pub const MAX_STATES: usize = 4096;

/// Maximum number of states of all formats of a policy together: an engine keeps two bytes for each.
pub const MAX_ALL_STATES: usize = 16_384;

/// Size of the region that holds the formats (1 MiB); `system.xml` gives it this size.
pub const REGION_BYTES: usize = 0x10_0000;

/// Longest name of a format, in bytes.
pub const MAX_NAME_BYTES: usize = 32;

/// Maximum number of choices in a request.
pub const MAX_CHOICES: usize = 32;

/// Maximum size of all choices together, including a separator byte between each two.
pub const MAX_CHOICES_BYTES: usize = 512;

/// Maximum number of stop strings in a request.
pub const MAX_STOPS: usize = 4;

/// Longest stop string, in bytes.
pub const MAX_STOP_BYTES: usize = 64;

/// An automaton that an answer is checked against, byte by byte.
pub trait Automaton {
    /// A position in the automaton.
    type State: Copy + core::fmt::Debug + PartialEq;

    /// The state before the first byte.
    fn start(&self) -> Self::State;

    /// The state after one more byte; `None` if no word continues that way.
    fn next(&self, state: Self::State, byte: u8) -> Option<Self::State>;

    /// Number of bytes on the shortest path from here to a word; 0 if this is one.
    fn shortest(&self, state: Self::State) -> u16;

    /// The first byte of one such shortest path, always the same one; meaningless if the state [accepts](Self::accepts).
    fn exit(&self, state: Self::State) -> u8;

    /// Whether the text so far is a word.
    fn accepts(&self, state: Self::State) -> bool {
        self.shortest(state) == 0
    }

    /// The state after several bytes.
    fn walk(&self, state: Self::State, bytes: &[u8]) -> Option<Self::State> {
        bytes
            .iter()
            .try_fold(state, |state, byte| self.next(state, *byte))
    }

    /// Whether the text so far is a word that no byte can follow.
    fn is_over(&self, state: Self::State) -> bool {
        self.accepts(state) && (0..=u8::MAX).all(|byte| self.next(state, byte).is_none())
    }
}
