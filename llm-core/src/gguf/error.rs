//! Why a file is refused.

use super::{Foreign, MAX_ALIGNMENT, Name};

/// Why a file is refused, or why it has not the value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GgufError {
    /// The first four bytes are not `GGUF`.
    #[error("not a GGUF file: it does not begin with \"GGUF\"")]
    NotGguf,
    /// A file of another format.
    #[error("{0}")]
    Foreign(Foreign),
    /// Version 1, which files of August 2023 have.
    #[error(
        "this is a GGUF file of version 1 (August 2023), 2 and 3 are read: download a newer one, or \
         convert the original again with llama.cpp's convert_hf_to_gguf.py"
    )]
    FirstVersion,
    /// Numbers in the order of bytes of a big-endian machine.
    #[error(
        "this is a big-endian GGUF file, little-endian ones are read: download that one, or convert \
         it with `gguf-convert-endian FILE little` of Python's package gguf"
    )]
    BigEndian,
    /// A version later than those that are read.
    #[error("GGUF version {version} is not supported: 2 and 3 are")]
    UnsupportedVersion {
        /// What the header says.
        version: u32,
    },
    /// One of several files that make a model together.
    #[error(
        "this is part {part} of {parts} of a split model: join them with llama.cpp's \
         `llama-gguf-split --merge FIRST-PART OUT.gguf`"
    )]
    Split {
        /// Which one, from 1.
        part: u32,
        /// How many there are.
        parts: u32,
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
    /// More keys than [`MAX_KEYS`](super::MAX_KEYS), or more tensors than [`MAX_TENSORS`](super::MAX_TENSORS).
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
    #[error(
        "the metadata key {key} has a value of type {value_type}, which is not supported there"
    )]
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
    /// A number is given for each block, and they are not all the same, or of another count.
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

impl GgufError {
    /// Whether the file is something else than a whole GGUF model of a version that is read, rather than
    /// a model that is damaged.
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
