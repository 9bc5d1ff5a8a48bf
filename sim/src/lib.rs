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
//! - `supervisor`: what stands above the domains;
//! - [`pd`]: what runs inside a domain's process, before and after it is locked down;
//! - `roles`: the components of sel4-llm on top of that;
//! - [`description`], [`fault`]: what crosses between the two; `signals`: what both know of faults.
//!
//! The confined side (`pd`, `roles`) names nothing of the supervisor. Without the feature `supervisor` it is all there is:
//! the library for a domain's program that is not part of the simulation ([`domain_main`]).
//!
//! The rule that keeps it honest: what a domain gets comes from `system.xml` alone, and a domain
//! that uses anything else dies. Device *registers* are the one thing left out (a region with a
//! physical address is not mapped): the supervisor stands in for the board's devices with
//! descriptors that go to whoever owns the interrupt. Priorities, budgets, stack sizes and FPU
//! settings are not enforced here.

pub mod description;
pub mod fault;
pub mod pd;
#[cfg(feature = "supervisor")]
pub mod roles;
mod signals;
#[cfg(feature = "supervisor")]
pub mod supervisor;

use std::process::ExitCode;

/// The whole program: the supervisor, or with the hidden first argument `pd` one of its domains.
/// `roles` are the programs that domains can be.
#[cfg(feature = "supervisor")]
#[must_use]
pub fn main(roles: &[pd::Role]) -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == pd::SUBCOMMAND)
    {
        let named = |image: &str| roles.iter().find(|role| role.image == image);
        pd::main(|image| named(image).map(|role| role.start), arguments).into()
    } else {
        supervisor::main(roles)
    }
}

/// The whole program of a domain that is not one of the simulation's: the supervisor starts it where the command line
/// names it (`--program DOMAIN=FILE`), and it becomes that domain, with the rights of its description and no other.
///
/// ```no_run
/// use sim::pd::{Component, Environment, Ids, Notifier, SetupError};
///
/// struct Echo(Notifier);
///
/// impl Component for Echo {
///     fn notified(&mut self, _: Ids) {
///         self.0.notify();
///     }
/// }
///
/// fn start(env: &mut Environment) -> Result<Box<dyn Component>, SetupError> {
///     Ok(Box::new(Echo(env.notifier(env.number("peer_channel")?)?)))
/// }
///
/// fn main() -> std::process::ExitCode {
///     sim::domain_main(start)
/// }
/// ```
#[must_use]
pub fn domain_main(start: pd::Start) -> ExitCode {
    run_domain(start).into()
}

/// As [`domain_main`], for a program whose `main` is not Rust's. It returns only if the process could not become a
/// domain: with its exit status, after it has said why.
#[must_use]
pub fn run_domain(start: pd::Start) -> u8 {
    let mut arguments = std::env::args_os();
    let program = arguments.next().unwrap_or_default();
    if arguments
        .next()
        .is_some_and(|first| first == pd::SUBCOMMAND)
    {
        return pd::main(|_| Some(start), arguments);
    }
    eprintln!(
        "This is the program of a protection domain. The simulation starts it:\n  sel4-llm-sim SYSTEM.XML --program DOMAIN={}",
        program.display()
    );
    pd::SETUP_FAILED
}
