//! The supervisor's messages, on standard error and in a file.

use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Where messages go.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<File>,
    /// Whether it is a terminal in raw mode, which needs a carriage return before each line feed.
    raw: bool,
}

impl Log {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, super::Error> {
        let open = |path: &Path| {
            let file = File::options().create(true).append(true).open(path);
            file.map_err(|cause| super::Error::Read {
                path: path.to_path_buf(),
                cause,
            })
        };
        Ok(Self {
            file: path.map(open).transpose()?,
            raw: false,
        })
    }

    pub(super) fn set_raw(&mut self, raw: bool) {
        self.raw = raw;
    }

    /// Writes to standard error and to the file.
    pub(super) fn say(&mut self, line: &str) {
        let end = if self.raw { "\r\n" } else { "\n" };
        // If standard error is gone, nobody is left to tell.
        let _ = std::io::stderr().write_all(format!("sim: {line}{end}").as_bytes());
        self.note(line);
    }

    /// Writes to the file only.
    pub(super) fn note(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            let us = crate::pd::monotonic_us();
            let _ = writeln!(file, "[{}.{:06}] {line}", us / 1_000_000, us % 1_000_000);
        }
    }
}
