//! Starting a child domain afresh, alive or not.

/// Where a restarted domain begins: `_reset`, which the linker script puts first.
const RESET_ENTRY: u64 = 0x20_0000;
/// End of the stack that Microkit gives every domain on this board.
pub const STACK_TOP: u64 = 0xff_ffff_e000;

/// A child domain, over whose thread its parent has full control.
#[derive(Clone, Copy, Debug)]
pub struct Child(sel4_microkit::Child);

impl Child {
    /// The child with this number in `system.xml`.
    #[must_use]
    pub const fn new(index: usize) -> Self {
        Self(sel4_microkit::Child::new(index))
    }

    /// Stops it and gives its program counter, the true one whatever it says in messages; 0 if
    /// there is none to be had.
    #[must_use]
    pub fn stop(self) -> u64 {
        let registers = self.0.tcb().tcb_read_all_registers(true);
        registers.map_or(0, |registers| *registers.pc())
    }

    /// Ends it wherever it is, and starts it at its reset code with registers that are zero. When
    /// this returns, nothing of its old life runs any more, and the new one runs as soon as its
    /// parent waits.
    ///
    /// Its notifications stay as they are: the first wake-up of the new life may be a stale one.
    pub fn restart(self) {
        let tcb = self.0.tcb();
        let mut registers = sel4::UserContext::default();
        *registers.pc_mut() = RESET_ENTRY;
        *registers.sp_mut() = STACK_TOP;
        // Neither can fail with the capability that Microkit gives to a parent. If it did, the child
        // would not answer, and its parent notices that anyway.
        let _ = tcb.tcb_suspend();
        let _ = tcb.tcb_write_all_registers(true, &mut registers);
    }
}
