//! What the seL4 protection domains share: the symbols that the Microkit tool patches, regions of
//! `system.xml` as typed memory, the clock, and registers of devices.
//!
//! All `unsafe` of the domains is here, in the start-up code of `inference` or, to name its regions, in a domain's
//! `main.rs`; test builds have more in `misdeeds`.

#![no_std]

pub mod clock;
pub mod device;
pub mod region;
mod symbols;

pub use drivers::{pl011, pl031};
pub use sel4_rodata_static::rodata_static;

/// Declares `fn name() -> usize` for each name: the value that the Microkit tool writes for it
/// (`setvar_vaddr`, `setvar_size`). Once per name: it defines the symbol.
#[macro_export]
macro_rules! patched {
    ($($name:ident)*) => {$(
        fn $name() -> usize {
            // SAFETY: a static of the binary; volatile, because it is patched after the compiler
            // is done.
            unsafe { core::ptr::read_volatile($crate::rodata_static!($name: usize)) }
        }
    )*};
}
