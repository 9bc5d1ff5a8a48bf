//! A worker's answer after its part of a job, as a number that can cross into another address space.

use llm_core::quantize::NonFinite;

const DONE: u32 = 0;
const NON_FINITE: u32 = 1;

/// The answer for the result of a part.
pub(crate) const fn of(result: Result<(), NonFinite>) -> u32 {
    match result {
        Ok(()) => DONE,
        Err(NonFinite) => NON_FINITE,
    }
}

/// Combines the result of the earlier parts with another answer. An unknown answer leaves it unchanged.
pub(crate) const fn and(result: Result<(), NonFinite>, answer: u32) -> Result<(), NonFinite> {
    match answer {
        DONE => result,
        _ => Err(NonFinite),
    }
}
