//! `sysdesc SYSTEM BOARD OUTPUT`: writes the description of a system for a board, which is the Microkit tool's input.
//! The board is the name of a file in `boards/`, relative to the current folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use sysdesc::{Board, board};

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Board(#[from] board::BoardError),
    #[error("{}: {source}", path.display())]
    Description {
        path: PathBuf,
        source: sysdesc::Error,
    },
    #[error("{}: {source}", path.display())]
    File {
        path: PathBuf,
        source: std::io::Error,
    },
}

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [system, board, output] = &arguments[..] else {
        eprintln!("usage: sysdesc SYSTEM BOARD OUTPUT");
        return ExitCode::from(2);
    };
    match run(Path::new(system), board, Path::new(output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sysdesc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(system: &Path, board: &str, output: &Path) -> Result<(), Error> {
    let board = Board::find(Path::new(board::FOLDER), board)?;
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    let text = std::fs::read_to_string(system).map_err(file(system))?;
    let resolved = board.resolve(&text).map_err(|source| {
        let path = system.to_owned();
        Error::Description { path, source }
    })?;
    // Written only if it changes, so that nothing is rebuilt needlessly.
    if std::fs::read_to_string(output).is_ok_and(|before| before == resolved) {
        return Ok(());
    }
    std::fs::write(output, resolved).map_err(file(output))
}
