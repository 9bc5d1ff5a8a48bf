//! Matrix products with every weight format: in tiles if the format has them, and in rows.

use super::Case;
use crate::bits::Bits;
use crate::generator::Generator;
use alloc::vec;
use llm_core::arena::as_mut;
use llm_core::quantize::{ActivationType, TensorType, dequantize_row};
use llm_core::simd::tiles::{TILE, dequantize, repack};
use llm_core::simd::{Cpu, Matrix};
use llm_core::testing::{Memory, kernels};

/// Cases of matrix products and tiles.
pub const CASES: &[Case] = &[
    Case::on("tiles_q8_0_one_token", |c, b| {
        tiled(c, TensorType::Q8_0, 100, &[1], false, b)
    }),
    Case::on("tiles_q8_0_several_tokens", |c, b| {
        tiled(c, TensorType::Q8_0, 100, SEVERAL, false, b)
    }),
    Case::on("tiles_q8_0_extreme", |c, b| {
        tiled(c, TensorType::Q8_0, 100, &[1, 5], true, b)
    }),
    Case::on("tiles_q4_0_one_token", |c, b| {
        tiled(c, TensorType::Q4_0, 101, &[1], false, b)
    }),
    Case::on("tiles_q4_0_several_tokens", |c, b| {
        tiled(c, TensorType::Q4_0, 101, SEVERAL, false, b)
    }),
    Case::on("tiles_q4_0_extreme", |c, b| {
        tiled(c, TensorType::Q4_0, 101, &[1, 5], true, b)
    }),
    Case::on("tiles_q4_k_one_token", |c, b| {
        tiled(c, TensorType::Q4K, 102, &[1], false, b)
    }),
    Case::on("tiles_q4_k_several_tokens", |c, b| {
        tiled(c, TensorType::Q4K, 102, SEVERAL, false, b)
    }),
    Case::on("tiles_q4_k_extreme", |c, b| {
        tiled(c, TensorType::Q4K, 102, &[1, 5], true, b)
    }),
    Case::on("tiles_q4_1", |c, b| every(c, TensorType::Q4_1, b)),
    Case::on("tiles_q5_0", |c, b| every(c, TensorType::Q5_0, b)),
    Case::on("tiles_q5_1", |c, b| every(c, TensorType::Q5_1, b)),
    Case::on("tiles_q2_k", |c, b| every(c, TensorType::Q2K, b)),
    Case::on("tiles_q3_k", |c, b| every(c, TensorType::Q3K, b)),
    Case::on("tiles_q5_k", |c, b| every(c, TensorType::Q5K, b)),
    Case::on("tiles_q6_k", |c, b| every(c, TensorType::Q6K, b)),
    Case::on("tiles_iq4_nl", |c, b| every(c, TensorType::IQ4NL, b)),
    Case::on("tiles_iq4_xs", |c, b| every(c, TensorType::IQ4XS, b)),
    Case::on("tiles_tq1_0", |c, b| every(c, TensorType::TQ1_0, b)),
    Case::on("tiles_tq2_0", |c, b| every(c, TensorType::TQ2_0, b)),
    Case::on("tiles_f32", |c, b| every(c, TensorType::F32, b)),
    Case::on("tiles_f16", |c, b| every(c, TensorType::F16, b)),
    Case::on("tiles_bf16", |c, b| every(c, TensorType::BF16, b)),
    Case::on("rows_f32", |c, b| rows(c, TensorType::F32, b)),
    Case::on("rows_f16", |c, b| rows(c, TensorType::F16, b)),
    Case::on("rows_bf16", |c, b| rows(c, TensorType::BF16, b)),
    Case::on("rows_q4_0", |c, b| rows(c, TensorType::Q4_0, b)),
    Case::on("rows_q4_1", |c, b| rows(c, TensorType::Q4_1, b)),
    Case::on("rows_q5_0", |c, b| rows(c, TensorType::Q5_0, b)),
    Case::on("rows_q5_1", |c, b| rows(c, TensorType::Q5_1, b)),
    Case::on("rows_q8_0", |c, b| rows(c, TensorType::Q8_0, b)),
    Case::on("rows_q8_1", |c, b| rows(c, TensorType::Q8_1, b)),
    Case::on("rows_q2_k", |c, b| rows(c, TensorType::Q2K, b)),
    Case::on("rows_q3_k", |c, b| rows(c, TensorType::Q3K, b)),
    Case::on("rows_q4_k", |c, b| rows(c, TensorType::Q4K, b)),
    Case::on("rows_q5_k", |c, b| rows(c, TensorType::Q5K, b)),
    Case::on("rows_q6_k", |c, b| rows(c, TensorType::Q6K, b)),
    Case::on("rows_iq4_nl", |c, b| rows(c, TensorType::IQ4NL, b)),
    Case::on("rows_iq4_xs", |c, b| rows(c, TensorType::IQ4XS, b)),
    Case::on("rows_tq1_0", |c, b| rows(c, TensorType::TQ1_0, b)),
    Case::on("rows_tq2_0", |c, b| rows(c, TensorType::TQ2_0, b)),
    Case::once("tiling", |b| tiling(&TensorType::ALL[..TILED], b)),
    Case::once("dequantised_rows", |b| {
        dequantised_rows(400, &TensorType::ALL[..BEFORE_IQ4], b)
    }),
    Case::once("dequantised_rows_iq4_and_ternary", |b| {
        dequantised_rows(401, &TensorType::ALL[BEFORE_IQ4..TILED], b)
    }),
];

/// Numbers of types that these cases cover: those before IQ4_NL, and those with tiles. They are fixed, because a new
/// type must not change the result of a case.
const BEFORE_IQ4: usize = 14;
const TILED: usize = 18;

/// Kernels process tokens in groups of powers of two: each size, and sums of sizes.
const SEVERAL: &[usize] = &[2, 3, 4, 7, 8, 15];

/// Multiplies one token and several, with ordinary weights and, for quantised activations, extreme ones.
fn every(cpu: Cpu, ty: TensorType, bits: &mut Bits) {
    let seed = 500 + u64::from(ty.to_ggml());
    tiled(cpu, ty, seed, &[1], false, bits);
    tiled(cpu, ty, seed, SEVERAL, false, bits);
    if ty.activations() != ActivationType::Float {
        tiled(cpu, ty, seed, &[1, 5], true, bits);
    }
}

/// Multiplies two tiles of a few blocks with each number of tokens. With `extreme`, all weights are −128 (with four
/// bits, the ends of the range) and all activations −127 or 127. A kernel that makes one operand unsigned and saturates
/// gives wrong results for these.
fn tiled(cpu: Cpu, ty: TensorType, seed: u64, tokens: &[usize], extreme: bool, bits: &mut Bits) {
    let mut generator = Generator::new(seed);
    let rows = 2 * TILE;
    let columns = 3 * ty.block_len().max(17);
    let w = generator.weights(ty, rows, columns, extreme);
    let mut tiles = Memory::new(w.len());
    repack(ty, columns, &w, tiles.bytes());
    for &tokens in tokens {
        let x = match extreme {
            true => generator
                .bytes(tokens * columns)
                .iter()
                .map(|b| f32::from(b & 1) * 2.0 - 1.0)
                .collect(),
            false => generator.activations(tokens * columns),
        };
        let mut out = Memory::new(4 * tokens * rows);
        let out = as_mut::<f32>(out.bytes());
        // A value that every kernel must overwrite.
        out.fill(f32::NAN);
        let matrix = Matrix {
            ty,
            rows,
            columns,
            tiled: true,
            bytes: tiles.bytes(),
        };
        kernels::multiply(cpu, &matrix, &x, out).expect("finite");
        bits.floats(out);
    }
}

/// Multiplies rows that are not tiled, because they do not fill a whole number of tiles: one token, then three
/// together.
fn rows(cpu: Cpu, ty: TensorType, bits: &mut Bits) {
    let mut generator = Generator::new(200 + u64::from(ty.to_ggml()));
    let (rows, columns) = (11, 512);
    for extreme in [false, true] {
        let w = generator.weights(ty, rows, columns, extreme);
        for tokens in [1, 3] {
            let x = generator.activations(tokens * columns);
            let mut out = vec![f32::NAN; tokens * rows];
            let matrix = Matrix {
                ty,
                rows,
                columns,
                tiled: false,
                bytes: &w,
            };
            kernels::multiply(cpu, &matrix, &x, &mut out).expect("finite");
            bits.floats(&out);
        }
    }
}

/// The bytes of tiles, and a row that is recovered from them unchanged.
fn tiling(types: &[TensorType], bits: &mut Bits) {
    let mut generator = Generator::new(300);
    for &ty in types {
        let (rows, columns) = (TILE, 2 * ty.block_len());
        let w = generator.weights(ty, rows, columns, false);
        let mut tiles = vec![0; w.len()];
        repack(ty, columns, &w, &mut tiles);
        bits.bytes(&tiles);
        let (mut expected, mut row) = (vec![0.0; columns], vec![0.0; columns]);
        let (last, bytes) = (rows - 1, w.len() / rows);
        dequantize_row(ty, &w[last * bytes..], &mut expected).expect("lengths that go together");
        dequantize(ty, &tiles, last, &mut row);
        assert_eq!(row, expected, "the last row of {ty:?}");
    }
}

fn dequantised_rows(seed: u64, types: &[TensorType], bits: &mut Bits) {
    let mut generator = Generator::new(seed);
    for &ty in types {
        let row = generator.weights(ty, 1, 512, false);
        let mut values = [0.0; 512];
        dequantize_row(ty, &row, &mut values).expect("lengths that go together");
        bits.floats(&values);
    }
}
