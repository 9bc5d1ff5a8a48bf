//! The metadata keys that the tokenizer knows, without the prefix `tokenizer.`.

use crate::gguf::{Effect, KnownKey};

pub(super) const KEYS: &[KnownKey] = &[
    KnownKey::read("ggml.add_bos_token"),
    KnownKey::read("ggml.add_eos_token"),
    KnownKey::read("ggml.add_space_prefix"),
    KnownKey::read("ggml.bos_token_id"),
    KnownKey::read("ggml.eom_token_id"),
    KnownKey::read("ggml.eos_token_id"),
    KnownKey::read("ggml.eot_token_id"),
    KnownKey::read("ggml.fim_mid_token_id"),
    KnownKey::read("ggml.fim_pad_token_id"),
    KnownKey::read("ggml.fim_pre_token_id"),
    KnownKey::read("ggml.fim_rep_token_id"),
    KnownKey::read("ggml.fim_sep_token_id"),
    KnownKey::read("ggml.fim_suf_token_id"),
    KnownKey::read("ggml.merges"),
    // Older names of three keys above.
    KnownKey::read("ggml.middle_token_id"),
    KnownKey::read("ggml.model"),
    KnownKey::read("ggml.pre"),
    KnownKey::read("ggml.prefix_token_id"),
    KnownKey::read("ggml.scores"),
    KnownKey::read("ggml.suffix_token_id"),
    KnownKey::read("ggml.suppress_tokens"),
    KnownKey::read("ggml.token_type"),
    KnownKey::read("ggml.tokens"),
    KnownKey::read("ggml.unknown_token_id"),
    // For models that read two texts, classify, or fill gaps.
    KnownKey::nothing("ggml.add_sep_token"),
    KnownKey::nothing("ggml.cls_token_id"),
    KnownKey::nothing("ggml.mask_token_id"),
    KnownKey::nothing("ggml.seperator_token_id"),
    KnownKey::nothing("ggml.token_type_count"),
    // Batches are not padded.
    KnownKey::nothing("ggml.padding_token_id"),
    // For tokenizers that are refused.
    KnownKey::only("ggml.normalizer.lowercase", Effect::OnlyBool(false)),
    KnownKey::only("ggml.normalizer.strip_accents", Effect::OnlyBool(false)),
    KnownKey::only("ggml.remove_extra_whitespaces", Effect::OnlyBool(false)),
    // The same vocabulary in other formats.
    KnownKey::nothing("huggingface.json"),
    KnownKey::nothing("rwkv.world"),
    // How a conversation is written: see `crate::chat`. Templates for other purposes are not used.
    KnownKey::read("chat_template"),
    KnownKey::nothing("chat_template.*"),
    KnownKey::nothing("chat_templates"),
];
