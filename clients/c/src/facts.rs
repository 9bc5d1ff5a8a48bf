//! Facts that the isolation checker reads from the file of a program linked with this library, as from every program
//! with a ring (`facts!` of pds/sel4/runtime). The library itself reads both, so no linker drops them.

use crate::limits::{SEL4_LLM_PROTOCOL_VERSION, SEL4_LLM_RING_BYTES};

/// `SEL4_LLM_RING_BYTES` of the library in the program.
#[unsafe(no_mangle)]
pub static sel4_llm_ring_bytes: u64 = SEL4_LLM_RING_BYTES as u64;

/// `SEL4_LLM_PROTOCOL_VERSION` of the library in the program.
#[unsafe(no_mangle)]
pub static sel4_llm_protocol_version: u64 = SEL4_LLM_PROTOCOL_VERSION as u64;

/// One of the two, read from the program's file.
pub(crate) fn read(fact: &'static u64) -> u64 {
    // SAFETY: a reference can be read. The read is volatile, because otherwise the compiler would insert the value and
    // drop the fact.
    unsafe { core::ptr::from_ref(fact).read_volatile() }
}
