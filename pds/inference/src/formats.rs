//! The formats of the policy, as they lie in their region.

use ::formats::{Formats, MAX_ALL_STATES};
use llm_core::constrain::FormatTable;

/// Two bytes for each state of any set of formats: what it takes in tokens.
pub type FormatCosts = [u16; MAX_ALL_STATES];

/// Reads and checks the region, once, when the domain starts.
///
/// A region without a sound set gives none, and a request that names a format fails as one that names a format which does
/// not exist. Audit checks the same bytes before it serves anybody, so no such request comes from it.
pub fn read_formats<'m>(region: &'m [u8], costs: &'m mut FormatCosts) -> FormatTable<'m> {
    let formats = Formats::read(region).unwrap_or(Formats::NONE);
    // There is a place for each state that a set can have.
    FormatTable::new(formats, costs).unwrap_or_else(FormatTable::none)
}
