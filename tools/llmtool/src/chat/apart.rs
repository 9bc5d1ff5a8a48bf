//! Derives a scaffold in a process of its own.
//!
//! A template is a program from outside. Its steps are counted, but not the memory that one step takes, nor how deep its
//! expressions make the parser call itself. So it runs in another process of this tool, which may take so much memory and time
//! and no more: if it runs out, that process ends, and this one says so.

use std::ffi::OsString;
use std::io::{self, Read as _, Write};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use llm_core::tokenizer::VocabularyView;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::TemplateError;
use super::derive::derive;
use super::jinja::Date;

/// The hidden command that runs [`answer`].
pub const COMMAND: &str = "derive-scaffold";

/// Stack: some four times what the deepest template of [`MAX_TEMPLATE_BYTES`](super::jinja::MAX_TEMPLATE_BYTES) takes in a build
/// without optimisation. What is not used takes no memory.
const STACK_BYTES: usize = 256 << 20;

/// Memory beside the stack and the model's file, which is read as a whole.
const HEAP_BYTES: u64 = 512 << 20;

/// Processor time. Templates take a second or two, in a build without optimisation as well.
const SECONDS: u64 = 60;

/// Most of an answer that is read.
const ANSWER_BYTES: u64 = 16 << 20;

/// What the other process says.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// The strings of the scaffold, and how many conversations were compared.
    Derived(Vec<String>, usize),
    /// Why there is none.
    Refused(String),
}

/// As [`derive()`] with the template of the model at `model`, in a process of its own.
///
/// # Errors
/// Why there is no scaffold, or why the process could not be run to its end.
pub fn derive_apart(
    model: &Path,
    date: Option<Date>,
) -> Result<(Vec<String>, usize), TemplateError> {
    let mut command = Command::new(std::env::current_exe()?);
    // In one piece, for a name may begin with a hyphen.
    let mut model_option = OsString::from("--model=");
    model_option.push(model);
    command.arg(COMMAND).arg(model_option);
    if let Some(date) = date {
        command.arg("--date").arg(date.to_string());
    }
    // What it says when it runs out of memory is many lines.
    command.stdin(Stdio::null()).stderr(Stdio::null());
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    let mut text = Vec::new();
    let read = match child.stdout.take() {
        Some(out) => out.take(ANSWER_BYTES).read_to_end(&mut text),
        None => Ok(0),
    };
    let status: ExitStatus = child.wait()?;
    read?;
    let stopped = || TemplateError::Stopped(status.to_string());
    if !status.success() {
        return Err(stopped());
    }
    match serde_json::from_slice(&text).map_err(|_| stopped())? {
        Answer::Derived(strings, compared) => Ok((strings, compared)),
        Answer::Refused(reason) => Err(TemplateError::Refused(reason)),
    }
}

/// The other process: takes limits upon itself, and says what it has derived. `file_bytes` is what the model takes.
///
/// # Errors
/// It cannot limit itself, start a thread, or write.
pub fn answer(
    template: &str,
    vocabulary: &VocabularyView<'_>,
    date: Option<Date>,
    file_bytes: usize,
    out: &mut impl Write,
) -> io::Result<()> {
    limit(
        Resource::As,
        file_bytes as u64 + STACK_BYTES as u64 + HEAP_BYTES,
    )?;
    limit(Resource::Cpu, SECONDS)?;
    // It may well be aborted.
    limit(Resource::Core, 0)?;
    let derived = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, || derive(template, vocabulary, date))?;
        let panicked = |_| io::Error::other("the derivation panicked");
        thread.join().map_err(panicked)
    })?;
    let answer = match derived {
        Ok((strings, compared)) => Answer::Derived(strings, compared),
        Err(error) => Answer::Refused(error.to_string()),
    };
    serde_json::to_writer(out, &answer)?;
    Ok(())
}

/// Sets a limit, or leaves a lower one.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(resource);
    let least = |known: Option<u64>| Some(known.map_or(most, |known| known.min(most)));
    let limit = Rlimit {
        current: least(current),
        maximum: least(maximum),
    };
    Ok(setrlimit(resource, limit)?)
}
