//! Reads and writes whole files.

use std::fs;
use std::path::Path;

use crate::error::ToolError;

/// The content of a file.
///
/// # Errors
/// [`ToolError::Read`].
pub fn read(path: &Path) -> Result<Vec<u8>, ToolError> {
    fs::read(path).map_err(|source| ToolError::Read {
        path: path.to_path_buf(),
        source,
    })
}

/// Writes a file so that it is there as a whole or not at all.
///
/// # Errors
/// [`ToolError::Write`].
pub fn write(path: &Path, content: &[u8]) -> Result<(), ToolError> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    fs::write(&part, content)
        .and_then(|()| fs::rename(&part, path))
        .map_err(|source| {
            // What is left of the attempt is of no use; that it cannot be removed is no news.
            let _ = fs::remove_file(&part);
            ToolError::Write {
                path: path.to_path_buf(),
                source,
            }
        })
}
