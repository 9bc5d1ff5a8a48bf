//! Metadata by key and type.

use super::{Array, Gguf, GgufError, Value, name};

impl<'a> Gguf<'a> {
    /// An integer that fits `u32`, of any integer type.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::WrongType`].
    pub fn u32_of(&self, key: &str) -> Result<u32, GgufError> {
        required(key, self.u32_opt(key)?)
    }

    /// Like [`Self::u32_of`]; `None` if the key is missing.
    ///
    /// # Errors
    /// [`GgufError::WrongType`].
    pub fn u32_opt(&self, key: &str) -> Result<Option<u32>, GgufError> {
        self.typed(key, "an integer from 0 to 4294967295", |value| {
            value
                .integer()
                .and_then(|integer| u32::try_from(integer).ok())
        })
    }

    /// Like [`Self::u32_opt`]. Also accepts an array of `items` equal integers, which some writers use for values that
    /// could differ between blocks.
    ///
    /// # Errors
    /// [`GgufError::WrongType`], or [`GgufError::Uneven`] for an array of other items.
    pub fn u32_or_equal_opt(&self, key: &str, items: usize) -> Result<Option<u32>, GgufError> {
        let Some(Value::Array(array)) = self.get(key) else {
            return self.u32_opt(key);
        };
        let integer = |value: Value<'_>| value.integer().and_then(|n| u32::try_from(n).ok());
        let mut values = array.values().map(integer);
        let first = values.next().flatten();
        if array.len() == items && first.is_some() && values.all(|value| value == first) {
            return Ok(first);
        }
        Err(GgufError::Uneven {
            key: name(key),
            len: array.len(),
            items,
        })
    }

    /// An `f32`.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::WrongType`].
    pub fn f32_of(&self, key: &str) -> Result<f32, GgufError> {
        required(key, self.f32_opt(key)?)
    }

    /// Like [`Self::f32_of`]; `None` if the key is missing.
    ///
    /// # Errors
    /// [`GgufError::WrongType`].
    pub fn f32_opt(&self, key: &str) -> Result<Option<f32>, GgufError> {
        self.typed(key, "an f32", |value| match value {
            Value::F32(number) => Some(number),
            _ => None,
        })
    }

    /// A boolean.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::WrongType`].
    pub fn bool_of(&self, key: &str) -> Result<bool, GgufError> {
        required(key, self.bool_opt(key)?)
    }

    /// Like [`Self::bool_of`]; `None` if the key is missing.
    ///
    /// # Errors
    /// [`GgufError::WrongType`].
    pub fn bool_opt(&self, key: &str) -> Result<Option<bool>, GgufError> {
        self.typed(key, "a bool", |value| match value {
            Value::Bool(truth) => Some(truth),
            _ => None,
        })
    }

    /// A string.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::WrongType`].
    pub fn str_of(&self, key: &str) -> Result<&'a str, GgufError> {
        required(key, self.str_opt(key)?)
    }

    /// Like [`Self::str_of`]; `None` if the key is missing.
    ///
    /// # Errors
    /// [`GgufError::WrongType`].
    pub fn str_opt(&self, key: &str) -> Result<Option<&'a str>, GgufError> {
        self.typed(key, "a string in UTF-8", |value| match value {
            Value::String(text) => core::str::from_utf8(text).ok(),
            _ => None,
        })
    }

    /// An array.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::WrongType`].
    pub fn array(&self, key: &str) -> Result<Array<'a>, GgufError> {
        required(key, self.array_opt(key)?)
    }

    /// Like [`Self::array`]; `None` if the key is missing.
    ///
    /// # Errors
    /// [`GgufError::WrongType`].
    pub fn array_opt(&self, key: &str) -> Result<Option<Array<'a>>, GgufError> {
        self.typed(key, "an array", |value| match value {
            Value::Array(array) => Some(array),
            _ => None,
        })
    }

    fn typed<T>(
        &self,
        key: &str,
        expected: &'static str,
        convert: impl FnOnce(Value<'a>) -> Option<T>,
    ) -> Result<Option<T>, GgufError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        convert(value)
            .map(Some)
            .ok_or_else(|| GgufError::WrongType {
                key: name(key),
                expected,
                found: value.value_type().name(),
            })
    }
}

/// Turns a missing value into the error that names the key.
fn required<T>(key: &str, value: Option<T>) -> Result<T, GgufError> {
    value.ok_or_else(|| GgufError::MissingKey { key: name(key) })
}
