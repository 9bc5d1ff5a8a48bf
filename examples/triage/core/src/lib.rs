//! Example of a client: a component that is no console. It gets events, a line of text each, asks the model about each, and
//! decides: *routine*, or *escalate*.
//!
//! Responsible for: one question at a time ([`Triage`]), what an answer means ([`Verdict::of_answer`]), and the region that
//! the decisions are written into ([`Decisions`]), which whoever drives an actuator reads.
//!
//! The rule that keeps it safe: it can only be told one of four classes, which the policy's format and audit see to, and only
//! two of them calm. Everything else escalates: no answer, a refusal, an answer that left the format, a line that cannot be
//! asked about. So whatever fails, nobody is left unwarned, and each line is decided once.
//!
//! It has no timer. Audit ends each request, at its deadline if nothing else does, and signals then: an end is what the
//! next question waits for, and nothing else is waited for without audit's promise to tell.

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
