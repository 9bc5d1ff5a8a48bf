//! `llmtool`: see [`llmtool::args`].
//!
//! Exit status: 0 when it did what was asked, also if the reader of its output went away; 1 when it
//! failed, with one line on standard error; 2 when the command line is wrong.

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use llmtool::args::Cli;
use llmtool::commands;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut out = std::io::stdout().lock();
    let result = commands::run(&cli, &mut out).and_then(|()| Ok(out.flush()?));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do where that fails, too.
            let _ = writeln!(std::io::stderr(), "llmtool: {error}");
            ExitCode::FAILURE
        }
    }
}
