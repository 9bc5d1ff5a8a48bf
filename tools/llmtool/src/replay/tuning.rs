//! Fine-tuning jobs: base, data, parameters and seed determine the adapter, bit for bit.

use std::path::Path;

use llm_core::backend::{LlmBackend, TransformerBackend};
use llm_core::generate::{Progress, Text};
use llm_core::hash::sha256;
use llm_core::kv_cache::KvType;
use llm_core::transformer::training::{Targets, TrainParams};
use protocol::hash::{Hash, Hex};
use protocol::record::Record;
use protocol::wire::TARGETS_ALL;

use super::Verdict;
use super::sources::Sources;
use crate::engine::{Memory, check_runs, load_error, load_options};
use crate::error::ToolError;

/// A fine-tuning job that completed all epochs.
#[derive(Clone, Debug)]
pub(super) struct Tuning<'e> {
    /// The record of its end.
    pub(super) record: &'e Record,
    /// Hashes of the examples that had been typed when it began, in order.
    pub(super) examples: Vec<Hash>,
}

/// Trains again with the context that the model was loaded with. If the result matches the log, it is added to the
/// sources, because requests may have used it.
///
/// # Errors
/// The model's file cannot be read, or is not a model.
pub(super) fn replay(
    tuning: &Tuning<'_>,
    context: usize,
    sources: &mut Sources,
) -> Result<Verdict, ToolError> {
    let record = tuning.record;
    let skipped = |why: String| Ok(Verdict::Skipped(why));
    if let Err(why) = super::same_numerics(record) {
        return skipped(why);
    }
    let Some(place) = sources.file(&record.model_sha256) else {
        return skipped(super::no_model(&record.model_sha256));
    };
    let Some(data) = sources.data(&record.prompt_sha256, &tuning.examples) else {
        return skipped(format!(
            "neither --models nor --data has its data, nor do the log and --prompts have all examples: SHA-256 {}",
            Hex(&record.prompt_sha256)
        ));
    };
    let file = place.read()?;
    let adapter = match train(&place.path(), &file, &data, &params(record), context)? {
        Ok(adapter) => adapter,
        Err(why) => return Ok(Verdict::Differs(why)),
    };
    let (got, logged) = (sha256(&adapter), record.adapter_sha256);
    if got != logged {
        let (got, logged) = (Hex(&got), Hex(&logged));
        return Ok(Verdict::Differs(format!(
            "adapter {got}, the log has {logged}"
        )));
    }
    sources.add_adapter(adapter);
    Ok(Verdict::Reproduced)
}

fn params(record: &Record) -> TrainParams {
    let train = &record.train;
    TrainParams {
        rank: train.rank,
        alpha: train.alpha,
        epochs: train.epochs,
        rate: train.rate,
        targets: match train.targets {
            TARGETS_ALL => Targets::All,
            _ => Targets::Attention,
        },
        seed: train.seed,
        base: record.model_sha256,
    }
}

/// Trains the adapter, or says why the engine cannot.
fn train(
    path: &Path,
    file: &[u8],
    data: &[u8],
    params: &TrainParams,
    context: usize,
) -> Result<Result<Vec<u8>, String>, ToolError> {
    let error = load_error(path);
    let checked = check_runs(path, file)?;
    // The type of keys and values of requests does not matter, because training has its own.
    let options = load_options(context, KvType::Q8);
    let mut memory = Memory::for_training(&checked, &options).map_err(&error)?;
    let mut backend = TransformerBackend::new(memory.arena().map_err(&error)?, options);
    backend.load(file).map_err(Box::new).map_err(&error)?;
    if let Err(refused) = backend.train(data, params) {
        return Ok(Err(format!("the engine refuses it: {refused}")));
    }
    let mut text = Text::new();
    loop {
        match backend.step(&mut text) {
            Progress::Training(Ok(progress)) if progress.over => break,
            Progress::Training(Err(failed)) => return Ok(Err(failed.to_string())),
            Progress::Idle => return Ok(Err("the engine has lost the training".to_owned())),
            Progress::Training(Ok(_))
            | Progress::Working
            | Progress::Evicted(_)
            | Progress::Session(..) => {}
        }
    }
    let mut adapter = Vec::new();
    loop {
        match backend.made(adapter.len()) {
            [] => return Ok(Ok(adapter)),
            part => adapter.extend_from_slice(part),
        }
    }
}
