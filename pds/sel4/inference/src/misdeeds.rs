//! What the test build does when a prompt says so.

use component::inject::Misdeeds;
use core::arch::asm;

/// Audit's log, which is not mapped here.
const FOREIGN: usize = 0x1200_0000;

/// See [`component::inject`].
pub(crate) const MISDEEDS: Misdeeds = Misdeeds {
    write_outside,
    spin,
};

fn write_outside() -> ! {
    // SAFETY: none; this is the attack. It faults, and audit restarts the domain.
    unsafe { core::ptr::write_volatile(FOREIGN as *mut u64, 0xbad) }
    spin()
}

fn spin() -> ! {
    // SAFETY: disarms the generic timer, which audit must survive.
    unsafe {
        asm!("msr cntp_ctl_el0, xzr", "msr cntp_cval_el0, {}", in(reg) u64::MAX >> 1);
    }
    loop {
        core::hint::spin_loop();
    }
}
