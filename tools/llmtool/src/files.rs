//! Reads and writes whole files.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
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

/// Refuses to write over a file that is read.
///
/// # Errors
/// [`ToolError::SameFile`].
pub fn refuse_overwriting(output: &Path, inputs: &[&Path]) -> Result<(), ToolError> {
    // One that is not there is none of those that are read.
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

/// The documents of a text: what stands between lines that are `separator`, without the line ends around it.
/// Empty ones are left out.
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
