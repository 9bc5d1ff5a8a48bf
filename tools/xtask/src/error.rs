//! What can go wrong before or while something is built.

use std::path::PathBuf;
use std::process::ExitStatus;

/// Why a verb of make's ended early.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A variable on make's command line has a value that nobody knows.
    #[error("{name}='{value}': {reason}")]
    Option {
        name: &'static str,
        value: String,
        reason: String,
    },
    /// Something that must be installed is not there.
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
    /// A program has said what was wrong.
    #[error("{program} failed: {status}")]
    Failed { program: String, status: ExitStatus },
    /// A check of this program's own.
    #[error("{0}")]
    Wrong(String),
}

/// Of a verb, or a part of one.
pub type Result<T = ()> = std::result::Result<T, Error>;

/// For `map_err`: an error of the file system, with the path that it is about.
pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.into();
    move |error| Error::File {
        path,
        reason: error.to_string(),
    }
}
