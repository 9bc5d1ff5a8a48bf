//! Misbehaviour of the test build, when a prompt asks for it.

use component::inject::{Garbage, Misdeeds};
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use protocol::ring::REGION_BYTES;
use runtime::misdeeds;
use runtime::region::Mapped;

/// See [`component::inject`].
pub(crate) const MISDEEDS: Misdeeds = Misdeeds {
    write_outside,
    spin,
    scribble,
    set_rounding: misdeeds::set_rounding,
    fall_silent,
    order_worker,
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
    misdeeds::write_outside()
}

fn spin() -> ! {
    // Disarms the timer, if the board lets every domain do that. Audit must survive it.
    #[cfg(timer_registers)]
    // SAFETY: on such a board, the kernel opens the registers to user code.
    unsafe {
        core::arch::asm!("msr cntp_ctl_el0, xzr", "msr cntp_cval_el0, {}", in(reg) u64::MAX >> 1);
    }
    misdeeds::spin()
}

fn scribble(seed: u64) {
    let ring = Mapped {
        address: crate::inference_to_audit(),
        bytes: REGION_BYTES,
    };
    // SAFETY: the region that `system.xml` lets this domain write. Its only other user is the ring's endpoint, which makes no
    // reference to it either. Audit survives any bytes.
    unsafe { misdeeds::fill(ring, Garbage::new(seed)) }
}

fn fall_silent() {
    SILENT.store(true, Relaxed);
}

/// Has a worker misbehave.
#[cfg(feature = "cores")]
fn order_worker(misdeed: usize, choice: u64) {
    let misdeed = workers::inject::Misdeed::ALL.get(misdeed);
    if let (Ok(table), Some(misdeed), count @ 1..) =
        (crate::team::table(), misdeed, crate::team::count())
    {
        table.order.give(1 + choice as usize % count, *misdeed);
    }
}

/// There is nobody to be told.
#[cfg(not(feature = "cores"))]
fn order_worker(_: usize, _: u64) {}
