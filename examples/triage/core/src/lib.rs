//! Example of a client: a component without a console. It gets events, one line of text each, asks the model about
//! each, and decides: *routine* or *escalate*.
//!
//! Responsible for: asking one question at a time ([`Triage`]), interpreting answers ([`Verdict::of_answer`]), and
//! writing the decisions into a region ([`Decisions`]) that the driver of an actuator reads.
//!
//! The rule that keeps it safe: the policy's format and audit guarantee that an answer is one of four classes, and only
//! two of them are routine. Everything else escalates: no answer, a refusal, an answer that violated the format, a line
//! that cannot be asked about. So whatever fails, somebody is warned, and each line is decided once.
//!
//! It has no timer. Audit ends each request, at its deadline at the latest, and then signals. The next question waits
//! only for that end.

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

#[cfg(test)]
extern crate std;

mod component;
mod decisions;
mod events;
#[cfg(test)]
mod tests;
mod verdict;

pub use component::{ANSWER_BYTES, MAX_TOKENS, Memory, Port, Triage};
pub use decisions::Decisions;
pub use events::{BadLine, Events, Line, MAX_LINE_BYTES};
pub use sel4_llm_client as client;
pub use verdict::{Reason, Verdict};
