//! The components of sel4-llm on top of [`crate::pd`]. Like the `main.rs` of the domain on seL4, each file implements
//! one port and names the variables of `system.xml` that hold its channels and regions.

mod audit;
mod disk;
mod files;
mod inference;
mod shell;
mod worker;

use crate::pd::Role;

/// Every program that `system.xml` can name.
pub const ALL: [Role; 10] = [
    Role {
        image: "shell",
        start: shell::start,
    },
    Role {
        image: "audit",
        start: audit::start,
    },
    Role {
        image: "inference",
        start: inference::start,
    },
    // Of `systems/disk`.
    Role {
        image: "audit-disk",
        start: audit::start_with_disk,
    },
    Role {
        image: "inference-disk",
        start: inference::start_with_slots,
    },
    // Of `systems/cores`.
    Role {
        image: "audit-cores",
        start: audit::start,
    },
    Role {
        image: "inference-cores",
        start: inference::start_with_workers,
    },
    Role {
        image: "worker",
        start: worker::start,
    },
    // Of `systems/disk`.
    Role {
        image: "files",
        start: files::start,
    },
    Role {
        image: "disk",
        start: disk::start,
    },
];

/// One end of a pair of rings.
type Endpoint =
    protocol::ring::Endpoint<protocol::region::ReadOnlyRegion, protocol::region::ReadWriteRegion>;

/// The end that reads from region `theirs` and writes to region `ours`.
fn endpoint(
    env: &mut crate::pd::Environment,
    theirs: &str,
    ours: &str,
) -> Result<Endpoint, crate::pd::SetupError> {
    Endpoint::new(env.read_only(theirs)?, env.read_write(ours)?).map_err(component)
}

/// The error of a component that refuses what it was given.
fn component(error: impl std::fmt::Display) -> crate::pd::SetupError {
    crate::pd::SetupError::Component(error.to_string())
}
