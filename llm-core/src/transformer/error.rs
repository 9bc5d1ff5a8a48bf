//! Why a model cannot be loaded.

use super::plan::Plan;
use crate::arena::ArenaError;
use crate::chat::ScaffoldError;
use crate::gguf::{GgufError, KeyError, Name};
use crate::tokenizer::VocabularyError;

/// Why a model cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is not GGUF, or lacks a key.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// The vocabulary is invalid.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The file's chat scaffold is invalid.
    #[error(transparent)]
    Scaffold(#[from] ScaffoldError),
    /// A key of the architecture is unknown, or has an unsupported value.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The architecture is not supported.
    #[error("the architecture {0} is not supported ({names} are)", names = super::config::Names)]
    Architecture(Name),
    /// A key has an unsupported value.
    #[error("{key} = {value} is not supported")]
    Value {
        /// The key.
        key: Name,
        /// Its value.
        value: u64,
    },
    /// A key must have a finite number above 0, but has not.
    #[error("{0} is not a finite number above 0")]
    NotPositive(Name),
    /// A key names an unsupported method.
    #[error("{key} = {value} is not supported")]
    Method {
        /// The key.
        key: Name,
        /// The method's name.
        value: Name,
    },
    /// An array does not have one item per block.
    #[error("{key} is an array of {items} items: there must be {blocks}, one for each block")]
    Items {
        /// The key.
        key: Name,
        /// Number of its items.
        items: usize,
        /// Number of the model's blocks.
        blocks: usize,
    },
    /// An array of booleans per block contains other items.
    #[error("{0} has items that are neither bools nor integers")]
    NotTruths(Name),
    /// A tensor is unknown to the architecture, and could change the result.
    #[error("the tensor {0} is not supported")]
    UnknownTensor(Name),
    /// A tensor has the wrong shape.
    #[error("the tensor {tensor} is {columns} x {rows}, not {expected_columns} x {expected_rows}")]
    Shape {
        /// The tensor.
        tensor: Name,
        /// Its columns.
        columns: u64,
        /// Its rows.
        rows: u64,
        /// Columns required.
        expected_columns: u64,
        /// Rows required.
        expected_rows: u64,
    },
    /// A tensor's type is not supported for its purpose.
    #[error("the tensor {tensor} has type {ty}, which is not supported there")]
    Type {
        /// The tensor.
        tensor: Name,
        /// Its type.
        ty: &'static str,
    },
    /// A weight or a scale is infinite or NaN.
    #[error("the tensor {0} holds a value that is not finite")]
    NonFinite(Name),
    /// The model does not fit the arena.
    #[error("the model needs {} bytes, the arena has {}", .0.total(), .0.capacity)]
    TooLarge(Plan),
    /// An arena error: the plan was wrong, which is a bug in the engine.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}
