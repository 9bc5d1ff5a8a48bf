//! Reads GGUF model files (versions 2 and 3, little endian) without copying or allocating.
//!
//! ```text
//! "GGUF" version:u32 tensors:u64 keys:u64
//! key    = name:string type:u32 value                       (keys times)
//! tensor = name:string rank:u32 dims:u64[rank] type:u32 offset:u64   (tensors times)
//! padding to the alignment, then tensor data, each at its offset from here
//! string = length:u64 bytes;   array = type:u32 length:u64 items
//! ```
//!
//! Source: `docs/gguf.md` of ggml; where that leaves a choice, the reader of llama.cpp decides.
//!
//! The rule that keeps this safe: [`Gguf::parse`] is the only way in and it walks the whole file
//! structure once, so every length, count, offset and type that the accessors meet later has been
//! checked against the bytes that are there. Work is bounded by the file's size and the limits
//! below. Nothing is believed that the bytes do not prove: a length is compared with what is left of
//! the file before it is used.

#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use crate::quantize::TensorType;

/// Most metadata keys in a file. Files of llama.cpp have 20 to 60. Each costs 4 bytes of the
/// [`Gguf`] value, and duplicates are looked for pair by pair.
pub const MAX_KEYS: usize = 512;

/// Most tensors in a file. A model of 100 layers has about 1000. Names and extents are compared
/// pair by pair, so this bounds a hostile file to half a million comparisons.
pub const MAX_TENSORS: usize = 1024;

/// Longest metadata key in bytes; the format allows 65535, but no known key has more than 64.
pub const MAX_KEY_BYTES: usize = 256;

/// Longest tensor name in bytes, as in ggml (`GGML_MAX_NAME` less the terminator).
pub const MAX_TENSOR_NAME_BYTES: usize = 63;

/// Most dimensions of a tensor, as in ggml (`GGML_MAX_DIMS`).
pub const MAX_RANK: usize = 4;

/// Largest alignment of tensor data in bytes (64 KiB). The usual value is 32.
pub const MAX_ALIGNMENT: u32 = 1 << 16;

/// Alignment of tensor data where the file names none.
const DEFAULT_ALIGNMENT: u32 = 32;

/// A key's or tensor's name inside an error: cut at 64 bytes.
pub type Name = heapless::String<64>;

/// The first 64 bytes of `text` for an error; what is not printable becomes `?`.
#[must_use]
pub fn name(text: &[u8]) -> Name {
    let mut name = Name::new();
    let text = match core::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => text
            .get(..error.valid_up_to())
            .and_then(|valid| core::str::from_utf8(valid).ok())
            .unwrap_or(""),
    };
    for character in text.chars() {
        let shown = if character.is_control() {
            '?'
        } else {
            character
        };
        if name.push(shown).is_err() {
            break;
        }
    }
    name
}

/// Why a file is refused, or why it has not the value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// The first four bytes are not `GGUF`.
    #[error("not a GGUF file: it does not begin with \"GGUF\"")]
    NotGguf,
    /// Only versions 2 and 3, little endian, are read.
    #[error("GGUF version {version} is not supported (2 and 3 are; big-endian files are not)")]
    UnsupportedVersion {
        /// What the header says.
        version: u32,
    },
    /// The file ends inside something.
    #[error("the file is cut off: {what} at byte {at} needs {need} bytes, {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it begins.
        at: usize,
        /// How many bytes it says it has.
        need: u64,
        /// How many the file still has there.
        left: usize,
    },
    /// More keys than [`MAX_KEYS`], or more tensors than [`MAX_TENSORS`].
    #[error("{count} {what}, but at most {limit} are supported")]
    TooMany {
        /// "metadata keys" or "tensors".
        what: &'static str,
        /// What the header says.
        count: u64,
        /// The limit.
        limit: usize,
    },
    /// The file is larger than offsets of 32 bits can name.
    #[error("the file has {bytes} bytes, but at most {limit} are supported")]
    FileTooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// A metadata key or tensor name that is empty, too long or not UTF-8.
    #[error("the name of {what} {index} is empty, longer than {limit} bytes or not UTF-8")]
    BadName {
        /// "metadata key" or "tensor".
        what: &'static str,
        /// Which one, from 0.
        index: usize,
        /// Longest name in bytes.
        limit: usize,
    },
    /// Two metadata entries have one key.
    #[error("the metadata key {key} occurs twice")]
    DuplicateKey {
        /// The key.
        key: Name,
    },
    /// A value type that the format does not define, or an array of arrays.
    #[error("the metadata key {key} has a value of unknown type {value_type}")]
    UnknownValueType {
        /// The key.
        key: Name,
        /// The number that stands for the type.
        value_type: u32,
    },
    /// A truth value that is neither 0 nor 1.
    #[error("the metadata key {key} is a bool with the value {value}")]
    BadBool {
        /// The key.
        key: Name,
        /// The byte that was found.
        value: u8,
    },
    /// `general.alignment` is not a power of two up to [`MAX_ALIGNMENT`].
    #[error("general.alignment is {alignment}: not a power of two up to {MAX_ALIGNMENT}")]
    BadAlignment {
        /// What the file says.
        alignment: u32,
    },
    /// The file has no such metadata key.
    #[error("the metadata key {key} is missing")]
    MissingKey {
        /// The key.
        key: Name,
    },
    /// The metadata value has another type.
    #[error("the metadata key {key} has a value of type {found}, expected {expected}")]
    WrongType {
        /// The key.
        key: Name,
        /// What was asked for.
        expected: &'static str,
        /// What the file has.
        found: &'static str,
    },
    /// Two tensors have one name.
    #[error("the tensor {tensor} occurs twice")]
    DuplicateTensor {
        /// The tensor.
        tensor: Name,
    },
    /// A tensor without dimensions, with more than four, or with an empty one.
    #[error("the tensor {tensor} has a shape of {rank} dimensions with a size of 0, or not 1 to 4")]
    BadShape {
        /// The tensor.
        tensor: Name,
        /// Its number of dimensions.
        rank: u32,
    },
    /// The number of elements or bytes does not fit 64 bits.
    #[error("the tensor {tensor} is too large: its size overflows")]
    TensorTooLarge {
        /// The tensor.
        tensor: Name,
    },
    /// A tensor type that this engine does not compute with.
    #[error("the tensor {tensor} has type {name} ({ggml_type}), which is not supported")]
    UnsupportedTensorType {
        /// The tensor.
        tensor: Name,
        /// ggml's name of the type, or "unknown".
        name: &'static str,
        /// ggml's number of the type.
        ggml_type: u32,
    },
    /// Rows are not made of whole blocks.
    #[error("the tensor {tensor} has rows of {columns} elements, not a multiple of {block}")]
    RowNotWholeBlocks {
        /// The tensor.
        tensor: Name,
        /// Elements in a row.
        columns: u64,
        /// Elements in a block of its type.
        block: usize,
    },
    /// A tensor's offset is not a multiple of the alignment.
    #[error("the tensor {tensor} is at offset {offset}, not a multiple of {alignment}")]
    Misaligned {
        /// The tensor.
        tensor: Name,
        /// Its offset in the data section.
        offset: u64,
        /// The file's alignment.
        alignment: u32,
    },
    /// A tensor's data is not all in the file.
    #[error(
        "the file is cut off: the tensor {tensor} needs {bytes} bytes at offset {offset}, \
         the data section has {available}"
    )]
    TensorOutOfFile {
        /// The tensor.
        tensor: Name,
        /// Its offset in the data section.
        offset: u64,
        /// Its size.
        bytes: u64,
        /// Size of the data section.
        available: usize,
    },
    /// Two tensors share bytes.
    #[error("the tensor {tensor} at offset {offset} overlaps one that is listed before it")]
    Overlap {
        /// The later one in the file's list.
        tensor: Name,
        /// Its offset in the data section.
        offset: usize,
    },
    /// The file has no such tensor.
    #[error("the tensor {tensor} is missing")]
    MissingTensor {
        /// The tensor.
        tensor: Name,
    },
}

/// Type of a metadata value or of an array's items. The numbers are the format's.
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

    /// How the format's documentation calls it.
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
    const fn fixed_bytes(self) -> Option<usize> {
        Some(match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
            Self::String | Self::Array => return None,
        })
    }
}

/// A metadata value. Strings are bytes: the format says UTF-8, but tokens need not be.
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
    fn integer(&self) -> Option<i128> {
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

/// A metadata array: its items are read in order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Array<'a> {
    key: &'a str,
    item_type: ValueType,
    len: usize,
    /// The items; what follows them in the file may follow here, too.
    items: &'a [u8],
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

    /// All items as values.
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
    /// [`GgufError::WrongType`] for another type of items.
    pub fn strings(&self) -> Result<impl Iterator<Item = &'a [u8]> + Clone + use<'a>, GgufError> {
        self.expect_items(ValueType::String, "an array of strings")?;
        Ok(self.values().filter_map(|value| match value {
            Value::String(text) => Some(text),
            _ => None,
        }))
    }

    /// The items of an array of `f32`.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] for another type of items.
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
    /// [`GgufError::WrongType`] for another type of items.
    pub fn i32s(&self) -> Result<impl Iterator<Item = i32> + Clone + use<'a>, GgufError> {
        self.expect_items(ValueType::I32, "an array of i32")?;
        Ok(self.values().filter_map(|value| match value {
            Value::I32(number) => Some(number),
            _ => None,
        }))
    }

    /// The items of an array of `u32`.
    ///
    /// # Errors
    /// [`GgufError::WrongType`] for another type of items.
    pub fn u32s(&self) -> Result<impl Iterator<Item = u32> + Clone + use<'a>, GgufError> {
        self.expect_items(ValueType::U32, "an array of u32")?;
        Ok(self.values().filter_map(|value| match value {
            Value::U32(number) => Some(number),
            _ => None,
        }))
    }

    /// The error for an array with the wrong type of items.
    fn expect_items(&self, wanted: ValueType, expected: &'static str) -> Result<(), GgufError> {
        if self.item_type == wanted {
            Ok(())
        } else {
            Err(GgufError::WrongType {
                key: name(self.key.as_bytes()),
                expected,
                found: "an array of another type",
            })
        }
    }

    /// Size of the items in bytes, found by walking and checking them.
    fn bytes(&self) -> Result<usize, GgufError> {
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
                        key: name(self.key.as_bytes()),
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

/// A tensor in the file.
#[derive(Clone, Copy, Debug)]
pub struct TensorInfo<'a> {
    /// Its name, for example `blk.0.attn_q.weight`.
    pub name: &'a str,
    /// How its elements are stored.
    pub ty: TensorType,
    /// How many dimensions the file gives it, 1 to 4.
    pub rank: usize,
    /// Sizes in ggml's order, `dims[0]` being the elements of a row; 1 beyond the rank.
    pub dims: [u64; MAX_RANK],
    /// Its data in the file, row by row.
    pub data: &'a [u8],
}

impl TensorInfo<'_> {
    /// Elements in a row.
    #[must_use]
    pub const fn columns(&self) -> u64 {
        let [columns, ..] = self.dims;
        columns
    }

    /// Number of rows, over all higher dimensions.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        let [_, rows, planes, volumes] = self.dims;
        // Cannot overflow: the parser multiplied them.
        rows.saturating_mul(planes).saturating_mul(volumes)
    }

    /// Number of elements.
    #[must_use]
    pub const fn elements(&self) -> u64 {
        self.columns().saturating_mul(self.rows())
    }
}

/// A model file whose structure has been checked.
#[derive(Clone, Debug)]
pub struct Gguf<'a> {
    file: &'a [u8],
    version: u32,
    alignment: u32,
    /// Where each metadata entry begins.
    keys: heapless::Vec<u32, MAX_KEYS>,
    /// Where the list of tensors begins.
    tensors_at: usize,
    tensor_count: usize,
    /// Tensor data; offsets count from its beginning.
    data: &'a [u8],
}

impl<'a> Gguf<'a> {
    /// Checks the structure of `file`.
    ///
    /// # Errors
    /// The first thing that is wrong; see [`GgufError`].
    pub fn parse(file: &'a [u8]) -> Result<Self, GgufError> {
        const MAX_FILE_BYTES: usize = u32::MAX as usize;
        if file.len() > MAX_FILE_BYTES {
            return Err(GgufError::FileTooLarge {
                bytes: file.len(),
                limit: MAX_FILE_BYTES,
            });
        }
        let mut reader = Reader { bytes: file, at: 0 };
        if !file.starts_with(b"GGUF") {
            return Err(GgufError::NotGguf);
        }
        reader.take(4, "the magic number")?;
        let version = reader.u32("the version")?;
        if !matches!(version, 2 | 3) {
            return Err(GgufError::UnsupportedVersion { version });
        }
        let tensor_count = reader.count("tensors", MAX_TENSORS)?;
        let key_count = reader.count("metadata keys", MAX_KEYS)?;

        let mut gguf = Self {
            file,
            version,
            alignment: DEFAULT_ALIGNMENT,
            keys: heapless::Vec::new(),
            tensors_at: 0,
            tensor_count,
            data: &[],
        };
        gguf.read_keys(&mut reader, key_count)?;
        if let Some(alignment) = gguf.u32_opt("general.alignment")? {
            if !alignment.is_power_of_two() || alignment > MAX_ALIGNMENT {
                return Err(GgufError::BadAlignment { alignment });
            }
            gguf.alignment = alignment;
        }
        gguf.read_tensors(&mut reader)?;
        Ok(gguf)
    }

    /// Version of the format, 2 or 3.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Alignment of tensor data in bytes.
    #[must_use]
    pub const fn alignment(&self) -> u32 {
        self.alignment
    }

    /// All metadata in the file's order.
    pub fn keys(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + '_ {
        self.keys
            .iter()
            .filter_map(|&at| self.entry_at(at as usize))
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.keys
            .iter()
            .find(|&&at| self.key_at(at as usize) == Some(key))
            .and_then(|&at| self.entry_at(at as usize))
            .map(|(_, value)| value)
    }

    /// An integer that fits `u32`, of whatever integer type.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::WrongType`].
    pub fn u32_of(&self, key: &str) -> Result<u32, GgufError> {
        required(key, self.u32_opt(key)?)
    }

    /// As [`Self::u32_of`]; `None` if the key is missing.
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

    /// An `f32`.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::WrongType`].
    pub fn f32_of(&self, key: &str) -> Result<f32, GgufError> {
        required(key, self.f32_opt(key)?)
    }

    /// As [`Self::f32_of`]; `None` if the key is missing.
    ///
    /// # Errors
    /// [`GgufError::WrongType`].
    pub fn f32_opt(&self, key: &str) -> Result<Option<f32>, GgufError> {
        self.typed(key, "an f32", |value| match value {
            Value::F32(number) => Some(number),
            _ => None,
        })
    }

    /// A truth value.
    ///
    /// # Errors
    /// [`GgufError::MissingKey`] or [`GgufError::WrongType`].
    pub fn bool_of(&self, key: &str) -> Result<bool, GgufError> {
        required(key, self.bool_opt(key)?)
    }

    /// As [`Self::bool_of`]; `None` if the key is missing.
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

    /// As [`Self::str_of`]; `None` if the key is missing.
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

    /// As [`Self::array`]; `None` if the key is missing.
    ///
    /// # Errors
    /// [`GgufError::WrongType`].
    pub fn array_opt(&self, key: &str) -> Result<Option<Array<'a>>, GgufError> {
        self.typed(key, "an array", |value| match value {
            Value::Array(array) => Some(array),
            _ => None,
        })
    }

    /// Number of tensors.
    #[must_use]
    pub const fn tensor_count(&self) -> usize {
        self.tensor_count
    }

    /// All tensors in the file's order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo<'a>> + '_ {
        self.tensors_with_offsets().map(|(tensor, _)| tensor)
    }

    /// The tensor with this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorInfo<'a>> {
        self.tensors().find(|tensor| tensor.name == name)
    }

    /// Where in the file's order the tensor with this name stands.
    #[must_use]
    pub fn tensor_index(&self, name: &str) -> Option<usize> {
        self.tensors().position(|tensor| tensor.name == name)
    }

    /// The tensor with this name, or the error that says that it is missing.
    ///
    /// # Errors
    /// [`GgufError::MissingTensor`].
    pub fn require(&self, tensor: &str) -> Result<TensorInfo<'a>, GgufError> {
        self.tensor(tensor).ok_or_else(|| GgufError::MissingTensor {
            tensor: name(tensor.as_bytes()),
        })
    }

    /// Reads the metadata section and remembers where each entry begins.
    fn read_keys(&mut self, reader: &mut Reader<'a>, count: usize) -> Result<(), GgufError> {
        for index in 0..count {
            let at = reader.at;
            let key = reader.name("metadata key", index, MAX_KEY_BYTES)?;
            if self
                .keys
                .iter()
                .any(|&other| self.key_at(other as usize) == Some(key))
            {
                return Err(GgufError::DuplicateKey {
                    key: name(key.as_bytes()),
                });
            }
            if let Value::Array(array) = read_value(reader, key)? {
                reader.skip(array.bytes().map_err(|error| reader.rebase(error))?);
            }
            // Cannot fail: `count` is at most `MAX_KEYS`, and the file is shorter than 4 GiB.
            let _ = self.keys.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Checks the list of tensors, then that their data is in the file and disjoint.
    fn read_tensors(&mut self, reader: &mut Reader<'a>) -> Result<(), GgufError> {
        self.tensors_at = reader.at;
        for index in 0..self.tensor_count {
            RawTensor::read(reader, index)?;
        }
        self.data = reader
            .at
            .checked_next_multiple_of(self.alignment as usize)
            .and_then(|start| self.file.get(start..))
            .unwrap_or(&[]);

        // One past the last byte of the tensors so far: tensors in ascending order, as every known
        // writer has them, need no comparison with all the earlier ones.
        let mut frontier = 0;
        let mut reader = self.tensor_reader();
        for index in 0..self.tensor_count {
            let raw = RawTensor::read(&mut reader, index)?;
            let (tensor, extent) = raw.check(self.alignment, self.data)?;
            let ascending = extent.start >= frontier;
            for (other, taken) in self.tensors_with_offsets().take(index) {
                if other.name == tensor.name {
                    return Err(GgufError::DuplicateTensor {
                        tensor: name(tensor.name.as_bytes()),
                    });
                }
                if !ascending && extent.start < taken.end && taken.start < extent.end {
                    return Err(GgufError::Overlap {
                        tensor: name(tensor.name.as_bytes()),
                        offset: extent.start,
                    });
                }
            }
            frontier = frontier.max(extent.end);
        }
        Ok(())
    }

    fn tensor_reader(&self) -> Reader<'a> {
        Reader {
            bytes: self.file,
            at: self.tensors_at,
        }
    }

    /// Tensors with the part of the data section that each has.
    fn tensors_with_offsets(
        &self,
    ) -> impl Iterator<Item = (TensorInfo<'a>, core::ops::Range<usize>)> + '_ {
        let mut reader = self.tensor_reader();
        (0..self.tensor_count).map_while(move |index| {
            RawTensor::read(&mut reader, index)
                .and_then(|raw| raw.check(self.alignment, self.data))
                .ok()
        })
    }

    fn key_at(&self, at: usize) -> Option<&'a str> {
        let mut reader = Reader {
            bytes: self.file,
            at,
        };
        reader.name("metadata key", 0, MAX_KEY_BYTES).ok()
    }

    fn entry_at(&self, at: usize) -> Option<(&'a str, Value<'a>)> {
        let mut reader = Reader {
            bytes: self.file,
            at,
        };
        let key = reader.name("metadata key", 0, MAX_KEY_BYTES).ok()?;
        Some((key, read_value(&mut reader, key).ok()?))
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
                key: name(key.as_bytes()),
                expected,
                found: value.value_type().name(),
            })
    }
}

/// Turns a missing value into the error that names the key.
fn required<T>(key: &str, value: Option<T>) -> Result<T, GgufError> {
    value.ok_or_else(|| GgufError::MissingKey {
        key: name(key.as_bytes()),
    })
}

/// An entry of the tensor list before its numbers are checked against each other.
struct RawTensor<'a> {
    name: &'a str,
    rank: u32,
    dims: [u64; MAX_RANK],
    ggml_type: u32,
    offset: u64,
}

impl<'a> RawTensor<'a> {
    fn read(reader: &mut Reader<'a>, index: usize) -> Result<Self, GgufError> {
        let tensor = reader.name("tensor", index, MAX_TENSOR_NAME_BYTES)?;
        let rank = reader.u32("the rank of a tensor")?;
        if rank == 0 || rank > MAX_RANK as u32 {
            return Err(GgufError::BadShape {
                tensor: name(tensor.as_bytes()),
                rank,
            });
        }
        let mut dims = [1; MAX_RANK];
        for size in dims.iter_mut().take(rank as usize) {
            *size = reader.u64("a dimension of a tensor")?;
        }
        Ok(Self {
            name: tensor,
            rank,
            dims,
            ggml_type: reader.u32("the type of a tensor")?,
            offset: reader.u64("the offset of a tensor")?,
        })
    }

    /// The tensor and where in `data` it lies.
    fn check(
        &self,
        alignment: u32,
        data: &'a [u8],
    ) -> Result<(TensorInfo<'a>, core::ops::Range<usize>), GgufError> {
        let tensor = || name(self.name.as_bytes());
        if self.dims.contains(&0) {
            return Err(GgufError::BadShape {
                tensor: tensor(),
                rank: self.rank,
            });
        }
        let ty = TensorType::from_ggml(self.ggml_type).ok_or_else(|| {
            GgufError::UnsupportedTensorType {
                tensor: tensor(),
                name: ggml_type_name(self.ggml_type),
                ggml_type: self.ggml_type,
            }
        })?;
        let [columns, ..] = self.dims;
        if !columns.is_multiple_of(ty.block_len() as u64) {
            return Err(GgufError::RowNotWholeBlocks {
                tensor: tensor(),
                columns,
                block: ty.block_len(),
            });
        }
        let bytes = self
            .dims
            .iter()
            .try_fold(1_u64, |product, &size| product.checked_mul(size))
            .and_then(|elements| elements.checked_div(ty.block_len() as u64))
            .and_then(|blocks| blocks.checked_mul(ty.block_bytes() as u64))
            .ok_or_else(|| GgufError::TensorTooLarge { tensor: tensor() })?;
        if !self.offset.is_multiple_of(u64::from(alignment)) {
            return Err(GgufError::Misaligned {
                tensor: tensor(),
                offset: self.offset,
                alignment,
            });
        }
        let extent = self
            .offset
            .checked_add(bytes)
            .filter(|&end| end <= data.len() as u64)
            .and_then(|end| Some(usize::try_from(self.offset).ok()?..usize::try_from(end).ok()?));
        match extent.and_then(|extent| Some((data.get(extent.clone())?, extent))) {
            Some((data, extent)) => Ok((
                TensorInfo {
                    name: self.name,
                    ty,
                    rank: self.rank as usize,
                    dims: self.dims,
                    data,
                },
                extent,
            )),
            None => Err(GgufError::TensorOutOfFile {
                tensor: tensor(),
                offset: self.offset,
                bytes,
                available: data.len(),
            }),
        }
    }
}

/// ggml's names of tensor types, for the error about those that are not supported.
const fn ggml_type_name(ggml_type: u32) -> &'static str {
    match ggml_type {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        6 => "Q5_0",
        7 => "Q5_1",
        8 => "Q8_0",
        9 => "Q8_1",
        10 => "Q2_K",
        11 => "Q3_K",
        12 => "Q4_K",
        13 => "Q5_K",
        14 => "Q6_K",
        15 => "Q8_K",
        16 => "IQ2_XXS",
        17 => "IQ2_XS",
        18 => "IQ3_XXS",
        19 => "IQ1_S",
        20 => "IQ4_NL",
        21 => "IQ3_S",
        22 => "IQ2_S",
        23 => "IQ4_XS",
        24 => "I8",
        25 => "I16",
        26 => "I32",
        27 => "I64",
        28 => "F64",
        29 => "IQ1_M",
        30 => "BF16",
        34 => "TQ1_0",
        35 => "TQ2_0",
        39 => "MXFP4",
        _ => "unknown",
    }
}

/// Reads a value; of an array only its header, with the items still in front of the reader.
fn read_value<'a>(reader: &mut Reader<'a>, key: &'a str) -> Result<Value<'a>, GgufError> {
    let unknown = |value_type| GgufError::UnknownValueType {
        key: name(key.as_bytes()),
        value_type,
    };
    let number = reader.u32("the type of a metadata value")?;
    match ValueType::from_gguf(number).ok_or_else(|| unknown(number))? {
        ValueType::Array => {
            let number = reader.u32("the type of an array")?;
            let item_type = ValueType::from_gguf(number)
                .filter(|&item_type| item_type != ValueType::Array)
                .ok_or_else(|| unknown(number))?;
            let at = reader.at;
            let len = reader.u64("the length of an array")?;
            let items = reader.rest();
            let smallest = item_type.fixed_bytes().unwrap_or(8) as u64;
            let need = len.saturating_mul(smallest);
            match usize::try_from(len) {
                Ok(len) if need <= items.len() as u64 => Ok(Value::Array(Array {
                    key,
                    item_type,
                    len,
                    items,
                })),
                _ => Err(GgufError::Truncated {
                    what: "an array",
                    at,
                    need,
                    left: items.len(),
                }),
            }
        }
        scalar => read_scalar(reader, key, scalar),
    }
}

/// Reads a value that is no array.
fn read_scalar<'a>(
    reader: &mut Reader<'a>,
    key: &str,
    value_type: ValueType,
) -> Result<Value<'a>, GgufError> {
    const WHAT: &str = "a metadata value";
    Ok(match value_type {
        ValueType::U8 => Value::U8(u8::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::I8 => Value::I8(i8::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::U16 => Value::U16(u16::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::I16 => Value::I16(i16::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::U32 => Value::U32(u32::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::I32 => Value::I32(i32::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::U64 => Value::U64(u64::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::I64 => Value::I64(i64::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::F32 => Value::F32(f32::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::F64 => Value::F64(f64::from_le_bytes(reader.bytes(WHAT)?)),
        ValueType::String => Value::String(reader.string(WHAT)?),
        ValueType::Bool => match reader.bytes(WHAT)? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            [value] => {
                return Err(GgufError::BadBool {
                    key: name(key.as_bytes()),
                    value,
                });
            }
        },
        ValueType::Array => {
            return Err(GgufError::UnknownValueType {
                key: name(key.as_bytes()),
                value_type: value_type.to_gguf(),
            });
        }
    })
}

/// A place in the file. `at` never passes the end.
#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    fn take(&mut self, need: u64, what: &'static str) -> Result<&'a [u8], GgufError> {
        let rest = self.rest();
        let taken = usize::try_from(need).ok().and_then(|len| rest.get(..len));
        match taken {
            Some(taken) => {
                self.skip(taken.len());
                Ok(taken)
            }
            None => Err(GgufError::Truncated {
                what,
                at: self.at,
                need,
                left: rest.len(),
            }),
        }
    }

    /// Moves over `len` bytes that are known to be there.
    fn skip(&mut self, len: usize) {
        self.at = self.at.saturating_add(len).min(self.bytes.len());
    }

    fn bytes<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        let mut bytes = [0; N];
        bytes.copy_from_slice(self.take(N as u64, what)?);
        Ok(bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.bytes(what)?))
    }

    fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.bytes(what)?))
    }

    fn string(&mut self, what: &'static str) -> Result<&'a [u8], GgufError> {
        let len = self.u64(what)?;
        self.take(len, what)
    }

    fn name(
        &mut self,
        what: &'static str,
        index: usize,
        limit: usize,
    ) -> Result<&'a str, GgufError> {
        let text = self.string(what)?;
        core::str::from_utf8(text)
            .ok()
            .filter(|text| !text.is_empty() && text.len() <= limit)
            .ok_or(GgufError::BadName { what, index, limit })
    }

    fn count(&mut self, what: &'static str, limit: usize) -> Result<usize, GgufError> {
        let count = self.u64(what)?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= limit)
            .ok_or(GgufError::TooMany { what, count, limit })
    }

    /// Makes a place inside what is left a place in the file.
    fn rebase(&self, error: GgufError) -> GgufError {
        match error {
            GgufError::Truncated {
                what,
                at,
                need,
                left,
            } => GgufError::Truncated {
                what,
                at: at.saturating_add(self.at),
                need,
                left,
            },
            other => other,
        }
    }
}

/// Writes small files for tests, also wrong ones.
#[cfg(test)]
pub(crate) mod builder {
    use super::ValueType;
    use std::vec::Vec;

    /// A file in the making: sections are plain bytes, so that a test can put anything there.
    #[derive(Clone, Default)]
    pub(crate) struct Builder {
        keys: u64,
        key_bytes: Vec<u8>,
        tensors: u64,
        tensor_bytes: Vec<u8>,
        data: Vec<u8>,
    }

    pub(crate) fn string(text: &[u8]) -> Vec<u8> {
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(text);
        bytes
    }

    impl Builder {
        /// A metadata entry whose value is given as bytes.
        pub(crate) fn key(mut self, key: &str, value_type: u32, value: &[u8]) -> Self {
            self.keys += 1;
            self.key_bytes.extend(string(key.as_bytes()));
            self.key_bytes.extend(value_type.to_le_bytes());
            self.key_bytes.extend(value);
            self
        }

        pub(crate) fn u32(self, key: &str, value: u32) -> Self {
            self.key(key, ValueType::U32.to_gguf(), &value.to_le_bytes())
        }

        pub(crate) fn bool(self, key: &str, value: bool) -> Self {
            self.key(key, ValueType::Bool.to_gguf(), &[u8::from(value)])
        }

        pub(crate) fn str(self, key: &str, value: &str) -> Self {
            self.key(key, ValueType::String.to_gguf(), &string(value.as_bytes()))
        }

        pub(crate) fn array(
            self,
            key: &str,
            item_type: ValueType,
            items: impl IntoIterator<Item = Vec<u8>>,
        ) -> Self {
            let items: Vec<Vec<u8>> = items.into_iter().collect();
            let mut value = item_type.to_gguf().to_le_bytes().to_vec();
            value.extend((items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| value.extend(item));
            self.key(key, ValueType::Array.to_gguf(), &value)
        }

        pub(crate) fn tensor(
            mut self,
            name: &str,
            ggml_type: u32,
            dims: &[u64],
            offset: u64,
        ) -> Self {
            self.tensors += 1;
            self.tensor_bytes.extend(string(name.as_bytes()));
            self.tensor_bytes.extend((dims.len() as u32).to_le_bytes());
            dims.iter()
                .for_each(|size| self.tensor_bytes.extend(size.to_le_bytes()));
            self.tensor_bytes.extend(ggml_type.to_le_bytes());
            self.tensor_bytes.extend(offset.to_le_bytes());
            self
        }

        pub(crate) fn data(mut self, bytes: usize) -> Self {
            self.data.resize(bytes, 0x3C);
            self
        }

        pub(crate) fn build(&self) -> Vec<u8> {
            let mut file = b"GGUF\x03\0\0\0".to_vec();
            file.extend(self.tensors.to_le_bytes());
            file.extend(self.keys.to_le_bytes());
            file.extend(&self.key_bytes);
            file.extend(&self.tensor_bytes);
            if self.tensors > 0 {
                file.resize(file.len().next_multiple_of(32), 0);
            }
            file.extend(&self.data);
            file
        }
    }
}

#[cfg(test)]
mod tests {
    use super::builder::{Builder, string};
    use super::*;
    use proptest::prelude::*;
    use std::string::ToString;
    use std::vec::Vec;

    fn sample() -> Builder {
        Builder::default()
            .str("general.architecture", "llama")
            .u32("llama.block_count", 2)
            .bool("yes", true)
            .key("f", ValueType::F32.to_gguf(), &1.5_f32.to_le_bytes())
            .key("neg", ValueType::I64.to_gguf(), &(-1_i64).to_le_bytes())
            .key("small", ValueType::U8.to_gguf(), &[7])
            .array(
                "names",
                ValueType::String,
                [string(b"a"), string(b""), string("▁b".as_bytes())],
            )
            .array("floats", ValueType::F32, [1.0_f32.to_le_bytes().to_vec()])
            .tensor("a", 0, &[4, 2], 0)
            .tensor("b", 8, &[32], 32)
            .data(32 + 34)
    }

    fn refused(builder: &Builder) -> GgufError {
        Gguf::parse(&builder.build()).expect_err("refused")
    }

    #[test]
    fn values_and_tensors_are_found() {
        let file = sample().build();
        let gguf = Gguf::parse(&file).unwrap();
        assert_eq!(gguf.version(), 3);
        assert_eq!(gguf.str_of("general.architecture"), Ok("llama"));
        assert_eq!(gguf.u32_of("llama.block_count"), Ok(2));
        assert_eq!(gguf.u32_of("small"), Ok(7));
        assert_eq!(gguf.bool_of("yes"), Ok(true));
        assert_eq!(gguf.f32_of("f"), Ok(1.5));
        assert_eq!(gguf.u32_opt("none"), Ok(None));
        assert_eq!(gguf.keys().count(), 8);
        let names: Vec<_> = gguf.array("names").unwrap().strings().unwrap().collect();
        assert_eq!(names, [&b"a"[..], b"", "▁b".as_bytes()]);
        let floats: Vec<_> = gguf.array("floats").unwrap().f32s().unwrap().collect();
        assert_eq!(floats, [1.0]);
        assert_eq!(gguf.tensors().count(), 2);
        let a = gguf.tensor("a").unwrap();
        assert_eq!((a.columns(), a.rows(), a.rank), (4, 2, 2));
        assert_eq!(a.data.len(), 32);
        assert_eq!(gguf.require("b").unwrap().data.len(), 34);
    }

    #[test]
    fn errors_name_the_key_and_the_types() {
        let file = sample().build();
        let gguf = Gguf::parse(&file).unwrap();
        assert_eq!(
            gguf.u32_of("none").unwrap_err().to_string(),
            "the metadata key none is missing"
        );
        assert_eq!(
            gguf.u32_of("neg").unwrap_err().to_string(),
            "the metadata key neg has a value of type i64, \
             expected an integer from 0 to 4294967295"
        );
        assert!(matches!(
            gguf.array("floats").unwrap().strings().err(),
            Some(GgufError::WrongType { .. })
        ));
        assert!(matches!(
            gguf.require("c").err(),
            Some(GgufError::MissingTensor { tensor }) if tensor == "c"
        ));
    }

    #[test]
    fn version_2_is_read_and_others_are_refused() {
        let mut file = sample().build();
        file[4] = 2;
        assert_eq!(Gguf::parse(&file).unwrap().version(), 2);
        for version in [0_u32, 1, 4, 3 << 24] {
            file[4..8].copy_from_slice(&version.to_le_bytes());
            assert_eq!(
                Gguf::parse(&file).err(),
                Some(GgufError::UnsupportedVersion { version })
            );
        }
        assert_eq!(Gguf::parse(b"GGML").err(), Some(GgufError::NotGguf));
        assert_eq!(Gguf::parse(b"").err(), Some(GgufError::NotGguf));
    }

    #[test]
    fn a_file_that_is_cut_anywhere_is_refused() {
        let file = sample().build();
        for len in 0..file.len() {
            assert!(Gguf::parse(&file[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn counts_beyond_the_limits_are_refused_before_they_are_used() {
        let mut file = sample().build();
        file[8..16].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(matches!(
            Gguf::parse(&file).err(),
            Some(GgufError::TooMany {
                what: "tensors",
                ..
            })
        ));
        let mut file = sample().build();
        file[16..24].copy_from_slice(&(MAX_KEYS as u64 + 1).to_le_bytes());
        assert!(matches!(
            Gguf::parse(&file).err(),
            Some(GgufError::TooMany {
                what: "metadata keys",
                ..
            })
        ));
    }

    #[test]
    fn lengths_that_the_file_does_not_have_are_refused() {
        for len in [1_u64 << 32, 1 << 61, u64::MAX] {
            for item_type in [0_u32, 6, 8, 10] {
                let mut value = item_type.to_le_bytes().to_vec();
                value.extend(len.to_le_bytes());
                let array = Builder::default().key("k", 9, &value);
                assert!(matches!(refused(&array), GgufError::Truncated { .. }));
            }
            let string = Builder::default().key("k", 8, &len.to_le_bytes());
            assert!(matches!(refused(&string), GgufError::Truncated { .. }));
        }
    }

    #[test]
    fn wrong_metadata_is_refused_by_name() {
        let twice = Builder::default().u32("k", 1).u32("k", 1);
        assert!(matches!(refused(&twice), GgufError::DuplicateKey { key } if key == "k"));
        let unknown = Builder::default().key("k", 13, &[]);
        assert!(matches!(
            refused(&unknown),
            GgufError::UnknownValueType { value_type: 13, .. }
        ));
        let nested = Builder::default().array("k", ValueType::Array, []);
        assert!(matches!(
            refused(&nested),
            GgufError::UnknownValueType { .. }
        ));
        let bad_bool = Builder::default().key("k", 7, &[2]);
        assert!(matches!(
            refused(&bad_bool),
            GgufError::BadBool { value: 2, .. }
        ));
        let bad_bools = Builder::default().array("k", ValueType::Bool, [vec_of(0), vec_of(3)]);
        assert!(matches!(
            refused(&bad_bools),
            GgufError::BadBool { value: 3, .. }
        ));
        let nameless = Builder::default().u32("", 1);
        assert!(matches!(refused(&nameless), GgufError::BadName { .. }));
        for alignment in [0, 3, MAX_ALIGNMENT * 2] {
            let odd = Builder::default().u32("general.alignment", alignment);
            assert_eq!(refused(&odd), GgufError::BadAlignment { alignment });
        }
    }

    fn vec_of(byte: u8) -> Vec<u8> {
        [byte].to_vec()
    }

    #[test]
    fn wrong_tensors_are_refused_by_name() {
        let tensor = |ggml_type, dims: &[u64], offset| {
            refused(
                &Builder::default()
                    .tensor("first", 0, &[8], 0)
                    .tensor("t", ggml_type, dims, offset)
                    .data(256),
            )
        };
        assert!(matches!(tensor(0, &[8], 16), GgufError::Misaligned { .. }));
        assert!(matches!(tensor(0, &[8], 0), GgufError::Overlap { .. }));
        assert!(matches!(
            tensor(0, &[8], 256),
            GgufError::TensorOutOfFile { .. }
        ));
        assert!(matches!(
            tensor(0, &[8], u64::MAX - 31),
            GgufError::TensorOutOfFile { .. }
        ));
        assert!(matches!(
            tensor(8, &[33], 32),
            GgufError::RowNotWholeBlocks { .. }
        ));
        assert!(matches!(tensor(0, &[], 32), GgufError::BadShape { .. }));
        assert!(matches!(tensor(0, &[1; 5], 32), GgufError::BadShape { .. }));
        assert!(matches!(tensor(0, &[4, 0], 32), GgufError::BadShape { .. }));
        assert!(matches!(
            tensor(0, &[1 << 40, 1 << 40], 32),
            GgufError::TensorTooLarge { .. }
        ));
        assert_eq!(
            tensor(18, &[256], 32).to_string(),
            "the tensor t has type IQ3_XXS (18), which is not supported"
        );
        let twice = Builder::default()
            .tensor("t", 0, &[8], 0)
            .tensor("t", 0, &[8], 32)
            .data(64);
        assert!(matches!(refused(&twice), GgufError::DuplicateTensor { tensor } if tensor == "t"));
    }

    #[test]
    fn tensors_may_be_listed_in_any_order() {
        let file = Builder::default()
            .tensor("late", 0, &[8], 32)
            .tensor("early", 0, &[8], 0)
            .data(64)
            .build();
        assert_eq!(Gguf::parse(&file).unwrap().tensors().count(), 2);
    }

    /// Uses every accessor.
    fn walk(file: &[u8]) {
        let Ok(gguf) = Gguf::parse(file) else { return };
        for (key, value) in gguf.keys() {
            assert!(gguf.get(key).is_some());
            let _ = (gguf.u32_of(key), gguf.f32_of(key), gguf.bool_of(key));
            let _ = gguf.str_of(key);
            if let Value::Array(array) = value {
                assert_eq!(array.values().count(), array.len());
            }
        }
        assert_eq!(gguf.tensors().count(), gguf.tensor_count());
        for tensor in gguf.tensors() {
            assert!(gguf.tensor(tensor.name).is_some());
            assert_eq!(tensor.elements() % tensor.ty.block_len() as u64, 0);
        }
    }

    #[test]
    fn the_largest_lists_of_keys_and_tensors_are_read_quickly() {
        let mut builder = Builder::default();
        for key in 0..MAX_KEYS {
            builder = builder.u32(&std::format!("key.{key}"), 1);
        }
        for tensor in 0..MAX_TENSORS {
            // Descending offsets, so that each is compared with all others.
            let offset = 32 * (MAX_TENSORS - 1 - tensor) as u64;
            builder = builder.tensor(&std::format!("blk.{tensor}"), 0, &[8], offset);
        }
        let file = builder.data(32 * MAX_TENSORS).build();
        let begun = std::time::Instant::now();
        walk(&file);
        assert!(begun.elapsed().as_secs() < 20);
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(
            mut file in proptest::collection::vec(any::<u8>(), 0..512),
            header: bool,
        ) {
            if header && file.len() >= 24 {
                file[..8].copy_from_slice(b"GGUF\x03\0\0\0");
                // Small counts, so that the lists are reached.
                file[9..16].fill(0);
                file[17..24].fill(0);
            }
            walk(&file);
        }

        #[test]
        fn any_change_to_a_file_is_parsed_or_refused(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
            cut in any::<proptest::sample::Index>(),
        ) {
            let mut file = sample().build();
            for (index, byte) in changes {
                let at = index.index(file.len());
                file[at] = byte;
            }
            walk(&file);
            let len = cut.index(file.len());
            walk(&file[..len]);
        }
    }
}
