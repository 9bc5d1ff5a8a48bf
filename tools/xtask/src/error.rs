//! What can go wrong before or while something is built.

use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a verb ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A variable on make's command line has an unknown value.
    #[error("{name}='{value}': {reason}")]
    Option {
        name: &'static str,
        value: String,
        reason: String,
    },
    /// Something required is not installed.
    #[error("{0}")]
    Missing(String),
    #[error(transparent)]
    Board(#[from] sysdesc::board::BoardError),
    #[error("{}: {source}", path.display())]
    Description {
        path: PathBuf,
        source: sysdesc::Error,
    },
    #[error("{}: {reason}", path.display())]
    File { path: PathBuf, reason: String },
    #[error("{program} cannot be started: {source}")]
    Start {
        program: String,
        source: std::io::Error,
    },
    /// A program has failed and reported why.
    #[error("{program} failed: {status}")]
    Failed { program: String, status: ExitStatus },
    /// A check in this program has failed.
    #[error("{0}")]
    Wrong(String),
}

/// The result of a verb, or of a part of one.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// For `map_err`: an error of the file system, with its path.
pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.into();
    move |error| Error::File {
        path,
        reason: error.to_string(),
    }
}
