//! Reads, checks and prints the audit log as `llmctl audit --json` exports it.
//!
//! The rule that makes the check meaningful: nothing in the export is taken on trust. The bytes that audit hashed are
//! reconstructed from each line. A line that differs in any byte from what audit would have printed is a finding, as is
//! anything that is not understood, and any finding means that the log fails the check.

pub mod attest;
pub mod chain;
pub mod disk;
pub mod export;
pub mod finding;
pub mod show;
#[cfg(test)]
mod tests;

pub use chain::verify;
pub use export::{Export, ExportedEntry};
pub use finding::Finding;
