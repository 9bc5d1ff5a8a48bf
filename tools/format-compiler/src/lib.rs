//! Compiles formats on the host: what a policy or a command line says becomes the smallest automaton of its language.
//!
//! Everything becomes a regular expression in the end, but a list of choices, which is an automaton as it is. A format is
//! always the whole answer: `a|b` is the texts `a` and `b`, as if it stood between `^` and `$`.

mod count;
mod regex;
mod schema;

pub use count::{Sayable, sayable};
pub use schema::{Problem, SchemaError};

use formats::encode::{EncodeError, Encoded, words};

/// What a format is made of.
#[derive(Clone, Copy, Debug)]
pub enum Source<'s> {
    /// These texts alone.
    Choices(&'s [String]),
    /// The texts that match, as a whole, in the syntax of the crate `regex`.
    Regex(&'s str),
    /// The values of a JSON schema, each in one way of writing; the text of its file. See [`schema`](self).
    JsonSchema(&'s str),
}

/// Why there is no format.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// There are no choices.
    #[error("there are no choices")]
    NoChoices,
    /// A choice that is empty.
    #[error("choice {choice} is empty")]
    EmptyChoice {
        /// Which, from 1.
        choice: usize,
    },
    /// A choice that is there twice.
    #[error("choice {choice} ({text:?}) is there twice")]
    SameChoice {
        /// The second, from 1.
        choice: usize,
        /// Its text.
        text: String,
    },
    /// A regular expression that is none, or asks for what no automaton has.
    #[error("{0}")]
    Regex(String),
    /// A regular expression whose automaton is far too large.
    #[error(
        "the automaton is too large even to be made smaller: bound or shorten its repetitions, those of classes of Unicode \
         above all"
    )]
    Large,
    /// A schema that is wrong or cannot be expressed.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// No format.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Compiles a format.
///
/// # Errors
/// What is wrong with it.
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
