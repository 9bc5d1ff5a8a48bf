//! Misbehaviour of the test build, when a prompt asks for it.

use component::inject::{Garbage, Misdeeds};
use core::arch::asm;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use protocol::ring::REGION_BYTES;

/// Address of audit's log, which is not mapped here.
const FOREIGN: usize = 0x1200_0000;

/// See [`component::inject`].
pub(crate) const MISDEEDS: Misdeeds = Misdeeds {
    write_outside,
    spin,
    scribble,
    set_rounding,
    fall_silent,
    order_worker: crate::team::order_worker,
};

/// Whether the server is no longer polled.
static SILENT: AtomicBool = AtomicBool::new(false);

/// Whether the domain now ignores its ring.
pub(crate) fn is_silent() -> bool {
    SILENT.load(Relaxed)
}

/// Near the far end of the stack, where calls after a restart will not overwrite it by chance.
const MARK: *mut u64 = (crate::start::STACK_BOTTOM + 64) as *mut u64;

/// Panics if the mark is still on the stack, which a restart must clear.
pub(crate) fn check_stack() {
    // SAFETY: in the stack, far below the frames in use.
    let mark = unsafe { core::ptr::read_volatile(MARK) };
    assert!(mark == 0, "the stack was not cleared");
}

fn write_outside() -> ! {
    // SAFETY: as above.
    unsafe { core::ptr::write_volatile(MARK, 0xbad) }
    // SAFETY: none; this is the attack. It faults, and audit restarts the domain.
    unsafe { core::ptr::write_volatile(FOREIGN as *mut u64, 0xbad) }
    spin()
}

fn spin() -> ! {
    // Disarms the timer, if the board lets every domain do that. Audit must survive it.
    #[cfg(timer_registers)]
    // SAFETY: on such a board, the kernel opens the registers to user code.
    unsafe {
        asm!("msr cntp_ctl_el0, xzr", "msr cntp_cval_el0, {}", in(reg) u64::MAX >> 1);
    }
    loop {
        core::hint::spin_loop();
    }
}

fn scribble(seed: u64) {
    let region = crate::inference_to_audit() as *mut u64;
    for (index, word) in (0..REGION_BYTES / 8).zip(Garbage::new(seed)) {
        // SAFETY: inside the region that `system.xml` lets this domain write, and aligned. Its only other user is the
        // ring's endpoint, which makes no reference to it either. Audit survives any bytes.
        unsafe { core::ptr::write_volatile(region.wrapping_add(index), word) }
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

fn fall_silent() {
    SILENT.store(true, Relaxed);
}
