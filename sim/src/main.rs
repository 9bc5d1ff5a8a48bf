//! `sel4-llm-sim`: runs the system that `system.xml` describes on Linux.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::main(&sim::roles::ALL)
}
