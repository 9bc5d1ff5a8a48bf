//! `finetune`: trains an adapter, as the device does.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::generate::{Progress, Text};
use llm_core::hash::sha256;
use llm_core::transformer::training::{TrainError, TrainParams, TrainProgress};
use llm_core::transformer::{LoadOptions, Positions};

use crate::args::finetune::Finetune;
use crate::engine::{Memory, check_runs, load_error, load_options, service_options};
use crate::error::ToolError;
use crate::files;
use crate::output::progress_bar;
use crate::units::count;

pub(super) fn finetune(arguments: &Finetune, out: &mut impl Write) -> Result<(), ToolError> {
    let (model, data_path) = arguments.files.paths()?;
    files::refuse_overwriting(&arguments.output, &[model, data_path])?;
    let file = files::read(model)?;
    let data = files::read(data_path)?;
    let error = load_error(model);
    let checked = check_runs(model, &file)?;
    let options = options(arguments);
    let mut memory = match arguments.arena {
        Some(size) => Memory::of(usize::try_from(size.0).unwrap_or(usize::MAX)),
        None => Memory::for_training(&checked, &options),
    }
    .map_err(&error)?;
    let mut backend = TransformerBackend::new(memory.arena().map_err(&error)?, options);
    backend.load(&file).map_err(Box::new).map_err(&error)?;
    let params = TrainParams {
        rank: arguments.rank,
        alpha: arguments.alpha.0,
        epochs: arguments.epochs,
        rate: arguments.rate.0,
        targets: arguments.targets.into(),
        seed: arguments.seed,
        base: sha256(&file),
    };
    let refused = |source| ToolError::Train {
        path: data_path.to_path_buf(),
        source: Box::new(source),
    };
    let begun = Instant::now();
    let plan = backend.train(&data, &params).map_err(refused)?;
    eprintln!(
        "{}, {}, {}; the longest example has {}; {}{}",
        count(plan.examples as usize, "example"),
        count(plan.steps as usize, "step"),
        count(plan.tokens as usize, "token"),
        plan.longest,
        count(plan.bytes as usize, "byte"),
        if plan.alone {
            ", without room for requests"
        } else {
            ""
        }
    );
    let (end, longest) = run(&mut backend).map_err(refused)?;
    let adapter = backend.made(0).to_vec();
    files::write(&arguments.output, &adapter)?;
    summary(
        &arguments.output,
        &adapter,
        &end,
        begun.elapsed(),
        longest,
        out,
    )
}

/// As on the device if `arena` gives its size; otherwise without a pool for requests.
fn options(arguments: &Finetune) -> LoadOptions {
    let (context, kv) = (arguments.context.0, arguments.kv.into());
    let options = match arguments.arena {
        Some(_) => LoadOptions {
            positions: Positions::Fill,
            ..service_options(context, kv)
        },
        None => load_options(context, kv),
    };
    LoadOptions {
        cpu: arguments.cpu.unwrap_or(options.cpu),
        ..options
    }
}

/// Trains to the end. Also returns the time of the longest step.
fn run(backend: &mut TransformerBackend<'_>) -> Result<(TrainProgress, Duration), TrainError> {
    let bar = progress_bar("training");
    let mut text = Text::new();
    let mut longest = Duration::ZERO;
    loop {
        let begun = Instant::now();
        let progress = backend.step(&mut text);
        longest = longest.max(begun.elapsed());
        let Progress::Training(progress) = progress else {
            continue;
        };
        let progress = progress?;
        bar.set_length(progress.steps.into());
        bar.set_position(progress.step.into());
        bar.set_message(format!("loss {:.3}", progress.loss));
        if progress.over {
            bar.finish_and_clear();
            return Ok((progress, longest));
        }
    }
}

fn summary(
    output: &Path,
    adapter: &[u8],
    end: &TrainProgress,
    time: Duration,
    longest: Duration,
    out: &mut impl Write,
) -> Result<(), ToolError> {
    eprintln!(
        "[{}, {} in {:.1} s, {:.0} tokens/s; the longest step took {:.1} ms]",
        count(end.steps as usize, "step"),
        count(end.tokens as usize, "token"),
        time.as_secs_f64(),
        end.tokens as f64 / time.as_secs_f64().max(1e-9),
        longest.as_secs_f64() * 1e3
    );
    let hash: String = sha256(adapter)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    writeln!(
        out,
        "{}: {} bytes, loss {:.4} in the last epoch, SHA-256 {hash}",
        output.display(),
        adapter.len(),
        end.loss
    )?;
    Ok(())
}
