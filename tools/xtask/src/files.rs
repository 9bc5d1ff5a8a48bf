//! Files that are made once, and again only if their inputs have changed.

use crate::error::{Error, Result, at};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The folders below `folder` that have a file of this name, sorted.
pub fn folders_with(folder: &str, file: &str) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| entry.path().join(file).is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    found.sort_unstable();
    found
}

/// Makes a folder with those above it.
pub fn folder(path: &Path) -> Result {
    fs::create_dir_all(path).map_err(at(path))
}

/// Copies a file.
pub fn copy(from: &Path, to: &Path) -> Result {
    fs::copy(from, to).map(|_| ()).map_err(at(from))
}

/// Reads a text.
pub fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(at(path))
}

/// Writes a file unless it already has this content, so that whatever depends on it is not rebuilt.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result {
    let bytes = bytes.as_ref();
    if fs::read(path).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        folder(parent)?;
    }
    fs::write(path, bytes).map_err(at(path))
}

/// Pads a file with zeros: the Microkit tool requires the file that fills a region to have the region's size.
pub fn pad(path: &Path, size: u64) -> Result {
    let file = fs::OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(at(path))?;
    let length = file.metadata().map_err(at(path))?.len();
    if length > size {
        return Err(Error::File {
            path: path.to_owned(),
            reason: format!("it has {length} bytes, but its region has only {size}"),
        });
    }
    file.set_len(size).map_err(at(path))
}

/// Removes a file if it exists.
pub fn remove(path: &Path) -> Result {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// The inputs of a file: each path with size and modification time, and words that matter as well.
fn inputs_as_text(inputs: &[PathBuf], words: &str) -> Result<String> {
    let mut text = format!("{words}\n");
    for input in inputs {
        let metadata = fs::metadata(input).map_err(at(input))?;
        let changed = metadata.modified().map_err(at(input))?;
        let changed = changed.duration_since(UNIX_EPOCH).unwrap_or_default();
        let _ = writeln!(
            text,
            "{} {} {}",
            input.display(),
            metadata.len(),
            changed.as_nanos()
        );
    }
    Ok(text)
}

/// A path with a suffix appended.
fn beside(path: &Path, more: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

/// Makes `output` with `make` unless it exists and was made from the same inputs. If `make` fails, its output is made
/// again.
pub fn made(
    output: &Path,
    inputs: &[PathBuf],
    words: &str,
    make: impl FnOnce(&Path) -> Result,
) -> Result {
    let made_of = inputs_as_text(inputs, words)?;
    let record = beside(output, ".made-of");
    if output.exists() && fs::read_to_string(&record).is_ok_and(|before| before == made_of) {
        return Ok(());
    }
    if let Some(parent) = output.parent() {
        folder(parent)?;
    }
    remove(&record)?;
    make(output)?;
    write(&record, made_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("xtask-{}-{name}", std::process::id()));
        folder(&path).unwrap();
        path
    }

    #[test]
    fn a_file_is_made_again_only_if_an_input_or_a_word_changes() {
        let folder = scratch("made");
        let (input, output) = (folder.join("input"), folder.join("output"));
        write(&input, "a").unwrap();
        let make = |words: &str| {
            let mut is_made = false;
            made(&output, std::slice::from_ref(&input), words, |output| {
                is_made = true;
                copy(&input, output)
            })
            .unwrap();
            is_made
        };
        assert!(make("one"));
        assert!(!make("one"));
        assert!(make("two"));
        write(&input, "longer").unwrap();
        assert!(make("two"));
        assert_eq!(text(&output).unwrap(), "longer");
        fs::remove_file(&output).unwrap();
        assert!(make("two"));
    }

    #[test]
    fn what_has_failed_is_made_again() {
        let output = scratch("failed").join("output");
        let result = made(&output, &[], "", |output| {
            write(output, "half")?;
            Err(Error::Wrong("no".to_owned()))
        });
        assert_eq!(result.unwrap_err().to_string(), "no");
        made(&output, &[], "", |output| write(output, "whole")).unwrap();
        assert_eq!(text(&output).unwrap(), "whole");
    }

    #[test]
    fn a_file_is_padded_to_its_region_and_refused_if_it_is_larger() {
        let file = scratch("pad").join("file");
        write(&file, "abc").unwrap();
        pad(&file, 8).unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"abc\0\0\0\0\0");
        let error = pad(&file, 4).unwrap_err().to_string();
        assert!(
            error.contains("8 bytes") && error.contains("only 4"),
            "{error}"
        );
    }
}
