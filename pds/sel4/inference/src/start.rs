//! Start-up, also after a restart: clears the stack and the vector registers, then enters rust-sel4.
//!
//! `_reset` restores `.data` and `.bss` and comes here on its own small stack. Nothing that the old domain left on
//! Microkit's stack (prompts, activations) or in the floating-point registers may reach the new one. Audit writes the
//! general registers, but seL4 has no call that writes these.

use core::arch::global_asm;

use runtime::facts;
use runtime::layout::STACK_TOP;

/// Size of the stack in bytes, as read by `build.rs`. The stack ends at [`STACK_TOP`]; the page below it is not mapped.
const STACK_BYTES: usize = {
    let text = env!("STACK_BYTES").as_bytes();
    let (mut bytes, mut at) = (0, 0);
    while at < text.len() {
        bytes = bytes * 10 + (text[at] - b'0') as usize;
        at += 1;
    }
    bytes
};

pub(crate) const STACK_BOTTOM: usize = STACK_TOP - STACK_BYTES;

facts! {
    "stack_top" = STACK_TOP;
    "stack_bytes" = STACK_BYTES;
}

// rust-sel4 gives this name to the address where a stack begins.
#[unsafe(no_mangle)]
static __sel4_runtime_common__stack_bottom: usize = STACK_TOP;

// The parent has written the registers, and there is no stack yet.
#[cfg(target_arch = "aarch64")]
global_asm!(
    r#"
    .section .text._start, "ax", %progbits
    .global _start
    _start:
        ldr x9, ={bottom}
        ldr x10, ={top}
    1:  stp xzr, xzr, [x9], #16
        cmp x9, x10
        b.lo 1b
        .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        movi v\number\().2d, #0
        .endr
        msr fpsr, xzr
        b __sel4_runtime_common__stack_init
    "#,
    bottom = const STACK_BOTTOM,
    top = const STACK_TOP,
);

#[cfg(target_arch = "riscv64")]
global_asm!(
    r#"
    .section .text._start, "ax", %progbits
    .global _start
    _start:
        li t0, {bottom}
        li t1, {top}
    1:  sd zero, 0(t0)
        sd zero, 8(t0)
        addi t0, t0, 16
        bltu t0, t1, 1b
        .option push
        .option arch, +d
        .irp number, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        fmv.d.x f\number, zero
        .endr
        fscsr zero
        .option pop
        j __sel4_runtime_common__stack_init
    "#,
    bottom = const STACK_BOTTOM,
    top = const STACK_TOP,
);
