//! Reads and writes complete files.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
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

/// Refuses to overwrite an input file, or to write into a missing folder.
///
/// # Errors
/// [`ToolError::SameFile`] or [`ToolError::Write`].
pub fn refuse_overwriting(output: &Path, inputs: &[&Path]) -> Result<(), ToolError> {
    // Check first, so that minutes of work are not lost.
    let folder = output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::metadata(folder).map_err(|source| ToolError::Write {
            path: output.to_path_buf(),
            source,
        })?;
    }
    // A file that does not exist cannot be one of the inputs.
    let Ok(target) = fs::metadata(output) else {
        return Ok(());
    };
    for input in inputs {
        let same = fs::metadata(input)
            .is_ok_and(|source| (source.dev(), source.ino()) == (target.dev(), target.ino()));
        if same {
            return Err(ToolError::SameFile {
                path: output.to_path_buf(),
            });
        }
    }
    Ok(())
}

/// Writes a file completely or not at all. A link is followed. Anything but a regular file, such as a pipe or a device,
/// receives the bytes and remains what it is.
///
/// # Errors
/// [`ToolError::Write`].
pub fn write(path: &Path, content: &[u8]) -> Result<(), ToolError> {
    write_as(path, content, 0o666)
}

/// Like [`write()`], but only the owner can access the file, because it holds a secret.
///
/// # Errors
/// [`ToolError::Write`].
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), ToolError> {
    write_as(path, content, 0o600)
}

/// `mode` is subject to the process's mask.
fn write_as(path: &Path, content: &[u8], mode: u32) -> Result<(), ToolError> {
    let failed = |source| ToolError::Write {
        path: path.to_path_buf(),
        source,
    };
    let whole = match fs::metadata(path) {
        Ok(there) if !there.is_file() => {
            let opened = fs::OpenOptions::new().write(true).open(path);
            return opened
                .and_then(|mut file| file.write_all(content))
                .map_err(failed);
        }
        Ok(_) => Some(fs::canonicalize(path).map_err(failed)?),
        Err(_) => None,
    };
    let path = whole.as_deref().unwrap_or(path);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    // The remains of an earlier attempt could be readable by others.
    let _ = fs::remove_file(&part);
    let mut options = fs::OpenOptions::new();
    let created = options.write(true).create_new(true).mode(mode).open(&part);
    created
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&part, path))
        .map_err(|source| {
            // The remains of the attempt are useless; failure to remove them is not worth reporting.
            let _ = fs::remove_file(&part);
            ToolError::Write {
                path: path.to_path_buf(),
                source,
            }
        })
}

/// The documents of a text: the text between lines that equal `separator`, without surrounding line breaks. Empty
/// documents are dropped.
pub fn documents<'a>(
    text: &'a [u8],
    separator: &'a [u8],
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut line_start = 0;
        loop {
            let line = text[line_start..].split(|&byte| byte == b'\n').next()?;
            let line_end = line_start + line.len();
            if line == separator {
                rest = text.get(line_end + 1..);
                return Some(&text[..line_start]);
            }
            if line_end == text.len() {
                rest = None;
                return Some(text);
            }
            line_start = line_end + 1;
        }
    })
    .map(|document| {
        let ends = |byte: &u8| *byte == b'\n' || *byte == b'\r';
        let from = document.iter().position(|byte| !ends(byte));
        let to = document.iter().rposition(|byte| !ends(byte));
        from.zip(to)
            .map_or(&[][..], |(from, to)| &document[from..=to])
    })
    .filter(|document| !document.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_is_a_whole_line_and_what_is_between_loses_its_line_ends() {
        let split = |text: &'static str| -> Vec<&'static str> {
            documents(text.as_bytes(), b"<|end|>")
                .map(|document| std::str::from_utf8(document).unwrap())
                .collect()
        };
        assert_eq!(
            split("one\n\ntwo\n<|end|>\nthree\n"),
            ["one\n\ntwo", "three"]
        );
        assert_eq!(split("a <|end|> b\n<|end|>"), ["a <|end|> b"]);
        assert_eq!(split("<|end|>\n\n<|end|>\n x\n<|end|>\n"), [" x"]);
        assert!(split("").is_empty());
        assert!(split("\n").is_empty());
    }
}
