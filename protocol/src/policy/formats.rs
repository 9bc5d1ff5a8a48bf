//! The formats that a role may ask for.

use crate::limits::MAX_FORMATS;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Name in `formats = [...]` of `policy.toml` for choices that come with a request; no format can have this name.
pub const CHOICES: &str = "choices";

/// Which formats answers may have.
///
/// A role and a client each have one; [`Policy::format_rule`](super::Policy::format_rule) combines them. A request without a format is free text,
/// which a rule forbids only if it requires a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FormatRule {
    /// Bit n allows format number n in the region `formats`; bit [`MAX_FORMATS`] allows choices that come with a
    /// request.
    allowed: u32,
    /// 1: a request must use one of the allowed formats.
    pub(super) must: u32,
}

impl FormatRule {
    const CHOICES: u32 = 1 << MAX_FORMATS;

    /// Allows all formats and choices, and requires none.
    pub const ANY: Self = Self {
        allowed: (Self::CHOICES << 1).wrapping_sub(1),
        must: 0,
    };

    /// Allows no format, and requires none.
    pub const NONE: Self = Self {
        allowed: 0,
        must: 0,
    };

    /// Also allows a format. A number that no format can have changes nothing.
    #[must_use]
    pub const fn with(self, format: usize) -> Self {
        match format < MAX_FORMATS {
            true => Self {
                allowed: self.allowed | 1 << format,
                ..self
            },
            false => self,
        }
    }

    /// Also allows requests to bring choices.
    #[must_use]
    pub const fn with_choices(self) -> Self {
        Self {
            allowed: self.allowed | Self::CHOICES,
            ..self
        }
    }

    /// Also requires a format.
    #[must_use]
    pub const fn with_must(self) -> Self {
        Self { must: 1, ..self }
    }

    /// Whether the format of this number in the region `formats` is allowed.
    #[must_use]
    pub const fn allows(self, format: usize) -> bool {
        format < MAX_FORMATS && self.allowed & 1 << format != 0
    }

    /// Whether choices in a request are allowed.
    #[must_use]
    pub const fn allows_choices(self) -> bool {
        self.allowed & Self::CHOICES != 0
    }

    /// Whether a request must use a format or choices.
    #[must_use]
    pub const fn must_use(self) -> bool {
        self.must != 0
    }

    /// Whether neither a format nor choices are allowed.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.allowed == 0
    }

    /// What both rules allow. A format is required if either requires one.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            allowed: self.allowed & other.allowed,
            must: self.must | other.must,
        }
    }

    /// Whether the rule names only the first `formats` formats.
    pub(super) const fn fits(self, formats: u32) -> bool {
        let named = match 1u32.checked_shl(formats) {
            Some(next) => next.wrapping_sub(1) | Self::CHOICES,
            None => 0,
        };
        (self.allowed == Self::ANY.allowed || self.allowed & !named == 0) && self.must <= 1
    }
}
