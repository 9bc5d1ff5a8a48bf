//! Names of users, roles, sessions, keys and models: short text of fixed size, padded with zeros.

use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A name of at most `N` bytes. Any bytes can be received as one; [`Self::check`] says whether they are.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(transparent)]
pub struct Name<const N: usize>([u8; N]);

/// Name of a user, role or key.
pub type UserName = Name<{ crate::limits::MAX_USER_BYTES }>;
/// Name of a session.
pub type SessionName = Name<{ crate::limits::MAX_SESSION_BYTES }>;
/// Name of a format.
pub type FormatName = Name<{ crate::limits::MAX_FORMAT_BYTES }>;
/// Name of a chat template.
pub type TemplateName = Name<{ crate::limits::MAX_TEMPLATE_BYTES }>;
/// What an attestation is asked for with.
pub type Nonce = Name<{ crate::limits::MAX_NONCE_BYTES }>;
/// Name of a model.
pub type ModelName = Name<{ crate::limits::MAX_NAME_BYTES }>;

impl<const N: usize> Name<N> {
    /// No name.
    pub const EMPTY: Self = Self([0; N]);

    /// `text` as a name; `None` if it is too long, or has anything but visible ASCII: names are compared by people,
    /// on a console.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        bytes
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        let name = Self(bytes);
        name.check().then_some(name)
    }

    /// This name and `ending`; `None` if that is too long, or no name.
    #[must_use]
    pub fn followed_by(&self, ending: &[u8]) -> Option<Self> {
        let mut name = *self;
        let len = self.parts().0.len();
        let places = name.0.get_mut(len..len.checked_add(ending.len())?)?;
        for (place, byte) in places.iter_mut().zip(ending) {
            *place = *byte;
        }
        name.check().then_some(name)
    }

    /// Whether it is a name, or none: visible ASCII without quotes and backslashes, then zeros alone.
    #[must_use]
    pub fn check(&self) -> bool {
        let (text, padding) = self.parts();
        text.iter().all(|byte| is_allowed(*byte)) && padding.iter().all(|byte| *byte == 0)
    }

    /// Whether it is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.first().is_none_or(|byte| *byte == 0)
    }

    /// Its bytes, padded with zeros.
    #[must_use]
    pub const fn as_padded(&self) -> &[u8; N] {
        &self.0
    }

    /// Its text; "" for what [`Self::check`] refuses.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let (text, _) = self.parts();
        match core::str::from_utf8(text) {
            Ok(text) if self.check() => text,
            _ => "",
        }
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(N);
        self.0.split_at_checked(end).unwrap_or((&[], &[]))
    }
}

/// Whether names may have this byte.
#[must_use]
pub const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\')
}

impl<const N: usize> Default for Name<N> {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl<const N: usize> fmt::Display for Name<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Name<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    #[test]
    fn names_are_shown_as_text_padded_where_asked() {
        let name = Name::<4>::new("a-b").unwrap();
        assert_eq!(format!("{name:?} [{name:>5}]"), "\"a-b\" [  a-b]");
        let broken = Name::<4>::read_from_bytes(&[0xFF; 4]).unwrap();
        assert_eq!(format!("{broken:?} [{broken}]"), "\"\" []");
    }

    #[test]
    fn names_are_visible_ascii_that_fits() {
        type Four = Name<4>;
        assert_eq!(Four::new("a-b").unwrap().as_str(), "a-b");
        assert_eq!(Four::new("abcd").unwrap().as_str(), "abcd");
        assert!(Four::new("").unwrap().is_empty());
        for wrong in ["abcde", "a b", "ü", "a\n", "a\"", "a\0b"] {
            assert_eq!(Four::new(wrong), None, "{wrong:?}");
        }
        let ab = Four::new("ab").unwrap();
        assert_eq!(ab.followed_by(b"-2"), Four::new("ab-2"));
        assert_eq!(ab.followed_by(b""), Some(ab));
        for wrong in [&b"-23"[..], b" 2", b"\0a"] {
            assert_eq!(ab.followed_by(wrong), None, "{wrong:?}");
        }
        for bytes in [*b"a\0b\0", [0xFF; 4], *b"\0abc", *b"a b\0"] {
            let name = Four::read_from_bytes(&bytes).unwrap();
            assert!(!name.check() && name.as_str().is_empty(), "{bytes:?}");
        }
    }
}
