//! Faults of domains, seen from outside.
//!
//! The supervisor traces each domain. A signal that means a fault stops the domain before any of its own code can run,
//! and its registers say where. A domain cannot lie about that.

#![allow(unsafe_code)]

use super::PROGRAM;
use super::log::Log;
use crate::fault::Seen;
use crate::pd::{REPORT_BYTES, SUBCOMMAND};
use crate::signals::{FAULTS, Registers, address};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use protocol::wire::{Fault, FaultKind};
use rustix::process::{Pid, WaitStatus as Status};
use std::io::Result;
use std::process::{Command, Stdio};

/// Signals that would stop a domain for good, because nobody would continue it.
const STOPS: [Signal; 4] = [
    Signal::SIGSTOP,
    Signal::SIGTSTP,
    Signal::SIGTTIN,
    Signal::SIGTTOU,
];

/// A death of unknown cause.
pub(super) const UNKNOWN: Seen = Seen {
    fault: Fault {
        kind: FaultKind::Unknown,
        ip: 0,
        address: 0,
    },
    signal: 0,
};

/// The fault that a signal means.
pub(super) fn seen(signal: i32, ip: u64, address: u64) -> Seen {
    let kind = match Signal::try_from(signal) {
        Ok(Signal::SIGSEGV | Signal::SIGBUS) => FaultKind::Memory,
        Ok(Signal::SIGSYS) => FaultKind::Capability,
        Ok(Signal::SIGILL | Signal::SIGFPE | Signal::SIGTRAP | Signal::SIGABRT) => {
            FaultKind::Exception
        }
        _ => FaultKind::Unknown,
    };
    Seen {
        fault: Fault { kind, ip, address },
        signal,
    }
}

/// Decodes the report of a domain that is not traced: signal, instruction pointer, address.
pub(super) fn reported(bytes: &[u8; REPORT_BYTES]) -> Seen {
    let mut words = [0u64; REPORT_BYTES / 8];
    for (word, place) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*place);
    }
    let [signal, ip, address] = words;
    seen(i32::try_from(signal).unwrap_or(0), ip, address)
}

/// Whether this environment allows us to trace our own children. Logs a warning if not.
pub(super) fn works(log: &mut Log) -> bool {
    let mut probe = Command::new(PROGRAM);
    probe.arg(SUBCOMMAND).stdin(Stdio::piped()).env_clear();
    // The pipe of its input belongs to the handle, so it waits until it is killed.
    let tried = probe.spawn().and_then(|mut child| {
        let seized = nix_pid(child.id()).and_then(seize_nix);
        let _ = child.kill();
        child.wait()?;
        seized
    });
    if let Err(error) = &tried {
        log.say(&format!(
            "warning: ptrace is refused here ({error}): domains report their own faults"
        ));
    }
    tried.is_ok()
}

fn nix_pid(id: u32) -> Result<nix::unistd::Pid> {
    let id = i32::try_from(id).map_err(|_| std::io::ErrorKind::InvalidInput)?;
    Ok(nix::unistd::Pid::from_raw(id))
}

fn seize_nix(pid: nix::unistd::Pid) -> Result<()> {
    Ok(ptrace::seize(pid, ptrace::Options::PTRACE_O_EXITKILL)?)
}

/// Traces a process until it ends. If we die, it is killed.
pub(super) fn seize(pid: Pid) -> Result<()> {
    seize_nix(nix::unistd::Pid::from_raw(pid.as_raw_pid()))
}

/// Looks at a process that has stopped. Returns its fault, or lets it continue.
pub(super) fn stopped(pid: Pid, status: Status) -> Option<Seen> {
    let number = status.stopping_signal()?;
    let pid = nix::unistd::Pid::from_raw(pid.as_raw_pid());
    let signal = Signal::try_from(number).ok();
    let is_event = status.as_raw() >> 16 != 0;
    if !is_event && signal.is_some_and(|signal| FAULTS.contains(&signal)) {
        // A process has no registers only if it is gone; its end is reported next.
        let info = ptrace::getsiginfo(pid).ok()?;
        let registers = ptrace::getregset::<ptrace::regset::NT_PRSTATUS>(pid).ok()?;
        let registers = Registers::of_tracee(&registers);
        return Some(seen(
            number,
            registers.ip,
            address(number, &info, registers),
        ));
    }
    let passed_on = signal.filter(|signal| !is_event && !STOPS.contains(signal));
    let _ = ptrace::cont(pid, passed_on);
    None
}
