//! `score`: asks a model what it has been taught.

use std::io::Write;
use std::path::Path;

use llm_core::backend::LlmBackend;
use llm_core::generate::{GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::hash::sha256;
use llm_core::sampling::SamplerParams;
use protocol::limits::MAX_GENERATED_TOKENS;
use safe_text::json;
use serde::Deserialize;

use crate::adapter;
use crate::args::finetune::Score;
use crate::engine::{Backend, Memory, check_runs, load_error, team};
use crate::error::ToolError;
use crate::files;
use crate::output::progress_bar;

/// A line of the data.
#[derive(Debug, Deserialize)]
struct Example {
    prompt: String,
    answer: String,
}

/// Answers every prompt with the likeliest tokens up to the end of the text, and counts the answers that match byte for
/// byte.
pub(super) fn score(arguments: &Score, out: &mut impl Write) -> Result<(), ToolError> {
    let (model, data) = arguments.files.paths()?;
    let examples = read(data)?;
    let file = files::read(model)?;
    let error = load_error(model);
    let options = arguments.engine.run_options(arguments.context.0);
    let lora = arguments.lora.read()?;
    let checked = check_runs(model, &file)?;
    let adapters = adapter::bytes(&lora, &checked, &file)?;
    let mut memory = Memory::with_adapters(&checked, &options, adapters).map_err(&error)?;
    let arena = memory.arena().map_err(&error)?;
    let mut backend = Backend::with_team(arena, options, team(&options)?);
    backend.load(&file).map_err(Box::new).map_err(&error)?;
    if let Some(lora) = &lora {
        let loaded = backend.load_adapter_file(0, &lora.file()?, &sha256(&file));
        loaded.map_err(|error| lora.error(error))?;
    }
    let turn = Turn {
        adapter: lora.is_some().then_some(0),
        ..Turn::only(0)
    };
    let bar = progress_bar("answering");
    bar.set_length(examples.len() as u64);
    let mut right = 0;
    for example in &examples {
        let answer = answer(&mut backend, turn, example)?;
        bar.inc(1);
        if answer == example.answer {
            right += 1;
        } else if arguments.verbose {
            let text = |text: &str| json::Text(text.as_bytes()).to_string();
            let (prompt, wanted) = (text(&example.prompt), text(&example.answer));
            bar.suspend(|| writeln!(out, "{prompt}: {}, not {wanted}", text(&answer)))?;
        }
    }
    bar.finish_and_clear();
    writeln!(out, "{right} of {} answers are right", examples.len())?;
    Ok(())
}

fn read(path: &Path) -> Result<Vec<Example>, ToolError> {
    let data = files::read(path)?;
    let lines = data.split(|byte| *byte == b'\n').zip(1..);
    let lines = lines.filter(|(line, _)| !line.trim_ascii().is_empty());
    let examples: Vec<Example> = lines
        .map(|(line, number)| {
            serde_json::from_slice(line).map_err(|source| ToolError::Example {
                path: path.to_path_buf(),
                line: number,
                source,
            })
        })
        .collect::<Result<_, _>>()?;
    match examples.is_empty() {
        true => Err(ToolError::NoExamples(path.to_path_buf())),
        false => Ok(examples),
    }
}

fn answer(backend: &mut Backend<'_>, turn: Turn, example: &Example) -> Result<String, ToolError> {
    let failed = |error: llm_core::generate::GenerateError| ToolError::Generate(error.to_string());
    let params = GenerateParams {
        sampler: SamplerParams::greedy(),
        max_tokens: MAX_GENERATED_TOKENS,
    };
    let prompt = example.prompt.as_bytes();
    backend
        .start(turn, Prompt::Text(prompt), &params)
        .map_err(failed)?;
    let (mut text, mut answer) = (Text::new(), String::new());
    loop {
        match backend.step(&mut text) {
            Progress::Session(_, step) => match step.map_err(failed)? {
                Step::Token { .. } => {
                    answer.push_str(&text);
                    if answer.len() > example.answer.len() {
                        // It is already wrong.
                        backend.cancel(turn.session);
                    }
                }
                Step::Finished { .. } => return Ok(answer),
                Step::Prefill { .. } => {}
            },
            Progress::Idle => return Ok(answer),
            Progress::Working | Progress::Evicted(_) | Progress::Training(_) => {}
        }
    }
}
