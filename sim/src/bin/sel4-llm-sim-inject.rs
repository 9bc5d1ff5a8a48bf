//! The simulation with an inference that faults or spins when a prompt asks for it. Never part of a release.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::main(&sim::roles::ALL)
}
