//! The format that `generate` binds an answer to.

use std::path::Path;

use format_compiler::{Source, compile};
use formats::Formats;
use formats::encode::{Encoded, image};
use llm_core::constrain::{Format, FormatTable};

use crate::args::run::FormatArg;
use crate::error::ToolError;
use crate::files;

/// A format as the engine reads it.
#[derive(Debug, Default)]
pub struct AnswerFormat {
    image: Vec<u8>,
    costs: Vec<u16>,
}

impl AnswerFormat {
    /// What the arguments ask for.
    ///
    /// # Errors
    /// There is no such file, or it is no format.
    pub fn new(arguments: &FormatArg) -> Result<Self, ToolError> {
        let encoded = match arguments {
            FormatArg { choices, .. } if !choices.is_empty() => compile(Source::Choices(choices))?,
            FormatArg {
                format_regex: Some(regex),
                ..
            } => compile(Source::Regex(regex))?,
            FormatArg {
                json_schema: Some(path),
                ..
            } => from_schema(path)?,
            _ => return Ok(Self::default()),
        };
        Ok(Self {
            costs: vec![0; encoded.states()],
            image: image([("answer", &encoded)])?,
        })
    }

    /// The table of this format alone, and what a turn names it by; `None`: any text.
    pub fn table(&mut self) -> Option<(FormatTable<'_>, Format)> {
        let formats = Formats::read(&self.image).ok()?;
        let table = FormatTable::new(formats, &mut self.costs)?;
        Some((table, Format::Named(0)))
    }
}

fn from_schema(path: &Path) -> Result<Encoded, ToolError> {
    let wrong = |reason: String| ToolError::Schema {
        path: path.to_path_buf(),
        reason,
    };
    let content = files::read(path)?;
    let text =
        str::from_utf8(&content).map_err(|_| wrong("not UTF-8: save it as UTF-8".to_owned()))?;
    compile(Source::JsonSchema(text)).map_err(|error| wrong(error.to_string()))
}
