//! The client library for C: `include/sel4_llm.h`, and `libsel4_llm.a` behind it. `README.md` is for who writes C.
//!
//! Responsible for: the types of the header (`types`, `adapter_types`, `error`, `codes`), what they are made of (`event`),
//! the functions (`api`, `texts`, `adapters`), and everything that is done with a caller's pointer (`raw`). The client itself is
//! `sel4-llm-client`.
//!
//! The rule that keeps a caller safe: a pointer is checked, for null, alignment and what it lies over, before anything
//! behind it is touched; no number that a caller gives is taken for a value of an enum; and what a function writes is
//! written whole or not at all.
//!
//! The header is made by cbindgen from these files, without the compiler's help. So constants are literals here, and are
//! compared with those of the protocol. `tests/header.rs` fails if the header is another one, and writes it when it is
//! told to (`make client-c-header`).

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

// The tests' build has the panic handler of `std`, since a program in Rust can have no other.
#[cfg(not(feature = "standalone"))]
extern crate std;

mod adapter_types;
mod adapters;
mod api;
mod codes;
mod error;
mod event;
mod facts;
mod raw;
mod texts;
mod types;

use error::Error;

/// A result with an error of the header's.
type Result<T> = core::result::Result<T, Error>;

pub use adapter_types::*;
pub use adapters::*;
pub use api::*;
pub use codes::sel4_llm_code_t;
pub use error::sel4_llm_error_t;
pub use facts::{sel4_llm_protocol_version, sel4_llm_ring_bytes};
pub use texts::*;
pub use types::*;

/// Nothing in this library panics; if it did all the same, it would end in a fault, which the domain's parent or
/// Microkit's monitor reports, and not in a loop that nobody sees.
///
/// It clashes with no other one: `make client-c` links the whole library into one object (`lto`) without `std`, which
/// leaves no name visible but those of the header, and compares them with a list. The names of `memcpy` and its like are
/// weak: those of the program, or of another library, come first.
#[cfg(feature = "standalone")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: an instruction that no processor has. It does not come back.
    unsafe {
        core::arch::asm!("udf #0", options(noreturn, nomem, nostack))
    }
    #[cfg(target_arch = "x86_64")]
    // SAFETY: as above.
    unsafe {
        core::arch::asm!("ud2", options(noreturn, nomem, nostack))
    }
}
