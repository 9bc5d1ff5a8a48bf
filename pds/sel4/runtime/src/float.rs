//! Floating-point control state.

use core::arch::asm;

/// Sets rounding to nearest, without flush-to-zero or traps, as the numerics are defined. The setting survives a
/// restart, and a different one would change the results.
pub fn reset() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: affects only this thread's floating point.
    unsafe {
        asm!("msr fpcr, xzr", options(nomem, nostack));
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        asm!("fscsr zero", options(nomem, nostack));
    }
}
