//! What a test build does to be caught.

use core::arch::asm;

/// Writes to `address`, which is not mapped in this domain, and so does not return.
pub fn write_to(address: usize) -> ! {
    let foreign = core::ptr::without_provenance_mut::<u64>(address);
    // SAFETY: none: it faults, which is what the test is about.
    unsafe { foreign.write_volatile(1) };
    unreachable!("the write has not faulted")
}

/// Takes the generic timer from audit and never gives the processor back.
pub fn disarm_timer_and_spin() -> ! {
    // SAFETY: registers of a timer that nothing in memory depends on; every domain may write them.
    unsafe {
        asm!(
            "msr cntp_ctl_el0, xzr",
            "msr cntp_cval_el0, {never}",
            never = in(reg) u64::MAX,
            options(nostack),
        );
    }
    loop {
        core::hint::spin_loop();
    }
}
