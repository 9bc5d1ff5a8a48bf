//! The simulation with an inference that attacks when a prompt says so. Never part of a release.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::main(&sim::roles::ALL)
}
