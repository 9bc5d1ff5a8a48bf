//! Compares the types that `quantize` gives a file's matrices with llama.cpp's: `tests/quantizers/mixtures.json` has
//! llama-quantize's choices for some shapes (`make_mixtures.py` there says how).

use std::collections::BTreeMap;
use std::fs;

use llm_core::gguf::Gguf;
use llm_core::quantize::TensorType;
use llm_core::testing::{self, Shape};
use llmtool::mixture::kind;
use llmtool::mixture::{FILE_TYPES, FileType};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    shapes: BTreeMap<String, Made>,
    types: BTreeMap<String, BTreeMap<String, BTreeMap<String, String>>>,
}

#[derive(Deserialize)]
struct Made {
    architecture: String,
    layers: usize,
    width: usize,
    heads: usize,
    kv_heads: usize,
    feed_forward: usize,
    tied: bool,
}

/// The number of a tensor's block.
fn block(name: &str) -> usize {
    let number = name
        .strip_prefix("blk.")
        .and_then(|rest| rest.split('.').next());
    number.map_or(0, |number| number.parse().unwrap())
}

/// Writes `A A B` as `A*2 B*1`.
fn runs(names: &[&str]) -> String {
    let runs = names.chunk_by(|a, b| a == b);
    let runs: Vec<String> = runs
        .map(|run| format!("{}*{}", run[0], run.len()))
        .collect();
    runs.join(" ")
}

#[test]
fn every_matrix_gets_the_type_that_llama_quantize_gives_it() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/quantizers/mixtures.json"
    );
    let reference: Reference = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let mut compared = 0;
    for (name, made) in &reference.shapes {
        let shape = Shape {
            width: made.width,
            layers: made.layers,
            heads: made.heads,
            kv_heads: made.kv_heads,
            feed_forward: made.feed_forward,
            context: 64,
            tied: made.tied,
            ty: TensorType::F32,
        };
        let file = match made.architecture.as_str() {
            "gpt2" => testing::gpt2(shape).finish(),
            _ => testing::model(shape).finish(),
        };
        let gguf = Gguf::parse(&file).unwrap();
        for ty in FILE_TYPES {
            for (option, imatrix, pure) in [
                ("", false, false),
                (" imatrix", true, false),
                (" pure", false, true),
            ] {
                let targets = FileType::parse(ty.name)
                    .unwrap()
                    .targets(&gguf, pure, imatrix);
                assert_eq!(targets.file_type, ty.number);
                let theirs = &reference.types[name][&format!("{}{option}", ty.name)];
                for (their_kind, their_types) in theirs {
                    let mut ours: Vec<(usize, &str)> = gguf
                        .tensors()
                        .zip(&targets.tensors)
                        .filter(|(tensor, _)| {
                            kind(tensor.name) == their_kind && tensor.name.ends_with(".weight")
                        })
                        .map(|(tensor, target)| (block(tensor.name), target.ty.name()))
                        .collect();
                    ours.sort_by_key(|(block, _)| *block);
                    let ours: Vec<&str> = ours.into_iter().map(|(_, name)| name).collect();
                    assert_eq!(
                        &runs(&ours),
                        their_types,
                        "{name} as {}{option}: {their_kind}",
                        ty.name
                    );
                    compared += ours.len();
                }
            }
        }
    }
    assert!(compared > 20_000, "{compared}");
}
