//! Formats: the regular languages that an answer can be bound to.
//!
//! A format is a set of texts, and here an automaton over their bytes. `llmtool policy` compiles those of a policy into
//! the file that prefills the region `formats`; audit and inference read it, and nobody writes it. Inference chooses only
//! tokens after which an answer can still become a word of the language; audit runs the same automaton over every byte
//! that leaves.
//!
//! - [`Formats`]: the set of named formats in a region, checked once, when it is read;
//! - [`Dfa`]: one of them: a step costs two lookups whatever the format;
//! - [`Choices`]: a list of answers that comes with a request, as an automaton without a table;
//! - [`stop`]: texts at which an answer ends, for requests without a format;
//! - `encode`: how an image is made, on the host.
//!
//! Two promises hold for every automaton here, and whoever uses one builds on them. *Alive means possible*: from each
//! state a word can be reached, so a text is a prefix of a word exactly if every step of it had a successor.
//! *`shortest` is exact*: it is the number of bytes of the shortest way to a word.
//!
//! This crate is total, as audit must be: any bytes are read or refused, and no state of another format does worse than
//! to have no successor.

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

/// Formats that a policy can have.
pub const MAX_FORMATS: usize = 16;

/// States of one format. Its table has as many rows.
pub const MAX_STATES: usize = 4096;

/// States of all formats of a policy together: an engine keeps two bytes for each.
pub const MAX_ALL_STATES: usize = 16_384;

/// Bytes of the region that formats lie in (1 MiB); `system.xml` gives it this size.
pub const REGION_BYTES: usize = 0x10_0000;

/// Longest name of a format, in bytes.
pub const MAX_NAME_BYTES: usize = 32;

/// Choices that a request can bring.
pub const MAX_CHOICES: usize = 32;

/// Bytes of all of them together, with one between each two.
pub const MAX_CHOICES_BYTES: usize = 512;

/// Stop strings that a request can bring.
pub const MAX_STOPS: usize = 4;

/// Longest stop string, in bytes.
pub const MAX_STOP_BYTES: usize = 64;

/// What an answer is checked against, byte by byte.
pub trait Automaton {
    /// Where it is.
    type State: Copy + core::fmt::Debug + PartialEq;

    /// Before the first byte.
    fn start(&self) -> Self::State;

    /// After one more byte; `None`: no word goes on so.
    fn next(&self, state: Self::State, byte: u8) -> Option<Self::State>;

    /// Bytes of the shortest way from here to a word; 0: this is one.
    fn shortest(&self, state: Self::State) -> u16;

    /// The first byte of such a way, always the same one; without a meaning where [`Self::accepts`].
    fn exit(&self, state: Self::State) -> u8;

    /// Whether the text up to here is a word.
    fn accepts(&self, state: Self::State) -> bool {
        self.shortest(state) == 0
    }

    /// After several bytes.
    fn walk(&self, state: Self::State, bytes: &[u8]) -> Option<Self::State> {
        bytes
            .iter()
            .try_fold(state, |state, byte| self.next(state, *byte))
    }

    /// Whether the text up to here is a word that no byte can follow.
    fn is_over(&self, state: Self::State) -> bool {
        self.accepts(state) && (0..=u8::MAX).all(|byte| self.next(state, byte).is_none())
    }
}
