//! The engine's types as they cross the boundary.

use llm_core::arena::{Purpose, Usage};
use llm_core::backend::ModelInfo;
use llm_core::generate::{self, GenerateParams, Occupancy};
use llm_core::kv_cache;
use llm_core::sampling::SamplerParams;
use llm_core::transformer::AdapterInfo;
use llm_core::transformer::training::{self, Targets};
use protocol::record::Hash;
use protocol::wire::engine::{AdapterLoaded, Holdings, KvType, Loaded, Trained};
use protocol::wire::{self, ArenaUse, FinishReason, InferParams, TARGETS_ALL, TrainProgress};

pub(crate) fn generate_params(params: &InferParams) -> GenerateParams {
    let sampling = &params.sampling;
    GenerateParams {
        sampler: SamplerParams {
            seed: sampling.seed,
            temperature: sampling.temperature,
            top_k: sampling.top_k,
            top_p: sampling.top_p,
            min_p: sampling.min_p,
            repeat_penalty: sampling.repeat_penalty,
            repeat_last_n: sampling.repeat_last_n,
        },
        max_tokens: params.max_tokens,
    }
}

pub(crate) const fn reason(reason: generate::FinishReason) -> FinishReason {
    match reason {
        generate::FinishReason::EndOfText => FinishReason::EndOfText,
        generate::FinishReason::MaxTokens => FinishReason::MaxTokens,
        generate::FinishReason::ContextFull => FinishReason::ContextFull,
        generate::FinishReason::Cancelled => FinishReason::Cancelled,
    }
}

pub(crate) fn loaded(info: &ModelInfo, usage: &Usage) -> Loaded {
    Loaded {
        info: wire::ModelInfo {
            parameters: info.parameters,
            file_bytes: info.file_bytes,
            context: info.context,
            width: info.width,
            layers: info.layers,
            vocabulary: info.vocabulary,
            // Audit has its own.
            sha256: [0; 32],
        },
        arena: arena(usage),
        numerics: info.numerics_version,
        kv_type: match info.kv {
            kv_cache::KvType::F32 => KvType::F32,
            kv_cache::KvType::F16 => KvType::F16,
            kv_cache::KvType::Q8 => KvType::Q8,
        },
        kv_positions: info.kv_positions,
    }
}

/// Millionths of a value of the engine, at least 0 and at most what a field holds.
fn millionths(value: f32) -> u32 {
    // A value that is not finite is none; the cast saturates.
    (f64::from(value) * 1e6 + 0.5) as u32
}

pub(crate) fn adapter_loaded(info: &AdapterInfo, usage: &Usage, positions: usize) -> AdapterLoaded {
    AdapterLoaded {
        info: wire::AdapterInfo {
            rank: info.rank,
            alpha: millionths(info.alpha),
            matrices: info.matrices,
            parameters: info.parameters,
            bytes: info.bytes,
        },
        arena: arena(usage),
        kv_positions: positions as u32,
    }
}

/// Audit has checked the numbers.
pub(crate) fn train_params(params: &wire::TrainParams, base: Hash) -> training::TrainParams {
    training::TrainParams {
        rank: params.rank,
        alpha: params.alpha,
        epochs: params.epochs,
        rate: params.rate,
        targets: match params.targets {
            TARGETS_ALL => Targets::All,
            _ => Targets::Attention,
        },
        seed: params.seed,
        base,
    }
}

/// How far a training is of which that was the plan.
pub(crate) fn progress(
    plan: &training::TrainPlan,
    progress: &training::TrainProgress,
) -> TrainProgress {
    TrainProgress {
        step: progress.step,
        steps: plan.steps,
        tokens: progress.tokens,
        loss: millionths(progress.loss),
        longest: plan.longest,
        alone: plan.alone,
    }
}

/// A training that is over; `bytes`: of the adapter, which has been sent.
pub(crate) fn trained(progress: &training::TrainProgress, bytes: u64) -> Trained {
    Trained {
        tokens: progress.tokens,
        bytes,
        steps: progress.step,
        loss: millionths(progress.loss),
    }
}

pub(crate) fn holdings(usage: &Usage, occupancy: &Occupancy) -> Holdings {
    Holdings {
        arena: arena(usage),
        kv_positions: occupancy.positions as u32,
        kv_free: occupancy.free as u32,
        running: occupancy.running as u32,
        waiting: occupancy.waiting as u32,
    }
}

fn arena(usage: &Usage) -> ArenaUse {
    ArenaUse {
        weights: usage.of(Purpose::Weights) as u64,
        kv_cache: usage.of(Purpose::KvCache) as u64,
        activations: usage.of(Purpose::Activations) as u64,
        vocabulary: usage.of(Purpose::Vocabulary) as u64,
        adapters: usage.of(Purpose::Adapters) as u64,
        training: usage.of(Purpose::Training) as u64,
        other: usage.of(Purpose::Other) as u64,
        peak: usage.peak as u64,
        capacity: usage.capacity as u64,
    }
}
