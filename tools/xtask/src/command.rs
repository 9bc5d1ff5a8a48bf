//! Runs other programs.

use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A program with its arguments. It must succeed.
pub struct Run(Command);

/// A command for `program`.
pub fn run(program: impl AsRef<OsStr>) -> Run {
    Run(Command::new(program))
}

/// A command from a line whose words contain no spaces, such as a board's emulator.
pub fn run_words(words: &str) -> Run {
    let mut words = words.split_whitespace();
    run(words.next().unwrap_or_default()).args(words)
}

impl Run {
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(arguments);
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Takes standard input from a file.
    pub fn input(mut self, path: &Path) -> Result<Self> {
        let file = std::fs::File::open(path).map_err(crate::error::at(path))?;
        self.0.stdin(file);
        Ok(self)
    }

    fn program(&self) -> String {
        let first = self
            .0
            .get_args()
            .next()
            .map(OsStr::to_string_lossy)
            .unwrap_or_default();
        let program = self.0.get_program().to_string_lossy();
        match first.starts_with(|first: char| first.is_ascii_lowercase()) && !first.contains('/') {
            true => format!("{program} {first}"),
            false => program.into_owned(),
        }
    }

    fn start_error(&self, source: std::io::Error) -> Error {
        Error::Start {
            program: self.program(),
            source,
        }
    }

    /// Runs it and waits for it.
    pub fn done(mut self) -> Result {
        let status = self.0.status().map_err(|error| self.start_error(error))?;
        match status.success() {
            true => Ok(()),
            false => Err(Error::Failed {
                program: self.program(),
                status,
            }),
        }
    }

    /// Like [`Self::done`], but its output goes to standard error, because standard output is for the requested result.
    pub fn aside(mut self) -> Result {
        self.0.stdout(std::io::stderr());
        self.done()
    }

    /// Like [`Self::done`], without its output.
    pub fn silent(mut self) -> Result {
        self.0.stdout(Stdio::null());
        self.done()
    }

    /// Runs it and returns its output; errors are printed as they come.
    pub fn output(mut self) -> Result<Vec<u8>> {
        self.0.stderr(Stdio::inherit());
        let output = self.0.output().map_err(|error| self.start_error(error))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(Error::Failed {
                program: self.program(),
                status: output.status,
            }),
        }
    }

    /// Runs it. Returns whether it succeeded, and everything that it printed.
    pub fn judged(mut self) -> Result<(bool, String)> {
        let output = self.0.output().map_err(|error| self.start_error(error))?;
        let said = [output.stdout, output.stderr].concat();
        Ok((
            output.status.success(),
            String::from_utf8_lossy(&said).into_owned(),
        ))
    }

    /// Replaces this process by the program, which then has the terminal to itself.
    pub fn become_it(mut self) -> Error {
        let source = self.0.exec();
        self.start_error(source)
    }
}

/// Whether a program is on the path.
pub fn is_installed(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The output of a program, as one line; empty if the program fails or does not exist.
pub fn line_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
