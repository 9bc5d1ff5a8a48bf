//! A system in which inference works alone.

use runtime::region::RingError;

pub(crate) type Team = llm_core::team::Alone;

/// Whether other domains can write the arena.
pub(crate) const SHARES_ARENA: bool = false;

pub(crate) const fn begin() -> Result<Team, RingError> {
    Ok(llm_core::team::Alone)
}
