//! Standard output, which may fail, and progress for people on standard error.

use std::io::Read;

use indicatif::{ProgressBar, ProgressStyle};

use crate::error::ToolError;

/// A progress bar on standard error; nothing if that is not a terminal.
#[must_use]
pub fn progress_bar(message: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style).with_message(message)
}

/// A text from the command line, or standard input, which may contain any bytes, if it is `-`.
///
/// # Errors
/// Standard input cannot be read.
pub fn text_or_stdin(text: &str) -> Result<Vec<u8>, ToolError> {
    if text != "-" {
        return Ok(text.as_bytes().to_vec());
    }
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|source| ToolError::Read {
            path: "standard input".into(),
            source,
        })?;
    Ok(bytes)
}
