//! The audit log as `llmctl audit --json` exports it: read back, checked, shown.
//!
//! The rule that makes the check worth something: nothing is believed twice. The bytes that audit hashed are made anew
//! from each line, and a line that is not, to the byte, what audit would have printed for them is a finding; what is
//! not understood is a finding, too, and any finding means that the log does not hold.

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
