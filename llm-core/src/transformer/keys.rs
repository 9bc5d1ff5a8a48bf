//! The metadata keys that families know.
//!
//! [`super::Config::from_gguf`] reads them. A file with an unlisted key, or one that asks for something the forward
//! pass does not do, is refused by that key's name. A family's lists are in `families.rs`.

use crate::gguf::{Effect, KnownKey};

/// Keys that every family reads, and keys without effect in any.
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
    // A note about the file it was converted from.
    KnownKey::nothing("tensor_data_layout"),
    // For text embeddings, which are not computed.
    KnownKey::nothing("pooling_type"),
    // Each token sees only itself and earlier ones.
    KnownKey::only("attention.causal", Effect::OnlyBool(true)),
    KnownKey::only("expert_count", Effect::OnlyInteger(0)),
    KnownKey::only("expert_used_count", Effect::OnlyInteger(0)),
    KnownKey::only("nextn_predict_layers", Effect::OnlyInteger(0)),
];

/// For families whose feed-forward layer follows attention.
pub(super) const SEQUENTIAL: &[KnownKey] = &[KnownKey::only(
    "use_parallel_residual",
    Effect::OnlyBool(false),
)];

/// For families that have both orders.
pub(super) const PARALLEL_BY_KEY: &[KnownKey] = &[KnownKey::read("use_parallel_residual")];

/// For families with RMSNorm.
pub(super) const RMS_NORM: &[KnownKey] = &[
    KnownKey::read("attention.layer_norm_rms_epsilon"),
    KnownKey::nothing("attention.layer_norm_epsilon"),
];

/// For families with LayerNorm.
pub(super) const LAYER_NORM: &[KnownKey] = &[
    KnownKey::read("attention.layer_norm_epsilon"),
    KnownKey::nothing("attention.layer_norm_rms_epsilon"),
];

/// For families that rotate queries and keys.
pub(super) const ROPE: &[KnownKey] = &[
    KnownKey::read("rope.dimension_count"),
    KnownKey::read("rope.freq_base"),
    KnownKey::read("rope.scale_linear"),
    KnownKey::read("rope.scaling.attn_factor"),
    KnownKey::read("rope.scaling.factor"),
    // For methods that need it.
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

/// For families in which some blocks have sliding-window attention.
pub(super) const WINDOW: &[KnownKey] = &[
    KnownKey::read("attention.sliding_window"),
    KnownKey::read("attention.sliding_window_pattern"),
];

pub(super) const GEMMA2: &[KnownKey] = &[
    KnownKey::read("attn_logit_softcapping"),
    KnownKey::read("final_logit_softcapping"),
    KnownKey::read("rope.freq_base_swa"),
    // It is unclear which blocks it would apply to.
    KnownKey::only("rope.scaling.attn_factor", Effect::OnlyFloat(1.0)),
];

pub(super) const GEMMA3: &[KnownKey] = &[
    KnownKey::read("final_logit_softcapping"),
    KnownKey::read("rope.freq_base_swa"),
    // It is unclear which blocks it would apply to.
    KnownKey::only("rope.scaling.attn_factor", Effect::OnlyFloat(1.0)),
];

pub(super) const PHI3: &[KnownKey] = &[
    // Files contain it although not every block should have a window, and do not say which ones: llama.cpp ignores it
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
    // The tensors decide; files with `ffn_norm` also say true here.
    KnownKey::nothing("use_parallel_residual"),
];
