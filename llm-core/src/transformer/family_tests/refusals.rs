//! Files that do not fit their family's description.

use super::*;

#[test]
fn an_unknown_architecture_is_refused_with_those_that_there_are() {
    let file = with("llama", |file| {
        file.remove_key("general.architecture");
        file.str("general.architecture", "mamba");
    });
    let error = Checked::new(&file).expect_err("no mamba").to_string();
    for Family { name, .. } in FAMILIES {
        assert!(error.contains(name), "{error}");
    }
    assert!(
        error.starts_with("the architecture mamba is not supported (llama, qwen2, "),
        "{error}"
    );
    assert!(error.ends_with(" and stablelm are)"), "{error}");
}

#[test]
fn scales_and_caps_that_are_no_numbers_above_0_are_refused_by_name() {
    for (name, key, zero_is_none) in [
        ("granite", "logit_scale", false),
        ("granite", "residual_scale", true),
        ("granite", "embedding_scale", true),
        ("granite", "attention.scale", true),
        ("gemma2", "attn_logit_softcapping", false),
        ("gemma2", "final_logit_softcapping", false),
        ("gemma3", "final_logit_softcapping", true),
        ("gemma3", "rope.freq_base_swa", false),
        ("llama", "rope.scaling.attn_factor", true),
    ] {
        for wrong in [-1.0, f32::NAN, f32::INFINITY, 1e-45] {
            let error = refusal(name, key, |file, key| {
                file.f32(key, wrong);
            });
            let expected = std::format!("{name}.{key} is not a finite number above 0");
            assert_eq!(error, expected);
        }
        let zero = replaced(name, key, |file, key| {
            file.f32(key, 0.0);
        });
        assert_eq!(Checked::new(&zero).is_ok(), zero_is_none, "{name}.{key}");
        let error = refusal(name, key, |file, key| {
            file.str(key, "much");
        });
        assert!(error.contains(&std::format!("{name}.{key}")), "{error}");
    }
}

#[test]
fn keys_that_must_be_there_are_asked_for_by_name() {
    for (name, key) in [
        ("granite", "logit_scale"),
        ("gptneox", "use_parallel_residual"),
        ("stablelm", "attention.layer_norm_epsilon"),
        ("qwen3", "attention.layer_norm_rms_epsilon"),
    ] {
        let error = refusal(name, key, |_, _| {});
        assert!(error.contains(&std::format!("{name}.{key}")), "{error}");
    }
}

#[test]
fn a_key_of_another_family_refuses_the_model_by_its_name() {
    for (name, key) in [
        ("llama", "attention.scale"),
        ("llama", "logit_scale"),
        ("qwen3", "attention.sliding_window"),
        ("gemma3", "attn_logit_softcapping"),
        ("olmo2", "rope.freq_base_swa"),
        ("gpt2", "rope.freq_base"),
        ("phi3", "embedding_scale"),
    ] {
        let error = refusal(name, key, |file, key| {
            file.f32(key, 2.0);
        });
        let expected = std::format!("the metadata key {name}.{key} is not known");
        assert!(error.starts_with(&expected), "{error}");
    }
    for (name, key, value) in [
        ("gemma2", "rope.scaling.attn_factor", 0.5),
        ("llama", "rope.scaling.yarn_beta_fast", 16.0),
        ("olmo2", "rope.scaling.yarn_beta_slow", 2.0),
        ("qwen2", "rope.scaling.yarn_ext_factor", 0.5),
        ("qwen3", "rope.scaling.yarn_attn_factor", 0.5),
        ("granite", "rope.scaling.yarn_log_multiplier", 0.1),
    ] {
        let error = refusal(name, key, |file, key| {
            file.f32(key, value);
        });
        let expected = std::format!("{name}.{key} = {value} is not supported, only ");
        assert!(error.starts_with(&expected), "{error}");
    }
}

#[test]
fn methods_of_scaling_are_those_of_the_family() {
    let allowed: [(&str, &[&str]); 5] = [
        ("llama", &["none", "linear", "yarn"]),
        ("gemma3", &["none", "linear"]),
        ("gptneox", &["none", "linear", "yarn"]),
        ("phi3", &["none", "linear", "yarn"]),
        ("smollm3", &["none", "linear", "yarn"]),
    ];
    for (name, allowed) in allowed {
        for method in ["none", "linear", "yarn", "dynamic"] {
            let file = replaced(name, "rope.scaling.type", |file, key| {
                file.str(key, method);
            });
            let fine = Checked::new(&file).is_ok();
            assert_eq!(fine, allowed.contains(&method), "{name} {method}");
        }
    }
    // The divisors are missing.
    for name in ["llama", "phi3", "granite"] {
        let error = refusal(name, "rope.scaling.type", |file, key| {
            file.str(key, "longrope");
        });
        assert!(error.contains("rope_factors_short.weight"), "{error}");
    }
    let odd = refusal("stablelm", "rope.dimension_count", |file, key| {
        file.u32(key, 3);
    });
    assert!(odd.contains("stablelm.rope.dimension_count = 3"), "{odd}");
}

#[test]
fn tensors_that_a_family_does_not_have_are_refused_by_name() {
    let ty = crate::quantize::TensorType::F32;
    for (name, tensor, len) in [
        ("llama", "blk.0.attn_q_norm.weight", 16),
        ("qwen3", "rope_freqs.weight", 8),
        ("gemma2", "blk.1.attn_k_norm.weight", 16),
        ("olmo2", "blk.0.attn_norm.weight", 64),
        ("smollm3", "blk.0.post_ffw_norm.weight", 64),
        ("phi3", "blk.0.attn_norm.bias", 64),
    ] {
        let file = with(name, |file| {
            file.tensor(tensor, ty, &[len], &std::vec![1.0; len]);
        });
        let error = Checked::new(&file).expect_err("refused").to_string();
        assert_eq!(error, std::format!("the tensor {tensor} is not supported"));
    }
}

#[test]
fn values_of_another_type_or_out_of_range_are_refused_by_the_keys_name() {
    for (name, key) in [
        ("gemma2", "attention.sliding_window"),
        ("gemma3", "attention.sliding_window_pattern"),
        ("gptneox", "use_parallel_residual"),
        ("granite", "rope.scaling.finetuned"),
        ("granite", "rope.scaling.original_context_length"),
        ("qwen3", "attention.head_count_kv"),
        ("stablelm", "rope.dimension_count"),
        ("smollm3", "rope.freq_base"),
    ] {
        let error = refusal(name, key, |file, key| {
            file.str(key, "8");
        });
        assert!(error.contains(&std::format!("{name}.{key}")), "{error}");
    }
    for (name, key, value) in [
        ("gptneox", "rope.dimension_count", 18),
        ("phi3", "rope.scaling.original_context_length", 0),
        ("qwen3", "attention.head_count_kv", 3),
        ("olmo2", "attention.value_length", 8),
    ] {
        let error = refusal(name, key, |file, key| {
            file.u32(key, value);
        });
        let expected = std::format!("{name}.{key} = {value} is not supported");
        assert_eq!(error, expected);
    }
}
