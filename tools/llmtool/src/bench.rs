//! How fast a model runs on this machine.

use std::time::Instant;

use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::hash::sha256;
use llm_core::transformer::{
    Checked, LoadError, LoadOptions, MAX_BATCH, MAX_SESSIONS, Positions, Token,
};
use serde::Serialize;

use crate::adapter::{self, Adapter};
use crate::engine::{Memory, Runner, team};
use crate::error::ToolError;

/// Positions at which a token's time is measured, besides the end of the context.
const POSITIONS: [usize; 4] = [10, 100, 300, 1000];

/// Tokens decoded by each of several sessions.
const SESSION_TOKENS: usize = 64;

/// A figure: the median of its runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The value.
    pub value: f64,
    /// The unit.
    pub unit: &'static str,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Tokens of a prompt; 0 to skip it.
    pub prompt: usize,
    /// Tokens to generate; 0 to skip it.
    pub generate: usize,
    /// Runs of which the median counts.
    pub runs: usize,
    /// Whether to measure only loading, prompt and generation, instead of also each position and many sessions.
    pub quick: bool,
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

/// Measures load, prefill and decode; `progress` is told how many of all runs are done.
///
/// # Errors
/// The model cannot be loaded, or a value is not finite.
pub fn bench(
    file: &[u8],
    lora: Option<&Adapter>,
    options: &LoadOptions,
    wish: Wish,
    error: impl Fn(Box<LoadError>) -> ToolError,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Figure>, ToolError> {
    let runs = wish.runs;
    let mut done = 0;
    // Loading, prompt and generation, positions, sessions.
    let mut step = || {
        done += 1;
        progress(done, if wish.quick { 2 } else { 4 } * runs);
    };
    let mut figures = Vec::new();
    let mut figure = |name: String, value: f64, unit| figures.push(Figure { name, value, unit });

    let checked = Checked::new(file).map_err(Box::new).map_err(&error)?;
    let mut loads = Vec::new();
    for _ in 0..runs {
        let mut memory = Memory::for_model(&checked, options).map_err(&error)?;
        let mut backend = TransformerBackend::new(memory.arena().map_err(&error)?, *options);
        loads.push(timed(|| {
            // As audit does before inference loads it; checking the signature is negligible in comparison.
            std::hint::black_box(sha256(file));
            backend.load(file).map_err(Box::new).map_err(&error)
        })?);
        step();
    }
    figure("load, verified".to_owned(), 1e3 * median(loads), "ms");

    let adapters = adapter::bytes(lora, &checked, file)?;
    let mut memory = Memory::with_adapters(&checked, options, adapters).map_err(&error)?;
    let mut runner =
        Runner::load(&checked, options, team(options)?, &mut memory).map_err(&error)?;
    if let Some(lora) = lora {
        runner.load_adapter(lora, file)?;
        runner.use_adapter(false);
    }
    let context = runner.model().context();
    let vocabulary = runner.model().config().vocabulary;
    // Any tokens will do, because the work does not depend on them.
    let tokens: Vec<u32> = (0..context).map(|n| (n * 7 % vocabulary) as u32).collect();

    let batch = MAX_BATCH.min(context).min(runner.model().batch());
    let (prompt, count) = (wish.prompt.min(context), wish.generate.min(context));
    let prefill = |runner: &mut Runner<'_>| {
        for (n, part) in tokens[..prompt].chunks(batch).enumerate() {
            runner.feed_batch(part, n * batch)?;
        }
        Ok(())
    };
    let decode = |runner: &mut Runner<'_>| {
        for (position, &token) in tokens[..count].iter().enumerate() {
            runner.feed(token, position)?;
        }
        Ok(())
    };
    // Alternating with and without the adapter, so that other load on the machine affects both equally.
    let kinds: &[bool] = if lora.is_some() {
        &[false, true]
    } else {
        &[false]
    };
    let mut seconds = [const { (Vec::new(), Vec::new()) }; 2];
    for _ in 0..runs {
        for (&adapted, (prefills, decodes)) in kinds.iter().zip(&mut seconds) {
            runner.use_adapter(adapted);
            prefills.push(timed(|| prefill(&mut runner))?);
            decodes.push(timed(|| decode(&mut runner))?);
        }
        runner.use_adapter(false);
        step();
    }
    let [plain, adapted] = seconds;
    for (what, count, plain, adapted) in [
        ("prefill", prompt, plain.0, adapted.0),
        ("decode", count, plain.1, adapted.1),
    ] {
        if count == 0 {
            continue;
        }
        let rate = |seconds: &[f64]| count as f64 / median(seconds.to_vec());
        figure(
            format!("{what} of {count} tokens"),
            rate(&plain),
            "tokens/s",
        );
        if lora.is_some() {
            let name = format!("{what} of {count} tokens, with the adapter");
            figure(name, rate(&adapted), "tokens/s");
            let shares = adapted
                .iter()
                .zip(&plain)
                .map(|(with, without)| with / without);
            let more = 100.0 * (median(shares.collect()) - 1.0);
            figure(format!("{what}, the adapter's share"), more, "%");
        }
    }

    if wish.quick {
        return Ok(figures);
    }

    // Alternating, so that other load on the machine affects both equally.
    let positions: Vec<usize> = POSITIONS
        .into_iter()
        .filter(|&position| position < context)
        .chain((!POSITIONS.contains(&(context - 1))).then_some(context - 1))
        .collect();
    for start in (0..context).step_by(batch) {
        let end = (start + batch).min(context);
        runner.feed_batch(&tokens[start..end], start)?;
    }
    let mut seconds = vec![Vec::new(); positions.len()];
    for run in 0..runs * 10 {
        if run % 10 == 9 {
            step();
        }
        for (&position, seconds) in positions.iter().zip(&mut seconds) {
            // Eight in a row: a single one is too short for the clock.
            let eight = timed(|| {
                for _ in 0..8 {
                    runner.feed(tokens[position], position)?;
                }
                Ok(())
            })?;
            seconds.push(eight / 8.0);
        }
    }
    for (position, seconds) in positions.iter().zip(seconds) {
        let name = format!("a token at position {position}");
        figure(name, 1e6 * median(seconds), "us");
    }

    let together = sessions(&checked, options, runs, &error, &mut step)?;
    let name = format!("{MAX_SESSIONS} sessions, {SESSION_TOKENS} tokens each, together");
    figure(name, together, "tokens/s");
    Ok(figures)
}

/// Tokens per second of all sessions decoding together.
fn sessions(
    checked: &Checked<'_>,
    options: &LoadOptions,
    runs: usize,
    error: impl Fn(Box<LoadError>) -> ToolError,
    step: &mut dyn FnMut(),
) -> Result<f64, ToolError> {
    let options = LoadOptions {
        sessions: MAX_SESSIONS,
        positions: Positions::Exactly(MAX_SESSIONS * SESSION_TOKENS),
        ..*options
    };
    let mut memory = Memory::for_model(checked, &options).map_err(&error)?;
    let team = team(&options)?;
    let mut runner = Runner::load(checked, &options, team, &mut memory).map_err(&error)?;
    let length = SESSION_TOKENS.min(runner.model().context());
    runner.reserve(length)?;
    let vocabulary = runner.model().config().vocabulary;
    let mut seconds = Vec::new();
    for _ in 0..runs {
        seconds.push(timed(|| {
            for position in 0..length {
                let token = |session: usize| Token {
                    id: ((position * 7 + session) % vocabulary) as u32,
                    session: session as u16,
                    position: position as u32,
                    logits: true,
                    adapter: None,
                };
                let tokens: Vec<Token> = (0..MAX_SESSIONS).map(token).collect();
                for tokens in tokens.chunks(runner.model().batch()) {
                    runner.feed_sessions(tokens)?;
                }
            }
            Ok(())
        })?);
        step();
    }
    Ok((MAX_SESSIONS * length) as f64 / median(seconds))
}
