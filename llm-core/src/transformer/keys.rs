//! The metadata keys that families know.
//!
//! [`super::Config::from_gguf`] reads them. One that is listed nowhere, or asks for what the forward pass
//! does not do, refuses the file by its name. A family's lists are in `families.rs`.

use crate::gguf::{Effect, KnownKey};

/// What every family reads, and what changes nothing in any.
pub(super) const COMMON: &[KnownKey] = &[
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
];

/// Of families whose feed-forward layer follows attention.
pub(super) const SEQUENTIAL: &[KnownKey] = &[KnownKey::only(
    "use_parallel_residual",
    Effect::OnlyBool(false),
)];

/// Of families that have both orders.
pub(super) const PARALLEL_BY_KEY: &[KnownKey] = &[KnownKey::read("use_parallel_residual")];

/// Of families with RMSNorm.
pub(super) const RMS_NORM: &[KnownKey] = &[
    KnownKey::read("attention.layer_norm_rms_epsilon"),
    KnownKey::nothing("attention.layer_norm_epsilon"),
];

/// Of families with LayerNorm.
pub(super) const LAYER_NORM: &[KnownKey] = &[
    KnownKey::read("attention.layer_norm_epsilon"),
    KnownKey::nothing("attention.layer_norm_rms_epsilon"),
];

/// Of families that rotate queries and keys.
pub(super) const ROPE: &[KnownKey] = &[
    KnownKey::read("rope.dimension_count"),
    KnownKey::read("rope.freq_base"),
    KnownKey::read("rope.scale_linear"),
    KnownKey::read("rope.scaling.attn_factor"),
    KnownKey::read("rope.scaling.factor"),
    // Of methods that need it.
    KnownKey::read("rope.scaling.original_context_length"),
    KnownKey::read("rope.scaling.type"),
    // A note about how the model was trained.
    KnownKey::nothing("rope.scaling.finetuned"),
    // The parameters of YaRN are those of its paper.
    KnownKey::only("rope.scaling.yarn_attn_factor", Effect::OnlyFloat(1.0)),
    KnownKey::only("rope.scaling.yarn_beta_fast", Effect::OnlyFloat(32.0)),
    KnownKey::only("rope.scaling.yarn_beta_slow", Effect::OnlyFloat(1.0)),
    KnownKey::only("rope.scaling.yarn_ext_factor", Effect::OnlyFloat(1.0)),
    KnownKey::only("rope.scaling.yarn_log_multiplier", Effect::OnlyFloat(0.0)),
];

/// Of families some of whose blocks attend only to the last positions.
pub(super) const WINDOW: &[KnownKey] = &[
    KnownKey::read("attention.sliding_window"),
    KnownKey::read("attention.sliding_window_pattern"),
];

pub(super) const GEMMA2: &[KnownKey] = &[
    KnownKey::read("attn_logit_softcapping"),
    KnownKey::read("final_logit_softcapping"),
    KnownKey::read("rope.freq_base_swa"),
    // It is not known which blocks would have it.
    KnownKey::only("rope.scaling.attn_factor", Effect::OnlyFloat(1.0)),
];

pub(super) const GEMMA3: &[KnownKey] = &[
    KnownKey::read("final_logit_softcapping"),
    KnownKey::read("rope.freq_base_swa"),
    // It is not known which blocks would have it.
    KnownKey::only("rope.scaling.attn_factor", Effect::OnlyFloat(1.0)),
];

pub(super) const PHI3: &[KnownKey] = &[
    // Files have it without a window being meant for every block, and do not say for which: llama.cpp leaves it out
    // as well.
    KnownKey::nothing("attention.sliding_window"),
];

pub(super) const GRANITE: &[KnownKey] = &[
    KnownKey::read("attention.scale"),
    KnownKey::read("embedding_scale"),
    KnownKey::read("logit_scale"),
    KnownKey::read("residual_scale"),
    // False: queries and keys are not rotated.
    KnownKey::read("rope.scaling.finetuned"),
];

pub(super) const STABLELM: &[KnownKey] = &[
    // The tensors decide: files with `ffn_norm` say true here as well.
    KnownKey::nothing("use_parallel_residual"),
];
