//! Compiles formats on the host: turns a policy or a command line into the minimal automaton of the language.
//!
//! Everything is first converted to a regular expression, except a list of choices, which is already an automaton. A
//! format always describes the whole answer: `a|b` is the texts `a` and `b`, as if it stood between `^` and `$`.

mod count;
mod regex;
mod schema;

pub use count::{Sayable, sayable};
pub use schema::{Problem, SchemaError};

use formats::encode::{EncodeError, Encoded, words};

/// Source of a format.
#[derive(Clone, Copy, Debug)]
pub enum Source<'s> {
    /// Exactly these texts.
    Choices(&'s [String]),
    /// The texts that match completely, in the syntax of the crate `regex`.
    Regex(&'s str),
    /// The values of a JSON schema, each in one notation; the text of its file. See [`schema`](self).
    JsonSchema(&'s str),
}

/// Why a format cannot be compiled.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// There are no choices.
    #[error("there are no choices")]
    NoChoices,
    /// A choice is empty.
    #[error("choice {choice} is empty")]
    EmptyChoice {
        /// Its number, from 1.
        choice: usize,
    },
    /// Two choices are the same.
    #[error("choice {choice} ({text:?}) is given twice")]
    SameChoice {
        /// Number of the second one, from 1.
        choice: usize,
        /// Its text.
        text: String,
    },
    /// The regular expression is invalid, or needs more than an automaton.
    #[error("{0}")]
    Regex(String),
    /// The automaton of the regular expression is far too large.
    #[error(
        "the automaton is too large even to be minimized: bound or shorten its repetitions, especially those of Unicode \
         classes"
    )]
    Large,
    /// The schema is wrong or cannot be expressed.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The automaton cannot be a format.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Compiles a format.
///
/// # Errors
/// The format is invalid or too large.
pub fn compile(source: Source<'_>) -> Result<Encoded, CompileError> {
    let table = match source {
        Source::Choices(choices) => {
            check_choices(choices)?;
            let choices: Vec<&[u8]> = choices.iter().map(|text| text.as_bytes()).collect();
            words(&choices)
        }
        Source::Regex(pattern) => regex::table(pattern)?,
        Source::JsonSchema(text) => regex::table(&schema::to_regex(text)?)?,
    };
    Ok(Encoded::new(&table)?)
}

fn check_choices(choices: &[String]) -> Result<(), CompileError> {
    if choices.is_empty() {
        return Err(CompileError::NoChoices);
    }
    for (at, text) in choices.iter().enumerate() {
        let choice = at + 1;
        if text.is_empty() {
            return Err(CompileError::EmptyChoice { choice });
        }
        if choices[..at].contains(text) {
            let text = text.clone();
            return Err(CompileError::SameChoice { choice, text });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
