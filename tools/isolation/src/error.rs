//! Errors that prevent a verdict.

use std::path::PathBuf;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The board does not exist, or its file is wrong.
    #[error(transparent)]
    Board(#[from] sysdesc::board::BoardError),
    /// The description is refused, possibly for a feature that this project does not use (I8).
    #[error("{}: {source}", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: sysdesc::Error,
    },
    /// The policy is refused.
    #[error("{}: {source}", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: crate::policy::PolicyError,
    },
    /// A capDL or kernel configuration file is invalid.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// A program is invalid.
    #[error("{}: {source}", path.display())]
    Program {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: crate::programs::ProgramError,
    },
    /// Standard output failed.
    #[error("cannot print: {0}")]
    Print(#[from] std::io::Error),
}

/// The result of an operation that may fail with [`Error`].
pub type Result<T> = core::result::Result<T, Error>;
