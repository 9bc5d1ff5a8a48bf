//! The audit component: the reference monitor between clients and inference.
//!
//! Responsible for:
//! - *mediation*: every request and every report is parsed, checked and written anew;
//! - *access*: users, roles and their permissions, from a compiled policy in a region of its own;
//! - *admission*: a request that exceeds a limit or a budget is refused, with the value and the limit, before inference
//!   sees it;
//! - *formats*: an answer that is bound to a format never leaves it, not even by a byte, whatever inference says, and
//!   stop strings are not shown;
//! - *metering*: tokens are counted as they pass, times are measured by audit, and no more bytes leave inference than
//!   the egress cap allows;
//! - *models and adapters*: only files that a trusted key has signed are loaded;
//! - *fine-tuning*: the log records what is trained, on which data, and the result, which is signed with the device's
//!   key;
//! - *deadlines*: a request that takes too long is stopped; if inference does not stop, it is restarted;
//! - *recovery*: a fault, a hang or a breach of the protocol restarts inference in a new epoch;
//! - *the log*: a hash-chained record of all of this.
//!
//! The rule that keeps it safe: what a peer writes decides that peer's own fate and nothing more. Work per wake-up is
//! bounded, audit never waits for anybody, and no input reaches a panic.

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

mod access;
mod answer;
mod bucket;
mod client;
mod counters;
mod device;
mod egress;
pub mod files;
mod gate;
mod generation;
mod journal;
mod ledger;
mod link;
mod lists;
pub mod log;
mod models;
mod monitor;
mod notices;
mod places;
mod quota;
mod repeats;
mod sessions;
mod shares;
mod shelf;
mod space;
mod table;
#[cfg(test)]
mod tests;
mod tuning;
mod work;

pub use access::KdfBlock;
pub use client::ClientEnd;
pub use journal::JournalMemory;
pub use link::ControlError;
pub use monitor::{Audit, Memory, Port};
pub use table::Texts;
