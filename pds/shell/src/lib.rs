//! The shell component: the console of the system.
//!
//! Responsible for: reading lines, turning them into requests to audit, keeping what runs in the background, and
//! writing what audit answers, in words.
//!
//! The rule that keeps its user safe: model output and error details are untrusted text. They reach
//! the terminal through [`safe_text`] alone, which lets no control character through but newline and tab, so nothing
//! that a model says can send an escape sequence, overwrite what is shown, or end the session. A line of it that imitates
//! the system's lacks its colour; without colours, as on a pipe, nothing tells them apart. The control sequences that a
//! terminal gets (colour, the line that is edited, a screen that is drawn anew) are the shell's own constants.

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

mod asking;
mod chat;
mod command;
mod complete;
mod console;
mod editor;
mod events;
mod export;
mod generations;
mod history;
mod infer;
mod input;
mod interrupt;
mod jobs;
mod json;
mod keys;
mod names;
mod parse;
mod queue;
mod quotes;
mod readings;
mod run;
mod screen;
mod shell;
mod suggest;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod transmit;
mod tuning;
mod values;
mod words;

pub use console::Mode;
pub use shell::{Memory, Shell};
pub use transmit::Port;

/// The line that says that the system takes commands. What drives the console from outside waits
/// for it.
pub const READY_LINE: &str = "sel4-llm is ready. Type 'help'.";

/// The line that says that the system is over, without its end of line: somebody who may has halted it. It begins with a
/// control byte, which no text of a model can hold ([`safe_text`]).
pub const HALT_LINE: &str = "\u{1}sel4-llm: halted";

/// What a runtime without a better way writes for [`Port::input_done`]: the byte that the end of the input is, which no text
/// of a model can hold either, and which a terminal does not show.
pub const INPUT_DONE: &str = "\u{4}";

/// Longest line in bytes: the longest texts of a request with their command and options.
pub(crate) const MAX_LINE_BYTES: usize = protocol::limits::MAX_PROMPT_BYTES + 512;
