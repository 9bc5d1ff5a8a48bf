//! The shell component: the console of the system.
//!
//! Responsible for: reading lines, turning them into requests to audit, keeping background requests, and writing
//! audit's answers in words.
//!
//! The rule that keeps its user safe: model output and error details are untrusted text. They reach the terminal only
//! through [`safe_text`], which passes no control character except newline and tab. So a model cannot send an escape
//! sequence, overwrite the screen, or end the session. A line of its text that imitates the system lacks the system's
//! colour; without colours, as on a pipe, nothing tells them apart. The control sequences that a terminal gets (colour,
//! the edited line, a redrawn screen) are the shell's own constants.

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

mod armour;
mod asking;
mod chat;
mod command;
mod complete;
mod console;
mod conversation;
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
mod printing;
mod queue;
mod quotes;
mod readings;
mod requests;
mod run;
mod screen;
mod shell;
mod state;
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

/// The line that says that the system accepts commands. Programs that drive the console wait for it.
pub const READY_LINE: &str = "sel4-llm is ready. Type 'help'.";

/// The line, without its end, that says that the system has been halted by a user with that permission. It begins with
/// a control byte, which no text of a model can contain ([`safe_text`]).
pub const HALT_LINE: &str = "\u{1}sel4-llm: halted";

/// A runtime without a better way writes this for [`Port::input_done`]. It is the same byte as the end of the input. No
/// text of a model can contain it, and a terminal does not show it.
pub const INPUT_DONE: &str = "\u{4}";

/// Longest line in bytes: the longest texts of a request, with command and options.
pub(crate) const MAX_LINE_BYTES: usize = protocol::limits::MAX_PROMPT_BYTES + 512;
