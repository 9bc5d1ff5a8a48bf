//! Linux runtime of sel4-llm: every protection domain of `system.xml` as a locked-down process.
//!
//! ```text
//!   sel4-llm-sim system.xml ─ supervisor: plays kernel and Microkit
//!      │  regions  = sealed memfds        channels = one pipe per direction
//!      │  faults   = ptrace stops         restart  = kill and exec afresh
//!      ├── pd audit       ┐ each a fresh process: maps its regions at their addresses with their
//!      ├── pd inference   │ permissions, closes every descriptor but its pipes, drops the right
//!      └── pd shell       ┘ to make system calls (seccomp), and only then runs its component
//! ```
//!
//! - [`supervisor`]: what stands above the domains;
//! - [`pd`]: what runs inside a domain's process, before and after it is locked down;
//! - [`roles`]: the components of sel4-llm on top of that;
//! - [`description`], [`fault`]: what crosses between the two; `signals`: what both know of faults.
//!
//! The confined side (`pd`, `roles`) names nothing of the supervisor.
//!
//! The rule that keeps it honest: what a domain gets comes from `system.xml` alone, and a domain
//! that uses anything else dies. Device *registers* are the one thing left out (a region with a
//! physical address is not mapped): the supervisor stands in for the board's devices with
//! descriptors that go to whoever owns the interrupt. Priorities, budgets, stack sizes and FPU
//! settings are not enforced here.

pub mod description;
pub mod fault;
pub mod pd;
pub mod roles;
mod signals;
pub mod supervisor;

use std::process::ExitCode;

/// The whole program: the supervisor, or with the hidden first argument `pd` one of its domains.
/// `roles` are the programs that domains can be.
#[must_use]
pub fn main(roles: &[pd::Role]) -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == pd::SUBCOMMAND)
    {
        pd::main(roles, arguments)
    } else {
        supervisor::main(roles)
    }
}
