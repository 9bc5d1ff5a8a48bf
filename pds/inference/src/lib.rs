//! The inference component: the least trusted domain of the system.
//!
//! Responsible for: serving the requests that audit puts into its ring, in the order of their
//! arrival, with an [`llm_core::backend::LlmBackend`] over the models in the store.
//!
//! The rule that keeps the rest of the system responsive: [`Server::poll`] does a bounded amount of
//! work, one step of the backend at the most, and looks at its ring between steps; so a cancel takes
//! effect within one token. Nothing that is here protects anybody: audit believes none of it.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod failure;
#[cfg(feature = "inject")]
pub mod inject;
#[cfg(any(test, feature = "measure"))]
pub mod measure;
mod server;
mod store;

pub use server::{Activity, Port, Server};
pub use store::{Store, StoredModel};
