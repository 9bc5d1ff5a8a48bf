//! Errors in preparing the resources of domains.

use super::places;
use rustix::io::Errno;
use std::path::PathBuf;

/// Why a system cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResourceError {
    #[error("region {region}: no file '{file}' in {}; make it, or give its folder with --search-path", places(.searched))]
    NoPrefill {
        region: String,
        file: String,
        searched: Vec<PathBuf>,
    },
    #[error("region {region}: {path} has {bytes} bytes, but the region has {size}")]
    PrefillTooLarge {
        region: String,
        path: PathBuf,
        bytes: u64,
        size: u64,
    },
    #[error("region {region}: {path} is empty")]
    PrefillEmpty { region: String, path: PathBuf },
    #[error("region {region}: {path}: {cause}")]
    Prefill {
        region: String,
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("region {region}: {cause}")]
    Region {
        region: String,
        cause: std::io::Error,
    },
    #[error("region {region} would be writable and executable in {domain}")]
    WritableAndExecutable { region: String, domain: String },
    #[error("region {region} has the registers of a device and a prefill")]
    PrefilledDevice { region: String },
    #[error("the disk {path}: {cause}")]
    Disk {
        path: PathBuf,
        cause: std::io::Error,
    },
    #[error("the disk {path} is in use by another system")]
    DiskInUse { path: PathBuf },
    #[error("--disk {path}: no domain in {} drives a disk", .system.display())]
    NoDriver { path: PathBuf, system: PathBuf },
    #[error("{domain} has interrupt {irq}, which no device of the simulation has")]
    Irq { domain: String, irq: u64 },
    #[error(
        "{domain} runs '{program}', but the simulation only has: {known}; name another program with --program {domain}=FILE"
    )]
    Program {
        domain: String,
        program: String,
        known: String,
    },
    #[error("{0}")]
    System(#[from] std::io::Error),
}

impl From<Errno> for ResourceError {
    fn from(error: Errno) -> Self {
        Self::System(error.into())
    }
}
