//! The isolation checker: computes who can affect whom in sel4-llm, and whether that is as intended.
//!
//! It does the following:
//! - reads `system.xml` and, if there is an image, the capDL that the Microkit tool emits for it;
//! - checks the invariants I1 to I8 of `system.xml` on each, against `policy.toml`;
//! - checks that the description is, down to the last attribute, what the programs rely on, and that the programs'
//!   files, if present, fit it;
//! - checks that the image contains exactly what the description and a written table of Microkit's own additions
//!   explain;
//! - writes the reports, the picture of the authority graph, and the instance for the proofs.
//!
//! The rule that keeps it safe: it refuses what it does not know. It trusts that the two files are those that the image
//! is built from; it does not trust either of them to be right.

#![forbid(unsafe_code)]

pub mod additions;
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
