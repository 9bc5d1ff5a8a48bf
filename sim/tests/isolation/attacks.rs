//! The attacks of a hostile program, a few lines each. All `unsafe` of this program is here. None of it is sound; the
//! tests show that it does no harm.

#![allow(unsafe_code)]

pub fn store(address: u64) {
    // SAFETY: none: this is the attack.
    unsafe { std::ptr::write_volatile(address as *mut u8, 1) }
}

pub fn load(address: u64) {
    // SAFETY: none: this is the attack.
    let _ = unsafe { std::ptr::read_volatile(address as *const u8) };
}

pub fn jump(address: u64) {
    // SAFETY: none: this is the attack.
    let target: extern "C" fn() = unsafe { std::mem::transmute(address as usize) };
    target();
}

pub fn system_call(number: libc::c_long, arguments: [u64; 6]) {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: none: this is the attack.
    let _ = unsafe { libc::syscall(number, a, b, c, d, e, f) };
}

pub fn undefined_instruction() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: none: this is the attack.
    unsafe {
        std::arch::asm!("ud2")
    };
    #[cfg(target_arch = "aarch64")]
    // SAFETY: none: this is the attack.
    unsafe {
        std::arch::asm!("udf #0")
    };
}

#[allow(unconditional_recursion)]
pub fn overflow_the_stack(depth: u64) {
    let page = std::hint::black_box([depth; 512]);
    overflow_the_stack(page[7] + 1);
    std::hint::black_box(&page);
}

/// `exit` of the 32-bit interface.
pub fn system_call_32() {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: none: this is the attack.
    unsafe {
        std::arch::asm!("int 0x80", inout("eax") 1 => _)
    };
}
