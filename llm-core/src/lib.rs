//! The engine of sel4-llm: runs quantised transformers from GGUF files inside one block of memory, with the same
//! arithmetic on every machine.
//!
//! Nothing here allocates or depends on a runtime. `unsafe` is only in [`simd`], [`outputs`] and [`team`]: vector loads and
//! stores, calls of code compiled for an instruction set, NEON's assembly, and the memory that several workers share.
//! Everything that outlives a call is in an [`arena::Arena`]. The same model, token ids, KV type and sampler state give
//! the same logits and tokens, bit for bit, wherever the crate is built (`docs/numerics.md`).
//!
//! Where to start reading: [`transformer`] (the forward pass, top to bottom), then [`arithmetic`],
//! then [`team`] (how several workers share it), then [`backend`] (the interface that the inference domain drives).

#![no_std]
#![deny(unsafe_code)]

#[cfg(any(test, feature = "testing"))]
extern crate alloc;
#[cfg(any(test, feature = "detect"))]
extern crate std;

pub mod arena;
pub mod arithmetic;
pub mod backend;
pub mod chat;
pub mod constrain;
pub mod generate;
pub mod gguf;
pub mod hash;
pub mod kv_cache;
pub mod outputs;
pub mod quantize;
pub mod sampling;
pub mod seal;
pub mod simd;
pub mod team;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tokenizer;
pub mod transformer;

/// Version of the arithmetic. Any change of output bits needs a new version. The audit log records it, so that a replay
/// knows which arithmetic to repeat.
pub const NUMERICS_VERSION: u32 = 2;
