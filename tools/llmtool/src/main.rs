//! `llmtool`: see [`llmtool::args`].
//!
//! Exit status: 0 on success, also if the reader of its output has gone away; 1 on failure, with one line on standard
//! error; 2 if the command line is wrong.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use llmtool::args::Cli;
use llmtool::commands;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // If that fails, there is nothing left to do.
            let _ = error.print();
            if is_a_word_too_many(&error) {
                let advice = "Put a text in quotes after -p: -p \"Once upon a time\".";
                let _ = writeln!(std::io::stderr(), "{advice}");
            }
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let mut out = std::io::stdout().lock();
    let result = commands::run(&cli, &mut out).and_then(|()| Ok(out.flush()?));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // If that fails, there is nothing left to do, either.
            let _ = writeln!(std::io::stderr(), "llmtool: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether there is a word where none is expected: a prompt without its option, or without quotes.
fn is_a_word_too_many(error: &clap::Error) -> bool {
    let word = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(word)) => word,
        _ => return false,
    };
    error.kind() == ErrorKind::UnknownArgument && !word.starts_with('-')
}
