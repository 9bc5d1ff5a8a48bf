//! Inference and its workers as audit's children: decoding their faults, and restarting them.
//!
//! They are one compartment, so a fault of one ends all of them. All are stopped before any is started: what an old run
//! might still write must not meet a new one. The kernel stops a domain on another core before it answers.

use crate::members::Members;
use component::ControlError;
use protocol::wire::{Fault, FaultKind};
use runtime::layout::{RESET, STACK_TOP};
use sel4_microkit::{Child, MessageInfo};

/// Inference and its workers, by the numbers that the Microkit tool has written: those of their TCBs, for which audit has
/// capabilities.
pub(crate) struct Compartment(pub(crate) Members);

/// Decodes a fault message. It may be forged, and its label unknown: nothing here trusts it. The instruction pointer is
/// read from the thread itself, because some kinds of message do not carry it.
// A separate function, so `make panic-check` can see that its walk reaches it.
#[inline(never)]
pub(crate) fn fault(child: Child, message: &MessageInfo) -> Fault {
    let word = |index: usize| {
        if index < message.count() {
            sel4_microkit::get_mr(index)
        } else {
            0
        }
    };
    let (kind, address) = match message.label() {
        1 => (FaultKind::Capability, word(1)),
        2 => (FaultKind::UnknownSyscall, 0),
        3 | 4 => (FaultKind::Exception, 0),
        5 => (FaultKind::Timeout, 0),
        6 => (FaultKind::Memory, word(1)),
        // A release kernel reports `brk`, with which Rust aborts, as a VCPU fault.
        8 => (FaultKind::Exception, word(0)),
        label => (FaultKind::Unknown, label),
    };
    let registers = child.tcb().tcb_read_all_registers(true);
    let ip = registers.map_or(0, |registers| *registers.pc());
    Fault { kind, ip, address }
}

impl Compartment {
    /// Stops all of them until [`Self::restart`] is called.
    pub(crate) fn stop(&self) -> Result<(), ControlError> {
        for child in &self.0 {
            let stopped = child.tcb().tcb_suspend();
            stopped.map_err(|_| ControlError::NotStopped)?;
        }
        Ok(())
    }

    /// Stops all of them and starts each at its reset code, with every register written.
    pub(crate) fn restart(&self) -> Result<(), ControlError> {
        self.stop()?;
        for child in &self.0 {
            let mut registers = sel4::UserContext::default();
            *registers.pc_mut() = RESET as u64;
            *registers.sp_mut() = STACK_TOP as u64;
            let started = child.tcb().tcb_write_all_registers(true, &mut registers);
            started.map_err(|_| ControlError::NotStarted)?;
        }
        Ok(())
    }
}
