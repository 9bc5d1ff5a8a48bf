//! Why a model is not loaded.

use super::plan::Plan;
use crate::arena::ArenaError;
use crate::chat::ScaffoldError;
use crate::gguf::{GgufError, KeyError, Name};
use crate::tokenizer::VocabularyError;

/// Why a model is not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is no GGUF file, or lacks a key.
    #[error(transparent)]
    Gguf(#[from] GgufError),
    /// Its vocabulary is wrong.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The scaffold that it brings for conversations is wrong.
    #[error(transparent)]
    Scaffold(#[from] ScaffoldError),
    /// A key of the architecture is not known, or has a value that the engine cannot honour.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// An architecture that the engine does not have.
    #[error("the architecture {0} is not supported ({names} are)", names = super::config::Names)]
    Architecture(Name),
    /// A key has a value that the engine cannot work with.
    #[error("{key} = {value} is not supported")]
    Value {
        /// The key.
        key: Name,
        /// Its value.
        value: u64,
    },
    /// A key has no finite number above 0, but must.
    #[error("{0} is not a finite number above 0")]
    NotPositive(Name),
    /// A key names a method that the engine does not have.
    #[error("{key} = {value} is not supported")]
    Method {
        /// The key.
        key: Name,
        /// What it names.
        value: Name,
    },
    /// An array has not one item for each block.
    #[error("{key} is an array of {items} items: there must be {blocks}, one for each block")]
    Items {
        /// The key.
        key: Name,
        /// Items that it has.
        items: usize,
        /// Blocks of the model.
        blocks: usize,
    },
    /// An array that says yes or no for each block has other items.
    #[error("{0} has items that are neither bools nor integers")]
    NotTruths(Name),
    /// A tensor that the architecture does not have, and that would change its result.
    #[error("the tensor {0} is not supported")]
    UnknownTensor(Name),
    /// A tensor has the wrong shape.
    #[error("the tensor {tensor} is {columns} x {rows}, not {expected_columns} x {expected_rows}")]
    Shape {
        /// The tensor.
        tensor: Name,
        /// Columns that it has.
        columns: u64,
        /// Rows that it has.
        rows: u64,
        /// Columns that it should have.
        expected_columns: u64,
        /// Rows that it should have.
        expected_rows: u64,
    },
    /// A tensor has a type that it cannot have in its place.
    #[error("the tensor {tensor} has type {ty}, which is not supported there")]
    Type {
        /// The tensor.
        tensor: Name,
        /// Its type.
        ty: &'static str,
    },
    /// A weight or a scale is infinite or no number.
    #[error("the tensor {0} holds a value that is not finite")]
    NonFinite(Name),
    /// It does not fit the arena.
    #[error("the model needs {} bytes, the arena has {}", .0.total(), .0.capacity)]
    TooLarge(Plan),
    /// The arena's own error: the plan was wrong, which is a bug in the engine.
    #[error(transparent)]
    Arena(#[from] ArenaError),
}
