//! Misbehaviour that test builds of several domains have in common.

use crate::region::Mapped;
use core::arch::asm;

/// Address of audit's log, which no other domain maps.
const FOREIGN: usize = 0x1200_0000;

/// Writes outside of the domain's regions. It faults, and audit restarts the compartment.
pub fn write_outside() -> ! {
    // SAFETY: none; this is the attack.
    unsafe { core::ptr::write_volatile(FOREIGN as *mut u64, 0xbad) }
    spin()
}

/// Spins for ever.
pub fn spin() -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Fills a region with these words.
///
/// # Safety
/// The domain may write it, and nothing in the domain makes a reference to it, or it is made to see what becomes of that.
pub unsafe fn fill(region: Mapped, words: impl Iterator<Item = u64>) {
    let Mapped { address, bytes } = region;
    for (at, word) in (address..address + bytes).step_by(8).zip(words) {
        // SAFETY: inside the region, by the caller's promise; pages are aligned.
        unsafe { core::ptr::write_volatile(at as *mut u64, word) }
    }
}

/// Rounds towards zero, only in this thread.
pub fn set_rounding() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: affects only this thread's floating point (RMode 3).
    unsafe {
        asm!("msr fpcr, {}", in(reg) 3_u64 << 22, options(nomem, nostack));
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above (RTZ).
    unsafe {
        asm!("fsrmi 1", options(nomem, nostack));
    }
}
