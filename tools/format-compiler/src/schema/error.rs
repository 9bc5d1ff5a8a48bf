//! Errors in a schema.

use super::{MAX_DEPTH, MAX_REFERENCES};

/// Why a schema cannot be a format.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file is not JSON.
    #[error("the schema is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Part of it is wrong or cannot be expressed.
    #[error("the schema at {pointer}: {problem}")]
    At {
        /// Its location, as a JSON pointer.
        pointer: String,
        /// The problem.
        problem: Problem,
    },
}

/// What is wrong with a part of a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A keyword is not supported.
    #[error("\"{0}\" is not supported here")]
    Keyword(String),
    /// A keyword has an invalid value.
    #[error("\"{keyword}\" has to be {expected}")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// The value is not a schema.
    #[error("a schema must be an object, true or false")]
    NoSchema,
    /// The schema allows any value.
    #[error("any value is allowed, which no automaton can describe: give its \"type\"")]
    Anything,
    /// The schema allows no value.
    #[error("no value is allowed")]
    Nothing,
    /// The branches of `oneOf` may overlap.
    #[error(
        "values of two branches of \"oneOf\" could be the same: let them differ in type, or by a constant member, or use \
         \"anyOf\""
    )]
    Overlap,
    /// A reference has no target.
    #[error("there is no {0}")]
    NoReference(String),
    /// A reference is cyclic.
    #[error("{0} refers to itself: values of any depth are not a regular language")]
    Circle(String),
    /// There is a chain of too many references.
    #[error("{0} is reached through a chain of more than {MAX_REFERENCES} references: use fewer")]
    Chain(String),
    /// Schemas are nested too deeply.
    #[error("this is nested more than {MAX_DEPTH} steps deep: nest schemas less deeply")]
    Deep,
    /// A required member is not described.
    #[error("the required \"{0}\" is not among the properties")]
    NoProperty(String),
    /// The expression is too long.
    #[error("the schema is too large")]
    Large,
}
