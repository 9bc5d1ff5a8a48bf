//! The audit component: the reference monitor between shell and inference.
//!
//! Responsible for:
//! - *mediation*: every request and every event is parsed, checked and written anew;
//! - *admission*: what exceeds a limit is refused, with the value and the limit, before inference
//!   sees it;
//! - *metering*: tokens are counted as they pass, times are audit's own;
//! - *deadlines*: what takes too long is stopped, and if it does not stop, restarted;
//! - *recovery*: a fault, a hang or a breach of the protocol restarts inference in a new epoch;
//! - *the log*: a record of each of these.
//!
//! The rule that keeps it safe: nothing that a peer writes decides more than that peer's own fate.
//! Work per wake-up is bounded, audit never waits for anybody, and no input reaches a panic.

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

pub mod log;
mod monitor;
mod table;
#[cfg(test)]
mod tests;

pub use monitor::{Audit, Port};
