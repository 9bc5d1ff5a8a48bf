//! Misbehaviour of the test build, when inference orders it.

use component::inject::Misdeeds;
use core::arch::asm;

/// Address of audit's log, which is not mapped here.
const FOREIGN: usize = 0x1200_0000;

/// See [`component::inject`].
pub(crate) const MISDEEDS: Misdeeds = Misdeeds {
    write_outside,
    scribble,
    set_rounding,
};

fn write_outside() -> ! {
    // SAFETY: none; this is the attack. It faults, and audit restarts the compartment.
    unsafe { core::ptr::write_volatile(FOREIGN as *mut u64, 0xbad) }
    loop {
        core::hint::spin_loop();
    }
}

fn scribble() {
    let (arena, team) = (
        (crate::arena(), crate::arena_size()),
        (crate::team(), crate::team_size()),
    );
    // SplitMix64 without its last steps: enough to be nothing that anybody wrote.
    let mut word = 0_u64;
    for (start, bytes) in [arena, team] {
        for at in (start..start + bytes).step_by(8) {
            word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            // SAFETY: inside the regions that `system.xml` lets this domain write, and aligned. What inference makes of
            // it is what the test is about.
            unsafe { core::ptr::write_volatile(at as *mut u64, word ^ word >> 31) }
        }
    }
}

fn set_rounding() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: rounds towards zero (RMode 3), only for this thread.
    unsafe {
        asm!("msr fpcr, {}", in(reg) 3_u64 << 22, options(nomem, nostack));
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above (RTZ).
    unsafe {
        asm!("fsrmi 1", options(nomem, nostack));
    }
}
