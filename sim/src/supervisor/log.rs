//! What the supervisor says: on standard error, and in a file.

use std::fs::File;
use std::io::Write;
use std::path::Path;

/// Where messages go.
#[derive(Debug)]
pub(super) struct Log {
    file: Option<File>,
    /// The terminal does not turn a line feed into a new line.
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

    /// For people and for the file.
    pub(super) fn say(&mut self, line: &str) {
        let end = if self.raw { "\r\n" } else { "\n" };
        // Nobody is left to tell if standard error is gone.
        let _ = std::io::stderr().write_all(format!("sim: {line}{end}").as_bytes());
        self.note(line);
    }

    /// For the file alone.
    pub(super) fn note(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            let us = crate::pd::monotonic_us();
            let _ = writeln!(file, "[{}.{:06}] {line}", us / 1_000_000, us % 1_000_000);
        }
    }
}
