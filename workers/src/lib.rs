//! How a leader shares jobs with workers on other cores.
//!
//! A [`Desk`] is memory that the leader and its workers share: the words of one job, and for each worker two gates
//! ([`Gate`]), one that the leader opens when there is a job and one that the worker opens when its part is done. The
//! two rounds of gates are a barrier before and after each job: no worker reads a job before it is complete, and the
//! leader continues only after every part has ended. The turn number of a gate acts as a reversing sense, so nothing
//! has to be reset.
//!
//! A member that waits spins for a bounded time and then sleeps until it is signalled; the caller provides sleeping and
//! signalling. If a worker does not arrive by a deadline, it may still be writing, so the leader cannot continue: the
//! whole team has failed.
//!
//! Only atomics are shared, all zeros are a valid desk, and nothing in it is an address. So it works both between
//! threads and between protection domains. Domains are stopped and started again, and the desk then has the contents
//! that their old run has left, so leader and workers greet each other first. `threads` is a team of threads for tools
//! on a host; `domains` is one of protection domains.

#![cfg_attr(not(any(loom, test, feature = "threads")), no_std)]
#![deny(unsafe_code)]

#[cfg(all(any(feature = "domains", feature = "threads"), not(loom)))]
mod answer;
mod desk;
#[cfg(all(feature = "domains", not(loom)))]
pub mod domains;
mod gate;
#[cfg(all(feature = "inject", not(loom)))]
pub mod inject;
#[cfg(all(feature = "threads", not(loom)))]
mod threads;

pub use desk::{Called, Desk, Leader, Worker};
pub use gate::Gate;
#[cfg(all(feature = "threads", not(loom)))]
pub use threads::{Threads, cores};
