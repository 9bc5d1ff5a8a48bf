//! Accesses to other domains' memory, and accesses of a kind that the memory does not permit. None of this is sound;
//! the test is that it does no harm.

use core::fmt::Write as _;

/// Reads a word, and reports it.
pub fn read(address: usize, say: &mut crate::Say) {
    // SAFETY: none; this is the attack.
    let word = unsafe { core::ptr::read_volatile(address as *const u64) };
    let _ = write!(say, "SUCCEEDED: read {word:#x}");
}

/// Writes a word, and reports that.
pub fn write(address: usize, say: &mut crate::Say) {
    // SAFETY: none; this is the attack.
    unsafe { core::ptr::write_volatile(address as *mut u64, 0xbad) }
    let _ = write!(say, "SUCCEEDED: wrote");
}

/// The instruction that returns to the caller.
#[cfg(target_arch = "aarch64")]
const RETURN: u64 = 0xd65f_03c0;
#[cfg(target_arch = "riscv64")]
const RETURN: u64 = 0x0000_8067;
#[cfg(target_arch = "x86_64")]
const RETURN: u64 = 0xc3;

/// Writes a function there, if that is allowed, and calls it.
pub fn execute(address: usize, is_writable: bool, say: &mut crate::Say) {
    if is_writable {
        // SAFETY: none; this is the attack.
        unsafe { core::ptr::write_volatile(address as *mut u64, RETURN) }
    }
    // SAFETY: none; this is the attack.
    let function: extern "C" fn() = unsafe { core::mem::transmute(address) };
    function();
    let _ = write!(say, "SUCCEEDED: executed");
}

/// Executes an undefined instruction, which ends this run.
pub fn die() -> ! {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: it faults, and audit restarts the domain.
    unsafe {
        core::arch::asm!("ud2", options(noreturn))
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("udf #0", options(noreturn))
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("unimp", options(noreturn))
    }
}
