//! The regions that a domain is given.

use super::Environment;
use super::error::SetupError;
use crate::pd::mapping;
use protocol::region::{PartsRegion, ReadOnlyRegion, ReadWriteRegion};

impl Environment {
    /// Whether `system.xml` gives this variable a region.
    #[must_use]
    pub fn has_region(&self, symbol: &str) -> bool {
        self.regions.iter().any(|region| region.is(symbol))
    }

    /// A region that this domain may read, found by the variable that holds its address.
    ///
    /// # Errors
    /// `system.xml` does not give it.
    pub fn read_only(&mut self, symbol: &str) -> Result<ReadOnlyRegion, SetupError> {
        let region = self.regions.iter_mut().find(|region| region.is(symbol));
        let region = region.and_then(mapping::Mapped::read_only);
        region.ok_or_else(|| SetupError::Region {
            symbol: symbol.into(),
            access: "to read",
        })
    }

    /// A region that this domain may write, found by the variable that holds its address.
    ///
    /// # Errors
    /// `system.xml` does not give it.
    pub fn read_write(&mut self, symbol: &str) -> Result<ReadWriteRegion, SetupError> {
        let region = self.regions.iter_mut().find(|region| region.is(symbol));
        let region = region.and_then(mapping::Mapped::read_write);
        region.ok_or_else(|| SetupError::Region {
            symbol: symbol.into(),
            access: "to write",
        })
    }

    /// A region that another domain writes, and of which it names parts to be read.
    ///
    /// # Errors
    /// `system.xml` does not give it, or this domain may write it.
    pub fn parts(&mut self, symbol: &str) -> Result<PartsRegion, SetupError> {
        let region = self.regions.iter_mut().find(|region| region.is(symbol));
        let region = region.and_then(mapping::Mapped::parts);
        region.ok_or_else(|| SetupError::Region {
            symbol: symbol.into(),
            access: "to read in parts",
        })
    }

    /// Memory that no other domain maps. It can be taken once.
    ///
    /// # Errors
    /// `system.xml` does not give it, another domain maps it too, or it was already taken.
    pub fn private(&mut self, symbol: &str) -> Result<&'static mut [u8], SetupError> {
        let region = self.regions.iter_mut().find(|region| region.is(symbol));
        let region = region.and_then(mapping::Mapped::private);
        region.ok_or_else(|| SetupError::Region {
            symbol: symbol.into(),
            access: "for itself",
        })
    }

    /// Memory that several domains of a compartment write. It can be taken once.
    ///
    /// # Errors
    /// `system.xml` does not give it, or it was already taken.
    pub fn common(&mut self, symbol: &str) -> Result<mapping::Common, SetupError> {
        let region = self.regions.iter_mut().find(|region| region.is(symbol));
        let region = region.and_then(mapping::Mapped::common);
        region.ok_or_else(|| SetupError::Region {
            symbol: symbol.into(),
            access: "to share",
        })
    }

    /// Memory that nobody writes.
    ///
    /// # Errors
    /// `system.xml` does not give it, or a domain may write it.
    pub fn constant(&mut self, symbol: &str) -> Result<&'static [u8], SetupError> {
        let region = self.regions.iter().find(|region| region.is(symbol));
        let region = region.and_then(mapping::Mapped::constant);
        region.ok_or_else(|| SetupError::Region {
            symbol: symbol.into(),
            access: "as constant",
        })
    }
}
