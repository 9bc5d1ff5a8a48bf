//! The set of named formats, as laid out in a region.
//!
//! ```text
//!   magic [u8; 8]   version u32   count u32
//!   count × { name [u8; 32]   offset u32   states u32   classes u32   zero u32 }
//!   at each offset: class of each byte [u8; 256], shortest [u16; states], exit [u8; states],
//!                   next + 1 [u16; states × classes]
//! ```
//!
//! Numbers are little-endian and need no alignment.

use crate::dfa::Dfa;
use crate::{MAX_ALL_STATES, MAX_FORMATS, MAX_NAME_BYTES, MAX_STATES};
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The first bytes of an image.
pub const MAGIC: [u8; 8] = *b"llm-frmt";

/// Version of the layout.
pub const VERSION: u32 = 1;

/// Header of an image.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 8],
    pub(crate) version: U32,
    pub(crate) count: U32,
}

/// Directory entry of a format.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct ImageEntry {
    /// Padded with zeros.
    pub(crate) name: [u8; MAX_NAME_BYTES],
    /// Offset of its table in the image.
    pub(crate) offset: U32,
    pub(crate) states: U32,
    pub(crate) classes: U32,
    pub(crate) zero: U32,
}

impl ImageEntry {
    /// The name, if it is valid.
    fn name(&self) -> Option<&str> {
        let end = self.name.iter().position(|byte| *byte == 0);
        let (name, padding) = self.name.split_at_checked(end.unwrap_or(MAX_NAME_BYTES))?;
        let name = core::str::from_utf8(name).ok()?;
        (is_name(name) && padding.iter().all(|byte| *byte == 0)).then_some(name)
    }

    fn table<'f>(&self, image: &'f [u8]) -> Option<&'f [u8]> {
        let bytes = Dfa::bytes(self.states.get() as usize, self.classes.get() as usize)?;
        let start = self.offset.get() as usize;
        image.get(start..start.checked_add(bytes)?)
    }

    fn dfa<'f>(&self, image: &'f [u8]) -> Option<Dfa<'f>> {
        let (states, classes) = (self.states.get() as usize, self.classes.get() as usize);
        Dfa::open(self.table(image)?, states, classes)
    }
}

/// Whether `name` can name a format: 1 to [`MAX_NAME_BYTES`] visible ASCII characters without quotes or backslashes,
/// like every name in a policy.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    (1..=MAX_NAME_BYTES).contains(&name.len()) && name.bytes().all(allowed)
}

/// Why bytes are not a valid set of formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatsError {
    /// There are too few bytes.
    #[error("the region is too small for the formats that it says it has")]
    Size,
    /// The bytes do not begin with [`MAGIC`].
    #[error("this is not a set of formats; 'llmtool policy --formats' writes one")]
    Magic,
    /// The layout has another version.
    #[error("formats of another version; compile them again")]
    Version,
    /// There are more formats or states than the limits allow.
    #[error("more formats or states than the limits allow")]
    Count,
    /// A name is invalid or used twice.
    #[error("the name of a format is missing, invalid or a duplicate")]
    Name,
    /// A table points outside itself, or to a state from which no word is reachable.
    #[error("the table of a format is damaged")]
    Table,
}

/// The set of formats in a region.
#[derive(Clone, Copy, Debug, Default)]
pub struct Formats<'f> {
    image: &'f [u8],
    entries: &'f [ImageEntry],
}

/// A format of a set.
#[derive(Clone, Copy, Debug)]
pub struct Named<'f> {
    /// Its number in the set, below [`MAX_FORMATS`].
    pub index: usize,
    /// Its name.
    pub name: &'f str,
    /// Number of states in all formats before this one.
    pub first_state: usize,
    /// Its automaton.
    pub dfa: Dfa<'f>,
    /// Its table, as laid out in the image.
    pub table: &'f [u8],
}

impl<'f> Formats<'f> {
    /// The empty set.
    pub const NONE: Self = Self {
        image: &[],
        entries: &[],
    };

    /// Reads and checks the set at the beginning of `image`. Its formats need no further checks.
    ///
    /// # Errors
    /// The image is not valid.
    pub fn read(image: &'f [u8]) -> Result<Self, FormatsError> {
        let require = |condition, error| if condition { Ok(()) } else { Err(error) };
        let (header, rest) = Header::ref_from_prefix(image).map_err(|_| FormatsError::Size)?;
        require(header.magic == MAGIC, FormatsError::Magic)?;
        require(header.version.get() == VERSION, FormatsError::Version)?;
        let count = header.count.get() as usize;
        require(count <= MAX_FORMATS, FormatsError::Count)?;
        let (entries, _) = <[ImageEntry]>::ref_from_prefix_with_elems(rest, count)
            .map_err(|_| FormatsError::Size)?;
        let mut states = 0usize;
        for (at, entry) in (0usize..).zip(entries) {
            let mut before = entries.iter().take(at);
            let own = !before.any(|other| other.name == entry.name);
            require(own && entry.name().is_some(), FormatsError::Name)?;
            let its = entry.states.get() as usize;
            states = states.saturating_add(its);
            let fits = its <= MAX_STATES && states <= MAX_ALL_STATES;
            require(fits && entry.classes.get() <= 256, FormatsError::Count)?;
            let dfa = entry.dfa(image).ok_or(FormatsError::Size)?;
            require(dfa.check() && entry.zero.get() == 0, FormatsError::Table)?;
        }
        Ok(Self { image, entries })
    }

    /// All formats, in the order of the policy.
    pub fn iter(&self) -> impl Iterator<Item = Named<'f>> + use<'f> {
        let image = self.image;
        let mut first_state = 0usize;
        let entries = (0usize..).zip(self.entries);
        entries.filter_map(move |(index, entry)| {
            let named = Named {
                index,
                name: entry.name()?,
                first_state,
                dfa: entry.dfa(image)?,
                table: entry.table(image)?,
            };
            first_state = first_state.saturating_add(named.dfa.states());
            Some(named)
        })
    }

    /// Number of formats.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Number of states of all formats together, at most [`MAX_ALL_STATES`].
    #[must_use]
    pub fn states(&self) -> usize {
        let states = self.entries.iter().map(|entry| entry.states.get() as usize);
        states.fold(0, usize::saturating_add)
    }

    /// The format of this number.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<Named<'f>> {
        let before = self.entries.get(..index)?;
        let entry = self.entries.get(index)?;
        let states = before.iter().map(|entry| entry.states.get() as usize);
        Some(Named {
            index,
            name: entry.name()?,
            first_state: states.fold(0, usize::saturating_add),
            dfa: entry.dfa(self.image)?,
            table: entry.table(self.image)?,
        })
    }

    /// The format of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Named<'f>> {
        self.iter().find(|named| named.name == name)
    }
}

#[cfg(test)]
mod tests;
