//! How fast a model runs on this machine, on one thread.

use std::time::Instant;

use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::transformer::{Checked, LoadOptions, MAX_BATCH};
use serde::Serialize;

use crate::engine::{Memory, Runner};
use crate::error::ToolError;

/// Tokens that are decoded for one figure.
const DECODE: usize = 128;

/// A figure: the median of its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much.
    pub value: f64,
    /// Of what.
    pub unit: &'static str,
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Seconds that `f` takes.
fn timed<T>(f: impl FnOnce() -> Result<T, ToolError>) -> Result<f64, ToolError> {
    let begun = Instant::now();
    f()?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Measures load, prefill and decode, `runs` times each.
///
/// # Errors
/// The model cannot be loaded, or a value is not finite.
pub fn bench(
    file: &[u8],
    options: &LoadOptions,
    runs: usize,
    error: impl Fn(Box<llm_core::transformer::LoadError>) -> ToolError,
) -> Result<Vec<Figure>, ToolError> {
    let mut figures = Vec::new();
    let mut figure = |name: String, value: f64, unit| figures.push(Figure { name, value, unit });

    let checked = Checked::new(file).map_err(Box::new).map_err(&error)?;
    let mut loads = Vec::new();
    for _ in 0..runs {
        let mut memory = Memory::for_model(&checked, options).map_err(&error)?;
        let mut backend = TransformerBackend::new(memory.arena().map_err(&error)?, *options);
        loads.push(timed(|| {
            backend.load(file).map_err(Box::new).map_err(&error)
        })?);
    }
    figure("load, verified".to_owned(), 1e3 * median(loads), "ms");

    let mut memory = Memory::for_model(&checked, options).map_err(&error)?;
    let mut runner = Runner::load(&checked, options, &mut memory).map_err(&error)?;
    let context = runner.model().context();
    let vocabulary = runner.model().config().vocabulary;
    // Any tokens will do: work does not depend on them.
    let tokens: Vec<u32> = (0..context).map(|n| (n * 7 % vocabulary) as u32).collect();

    let batch = MAX_BATCH.min(context).min(runner.model().batch());
    let mut prefills = Vec::new();
    let mut decodes = Vec::new();
    let count = DECODE.min(context);
    for _ in 0..runs {
        prefills.push(timed(|| runner.feed_batch(&tokens[..batch], 0))?);
        decodes.push(timed(|| {
            for (position, &token) in tokens[..count].iter().enumerate() {
                runner.feed(token, position)?;
            }
            Ok(())
        })?);
    }
    figure(
        format!("prefill of {batch} tokens"),
        batch as f64 / median(prefills),
        "tokens/s",
    );
    figure(
        format!("decode of {count} tokens"),
        count as f64 / median(decodes),
        "tokens/s",
    );
    for position in [10, context - 1] {
        let position = position.min(context - 1);
        for (earlier, &token) in tokens[..position].iter().enumerate() {
            runner.feed(token, earlier)?;
        }
        let mut seconds = Vec::new();
        for _ in 0..runs * 10 {
            seconds.push(timed(|| runner.feed(tokens[position], position).map(drop))?);
        }
        figure(
            format!("a token at position {position}"),
            1e6 * median(seconds),
            "us",
        );
    }
    Ok(figures)
}
