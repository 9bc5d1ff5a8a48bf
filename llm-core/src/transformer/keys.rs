//! The metadata keys that each architecture knows.
//!
//! [`super::Config::from_gguf`] reads them. One that is listed nowhere, or asks for what the forward pass
//! does not do, refuses the file by its name.

use super::config::Architecture;
use crate::gguf::{Effect, KnownKey};

/// What every architecture reads, and what changes nothing in any.
const COMMON: &[KnownKey] = &[
    KnownKey::read("attention.head_count"),
    KnownKey::read("attention.head_count_kv"),
    KnownKey::read("attention.key_length"),
    KnownKey::read("attention.value_length"),
    KnownKey::read("block_count"),
    KnownKey::read("context_length"),
    KnownKey::read("embedding_length"),
    KnownKey::read("feed_forward_length"),
    // The vocabulary has as many tokens as the tokenizer lists.
    KnownKey::nothing("vocab_size"),
    // A note about the file that it was converted from.
    KnownKey::nothing("tensor_data_layout"),
    // For embeddings of texts, which are not computed.
    KnownKey::nothing("pooling_type"),
    // Each token sees itself and what is before it.
    KnownKey::only("attention.causal", Effect::OnlyBool(true)),
    KnownKey::only("expert_count", Effect::OnlyInteger(0)),
    KnownKey::only("expert_used_count", Effect::OnlyInteger(0)),
    KnownKey::only("nextn_predict_layers", Effect::OnlyInteger(0)),
    KnownKey::only("use_parallel_residual", Effect::OnlyBool(false)),
];

/// Of architectures with RMSNorm.
const RMS_NORM: &[KnownKey] = &[
    KnownKey::read("attention.layer_norm_rms_epsilon"),
    KnownKey::nothing("attention.layer_norm_epsilon"),
];

/// Of architectures with LayerNorm.
const LAYER_NORM: &[KnownKey] = &[
    KnownKey::read("attention.layer_norm_epsilon"),
    KnownKey::nothing("attention.layer_norm_rms_epsilon"),
];

/// Of architectures that rotate queries and keys.
const ROPE: &[KnownKey] = &[
    KnownKey::read("rope.dimension_count"),
    KnownKey::read("rope.freq_base"),
    KnownKey::read("rope.scale_linear"),
    KnownKey::read("rope.scaling.factor"),
    KnownKey::read("rope.scaling.type"),
    // Read by methods that are refused.
    KnownKey::nothing("rope.scaling.original_context_length"),
    KnownKey::nothing("rope.scaling.finetuned"),
    // It multiplies the rotated vectors.
    KnownKey::only("rope.scaling.attn_factor", Effect::OnlyFloat(1.0)),
];

impl Architecture {
    /// All keys that may stand behind the architecture's name and a dot.
    pub(super) const fn known_keys(self) -> &'static [&'static [KnownKey]] {
        match self {
            Self::Llama | Self::Qwen2 => &[COMMON, RMS_NORM, ROPE],
            Self::Gpt2 => &[COMMON, LAYER_NORM],
        }
    }
}
