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
//! The rule that keeps this safe: [`Gguf::parse`] is the only way in. It walks the whole structure once and checks
//! every length, count, offset and type against the bytes that exist, so the accessors need not. Work is bounded by the
//! file's size and the limits below. A length is compared with the rest of the file before it is used.

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

mod access;
#[cfg(test)]
pub(crate) mod builder;
mod error;
mod foreign;
mod keys;
mod reader;
mod tensor;
#[cfg(test)]
mod tests;
mod value;

pub use error::GgufError;
pub use foreign::Foreign;
pub use keys::{Effect, KeyError, KnownKey, check_keys};
pub use value::{Array, Value, ValueType};

use crate::quantize::TensorType;
use reader::{Reader, read_value};
use tensor::RawTensor;

/// Maximum number of metadata keys. Files of llama.cpp have 20 to 60. Each costs 4 bytes of the [`Gguf`] value, and
/// duplicates are found by comparing pairs.
pub const MAX_KEYS: usize = 512;

/// Maximum number of tensors. A model of 100 layers has about 1000. Names and extents are compared in pairs, so this
/// limits a hostile file to half a million comparisons.
pub const MAX_TENSORS: usize = 1024;

/// Longest metadata key in bytes; the format allows 65535, but no known key has more than 64.
pub const MAX_KEY_BYTES: usize = 256;

/// Longest tensor name in bytes, as in ggml (`GGML_MAX_NAME` less the terminator).
pub const MAX_TENSOR_NAME_BYTES: usize = 63;

/// Maximum number of dimensions of a tensor, as in ggml (`GGML_MAX_DIMS`).
pub const MAX_RANK: usize = 4;

/// Largest alignment of tensor data in bytes (64 KiB). The usual value is 32.
pub const MAX_ALIGNMENT: u32 = 1 << 16;

/// Alignment of tensor data if the file specifies none.
const DEFAULT_ALIGNMENT: u32 = 32;

/// A key's or tensor's name inside an error: cut at 64 bytes.
pub type Name = heapless::String<64>;

/// The first 64 bytes of `text` for an error; control characters become `?`.
#[must_use]
pub fn name(text: &str) -> Name {
    let mut name = Name::new();
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

/// A tensor in the file.
#[derive(Clone, Copy, Debug)]
pub struct TensorInfo<'a> {
    /// Its name, for example `blk.0.attn_q.weight`.
    pub name: &'a str,
    /// Type of its elements.
    pub ty: TensorType,
    /// Number of dimensions in the file, 1 to 4.
    pub rank: usize,
    /// Sizes in ggml's order, `dims[0]` being the length of a row; 1 beyond the rank.
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

/// A model file whose structure was checked.
#[derive(Clone, Debug)]
pub struct Gguf<'a> {
    file: &'a [u8],
    version: u32,
    alignment: u32,
    /// Offset of each metadata entry.
    keys: heapless::Vec<u32, MAX_KEYS>,
    /// Offset of the list of tensors.
    tensors_at: usize,
    tensor_count: usize,
    /// Tensor data; tensor offsets are relative to it.
    data: &'a [u8],
}

impl<'a> Gguf<'a> {
    /// Parses `file` and checks its structure.
    ///
    /// # Errors
    /// The first error; see [`GgufError`].
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
            return Err(Foreign::recognise(file).map_or(GgufError::NotGguf, GgufError::Foreign));
        }
        reader.take(4, "the magic number")?;
        let version = reader.u32("the version")?;
        match version {
            2 | 3 => {}
            1 => return Err(GgufError::FirstVersion),
            // The same test as in llama.cpp: a small number with its bytes reversed.
            _ if version & 0xFFFF == 0 && version != 0 => return Err(GgufError::BigEndian),
            _ => return Err(GgufError::UnsupportedVersion { version }),
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
        gguf.refuse_split()?;
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

    /// All metadata, in file order.
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

    /// Number of tensors.
    #[must_use]
    pub const fn tensor_count(&self) -> usize {
        self.tensor_count
    }

    /// All tensors, in file order.
    pub fn tensors(&self) -> impl Iterator<Item = TensorInfo<'a>> + '_ {
        self.tensors_with_offsets().map(|(tensor, _)| tensor)
    }

    /// The tensor with this name.
    #[must_use]
    pub fn tensor(&self, name: &str) -> Option<TensorInfo<'a>> {
        self.tensors().find(|tensor| tensor.name == name)
    }

    /// Index of the tensor with this name, in file order.
    #[must_use]
    pub fn tensor_index(&self, name: &str) -> Option<usize> {
        self.tensors().position(|tensor| tensor.name == name)
    }

    /// The tensor with this name, or an error if it is missing.
    ///
    /// # Errors
    /// [`GgufError::MissingTensor`].
    pub fn require(&self, tensor: &str) -> Result<TensorInfo<'a>, GgufError> {
        self.tensor(tensor).ok_or_else(|| GgufError::MissingTensor {
            tensor: name(tensor),
        })
    }

    /// Reads the metadata section and records where each entry begins.
    fn read_keys(&mut self, reader: &mut Reader<'a>, count: usize) -> Result<(), GgufError> {
        for index in 0..count {
            let at = reader.at;
            let key = reader.name("metadata key", index, MAX_KEY_BYTES)?;
            if self
                .keys
                .iter()
                .any(|&other| self.key_at(other as usize) == Some(key))
            {
                return Err(GgufError::DuplicateKey { key: name(key) });
            }
            if let Value::Array(array) = read_value(reader, key)? {
                reader.skip(array.bytes().map_err(|error| reader.rebase(error))?);
            }
            // Cannot fail: `count` is at most `MAX_KEYS`, and the file is shorter than 4 GiB.
            let _ = self.keys.push(u32::try_from(at).unwrap_or(u32::MAX));
        }
        Ok(())
    }

    /// Refuses a part of a split model, because it has only some of the tensors.
    fn refuse_split(&self) -> Result<(), GgufError> {
        let parts = self.u32_opt("split.count")?.unwrap_or(0);
        if parts > 1 {
            let part = self.u32_opt("split.no")?.unwrap_or(0).saturating_add(1);
            return Err(GgufError::Split { part, parts });
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

        // The end of the tensors so far. Tensors in ascending order, as every known writer has them, need no comparison
        // with all earlier ones.
        let mut frontier = 0;
        let mut reader = self.tensor_reader();
        for index in 0..self.tensor_count {
            let raw = RawTensor::read(&mut reader, index)?;
            let (tensor, extent) = raw.check(self.alignment, self.data)?;
            let ascending = extent.start >= frontier;
            for (other, taken) in self.tensors_with_offsets().take(index) {
                if other.name == tensor.name {
                    return Err(GgufError::DuplicateTensor {
                        tensor: name(tensor.name),
                    });
                }
                if !ascending && extent.start < taken.end && taken.start < extent.end {
                    return Err(GgufError::Overlap {
                        tensor: name(tensor.name),
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

    /// Tensors and their offsets in the data section.
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
}
