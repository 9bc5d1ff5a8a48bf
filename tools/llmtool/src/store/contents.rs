//! Identifies a file for the store by its contents, and checks it.

use std::path::Path;

use llm_core::gguf::Gguf;
use llm_core::hash::sha256;
use llm_core::transformer::{AdapterError, AdapterFile, Checked};
use protocol::limits::MAX_DATA_BYTES;
use protocol::store::{Content, DATA_SUFFIXES};
use serde::Deserialize;

use crate::engine::check_runs;
use crate::error::{DataError, ToolError};

/// A checked file.
#[derive(Debug)]
pub enum Contents<'f> {
    /// A model that runs.
    Model(Box<Checked<'f>>),
    /// An adapter, for any model.
    Adapter(Box<AdapterFile<'f>>),
    /// Training data.
    Data,
}

impl<'f> Contents<'f> {
    /// Identifies training data by its file name, and an adapter by its `general.type`; anything else must be a model.
    ///
    /// # Errors
    /// The file is invalid.
    pub fn of(path: &Path, bytes: &'f [u8]) -> Result<Self, ToolError> {
        if data_suffix(path).is_some() {
            return match check_data(bytes) {
                Ok(()) => Ok(Self::Data),
                Err(source) => Err(ToolError::Data {
                    path: path.to_path_buf(),
                    source: Box::new(source),
                }),
            };
        }
        match is_adapter(bytes) {
            true => match AdapterFile::read(bytes) {
                Ok(adapter) => Ok(Self::Adapter(Box::new(adapter))),
                Err(source) => Err(adapter_error(path, source)),
            },
            false => Ok(Self::Model(Box::new(check_runs(path, bytes)?))),
        }
    }

    /// The adapter, if it is one.
    #[must_use]
    pub fn adapter(&self) -> Option<&AdapterFile<'f>> {
        match self {
            Self::Adapter(adapter) => Some(adapter),
            Self::Model(_) | Self::Data => None,
        }
    }

    /// Its content.
    #[must_use]
    pub const fn kind(&self) -> Content {
        match self {
            Self::Model(_) => Content::Model,
            Self::Adapter(_) => Content::Adapter,
            Self::Data => Content::Data,
        }
    }
}

/// Whether a file declares itself an adapter.
pub(super) fn is_adapter(bytes: &[u8]) -> bool {
    let gguf = Gguf::parse(bytes).ok();
    let ty = gguf.and_then(|gguf| gguf.str_of("general.type").ok());
    ty == Some("adapter")
}

/// The suffix of a training data file.
pub(super) fn data_suffix(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    let mut suffixes = DATA_SUFFIXES.into_iter();
    suffixes.find(|suffix| name.ends_with(suffix))
}

/// Refuses an adapter that fits none of the models.
pub(super) fn check_fits<'c>(
    path: &Path,
    adapter: &AdapterFile<'_>,
    files: impl Iterator<Item = (&'c Contents<'c>, &'c Vec<u8>)>,
) -> Result<(), ToolError> {
    let mut reason = None;
    for (content, bytes) in files {
        let Contents::Model(model) = content else {
            continue;
        };
        match adapter.check(&model.base(), Some(&sha256(bytes))) {
            Ok(_) => return Ok(()),
            // The reason of the boot model.
            Err(error) => reason = reason.or(Some(error)),
        }
    }
    match reason {
        // A store with only adapters: there is nothing to compare with.
        None => Ok(()),
        Some(source) => Err(adapter_error(path, source)),
    }
}

fn adapter_error(path: &Path, source: AdapterError) -> ToolError {
    ToolError::Adapter {
        path: path.to_path_buf(),
        source: Box::new(source),
    }
}

/// A line of a file of examples.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    #[serde(default)]
    prompt: Option<String>,
    #[serde(default)]
    answer: Option<String>,
    #[serde(default)]
    text: Option<String>,
}

impl Example {
    fn check(&self) -> Result<(), &'static str> {
        match (&self.prompt, &self.answer, &self.text) {
            (Some(_), Some(answer), None) if answer.is_empty() => Err("the answer is empty"),
            (Some(_), Some(_), None) => Ok(()),
            (None, None, Some(text)) if text.is_empty() => Err("the text is empty"),
            (None, None, Some(_)) => Ok(()),
            (Some(_), None, None) => Err("there is a prompt and no answer"),
            (None, Some(_), None) => Err("there is an answer and no prompt"),
            (None, None, None) => Err("there is no text"),
            (_, _, Some(_)) => Err("there is a text beside prompt or answer"),
        }
    }
}

/// Checks what can be known without a model: that it is UTF-8 of at most the length that inference reads, and that
/// every JSON line, if it begins with one, is an example.
fn check_data(bytes: &[u8]) -> Result<(), DataError> {
    if bytes.len() > MAX_DATA_BYTES {
        return Err(DataError::TooLong { bytes: bytes.len() });
    }
    let text = str::from_utf8(bytes).map_err(|error| DataError::NotUtf8 {
        line: 1 + bytes[..error.valid_up_to()]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count(),
    })?;
    let content = text.trim_start();
    if content.is_empty() {
        return Err(DataError::Empty);
    }
    if !content.starts_with('{') {
        return Ok(());
    }
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let wrong = |reason: String| DataError::Example {
            line: index + 1,
            reason,
        };
        let example: Example =
            serde_json::from_str(line).map_err(|error| wrong(without_line(&error)))?;
        example.check().map_err(|why| wrong(why.to_owned()))?;
    }
    Ok(())
}

/// The parser counts lines within the one line that it got.
fn without_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split_once(" at line ") {
        Some((text, _)) => format!("{text} at column {}", error.column()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_text_or_lines_of_json_and_a_wrong_line_is_named() {
        let check = |text: &str| check_data(text.as_bytes());
        for sound in [
            "A tale.\n\nAnother.",
            "{\"text\": \"a\"}",
            "\n{\"prompt\": \"\", \"answer\": \"b\"}\n\n{\"text\": \"c\"}\n",
        ] {
            assert_eq!(check(sound), Ok(()), "{sound}");
        }
        for empty in ["", " \n\t\n"] {
            assert_eq!(check(empty), Err(DataError::Empty));
        }
        let line = |text: &str| match check(text) {
            Err(DataError::Example { line, reason }) => (line, reason),
            other => panic!("{other:?}"),
        };
        for (text, at, words) in [
            ("{\"text\": \"a\"}\n{\"text\": }", 2, "column"),
            ("{\"prompt\": \"a\"}", 1, "no answer"),
            ("{\"answer\": \"a\"}", 1, "no prompt"),
            ("{}", 1, "no text"),
            ("{\"text\": \"a\", \"answer\": \"b\"}", 1, "beside"),
            ("{\"prompt\": \"a\", \"answer\": \"\"}", 1, "empty"),
            ("{\"text\": \"a\"}\n\nplain", 3, "expected"),
            ("{\"texts\": \"a\"}", 1, "texts"),
            ("{\"text\": 1}", 1, "string"),
        ] {
            let (found, reason) = line(text);
            assert_eq!(found, at, "{text}");
            assert!(reason.contains(words), "{text}: {reason}");
        }
        assert_eq!(
            check_data(b"one\ntwo \xff"),
            Err(DataError::NotUtf8 { line: 2 })
        );
        let long = vec![b'a'; MAX_DATA_BYTES + 1];
        assert_eq!(
            check_data(&long),
            Err(DataError::TooLong { bytes: long.len() })
        );
        assert_eq!(check_data(&long[1..]), Ok(()));
    }
}
