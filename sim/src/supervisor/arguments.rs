//! Command-line arguments of the simulation, and its errors.

use super::programs::{Named, ProgramError};
use super::resources::ResourceError;
use clap::Parser;
use std::path::PathBuf;

/// Runs a sel4-llm system as Linux processes.
///
/// Reads the same SYSTEM.XML as the Microkit tool. Every protection domain becomes a process that can reach only its
/// own regions and channels. The terminal stands for the UART, and goes to the domain that owns its interrupt. The exit
/// status is 0 if that domain halts the system, and 1 if a domain dies that nobody restarts.
#[derive(Debug, Parser)]
#[command(
    name = "sel4-llm-sim",
    version,
    after_help = "\
Example:
  llmtool policy policy.toml --system system.xml -o build/policy.bin --formats build/formats.bin
  llmtool pack default=models/default.gguf -o build/store.tar
  sel4-llm-sim system.xml --search-path build
  sel4-llm-sim mine.xml --search-path build --program triage=target/release/triage-sim"
)]
pub(super) struct Arguments {
    /// System description.
    #[arg(value_name = "SYSTEM.XML")]
    pub(super) system: PathBuf,
    /// Where to look for files that fill regions (store.tar, policy.bin, formats.bin). The first folder that has one
    /// wins.
    #[arg(long, value_name = "DIR", default_value = ".", num_args = 1..)]
    pub(super) search_path: Vec<PathBuf>,
    /// Run FILE as the protection domain DOMAIN, in place of the simulation's own program. FILE is an executable made
    /// with the library of this program (Rust) or with sim/c (C). At most once per domain.
    #[arg(long, value_name = "DOMAIN=FILE")]
    pub(super) program: Vec<Named>,
    /// Image of the disk, for systems that have one (systems/disk/system.xml). Without it there is no disk.
    #[arg(long, value_name = "FILE")]
    pub(super) disk: Option<PathBuf>,
    /// Append faults, restarts and the end of the run to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) log: Option<PathBuf>,
    /// Let domains report their own faults, as happens where ptrace is refused.
    #[arg(long)]
    pub(super) no_ptrace: bool,
    /// Continue, as seL4 does, when a domain without parent, child or console dies, instead of ending.
    #[arg(long)]
    pub(super) outlive_clients: bool,
    /// Let domains print their panics and debug output to standard error, as a debug kernel would.
    #[arg(long)]
    pub(super) debug: bool,
}

/// Why a system could not run, or ended with an error.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{path}: {cause}")]
    Read {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("{path}: {cause}")]
    Description {
        path: PathBuf,
        cause: sysdesc::Error,
    },
    #[error("{0}")]
    Program(#[from] ProgramError),
    #[error("{0}")]
    Resources(#[from] ResourceError),
    #[error("{domain} cannot be started: {cause}")]
    Start {
        domain: String,
        cause: std::io::Error,
    },
    #[error("{domain} did not start (status {status})")]
    Setup { domain: String, status: i32 },
    #[error("{domain} died and has no parent that could restart it")]
    Died { domain: String },
    #[error("the console is gone")]
    ConsoleGone,
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl From<rustix::io::Errno> for Error {
    fn from(error: rustix::io::Errno) -> Self {
        Self::System(error.into())
    }
}

impl From<nix::errno::Errno> for Error {
    fn from(error: nix::errno::Errno) -> Self {
        Self::System(error.into())
    }
}
