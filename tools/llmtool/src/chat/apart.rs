//! Derives a scaffold in a separate process.
//!
//! A template is an untrusted program. Its steps are counted, but not the memory that a step takes, nor the recursion
//! depth of the parser for its expressions. So it runs in another process of this tool with limited memory and time: if
//! that runs out, the other process ends, and this one reports it.

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

/// Stack size: some four times what the deepest template of [`MAX_TEMPLATE_BYTES`](super::jinja::MAX_TEMPLATE_BYTES)
/// needs in a build without optimisation. Unused stack takes no memory.
const STACK_BYTES: usize = 256 << 20;

/// Memory in addition to the stack and the model's file, which is read completely.
const HEAP_BYTES: u64 = 512 << 20;

/// Processor time. Templates take a second or two, in a build without optimisation as well.
const SECONDS: u64 = 60;

/// Maximum size of an answer.
const ANSWER_BYTES: u64 = 16 << 20;

/// The answer of the other process.
#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    /// The strings of the scaffold, and the number of conversations compared.
    Derived(Vec<String>, usize),
    /// Why there is no scaffold.
    Refused(String),
}

/// Like [`derive()`] with the template of the model at `model`, in a separate process.
///
/// # Errors
/// There is no scaffold, or the process did not finish.
pub fn derive_apart(
    model: &Path,
    date: Option<Date>,
) -> Result<(Vec<String>, usize), TemplateError> {
    let mut command = Command::new(std::env::current_exe()?);
    // As one argument, because a name may begin with a hyphen.
    let mut model_option = OsString::from("--model=");
    model_option.push(model);
    command.arg(COMMAND).arg(model_option);
    if let Some(date) = date {
        command.arg("--date").arg(date.to_string());
    }
    // Its messages when out of memory take many lines.
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

/// The other process: limits itself, and reports what it derived. `file_bytes` is the size of the model.
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

/// Sets a limit, unless a lower one is set.
fn limit(resource: Resource, most: u64) -> io::Result<()> {
    let Rlimit { current, maximum } = getrlimit(resource);
    let least = |known: Option<u64>| Some(known.map_or(most, |known| known.min(most)));
    let limit = Rlimit {
        current: least(current),
        maximum: least(maximum),
    };
    Ok(setrlimit(resource, limit)?)
}
