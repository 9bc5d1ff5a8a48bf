//! Fault reports by the domain itself, where the supervisor may not trace it.
//!
//! This is weaker than tracing: a domain can forge its report. It can forge a fault message on seL4 as well.

#![allow(unsafe_code)]

use super::SetupError;
use crate::signals::{FAULTS, Registers, address};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};
use rustix::fd::BorrowedFd;
use std::sync::OnceLock;

/// A report: signal, instruction pointer, address or number of the system call.
pub(crate) const REPORT_BYTES: usize = 24;
const STACK_BYTES: usize = 0x10000;
/// Exit status after a report. Nothing else exits with it: a panic's status is 101.
pub(crate) const EXIT_STATUS: u8 = 102;

static REPORT: OnceLock<BorrowedFd<'static>> = OnceLock::new();

/// Handles every signal that is a fault, on its own stack.
pub(super) fn install(report: BorrowedFd<'static>) -> Result<(), SetupError> {
    let _ = REPORT.set(report);
    let stack = Box::leak(Box::new([0u8; STACK_BYTES]));
    let stack = libc::stack_t {
        ss_sp: stack.as_mut_ptr().cast(),
        ss_flags: 0,
        ss_size: STACK_BYTES,
    };
    // SAFETY: the stack is leaked memory that nothing else uses.
    if unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) } != 0 {
        return Err(std::io::Error::last_os_error().into());
    }
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(handle), flags, SigSet::empty());
    for signal in FAULTS {
        // SAFETY: the handler makes only calls that are safe in a signal handler (write, _exit)
        // and touches no state but `REPORT`, which was set before.
        unsafe { sigaction(signal, &action) }.map_err(std::io::Error::from)?;
    }
    Ok(())
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel calls this with valid information (SA_SIGINFO).
    let info = unsafe { &*info };
    // SAFETY: as above; the context of a handler is a `ucontext_t`.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    let registers = Registers::of_context(context);
    let address = address(signal, info, registers);
    let mut bytes = [0; REPORT_BYTES];
    let words = [u64::from(signal.unsigned_abs()), registers.ip, address];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    if let Some(report) = REPORT.get() {
        let _ = rustix::io::write(report, &bytes);
    }
    super::descriptors::exit(EXIT_STATUS)
}
