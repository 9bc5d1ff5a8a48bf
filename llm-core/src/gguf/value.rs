//! Metadata values and arrays.

use super::reader::{Reader, read_scalar};
use super::{GgufError, name};

/// Type of a metadata value or of an array's items, numbered as in the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ValueType {
    U8 = 0,
    I8 = 1,
    U16 = 2,
    I16 = 3,
    U32 = 4,
    I32 = 5,
    F32 = 6,
    Bool = 7,
    String = 8,
    Array = 9,
    U64 = 10,
    I64 = 11,
    F64 = 12,
}

impl ValueType {
    /// The type with this number in the format.
    #[must_use]
    pub const fn from_gguf(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::String,
            9 => Self::Array,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Its number in the format.
    #[must_use]
    pub const fn to_gguf(self) -> u32 {
        self as u32
    }

    /// Its name in the format's documentation.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F32 => "f32",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Array => "array",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F64 => "f64",
        }
    }

    /// Size in bytes of a value of this type; `None` for strings and arrays.
    pub(super) const fn fixed_bytes(self) -> Option<usize> {
        Some(match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::String | Self::Array => return None,
        })
    }
}

/// A metadata value. Strings are bytes: the format requires UTF-8, but tokens need not comply.
#[derive(Clone, Copy, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value<'a> {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    String(&'a [u8]),
    Array(Array<'a>),
    U64(u64),
    I64(i64),
    F64(f64),
}

impl Value<'_> {
    /// Its type.
    #[must_use]
    pub const fn value_type(&self) -> ValueType {
        match self {
            Self::U8(_) => ValueType::U8,
            Self::I8(_) => ValueType::I8,
            Self::U16(_) => ValueType::U16,
            Self::I16(_) => ValueType::I16,
            Self::U32(_) => ValueType::U32,
            Self::I32(_) => ValueType::I32,
            Self::F32(_) => ValueType::F32,
            Self::Bool(_) => ValueType::Bool,
            Self::String(_) => ValueType::String,
            Self::Array(_) => ValueType::Array,
            Self::U64(_) => ValueType::U64,
            Self::I64(_) => ValueType::I64,
            Self::F64(_) => ValueType::F64,
        }
    }

    /// The value of any integer type.
    pub(crate) fn integer(&self) -> Option<i128> {
        Some(match *self {
            Self::U8(value) => value.into(),
            Self::I8(value) => value.into(),
            Self::U16(value) => value.into(),
            Self::I16(value) => value.into(),
            Self::U32(value) => value.into(),
            Self::I32(value) => value.into(),
            Self::U64(value) => value.into(),
            Self::I64(value) => value.into(),
            _ => return None,
        })
    }
}

/// A metadata array; its items are read in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    pub(super) key: &'a str,
    pub(super) item_type: ValueType,
    pub(super) len: usize,
    /// The items, possibly followed by more of the file.
    pub(super) items: &'a [u8],
}

impl<'a> Array<'a> {
    /// Number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no items.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Type of the items.
    #[must_use]
    pub const fn item_type(&self) -> ValueType {
        self.item_type
    }

    /// All items, as values.
    pub fn values(&self) -> impl Iterator<Item = Value<'a>> + Clone + use<'a> {
        let Self {
            key,
            item_type,
            len,
            items,
        } = *self;
        let mut reader = Reader {
            bytes: items,
            at: 0,
        };
        (0..len).map_while(move |_| read_scalar(&mut reader, key, item_type).ok())
    }

    /// The items of an array of strings, as bytes.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] if the items have another type.
    pub fn strings(&self) -> Result<impl Iterator<Item = &'a [u8]> + Clone + use<'a>, GgufError> {
        self.expect_items(ValueType::String, "an array of strings")?;
        Ok(self.values().filter_map(|value| match value {
            Value::String(text) => Some(text),
            _ => None,
        }))
    }

    /// Like [`Self::strings`], each with its place for [`Self::string_at`].
    ///
    /// # Errors
    /// [`GgufError::WrongType`] if the items have another type.
    pub fn strings_with_places(
        &self,
    ) -> Result<impl Iterator<Item = (u32, &'a [u8])> + use<'a>, GgufError> {
        self.expect_items(ValueType::String, "an array of strings")?;
        let mut reader = Reader {
            bytes: self.items,
            at: 0,
        };
        Ok((0..self.len).map_while(move |_| {
            // The file is shorter than 4 GiB.
            let place = u32::try_from(reader.at).ok()?;
            Some((place, reader.string("a string in an array").ok()?))
        }))
    }

    /// The string at a place returned by [`Self::strings_with_places`].
    #[must_use]
    pub fn string_at(&self, place: u32) -> Option<&'a [u8]> {
        let mut reader = Reader {
            bytes: self.items,
            at: place as usize,
        };
        reader.string("a string in an array").ok()
    }

    /// The items of an array of `f32`.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] if the items have another type.
    pub fn f32s(&self) -> Result<impl Iterator<Item = f32> + Clone + use<'a>, GgufError> {
        self.expect_items(ValueType::F32, "an array of f32")?;
        Ok(self.values().filter_map(|value| match value {
            Value::F32(number) => Some(number),
            _ => None,
        }))
    }

    /// The items of an array of `i32`.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] if the items have another type.
    pub fn i32s(&self) -> Result<impl Iterator<Item = i32> + Clone + use<'a>, GgufError> {
        self.expect_items(ValueType::I32, "an array of i32")?;
        Ok(self.values().filter_map(|value| match value {
            Value::I32(number) => Some(number),
            _ => None,
        }))
    }

    /// The error for an array with the wrong type of items.
    fn expect_items(&self, wanted: ValueType, expected: &'static str) -> Result<(), GgufError> {
        if self.item_type == wanted {
            Ok(())
        } else {
            Err(GgufError::WrongType {
                key: name(self.key),
                expected,
                found: "an array of another type",
            })
        }
    }

    /// Size of the items in bytes, found by walking and checking them.
    pub(super) fn bytes(&self) -> Result<usize, GgufError> {
        let mut reader = Reader {
            bytes: self.items,
            at: 0,
        };
        match self.item_type.fixed_bytes() {
            Some(size) => {
                let bytes = (self.len as u64).saturating_mul(size as u64);
                let items = reader.take(bytes, "an array")?;
                let bad = items.iter().find(|&&item| item > 1);
                if let (ValueType::Bool, Some(&value)) = (self.item_type, bad) {
                    return Err(GgufError::BadBool {
                        key: name(self.key),
                        value,
                    });
                }
            }
            None => {
                for _ in 0..self.len {
                    reader.string("a string in an array")?;
                }
            }
        }
        Ok(reader.at)
    }
}
