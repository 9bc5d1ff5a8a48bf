//! Compares our quantisers with ggml's: `tests/quantizers/` has ggml's results for the same weights
//! (`make_quantizers.py` there says how).

use std::collections::BTreeMap;
use std::fs;

use llm_core::hash::sha256;
use llm_core::quantize::{QuantizeError, TensorType, dequantize_row, quantize_row_by};
use llmtool::recipe::type_by_name;
use serde::Deserialize;

/// Largest allowed ratio of our error to ggml's.
const TOLERANCE: f64 = 1.02;

#[derive(Deserialize)]
struct Reference {
    rows: usize,
    columns: usize,
    types: Types,
    with_importance: Types,
}

type Types = BTreeMap<String, BTreeMap<String, Made>>;

#[derive(Deserialize)]
struct Made {
    rms: f64,
    sha256: String,
}

fn uniform(mut state: u32, count: usize) -> Vec<f32> {
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1u32 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn weights(distribution: &str, count: usize) -> Vec<f32> {
    let u = uniform(1, count);
    let others = [2, 3, 4].map(|seed| uniform(seed, count));
    let sum4 = |i: usize| ((u[i] + others[0][i]) + others[1][i]) + others[2][i];
    (0..count)
        .map(|i| match distribution {
            "uniform" => u[i],
            "bell" => sum4(i),
            "heavy" => u[i] * u[i] * u[i] * sum4(i),
            "offset" => u[i] * 0.1 + 1.5,
            "small" => sum4(i) * 1e-3,
            other => panic!("no distribution {other}"),
        })
        .collect()
}

fn reference() -> Reference {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/quantizers/quantizers.json"
    );
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Quantises what ggml quantised, and compares; returns how many gave the same bytes.
fn compare(reference: &Reference, types: &Types, importance: Option<&[f32]>) -> usize {
    assert_eq!(types.len(), 14);
    let (rows, columns) = (reference.rows, reference.columns);
    let (mut same, mut compared) = (0, 0);
    for (name, distributions) in types {
        let ty = type_by_name(name).unwrap();
        for (distribution, made) in distributions {
            let weights = weights(distribution, rows * columns);
            let stride = ty.row_bytes(columns).unwrap();
            let mut stored = vec![0; rows * stride];
            let mut back = vec![0.0f32; columns];
            let mut squares = 0.0;
            for (row, out) in weights.chunks(columns).zip(stored.chunks_mut(stride)) {
                quantize_row_by(ty, row, importance, out).unwrap();
                dequantize_row(ty, out, &mut back).unwrap();
                for (column, (x, y)) in row.iter().zip(&back).enumerate() {
                    let counts = importance.map_or(1.0, |of| f64::from(of[column]));
                    squares += counts * f64::from(x - y).powi(2);
                }
            }
            let rms = (squares / weights.len() as f64).sqrt();
            let ratio = rms / made.rms;
            let digest: String = sha256(&stored).iter().map(|b| format!("{b:02x}")).collect();
            let equal = digest == made.sha256;
            println!("{name} {distribution}: {ratio:.5} of ggml's error, same bytes: {equal}");
            assert!(ratio <= TOLERANCE, "{name} {distribution}: {ratio}");
            same += usize::from(equal);
            compared += 1;
        }
    }
    println!("{same} of {compared} have the same bytes");
    assert_eq!(compared, 70);
    same
}

#[test]
fn errors_are_those_of_ggml() {
    let reference = reference();
    compare(&reference, &reference.types, None);
}

#[test]
fn with_an_importance_matrix_errors_are_those_of_ggml() {
    let reference = reference();
    let importance: Vec<f32> = uniform(5, reference.columns)
        .into_iter()
        .map(|u| u * u + 0.01)
        .collect();
    compare(&reference, &reference.with_importance, Some(&importance));
    // Importance helps: in its own measure, errors are smaller with it than without.
    for ty in [TensorType::Q4_0, TensorType::Q4K, TensorType::Q2K] {
        let row = weights("bell", reference.columns);
        let error = |of: Option<&[f32]>| -> f64 {
            let mut stored = vec![0; ty.row_bytes(row.len()).unwrap()];
            let mut back = vec![0.0f32; row.len()];
            quantize_row_by(ty, &row, of, &mut stored).unwrap();
            dequantize_row(ty, &stored, &mut back).unwrap();
            let squares = row.iter().zip(&back).zip(&importance);
            squares
                .map(|((x, y), of)| f64::from(*of) * f64::from(x - y).powi(2))
                .sum()
        };
        assert!(error(Some(&importance)) < error(None), "{ty:?}");
    }
    let wrong = quantize_row_by(TensorType::Q4_0, &[1.0; 32], Some(&[1.0; 3]), &mut [0; 18]);
    assert!(matches!(
        wrong,
        Err(QuantizeError::Importance {
            got: 3,
            columns: 32
        })
    ));
}
