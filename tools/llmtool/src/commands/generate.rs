//! `generate`: answers a prompt or continues it.

use std::io::Write;
use std::time::Instant;

use formats::stop::Stops;
use llm_core::backend::LlmBackend;
use llm_core::chat::{Role, Segment, Template};
use llm_core::generate::{FinishReason, GenerateParams, Progress, Prompt, Step, Text, Turn};
use llm_core::gguf::Gguf;
use llm_core::hash::sha256;
use llm_core::sampling::SamplerParams;
use llm_core::tokenizer::TokenizeError;
use safe_text::Sanitiser;

use crate::adapter;
use crate::answer::AnswerFormat;
use crate::args::Generate;
use crate::args::values::Seed;
use crate::engine::{Backend, Memory, check_runs, load_error, team};
use crate::error::KeyError;
use crate::error::ToolError;
use crate::files;
use crate::output::progress_bar;
use crate::units::{count, rate};

pub(super) fn generate(arguments: &Generate, out: &mut impl Write) -> Result<(), ToolError> {
    let prompt = arguments.prompt.read()?;
    let model = arguments.model.path();
    let file = files::read(model)?;
    let error = load_error(model);
    let options = arguments.engine.run_options(arguments.context.0);
    let lora = arguments.lora.read()?;
    let mut format = AnswerFormat::new(&arguments.format)?;
    let (mut memory, segments) = {
        let checked = check_runs(model, &file)?;
        let segments = segments(arguments, checked.gguf(), &prompt)?;
        let adapters = adapter::bytes(&lora, &checked, &file)?;
        (
            Memory::with_adapters(&checked, &options, adapters).map_err(&error)?,
            segments,
        )
    };
    let arena = memory.arena().map_err(&error)?;
    let mut backend = Backend::with_team(arena, options, team(&options)?);
    backend.load(&file).map_err(Box::new).map_err(&error)?;
    let mut turn = match &lora {
        None => Turn::only(0),
        Some(lora) => {
            backend
                .load_adapter_file(0, &lora.file()?, &sha256(&file))
                .map_err(|error| lora.error(error))?;
            Turn {
                adapter: Some(0),
                ..Turn::only(0)
            }
        }
    };
    if let Some((table, format)) = format.table() {
        backend.set_formats(table);
        turn.format = Some(format);
    }
    turn.stops = Stops::new(arguments.stop.iter().map(String::as_str))?;
    let seed = seed(arguments.seed)?;
    let params = GenerateParams {
        max_tokens: arguments.predict.0,
        sampler: SamplerParams {
            seed,
            temperature: arguments.temperature.0,
            top_k: arguments.top_k,
            top_p: arguments.top_p.0,
            min_p: arguments.min_p.0,
            repeat_penalty: arguments.repeat_penalty.0,
            repeat_last_n: arguments.repeat_last_n.0,
        },
    };
    let refused = |error: llm_core::generate::GenerateError| ToolError::Generate(error.to_string());

    let begun = Instant::now();
    let mut first_token = None;
    let mut prefill = Some(progress_bar("reading the prompt"));
    let mut text = Text::new();
    let mut shown = Sanitiser::new();
    let prompt = match &segments {
        Some(segments) => Prompt::Segments(segments),
        None => Prompt::Text(&prompt),
    };
    backend.start(turn, prompt, &params).map_err(refused)?;
    loop {
        let step = match backend.step(&mut text) {
            Progress::Idle => break,
            Progress::Working | Progress::Evicted(_) | Progress::Training(_) => continue,
            Progress::Session(_, step) => step.map_err(refused)?,
        };
        match step {
            Step::Prefill { done, total } => {
                if let Some(bar) = &prefill {
                    bar.set_length(total.into());
                    bar.set_position(done.into());
                }
            }
            Step::Token { .. } => {
                if let Some(bar) = prefill.take() {
                    bar.finish_and_clear();
                }
                first_token.get_or_insert_with(|| begun.elapsed());
                // The text is as untrusted here as in the shell, so it is shown in the same way.
                let mut safe = String::new();
                shown.push(text.as_bytes(), &mut |character| safe.push(character));
                out.write_all(safe.as_bytes())?;
                out.flush()?;
            }
            Step::Finished {
                reason,
                prompt_tokens,
                generated,
            } => {
                writeln!(out)?;
                let first = first_token.unwrap_or_else(|| begun.elapsed());
                let after_first = begun.elapsed().saturating_sub(first).as_secs_f64();
                let prompt_rate = rate(prompt_tokens, first.as_secs_f64());
                // The first token comes from reading the prompt.
                let generation_rate = rate(generated.saturating_sub(1), after_first);
                let chosen = match arguments.seed {
                    Seed::Random => format!(", seed {seed}"),
                    Seed::Fixed(_) => String::new(),
                };
                eprintln!(
                    "[prompt {}, {prompt_rate:.1} tokens/s; generation {}, {generation_rate:.1} tokens/s; first after {:.0} ms{chosen}, {}]",
                    count(prompt_tokens as usize, "token"),
                    count(generated as usize, "token"),
                    first.as_secs_f64() * 1e3,
                    match reason {
                        FinishReason::EndOfText => "end of text",
                        FinishReason::Stop => "stop string",
                        FinishReason::MaxTokens => "-n reached",
                        FinishReason::ContextFull => "context full",
                        FinishReason::Cancelled => "cancelled",
                    }
                );
            }
        }
    }
    Ok(())
}

/// A conversation with this prompt if the model has a chat template; `None`: the prompt is continued as a text.
fn segments<'p>(
    arguments: &'p Generate,
    gguf: &Gguf<'_>,
    prompt: &'p [u8],
) -> Result<Option<Vec<Segment<'p>>>, ToolError> {
    let path = arguments.model.path();
    if arguments.raw {
        return Ok(None);
    }
    let template = Template::of(gguf).map_err(ToolError::scaffold(path))?;
    let path = path.to_path_buf();
    match (template, &arguments.system) {
        (Template::None, None) => return Ok(None),
        (Template::None, Some(_)) => return Err(ToolError::NoSystemPlace { path }),
        (Template::Unknown, _) => return Err(ToolError::UnknownTemplate { path }),
        (Template::Published(_) | Template::Derived(_), _) => {}
    }
    let prompt = std::str::from_utf8(prompt).map_err(|error| TokenizeError::NotUtf8 {
        offset: error.valid_up_to(),
    })?;
    let system = arguments.system.as_deref();
    let system = system.map(|text| Segment::new(Role::System, text));
    let user = Segment::new(Role::User, prompt);
    Ok(Some(system.into_iter().chain([user]).collect()))
}

/// The given seed, or a new one each time.
fn seed(asked: Seed) -> Result<u64, ToolError> {
    match asked {
        Seed::Fixed(seed) => Ok(seed),
        Seed::Random => {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).map_err(KeyError::Random)?;
            Ok(u64::from_le_bytes(bytes))
        }
    }
}
