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
//! - `supervisor`: kernel, Microkit and board, above the domains;
//! - [`pd`]: the process of a domain, before and after it is locked down;
//! - `roles`: the components of sel4-llm, built on `pd`;
//! - [`description`], [`fault`]: messages between supervisor and domain; `signals`: what both know about faults.
//!
//! The confined side (`pd`, `roles`) never names the supervisor. Without the feature `supervisor`, only that side is
//! built: a library for programs of domains that are not part of the simulation ([`domain_main`]).
//!
//! The rule that keeps it honest: a domain gets only what `system.xml` gives it, and dies if it uses anything else.
//! Device *registers* are the exception: a region with a physical address is not mapped. Instead, the supervisor gives
//! the owner of a device's interrupt a descriptor that stands for the device. Priorities, budgets, stack sizes and FPU
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

/// The whole program: the supervisor or, if the hidden first argument is `pd`, one of its domains.
/// `roles` are the programs that domains can run.
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

/// The whole program of a domain that is not part of the simulation. The supervisor starts it if the command line names
/// it (`--program DOMAIN=FILE`), and it becomes that domain, with exactly the rights of its description.
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

/// As [`domain_main`], for a program whose `main` is not Rust's. It returns only if the process cannot become a domain:
/// it says why, and returns the exit status.
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
