//! Code that the seL4 protection domains share: the symbols that the Microkit tool patches, regions of `system.xml` as
//! typed memory, the processor's counter, and the devices of the board.
//!
//! All `unsafe` of the domains is here, in the start-up code of `inference` or, to name its regions, in a domain's
//! `main.rs`; test builds have more in `misdeeds`.

#![no_std]

pub mod board;
pub mod counter;
pub mod device;
pub mod float;
pub mod layout;
#[cfg(feature = "inject")]
pub mod misdeeds;
pub mod region;
mod symbols;

pub use drivers::{Clock, Serial, Watchdog};

/// Declares `fn name() -> usize` for each name: the value that the Microkit tool writes for it (`setvar_vaddr`,
/// `setvar_size`, `setvar_id`). Use each name once, since this defines the symbol. The linker script puts these
/// symbols, and no others, between `__variables_start` and `__variables_end`, and `make image` refuses a description
/// that does not set all of them.
#[macro_export]
macro_rules! patched {
    ($($name:ident)*) => {$(
        // Read-only, because a restart restores `.data` from a copy that is not patched.
        core::arch::global_asm!(
            concat!(".section .rodata.variables.", stringify!($name), ", \"a\", %progbits"),
            ".balign 8",
            concat!(".global ", stringify!($name)),
            concat!(".type ", stringify!($name), ", %object"),
            concat!(".size ", stringify!($name), ", 8"),
            concat!(stringify!($name), ": .quad 0"),
        );

        fn $name() -> usize {
            unsafe extern "C" {
                static $name: usize;
            }
            // SAFETY: reads the word above. Volatile, because it is patched after compilation.
            unsafe { core::ptr::read_volatile(&raw const $name) }
        }
    )*};
}
