//! Reads a family's keys from a file, with their defaults and limits.

use super::families::Family;
use super::{LoadError, MAX_LAYERS};
use crate::gguf::{self, Gguf};
use core::fmt::Write as _;

/// Name of a metadata key.
type Key = heapless::String<64>;

const _: () = assert!(MAX_LAYERS <= 64, "a set of blocks is 64 bits");

/// A subset of a model's blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blocks(u64);

impl Blocks {
    /// The empty subset.
    pub const NONE: Self = Self(0);
    /// All blocks.
    pub const ALL: Self = Self(u64::MAX);

    /// The blocks for which `contains` is true, out of [`MAX_LAYERS`].
    pub(super) fn of(contains: impl Fn(usize) -> bool) -> Self {
        let blocks = (0..MAX_LAYERS).filter(|&block| contains(block));
        Self(blocks.fold(0, |set, block| set | 1 << block))
    }

    /// Whether it contains `block`, which must be below [`MAX_LAYERS`].
    #[must_use]
    pub const fn contains(self, block: usize) -> bool {
        self.0 >> block & 1 == 1
    }

    /// Includes `block`, which must be below [`MAX_LAYERS`], if `is_in`.
    pub(super) fn set(&mut self, block: usize, is_in: bool) {
        self.0 |= u64::from(is_in) << block;
    }
}

/// Reads the keys of one family. The family's list of keys decides which optional keys are read: a key not listed as
/// read is treated as missing.
pub(super) struct Keys<'g, 'a> {
    pub(super) gguf: &'g Gguf<'a>,
    pub(super) family: &'static Family,
}

impl Keys<'_, '_> {
    pub(super) fn full(&self, key: &str) -> Key {
        let mut full = Key::new();
        // Our longest key has 50 bytes.
        let _ = write!(full, "{}.{key}", self.family.name);
        full
    }

    /// The full name of an optional key, if the family reads it.
    fn read(&self, key: &str) -> Option<Key> {
        self.family.reads(key).then(|| self.full(key))
    }

    /// An integer from 1 to `max`.
    pub(super) fn positive(
        &self,
        key: &str,
        default: Option<u32>,
        max: u32,
    ) -> Result<u32, LoadError> {
        let key = self.full(key);
        let value = self.gguf.u32_opt(&key)?;
        self.in_range(&key, value, default, max)
    }

    /// An integer from 1 to `max`, or an array with the same value for each of `blocks` blocks.
    pub(super) fn per_block(
        &self,
        key: &str,
        default: Option<u32>,
        max: u32,
        blocks: usize,
    ) -> Result<u32, LoadError> {
        let key = self.full(key);
        let value = self.gguf.u32_or_equal_opt(&key, blocks)?;
        self.in_range(&key, value, default, max)
    }

    fn in_range(
        &self,
        key: &str,
        value: Option<u32>,
        default: Option<u32>,
        max: u32,
    ) -> Result<u32, LoadError> {
        let value = match (value, default) {
            (Some(value), _) | (None, Some(value)) => value,
            (None, None) => self.gguf.u32_of(key)?,
        };
        if value == 0 || value > max {
            Err(bad_value(key, u64::from(value)))
        } else {
            Ok(value)
        }
    }

    /// A finite number above 0.
    pub(super) fn fraction(&self, key: &str, default: Option<f32>) -> Result<f32, LoadError> {
        let key = self.full(key);
        let value = match (self.gguf.f32_opt(&key)?, default) {
            (Some(value), _) => value,
            (None, Some(default)) => default,
            (None, None) => self.gguf.f32_of(&key)?,
        };
        // Also false for NaN.
        if value > 0.0 && value.is_finite() {
            Ok(value)
        } else {
            Err(LoadError::NotPositive(gguf::name(&key)))
        }
    }

    /// An optional factor: a finite number above 0 with a finite inverse. As in llama.cpp, 0 means none.
    pub(super) fn factor(&self, key: &str) -> Result<Option<f32>, LoadError> {
        let Some(full) = self.read(key) else {
            return Ok(None);
        };
        match self.gguf.f32_opt(&full)? {
            None | Some(0.0) => Ok(None),
            Some(_) => {
                let factor = self.fraction(key, None)?;
                // Also rejects tiny values.
                let finite = Some(factor).filter(|factor| (1.0 / factor).is_finite());
                finite
                    .map(Some)
                    .ok_or_else(|| LoadError::NotPositive(gguf::name(&full)))
            }
        }
    }

    /// Like [`Self::factor`], for a divisor: 0 is refused instead of meaning none.
    pub(super) fn divisor(&self, key: &str) -> Result<Option<f32>, LoadError> {
        match (self.factor(key)?, self.read(key)) {
            (None, Some(full)) if self.gguf.get(&full).is_some() => {
                Err(LoadError::NotPositive(gguf::name(&full)))
            }
            (divisor, _) => Ok(divisor),
        }
    }

    /// A soft cap, `default` if there is no key. Like a factor, but if there is a default, 0 does not mean none.
    pub(super) fn cap(&self, key: &str, default: Option<f32>) -> Result<Option<f32>, LoadError> {
        let full = self.full(key);
        match (self.factor(key)?, default) {
            (Some(cap), _) => Ok(Some(cap)),
            (None, Some(_)) if self.gguf.get(&full).is_some() => {
                Err(LoadError::NotPositive(gguf::name(&full)))
            }
            (None, default) => Ok(default),
        }
    }

    pub(super) fn truth(&self, key: &str) -> Result<Option<bool>, LoadError> {
        match self.read(key) {
            Some(key) => Ok(self.gguf.bool_opt(&key)?),
            None => Ok(None),
        }
    }

    pub(super) fn refuse<T>(&self, key: &str, value: u32) -> Result<T, LoadError> {
        Err(bad_value(&self.full(key), u64::from(value)))
    }
}

fn bad_value(key: &str, value: u64) -> LoadError {
    LoadError::Value {
        key: gguf::name(key),
        value,
    }
}
