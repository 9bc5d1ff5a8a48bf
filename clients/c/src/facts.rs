//! What the isolation checker reads out of the file of a program that was linked with this library, as of every program with
//! a ring (`facts!` of pds/sel4/runtime). The library itself looks at both, so that no linker leaves them out.

use crate::types::{SEL4_LLM_PROTOCOL_VERSION, SEL4_LLM_RING_BYTES};

/// `SEL4_LLM_RING_BYTES` of the library that the program is linked with.
#[unsafe(no_mangle)]
pub static sel4_llm_ring_bytes: u64 = SEL4_LLM_RING_BYTES as u64;

/// `SEL4_LLM_PROTOCOL_VERSION` of the library that the program is linked with.
#[unsafe(no_mangle)]
pub static sel4_llm_protocol_version: u64 = SEL4_LLM_PROTOCOL_VERSION as u64;

/// One of the two as it is in the program's file.
pub(crate) fn read(fact: &'static u64) -> u64 {
    // SAFETY: a reference can be read. Volatile: otherwise the compiler knows the value, and the program has no such fact.
    unsafe { core::ptr::from_ref(fact).read_volatile() }
}
