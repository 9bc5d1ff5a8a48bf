//! The inference component: the least trusted domain of the system.
//!
//! Responsible for: serving the commands in audit's ring, in the order of their arrival, with an
//! [`llm_core::backend::LlmBackend`]; up to 32 sessions at once.
//!
//! The rule that keeps the rest of the system responsive: [`Server::poll`] does a bounded amount of work, which is at
//! most one prompt to tokenize and one step of the backend, and looks at its ring in between. So a cancel takes effect
//! within about [`llm_core::transformer::STEP_WORK`]. A request without credit pauses, and no other waits for it. If
//! all requests pause, the server waits for a command and does not spin. A training runs in steps, in turn with the
//! requests. Nothing here protects anybody: audit believes none of it.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod convert;
mod failure;
mod formats;
#[cfg(feature = "inject")]
pub mod inject;
#[cfg(any(test, feature = "measure"))]
pub mod measure;
mod server;
#[cfg(test)]
mod tests;
mod tuning;

pub use formats::{FormatCosts, read_formats};
pub use server::{Activity, Port, Server};

use llm_core::kv_cache::KvType;
use llm_core::simd::Cpu;
use llm_core::transformer::{LoadOptions, Positions};
use protocol::limits::{
    DEFAULT_CONTEXT_TOKENS, EXTRA_PROMPT_TOKENS, MAX_ADAPTERS, MAX_CLIENTS, MAX_DATA_BYTES,
    MAX_FIXED_TOKENS, MAX_PIECE_BYTES, MAX_PROMPT_BYTES, MAX_SEGMENT_TOKENS, MAX_SEGMENTS,
    MAX_SESSIONS, maxima,
};

// Audit counts a larger number of prompt tokens as a breach.
const _: () = assert!(llm_core::tokenizer::EXTRA_PROMPT_TOKENS as u32 == EXTRA_PROMPT_TOKENS);
// Audit allocates as many sessions as the engine has.
const _: () = assert!(llm_core::transformer::MAX_SESSIONS == MAX_SESSIONS);
const _: () = assert!(llm_core::generate::MAX_CLIENTS == MAX_CLIENTS);
const _: () = assert!(llm_core::transformer::MAX_ADAPTERS == MAX_ADAPTERS);
const _: () = assert!(llm_core::transformer::MAX_RANK == maxima::RANK as usize);
// Audit counts more tokens of a template as a breach.
const _: () = assert!(llm_core::chat::MAX_FIXED_TOKENS == MAX_FIXED_TOKENS);
const _: () = assert!(llm_core::chat::MAX_SEGMENT_TOKENS == MAX_SEGMENT_TOKENS);
const _: () = assert!(llm_core::chat::MAX_SEGMENTS == MAX_SEGMENTS);
// A report has room for the text that is held back for formats and stop strings. Up to three bytes may precede the text
// of a format's token.
const _: () = assert!(llm_core::constrain::MAX_FORMAT_TOKEN_BYTES + 3 <= MAX_PIECE_BYTES);
const _: () = assert!(llm_core::generate::MAX_STOPPED_TEXT_BYTES <= MAX_PIECE_BYTES);
// Audit refuses longer data before inference sees it.
const _: () = assert!(llm_core::transformer::training::MAX_DATA_BYTES == MAX_DATA_BYTES);

/// How the domain loads models: with every possible session, and with all memory that the arena has left for keys and
/// values.
#[must_use]
pub const fn load_options(cpu: Cpu) -> LoadOptions {
    LoadOptions {
        context: DEFAULT_CONTEXT_TOKENS,
        kv: KvType::Q8,
        sessions: MAX_SESSIONS,
        positions: Positions::Fill,
        max_prompt_bytes: MAX_PROMPT_BYTES,
        cpu,
        workers: 1,
    }
}
