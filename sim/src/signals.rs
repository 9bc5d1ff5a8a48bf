//! Signals that mean a fault of a domain, and what is read from them. The supervisor reads it from the traced process;
//! where it may not trace, the domain's own handler does.

#![allow(unsafe_code)]

use nix::sys::signal::Signal;

/// Signals that mean a fault of the domain itself.
pub(crate) const FAULTS: [Signal; 7] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGILL,
    Signal::SIGFPE,
    Signal::SIGTRAP,
    Signal::SIGSYS,
    Signal::SIGABRT,
];

/// The registers that describe a fault.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Registers {
    /// Instruction pointer.
    pub(crate) ip: u64,
    /// Number of the system call, if the fault is one.
    pub(crate) call: u64,
}

#[cfg(target_arch = "x86_64")]
impl Registers {
    /// The registers of a traced process that has stopped.
    #[cfg(feature = "supervisor")]
    pub(crate) const fn of_tracee(registers: &libc::user_regs_struct) -> Self {
        Self {
            ip: registers.rip,
            call: registers.rax,
        }
    }

    /// The registers that a signal handler has interrupted.
    pub(crate) const fn of_context(context: &libc::ucontext_t) -> Self {
        let registers = &context.uc_mcontext.gregs;
        let ip = registers[libc::REG_RIP as usize].cast_unsigned();
        Self {
            ip,
            call: registers[libc::REG_RAX as usize].cast_unsigned(),
        }
    }
}

#[cfg(target_arch = "aarch64")]
impl Registers {
    /// The registers of a traced process that has stopped.
    #[cfg(feature = "supervisor")]
    pub(crate) const fn of_tracee(registers: &libc::user_regs_struct) -> Self {
        Self {
            ip: registers.pc,
            call: registers.regs[8],
        }
    }

    /// The registers that a signal handler has interrupted.
    pub(crate) const fn of_context(context: &libc::ucontext_t) -> Self {
        Self {
            ip: context.uc_mcontext.pc,
            call: context.uc_mcontext.regs[8],
        }
    }
}

/// The address of a memory fault, or the number of a forbidden system call; otherwise 0.
pub(crate) fn address(signal: i32, info: &libc::siginfo_t, registers: Registers) -> u64 {
    match Signal::try_from(signal) {
        // A signal that another process sent has no address.
        Ok(Signal::SIGSEGV | Signal::SIGBUS) if info.si_code > 0 => {
            // SAFETY: the kernel fills the address of a memory fault that it raised itself.
            unsafe { info.si_addr() as u64 }
        }
        Ok(Signal::SIGSYS) => registers.call & u64::from(u32::MAX),
        _ => 0,
    }
}
