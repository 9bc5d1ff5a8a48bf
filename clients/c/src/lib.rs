//! The client library for C: `include/sel4_llm.h`, and `libsel4_llm.a` that implements it. `README.md` is for C
//! programmers.
//!
//! Responsible for: the types of the header (`types`, `adapter_types`, `signature`, `error`, `codes`), its limits
//! (`limits`), filling them (`event`), the functions (`api`, `texts`, `adapters`), and every use of a caller's pointer
//! (`raw`). The client itself is `sel4-llm-client`.
//!
//! The rule that keeps a caller safe: a pointer is checked for null, alignment and overlap before the memory behind it
//! is touched; no number from a caller is taken for a value of an enum; and a function writes a result whole or not at
//! all.
//!
//! cbindgen makes the header from these files without the compiler's help. So constants are literals here, and are
//! compared with those of the protocol. `tests/header.rs` fails if the header is out of date, and writes it on request
//! (`make client-c-header`).

#![no_std]
// The names are those of the header.
#![allow(non_camel_case_types, non_upper_case_globals)]
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]

// The tests' build has the panic handler of `std`, because a Rust program can have no other.
#[cfg(not(feature = "standalone"))]
extern crate std;

mod adapter_types;
mod adapters;
mod api;
mod codes;
mod error;
mod event;
mod facts;
mod limits;
mod raw;
mod signature;
mod texts;
mod types;

use error::Error;

/// A result with an error of the header.
type Result<T> = core::result::Result<T, Error>;

pub use adapter_types::*;
pub use adapters::*;
pub use api::*;
pub use codes::sel4_llm_code_t;
pub use error::sel4_llm_error_t;
pub use facts::{sel4_llm_protocol_version, sel4_llm_ring_bytes};
pub use limits::*;
pub use signature::*;
pub use texts::*;
pub use types::*;

/// Nothing in this library panics. If it did, it would end in a fault, which the domain's parent or Microkit's monitor
/// reports, and not in a silent loop.
///
/// The handler clashes with no other: `make client-c` links the whole library into one object (`lto`) without `std`.
/// Only the names of the header stay visible, which are compared with a list. `memcpy` and its like are weak symbols,
/// so those of the program or of another library win.
#[cfg(feature = "standalone")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: an undefined instruction on every processor. It does not return.
    unsafe {
        core::arch::asm!("udf #0", options(noreturn, nomem, nostack))
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("ud2", options(noreturn, nomem, nostack))
    }
    #[cfg(target_arch = "riscv64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("unimp", options(noreturn, nomem, nostack))
    }
}
