//! The engine's types as they cross the boundary.

use llm_core::arena::{Purpose, Usage};
use llm_core::backend::ModelInfo;
use llm_core::generate::{self, GenerateParams, Occupancy};
use llm_core::kv_cache;
use llm_core::sampling::SamplerParams;
use protocol::wire::engine::{Holdings, KvType, Loaded};
use protocol::wire::{self, ArenaUse, FinishReason, InferParams};

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
        other: usage.of(Purpose::Other) as u64,
        peak: usage.peak as u64,
        capacity: usage.capacity as u64,
    }
}
