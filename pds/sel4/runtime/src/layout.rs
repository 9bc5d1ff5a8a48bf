//! Where the Microkit tool and the linker script put what no variable tells a domain.
//!
//! Each number stands here and nowhere else in the domains. Those who rely on one write it into their
//! program's file with [`facts!`](crate::facts), where the isolation checker compares it with the
//! description, with Microkit's own layout and with the other programs: `make image` stops if they differ.

/// Where a stack ends that Microkit gives a domain: two pages below the top of the address space, under the IPC buffer and a
/// page that is left out.
#[cfg(target_arch = "aarch64")]
pub const STACK_TOP: usize = 0xff_ffff_e000;
/// Where a stack ends that Microkit gives a domain. seL4 leaves the last page of Sv39's addresses out.
#[cfg(target_arch = "riscv64")]
pub const STACK_TOP: usize = 0x3f_ffff_d000;

/// Where the linker script puts `_reset`: the code that inference is restarted at.
pub const RESET: usize = 0x20_0000;

/// Writes numbers that a program relies on into its file, as symbols `sel4_llm_NAME` in read-only memory.
#[macro_export]
macro_rules! facts {
    ($($name:literal = $value:expr;)*) => {$(
        core::arch::global_asm!(
            // R: the linker keeps what nobody refers to.
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
