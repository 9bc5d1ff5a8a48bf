//! The engine of sel4-llm: it runs quantised transformers from GGUF files inside one block of
//! memory, with one arithmetic on every machine.
//!
//! Nothing here allocates or knows a runtime, and nothing but [`simd`] is `unsafe`: its vector loads
//! and stores, calls of code that is compiled for an instruction set, and NEON's assembly. Everything that lives longer
//! than a call lies in an [`arena::Arena`]; the same model, token ids, KV type and sampler state give the same logits and
//! tokens, bit for bit, wherever the crate is built (`docs/numerics.md`).
//!
//! A newcomer reads [`transformer`] first (the forward pass, top to bottom), then [`simd::scalar`]
//! (the arithmetic), then [`backend`] (what the inference domain drives).

#![no_std]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "testing"))]
extern crate alloc;
#[cfg(any(test, feature = "detect"))]
extern crate std;

pub mod arena;
pub mod backend;
pub mod chat;
pub mod constrain;
pub mod generate;
pub mod gguf;
pub mod kv_cache;
pub mod quantize;
pub mod sampling;
pub mod simd;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tokenizer;
pub mod transformer;
pub mod verify;

/// Version of the arithmetic. Any change of output bits needs a new one; the audit log records it,
/// so that a replay knows which arithmetic it must repeat.
pub const NUMERICS_VERSION: u32 = 2;
