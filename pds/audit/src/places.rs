//! The places in inference's arena that adapters occupy beside the model.
//!
//! The rule: an adapter is in a place exactly if inference was told to load it. After a restart the places stay, but
//! each can be used only after its adapter has been loaded again.

use crate::space::Space;
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::MAX_ADAPTERS;
use protocol::name::ModelName;
use protocol::wire::AdapterInfo;
use protocol::wire::engine::Source;

/// An adapter beside the model.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Adapter {
    pub(crate) name: ModelName,
    /// Where its file is.
    pub(crate) source: Source,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: Hash,
    /// What inference has reported about it.
    pub(crate) info: AdapterInfo,
    /// Whether inference has it. If not, inference was restarted and will be told to load it again.
    pub(crate) is_present: bool,
}

/// The adapter of a request or a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Used {
    pub(crate) place: usize,
    pub(crate) sha256: Hash,
}

/// The places; see the module.
#[derive(Debug)]
pub(crate) struct Places([Option<Adapter>; MAX_ADAPTERS]);

impl Places {
    pub(crate) const fn new() -> Self {
        Self([None; MAX_ADAPTERS])
    }

    fn taken(&self) -> impl Iterator<Item = (usize, &Adapter)> {
        let places = (0..MAX_ADAPTERS).zip(&self.0);
        places.filter_map(|(place, adapter)| Some((place, adapter.as_ref()?)))
    }

    /// Finds the place of the adapter with this name.
    pub(crate) fn find(&self, name: ModelName) -> Option<(usize, &Adapter)> {
        self.taken().find(|(_, adapter)| adapter.name == name)
    }

    /// A free place.
    ///
    /// # Errors
    /// All places are taken.
    pub(crate) fn free(&self) -> Result<usize, Failure> {
        let most = MAX_ADAPTERS as u64;
        let full = Failure::over(ErrorCode::TooManyAdapters, most, most);
        self.0.iter().position(Option::is_none).ok_or(full)
    }

    /// Notes that inference has loaded an adapter into a place.
    pub(crate) fn fill(&mut self, place: usize, adapter: Adapter) {
        if let Some(slot) = self.0.get_mut(place) {
            *slot = Some(Adapter {
                is_present: true,
                ..adapter
            });
        }
    }

    pub(crate) fn clear(&mut self, place: usize) {
        if let Some(slot) = self.0.get_mut(place) {
            *slot = None;
        }
    }

    /// Clears all places: inference has another model or no model.
    pub(crate) const fn clear_all(&mut self) {
        *self = Self::new();
    }

    /// Marks all adapters as absent: inference was restarted.
    pub(crate) fn all_are_absent(&mut self) {
        for adapter in self.0.iter_mut().flatten() {
            adapter.is_present = false;
        }
    }

    /// The next adapter that inference must load again.
    pub(crate) fn next_absent(&self) -> Option<(usize, &Adapter)> {
        self.taken().find(|(_, adapter)| !adapter.is_present)
    }

    /// The parts of the region of adapters that loaded adapters occupy.
    pub(crate) fn in_region(&self) -> impl Iterator<Item = Space> {
        let adapters = self.0.iter().flatten();
        let in_region = adapters.filter(|adapter| adapter.source == Source::Device);
        in_region.filter_map(|adapter| {
            Some(Space {
                offset: usize::try_from(adapter.offset).ok()?,
                bytes: usize::try_from(adapter.bytes).ok()?,
            })
        })
    }

    /// Number of adapters that inference has.
    pub(crate) fn count(&self) -> u32 {
        let present = self.taken().filter(|(_, adapter)| adapter.is_present);
        present.fold(0, |count, _| count.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter(name: &str) -> Adapter {
        Adapter {
            name: ModelName::new(name).unwrap(),
            source: Source::Store,
            offset: 0,
            bytes: 1,
            sha256: [1; 32],
            info: AdapterInfo::default(),
            is_present: false,
        }
    }

    #[test]
    fn places_fill_up_stay_over_a_restart_and_are_cleared() {
        let mut places = Places::new();
        for n in 0..MAX_ADAPTERS {
            assert_eq!(places.free(), Ok(n));
            places.fill(n, adapter(&std::format!("a{n}")));
        }
        let full = Failure::over(ErrorCode::TooManyAdapters, 8, 8);
        assert_eq!(places.free(), Err(full));
        let third = ModelName::new("a3").unwrap();
        assert_eq!(places.find(third).unwrap().0, 3);
        assert!(places.next_absent().is_none());
        places.clear(3);
        assert!(places.find(third).is_none());
        assert_eq!((places.free(), places.count()), (Ok(3), 7));
        places.all_are_absent();
        assert_eq!(places.count(), 0);
        let (place, next) = places.next_absent().unwrap();
        let next = *next;
        places.fill(place, next);
        assert_eq!((place, places.count()), (0, 1));
        assert_eq!(places.next_absent().unwrap().0, 1);
        places.clear_all();
        assert!(places.next_absent().is_none() && places.free() == Ok(0));
    }
}
