//! The isolation checker: who can do what to whom in sel4-llm, and whether that is what it should be.
//!
//! Responsible for:
//! - reading `system.xml` and, where there is an image, the capDL that the Microkit tool emits for it;
//! - checking the invariants I1 to I8 of `system.xml` on each, against `policy.toml`;
//! - checking that the description is, down to the last attribute, what the programs rely on, and the
//!   programs' files, where they are there, that they fit it;
//! - checking that the image holds what the description and a written table of Microkit's own
//!   additions explain, and all of it;
//! - the reports and the picture of the authority graph, and the instance for the proofs.
//!
//! The rule that keeps it safe: what it does not know, it refuses. It trusts that the two files are
//! those that the image is built from; it trusts neither of them to be right.

#![forbid(unsafe_code)]

pub mod agreement;
pub mod args;
pub mod capability;
pub mod capdl;
pub mod claims;
pub mod documents;
mod error;
pub mod graph;
pub mod kernel;
pub mod microkit;
pub mod picture;
pub mod pins;
pub mod policy;
pub mod programs;
pub mod report;
pub mod rocq;
pub mod view;

pub use error::{Error, Result};
