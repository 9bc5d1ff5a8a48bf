//! How a leader shares jobs with workers on other cores.
//!
//! A [`Desk`] is memory that the leader and its workers share: the words of one job, and for each worker two gates
//! ([`Gate`]), one that the leader opens when there is a job and one that the worker opens when its part is done. The
//! two rounds of gates are a barrier before and after each job: no worker reads a job before it is complete, and the
//! leader continues only after every part has ended. The numbers that gates are opened with reverse the sense each
//! time, so nothing has to be reset.
//!
//! Whoever waits spins for a bounded time and then sleeps until it is signalled; how to sleep and how to signal is the
//! caller's. If a worker does not arrive by a deadline, it may still be writing, so the leader cannot go on: that is a
//! fault of all of them.
//!
//! Only atomics are shared, all zeros is a valid desk, and nothing in it is an address. So it works between threads and
//! between protection domains alike. Domains are stopped and started again, and the desk then holds what their old run
//! has left: leader and workers greet each other first. `threads` is a team of threads for tools on a host; `domains` is
//! one of protection domains.

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
