//! What crosses the boundaries between the protection domains of sel4-llm. Nothing else does.
//!
//! - [`limits`]: the one table of limits that every crate uses;
//! - [`hash`]: hashes and signatures;
//! - [`error`]: stable numeric error codes (text for people is made in the shell);
//! - [`wire`]: message types, checked when they are parsed;
//! - [`name`]: names of users, sessions and models;
//! - [`policy`]: permissions and limits, as `llmtool policy` compiles them for audit;
//! - [`record`]: entries of the audit log;
//! - [`store`]: the archive of models, adapters and training data;
//! - [`adapters`]: the layout of the region for adapters made on this device;
//! - [`armour`]: an adapter as lines of text;
//! - [`region`]: word access to memory that another domain can read or write;
//! - [`ring`]: single-writer rings over two such regions, with epochs;
//! - [`decimal`]: exact decimal fractions for domains that have no floating point.
//!
//! The rule that keeps a reader safe: copy a value from a shared region to private memory exactly once, then validate
//! it, then use it. Whatever bytes and indices a peer writes, a reader gets a message, an error, or nothing. It never
//! panics, reads out of bounds, or loops without bound.

#![cfg_attr(not(loom), no_std)]
#![deny(unsafe_code)]
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

// `forbid` cannot be overridden further in. Only `region` may use `unsafe`.
#[forbid(unsafe_code)]
pub mod adapters;
#[forbid(unsafe_code)]
pub mod armour;
#[forbid(unsafe_code)]
pub mod attest;
#[forbid(unsafe_code)]
pub mod decimal;
#[forbid(unsafe_code)]
mod encoding;
#[forbid(unsafe_code)]
pub mod error;
#[forbid(unsafe_code)]
pub mod hash;
#[forbid(unsafe_code)]
pub mod limits;
#[forbid(unsafe_code)]
pub mod name;
#[forbid(unsafe_code)]
pub mod on_disk;
#[forbid(unsafe_code)]
mod params;
#[forbid(unsafe_code)]
pub mod policy;
#[forbid(unsafe_code)]
pub mod record;
pub mod region;
#[forbid(unsafe_code)]
pub mod ring;
#[forbid(unsafe_code)]
pub mod store;
#[cfg(all(any(test, feature = "testing"), not(loom)))]
#[forbid(unsafe_code)]
pub mod testing;
#[forbid(unsafe_code)]
pub mod wire;

/// Version of everything in this crate that another domain can see. Messages of a peer with another version are counted
/// and dropped.
pub const VERSION: u16 = 9;
