//! What the header says of signatures.

/// What audit knows about a signature.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum sel4_llm_signature_t {
    /// There is none.
    SEL4_LLM_SIGNATURE_MISSING = 0,
    /// There is one, but it has not been checked yet.
    SEL4_LLM_SIGNATURE_UNCHECKED = 1,
    /// It is valid.
    SEL4_LLM_SIGNATURE_GOOD = 2,
    /// It is invalid.
    SEL4_LLM_SIGNATURE_BAD = 3,
}
