//! Files that are not adapters for the model, and what is said of them.

use super::*;

/// The error for a modified file.
fn refusal(change: impl FnOnce(&mut GgufWriter)) -> String {
    let base = file("llama", Shape::default()).finish();
    let mut file = adapter(&base, AdapterShape::default());
    change(&mut file);
    refusal_of(&file.finish())
}

fn refusal_of(file: &[u8]) -> String {
    let base = self::file("llama", Shape::default()).finish();
    let checked = Checked::new(&base).expect("a model");
    let checked = AdapterFile::read(file)
        .and_then(|file| file.check(&checked.base(), Some(&[7; 32])).map(|_| ()));
    checked.expect_err("a file that was changed").to_string()
}

fn replaced(key: &str, write: impl FnOnce(&mut GgufWriter, &str)) -> String {
    refusal(|file| {
        file.remove_key(key);
        write(file, key);
    })
}

#[test]
fn what_is_no_adapter_is_refused_by_the_key_that_says_so() {
    let model = file("llama", Shape::default()).finish();
    assert_eq!(
        refusal_of(&model),
        "general.type is missing, not adapter: this is no adapter"
    );
    assert_eq!(refusal_of(b"once"), GgufError::NotGguf.to_string());
    assert_eq!(
        replaced("adapter.type", |file, key| {
            file.str(key, "control_vector");
        }),
        "adapter.type is control_vector, not lora: this is no adapter"
    );
    assert_eq!(
        refusal(|file| {
            file.i32s("adapter.alora.invocation_tokens", &[1, 2]);
        }),
        "the metadata key adapter.alora.invocation_tokens is not known to the engine, and could change the result"
    );
    for alpha in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(
            replaced("adapter.lora.alpha", |file, key| {
                file.f32(key, alpha);
            }),
            AdapterError::Alpha.to_string()
        );
    }
    assert_eq!(
        replaced("adapter.lora.alpha", |_, _| {}),
        "the metadata key adapter.lora.alpha is missing"
    );
}

#[test]
fn notes_that_change_nothing_are_no_obstacle() {
    let base = file("llama", Shape::default()).finish();
    let mut file = adapter(&base, AdapterShape::default());
    file.str("adapter.lora.task_name", "fables")
        .str("general.name", "a name")
        .str("sel4_llm.training.seed", "7")
        .u32("general.file_type", 1);
    assert!(AdapterFile::read(&file.finish()).is_ok());
}

#[test]
fn an_adapter_for_another_base_is_refused_with_what_differs() {
    assert_eq!(
        replaced("general.architecture", |file, key| {
            file.str(key, "qwen2");
        }),
        "it was made for the architecture qwen2, the model is a llama"
    );
    let digest = |text: &str| {
        refusal(|file| {
            file.str(BASE_SHA256_KEY, text);
        })
    };
    let other = "08".repeat(32);
    assert_eq!(digest(&other), AdapterError::OtherBase.to_string());
    for bad in [&other[1..], &other[2..], &"0g".repeat(32), ""] {
        assert_eq!(digest(bad), AdapterError::BadDigest.to_string());
    }
    let wider = Shape {
        feed_forward: 128,
        ..Shape::default()
    };
    let base = file("llama", wider).finish();
    assert_eq!(
        refusal_of(&adapter(&base, AdapterShape::default()).finish()),
        "the tensor blk.0.ffn_up.weight.lora_b is for a side of 128 elements, but the model's matrix has 96"
    );
    let longer = Shape {
        layers: 3,
        ..Shape::default()
    };
    let base = file("llama", longer).finish();
    let error = refusal_of(&adapter(&base, AdapterShape::default()).finish());
    assert!(
        error.starts_with("the tensor blk.2.attn_q.weight.lora_a is for no matrix"),
        "{error}"
    );
}

#[test]
fn the_digest_of_the_right_base_is_none_of_anothers() {
    let base = file("llama", Shape::default()).finish();
    let mut file = adapter(&base, AdapterShape::default());
    file.str(BASE_SHA256_KEY, &"0B".repeat(32));
    let (file, checked) = (file.finish(), Checked::new(&base).expect("a model"));
    let file = AdapterFile::read(&file).expect("an adapter");
    assert_eq!(file.base(), Some(&[11; 32]));
    assert!(file.check(&checked.base(), Some(&[11; 32])).is_ok());
    assert!(file.check(&checked.base(), None).is_ok());
}

#[test]
fn tensors_that_cannot_be_adapted_are_refused_by_name() {
    for name in [
        "token_embd.weight",
        "output.weight",
        "output_norm.weight",
        "blk.0.attn_norm.weight",
        "blk.0.attn_qkv.weight",
        "blk.0.attn_q.bias",
        "blk.00.attn_q.weight",
        "blk.+0.attn_q.weight",
        "blk.2.attn_q.weight",
        "blk.18446744073709551616.attn_q.weight",
        "blk..attn_q.weight",
        "blk.0.weight",
        "",
    ] {
        let error = refusal(|file| {
            file.tensor(
                &format!("{name}.lora_a"),
                TensorType::F32,
                &[64, 1],
                &[0.1; 64],
            )
            .tensor(
                &format!("{name}.lora_b"),
                TensorType::F32,
                &[1, 64],
                &[0.1; 64],
            );
        });
        assert!(
            error.starts_with(&format!("the tensor {name}.lora_a is for no matrix")),
            "{error}"
        );
    }
    let error = refusal(|file| {
        file.tensor("blk.0.attn_norm.weight", TensorType::F32, &[64], &[1.0; 64]);
    });
    assert!(
        error.starts_with("the tensor blk.0.attn_norm.weight is for no"),
        "{error}"
    );
}

#[test]
fn halves_that_do_not_belong_together_are_refused_by_name() {
    const A: &str = "blk.1.ffn_down.weight.lora_a";
    const B: &str = "blk.1.ffn_down.weight.lora_b";
    for (gone, left) in [(A, B), (B, A)] {
        assert_eq!(
            refusal(|file| {
                file.remove_tensor(gone);
            }),
            format!("the tensor {left} has no counterpart: lora_a and lora_b come in pairs")
        );
    }
    let with_ranks = |a: usize, b: usize| {
        refusal(|file| {
            file.remove_tensor(A)
                .remove_tensor(B)
                .tensor(A, TensorType::F32, &[96, a], &vec![0.1; 96 * a])
                .tensor(B, TensorType::F32, &[b, 64], &vec![0.1; 64 * b]);
        })
    };
    assert_eq!(
        with_ranks(4, 5),
        format!("the tensor {A} has rank 4: 1 to 64, and the same in both halves")
    );
    assert_eq!(
        with_ranks(65, 65),
        format!("the tensor {A} has rank 65: 1 to 64, and the same in both halves")
    );
    let error = refusal(|file| {
        file.remove_tensor(A)
            .tensor(A, TensorType::F32, &[96, 0], &[]);
    });
    assert!(error.contains("size of 0"), "{error}");
    let error = refusal(|file| {
        file.remove_tensor(A)
            .tensor(A, TensorType::F32, &[96, 2, 2], &[0.1; 384]);
    });
    assert!(error.contains("has rank 4"), "{error}");
}

#[test]
fn values_that_cannot_be_used_are_refused_by_the_tensors_name() {
    const A: &str = "blk.0.attn_k.weight.lora_a";
    for bad in [f32::NAN, f32::INFINITY] {
        assert_eq!(
            refusal(|file| file.tensor_bytes(A)[..4].copy_from_slice(&bad.to_le_bytes())),
            format!("the tensor {A} holds a value that is not finite")
        );
    }
    assert_eq!(
        refusal(|file| {
            file.remove_tensor(A)
                .tensor(A, TensorType::Q4_0, &[64, 4], &[0.1; 256]);
        }),
        format!("the tensor {A} has type Q4_0: F32, F16, BF16 and Q8_0 can be loaded")
    );
    let base = file("llama", Shape::default()).finish();
    let none = AdapterShape {
        attention: true,
        ..AdapterShape::default()
    };
    let mut empty = adapter(&base, none);
    for n in 0..2 {
        for name in ["q", "k", "v", "output"] {
            for half in ["a", "b"] {
                empty.remove_tensor(&format!("blk.{n}.attn_{name}.weight.lora_{half}"));
            }
        }
    }
    assert_eq!(refusal_of(&empty.finish()), AdapterError::Empty.to_string());
}

#[test]
fn every_file_that_was_cut_off_is_refused() {
    let base = file("llama", Shape::default()).finish();
    let file = adapter(&base, AdapterShape::default()).finish();
    for len in (0..file.len() - 64).step_by(97) {
        assert!(AdapterFile::read(&file[..len]).is_err(), "{len} bytes");
    }
}

#[test]
fn what_is_refused_leaves_the_model_and_its_adapters_as_they_are() {
    let (base, [a, b, c]) = files("llama", TensorType::Q8_0);
    with(&base, &[&a, &b], &OPTIONS, |model, arena| {
        let before = [None, Some(0), Some(1)]
            .map(|adapter| bits(&logits(model, arena, &ids(9), 9, adapter)));
        let usage = arena.usage();
        let (other, _) = files("qwen2", TensorType::Q8_0);
        let other = adapter(&other, AdapterShape::default()).finish();
        let other = AdapterFile::read(&other).expect("an adapter");
        let fits = AdapterFile::read(&c).expect("an adapter");
        let mut refuse = |place, file: &AdapterFile<'_>| {
            let error = model.load_adapter(arena, place, file, None);
            error.expect_err("it cannot be loaded")
        };
        assert!(matches!(
            refuse(2, &other),
            AdapterError::Architecture { .. }
        ));
        assert_eq!(refuse(1, &fits), AdapterError::Taken(1));
        assert_eq!(
            refuse(MAX_ADAPTERS, &fits),
            AdapterError::NoSuchAdapter(MAX_ADAPTERS)
        );
        for place in [2, MAX_ADAPTERS, usize::MAX] {
            assert_eq!(
                model.drop_adapter(arena, place),
                Err(AdapterError::NoSuchAdapter(place))
            );
        }
        assert_eq!(arena.usage(), usage);
        let after = [None, Some(0), Some(1)]
            .map(|adapter| bits(&logits(model, arena, &ids(9), 9, adapter)));
        assert_eq!(after, before);
    });
}
