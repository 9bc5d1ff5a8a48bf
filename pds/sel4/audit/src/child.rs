//! Inference as audit's child: what its faults mean, and how it is started anew.

use protocol::wire::{Fault, FaultKind};
use sel4_microkit::{Child, MessageInfo};

const INFERENCE: Child = Child::new(0);

/// Where the linker script puts `_reset`.
const RESET: u64 = 0x20_0000;

/// Top of the stack that Microkit gives a domain.
const STACK_TOP: u64 = 0xff_ffff_e000;

/// Decodes a fault message. It may be forged, and its label unknown: nothing here trusts it. The
/// instruction pointer comes from the thread itself, since some kinds do not carry it.
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
        // A VCPU fault is how a release kernel reports `brk`, which is how Rust aborts.
        8 => (FaultKind::Exception, word(0)),
        label => (FaultKind::Unknown, label),
    };
    let registers = child.tcb().tcb_read_all_registers(true);
    let ip = registers.map_or(0, |registers| *registers.pc());
    Fault { kind, ip, address }
}

/// Stops inference until [`restart`].
pub(crate) fn stop() {
    // It does not fail on a TCB that this domain holds.
    let _ = INFERENCE.tcb().tcb_suspend();
}

/// Stops inference and starts it from its reset code, with every register written.
pub(crate) fn restart() {
    let tcb = INFERENCE.tcb();
    // Neither call fails on a TCB that this domain holds; a failure would show at the deadline of
    // the load that follows.
    let _ = tcb.tcb_suspend();
    let mut registers = sel4::UserContext::default();
    *registers.pc_mut() = RESET;
    *registers.sp_mut() = STACK_TOP;
    let _ = tcb.tcb_write_all_registers(true, &mut registers);
}
