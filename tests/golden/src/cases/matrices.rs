//! Matrix products: every format, in tiles where it has them.

use super::Case;
use crate::bits::Bits;
use crate::generator::Generator;
use alloc::vec;
use llm_core::arena::as_mut;
use llm_core::quantize::{ActivationQ8, ActivationQ8K, TensorType, dequantize_row};
use llm_core::simd::Cpu;
use llm_core::simd::tiles::{Format, TILE, gather, repack};
use llm_core::testing::{Memory, kernels};

/// See the module.
pub const CASES: &[Case] = &[
    Case::on("tiles_q8_0_one_token", |c, b| {
        tiled(c, Format::Q8_0, &[1], false, b)
    }),
    Case::on("tiles_q8_0_several_tokens", |c, b| {
        tiled(c, Format::Q8_0, SEVERAL, false, b)
    }),
    Case::on("tiles_q8_0_extreme", |c, b| {
        tiled(c, Format::Q8_0, &[1, 5], true, b)
    }),
    Case::on("tiles_q4_0_one_token", |c, b| {
        tiled(c, Format::Q4_0, &[1], false, b)
    }),
    Case::on("tiles_q4_0_several_tokens", |c, b| {
        tiled(c, Format::Q4_0, SEVERAL, false, b)
    }),
    Case::on("tiles_q4_0_extreme", |c, b| {
        tiled(c, Format::Q4_0, &[1, 5], true, b)
    }),
    Case::on("tiles_q4_k_one_token", |c, b| {
        tiled(c, Format::Q4K, &[1], false, b)
    }),
    Case::on("tiles_q4_k_several_tokens", |c, b| {
        tiled(c, Format::Q4K, SEVERAL, false, b)
    }),
    Case::on("tiles_q4_k_extreme", |c, b| {
        tiled(c, Format::Q4K, &[1, 5], true, b)
    }),
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
    Case::once("repacking", repacking),
    Case::once("dequantised_rows", dequantised_rows),
];

/// Kernels take tokens in groups of powers of two: each size, and sums of sizes.
const SEVERAL: &[usize] = &[2, 3, 4, 7, 8, 15];

/// Two tiles of a few blocks, with the tokens together. With `extreme`, the weights are −128 (of four bits: the
/// ends of the range) and the activations −127 and 127 alone: a kernel that makes one operand unsigned and
/// saturates is wrong there.
fn tiled(cpu: Cpu, format: Format, tokens: &[usize], extreme: bool, bits: &mut Bits) {
    let mut generator = Generator::new(100 + format as u64);
    let (rows, blocks) = (2 * TILE, 3);
    let ty = format.tensor_type();
    let columns = blocks * ty.block_len();
    let w = generator.weights(ty, rows, columns, extreme);
    let mut tiles = Memory::new(w.len());
    repack(format, blocks, &w, tiles.bytes());
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
        // What no kernel leaves where it is.
        out.fill(f32::NAN);
        if format == Format::Q4K {
            let mut q = vec![ActivationQ8K::ZERO; tokens * blocks];
            kernels::quantize_activations_k(cpu, &x, &mut q).expect("finite");
            cpu.matmul_q4_k(tiles.bytes(), blocks, &q, out);
        } else {
            let mut q = vec![ActivationQ8::ZERO; tokens * blocks];
            kernels::quantize_activations(cpu, &x, &mut q).expect("finite");
            match format {
                Format::Q8_0 => cpu.matmul_q8_0(tiles.bytes(), blocks, &q, out),
                _ => cpu.matmul_q4_0(tiles.bytes(), blocks, &q, out),
            }
        }
        bits.floats(out);
    }
}

/// Rows that are no whole number of tiles, so that they stay as they are: one token, then three together.
fn rows(cpu: Cpu, ty: TensorType, bits: &mut Bits) {
    let mut generator = Generator::new(200 + u64::from(ty.to_ggml()));
    let (rows, columns) = (11, 512);
    for extreme in [false, true] {
        let w = generator.weights(ty, rows, columns, extreme);
        for tokens in [1, 3] {
            let x = generator.activations(tokens * columns);
            let mut out = vec![f32::NAN; tokens * rows];
            kernels::multiply(cpu, ty, &w, columns, &x, &mut out).expect("finite");
            bits.floats(&out);
        }
    }
}

/// Tiles are a permutation, and a block comes back from them as it was.
fn repacking(bits: &mut Bits) {
    let mut generator = Generator::new(300);
    for format in Format::ALL {
        let ty = format.tensor_type();
        let (rows, blocks, size) = (TILE, 2, format.block_bytes());
        let w = generator.weights(ty, rows, blocks * ty.block_len(), false);
        let mut tiles = vec![0; w.len()];
        repack(format, blocks, &w, &mut tiles);
        bits.bytes(&tiles);
        for (index, expected) in w.chunks_exact(size).enumerate() {
            let mut block = vec![0; size];
            gather(
                format,
                &tiles,
                blocks,
                index / blocks,
                index % blocks,
                &mut block,
            );
            assert_eq!(block, expected, "block {index} of {format:?}");
        }
    }
}

fn dequantised_rows(bits: &mut Bits) {
    let mut generator = Generator::new(400);
    for ty in TensorType::ALL {
        let row = generator.weights(ty, 1, 512, false);
        let mut values = [0.0; 512];
        dequantize_row(ty, &row, &mut values).expect("lengths that go together");
        bits.floats(&values);
    }
}
