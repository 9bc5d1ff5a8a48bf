//! `reset-regions IN.elf OUT.elf`: gives a program what it needs to be restarted.

use clap::Parser;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Gives a protection domain's program what it needs to be restarted.
///
/// Adds a read-only copy of the data that the program starts with, and the table by which its reset
/// code (rust-sel4's sel4-reset) brings the data back. To be done after the linker and before the
/// Microkit tool.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Example:\n  reset-regions inference.linked.elf inference.elf"
)]
struct Arguments {
    /// Program as the linker has made it.
    #[arg(value_name = "IN.elf")]
    input: PathBuf,
    /// Where to write it.
    #[arg(value_name = "OUT.elf")]
    output: PathBuf,
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("{path}: {cause}")]
    File {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{path}: {cause}")]
    Program {
        path: PathBuf,
        cause: reset_regions::Error,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("reset-regions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Error> {
    let file_error = |path: &Path| {
        let path = path.to_owned();
        |cause| Error::File { path, cause }
    };
    let program = std::fs::read(&arguments.input).map_err(file_error(&arguments.input))?;
    let restartable = reset_regions::add(&program).map_err(|cause| Error::Program {
        path: arguments.input.clone(),
        cause,
    })?;
    std::fs::write(&arguments.output, restartable).map_err(file_error(&arguments.output))
}
