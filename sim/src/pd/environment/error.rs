//! Errors of a domain's setup.

use rustix::fd::RawFd;

/// Why a process could not become its domain.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It was not started by a supervisor.
    #[error("'pd' is only for the supervisor")]
    Usage,
    /// The description is not valid JSON.
    #[error("its description is broken: {0}")]
    Description(#[from] serde_json::Error),
    /// A system call failed.
    #[error("{0}")]
    System(#[from] std::io::Error),
    /// The supervisor is dead.
    #[error("its supervisor is gone")]
    Orphan,
    /// The simulation has no program of that name.
    #[error("there is no program '{role}'")]
    Role {
        /// The stem of the image.
        role: String,
    },
    /// A region could not be mapped.
    #[error("region {region} cannot be mapped at {vaddr:#x}: {cause}")]
    Map {
        /// Name of the region.
        region: String,
        /// The address that it should have.
        vaddr: u64,
        /// Error of the system.
        cause: std::io::Error,
    },
    /// The program needs a region that the domain does not have, or has with other rights.
    #[error(
        "the program needs region variable '{symbol}' {access}, but system.xml does not give it"
    )]
    Region {
        /// Variable that holds its address.
        symbol: String,
        /// The access that it needs.
        access: &'static str,
    },
    /// The program needs a number that nothing sets.
    #[error("the program needs variable '{symbol}', but system.xml sets it with no setvar_id")]
    Variable {
        /// Name of the variable.
        symbol: String,
    },
    /// The program needs a right that the domain does not have.
    #[error("the program needs {right} {id}, but system.xml does not give it")]
    Right {
        /// Kind of right.
        right: &'static str,
        /// Number of the channel, interrupt or child.
        id: u8,
    },
    /// The process has more than one thread, but only the calling one would be locked down.
    #[error("it has {threads} threads, but a domain may have only one: start no threads before it")]
    Threads {
        /// Number of threads.
        threads: usize,
    },
    /// A descriptor is open that the description does not name.
    #[error("descriptor {descriptor} has leaked into it")]
    Leak {
        /// Number of the descriptor.
        descriptor: RawFd,
    },
    /// The system call filter could not be made or installed.
    #[error("it cannot be locked down: {0}")]
    Lockdown(#[from] seccompiler::Error),
    /// The system call filter could not be compiled.
    #[error("it cannot be locked down: {0}")]
    Filter(#[from] seccompiler::BackendError),
    /// The component refused what it was given.
    #[error("{0}")]
    Component(String),
}

impl From<rustix::io::Errno> for SetupError {
    fn from(error: rustix::io::Errno) -> Self {
        Self::System(error.into())
    }
}
