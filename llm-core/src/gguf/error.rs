//! Why a file is refused.

use super::{Foreign, MAX_ALIGNMENT, Name};

/// Why a file is refused, or does not have the requested value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// The first four bytes are not `GGUF`.
    #[error("not a GGUF file: it does not begin with \"GGUF\"")]
    NotGguf,
    /// The file has another format.
    #[error("{0}")]
    Foreign(Foreign),
    /// The file has version 1, from August 2023.
    #[error(
        "this is a GGUF file of version 1 (August 2023), 2 and 3 are read: download a newer one, or \
         convert the original again with llama.cpp's convert_hf_to_gguf.py"
    )]
    FirstVersion,
    /// The file is big-endian.
    #[error(
        "this is a big-endian GGUF file, little-endian ones are read: download that one, or convert \
         it with `gguf-convert-endian FILE little` of Python's package gguf"
    )]
    BigEndian,
    /// The version is too new.
    #[error("GGUF version {version} is not supported: 2 and 3 are")]
    UnsupportedVersion {
        /// Version in the header.
        version: u32,
    },
    /// The file is one part of a split model.
    #[error(
        "this is part {part} of {parts} of a split model: join them with llama.cpp's \
         `llama-gguf-split --merge FIRST-PART OUT.gguf`"
    )]
    Split {
        /// Number of the part, from 1.
        part: u32,
        /// Number of parts.
        parts: u32,
    },
    /// The file is truncated.
    #[error("the file is cut off: {what} at byte {at} needs {need} bytes, {left} are left")]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it begins, in bytes.
        at: usize,
        /// Its size in bytes, according to the file.
        need: u64,
        /// Bytes left in the file.
        left: usize,
    },
    /// There are more keys than [`MAX_KEYS`](super::MAX_KEYS), or more tensors than
    /// [`MAX_TENSORS`](super::MAX_TENSORS).
    #[error("{count} {what}, but at most {limit} are supported")]
    TooMany {
        /// "metadata keys" or "tensors".
        what: &'static str,
        /// Number in the header.
        count: u64,
        /// The limit.
        limit: usize,
    },
    /// The file is too large for 32-bit offsets.
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
    /// Two metadata entries have the same key.
    #[error("the metadata key {key} occurs twice")]
    DuplicateKey {
        /// The key.
        key: Name,
    },
    /// A value type that the format does not define, or an array of arrays.
    #[error(
        "the metadata key {key} has a value of type {value_type}, which is not supported there"
    )]
    UnknownValueType {
        /// The key.
        key: Name,
        /// The type's number.
        value_type: u32,
    },
    /// A boolean is neither 0 nor 1.
    #[error("the metadata key {key} is a bool with the value {value}")]
    BadBool {
        /// The key.
        key: Name,
        /// Its byte.
        value: u8,
    },
    /// `general.alignment` is not a power of two up to [`MAX_ALIGNMENT`].
    #[error("general.alignment is {alignment}: not a power of two up to {MAX_ALIGNMENT}")]
    BadAlignment {
        /// Value in the file.
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
        /// Type that was requested.
        expected: &'static str,
        /// Type in the file.
        found: &'static str,
    },
    /// An array with one number per block has the wrong length, or unequal numbers where they must be equal.
    #[error(
        "{key} is an array of {len} items: only {items} equal ones, one for each block, are supported"
    )]
    Uneven {
        /// The key.
        key: Name,
        /// Its length.
        len: usize,
        /// Blocks of the model.
        items: usize,
    },
    /// Two tensors have the same name.
    #[error("the tensor {tensor} occurs twice")]
    DuplicateTensor {
        /// The tensor.
        tensor: Name,
    },
    /// A tensor has no dimensions, more than four, or an empty one.
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
    /// The engine does not support a tensor's type.
    #[error("the tensor {tensor} has type {name} ({ggml_type}), which is not supported")]
    UnsupportedTensorType {
        /// The tensor.
        tensor: Name,
        /// ggml's name of the type, or "unknown".
        name: &'static str,
        /// ggml's number of the type.
        ggml_type: u32,
    },
    /// A tensor's rows are not whole blocks.
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
    /// A tensor's data is not entirely in the file.
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
        /// The one later in the file's list.
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

impl GgufError {
    /// Whether the file is something other than a complete GGUF model of a supported version, as opposed to a damaged
    /// one.
    #[must_use]
    pub const fn is_other_file(&self) -> bool {
        matches!(
            self,
            Self::NotGguf
                | Self::Foreign(_)
                | Self::FirstVersion
                | Self::BigEndian
                | Self::UnsupportedVersion { .. }
                | Self::Split { .. }
        )
    }
}
