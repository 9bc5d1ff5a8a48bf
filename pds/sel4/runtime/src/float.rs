//! The state of floating point that is not in its registers of numbers.

use core::arch::asm;

/// Rounds to nearest, without flushing of small numbers or traps: what the numerics are defined for. The setting survives a
/// restart, and another one would change the results.
pub fn reset() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: concerns this thread's floating point alone.
    unsafe {
        asm!("msr fpcr, xzr", options(nomem, nostack));
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        asm!("fscsr zero", options(nomem, nostack));
    }
}
