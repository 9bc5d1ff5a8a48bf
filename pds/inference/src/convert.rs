//! Converts the engine's types to and from those of the protocol.

use llm_core::arena::{Purpose, Usage};
use llm_core::backend::ModelInfo;
use llm_core::chat::{Role, Segment};
use llm_core::constrain::Format;
use llm_core::generate::{self, Occupancy};
use llm_core::kv_cache;
use llm_core::transformer::AdapterInfo;
use llm_core::transformer::training::{self, Targets};
use protocol::error::{ErrorCode, Failure};
use protocol::hash::Hash;
use protocol::limits::{MAX_SEGMENTS, MAX_TEMPLATE_BYTES};
use protocol::name::{TemplateName, is_allowed};
use protocol::wire::engine::{AdapterLoaded, Holdings, KvType, Loaded, Trained};
use protocol::wire::{self, ArenaUse, FinishReason, PartKind, Parts, TARGETS_ALL, TrainProgress};

/// The conversation in the parts; empty if they hold a text to complete. Audit has checked the number of segments.
pub(crate) fn segments<'a>(parts: &Parts<'a>) -> heapless::Vec<Segment<'a>, MAX_SEGMENTS> {
    let segment = |part: wire::Part<'a>| {
        let role = match part.kind {
            PartKind::System => Role::System,
            PartKind::User => Role::User,
            PartKind::Assistant => Role::Assistant,
            // Audit has already decided whether a prompt is said or completed.
            PartKind::Text | PartKind::Prompt | PartKind::Stop | PartKind::Choice => return None,
        };
        Some(Segment::new(role, part.as_str()))
    };
    parts
        .segments()
        .filter_map(segment)
        .take(MAX_SEGMENTS)
        .collect()
}

/// The format of the answer: the one with this number less one, or the choices in the parts.
///
/// # Errors
/// There are both, or the choices are invalid. Audit has checked for that.
pub(crate) fn format(number: u32, parts: &Parts<'_>) -> Result<Option<Format>, Failure> {
    match (number.checked_sub(1), parts.allowed()?) {
        (None, None) => Ok(None),
        // The parse has checked that it is below 16.
        (Some(number), None) => Ok(Some(Format::Named(number as u8))),
        (None, Some(choices)) => Ok(Some(Format::Choices(choices))),
        (Some(_), Some(_)) => Err(Failure::of(ErrorCode::FormatAndChoices)),
    }
}

pub(crate) const fn reason(reason: generate::FinishReason) -> FinishReason {
    match reason {
        generate::FinishReason::EndOfText => FinishReason::EndOfText,
        generate::FinishReason::Stop => FinishReason::Stop,
        generate::FinishReason::MaxTokens => FinishReason::MaxTokens,
        generate::FinishReason::ContextFull => FinishReason::ContextFull,
        generate::FinishReason::Cancelled => FinishReason::Cancelled,
    }
}

/// A template's name as the protocol allows it, without spaces and only in ASCII: other characters become hyphens.
fn template_name(name: &str) -> TemplateName {
    let written = name.chars().map(|character| match u8::try_from(character) {
        Ok(byte) if is_allowed(byte) => character,
        _ => '-',
    });
    let written: heapless::String<MAX_TEMPLATE_BYTES> = written.take(MAX_TEMPLATE_BYTES).collect();
    // It is no longer than before, and all its bytes are allowed.
    TemplateName::new(&written).unwrap_or_default()
}

pub(crate) fn loaded(info: &ModelInfo, usage: &Usage) -> Loaded {
    let template = info.template.as_ref();
    Loaded {
        info: wire::ModelInfo {
            parameters: info.parameters,
            file_bytes: info.file_bytes,
            context: info.context,
            width: info.width,
            layers: info.layers,
            vocabulary: info.vocabulary,
            // Audit computes its own.
            sha256: [0; 32],
            template: template
                .map_or_else(TemplateName::default, |it| template_name(it.name.as_str())),
            fixed_tokens: template.map_or(0, |it| it.bound.fixed_tokens),
            segment_tokens: template.map_or(0, |it| it.bound.segment_tokens),
            separates: template.is_some_and(|it| it.separates),
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

/// A value of the engine in millionths, clamped to the range of the field.
fn millionths(value: f32) -> u32 {
    // A value that is not finite becomes 0 or the largest; the cast saturates.
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

/// Converts the numbers, which audit has checked.
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

/// Progress of a training with this plan.
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

/// A training that has ended; `bytes` is the size of the adapter, which has been sent.
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
