//! The audit component: the reference monitor between clients and inference.
//!
//! Responsible for:
//! - *mediation*: every request and every report is parsed, checked and written anew;
//! - *access*: users, roles and their permissions, from a policy that is compiled into a region of its own;
//! - *admission*: what exceeds a limit or a budget is refused, with the value and the limit, before inference sees it;
//! - *formats*: an answer that is bound to one leaves it by no byte, whatever inference says, and no stop string is
//!   shown;
//! - *metering*: tokens are counted as they pass, times are audit's own, and no more bytes leave inference than the
//!   egress cap allows;
//! - *models and adapters*: only files that a trusted key has signed are loaded;
//! - *fine-tuning*: what is trained, on which data and what came out is on record, and signed by the device's key;
//! - *deadlines*: what takes too long is stopped, and if it does not stop, restarted;
//! - *recovery*: a fault, a hang or a breach of the protocol restarts inference in a new epoch;
//! - *the log*: a chained record of each of these.
//!
//! The rule that keeps it safe: nothing that a peer writes decides more than that peer's own fate. Work per wake-up is
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
