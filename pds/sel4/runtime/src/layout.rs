//! Addresses chosen by the Microkit tool and the linker script, for which there is no variable.
//!
//! Each number is written here and nowhere else in the domains. A program that relies on one writes it into its file
//! with [`facts!`](crate::facts). The isolation checker compares it there with the description, with Microkit's own
//! layout and with the other programs, and `make image` stops if they differ.

/// End of the stack that Microkit gives a domain: two pages below the top of the address space, under the IPC buffer
/// and an unmapped page.
#[cfg(target_arch = "aarch64")]
pub const STACK_TOP: usize = 0xff_ffff_e000;
/// End of the stack that Microkit gives a domain. seL4 does not use the last page of Sv39's addresses.
#[cfg(target_arch = "riscv64")]
pub const STACK_TOP: usize = 0x3f_ffff_d000;

/// Address of `_reset`, set by the linker script: the code at which inference is restarted.
pub const RESET: usize = 0x20_0000;

/// Writes numbers that a program relies on into its file, as symbols `sel4_llm_NAME` in read-only memory.
#[macro_export]
macro_rules! facts {
    ($($name:literal = $value:expr;)*) => {$(
        core::arch::global_asm!(
            // R makes the linker keep the section although nothing refers to it.
            ".section .rodata.facts, \"aR\", %progbits",
            ".balign 8",
            concat!(".global sel4_llm_", $name),
            concat!(".type sel4_llm_", $name, ", %object"),
            concat!(".size sel4_llm_", $name, ", 8"),
            concat!("sel4_llm_", $name, ": .quad {value}"),
            value = const $value,
        );
    )*};
}
