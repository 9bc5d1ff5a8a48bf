//! Why a child has died.
//!
//! A fault message may be forged: a domain can send on its own fault endpoint. So every label and
//! every length is possible here, and what comes out is evidence, not fact. The program counter is the
//! exception: it is read from the child itself.

use protocol::wire::FaultKind;

/// Labels of fault messages (`seL4_Fault_tag` of seL4 16 on AArch64 with hypervisor support). They
/// are the same in all configurations, but not all exist in each.
mod label {
    /// Use of a capability that is not there.
    pub(super) const CAP: u64 = 1;
    /// A system call that the kernel does not have.
    pub(super) const UNKNOWN_SYSCALL: u64 = 2;
    /// An undefined instruction, for instance.
    pub(super) const USER_EXCEPTION: u64 = 3;
    /// A breakpoint, and so a panic; in the debug configuration alone.
    pub(super) const DEBUG_EXCEPTION: u64 = 4;
    /// Budget used up.
    pub(super) const TIMEOUT: u64 = 5;
    /// Access to memory that is not mapped, or not so.
    pub(super) const VM: u64 = 6;
    /// What is left for a hypervisor: a breakpoint, and so a panic, in release and benchmark.
    pub(super) const VCPU: u64 = 8;
}

/// Message register of a VM fault that holds the address.
const VM_ADDRESS: usize = 1;

/// Kind of a fault, and the address that it is about: 0 if there is none, the label if that is
/// unknown.
#[must_use]
pub fn decode(label: u64, registers: &[u64]) -> (FaultKind, u64) {
    match label {
        label::VM => {
            let address = registers.get(VM_ADDRESS).copied().unwrap_or(0);
            (FaultKind::Memory, address)
        }
        label::CAP => (FaultKind::Capability, 0),
        label::UNKNOWN_SYSCALL => (FaultKind::UnknownSyscall, 0),
        label::USER_EXCEPTION | label::DEBUG_EXCEPTION | label::VCPU => (FaultKind::Exception, 0),
        label::TIMEOUT => (FaultKind::Timeout, 0),
        unknown => (FaultKind::Unknown, unknown),
    }
}

#[cfg(target_os = "none")]
mod received {
    use super::{decode, label};
    use crate::child::Child;
    use protocol::wire::Fault;
    use sel4::sys::seL4_Fault_tag as tag;
    use sel4_microkit::MessageInfo;

    // The labels that exist in every configuration are the kernel's.
    const _: () = assert!(
        label::CAP == tag::seL4_Fault_CapFault
            && label::UNKNOWN_SYSCALL == tag::seL4_Fault_UnknownSyscall
            && label::USER_EXCEPTION == tag::seL4_Fault_UserException
            && label::TIMEOUT == tag::seL4_Fault_Timeout
            && label::VM == tag::seL4_Fault_VMFault
            && label::VCPU == tag::seL4_Fault_VCPUFault
    );

    /// The fault of `child` that has just been received as `message`. The child stands still
    /// afterwards, also if it has only pretended to have died.
    #[must_use]
    pub fn of(child: Child, message: &MessageInfo) -> Fault {
        let (kind, address) = sel4_microkit::with_msg_regs(|registers| {
            let sent = registers.get(..message.count()).unwrap_or(registers);
            decode(message.label(), sent)
        });
        Fault {
            kind,
            ip: child.stop(),
            address,
        }
    }
}

#[cfg(target_os = "none")]
pub use received::of;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_fault_has_its_address() {
        let registers = [0x20_1234, 0x1200_0000, 0, 0x9200_0046];
        let fault = decode(label::VM, &registers);
        assert_eq!(fault, (FaultKind::Memory, 0x1200_0000));
    }

    #[test]
    fn a_panic_is_an_exception_in_every_configuration() {
        for label in [label::DEBUG_EXCEPTION, label::VCPU] {
            assert_eq!(decode(label, &[0xf200_0001]), (FaultKind::Exception, 0));
        }
    }

    #[test]
    fn a_forged_message_is_an_unknown_fault_or_one_without_an_address() {
        assert_eq!(decode(4242, &[]), (FaultKind::Unknown, 4242));
        assert_eq!(decode(0, &[]), (FaultKind::Unknown, 0));
        assert_eq!(decode(label::VM, &[1]), (FaultKind::Memory, 0));
    }
}
