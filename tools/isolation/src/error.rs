//! What stops the checker before it can judge.

use std::path::PathBuf;

/// Why there is no verdict.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file that cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A board that there is none of, or whose file is wrong.
    #[error(transparent)]
    Board(#[from] sysdesc::board::BoardError),
    /// A description that is refused, also for what this project does without (I8).
    #[error("{}: {source}", path.display())]
    Description {
        /// Which.
        path: PathBuf,
        /// Why.
        source: sysdesc::Error,
    },
    /// A policy that is refused.
    #[error("{}: {source}", path.display())]
    Policy {
        /// Which.
        path: PathBuf,
        /// Why.
        source: crate::policy::PolicyError,
    },
    /// A capDL or kernel configuration file that is none.
    #[error("{}: {source}", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// A program that is none.
    #[error("{}: {source}", path.display())]
    Program {
        /// Which.
        path: PathBuf,
        /// Why.
        source: crate::programs::ProgramError,
    },
    /// Standard output.
    #[error("cannot print: {0}")]
    Print(#[from] std::io::Error),
}

/// With [`Error`].
pub type Result<T> = core::result::Result<T, Error>;
