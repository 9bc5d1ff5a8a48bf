//! The formats of the policy, in their region.

use ::formats::{Formats, MAX_ALL_STATES};
use llm_core::constrain::FormatTable;

/// The cost in tokens of each state, for any set of formats: two bytes each.
pub type FormatCosts = [u16; MAX_ALL_STATES];

/// Reads and checks the region, once, when the domain starts.
///
/// If the region does not hold a valid set, there are no formats, and a request that names one fails as if it did not
/// exist. Audit checks the same bytes before it serves anybody, so it never sends such a request.
pub fn read_formats<'m>(region: &'m [u8], costs: &'m mut FormatCosts) -> FormatTable<'m> {
    let formats = Formats::read(region).unwrap_or(Formats::NONE);
    // There is room for every state that a set can have.
    FormatTable::new(formats, costs).unwrap_or_else(FormatTable::none)
}
